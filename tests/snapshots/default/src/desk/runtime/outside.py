"""Text from outside made harmless: without secrets, without terminal escapes, without formulas.

The one place for each. A gateway may echo a key in an error, a user's name may hold an escape
sequence, and a spreadsheet runs what begins with `=`.
"""

import json
import logging
import os
import re
import traceback
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any, cast
from urllib.parse import quote, quote_plus, unquote

HIDDEN = "***"
LEAST_CHARS = 6  # what is shorter stands in too many words to be taken out of them
DEEPEST = 100  # no error of a provider is nested as deep, and Python's stack does not end there
_SECRET = re.compile(
    r"(^|_)(API|ACCESS|AUTH)?_?(KEYS?|TOKENS?|SECRETS?|DSN|CREDENTIALS?)($|_)|PASS|WEBHOOK"
)
# What a URL may hold: a password, a token in a user's place, a key among its arguments, a long part
# of its path (a webhook's).
_URL = re.compile(
    r"://[^\s:/@]*:([^\s/@]+)@|://([^\s/@:]{16,})@"
    r"|[?&](?:api[-_]?key|key|\w*token|sig|signature|secret)=([^\s&#]+)"
)
_NOT_CUT = re.compile(r"\s|://|^[/~]|^[A-Za-z]:\\")  # half a path is the folder of much else
_PATH = re.compile(r"(?<=/)[\w.-]{20,}")
_named = set[str]()
"""Environment variables that settings name as keys, whatever they are called."""
_given = set[str]()
"""Secrets that stand in the settings themselves."""


def hide_settings(value: Any, key: str = "") -> None:
    """Hide, from now on, what settings name or hold: `..._env`, headers, passwords in URLs."""
    if isinstance(value, dict):
        for name, one in cast("dict[str, Any]", value).items():
            hide_settings(one, name if key != "headers" else key)
    elif isinstance(value, list):
        for one in cast("list[Any]", value):
            hide_settings(one, key)
    elif isinstance(value, str) and key.endswith("_env"):
        _named.add(value)
    elif isinstance(value, str):
        _given.update([value] if key == "headers" else _passwords(value))


def without_secrets(text: str) -> str:
    """The same text without any secret of this workspace, however it is encoded in it."""
    pattern = _pattern(frozenset(_secrets()))
    return pattern.sub(HIDDEN, text) if pattern else text


def clean(value: Any) -> Any:
    """JSON-like data with every text in it without secrets, and nothing below DEEPEST levels."""
    pattern = _pattern(frozenset(_secrets()))
    return _clean(value, pattern, DEEPEST) if pattern else value


def _clean(value: Any, pattern: re.Pattern[str], levels: int) -> Any:
    if isinstance(value, str):
        return pattern.sub(HIDDEN, value)
    if isinstance(value, bytes):
        return pattern.sub(HIDDEN, value.decode(errors="replace")).encode()
    if not isinstance(value, dict | list | tuple):
        return value
    if not levels:
        return HIDDEN
    if isinstance(value, dict):
        pairs = cast("dict[Any, Any]", value).items()
        return {
            _clean(key, pattern, levels - 1): _clean(one, pattern, levels - 1) for key, one in pairs
        }
    items = [_clean(one, pattern, levels - 1) for one in cast("list[Any]", value)]
    return tuple(items) if isinstance(value, tuple) else items


def clean_error(error: BaseException) -> None:
    """Take the secrets out of an error and of all that it came from: what a traceback prints."""
    seen, waiting = set[int](), [error]
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        for name in ("args", "message", "body", "doc", "error", "response", "headers"):
            value = getattr(one, name, None)
            if not isinstance(value, str | bytes | dict | list | tuple):
                continue
            if (cleaned := clean(value)) != value:
                with suppress(AttributeError):  # a group's message cannot be set
                    setattr(one, name, cleaned)
        waiting += [other for other in (one.__cause__, one.__context__) if other]
        waiting += getattr(one, "exceptions", ())


def hide_in_logs() -> None:
    """Take the secrets out of every record that this process logs from now on, whoever logs it."""
    make = logging.getLogRecordFactory()
    if getattr(make, "hides_secrets", False):
        return

    def hiding(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        try:
            message = record.getMessage()
        except Exception:  # whoever logs with the wrong arguments is told so by `logging` itself
            return record
        if (cleaned := without_secrets(message)) != message:
            record.msg, record.args = cleaned, ()
        if record.exc_info and record.exc_info[0]:
            text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
            if (cleaned := without_secrets(text)) != text:
                record.exc_text = cleaned
        return record

    hiding.hides_secrets = True  # pyright: ignore[reportFunctionMemberAccess] - a mark for the next one
    logging.setLogRecordFactory(hiding)


def _secrets() -> Iterator[str]:
    for name, value in os.environ.items():
        is_count = value.isdecimal() and "TOKENS" in name.upper()  # MAX_TOKENS
        if name in _named or (_SECRET.search(name.upper()) and not is_count):
            yield value.strip()
            yield from (part.strip() for part in value.split(",") if len(part) >= 16)
            yield from _PATH.findall(value) if "://" in value else ()
        yield from _passwords(value)
    yield from _given


def _passwords(text: str) -> Iterator[str]:
    return (found[found.lastindex or 0] for found in _URL.finditer(text))


@cache
def _pattern(secrets: frozenset[str]) -> re.Pattern[str] | None:
    """Every form of every secret; the longest first, for one may begin like another."""
    forms = {form for secret in secrets if len(secret) >= LEAST_CHARS for form in _forms(secret)}
    longest = sorted(forms, key=len, reverse=True)
    return re.compile("|".join(longest)) if longest else None


def _forms(secret: str) -> Iterator[str]:
    """Regular expressions of a secret: plain, in a URL, in JSON, in base64, and cut short."""
    plain = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), unquote(secret)}
    plain |= {json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    yield from (re.escape(form) for form in plain if len(form) >= LEAST_CHARS)
    for before in range(3):  # base64 of `user:key` looks different by how much stands before it
        data = b"\0" * before + secret.encode(errors="replace")
        for encode in (b64encode, urlsafe_b64encode):
            text = encode(data).decode()
            inner = text[(before * 8 + 5) // 6 : len(data) * 8 // 6]
            if len(inner) >= 8:
                yield re.escape(inner) + "[A-Za-z0-9+/_-]?={0,2}"
    if len(secret) >= 20 and not _NOT_CUT.search(secret):
        yield re.escape(secret[: len(secret) // 2]) + r"[\w.-]*"


_ESCAPE = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # colours, cursor
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # titles, links
    r"|\x1b[ -/]*[0-~]?"
)
_BREAK = re.compile("[\x0b\x0c\x85\u2028\u2029]")
_CONTROL = re.compile(
    "[\x00-\x08\x0d-\x1f\x7f-\x9f\u061c\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ud800-\udfff"
    "\U000e0000-\U000e007f]"
)


def printable(text: object) -> str:
    """A text as a terminal may show it: no escape sequence, control character or hidden direction."""
    return _CONTROL.sub("", _BREAK.sub("\n", _ESCAPE.sub("", without_secrets(str(text)))))


_FORMULA = re.compile(r"'*\s*[=+\-@\t\r\uff1d\uff0b\uff0d\uff20|%]")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def csv_cell(value: Any) -> Any:
    """A CSV cell that no spreadsheet runs: a text that could be a formula begins with `'`."""
    if isinstance(value, str) and _FORMULA.match(value) and not _NUMBER.fullmatch(value):
        return f"'{value}"
    return value


def from_csv_cell(text: str) -> str:
    """What `csv_cell` was given."""
    return text[1:] if text.startswith("'") and _FORMULA.match(text) else text
