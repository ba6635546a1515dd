"""How long an error reply asks to wait, in whatever way a provider or a proxy says so."""

import re
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, cast

from pydantic_ai.exceptions import ModelAPIError

from .replies import tables_of

# Headers with the moment at which a limit ends, where the limit says it is used up.
_RESET = re.compile(r"(?:x-)?(?:anthropic-)?ratelimit-(?:(.+)-)?reset(?:-(.+))?$")
_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def retry_after_s(error: BaseException) -> float:
    """The seconds that an error reply asks to wait; 0 where it does not say, or nonsense."""
    if not isinstance(error, ModelAPIError):
        return 0.0
    headers: Mapping[str, str] = getattr(error, "headers", None) or {}
    for name, unit in (
        ("retry-after-ms", 0.001),
        ("x-ms-retry-after-ms", 0.001),
        ("retry-after", 1),
    ):
        if (wait := _seconds(headers.get(name), unit)) is not None:
            return wait
    if error.retry_after is not None and "retry-after" not in headers:  # Google's is in the body
        return max(0.0, error.retry_after)
    if (wait := _in_body(error.body)) is not None:
        return wait
    return _until_reset(headers)


def _in_body(body: object) -> float | None:
    """What a body says: Google's RetryInfo, whoever relays it, and headers that a gateway hands on."""
    for table in tables_of(body):
        for name, unit in (("retryDelay", 1), ("retry_after_ms", 0.001), ("retry_after", 1)):
            value = table.get(name)
            stated = str(value) if type(value) in (str, int, float) else None
            if (wait := _seconds(stated, unit)) is not None:
                return wait
        relayed: Any = table.get("headers")  # OpenRouter's metadata
        if isinstance(relayed, dict):
            texts = {str(k).lower(): str(v) for k, v in cast("dict[Any, Any]", relayed).items()}
            if wait := _seconds(texts.get("retry-after")) or _until_reset(texts):
                return wait
    return None


def _until_reset(headers: Mapping[str, str]) -> float:
    """The seconds until the limits that are used up are reset, or the first of those there are."""
    resets = {
        found.group(1) or found.group(2) or "": wait
        for name, value in headers.items()
        if (found := _RESET.match(name.lower())) and (wait := _seconds(value)) is not None
    }
    spent = [wait for limit, wait in resets.items() if _left(headers, limit) == "0"]
    return max(spent, default=min(resets.values(), default=0.0))


def _left(headers: Mapping[str, str], limit: str) -> str | None:
    names = (
        "x-ratelimit-remaining",
        "ratelimit-remaining",
        f"anthropic-ratelimit-{limit}-remaining",
    )
    tail = f"-{limit}" if limit else ""
    values = (headers.get(name) or headers.get(name + tail) for name in names)
    return next((value.strip() for value in values if value), None)


def _seconds(value: str | None, unit: float = 1) -> float | None:
    """Seconds from now: of a number, a duration like `1m30.5s`, an epoch (s or ms), a date."""
    if value is None:
        return None
    text = value.strip()
    if re.fullmatch(r"[\d.]+(, *[\d.]+)+", text):  # a proxy and its server each send one
        waits = (_seconds(one, unit) for one in text.split(","))
        return max((wait for wait in waits if wait is not None), default=None)
    try:
        number = float(text)
    except ValueError:
        number = _duration(text) or _until(text)
    else:
        if number > 1e11:  # no delay is that long: milliseconds since 1970
            number = number / 1000 - time.time()
        elif number > 1e9:
            number -= time.time()
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
