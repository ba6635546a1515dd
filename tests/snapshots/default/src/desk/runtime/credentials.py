"""The secrets of this workspace, in every form in which something may quote them."""

import json
import os
import re
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import suppress
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, quote_plus, unquote

MIN_CHARS = 6  # shorter secrets are part of too many words
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


def secret_pattern() -> re.Pattern[str]:
    """Return what finds the secrets that there are now, and what looks like one."""
    return _pattern(frozenset(_secrets()))


def _secrets() -> Iterator[str]:
    for name, value in os.environ.items():
        yield from _in_variable(name, value, name in _key_variables)
    yield from _settings_secrets


@lru_cache(maxsize=1000)
def _in_variable(name: str, value: str, is_key: bool) -> tuple[str, ...]:
    return tuple(_find_in_variable(name, value, is_key))


def _find_in_variable(name: str, value: str, is_key: bool) -> Iterator[str]:
    is_count = value.isdecimal() and "TOKENS" in name.upper()  # MAX_TOKENS
    if is_key or (_SECRET_NAME.search(name.upper()) and not is_count):
        yield value.strip()
        yield from (part.strip() for part in value.split(",") if len(part) >= 16)
        yield from _PATH_SECRET.findall(value) if "://" in value else ()
        yield from _in_json(value) if value.lstrip()[:1] == "{" else ()
        yield from _in_file(value) if value.endswith(".json") else ()
    yield from _in_url(value)


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
