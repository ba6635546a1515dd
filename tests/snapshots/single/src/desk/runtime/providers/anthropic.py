"""Anthropic's Claude models."""

import os
from typing import TYPE_CHECKING

from ..fleet import Deployment

if TYPE_CHECKING:
    from pydantic_ai.models import Model

KEY = "ANTHROPIC_API_KEY"
PRICES = "anthropic"


def keys(deployment: Deployment) -> tuple[str, ...]:
    return (deployment.key_env or KEY,)


def build(model: str, deployment: Deployment) -> "Model":
    """Return a client with SDK retries off: every attempt is the chain's."""
    from pydantic_ai.providers.anthropic import AnthropicProvider

    from ..anthropic_messages import AnthropicMessages

    key = os.environ[deployment.key_env or KEY]
    provider = AnthropicProvider(api_key=key, base_url=deployment.base_url)
    provider.client.max_retries = 0
    return AnthropicMessages(model, provider=provider)
