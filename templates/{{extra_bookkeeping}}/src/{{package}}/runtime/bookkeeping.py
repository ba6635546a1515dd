"""Chat completions whose bookkeeping is missing, null or of another type, put right on the way in.

SDKs validate what arrives: an answer without its id or index is an error to them, although it is
paid for. The hooks stand before them, at the HTTP client, for whole answers and for streams.
"""

import copy
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

Parts = AsyncIterator[bytes]
_COUNTED = ("prompt_tokens", "completion_tokens")


@dataclass(frozen=True, slots=True)
class Reasons:
    """How an SDK wants to read why an answer stopped: when none is said, and which it `knows`.

    `sums`: whether it adds up the usage of all chunks of a stream.
    """

    unsaid: str | None = None
    known: tuple[str, ...] = ()
    sums: bool = False

    def read(self, said: Any) -> str | None:
        if said in (None, ""):
            return self.unsaid
        return "error" if self.known and said not in self.known else str(said)


USUAL = Reasons()


def hooks(reasons: Reasons = USUAL) -> dict[str, list[Callable[..., Any]]]:
    """Return the `event_hooks` of an asynchronous client of httpx."""

    async def put_right(response: Any) -> None:
        coding = response.headers.get("content-encoding", "identity")
        kind = response.headers.get("content-type", "")
        if response.status_code == 200 and coding in ("", "identity"):
            if "event-stream" in kind:
                wrap_stream(response, partial(_events, reasons=replace(reasons, unsaid=None)))
            elif "json" in kind:
                wrap_stream(response, partial(_whole, reasons=reasons))

    return {"request": [refuse_compression], "response": [put_right]}


async def refuse_compression(request: Any) -> None:
    """Ask for an answer that can be read on the way in."""
    request.headers["accept-encoding"] = "identity"


def wrap_stream(
    response: Any, read: Callable[[AsyncIterator[bytes]], AsyncIterator[bytes]]
) -> None:
    """Have the body of a response read by `read`: it stays a stream of httpx or httpx2."""
    inner = response.stream
    base: Any = next(one for one in type(inner).__mro__ if one.__name__ == "AsyncByteStream")

    class Wrapped(base):
        def __aiter__(self) -> AsyncIterator[bytes]:
            return read(inner)

        async def aclose(self) -> None:
            await inner.aclose()

    response.stream = Wrapped()


async def _whole(inner: Parts, reasons: Reasons) -> Parts:
    yield _fill_line(b"".join([part async for part in inner]), b"", reasons, {})


async def _events(inner: Parts, reasons: Reasons) -> Parts:
    rest, counted = b"", dict[str, Any]()
    async for part in inner:
        *lines, rest = (rest + part).split(b"\n")
        if lines:
            yield b"".join(_fill_line(line, b"data:", reasons, counted) + b"\n" for line in lines)
    yield _fill_line(rest, b"data:", reasons, counted)


def _fill_line(line: bytes, before: bytes, reasons: Reasons, counted: dict[str, Any]) -> bytes:
    """Return a body, or a line of one, put right; as it is where it is not an answer."""
    if not line.startswith(before) or b'"choices"' not in line:
        return line
    with suppress(ValueError, AttributeError, RecursionError):
        answer = json.loads(line[len(before) :])
        if before:
            _number_calls(answer, counted.setdefault("calls", []))
        fill(answer, reasons)
        if reasons.sums:
            _keep_growth(answer, counted)
        return before + json.dumps(answer).encode() + (b"\r" if line.endswith(b"\r") else b"")
    return line


def find_choice_error(body: Mapping[str, Any]) -> Any:
    """Return the error that stands in place of an answer among the choices of OpenAI's format."""
    choices = body.get("choices")
    first = cast("list[Any]", choices)[0] if isinstance(choices, list) and choices else None
    return cast("dict[str, Any]", first).get("error") if isinstance(first, dict) else None


def fill(answer: Any, reasons: Reasons = USUAL) -> None:
    """Give an answer, or a piece of one, the bookkeeping that it lacks."""
    if not isinstance(answer, dict):
        return
    body = cast("dict[str, Any]", answer)
    choices = _dicts(body.get("choices"))
    whole = any("delta" not in choice for choice in choices)
    name = "message" if whole else "delta"
    kind = "chat.completion" if whole else "chat.completion.chunk"
    body |= {"object": kind, "created": _count(body.get("created")) or 0}
    _keep(body, str, "id", "model", "provider", usual="")  # OpenRouter's: who served it
    _keep(body, str, "system_fingerprint", "service_tier")
    for holder in (body, body.get("x_groq")):
        if isinstance(holder, dict):
            _fill_usage(cast("dict[str, Any]", holder))
    failed = find_choice_error(body) or body.get("error")  # an answer may stand beside it
    for at, choice in enumerate(choices):
        _fill_choice(choice, at, name)
        choice["finish_reason"] = "error" if failed else reasons.read(choice.get("finish_reason"))
    if choices and not whole:  # of several answers the first: readers would mix their words
        body["choices"] = [choice for choice in choices if choice["index"] == 0]
    if not whole and "usage" in body:
        for holder in _dicts([body.setdefault("x_groq", {})]):  # where Groq's SDK looks for it
            holder.setdefault("usage", copy.deepcopy(body["usage"]))
    if whole:
        body.setdefault("usage", dict.fromkeys((*_COUNTED, "total_tokens"), 0))


def _fill_usage(holder: dict[str, Any]) -> None:
    """Leave out a usage that is not one, and from another each count that is not a number."""
    _keep(holder, dict, "usage")
    for usage in _dicts([holder.get("usage")]):
        for name in [name for name in usage if name.endswith("_details")]:
            _keep(usage, dict, name)
        for counts in (usage, *_dicts(list(usage.values()))):
            _count_tokens(counts)
        said = [usage.setdefault(name, 0) for name in _COUNTED]
        usage.setdefault("total_tokens", sum(said))


def _keep_growth(holder: dict[str, Any], counted: dict[str, Any]) -> None:
    """Leave of a chunk's tokens what no chunk before it has counted."""
    for name, value in holder.items():
        if isinstance(value, dict):
            _keep_growth(cast("dict[str, Any]", value), counted.setdefault(name, {}))
        elif name.endswith("_tokens") and isinstance(value, int):
            so_far = counted.get(name, 0)
            holder[name], counted[name] = max(0, value - so_far), max(value, so_far)


def _count_tokens(counts: dict[str, Any]) -> None:
    """Have every count of tokens be a number; costs and marks stay as they are."""
    for name in [name for name in counts if name.endswith("_tokens")]:
        if (count := _count(counts[name])) is None:
            del counts[name]
        else:
            counts[name] = count


def _fill_choice(choice: dict[str, Any], at: int, name: str) -> None:
    index = _count(choice.get("index"))
    choice["index"] = at if index is None else index
    choice.pop("logprobs", None)
    if name == "delta":
        _keep(choice, dict, "delta", usual={})
    for message in _dicts([choice.get(name)]):
        message["role"] = "assistant"
        _keep(message, list, "tool_calls")
        if isinstance(message.get("content"), list):
            message["content"] = _text(message["content"])
        for number, call in enumerate(_dicts(message.get("tool_calls"))):
            _fill_call(call, number)


def _number_calls(answer: Any, begun: list[tuple[int | None, str | None]]) -> None:
    """Give the tool calls of a stream their numbers: some servers give none, or 0 to all."""
    deltas = _dicts([choice.get("delta") for choice in _dicts(answer.get("choices"))])
    for call in (call for delta in deltas for call in _dicts(delta.get("tool_calls"))):
        functions = _dicts([call.get("function")])
        begins = any(function.get("name") for function in functions)
        call["index"] = _number(_count(call.get("index")), begins, call.get("id"), begun)
        for function in functions:
            for name in ("name", "arguments"):  # Mistral's SDK wants both in every piece
                function[name] = function.get(name) or ""


def _number(
    index: int | None, begins: bool, id_: str | None, begun: list[tuple[int | None, str | None]]
) -> int:
    """Return the number of a call that begins, or of the one that a piece belongs to."""
    known = (index, id_ or None)
    if begins and id_:
        same = [at for at, one in enumerate(begun) if one == known]
    else:  # the id of a piece may be another each time
        same = [at for at, one in enumerate(begun) if index in (None, one[0])]
    if not same or (begins and index is None and not id_):
        begun.append(known)
        return len(begun) - 1
    return same[-1]


def _fill_call(call: dict[str, Any], at: int) -> None:
    index = _count(call.get("index"))
    call |= {"type": "function", "index": at if index is None else index}
    _keep(call, str, "id", usual="")
    for function in _dicts([call.get("function")]):
        if isinstance(function.get("arguments"), dict):
            function["arguments"] = json.dumps(function["arguments"])


def _text(parts: list[Any]) -> Any:
    """Return the text of a content that is a list of texts; another list as it is."""
    texts: list[Any] = [(_dicts([part]) or [{"text": part}])[0].get("text") for part in parts]
    return "".join(texts) if all(isinstance(text, str) for text in texts) else parts


def _keep(holder: dict[str, Any], kind: type, *names: str, usual: Any = None) -> None:
    """Keep fields that are of a type; others become what is usual, or go."""
    for name in names:
        if not isinstance(holder.get(name), kind):
            holder.pop(name, None)
            if usual is not None:
                holder[name] = usual


def _dicts(values: Any) -> list[dict[str, Any]]:
    found = cast("list[Any]", values) if isinstance(values, list) else []
    return [value for value in found if isinstance(value, dict)]


def _count(value: Any) -> int | None:
    """Return a whole number, given as a number or as text; None for anything else."""
    with suppress(TypeError, ValueError, OverflowError):
        return None if isinstance(value, bool) else int(float(value))
    return None
