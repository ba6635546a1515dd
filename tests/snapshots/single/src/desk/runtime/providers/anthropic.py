"""Anthropic's Claude models."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from ..fleet import Deployment

KEYS = ("ANTHROPIC_API_KEY",)
PRICES = "anthropic"


def build(model: str, deployment: Deployment) -> Model:
    """A client with SDK retries off: every attempt is the chain's."""
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    provider = AnthropicProvider(
        api_key=os.environ[deployment.key_env or KEYS[0]], base_url=deployment.base_url
    )
    provider.client.max_retries = 0
    return AnthropicModel(model, provider=provider)
