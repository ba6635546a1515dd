"""Many vendors' models behind one key."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from ..fleet import Deployment

KEY = "OPENROUTER_API_KEY"
PRICES = "openrouter"


def keys(deployment: Deployment) -> tuple[str, ...]:
    """The environment variables it needs there."""
    return (deployment.key_env or KEY,)


def build(model: str, deployment: Deployment) -> Model:
    """A client with SDK retries off: every attempt is the chain's."""
    from openai import AsyncOpenAI
    from pydantic_ai.models.openrouter import OpenRouterModel
    from pydantic_ai.providers.openrouter import OpenRouterProvider

    client = AsyncOpenAI(
        api_key=os.environ[deployment.key_env or KEY],
        base_url=deployment.base_url or "https://openrouter.ai/api/v1",
        max_retries=0,
    )
    return OpenRouterModel(model, provider=OpenRouterProvider(openai_client=client))
