"""Models on your own machine, served by Ollama."""

import os
from typing import TYPE_CHECKING

from ..fleet import Deployment

if TYPE_CHECKING:
    from pydantic_ai.models import Model

PRICES = None
USUAL_URL = "http://localhost:11434/v1"


def keys(deployment: Deployment) -> tuple[str, ...]:
    """Return none: it is your own machine."""
    return ()


def build(model: str, deployment: Deployment) -> "Model":
    """Return a client with SDK retries off: every attempt is the chain's."""
    from pydantic_ai.models.ollama import OllamaModel
    from pydantic_ai.providers.ollama import OllamaProvider

    url = deployment.base_url or os.environ.get("OLLAMA_BASE_URL") or USUAL_URL
    provider = OllamaProvider(base_url=url)
    provider.client.max_retries = 0
    return OllamaModel(model, provider=provider)
