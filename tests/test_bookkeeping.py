"""An answer whose bookkeeping is missing or null is still an answer, whole and streamed."""

from collections.abc import Callable
from typing import Any

import pytest
from pydantic_ai.direct import model_request, model_request_stream
from pydantic_ai.messages import ModelRequest

from tests.fleets import Desk, desk, loopback
from tests.loopback import Reply
from tests.loopback.reply import TEXT

__all__ = ["desk", "loopback"]
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
OPENAI = (
    *("id", "object", "created", "model", "usage", "system_fingerprint", "service_tier"),
    *("choices.0.index", "choices.0.message.role", "choices.0.delta.role", "usage.total_tokens"),
    *("choices.0.logprobs", "usage.prompt_tokens_details", "usage.completion_tokens_details"),
)
FIELDS = {
    "openai": OPENAI,
    "openrouter": (*OPENAI, "provider"),
    "anthropic": (
        *("id", "role", "model", "usage", "stop_sequence", "message.id", "message.model"),
        *("message.usage", "message.role", "usage.cache_read_input_tokens", "index"),
    ),
    "google": (
        *("modelVersion", "responseId", "usageMetadata", "candidates.0.index"),
        *("candidates.0.content.role", "usageMetadata.totalTokenCount"),
    ),
}


def without(path: str, *, null: bool) -> Callable[[Any], Any]:
    """An edit after which an answer has this field no more, or nothing in it."""
    *parents, last = path.split(".")

    def edit(told: Any) -> Any:
        at = told
        try:
            for part in parents:
                at = at[int(part) if part.isdigit() else part]
        except (KeyError, IndexError):
            return told
        if null:
            at[last] = None
        else:
            at.pop(last, None)
        return told

    return edit


async def both(workspace: Any) -> list[str | None]:
    """What a chain says whole, and as it arrives."""
    chain, question = workspace.chains["main"], [ModelRequest.user_text_prompt("?")]
    whole = await model_request(chain, question)
    async with model_request_stream(chain, question) as events:
        async for _ in events:
            pass
        return [whole.text, events.get().text]


@pytest.mark.parametrize("null", [False, True])
@pytest.mark.parametrize("provider", list(FIELDS))
def test_a_field_of_the_bookkeeping_is_missing(desk: Desk, provider: str, null: bool) -> None:
    name = "openai/spare" if provider == "openrouter" else "spare"
    desk.models = [f"{provider}:{name}"]
    url = desk.server.url("openai")
    desk.more = f'[deployments.openrouter]\nbase_url = "{url}"\n'
    wrong: list[str] = []
    for field in FIELDS[provider]:
        desk.server.script[name] = [Reply(edit=without(field, null=null))]
        if desk.play(both) != [TEXT, TEXT] or desk.rows("outcome")[-2:] != [("ok",)] * 2:
            wrong.append(field)
    assert not wrong


@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_an_answer_without_usage_has_unknown_tokens(desk: Desk, provider: str) -> None:
    def edit(told: Any) -> Any:
        return without("message.usage", null=False)(without("usage", null=False)(told))

    desk.models = [f"{provider}:spare"]
    desk.server.script["spare"] = [Reply(edit=edit)]
    assert desk.play(both) == [TEXT, TEXT]
    assert desk.rows("outcome, input_tokens, output_tokens") == [("ok", None, None)] * 2


def test_a_field_of_another_type_is_let_pass(desk: Desk) -> None:
    def edit(told: Any) -> Any:
        return told | {"id": 7, "created": "yesterday", "system_fingerprint": 1, "usage": []}

    desk.models = ["openai:spare"]
    desk.server.script["spare"] = [Reply(edit=edit)]
    assert desk.ask().output == TEXT


def test_what_is_no_answer_stays_none(desk: Desk) -> None:
    desk.models = ["openai:spare", "anthropic:ok"]
    for field in ("choices", "choices.0.message"):
        desk.server.script["spare"] = [Reply(edit=without(field, null=False))]
        assert desk.ask().output == TEXT
        assert desk.rows("outcome, error_type")[-2] == ("failed", "malformed"), field
