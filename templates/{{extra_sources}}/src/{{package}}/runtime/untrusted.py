"""Text from outside is data: delimit it, and flag what reads like orders to a model.

The flag is for people. The protection is that such text stands between delimiters and that the
sub-agents who read it have no tools.
"""

import re
from collections.abc import Iterator

_ORDERS = re.compile(
    r"""
      \b(?:ignore|disregard|forget|override|bypass)\b[^.!?\n]{0,40}
      \b(?:previous|prior|above|earlier|preceding|system|your|these|all)\b[^.!?\n]{0,30}
      \b(?:instructions?|prompts?|rules?|guidelines?|directions?|programming)\b
    | \b(?:ignoriere|vergiss|missachte)\b[^.!?\n]{0,60}\b(?:anweisung|instruktion|regel)
    | \b(?:ignor[ea]z?|oublie[zr]?|olvida)\s+(?:toute|les|tes|vos|mes|todas|las|tus)
      \b[^.!?\n]{0,60}\binstruc(?:tion|cion)
    | \byou\ are\ (?:now|no\ longer)\ (?:an?\ |in\ |the\ |bound\ )[^.!?\n]{0,60}
    | \b(?:reveal|print|repeat|show|output|leak)\b[^.!?\n]{0,30}
      \b(?:system\ prompt|your\ (?:instructions|prompt))\b
    | \b(?:new|updated|real)\ (?:system\ )?instructions?\s*:
    | \b(?:do\ not|don't|never)\ (?:tell|inform|alert|mention\ this\ to)\ the\ user\b
    | \b(?:ai|language)\ (?:model|assistant)s?\b[^.!?\n]{0,40}\b(?:must|should|shall)\b
    | <\|(?:im_start|im_end|system|user|assistant|endoftext)\|>
    | \[/?INST\]
    | </?(?:system|assistant|instructions?)>
    | ^\#{2,}\s*(?:system|instructions?)\s*:
    """,
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
_HIDDEN = re.compile("[\U000e0000-\U000e007f]{3,}|[\u202a-\u202e\u2066-\u2069]{2,}")
# Each match of _ORDERS contains one of these, and finding them takes a tenth of the time.
_SIGNALS = (
    *("instruc", "instruktion", "anweisung", "regel", "prompt", "rule", "guideline", "direction"),
    *("programming", "you are", "the user", "model", "assistant", "inst]", "system", "<|"),
)
_MARGIN, _PIECE, _LONGEST, _MOST = 40, 2000, 300, 20


def delimit(text: str, tag: str = "document") -> str:
    """Put a text between `<tag>` and `</tag>`, so that nothing in it ends them."""
    # Possessive, so that a long gap is read once. Invisible characters are gaps as well.
    inside = re.sub(rf"<(?=[^\w<]*+{tag}\b)", "&lt;", text, flags=re.IGNORECASE)
    return f"<{tag}>\n{inside}\n</{tag}>"


def find_orders(text: str) -> list[str]:
    """Return the first passages that read like orders to a model, with a few words around each.

    Call it in a thread for a long text: it reads in pieces, and other threads go on between them.
    """
    found: dict[str, None] = {}
    for match in _orders(text.replace("\u2019", "'")):
        found[_around(text, match)] = None
        if len(found) == _MOST:
            break
    if _HIDDEN.search(text):
        found["(characters that no reader sees)"] = None
    return list(found)


def _orders(text: str) -> Iterator[re.Match[str]]:
    for start in range(0, len(text), _PIECE):
        end = start + _PIECE
        piece = text[start : end + _LONGEST].casefold()
        if not any(word in piece for word in _SIGNALS):
            continue
        for match in _ORDERS.finditer(text, start, end + _LONGEST):
            if match.start() < end:
                yield match


def _around(text: str, match: re.Match[str]) -> str:
    return " ".join(text[max(0, match.start() - _MARGIN) : match.end() + _MARGIN].split())
