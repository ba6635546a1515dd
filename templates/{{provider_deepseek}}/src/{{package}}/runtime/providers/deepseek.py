"""DeepSeek's models."""

import os
from typing import TYPE_CHECKING

from ..fleet import Deployment

if TYPE_CHECKING:
    from pydantic_ai.models import Model

KEY = "DEEPSEEK_API_KEY"
PRICES = "deepseek"


def keys(deployment: Deployment) -> tuple[str, ...]:
    return (deployment.key_env or KEY,)


def build(model: str, deployment: Deployment) -> "Model":
    """Return a client with SDK retries off: every attempt is the chain's."""
    from openai import AsyncOpenAI
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.deepseek import DeepSeekProvider

    client = AsyncOpenAI(
        api_key=os.environ[deployment.key_env or KEY],
        base_url=deployment.base_url or "https://api.deepseek.com",
        max_retries=0,
    )
    return OpenAIChatModel(model, provider=DeepSeekProvider(openai_client=client))
