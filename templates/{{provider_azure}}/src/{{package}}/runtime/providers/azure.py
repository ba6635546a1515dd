"""OpenAI's models on Azure; a model is called as your deployment of it."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from ..fleet import Deployment

if TYPE_CHECKING:
    from pydantic_ai.models import Model

KEY = "AZURE_OPENAI_API_KEY"
ENDPOINT = "AZURE_OPENAI_ENDPOINT"
VERSION = "OPENAI_API_VERSION"
PRICES = "openai"
FREE_NAMES = True  # what a deployment is called says nothing of its model
SCOPE = "https://cognitiveservices.azure.com/.default"


def keys(deployment: Deployment) -> tuple[str, ...]:
    """Return the API's version, and the key and endpoint where the deployment does not replace them."""
    key = () if deployment.keyless else (deployment.key_env or KEY,)
    return (*key, *(() if deployment.base_url else (ENDPOINT,)), VERSION)


def price_varies(model: str, deployment: Deployment) -> bool:
    """Return True: no response says whether it is global, of a data zone or regional."""
    return True


def build(model: str, deployment: Deployment) -> "Model":
    """Return a client with SDK retries off: every attempt is the chain's."""
    from openai import AsyncAzureOpenAI
    from pydantic_ai.models.openai import OpenAIChatModel
    from pydantic_ai.providers.azure import AzureProvider

    endpoint, version = deployment.base_url or os.environ[ENDPOINT], os.environ[VERSION]
    if deployment.keyless:
        client = AsyncAzureOpenAI(
            azure_ad_token_provider=_entra(), azure_endpoint=endpoint, api_version=version
        )
        provider = AzureProvider(openai_client=client)
    else:
        key = os.environ[deployment.key_env or KEY]
        provider = AzureProvider(api_key=key, azure_endpoint=endpoint, api_version=version)
    provider.client.max_retries = 0
    return OpenAIChatModel(model, provider=provider)


def _entra() -> Callable[[], Awaitable[str]]:
    """Return what gets Entra's tokens: by a managed identity, the Azure CLI's login or variables."""
    from azure.identity import DefaultAzureCredential, get_bearer_token_provider

    token = get_bearer_token_provider(DefaultAzureCredential(), SCOPE)
    return lambda: asyncio.to_thread(token)
