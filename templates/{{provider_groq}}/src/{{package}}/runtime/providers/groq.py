"""Open models on Groq's fast hardware."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic_ai.models import Model

    from ..fleet import Deployment

KEY = "GROQ_API_KEY"
PRICES = "groq"


def keys(deployment: Deployment) -> tuple[str, ...]:
    """The environment variables it needs there."""
    return (deployment.key_env or KEY,)


def build(model: str, deployment: Deployment) -> Model:
    """A client with SDK retries off: every attempt is the chain's."""
    from pydantic_ai.models.groq import GroqModel
    from pydantic_ai.providers.groq import GroqProvider

    provider = GroqProvider(
        api_key=os.environ[deployment.key_env or KEY], base_url=deployment.base_url
    )
    provider.client.max_retries = 0
    return GroqModel(model, provider=provider)
