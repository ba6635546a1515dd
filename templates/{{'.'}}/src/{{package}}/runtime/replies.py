"""What kind of failure an error reply is: replies.toml has the codes and the words.

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

_TABLE = tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
_KINDS = tuple(_TABLE["codes"])
_PLAIN = re.compile(r"[\W_]")
_BY_CODE = {_PLAIN.sub("", code).lower(): kind for kind in _KINDS for code in _TABLE["codes"][kind]}
_BY_STATUS = {code: kind for kind, codes in _TABLE["statuses"].items() for code in codes}
_BEGINS = {kind: re.compile("|".join(all_)) for kind, all_ in _TABLE["sentences"].items()}
_IMPLIED = {
    _PLAIN.sub("", code).lower(): int(status)
    for status, codes in _TABLE["implied"].items()
    for code in codes
}
_AS_STATUS = {"authentication": 401, "quota": 402, "unknown_model": 404, "rate_limited": 429}
_SAY_ENOUGH = (401, 402, 404, 407, 408, 410, 446, 451, 504, 511)
_OF_ITS_OWN = (401, 413, 429)  # a page with one of these is no passing fault
_LABEL = re.compile(
    r"((error( code: \d+)?|input validation error|invalid request|bad request|api error|validation error"
    r"|invalid_request_error|invalidparameter|litellm\.\w+|\w+(error|exception)|error from provider"
    r"|the model returned the following errors|\[?\d{3,4}\]?)\s*[:\-\[]+\s*)+"
)
# LiteLLM's proxy puts the vendor's own reply behind a label.
_RELAYED = re.compile(r"litellm\.\w+: (?:\w+: )?\w+Exception - (?:b')?(\{.*)", re.S)
_FILTERED = {"content_filter_result", "content_filter_results", "contentFilter", "flagged_input"}
# Where a body has its codes and its message. What echoes a request stands under other names.
_CODES = [
    "code",
    "Code",
    "type",
    "__type",
    "status",
    "reason",
    "error_code",
    "error_type",
    "errorCode",
]
_STATUSES = ("code", "http_status_code", "status", "status_code", "statusCode", "Code")
_MESSAGES = ("message", "Message", "error", "detail", "raw", "error_message")
_SAID = (*_MESSAGES, "msg", "error_msg", "title", "html-message")  # by somebody who failed
_NESTED = (
    *("error", "errors", "Error", "detail", "details", "innererror", "inner_error", "metadata"),
    *("raw", "provider_specific_fields", "violations", "base_resp"),
)
_ANSWERS = ("choices", "candidates", "content", "output", "promptFeedback", "completion")
_PAGE = re.compile(
    r"\s*<(?:!doctype|html|head|body|center|script|meta|title|h1)\b|\s*error code: 1?\d{3}\s*$",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Reply:
    """An error reply in parts: its status, codes, names of its keys, messages; `page`: a proxy's."""

    status: int | None
    codes: frozenset[str]
    keys: frozenset[str]
    messages: tuple[str, ...]
    page: bool


def kind_of(error: Exception) -> str | None:
    """The name of the kind of failure; None where an error holds no reply, or one that says nothing."""
    if isinstance(error, ModelAPIError):
        return "malformed" if _is_half(error) else _kind(_read(error))
    if str(error).endswith("expected JSON data"):  # the openai SDK, of another content type
        return "network"
    return None


def status_of(body: object) -> int | None:
    """The status that a reply should have had which says "200" and holds an error, not an answer."""
    if isinstance(body, list) and body:
        body = cast("list[object]", body)[0]
    if not isinstance(body, dict) or not (said := _said_wrong(cast("dict[str, Any]", body))):
        return None
    tables = list(tables_of(said))
    if status := _status_in(tables):
        return status
    kind = kind_of(ModelAPIError("", "", body=said))
    return _AS_STATUS.get(kind, 400) if kind and kind != "overloaded" else 500


def _said_wrong(body: dict[str, Any]) -> dict[str, Any] | None:
    """The part of a body that is an error; None where it is an answer, or neither."""
    minimax: Any = body.get("base_resp") or {}
    error = error_of_choice(body) or body.get("error") or body.get("errors")
    error = error or (minimax if minimax.get("status_code") else None)
    if any(body.get(name) for name in _ANSWERS):
        usage: Any = body.get("usage") or {}
        # What it has said so far is paid for.
        return None if usage.get("completion_tokens") or not error else {"error": error}
    return body if error or any(isinstance(body.get(name), str) for name in _SAID) else None


def error_of_choice(body: Mapping[str, Any]) -> Any:
    """The error that stands in place of an answer among the choices of OpenAI's format."""
    choices = body.get("choices")
    first = cast(list[Any], choices)[0] if isinstance(choices, list) and choices else None
    return cast(dict[str, Any], first).get("error") if isinstance(first, dict) else None


def _is_half(error: ModelAPIError) -> bool:
    """Whether a success of the API itself is no whole JSON, as an SDK or pydantic-ai words it."""
    said = re.match(
        "(Failed to )?decode response as JSON|Expected a JSON response|Response validation failed",
        error.message,
        re.I,
    )
    return bool(said) and not _page_in(error)


def _page_in(error: ModelAPIError) -> bool:
    """Whether a success was a page in place of the API's JSON: somebody's log-in form, say."""
    body = getattr(error.__cause__, "doc", "") or error.message.partition("'")[2]
    return bool(_PAGE.match(str(body)))


def _read(error: ModelAPIError) -> Reply:
    headers: Mapping[str, str] = getattr(error, "headers", None) or {}
    tables = list(tables_of(error.body))
    text = error.body if isinstance(error.body, str) else ""
    said = [one for table in tables for key in _MESSAGES if isinstance(one := table.get(key), str)]
    said = said or ([text] if text else [])
    named = [error.provider_error_code, error.provider_error_type]
    named.append(headers.get("x-amzn-errortype", "").partition(":")[0])
    named += [str(table[key]) for table in tables for key in _CODES if _is_code(table.get(key))]
    named += [f"base_resp{table['status_code']}" for table in tables if "status_msg" in table]
    named += ["PerDay" for table in tables if "PerDay" in str(table.get("quotaId"))]
    keys = frozenset(key for table in tables for key in table)
    status = getattr(error, "status_code", None)
    page = bool(_PAGE.match(text)) or (status is None and _page_in(error))
    if "html" in headers.get("content-type", ""):
        page = page or not tables or any(one.lstrip().startswith("<") for one in said)
    return Reply(
        status or _status_in(tables),
        frozenset(_PLAIN.sub("", name).lower() for name in named if name),
        keys,
        tuple(said),
        page or "cloudflare_error" in keys or "cf-mitigated" in headers,
    )


def _status_in(tables: list[dict[str, Any]]) -> int | None:
    """The status that a body states, or that what it calls its error stands for."""
    codes = [table.get(key) for table in tables for key in _STATUSES]
    numbers = (str(code) for code in codes if _is_code(code))
    stated = (int(code) for code in numbers if re.fullmatch("[45][0-9][0-9]", code))
    named = (_PLAIN.sub("", str(table.get(key))).lower() for table in tables for key in _CODES)
    return next(stated, None) or next((_IMPLIED[name] for name in named if name in _IMPLIED), None)


def _kind(reply: Reply) -> str | None:
    status = reply.status
    if reply.page and status not in _OF_ITS_OWN:
        return "network"
    if reply.keys & _FILTERED or {"reasons", "model_slug"} <= reply.keys:
        return "content_filter"
    kinds = {_BY_CODE[code] for code in reply.codes if code in _BY_CODE}
    kind = min(kinds, key=_KINDS.index, default=None)
    if kind == "rate_limited" and status == 413:
        return "request_too_large"
    if kind in (None, "overloaded") and status in _SAY_ENOUGH:
        return _BY_STATUS[status]
    if kind not in (None, "rate_limited"):
        return kind
    said = _by_words(reply.messages)
    if said == "context_too_long" and (kind == "rate_limited" or status == 429):
        said = None  # tokens per minute
    return said or kind or _by_status(status)


def _by_status(status: int | None) -> str | None:
    if status is None or status in _BY_STATUS:
        return _BY_STATUS.get(status or 0)
    return "overloaded" if status >= 500 else "network" if status < 400 else "bad_request"


def _by_words(messages: tuple[str, ...]) -> str | None:
    for message in messages:
        said = " ".join(message[:600].replace("\u2019", "'").lower().split())
        said = said[label.end() :] if (label := _LABEL.match(said)) else said
        for kind, begins in _BEGINS.items():
            if begins.match(said):
                return kind
    return None


def _is_code(value: object) -> bool:
    return isinstance(value, str | int) and len(str(value)) <= 80


def tables_of(body: object) -> Iterator[dict[str, Any]]:
    """The objects of an error's body that say what went wrong, outer ones first."""
    for table in _tables(body, 0):
        yield table
        if relayed := _RELAYED.match(str(table.get("message"))):
            yield from _tables(relayed[1], 0)


def _tables(body: object, depth: int, *, parse: bool = True) -> Iterator[dict[str, Any]]:
    """The objects of a body that hold codes and messages; a string of JSON counts as its object."""
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
            yield from _tables(one, depth + 1, parse=False)
    elif isinstance(body, dict):
        table = cast("dict[str, Any]", body)
        yield table
        for name in _NESTED:
            yield from _tables(table.get(name), depth + 1, parse=name == "raw")
