"""xAI's Grok models."""

import os
from typing import TYPE_CHECKING

from ..fleet import Deployment

if TYPE_CHECKING:
    from pydantic_ai.models import Model

KEY = "XAI_API_KEY"
PRICES = "x-ai"


def keys(deployment: Deployment) -> tuple[str, ...]:
    return (deployment.key_env or KEY,)


def build(model: str, deployment: Deployment) -> "Model":
    """Return a client with SDK retries off: every attempt is the chain's."""
    from pydantic_ai.models.xai import XaiModel
    from pydantic_ai.providers.xai import XaiProvider
    from xai_sdk import AsyncClient  # pyright: ignore[reportMissingTypeStubs] - it has none

    client = AsyncClient(
        api_key=os.environ[deployment.key_env or KEY],
        api_host=deployment.base_url or "api.x.ai",
        channel_options=[("grpc.enable_retries", 0)],
    )
    return XaiModel(model, provider=XaiProvider(xai_client=client))
