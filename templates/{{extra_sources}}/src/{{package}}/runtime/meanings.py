"""Which words weaken, limit or oppose others: short tables of English, one group a line."""

import re

from .spellings import words_of
from .wording import read


def _forms(text: str) -> frozenset[str]:
    return frozenset(form for word in text.split() for form in read(word).words[:1])


def _table(text: str) -> list[frozenset[str]]:
    """A group of words a line, each in the form that sentences are read in."""
    return [_forms(line) for line in text.strip().splitlines()]


SMALL = _forms(
    "of to in on at by for from with as is has and or but than then so he she they we you i his"
    " her him them us itself would can could shall should do into through about per up out too when"
    " where what because according since until after before during between will although though while whereas"
)
ROLES = _forms(
    "from to by than before after until since for against with without because if of into via"
)
# Verbs that say little: a passage may leave them out or have another.
LIGHT = _forms(
    "last tak plac cost charg run hold occur happen locat amount total reach stand hav get giv"
    " includ offer provid contain begin start need work liv"
)


ALIKE = _table("""
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
EXACT = _table("""
some most many several third quarter half
first second former
""")
AMOUNTS = _forms("some most many several third quarter half all every each few")
# What takes the other side of a word.
AGAINST = [
    (_forms(one), _forms(other))
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
]
# Classes of words that weaken or limit: a passage's have to be in the claim as well.
WEAK = _table(
    """
may might could possible possibly possibly perhaps probable probably likely potentially appear seem suggest \
indicate unclear uncertain unknown
allege allegedly reportedly supposedly suppose claim believe think assume accuse deny rumor suspect doubt dispute question contest blame critic rumour
nearly almost partly partially virtually practically half mostly among
if unless whether provided would
will plan expect intend aim hope try attempt propose schedule forecast predict yet due consider considering discuss talk negotiate want wish mean offer
few hardly barely rarely seldom scarcely little
some most many several third quarter
only solely except exclude excluding exclusively
former ex acting deputy vice fake first second once formerly
fail lack refuse unabl avoid
morethan
lessthan
atleast
atmost
""".replace("\\\n", "")
)
# And those that strengthen: a claim's have to be in the passage.
STRONG = _table("""
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
UNITS = _forms(
    "dollar euro pound yen percent percentag kilometr kilometer metr meter centimeter"
    " millimeter mil foot inch kilogram gram milligram ton tonn liter degr second minut hour day"
    " week month year"
)
HEDGES = frozenset[str]().union(*WEAK) - words_of(
    "plan claim second quarter third half offer talk discuss want question contest mean critic"
)
_FOREIGN = words_of(
    "der die das den dem und ist nicht ein eine mit auf im von zu wird wurde le la les des est et une"
    " dans pour sur el los las una por para con del que il di che per della non een het niet voor os"
    " uma em ao och att som inte jest nie na w z og ikke til"
)


def is_english(passage: str) -> bool:
    """Whether the rules apply. What is in another language cannot be decided by them."""
    words = re.findall(r"[^\W\d_]+", passage.casefold())
    other = sum(word in _FOREIGN or not word[:1].isascii() for word in words)
    return other < 2 or other < 0.15 * len(words)
