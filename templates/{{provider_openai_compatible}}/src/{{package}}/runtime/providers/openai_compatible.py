"""Any server that speaks OpenAI's protocol: vLLM, llama.cpp, LM Studio and others."""

import os
from typing import TYPE_CHECKING

from ..fleet import Deployment

if TYPE_CHECKING:
    from pydantic_ai.models import Model

URL = "OPENAI_COMPATIBLE_BASE_URL"
KEY = "OPENAI_COMPATIBLE_API_KEY"
PRICES = None


def keys(deployment: Deployment) -> tuple[str, ...]:
    """Return where the server is, unless the deployment says; a key only where that names one."""
    url = () if deployment.base_url else (URL,)
    return (*url, deployment.key_env) if deployment.key_env else url


def build(model: str, deployment: Deployment) -> "Model":
    """Return a client with SDK retries off: every attempt is the chain's."""
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    provider = OpenAICompatibleProvider(
        "openai_compatible",
        base_url=deployment.base_url or os.environ[URL],
        api_key=os.environ.get(deployment.key_env or KEY),
    )
    provider.client.max_retries = 0
    return OpenAIChatModel(model, provider=provider)
