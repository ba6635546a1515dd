"""Repair a completion, and say whether it may be an answer: what is not known as good is rejected."""

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

from pydantic_ai.exceptions import ModelAPIError
from pydantic_ai.messages import INVALID_JSON_KEY, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.usage import RequestUsage

from .call_request import CallRequest
from .failure_kinds import Failure
from .failures import classify_error
from .ledger.attempt import MOST_TOKENS, new_id
from .refusals import refuses
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


def repair_response(response: ModelResponse, request: CallRequest) -> ModelResponse:
    """Return a completion as the rest of the workspace can use it.

    Without what encodings choke on, each tool call under an id of its own, and JSON without what
    models put around it.
    """
    response = sanitize(response)
    parts = (part for message in request.messages for part in message.parts)
    ids = {part.tool_call_id for part in parts if isinstance(part, ToolCallPart)}
    repaired = [_repair_part(part, ids, typed=request.is_typed) for part in response.parts]
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


def reject_completion(response: ModelResponse, request: CallRequest) -> Failure | None:
    """Return why a completion is neither an answer to a request nor a use of a tool it offers."""
    if unfinished := reject_end(response):
        return unfinished
    text, asked = (response.text or "").strip(), request.parameters
    called = {call.tool_name for call in response.tool_calls}
    if not (text or called):
        return Failure.EMPTY
    if called - {tool.name for tool in (*asked.function_tools, *asked.output_tools)}:
        return Failure.UNINVITED_TOOL
    if asked.allow_text_output and response.finish_reason == "tool_call" and not called:
        return Failure.BROKEN_OFF  # the call that it speaks of did not arrive
    if request.is_cut(read_usage(response)):
        return Failure.PROMPT_CUT
    if uses_tool(response, request):
        broken = any(INVALID_JSON_KEY in call.args_as_dict() for call in response.tool_calls)
        return Failure.MALFORMED if broken else None
    answers = [call.args_as_json_str() for call in response.tool_calls] or [text]
    refused = not request.stage.settings.may_refuse and any(map(refuses, answers))
    return Failure.REFUSAL if refused else None


def uses_tool(response: ModelResponse, request: CallRequest) -> bool:
    """Return whether a completion is not the final answer yet, but wants to use a tool."""
    names = {tool.name for tool in request.parameters.function_tools}
    return any(call.tool_name in names for call in response.tool_calls)


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
    if response is None or response.state not in ("complete", "suspended"):
        return None
    counted = max(response.usage.input_tokens, response.usage.output_tokens)
    measured = not response.usage.unmeasured_requests and 0 < counted < MOST_TOKENS
    return response.usage if measured else None
