"""Bytes from outside as text: which encoding they are in, and whether they are text at all."""

import codecs
import re

_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_DECLARED = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?([\w.:-]{2,40})", re.IGNORECASE)
# Encodings that the web uses. Of the others that Python has, punycode takes quadratic time and
# unicode_escape runs escapes.
_SINGLE = re.compile("ascii|iso8859-[0-9]+|latin[0-9]*|cp[0-9]{3,4}|koi8-[rut]|mac-[a-z]+|tis-620")
_DOUBLE = re.compile(
    "utf-(8|16|16-le|16-be)|gbk|gb2312|gb18030|big5|big5hkscs|hz|euc_(jp|kr)|shift_jis(x0213)?"
    "|cp(932|949|950)|iso2022_(jp|kr)"
)
_ODD = re.compile("[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f\ufffd]")
_FEW_ODD, _MOST_ODD = 3, 0.01
"""The number and the share of control and unreadable characters that a text may have."""


def decode(data: bytes, declared: str | None = None) -> str:
    """Decode any bytes: by their mark, the declared encoding, UTF-8, else Windows-1252.

    A declared encoding that does not fit is passed over, since servers often get it wrong.
    """
    marked = next((name for mark, name in _MARKS if data.startswith(mark)), None)
    meta = _DECLARED.search(data[:2048])
    names = (declared, meta and meta[1].decode("ascii"))
    for name in (marked, *(_find_encoding(name, data) for name in names if name), "utf-8"):
        try:
            if name:
                return data.decode(name)
        except UnicodeError:
            continue
    return data.decode("cp1252", "replace")


def _find_encoding(declared: str, data: bytes) -> str | None:
    """Return the encoding that a declared one means, if the web uses it and the bytes may be in it."""
    try:
        name = codecs.lookup(declared).name
    except (LookupError, ValueError):
        return None
    if name in ("ascii", "iso8859-1"):
        name = "cp1252"  # browsers read both so
    if _SINGLE.fullmatch(name):
        return None if _is_utf8(data) else name
    if name.startswith("utf-16"):
        return None if b"\0" not in data and _is_utf8(data) else name
    return name if _DOUBLE.fullmatch(name) else None


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def is_text(text: str) -> bool:
    """Whether decoded bytes read as a text does: some control characters at most."""
    return "\0" not in text and len(_ODD.findall(text)) <= _FEW_ODD + _MOST_ODD * len(text)


def is_html(data: bytes) -> bool:
    """Whether bytes begin as a whole page does."""
    return (
        decode(data[:200]).lstrip("\ufeff \t\r\n").lower().startswith(("<!doctype html", "<html"))
    )
