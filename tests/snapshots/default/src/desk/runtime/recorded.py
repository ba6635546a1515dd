"""Models that answer from a file: for tests, the demo and replay. No key, no network.

A file holds scenes in TOML; each is one request and, by stage, the replies in order:
a `text`, a typed answer (`answer`), or an HTTP `status` to fail with.
"""

import tomllib
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_ai.exceptions import ModelHTTPError, ModelRateLimitError, ModelServerError
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart, ToolCallPart
from pydantic_ai.models import (
    CompletedStreamedResponse,
    Model,
    ModelRequestParameters,
    StreamedResponse,
)
from pydantic_ai.settings import ModelSettings
from pydantic_ai.usage import RequestUsage

from .errors import SettingsError
from .fleet import ModelRef, Settings
from .run import OUTPUT_TOOL, current


class Reply(Settings):
    """What one attempt gets back. Tokens are what the provider would report."""

    text: str | None = None
    answer: dict[str, Any] | None = None
    status: int | None = None
    finish_reason: str = "stop"
    input_tokens: int = Field(default=0, ge=0)
    output_tokens: int = Field(default=0, ge=0)


class Scene(Settings):
    """One recorded request: what it shows, its text, and the replies each stage gets.

    With a `pipeline` it is run on that one, past the router, with these `options`. The demo plays
    it so many `times`.
    """

    title: str
    text: str
    times: int = Field(default=1, ge=1)
    pipeline: str | None = None
    options: dict[str, str] = Field(default_factory=dict[str, str])
    replies: dict[str, list[Reply]]


class Scenes(Settings):
    """One file: its scenes, and the reply a stage usually gets in any scene of the folder."""

    scene: list[Scene] = Field(default_factory=list[Scene])
    usual: dict[str, Reply] = Field(default_factory=dict[str, Reply])


def scenes(folder: Path) -> list[Scene]:
    """The scenes of every .toml file in a folder, by file name.

    A stage that a scene says nothing of gets the folder's `[usual.STAGE]` reply, if there is one.
    """
    found: list[Scene] = []
    usual: dict[str, list[Reply]] = {}
    for path in sorted(folder.glob("*.toml")):
        try:
            table = Scenes.model_validate(tomllib.loads(path.read_text("utf-8")))
        except (tomllib.TOMLDecodeError, ValidationError) as error:
            raise SettingsError(f"{path.name} holds no usable scenes: {error}.") from None
        found += table.scene
        usual |= {stage: [reply] for stage, reply in table.usual.items()}
    if not found:
        raise SettingsError(f"There are no recorded scenes in {folder}: restore its .toml files.")
    return [scene.model_copy(update={"replies": {**usual, **scene.replies}}) for scene in found]


class Tape:
    """The replies of one scene, handed out in order to whichever model a stage asks.

    A failure at the end goes on: retries get it as well.
    """

    def __init__(self, scene: Scene) -> None:
        self._replies: dict[str, Iterator[Reply]] = {
            stage: iter(replies) for stage, replies in scene.replies.items()
        }
        self._down: dict[str, Reply] = {}

    def next(self, stage: str) -> Reply:
        """The stage's next reply. Raises SettingsError when the recording ends too early."""
        reply = next(self._replies.get(stage, iter(())), self._down.get(stage))
        if reply and reply.status:
            self._down[stage] = reply
        else:
            self._down.pop(stage, None)
        if reply is None:
            raise SettingsError(f"The recording has no further reply for stage '{stage}'.")
        return reply


class RecordedModel(Model):
    """Stands in for one model of a chain and answers what the tape says."""

    def __init__(self, ref: ModelRef, tape: Tape) -> None:
        super().__init__()
        self._ref = ref
        self._tape = tape

    @property
    def model_name(self) -> str:
        return self._ref.model

    @property
    def system(self) -> str:
        return self._ref.provider

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        stage = current.get()
        reply = self._tape.next(stage.name if stage else "direct")
        if reply.status is not None:
            kind = ModelRateLimitError if reply.status == 429 else ModelServerError
            raise ModelHTTPError.for_category(
                kind, status_code=reply.status, model_name=self._ref.model
            )
        return ModelResponse(
            parts=[
                ToolCallPart(OUTPUT_TOOL, reply.answer)
                if reply.answer is not None
                else TextPart(reply.text or "")
            ],
            usage=RequestUsage(input_tokens=reply.input_tokens, output_tokens=reply.output_tokens),
            model_name=self._ref.model,
            provider_name=self._ref.provider,
            finish_reason="length" if reply.finish_reason == "length" else "stop",
        )

    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: object = None,
    ) -> AsyncGenerator[StreamedResponse]:
        response = await self.request(messages, model_settings, model_request_parameters)
        yield CompletedStreamedResponse(
            response, model_request_parameters=model_request_parameters, replay_events=True
        )
