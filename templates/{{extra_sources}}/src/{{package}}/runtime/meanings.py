"""Which words weaken, limit or oppose others: short tables of English, one group a line."""

import re
from itertools import permutations

from .spellings import split_words
from .wording import read


def _read_forms(text: str) -> frozenset[str]:
    return frozenset(form for word in text.split() for form in read(word).words[:1])


def _read_table(text: str) -> list[frozenset[str]]:
    """Read one group of words per line, each in the form that sentences are read in."""
    return [_read_forms(line) for line in text.strip().splitlines()]


SMALL = _read_forms(
    "of to in on at by for from with as is has and or but than then so he she they we you i his"
    " her him them us itself would can could shall should do into through about per up out too when"
    " where what because according since until after before during between will although though while whereas"
)
ROLES = _read_forms(
    "from to by than before after until since for against with without because if of into via"
)
# Verbs that say little: a passage may leave them out or have another.
LIGHT = _read_forms(
    "last tak plac cost charg run hold occur happen locat amount total reach stand hav get giv"
    " includ offer provid contain begin start need work liv"
)


ALIKE = _read_table("""
rise increase grow climb gain
fall decrease drop decline shrink
buy acquire purchase
ban prohibit forbid
allow permit
hurt injur wound
begin start launch
big large great
show demonstrate
user you your
revenue turnover
every each all
car vehicle
build construct
""")
# Words that mean the same in every sentence, each with the one that stands for its group.
SYNONYMS = {
    word: min(group)
    for group in _read_table("""
rise increase grow climb
fall decrease drop decline
buy acquire purchase
ban prohibit forbid
allow permit
hurt injur
begin start
say state
large big
show demonstrate
""")
    for word in group
}
EXACT = _read_table("""
some most many several third quarter half
first second former
""")
AMOUNTS = _read_forms("some most many several third quarter half all every each few")
# Words and their opposites, each side first.
AGAINST = [
    pair
    for one, _, other in (
        line.partition(" / ")
        for line in """
rise increase grow climb gain / fall decrease drop decline shrink
before / after
more / less fewer
higher / lower
larger bigger greater / smaller
heavier / lighter
older / younger
longer / shorter
richer / poorer
win / lose
open / close
begin start launch / end stop finish
approve accept / reject
confirm admit / deny
import / export
include including / exclude excluding
minimum / maximum
mandatory compulsory / optional voluntary
always often / never rarely seldom
against / for
buy / sell
allow permit / ban prohibit forbid
profit / loss
double / halve
twice / once
north northern / south southern
east eastern / west western
until / from since
best / worst
upper / lower
encrypt / unencrypt
safe / unsafe
legal / illegal
likely / unlikely
possible possibly / impossible
many / few
farther further / closer nearer
positive / negative
""".strip().splitlines()
    )
    for pair in permutations((_read_forms(one), _read_forms(other)))
]
# Classes of words that weaken or limit: a passage's have to be in the claim as well.
WEAK = _read_table(
    """
may might could possible possibly possibly perhaps probable probably likely potentially appear seem suggest \
indicate unclear uncertain unknown
allege allegedly reportedly supposedly suppose claim believe think assume accuse deny rumor suspect doubt dispute question contest blame critic rumour
nearly almost partly partially virtually practically half mostly among
if unless whether provided would
will plan expect intend aim hope try attempt tomorrow nextyear upcoming propose schedule forecast predict yet due consider considering discuss talk negotiate want wish mean offer
few hardly barely rarely seldom scarcely little
some most many several third quarter
only solely except exclude excluding exclusively
former ex acting deputy vice fake first second once formerly
fail lack refuse unabl avoid
say argue insist contend according
morethan
lessthan
atleast
atmost
""".replace("\\\n", "")
)
# Classes of words that strengthen: a claim's have to be in the passage as well.
STRONG = _read_table("""
all every each everybody everyone everywhere always completely entirely both
must mandatory oblige require
prove proven proof certain certainly definitely
exact exactly
morethan
lessthan
atleast
atmost
some most many several
more
less fewer
former ex acting deputy vice fake first second once formerly
nearly almost partly partially virtually practically half mostly
few hardly barely rarely seldom scarcely little
only solely except exclude excluding exclusively
""")
LESS = _read_forms("less fewer")
UNITS = _read_forms(
    "dollar euro pound yen percent percentag kilometr kilometer metr meter centimeter"
    " millimeter mil foot inch kilogram gram milligram ton tonn liter degr second minut hour day"
    " week month year"
)
# Words for another thing than the one that is named, beside it or before it.
BESIDE = _read_forms("next across near opposite behind beside adjacent beyond")
OTHER = _read_forms(
    "other another neighbouring neighboring rival adjacent nearby different opposing"
)
# What a thing may be called beside its name: the city of Rome, a group of students.
KINDS = _read_forms(
    "city town state group pair lot number amount series set total kind type part all most some"
    " many half majority rest use case member name act percent kingdom republic island month year"
)
ADVERBS = _read_forms(
    "soon later again often always ever already still today itself themselves once rate level twice"
)
# Verbs after which "to" leads to what was done.
LEADING = _read_forms("begin start manage continue help serve proceed happen go come get have")
OPPOSITE_ROLES = {
    "to": split_words("from by"),
    "by": split_words("to"),
    "from": split_words("to until"),
    "until": split_words("from"),
    "with": split_words("without"),
    "before": split_words("after"),
    "after": split_words("before"),
    "for": split_words("against"),
    "against": split_words("for"),
}
SAYING = WEAK[-5]
# Sources that a passage may cite: "the study says that ..." reports its own result.
RECORDS = _read_forms(
    "study report paper survey document article author researcher scientist data law contract policy"
    " guideline manual minutes register record table figure chart website text"
)
HEDGES = frozenset[str]().union(*WEAK) - split_words(
    "say according plan claim second quarter third half offer talk discuss want question contest mean critic"
)
_FOREIGN = split_words(
    "der die das den dem und ist nicht ein eine mit auf im von zu wird wurde le la les des est et une"
    " dans pour sur el los las una por para con del que il di che per della non een het niet voor os"
    " uma em ao och att som inte jest nie na w z og ikke til"
)


def is_english(passage: str) -> bool:
    """Whether the rules apply. What is in another language cannot be decided by them."""
    words = re.findall(r"[^\W\d_]+", passage.casefold())
    other = sum(word in _FOREIGN or not word[:1].isascii() for word in words)
    return other < 2 or other < 0.15 * len(words)
