"""OpenAI's models on Azure; a model is called as your deployment of it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from ..fleet import Deployment

KEYS = ("AZURE_OPENAI_API_KEY", "AZURE_OPENAI_ENDPOINT", "OPENAI_API_VERSION")
PRICES = "openai"


def build(model: str, deployment: Deployment) -> Model:
    """A client with SDK retries off: every attempt is the chain's."""
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.azure import AzureProvider

    provider = AzureProvider(
        api_key=os.environ[deployment.key_env or KEYS[0]],
        azure_endpoint=deployment.base_url or os.environ[KEYS[1]],
        api_version=os.environ[KEYS[2]],
    )
    provider.client.max_retries = 0
    return OpenAIChatModel(model, provider=provider)
