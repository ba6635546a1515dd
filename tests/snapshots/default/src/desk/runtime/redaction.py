"""Take secrets out of all that is logged, stored, raised or shown: a gateway may echo a key."""

import logging
import re
import traceback
import warnings
from contextlib import suppress
from typing import Any, NoReturn, cast

from .credentials import secret_pattern

HIDDEN = "***"
MAX_DEPTH = 100  # Python's stack does not end there, and no provider's error is nested as deep
_ERROR_FIELDS = ("args", "message", "body", "doc", "error", "response", "headers", "__notes__")


def redact_secrets(text: str) -> str:
    """Return the text without any secret of this workspace, however it is encoded in it."""
    return secret_pattern().sub(HIDDEN, text)


def redact_data(value: Any) -> Any:
    """Return JSON-like data without secrets in its texts, and nothing below MAX_DEPTH levels."""
    return _redact_data(value, secret_pattern(), MAX_DEPTH)


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
