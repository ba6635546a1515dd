"""Anthropic's Claude models."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from ..fleet import Deployment

KEY = "ANTHROPIC_API_KEY"
PRICES = "anthropic"


def keys(deployment: Deployment) -> tuple[str, ...]:
    """The environment variables it needs there."""
    return (deployment.key_env or KEY,)


def build(model: str, deployment: Deployment) -> Model:
    """A client with SDK retries off: every attempt is the chain's."""
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    provider = AnthropicProvider(
        api_key=os.environ[deployment.key_env or KEY], base_url=deployment.base_url
    )
    provider.client.max_retries = 0
    return AnthropicModel(model, provider=provider)
