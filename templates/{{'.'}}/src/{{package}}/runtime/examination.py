"""Examine a completion: the checks that every answer gets, then those that its stage names."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from inspect import isawaitable

from pydantic_ai.messages import INVALID_JSON_KEY, ModelResponse
from pydantic_ai.models import ModelRequestParameters

from .check_result import PASSED, CheckResult
from .completion import has_only_refusal, reject_response, reported_usage
from .failure_kinds import Failure
from .request_size import RequestSize
from .run import AskedCall, Stage


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
        if self.size.is_cut(reported_usage(response)):
            return Failure.PROMPT_CUT
        broken = any(INVALID_JSON_KEY in call.args_as_dict() for call in response.tool_calls)
        return Failure.MALFORMED if broken and self._uses_tool(response) else None

    def _uses_tool(self, response: ModelResponse) -> bool:
        names = {tool.name for tool in self.parameters.function_tools}
        return any(call.tool_name in names for call in response.tool_calls)
