"""A named role: its prompt, the type of its answer, and its tools.

The model library is imported where a model is asked, so that `doctor` can load every sub-agent fast.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from .errors import AnswerInvalid, FleetError, SettingsError, ToolsFailed, find_remedy
from .fleet import Fleet
from .text import extract_json

if TYPE_CHECKING:
    from pydantic_ai import AbstractToolset
    from pydantic_ai.messages import ModelMessage, ModelResponse
    from pydantic_ai.models import Model, ModelRequestParameters

PROMPTS = Path(__file__).parents[1] / "prompts"
OUTPUT_TOOL = "final_result"
Output = TypeVar("Output")


def text_of(completion: "ModelResponse") -> str:
    """Return an answer as text; a typed one as its JSON."""
    for call in completion.tool_calls:
        if call.tool_name == OUTPUT_TOOL:
            return call.args_as_json_str()
    return completion.text or ""


def read_prompt(name: str) -> str:
    """Return the text of a file in `prompts/`. Raises SettingsError where it cannot be read."""
    try:
        return (PROMPTS / name).read_text("utf-8")
    except FileNotFoundError:
        raise SettingsError(f"prompts/{name} is missing", "write it") from None
    except UnicodeDecodeError:
        raise SettingsError(f"prompts/{name} is not UTF-8 text", "save it as UTF-8") from None
    except OSError as error:
        problem = f"prompts/{name} cannot be read ({error.strerror})"
        raise SettingsError(problem, find_remedy(error)) from error


@dataclass(frozen=True)
class SubAgent(Generic[Output]):
    """A named role: a prompt in `prompts/<name>.md`, the type of its answer, and its tools.

    A tool is a typed function, plain or async, whose docstring is what the model reads of it;
    `toolsets` are pydantic-ai's. `checks` come after those that fleet.toml names for it. `human`: a
    person may answer for it where its chain ends in one.
    """

    name: str
    output: type[Output]
    tools: tuple[Callable[..., Any], ...] = ()
    toolsets: "tuple[AbstractToolset[Any], ...]" = ()
    checks: "Sequence[Callable[[ModelResponse, Any], Any]]" = ()
    human: bool = True

    def prompt(self) -> str:
        """Return its prompt, read at every call so that an edit needs no restart."""
        return read_prompt(f"{self.name}.md")

    @cached_property
    def parameters(self) -> "ModelRequestParameters":
        """Ask for free text, or for one typed answer in whichever way a model does that best."""
        from pydantic_ai.models import ModelRequestParameters
        from pydantic_ai.output import OutputObjectDefinition
        from pydantic_ai.tools import ToolDefinition

        if self.output is str:
            return ModelRequestParameters()
        schema = self._adapter.json_schema()
        tool = ToolDefinition(name=OUTPUT_TOOL, parameters_json_schema=schema, kind="output")
        return ModelRequestParameters(
            output_mode="auto",
            output_object=OutputObjectDefinition(json_schema=schema, name=self.name),
            output_tools=[tool],
            allow_text_output=False,
        )

    async def ask(
        self,
        model: "Model",
        text: str,
        prompt: str,
        history: "Sequence[ModelMessage]",
        *,
        max_requests: int,
    ) -> Output:
        """Return a model's answer, which it gives after calling tools if there are any.

        Raises AnswerInvalid where the answer is not of the type, ToolsFailed where a tool raised
        or the model made more than `max_requests`, and what the model itself raises.
        """
        if self.tools or self.toolsets:
            return await self._ask_with_tools(model, text, prompt, history, max_requests)
        from pydantic_ai.direct import model_request
        from pydantic_ai.messages import ModelRequest, UserPromptPart

        asked = ModelRequest(parts=[UserPromptPart(text)], instructions=prompt)
        messages = [*history, asked]
        completion = await model_request(model, messages, model_request_parameters=self.parameters)
        try:
            return self.parse(completion)
        except ValidationError as error:
            raise AnswerInvalid(f"{self.name}: {error.error_count()} fields are wrong") from error

    async def _ask_with_tools(
        self,
        model: "Model",
        text: str,
        prompt: str,
        history: "Sequence[ModelMessage]",
        max_requests: int,
    ) -> Output:
        from pydantic_ai import Agent, UsageLimits

        asked: Agent[None, Output] = Agent(
            model,
            output_type=self.output,
            instructions=prompt,
            tools=self.tools,
            toolsets=self.toolsets,
        )
        limits = UsageLimits(request_limit=max_requests)
        try:
            done = await asked.run(text, message_history=list(history), usage_limits=limits)
            return done.output
        except FleetError:
            raise
        except Exception as error:  # a tool is the team's or a server's code: it raises anything
            raise ToolsFailed(f"{self.name}: {type(error).__name__}: {error}") from error

    def parse(self, response: "ModelResponse") -> Output:
        """Return the typed answer of a completion. Raises pydantic's ValidationError."""
        if self.output is str:
            return self._adapter.validate_python(response.text or "")
        return self._adapter.validate_json(extract_json(text_of(response)))

    @cached_property
    def _adapter(self) -> TypeAdapter[Output]:
        return TypeAdapter(self.output)


Equip = Callable[[SubAgent[Any], Sequence[str], Fleet], SubAgent[Any]]
"""A sub-agent with what a further key of its `[agents.X]` names."""
