"""Decide whether a model may be asked for a request at all."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.profiles import ModelProfile

from .call_budget import CallBudget
from .candidates import Candidate
from .failure_kinds import Failure
from .fleet import ModelRef
from .request_size import RequestSize


@dataclass(kw_only=True)
class Eligibility:
    """What one request needs of a model."""

    size: RequestSize
    parameters: ModelRequestParameters
    budget: CallBudget
    permits: Callable[[ModelRef], bool]
    """Whether the request's class of data may go to a model."""
    min_window: int = 0
    """The largest context window that was too small."""

    def skip_reason(self, candidate: Candidate, time_left_s: float) -> Failure | None:
        """Return why a model is not asked, or None when it may be."""
        if candidate.missing_keys:
            return Failure.NO_KEY
        if not self.permits(candidate.ref):
            return Failure.DATA_CLASS
        if not self._suits(candidate.profile):
            return Failure.NO_CAPABILITY
        window = candidate.window or math.inf
        if window <= self.min_window or self.size.prompt_tokens > window:
            return Failure.CONTEXT_TOO_LONG
        if not self.budget.covers_prompt(candidate.ref):
            return Failure.OVER_BUDGET
        return Failure.TIMEOUT if time_left_s <= 0 else candidate.unavailable

    def exclude_window(self, candidate: Candidate) -> None:
        """Ask only models with a larger context window from here on."""
        self.min_window = max(self.min_window, candidate.window or 0)

    def _suits(self, profile: ModelProfile) -> bool:
        """Return whether a model can do what the request needs: tools, a schema, images."""
        mode = self.parameters.output_mode
        if mode == "auto" and self.parameters.output_object:
            mode = profile.get("default_structured_output_mode", "tool")
        needs = {
            "supports_tools": mode == "tool" or self.parameters.function_tools,
            "supports_json_schema_output": mode == "native",
            "supports_image_input": self.size.has_image,
        }
        return all(profile.get(name, True) for name, needed in needs.items() if needed)
