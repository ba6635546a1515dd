"""DeepSeek's models."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from ..fleet import Deployment

KEY = "DEEPSEEK_API_KEY"
PRICES = "deepseek"


def keys(deployment: Deployment) -> tuple[str, ...]:
    """The environment variables it needs there."""
    return (deployment.key_env or KEY,)


def build(model: str, deployment: Deployment) -> Model:
    """A client with SDK retries off: every attempt is the chain's."""
    from openai import AsyncOpenAI
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.deepseek import DeepSeekProvider

    client = AsyncOpenAI(
        api_key=os.environ[deployment.key_env or KEY],
        base_url=deployment.base_url or "https://api.deepseek.com",
        max_retries=0,
    )
    return OpenAIChatModel(model, provider=DeepSeekProvider(openai_client=client))
