"""Any server that speaks OpenAI's protocol: vLLM, llama.cpp, LM Studio and others."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from ..fleet import Deployment

KEYS = ("OPENAI_COMPATIBLE_BASE_URL",)
PRICES = None


def build(model: str, deployment: Deployment) -> Model:
    """A client with SDK retries off: every attempt is the chain's."""
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    provider = OpenAICompatibleProvider(
        "openai_compatible",
        base_url=deployment.base_url or os.environ[KEYS[0]],
        api_key=os.environ.get(deployment.key_env or "OPENAI_COMPATIBLE_API_KEY"),
    )
    provider.client.max_retries = 0
    return OpenAIChatModel(model, provider=provider)
