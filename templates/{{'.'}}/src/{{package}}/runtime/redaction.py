"""Take secrets out of all that is logged, stored, raised or shown: a gateway may echo a key."""

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
MIN_CHARS = 6  # shorter secrets are part of too many words
MAX_DEPTH = 100  # Python's stack does not end there, and no provider's error is nested as deep
_SECRET_NAME = re.compile(
    r"(^|_)(API|ACCESS|AUTH)?_?(KEYS?|TOKENS?|SECRETS?|DSN|CREDENTIALS?)($|_)|PASS|WEBHOOK"
)
# What a URL may hold: a password, a token in place of a user, a key among its arguments.
_URL_SECRET = re.compile(
    r"://[^\s:/@]*:([^\s/@]+)@|://([^\s/@:]{16,})@"
    r"|[?&](?:api[-_]?key|key|\w*token|sig|signature|secret)=([^\s&#]+)"
)
_PATH_SECRET = re.compile(r"(?<=/)[\w.-]{20,}")  # a webhook's
_NOT_CUT = re.compile(r"\s|://|^[/~]|^[A-Za-z]:\\")  # half a path is the folder of much else
# Credentials that nobody configured: what a cloud's login fetches, keys of a tool's own.
_SHAPES = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"
    r"|eyJ[\w-]{10,}\.eyJ[\w-]{10,}(?:\.[\w-]*)?|ya29\.[\w.-]{20,}|AIza[\w-]{35}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bsk-(?:ant|proj|or|svcacct)-[\w-]{20,}"
    r"|\b(?:gsk|hf|ghp|github_pat)_\w{20,}|\bxai-\w{20,}|\bxox[abp]-[\w-]{10,}"
    r"|(?i:authorization)[\"']?\s*[:=]\s*[\"']?(?:(?i:bearer|basic|token)\s+)?[\w.~+/=-]{12,}"
)
_ERROR_FIELDS = ("args", "message", "body", "doc", "error", "response", "headers", "__notes__")
_key_variables = set[str]()
"""Environment variables that settings name as keys, whatever they are called."""
_settings_secrets = set[str]()
"""Secrets that are in the settings themselves."""


def hide_settings(value: Any, key: str = "") -> None:
    """Hide, from now on, the secrets of settings: `..._env`, headers, passwords in URLs."""
    if isinstance(value, dict):
        for name, one in cast("dict[str, Any]", value).items():
            hide_settings(one, name if key != "headers" else key)
    elif isinstance(value, list):
        for one in cast("list[Any]", value):
            hide_settings(one, key)
    elif isinstance(value, str) and key.endswith("_env"):
        _key_variables.add(value)
    elif isinstance(value, str):
        _settings_secrets.update([value] if key == "headers" else _in_url(value))


def redact_secrets(text: str) -> str:
    """Return the text without any secret of this workspace, however it is encoded in it."""
    return _pattern(frozenset(_secrets())).sub(HIDDEN, text)


def redact_data(value: Any) -> Any:
    """Return JSON-like data without secrets in its texts, and nothing below MAX_DEPTH levels."""
    return _redact_data(value, _pattern(frozenset(_secrets())), MAX_DEPTH)


def _redact_data(value: Any, pattern: re.Pattern[str], levels: int) -> Any:
    if isinstance(value, str):
        return pattern.sub(HIDDEN, value)
    if isinstance(value, bytes):
        return pattern.sub(HIDDEN, value.decode(errors="replace")).encode()
    if not isinstance(value, dict | list | tuple):
        return value
    if not levels:
        return HIDDEN
    if isinstance(value, dict):
        pairs = [*cast("dict[Any, Any]", value).items()]
        return dict(_redact_data(pairs, pattern, levels))
    inner = levels - 1 if isinstance(value, list) else levels
    items = [_redact_data(one, pattern, inner) for one in cast("list[Any]", value)]
    return tuple(items) if isinstance(value, tuple) else items


def redact_error(error: BaseException) -> BaseException:
    """Take the secrets out of an error and of all that it came from: what a traceback prints.

    Returns what to raise: the error itself, or another where its text cannot be changed.
    """
    return _redact_error(error, {})


def raise_redacted(error: BaseException) -> NoReturn:
    """Raise an error without the secrets in it."""
    redacted = redact_error(error)
    if redacted is error:
        raise error
    raise redacted from redacted.__cause__


def _redact_error(error: BaseException, seen: dict[int, BaseException]) -> BaseException:
    if (known := seen.get(id(error))) or len(seen) > MAX_DEPTH:
        return known or RuntimeError(HIDDEN)
    seen[id(error)] = error
    for name in _ERROR_FIELDS:
        value = getattr(error, name, None)
        if isinstance(value, str | bytes | dict | list | tuple):
            with suppress(AttributeError):  # a group's message cannot be set
                if (redacted := redact_data(value)) != value:
                    setattr(error, name, redacted)
    for name in ("__cause__", "__context__"):
        if (other := getattr(error, name)) and (inner := _redact_error(other, seen)) is not other:
            setattr(error, name, inner)
    seen[id(error)] = _replace_if_secret(error, seen)
    return seen[id(error)]


def _replace_if_secret(error: BaseException, seen: dict[int, BaseException]) -> BaseException:
    """Return the error, or another one in its place where it still shows a secret."""
    other: BaseException
    if isinstance(cast("object", error), BaseExceptionGroup):
        other = _redact_group(cast("BaseExceptionGroup[BaseException]", error), seen)
    else:  # pydantic's texts, for example, cannot be changed
        shown = f"{type(error).__name__}: {error}"
        is_clean = redact_secrets(f"{shown} {error!r}") == f"{shown} {error!r}"
        other = error if is_clean else RuntimeError(redact_secrets(shown))
    if other is error:
        return error
    other.__cause__, other.__context__ = error.__cause__, error.__context__
    other.__suppress_context__ = error.__suppress_context__
    for note in getattr(error, "__notes__", ()):
        other.add_note(note)
    return other.with_traceback(error.__traceback__)


def _redact_group(
    group: BaseExceptionGroup[BaseException], seen: dict[int, BaseException]
) -> BaseException:
    members = [_redact_error(one, seen) for one in group.exceptions]
    message = redact_secrets(group.message)
    changed = any(new is not old for new, old in zip(members, group.exceptions, strict=True))
    return BaseExceptionGroup(message, members) if changed or message != group.message else group


def hide_in_logs() -> None:
    """Take the secrets out of all that this process logs or warns of from now on."""
    make_record, format_warning = logging.getLogRecordFactory(), warnings.formatwarning
    if getattr(make_record, "hides_secrets", False):
        return

    def make_redacted(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make_record(*args, **kwargs)
        # Arguments that do not fit their message are reported by `logging` itself.
        with suppress(Exception):
            _redact_record(record)
        return record

    def format_redacted(*args: Any, **kwargs: Any) -> str:
        return redact_secrets(format_warning(*args, **kwargs))

    make_redacted.hides_secrets = True  # pyright: ignore[reportFunctionMemberAccess] - a mark
    logging.setLogRecordFactory(make_redacted)
    warnings.formatwarning = format_redacted


def _redact_record(record: logging.LogRecord) -> None:
    """Redact what a record was made of: some formatters read its `args`."""
    message = record.getMessage()
    if (redacted := redact_secrets(message)) != message:
        record.msg = redact_secrets(str(record.msg))
        if isinstance(record.args, dict):
            record.args = {name: _redact_argument(one) for name, one in record.args.items()}
        else:
            record.args = tuple(map(_redact_argument, record.args or ()))
        if redact_secrets(text := record.getMessage()) != text:  # put together of harmless parts
            record.msg, record.args = redacted, ()
    if record.exc_info and record.exc_info[0]:
        text = "".join(traceback.format_exception(*record.exc_info)).rstrip("\n")
        if (redacted := redact_secrets(text)) != text:
            record.exc_text = redacted
    if record.stack_info:
        record.stack_info = redact_secrets(record.stack_info)


def _redact_argument(value: Any) -> Any:
    if isinstance(value, str | bytes | dict | list | tuple):
        return redact_data(value)
    text = f"{value!s} {value!r}"
    return value if redact_secrets(text) == text else redact_secrets(str(value))


def _secrets() -> Iterator[str]:
    for name, value in os.environ.items():
        is_count = value.isdecimal() and "TOKENS" in name.upper()  # MAX_TOKENS
        if name in _key_variables or (_SECRET_NAME.search(name.upper()) and not is_count):
            yield value.strip()
            yield from (part.strip() for part in value.split(",") if len(part) >= 16)
            yield from _PATH_SECRET.findall(value) if "://" in value else ()
            yield from _in_json(value) if value.lstrip()[:1] == "{" else ()
            yield from _in_file(value) if value.endswith(".json") else ()
        yield from _in_url(value)
    yield from _settings_secrets


def _in_url(text: str) -> Iterator[str]:
    return (found[found.lastindex or 0] for found in _URL_SECRET.finditer(text))


@cache
def _in_file(path: str) -> tuple[str, ...]:
    """Return the secrets in a file of credentials, such as a service account's private key."""
    with suppress(OSError, ValueError):
        return tuple(_in_json(Path(path).read_text("utf-8")))
    return ()


def _in_json(text: str) -> Iterator[str]:
    """Yield the secrets among credentials in JSON, and each line of a key."""
    with suppress(ValueError, AttributeError):
        for name, value in json.loads(text).items():
            if isinstance(value, str) and _SECRET_NAME.search(name.upper()):
                yield value
                yield from (line for line in value.splitlines() if len(line) >= 32)


@cache
def _pattern(secrets: frozenset[str]) -> re.Pattern[str]:
    """Return what finds every form of every secret."""
    forms = {form for secret in secrets if len(secret) >= MIN_CHARS for form in _forms(secret)}
    longest_first = sorted(forms, key=len, reverse=True)  # one may begin like another
    return re.compile("|".join([*longest_first, _SHAPES]), re.S)


def _forms(secret: str) -> Iterator[str]:
    """Yield regular expressions of a secret: plain, in a URL, in JSON, in base64, and cut short."""
    plain = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret), unquote(secret)}
    plain |= {json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    yield from (re.escape(form) for form in plain if len(form) >= MIN_CHARS)
    for before in range(3):  # base64 of `user:key` looks different by the length of `user:`
        data = b"\0" * before + secret.encode(errors="replace")
        for encode in (b64encode, urlsafe_b64encode):
            text = encode(data).decode()
            inner = text[(before * 8 + 5) // 6 : len(data) * 8 // 6]
            if len(inner) >= 8:
                yield re.escape(inner) + "[A-Za-z0-9+/_-]?={0,2}"
    if len(secret) >= 20 and not _NOT_CUT.search(secret):
        yield re.escape(secret[: len(secret) // 2]) + r"[\w.-]*"
