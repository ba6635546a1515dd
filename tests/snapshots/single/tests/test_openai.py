"""OpenAI's client: its address, its key, no retries of its own, and where prices vary."""

from typing import Any, cast

import pytest

from desk.runtime.fleet import Deployment
from desk.runtime.providers import openai


def test_a_deployment_has_an_address_and_a_key_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EU_KEY", "a key")
    place = Deployment(base_url="https://eu.example/v1/", key_env="EU_KEY")
    assert openai.keys(place) == ("EU_KEY",)
    client = cast("Any", openai.build("vendor/m", place).provider).client
    assert (str(client.base_url), client.api_key) == ("https://eu.example/v1/", "a key")
    assert client.max_retries == 0  # every attempt is the chain's


def test_its_usual_key_and_address(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(openai.KEY, "a key")
    assert openai.keys(Deployment()) == (openai.KEY,)
    client = cast("Any", openai.build("vendor/m", Deployment()).provider).client
    assert "api.openai.com" in str(client.base_url)


@pytest.mark.parametrize(
    ("url", "varies"),
    [
        (None, False),
        ("https://api.openai.com/v1", False),
        ("https://eu.api.openai.com/v1", True),
        ("https://gateway.example/eu.api.openai.com", False),
    ],
)
def test_regional_addresses_have_other_prices(
    url: str | None, varies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert openai.price_varies("gpt-6-luna", Deployment(base_url=url)) is varies
    monkeypatch.setenv("OPENAI_BASE_URL", url or "")
    assert openai.price_varies("gpt-6-luna", Deployment()) is varies
