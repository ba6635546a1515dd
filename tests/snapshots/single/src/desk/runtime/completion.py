"""Repair a completion, and say whether it is an answer: accept by allow-list, then check.

The checks that every answer gets come first, then those that its stage names.
"""

import dataclasses
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, cast

from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.messages import (
    INVALID_JSON_KEY,
    ModelMessage,
    ModelResponse,
    TextPart,
    ToolCallPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.usage import RequestUsage

from .call_budget import RequestSize
from .failure_kinds import Failure
from .failures import classify_error
from .ledger.attempt import MOST_TOKENS, new_id
from .refusals import refuses
from .run import PASSED, AskedCall, CheckResult, Stage
from .text import extract_json, sanitize

# Why an answer ended, as pydantic-ai names it and, where it has no name for that, as providers do.
# An answer with any other end broke off.
_ENDS: Mapping[Failure | None, str] = {
    None: "stop stop_sequence stop_token end end_turn eos eos_token normal complete completed "
    "finished tool_call tool_calls tool_use function_call",
    Failure.TRUNCATED: "length max_length model_length max_tokens max_output_tokens token_limit "
    "error_limit model_context_window_exceeded",
    Failure.CONTENT_FILTER: "content_filter content_filtered safety sensitive refusal spii "
    "recitation image_recitation blocklist prohibited_content guardrail_intervened error_toxic",
}
_KIND_OF_END = {name: kind for kind, names in _ENDS.items() for name in names.split()}


@dataclass(kw_only=True)
class Examination:
    """What a completion of one request has to pass."""

    stage: Stage
    parameters: ModelRequestParameters
    size: RequestSize
    flush: Callable[[], Awaitable[None]]
    """Writes what was paid for so far, before a check that may take long or cost money."""

    async def examine(self, response: ModelResponse, call: AskedCall) -> CheckResult:
        """Return the first reason against a completion, or the lowest quality found.

        Raises pydantic's ValidationError where it does not fit its type. What a stage asks for
        is asked of its final answer only, not of a request to use a tool.
        """
        stage = self.stage
        reason = self._reject(response)
        if reason or self._uses_tool(response):
            return CheckResult(reason)
        if not stage.settings.may_refuse and has_only_refusal(response):
            return CheckResult(Failure.REFUSAL)
        stage.agent.parse(response)
        if stage.checks:  # which may take long, cost money, or be where the process ends
            await self.flush()
        lowest = PASSED
        for check in stage.checks:
            said = check(response, call)
            said = await said if isawaitable(said) else said
            result = said if isinstance(said, CheckResult) else CheckResult(said)
            if result.reason:
                return result
            if result.quality is not None and result.quality <= (lowest.quality or 1):
                lowest = result
        return lowest

    def _reject(self, response: ModelResponse) -> Failure | None:
        """Return why a completion is neither an answer nor a request to use a tool."""
        may_refuse, asked = self.stage.settings.may_refuse, self.parameters
        if failure := reject_response(response, may_refuse=may_refuse):
            return failure
        called = {call.tool_name for call in response.tool_calls}
        if called - {tool.name for tool in (*asked.function_tools, *asked.output_tools)}:
            return Failure.UNINVITED_TOOL
        if asked.allow_text_output and response.finish_reason == "tool_call" and not called:
            return Failure.BROKEN_OFF  # the call that it speaks of did not arrive
        if self.size.is_cut(read_usage(response)):
            return Failure.PROMPT_CUT
        broken = any(INVALID_JSON_KEY in call.args_as_dict() for call in response.tool_calls)
        return Failure.MALFORMED if broken and self._uses_tool(response) else None

    def _uses_tool(self, response: ModelResponse) -> bool:
        names = {tool.name for tool in self.parameters.function_tools}
        return any(call.tool_name in names for call in response.tool_calls)


def repair_response(
    response: ModelResponse, asked: Sequence[ModelMessage], *, typed: bool
) -> ModelResponse:
    """Return a completion as the rest of the workspace can use it.

    Without what encodings choke on, each tool call under an id of its own, and JSON without what
    models put around it.
    """
    response = sanitize(response)
    parts = (part for message in asked for part in message.parts)
    ids = {part.tool_call_id for part in parts if isinstance(part, ToolCallPart)}
    repaired = [_repair_part(part, ids, typed=typed) for part in response.parts]
    return dataclasses.replace(response, parts=repaired) if repaired != response.parts else response


def _repair_part(part: Any, ids: set[str], *, typed: bool) -> Any:
    if isinstance(part, TextPart) and typed:
        return dataclasses.replace(part, content=extract_json(part.content))
    if not isinstance(part, ToolCallPart):
        return part
    call = cast("ToolCallPart[Any]", part)
    args, id_ = call.args, call.tool_call_id
    if isinstance(args, str) and args:
        args = extract_json(args)
    if not id_ or id_ in ids:
        id_ = new_id()
    ids.add(id_)
    return dataclasses.replace(call, args=args, tool_call_id=id_)


def reject_response(response: ModelResponse, *, may_refuse: bool = False) -> Failure | None:
    """Return why a completion is not an answer, or None when it may be one."""
    unfinished = reject_end(response)
    if unfinished or response.tool_calls:
        return unfinished
    text = (response.text or "").strip()
    if not text:
        return Failure.EMPTY
    return Failure.REFUSAL if not may_refuse and refuses(text) else None


def has_only_refusal(response: ModelResponse) -> bool:
    """Return whether a typed answer has nothing but a refusal in it."""
    return any(refuses(call.args_as_json_str()) for call in response.tool_calls)


def reject_end(response: ModelResponse) -> Failure | None:
    """Return why a completion is not whole; None where it says that it stopped by itself.

    A body that gives no reason is whole in OpenAI's format, where servers leave it out (pydantic-ai
    calls it "stop"), and where no server was asked; every other provider always gives one.
    """
    details = response.provider_details or {}
    if error := details.get("error"):  # OpenAI's format, after a part of the answer
        return classify_error(ModelAPIError("", "", body=error))
    reason = response.finish_reason or str(details.get("finish_reason") or "").lower()
    if not reason and not response.provider_url:
        return None
    return _KIND_OF_END.get(reason, Failure.BROKEN_OFF)


def read_usage(response: ModelResponse | None) -> RequestUsage | None:
    """Return the usage of a completion, None where its provider reported none."""
    whole = response is not None and response.state in ("complete", "suspended")
    if response is None or not whole or response.usage.unmeasured_requests:
        return None
    counted = max(response.usage.input_tokens, response.usage.output_tokens)
    return response.usage if 0 < counted < MOST_TOKENS else None
