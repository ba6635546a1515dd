"""How a problem names what was typed, and what was probably meant."""

import difflib
from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str:
    """The way out of a name that is not known."""
    choices = list(known)
    if "," in word and any(one.strip() in choices for one in word.split(",")):
        return f"write a list: [{', '.join(one.strip() for one in word.split(','))}]"
    close = difflib.get_close_matches(word, choices, n=1, cutoff=0.5)
    if close:
        return f"did you mean {close[0]}?"
    return f"choose from {', '.join(choices)}" if choices else "there is none to choose yet"


def shown(text: str, most: int = 40) -> str:
    """A typed text, printable and of at most that many characters."""
    printable = "".join(c if c.isprintable() else "?" for c in text)
    return printable if len(printable) <= most else printable[: most - 1] + "…"
