"""Many vendors' models behind one key."""

import os
from typing import TYPE_CHECKING

from ..fleet import Deployment

if TYPE_CHECKING:
    from pydantic_ai.models import Model

KEY = "OPENROUTER_API_KEY"
PRICES = "openrouter"


def keys(deployment: Deployment) -> tuple[str, ...]:
    return (deployment.key_env or KEY,)


def build(model: str, deployment: Deployment) -> "Model":
    """Return a client with SDK retries off: every attempt is the chain's."""
    from openai import AsyncOpenAI
    from pydantic_ai.models.openrouter import OpenRouterModel
    from pydantic_ai.providers.openrouter import OpenRouterProvider

    client = AsyncOpenAI(
        api_key=os.environ[deployment.key_env or KEY],
        base_url=deployment.base_url or "https://openrouter.ai/api/v1",
        max_retries=0,
    )
    return OpenRouterModel(model, provider=OpenRouterProvider(openai_client=client))
