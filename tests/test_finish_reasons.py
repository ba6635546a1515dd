"""Why an answer ended, in the words of each provider's documentation, whole and streamed."""

from typing import Any

import pytest
from pydantic_ai.models.xai import _FINISH_REASON_PROTO_MAP as XAI
from xai_sdk.proto import sample_pb2

from tests.loopback import Reply
from tests.test_error_bodies import Clients, clients

__all__ = ["clients"]
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore:.*is not a valid.*:UserWarning"),
    pytest.mark.usefixtures("every_key"),
]
GOOD, CUT, FILTERED, BROKEN = None, "truncated", "content_filter", "broken_off"
CHAT: dict[str, str | None] = {
    "stop": GOOD,
    "length": CUT,
    "content_filter": FILTERED,
    "wombat": BROKEN,
}
SERVERS: dict[str, str | None] = CHAT | {
    **dict.fromkeys(("abort", "error", "network_error", "repetition", "load", "unload"), BROKEN),
    **dict.fromkeys(("eos", "eos_token", "stop_sequence", "COMPLETE", "normal"), GOOD),
    **{"sensitive": FILTERED, "SAFETY": FILTERED, "PROHIBITED_CONTENT": FILTERED},
    **{"MAX_TOKENS": CUT, "model_context_window_exceeded": CUT, "ERROR_LIMIT": CUT},
    **{"ERROR_TOXIC": FILTERED, "ERROR": BROKEN, "USER_CANCEL": BROKEN},
}
"""Of vLLM, SGLang, TGI, Ollama, Together, Z.ai, Cohere, Qianfan, and gateways before Gemini."""
REASONS: dict[str, dict[str, str | None]] = {
    **dict.fromkeys(("openai", "azure", "groq"), CHAT),
    "deepseek": CHAT | {"insufficient_system_resource": BROKEN},
    "openrouter": CHAT | {"error": BROKEN},
    "ollama": SERVERS,
    "openai_compatible": SERVERS,
    "mistral": {
        "stop": GOOD,
        "length": CUT,
        "model_length": CUT,
        "error": BROKEN,
        "wombat": BROKEN,
    },
    "anthropic": {
        **{"end_turn": GOOD, "stop_sequence": GOOD, "refusal": FILTERED, "max_tokens": CUT},
        **{"model_context_window_exceeded": CUT, "pause_turn": BROKEN, "wombat": BROKEN},
    },
    "google": {
        **{"STOP": GOOD, "MAX_TOKENS": CUT},
        **dict.fromkeys(("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT"), FILTERED),
        **dict.fromkeys(("SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT"), FILTERED),
        **dict.fromkeys(("IMAGE_RECITATION", "MODEL_ARMOR"), FILTERED),
        **dict.fromkeys(("LANGUAGE", "OTHER", "MALFORMED_FUNCTION_CALL", "NO_IMAGE"), BROKEN),
        **dict.fromkeys(("UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "IMAGE_OTHER"), BROKEN),
        **dict.fromkeys(("MISSING_THOUGHT_SIGNATURE", "MALFORMED_RESPONSE"), BROKEN),
        **dict.fromkeys(("FINISH_REASON_UNSPECIFIED", "WOMBAT"), BROKEN),
    },
    "bedrock": {
        **{"end_turn": GOOD, "stop_sequence": GOOD, "max_tokens": CUT, "wombat": BROKEN},
        **{"guardrail_intervened": FILTERED, "content_filtered": FILTERED},
        **{"model_context_window_exceeded": CUT, "malformed_tool_use": BROKEN},
        "malformed_model_output": BROKEN,
    },
}
CALLS = {
    **dict.fromkeys(("openai", "azure", "groq", "deepseek", "openrouter", "mistral"), "tool_calls"),
    **{"ollama": "tool_calls", "openai_compatible": "function_call", "anthropic": "tool_use"},
    **{"google": "STOP", "bedrock": "tool_use"},
}


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("provider", list(REASONS))
def test_every_documented_end_is_known(clients: Clients, provider: str, streamed: bool) -> None:
    wrong: dict[str, Any] = {}
    for reason, kind in REASONS[provider].items():
        found = clients.ask(provider, Reply(reason=reason), streamed=streamed)
        if found != (kind, None):
            wrong[reason] = found
    assert not wrong


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("provider", list(CALLS))
def test_an_end_in_a_tool_call_is_good(clients: Clients, provider: str, streamed: bool) -> None:
    reply = Reply(tool=("look", {"at": "it"}), reason=CALLS[provider])
    assert clients.ask(provider, reply, streamed=streamed) == (None, None)
    cut = Reply(tool=("look", {"at": "it"}), reason=cut_of(provider))
    assert clients.ask(provider, cut, streamed=streamed) == ("truncated", None)


def cut_of(provider: str) -> str:
    return next(reason for reason, kind in REASONS[provider].items() if kind == CUT)


def test_xai_gives_a_reason_for_every_end_that_it_has() -> None:
    named = {number for _, number in sample_pb2.FinishReason.items()}
    assert named - set(XAI) == {sample_pb2.FinishReason.REASON_INVALID}
    assert set(XAI.values()) <= {"stop", "length", "tool_call", "content_filter", "error"}
