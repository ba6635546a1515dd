"""Read how long an error reply asks to wait, in whatever way a provider or a proxy says so."""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

from pydantic_ai.exceptions import ModelAPIError

from .replies import iter_tables

_HEADERS = {"retry-after-ms": 0.001, "x-ms-retry-after-ms": 0.001, "retry-after": 1}
_FIELDS = {"retryDelay": 1, "retry_after_ms": 0.001, "retry_after": 1}
"""In a body: Google's RetryInfo, whoever relays it, and those of gateways."""
_RESET = re.compile(r"(?:x-|anthropic-)*ratelimit-(?:.+-)?reset\b")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def retry_after_s(error: BaseException) -> float:
    """Return the seconds that an error reply asks to wait; 0 where it says none, or nonsense."""
    if not isinstance(error, ModelAPIError):
        return 0.0
    headers: Mapping[str, str] = getattr(error, "headers", None) or {}
    for name, unit in _HEADERS.items():
        if (wait := _seconds(headers.get(name), unit)) is not None:
            return wait
    if error.retry_after is not None and "retry-after" not in headers:  # Google's is in the body
        return max(0.0, error.retry_after)
    wait = _in_body(error.body)
    return _until_reset(headers) if wait is None else wait


def _in_body(body: object) -> float | None:
    for table in iter_tables(body):
        for name, unit in _FIELDS.items():
            value = table.get(name)
            text = str(value) if type(value) in (str, int, float) else None
            if (wait := _seconds(text, unit)) is not None:
                return wait
        relayed: Any = table.get("headers")  # OpenRouter's metadata
        if isinstance(relayed, dict):
            texts = {str(k).lower(): str(v) for k, v in cast("dict[Any, Any]", relayed).items()}
            if wait := _seconds(texts.get("retry-after")) or _until_reset(texts):
                return wait
    return None


def _until_reset(headers: Mapping[str, str]) -> float:
    """Return the seconds until the used up limits are reset, or the first of all there are."""
    named = {name.lower(): value for name, value in headers.items()}
    resets = {name: _seconds(value) for name, value in named.items() if _RESET.match(name)}
    waits = {name: wait for name, wait in resets.items() if wait is not None}
    left = {name: named.get(name.replace("reset", "remaining"), "") for name in waits}
    used_up = [wait for name, wait in waits.items() if left[name].strip() == "0"]
    return max(used_up, default=min(waits.values(), default=0.0))


def _seconds(value: str | None, unit: float = 1) -> float | None:
    """Return seconds from now: of a number, a duration like `1m30.5s`, an epoch, or a date."""
    text = (value or "").strip()
    if re.fullmatch(r"[\d.]+(, *[\d.]+)+", text):  # a proxy and its server each send one
        waits = (_seconds(one, unit) for one in text.split(","))
        return max((wait for wait in waits if wait is not None), default=None)
    try:
        number = float(text)
    except ValueError:
        number = _duration(text) or _until(text)
    else:
        if number > 1e9:  # a delay is never that long: since 1970, in milliseconds or seconds
            number = number / (1000 if number > 1e11 else 1) - time.time()
        else:
            number *= unit
    return number if number is not None and 0 <= number < float("inf") else None


def _duration(text: str) -> float | None:
    parts = re.findall(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)", text)
    whole = "".join(number + unit for number, unit in parts) == text
    return sum(float(number) * _UNITS[unit] for number, unit in parts) if parts and whole else None


def _until(text: str) -> float | None:
    for parse in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = parse(text)
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() - time.time()
    return None
