"""Recognise a short answer that declines what was asked, in English and in words alone.

A refusal has three marks: the speaker (or the request, or a policy) is its subject, an inability
or unwillingness its verb, and a task its object; and beside it stand only courtesies, reasons and
offers. With something of substance beside it the text is an answer: "I cannot give a date, but it
left on Monday". What the text quotes, or reports of others, counts as neither. The words of each
mark are in refusals.toml.
"""

import json
import re
import tomllib
from contextlib import suppress
from pathlib import Path

MOST_CHARS = 800
"""A longer text is an answer that begins with a reservation."""
LEAST_WORDS = 3
"""Shorter leftovers, such as a greeting, are not of substance."""

_FIELDS = ("answer", "response", "text", "content", "message", "output", "result", "error")
"""Where a typed answer has its words, if it has nothing else."""
_KEYBOARD = str.maketrans(
    "\u2018\u2019\u02bc\u201c\u201d\u201e\u2013\u2014", "'''\"\"\"--", "*`#>_"
)
_QUOTED = re.compile(r""""[^"\n]*"|(?<!\w)'(?:[^'\n]|(?<=\w)'(?=\w))+'(?!\w)""")
_CLAUSE = re.compile(
    r"(?<=[.!?;:])\s+|\n+|\s-+\s|;\s*|,?\s+(?=(?:(?<!choice )but|however|though|although|yet)\b)"
    r"|,\s+(?=so\b)"
)
_WORDS = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))


def _expand(name: str) -> str:
    """Return a list of refusals.toml as one pattern, with the lists that it names filled in."""
    return re.sub(r"<(\w+)>", lambda found: f"(?:{_expand(found[1])})", "|".join(_WORDS[name]))


_REFUSES, _WHOLLY, _COMPANY, _CUTOFF, _INSTEAD, _ABOUT = (
    re.compile(_expand(name))
    for name in ("refuses", "wholly", "company", "cutoff", "instead", "about")
)


def refuses(text: str) -> bool:
    """Return whether a text is a refusal and nothing more, or JSON with only one in it."""
    if text.lstrip()[:1] == "{":
        return _refuses_in_json(text)
    if len(text) > MOST_CHARS or _ABOUT.search(said := _write_out(text)):
        return False
    if re.fullmatch(r"\W*(?:sorry|no|nope)\W+(?:no|sorry)\W*", said):
        return True
    clauses = [clause.rstrip(' .!?,:;"()') for clause in _CLAUSE.split(said)]
    declined = [clause for clause in clauses if _REFUSES.search(clause)]
    rest = [clause for clause in clauses if clause not in declined]
    wholly = any(map(_WHOLLY.search, declined))
    return bool(declined) and not any(_has_substance(clause, wholly) for clause in rest)


def _refuses_in_json(text: str) -> bool:
    with suppress(ValueError, RecursionError):
        fields = json.loads(text)
        texts = [fields[name] for name in _FIELDS if isinstance(fields.get(name), str)]
        others = [value for name, value in fields.items() if name not in _FIELDS]
        bare = not any(value for value in others if not isinstance(value, int | float))
        return bare and len(texts) == 1 and refuses(texts[0])
    return False


def _write_out(text: str) -> str:
    said = text.strip().translate(_KEYBOARD).strip()
    if said[:1] == said[-1:] and len(_QUOTED.findall(said)) == 1 and _QUOTED.fullmatch(said):
        said = said[1:-1]
    said = _QUOTED.sub('""', said).casefold()
    for short, long in _WORDS["long_forms"].items():
        said = re.sub(short, long, said)
    return said


def _has_substance(clause: str, wholly: bool) -> bool:
    """Return whether a clause beside a refusal says something of its own."""
    words = re.findall(r"[\w']+", clause)
    if _CUTOFF.search(clause):
        return False
    if any(word[0].isdigit() for word in words):
        return True
    if len(words) < LEAST_WORDS or _COMPANY.search(clause):
        return False
    return not wholly or bool(_INSTEAD.search(clause))
