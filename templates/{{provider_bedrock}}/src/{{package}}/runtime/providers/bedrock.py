"""Models on AWS Bedrock, with the credentials that AWS's own tools find."""

import os
from typing import TYPE_CHECKING, Any, cast

from ..fleet import Deployment

if TYPE_CHECKING:
    from pydantic_ai.models import Model

REGION = "AWS_DEFAULT_REGION"
PRICES = "aws"


def keys(deployment: Deployment) -> tuple[str, ...]:
    """Return the region, unless the deployment says; AWS finds its credentials by itself."""
    return () if deployment.region else (REGION,)


def price_varies(model: str, deployment: Deployment) -> bool:
    """Return True outside the USA, whose prices the list has; those of Claude it has everywhere."""
    region = deployment.region or os.environ.get(REGION) or "us-"
    in_list = model.startswith("global.") or "anthropic." in model
    return not in_list and (not region.startswith("us-") or region.startswith("us-gov"))


def build(model: str, deployment: Deployment) -> "Model":
    """Return a client with SDK retries off: every attempt is the chain's."""
    import boto3  # pyright: ignore[reportMissingTypeStubs] - it has none
    from botocore.config import Config  # pyright: ignore[reportMissingTypeStubs] - nor this
    from pydantic_ai.models.bedrock import BedrockConverseModel
    from pydantic_ai.providers.bedrock import BedrockProvider

    # A session of its own: the shared one is not for threads, and models are loaded in some.
    session = cast(Any, boto3).Session()
    client = session.client(
        "bedrock-runtime",
        region_name=deployment.region or os.environ[REGION],
        endpoint_url=deployment.base_url,
        config=Config(retries={"total_max_attempts": 1}),
    )
    return BedrockConverseModel(model, provider=BedrockProvider(bedrock_client=client))
