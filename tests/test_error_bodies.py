"""Errors as providers send them, through the official clients: each is the kind it should be."""

import asyncio
import importlib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.direct import model_request
from pydantic_ai.messages import ModelRequest

from tests.loopback import Reply, Server, serve

BODIES = Path(__file__).with_name("error_bodies")
CASES = [
    pytest.param(path.stem, case, id=f"{path.stem}-{case['kind']}-{case['status']}-{at}")
    for path in sorted(BODIES.glob("*.toml"))
    for at, case in enumerate(tomllib.loads(path.read_text("utf-8"))["case"])
]
PROVIDERS = {path.stem for path in BODIES.glob("*.toml")}
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.usefixtures("every_key"),
]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(120) as running:
        yield running


def outcome(package: str, provider: str, url: str) -> tuple[str | None, Exception | None]:
    """The kind of failure that the reply scripted for model "m" is, and what was raised."""
    module = importlib.import_module(f"{package}.runtime.providers.{provider}")
    fleet = importlib.import_module(f"{package}.runtime.fleet")
    failures = importlib.import_module(f"{package}.runtime.failures")
    model = module.build("m", fleet.Deployment(base_url=url, region="eu-central-1"))

    async def play() -> tuple[str | None, Exception | None]:
        async with model, asyncio.timeout(10):
            try:
                response = await model_request(model, [ModelRequest.user_text_prompt("Hi")])
            except failures.FAILURES as error:
                return failures.of_error(error), error
        # Azure's content filter comes out of the client as a response that says so.
        return failures.of_response(response), None

    return asyncio.run(play())


@pytest.mark.parametrize(("provider", "case"), CASES)
def test_a_recorded_error_is_of_its_kind(
    every_provider: str, server: Server, provider: str, case: dict[str, Any]
) -> None:
    server.script["m"] = [
        Reply(
            status=case["status"],
            body=case["body"],
            headers=case.get("headers", {}),
            content_type=case.get("content_type"),
        )
    ]
    server.hits.clear()
    kind, error = outcome(every_provider, provider, server.url(provider))
    assert kind == case["kind"], f"{type(error).__name__}: {error}"
    assert server.hits == {"m": 1}
    waits = case.get("retry_after_s", case.get("headers", {}).get("retry-after"))
    if waits is not None:
        assert getattr(error, "retry_after", None) == float(waits)


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_the_table_has_every_kind_a_provider_sends(provider: str) -> None:
    cases = tomllib.loads((BODIES / f"{provider}.toml").read_text("utf-8"))["case"]
    kinds = {case["kind"] for case in cases}
    assert kinds >= {
        "rate_limited",
        "overloaded",
        "context_too_long",
        "bad_request",
        "authentication",
        "unknown_model",
    }
    assert all(case["source"] for case in cases)
