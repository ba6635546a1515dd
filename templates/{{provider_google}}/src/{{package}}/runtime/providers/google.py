"""Google's Gemini models."""

import os
from typing import TYPE_CHECKING

from ..fleet import Deployment

if TYPE_CHECKING:
    from pydantic_ai.models import Model

KEY = "GOOGLE_API_KEY"
PRICES = "google"


def keys(deployment: Deployment) -> tuple[str, ...]:
    return (deployment.key_env or KEY,)


def price_varies(model: str, deployment: Deployment) -> bool:
    """Return True at Vertex AI's regional addresses, which may cost more than its global one."""
    url = (deployment.base_url or os.environ.get("GOOGLE_GEMINI_BASE_URL") or "").lower()
    return "aiplatform." in url and "//aiplatform.googleapis.com" not in url


def build(model: str, deployment: Deployment) -> "Model":
    """Return a client with SDK retries off: every attempt is the chain's."""
    from google.genai.types import HttpRetryOptions
    from pydantic_ai.models.google import GoogleModel
    from pydantic_ai.providers.google import GoogleProvider

    provider = GoogleProvider(
        api_key=os.environ[deployment.key_env or KEY],
        base_url=deployment.base_url,
        retry_options=HttpRetryOptions(attempts=1),
    )
    return GoogleModel(model, provider=provider)
