"""OpenAI's GPT models. For a gateway that leaves out what OpenAI sends: `add extra openai_chat`."""

import os
import re
from typing import TYPE_CHECKING

from ..fleet import Deployment

if TYPE_CHECKING:
    from pydantic_ai.models import Model

KEY = "OPENAI_API_KEY"
PRICES = "openai"


def keys(deployment: Deployment) -> tuple[str, ...]:
    return (deployment.key_env or KEY,)


def price_varies(model: str, deployment: Deployment) -> bool:
    """Return True at regional addresses; see the source.

    https://developers.openai.com/api/docs/guides/data-residency.md
    """
    url = deployment.base_url or os.environ.get("OPENAI_BASE_URL") or ""
    return bool(re.match(r"https://[\w-]+\.api\.openai\.com\b", url, re.IGNORECASE))


def build(model: str, deployment: Deployment) -> "Model":
    """Return a client with SDK retries off: every attempt is the chain's."""
    from pydantic_ai.providers.openai import OpenAIProvider

    from ..openai_completions import OpenAICompletions

    key = os.environ[deployment.key_env or KEY]
    provider = OpenAIProvider(api_key=key, base_url=deployment.base_url)
    provider.client.max_retries = 0
    return OpenAICompletions(model, provider=provider)
