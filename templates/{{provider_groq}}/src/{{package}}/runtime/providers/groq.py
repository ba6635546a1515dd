"""Open models on Groq's fast hardware."""

import os
from typing import TYPE_CHECKING

from ..fleet import Deployment

if TYPE_CHECKING:
    from pydantic_ai.models import Model

KEY = "GROQ_API_KEY"
PRICES = "groq"


def keys(deployment: Deployment) -> tuple[str, ...]:
    return (deployment.key_env or KEY,)


def build(model: str, deployment: Deployment) -> "Model":
    """Return a client with SDK retries off: every attempt is the chain's."""
    from groq import AsyncGroq, DefaultAsyncHttpxClient
    from pydantic_ai.models.groq import GroqModel
    from pydantic_ai.providers.groq import GroqProvider

    from ..bookkeeping import Reasons, hooks

    client = AsyncGroq(
        api_key=os.environ[deployment.key_env or KEY],
        base_url=deployment.base_url,
        max_retries=0,
        http_client=DefaultAsyncHttpxClient(event_hooks=hooks(Reasons(sums=True))),
    )
    return GroqModel(model, provider=GroqProvider(groq_client=client))
