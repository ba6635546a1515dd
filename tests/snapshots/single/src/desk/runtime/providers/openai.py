"""OpenAI's GPT models."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from ..fleet import Deployment

KEY = "OPENAI_API_KEY"
PRICES = "openai"


def keys(deployment: Deployment) -> tuple[str, ...]:
    """The environment variables it needs there."""
    return (deployment.key_env or KEY,)


def build(model: str, deployment: Deployment) -> Model:
    """A client with SDK retries off: every attempt is the chain's."""
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai import OpenAIProvider

    provider = OpenAIProvider(
        api_key=os.environ[deployment.key_env or KEY], base_url=deployment.base_url
    )
    provider.client.max_retries = 0
    return OpenAIChatModel(model, provider=provider)
