"""Text from outside made harmless: without secrets, without terminal escapes, without formulas.

The one place for each. A gateway may echo a key in an error, a user's name may hold an escape
sequence, and a spreadsheet runs what begins with `=`.
"""

import json
import logging
import os
import re
import traceback
import warnings
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, NoReturn, cast
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
# Credentials that nobody configured: what a cloud's login fetches, keys of a tool's own.
_SHAPES = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}(?:\.[\w-]*)?|ya29\.[\w.-]{20,}|AIza[\w-]{35}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bsk-(?:ant|proj|or|svcacct)-[\w-]{20,}"
    r"|\b(?:gsk|hf|ghp|github_pat)_\w{20,}|\bxai-\w{20,}|\bxox[abp]-[\w-]{10,}"
    r"|(?i:authorization)[\"']?\s*[:=]\s*[\"']?(?:(?i:bearer|basic|token)\s+)?[\w.~+/=-]{12,}"
)
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
    return _pattern(frozenset(_secrets())).sub(HIDDEN, text)


def clean(value: Any) -> Any:
    """JSON-like data with every text in it without secrets, and nothing below DEEPEST levels."""
    return _clean(value, _pattern(frozenset(_secrets())), DEEPEST)


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


def clean_error(error: BaseException) -> BaseException:
    """Take the secrets out of an error and of all that it came from: what a traceback prints.

    Returns what to raise: the error itself, or another where its text cannot be changed.
    """
    return _clean_error(error, {})


def raise_clean(error: BaseException) -> NoReturn:
    """Raise an error without the secrets in it."""
    cleaned = clean_error(error)
    if cleaned is error:
        raise error
    raise cleaned from cleaned.__cause__


def _clean_error(error: BaseException, seen: dict[int, BaseException]) -> BaseException:
    if (known := seen.get(id(error))) or len(seen) > DEEPEST:
        return known or RuntimeError(HIDDEN)
    seen[id(error)] = error
    for name in ("args", "message", "body", "doc", "error", "response", "headers", "__notes__"):
        value = getattr(error, name, None)
        if not isinstance(value, str | bytes | dict | list | tuple):
            continue
        if (cleaned := clean(value)) != value:
            with suppress(AttributeError):  # a group's message cannot be set
                setattr(error, name, cleaned)
    for name in ("__cause__", "__context__"):
        if (other := getattr(error, name)) and (inner := _clean_error(other, seen)) is not other:
            setattr(error, name, inner)
    several = error
    if isinstance(several, BaseExceptionGroup):
        group = cast("BaseExceptionGroup[BaseException]", several)
        inner = [_clean_error(one, seen) for one in group.exceptions]
        text = without_secrets(group.message)
        if text != group.message or any(map(_differs, inner, group.exceptions)):
            seen[id(error)] = _like(group, BaseExceptionGroup(text, inner))
    elif without_secrets(text := f"{type(error).__name__}: {error} {error!r}") != text:
        text = without_secrets(f"{type(error).__name__}: {error}")  # pydantic's cannot be changed
        seen[id(error)] = _like(error, RuntimeError(text))
    return seen[id(error)]


def _differs(one: object, other: object) -> bool:
    return one is not other


def _like(error: BaseException, other: BaseException) -> BaseException:
    other.__cause__, other.__context__ = error.__cause__, error.__context__
    other.__suppress_context__ = error.__suppress_context__
    for note in getattr(error, "__notes__", ()):
        other.add_note(note)
    return other.with_traceback(error.__traceback__)


def hide_in_logs() -> None:
    """Take the secrets out of all that this process logs or warns of from now on, whoever does."""
    make, warn = logging.getLogRecordFactory(), warnings.formatwarning
    if getattr(make, "hides_secrets", False):
        return

    def hiding(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        try:
            _clean_record(record)
        except Exception:  # whoever logs with the wrong arguments is told so by `logging` itself
            return record
        return record

    hiding.hides_secrets = True  # pyright: ignore[reportFunctionMemberAccess] - a mark for the next one
    logging.setLogRecordFactory(hiding)

    def hiding_warning(*args: Any, **kwargs: Any) -> str:
        return without_secrets(warn(*args, **kwargs))

    warnings.formatwarning = hiding_warning


def _clean_record(record: logging.LogRecord) -> None:
    """Clean what a record was made of, so that formatters which read its `args` find them."""
    message = record.getMessage()
    if (cleaned := without_secrets(message)) != message:
        record.msg = without_secrets(str(record.msg))
        if isinstance(record.args, dict):
            record.args = {name: _shown(one) for name, one in record.args.items()}
        else:
            record.args = tuple(map(_shown, record.args or ()))
        if without_secrets(text := record.getMessage()) != text:  # put together of harmless parts
            record.msg, record.args = cleaned, ()
    if record.exc_info and record.exc_info[0]:
        text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        if (cleaned := without_secrets(text)) != text:
            record.exc_text = cleaned
    if record.stack_info:
        record.stack_info = without_secrets(record.stack_info)


def _shown(value: Any) -> Any:
    """An argument of a log record as it may be shown."""
    if isinstance(value, str | bytes | dict | list | tuple):
        return clean(value)
    text = f"{value!s} {value!r}"
    return value if without_secrets(text) == text else without_secrets(str(value))


def _secrets() -> Iterator[str]:
    for name, value in os.environ.items():
        is_count = value.isdecimal() and "TOKENS" in name.upper()  # MAX_TOKENS
        if name in _named or (_SECRET.search(name.upper()) and not is_count):
            yield value.strip()
            yield from (part.strip() for part in value.split(",") if len(part) >= 16)
            yield from _PATH.findall(value) if "://" in value else ()
            yield from _in_json(value) if value.lstrip()[:1] == "{" else ()
            yield from _in_file(value) if value.endswith(".json") else ()
        yield from _passwords(value)
    yield from _given


def _passwords(text: str) -> Iterator[str]:
    return (found[found.lastindex or 0] for found in _URL.finditer(text))


@cache
def _in_file(path: str) -> tuple[str, ...]:
    """What a file of credentials holds: a service account's private key."""
    with suppress(OSError, ValueError):
        return tuple(_in_json(Path(path).read_text("utf-8")))
    return ()


def _in_json(text: str) -> Iterator[str]:
    """The secrets among credentials in JSON, each line of a key for itself."""
    with suppress(ValueError, AttributeError):
        for name, value in json.loads(text).items():
            if isinstance(value, str) and _SECRET.search(name.upper()):
                yield value
                yield from (line for line in value.splitlines() if len(line) >= 32)


@cache
def _pattern(secrets: frozenset[str]) -> re.Pattern[str]:
    """Every form of every secret; the longest first, for one may begin like another."""
    forms = {form for secret in secrets if len(secret) >= LEAST_CHARS for form in _forms(secret)}
    longest = sorted(forms, key=len, reverse=True)
    return re.compile("|".join([*longest, _SHAPES]), re.S)


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
