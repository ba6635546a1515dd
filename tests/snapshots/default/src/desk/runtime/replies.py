"""Classify an error reply; replies.toml has the codes and the words.

Status, code and type decide. Words count only where those say nothing, and then only the sentence
that the provider's own message begins with: what a message quotes of a request comes after that.
A sentence that stands for a code of its own (a shut account, spent credit) has to be there whole.
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic_ai.exceptions import ModelAPIError


def _plain(code: object) -> str:
    return re.sub(r"[\W_]", "", str(code)).lower()


_TABLE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
_KINDS = tuple(_TABLE["codes"])
_BY_CODE = {_plain(code): kind for kind in _KINDS for code in _TABLE["codes"][kind]}
_BY_STATUS = {code: kind for kind, codes in _TABLE["statuses"].items() for code in codes}
_BEGINS = {kind: re.compile("|".join(all_)) for kind, all_ in _TABLE["sentences"].items()}
_IMPLIED = {
    _plain(code): int(status) for status, codes in _TABLE["implied"].items() for code in codes
}
_KEYS = _TABLE["keys"]
MESSAGE_KEYS: tuple[str, ...] = tuple(_KEYS["message"])
"""Where a body has its message."""
_CLEAR_STATUSES = (401, 402, 404, 407, 408, 410, 446, 451, 504, 511)
_API_STATUSES = (401, 413, 429)  # a page with one of these is not a passing fault of a proxy
_LABEL = re.compile(rf"(({'|'.join(_TABLE['labels']['before'])})\s*[:\-\[]+\s*)+")
# LiteLLM's proxy puts the vendor's own reply behind a label.
_RELAYED = re.compile(r"litellm\.\w+: (?:\w+: )?\w+Exception - (?:b')?(\{.*)", re.S)
_PAGE = re.compile("|".join(_TABLE["labels"]["page"]), re.I)
_HALF = re.compile("|".join(_TABLE["labels"]["half"]), re.I)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An error reply in parts; `is_page`: somebody's page in place of the API's JSON."""

    status: int | None
    codes: frozenset[str]
    keys: frozenset[str]
    messages: tuple[str, ...]
    is_page: bool


def classify_reply(error: Exception) -> str | None:
    """Return the kind of failure; None where an error holds no reply, or one that says nothing."""
    if isinstance(error, ModelAPIError):
        # A success of the API itself that is not whole JSON.
        is_half = _HALF.match(error.message) and not _has_page(error)
        return "malformed" if is_half else _classify(_read(error))
    if str(error).endswith("expected JSON data"):  # the openai SDK, of another content type
        return "network"
    return None


def iter_tables(body: object) -> Iterator[dict[str, Any]]:
    """Yield the objects of an error's body that say what went wrong, outer ones first."""
    for table in _iter_tables(body, 0):
        yield table
        if relayed := _RELAYED.match(str(table.get("message"))):
            yield from _iter_tables(relayed[1], 0)


def _iter_tables(body: object, depth: int, *, parse: bool = True) -> Iterator[dict[str, Any]]:
    """Yield the objects that hold codes and messages; a string of JSON counts as its object."""
    if isinstance(body, bytes):
        body = body.decode(errors="replace")
    if parse and isinstance(body, str) and body.lstrip()[:1] in ("{", "["):
        try:
            body, _ = json.JSONDecoder().raw_decode(body.lstrip())
        except (ValueError, RecursionError):
            return
    if depth > 6:
        return
    if isinstance(body, list):
        for one in cast("list[object]", body)[:20]:
            yield from _iter_tables(one, depth + 1, parse=False)
    elif isinstance(body, dict):
        table = cast("dict[str, Any]", body)
        yield table
        for name in _KEYS["nested"]:
            yield from _iter_tables(table.get(name), depth + 1, parse=name == "raw")


def _has_page(error: ModelAPIError) -> bool:
    """Return whether a success was a page in place of the API's JSON: a log-in form, say."""
    body = getattr(error.__cause__, "doc", "") or error.message.partition("'")[2]
    return bool(_PAGE.match(str(body)))


def _read(error: ModelAPIError) -> Reply:
    headers: Mapping[str, str] = getattr(error, "headers", None) or {}
    tables = list(iter_tables(error.body))
    text = error.body if isinstance(error.body, str) else ""
    values = (table.get(key) for table in tables for key in MESSAGE_KEYS)
    messages = [one for one in values if isinstance(one, str)] or ([text] if text else [])
    codes = [error.provider_error_code, error.provider_error_type]
    codes.append(headers.get("x-amzn-errortype", "").partition(":")[0])
    codes += [
        str(table[key]) for table in tables for key in _KEYS["code"] if _is_code(table.get(key))
    ]
    codes += [f"base_resp{table['status_code']}" for table in tables if "status_msg" in table]
    codes += ["PerDay" for table in tables if "PerDay" in str(table.get("quotaId"))]
    keys = frozenset(key for table in tables for key in table)
    status = getattr(error, "status_code", None)
    is_page = bool(_PAGE.match(text)) or (status is None and _has_page(error))
    if "html" in headers.get("content-type", ""):
        is_page = is_page or not tables or any(one.lstrip().startswith("<") for one in messages)
    return Reply(
        status=status or read_status(tables),
        codes=frozenset(_plain(code) for code in codes if code),
        keys=keys,
        messages=tuple(messages),
        is_page=is_page or "cloudflare_error" in keys or "cf-mitigated" in headers,
    )


def read_status(tables: list[dict[str, Any]]) -> int | None:
    """Return the status that a body states, or that what it calls its error stands for."""
    values = (str(table.get(key)) for table in tables for key in _KEYS["status"])
    stated = (int(value) for value in values if re.fullmatch("[45][0-9][0-9]", value))
    names = (_plain(table.get(key)) for table in tables for key in _KEYS["code"])
    return next(stated, None) or next((_IMPLIED[name] for name in names if name in _IMPLIED), None)


def _classify(reply: Reply) -> str | None:
    status = reply.status
    if reply.is_page and status not in _API_STATUSES:
        return "network"
    if reply.keys.intersection(_KEYS["filter"]) or {"reasons", "model_slug"} <= reply.keys:
        return "content_filter"
    kinds = {_BY_CODE[code] for code in reply.codes if code in _BY_CODE}
    kind = min(kinds, key=_KINDS.index, default=None)
    if kind == "rate_limited" and status == 413:
        return "request_too_large"
    if kind in (None, "overloaded") and status in _CLEAR_STATUSES:
        return _BY_STATUS[status]
    if kind not in (None, "rate_limited"):
        return kind
    by_words = _classify_words(reply.messages)
    if by_words == "context_too_long" and (kind == "rate_limited" or status == 429):
        by_words = None  # tokens per minute
    return by_words or kind or _classify_status(status)


def _classify_status(status: int | None) -> str | None:
    if status is None or status in _BY_STATUS:
        return _BY_STATUS.get(status or 0)
    return "overloaded" if status >= 500 else "network" if status < 400 else "bad_request"


def _classify_words(messages: tuple[str, ...]) -> str | None:
    for message in messages:
        words = " ".join(message[:600].replace("\u2019", "'").lower().split())
        words = words[label.end() :] if (label := _LABEL.match(words)) else words
        for kind, begins in _BEGINS.items():
            if begins.match(words):
                return kind
    return None


def _is_code(value: object) -> bool:
    return isinstance(value, str | int) and len(str(value)) <= 80
