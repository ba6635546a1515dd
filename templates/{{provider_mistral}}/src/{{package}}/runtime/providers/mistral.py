"""Mistral's models."""

import os
from typing import TYPE_CHECKING, Any

from ..fleet import Deployment

if TYPE_CHECKING:
    from pydantic_ai.models import Model

KEY = "MISTRAL_API_KEY"
PRICES = "mistral"


def keys(deployment: Deployment) -> tuple[str, ...]:
    return (deployment.key_env or KEY,)


def build(model: str, deployment: Deployment) -> "Model":
    """Return a client with SDK retries off: every attempt is the chain's."""
    from pydantic_ai.models.mistral import MistralModel
    from pydantic_ai.providers.mistral import MistralProvider

    from ..bookkeeping import Reasons, hooks

    # Mistral's SDK retries only with a retry configuration, and this has none.
    key = os.environ[deployment.key_env or KEY]
    provider = MistralProvider(api_key=key, base_url=deployment.base_url)
    http: Any = provider.client.sdk_configuration.async_client
    for name, added in hooks(Reasons(unsaid="", sums=True)).items():
        http.event_hooks[name].extend(added)
    return MistralModel(model, provider=provider)
