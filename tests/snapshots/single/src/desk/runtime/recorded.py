"""Models that answer from a file: for tests, the demo and replay. No key, no network.

A file holds scenes in TOML; each is one request and, by stage, the replies in order:
a `text`, a typed answer (`answer`), or an HTTP `status` to fail with.
"""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from .errors import SettingsError
from .fleet import ModelRef
from .run import Stage, current
from .settings import Settings, parse_table, read_toml
from .subagent import OUTPUT_TOOL


class Reply(Settings):
    """What one attempt gets back; tokens as the provider would report them."""

    text: str = ""
    answer: dict[str, Any] | None = None
    status: int | None = None
    finish_reason: Literal["stop", "length"] = "stop"
    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)


class Scene(Settings):
    """One recorded request: what it shows, its text, and the replies each stage gets.

    With a `pipeline` it goes past the router. The demo plays it so many `times`.
    """

    title: str
    text: str
    times: int = Field(default=1, ge=1)
    pipeline: str | None = None
    options: dict[str, str] = Field(default_factory=dict[str, str])
    replies: dict[str, list[Reply]]


class Scenes(Settings):
    """One file: its scenes, and what a stage gets that a scene of the folder says nothing of."""

    scene: list[Scene] = Field(default_factory=list[Scene])
    usual: dict[str, Reply] = Field(default_factory=dict[str, Reply])


def scenes(folder: Path) -> list[Scene]:
    """Return the scenes of every .toml file in a folder, by file name. Raises SettingsError."""
    found: list[Scene] = []
    usual: dict[str, list[Reply]] = {}
    for path in sorted(folder.glob("*.toml")):
        tables = parse_table(Scenes, read_toml(path)[0], f"{path.name}: ")
        found += tables.scene
        usual |= {stage: [reply] for stage, reply in tables.usual.items()}
    if not found:
        raise SettingsError(f"{folder} holds no recorded scenes", "restore its .toml files")
    return [scene.model_copy(update={"replies": {**usual, **scene.replies}}) for scene in found]


class Tape:
    """The replies of one scene, handed out in order to whichever model a stage asks.

    A failure at the end goes on: retries get it as well.
    """

    def __init__(self, scene: Scene) -> None:
        self._left = {stage: list(replies) for stage, replies in scene.replies.items()}

    def next(self, stage: str) -> Reply:
        """Return the stage's next reply. Raises SettingsError when the recording ends too early."""
        left = self._left.get(stage)
        if not left:
            raise SettingsError(f"The recording has no further reply for stage '{stage}'")
        return left[0] if len(left) == 1 and left[0].status else left.pop(0)


class RecordedModel(FunctionModel):
    """Stands in for one model of a chain and answers what the tape says."""

    def __init__(self, ref: ModelRef, tape: Tape) -> None:
        super().__init__(self._answer, model_name=ref.model)
        self._ref = ref
        self._tape = tape

    async def _answer(self, _messages: list[ModelMessage], _info: AgentInfo) -> ModelResponse:
        reply = self._tape.next((current.get() or Stage()).name)
        if reply.status:
            raise ModelHTTPError(reply.status, self._ref.model)
        answer = None if reply.answer is None else ToolCallPart(OUTPUT_TOOL, reply.answer)
        tokens = RequestUsage(input_tokens=reply.input_tokens, output_tokens=reply.output_tokens)
        return ModelResponse(
            parts=[answer or TextPart(reply.text)],
            usage=tokens if tokens.has_values() else RequestUsage(unmeasured_requests=1),
            provider_name=self._ref.provider,
            finish_reason=reply.finish_reason,
        )
