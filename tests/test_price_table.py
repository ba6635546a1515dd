"""The table of prices in docs/ledger.md: each of its rows is booked as it says."""

import importlib
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from pydantic_ai.messages import ModelResponse, NativeToolCallPart

from tests import ledger_package
from tests.conftest import ROOT
from tests.priced import listed, package, prices, usage_of

__all__ = ["listed", "package", "prices"]


# The table of docs/ledger.md, row by row: a model, what its response says (or `asked`: the settings
# of its request, `parts`, `usage`), and how it is booked. `x`: the factor on the plain list price.
SEARCH = {"web_searches": 1}


BOOKED: list[tuple[str, str, str, dict[str, Any], str, float | None]] = [
    ("anthropic", "fast mode", "claude-opus-5-5", {"speed": "fast"}, "list", None),
    ("anthropic", "fast mode", "claude-haiku-4-5", {"service_tier": "batch"}, "list", 0.5),
    ("anthropic", "fast mode", "claude-haiku-4-5", {"usage": SEARCH}, "list", None),
    ("anthropic", "us", "claude-opus-4-6", {"inference_geo": "us"}, "list", 1.1),
    ("anthropic", "us", "claude-opus-4-6", {"inference_geo": "global"}, "list", 1),
    ("anthropic", "us", "claude-opus-4-6", {"inference_geo": "not_available"}, "list", 1),
    ("anthropic", "us", "claude-opus-4-6", {"inference_geo": "eu"}, "estimated", 1),
    ("anthropic", "priority", "claude-haiku-4-5", {"service_tier": "priority"}, "estimated", 1),
    ("anthropic", "priority", "claude-haiku-4-5", {"service_tier": "standard"}, "list", 1),
    ("openai", "flex", "gpt-5.4", {"service_tier": "flex"}, "list", 0.5),
    ("openai", "flex", "gpt-5.4", {"service_tier": "default"}, "list", 1),
    ("openai", "flex", "gpt-5.4", {"service_tier": "scale"}, "estimated", 1),
    ("openai", "flex", "gpt-5.4", {"asked": {"service_tier": "flex"}}, "estimated", 0.5),
    ("openai", "flex", "gpt-5.4",
     {"asked": {"extra_body": {"service_tier": "flex"}}}, "estimated", 0.5),
    ("openai", "flex", "gpt-5.4",
     {"asked": {"openai_service_tier": "flex"}, "service_tier": "default"}, "list", 1),
    ("openai", "tools", "gpt-4o-search-preview", {"usage": SEARCH}, "estimated", 1),
    ("openai", "tools", "gpt-4.1-mini", {"parts": True}, "estimated", 1),
    ("google", "flex", "gemini-2.5-flash", {"traffic_type": "ON_DEMAND"}, "list", 1),
    ("google", "flex", "gemini-2.5-flash",
     {"traffic_type": "TRAFFIC_TYPE_UNSPECIFIED"}, "list", 1),
    ("google", "flex", "gemini-2.5-flash", {"service_tier": "flex"}, "estimated", 1),
    ("google", "flex", "gemini-2.5-flash", {"usage": SEARCH}, "list", None),
    ("google", "traffic", "gemini-2.5-flash", {"traffic_type": "ON_DEMAND_FLEX"}, "estimated", 1),
    ("google", "traffic", "gemini-2.5-flash",
     {"traffic_type": "PROVISIONED_THROUGHPUT"}, "estimated", 1),
    ("google", "traffic", "gemini-2.5-flash",
     {"traffic_type": "ON_DEMAND_OFFPEAK"}, "estimated", 1),
    ("google", "traffic", "gemini-2.5-flash",
     {"asked": {"google_cloud_service_tier": "pt_then_flex"}}, "estimated", 1),
    ("mistral", "batch", "mistral-large-2512", {"processing": "batch"}, "list", 0.5),
    ("xai", "batch", "grok-4.3", {"usage": {"details": {"cached": 3}}}, "list", 1),
    ("xai", "tools", "grok-4.3",
     {"usage": {"details": {"server_side_tools_x_search": 2}}}, "estimated", 1),
    ("groq", "flex", "llama-3.3-70b-versatile", {"service_tier": "on_demand"}, "list", 1),
    ("groq", "flex", "llama-3.3-70b-versatile", {"service_tier": "flex"}, "estimated", 1),
    ("groq", "tools", "llama-3.3-70b-versatile", {"parts": True}, "estimated", 1),
    ("deepseek", "hours", "deepseek-chat", {}, "list", 1),
    ("bedrock", "regions", "us.anthropic.claude-sonnet-4-5-20250929-v1:0", {}, "list", 1),
    ("bedrock", "tiers", "amazon.nova-lite-v1:0",
     {"asked": {"bedrock_service_tier": {"type": "priority"}}}, "estimated", 1),
    ("bedrock", "tiers", "amazon.nova-lite-v1:0",
     {"asked": {"service_tier": "flex"}}, "estimated", 1),
    ("bedrock", "tiers", "amazon.nova-lite-v1:0",
     {"asked": {"bedrock_performance_configuration": {"latency": "optimized"}}}, "estimated", 1),
    ("bedrock", "tiers", "amazon.nova-lite-v1:0",
     {"asked": {"bedrock_service_tier": {"type": "default"}}}, "list", 1),
    ("openrouter", "cost", "openai/gpt-4.1-mini", {"cost": 0.5}, "provider", None),
    ("openrouter", "byok", "openai/gpt-4.1-mini",
     {"cost": 0.1, "is_byok": True, "upstream_inference_cost": 1}, "provider", None),
    ("openrouter", "byok", "openai/gpt-4.1-mini", {"cost": 0.1, "is_byok": True}, "estimated", None),
    ("openai_compatible", "own", "llama", {}, "unpriced", None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("provider", "model", "response_details", "source", "factor"),
    [(case[0], *case[2:]) for case in BOOKED],
)
def test_what_changes_a_price_is_booked_as_the_table_says(
    prices: Any,
    listed: Any,
    provider: str,
    model: str,
    response_details: dict[str, Any],
    source: str,
    factor: float | None,
) -> None:
    details = {
        name: v for name, v in response_details.items() if name not in ("asked", "parts", "usage")
    }
    usage = usage_of(**response_details.get("usage", {}))
    parts = (
        [NativeToolCallPart(tool_name="code_execution", args={})]
        if "parts" in response_details
        else []
    )
    response = ModelResponse(parts=parts, usage=usage, provider_details=details or None)
    context = prices.price_context(response, response_details.get("asked"))
    plain = listed.cost(prices.ModelRef(provider, model), usage_of())
    cost = listed.cost(prices.ModelRef(provider, model), usage, context=context)
    assert cost.source == source
    if factor is not None:
        assert cost.nano_usd == Decimal(plain.nano_usd) * Decimal(str(factor))
    elif source != "unpriced":
        assert cost.nano_usd != plain.nano_usd
    # What the ledger keeps of it is enough to book it as it was.
    if source != "provider":
        kept = {"service_tier": prices.tier_text(context)}
        assert listed.cost(prices.ModelRef(provider, model), usage, context=kept) == cost


VARYING = [
    ("openai", "gpt-5.4", {"base_url": "https://eu.api.openai.com/v1"}, True),
    ("openai", "gpt-5.4", {"base_url": "https://US.api.openai.com/v1"}, True),
    ("openai", "gpt-5.4", {"base_url": "https://api.openai.com/v1"}, False),
    ("openai", "gpt-5.4", {"base_url": "https://gateway.example/v1"}, False),
    ("openai", "gpt-5.4", {}, False),
    ("azure", "ours", {"region": "eu"}, True),
    ("azure", "ours", {}, True),
    ("google", "gemini-2.5-flash",
     {"base_url": "https://europe-west4-aiplatform.googleapis.com"}, True),
    ("google", "gemini-2.5-flash",
     {"base_url": "https://aiplatform.eu.rep.googleapis.com"}, True),
    ("google", "gemini-2.5-flash", {"base_url": "https://aiplatform.googleapis.com"}, False),
    ("google", "gemini-2.5-flash", {}, False),
    ("bedrock", "amazon.nova-lite-v1:0", {"region": "eu-central-1"}, True),
    ("bedrock", "amazon.nova-lite-v1:0", {"region": "us-gov-west-1"}, True),
    ("bedrock", "amazon.nova-lite-v1:0", {"region": "us-east-1"}, False),
    ("bedrock", "eu.anthropic.claude-sonnet-4-6", {"region": "eu-central-1"}, False),
    ("bedrock", "global.amazon.nova-2-lite-v1:0", {"region": "eu-central-1"}, False),
]  # fmt: skip


@pytest.fixture(scope="module")
def wired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Render a workspace with the providers whose prices depend on where they are asked."""
    providers = ["openai", "azure", "google", "bedrock"]
    folder = tmp_path_factory.mktemp("varying") / "w"
    with ledger_package.importable(folder, "varying", providers=providers, extras=["prices"]):
        workspace = importlib.import_module("varying.workspace")
        yield lambda text: (
            (folder / "fleet.toml").write_text(text, "utf-8"),
            workspace.load_prices(folder, workspace.load(folder / "fleet.toml")),
        )[1]


@pytest.mark.parametrize(("provider", "model", "place", "varies"), VARYING)
def test_where_a_price_varies_it_is_an_estimate(
    wired: Any, provider: str, model: str, place: dict[str, str], varies: bool
) -> None:
    lines = [f'{key} = "{value}"' for key, value in place.items()]
    lines += ['model = "gpt-4.1"'] if provider == "azure" else []
    ref_ = f"{provider}:{model}@there"
    text = f'[chains.main]\nmodels = ["{ref_}"]\n[deployments.there]\n' + "\n".join(lines)
    prices = importlib.import_module("varying.runtime.ledger.prices")
    cost = wired(text).cost(prices.ModelRef.parse(ref_), usage_of())
    assert cost.source == ("estimated" if varies else "list")


def test_an_address_of_the_environment_counts_too(
    wired: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "https://eu.api.openai.com/v1")
    table = wired('[chains.main]\nmodels = ["openai:gpt-5.4"]\n')
    prices = importlib.import_module("varying.runtime.ledger.prices")
    assert table.cost(prices.ModelRef("openai", "gpt-5.4"), usage_of()).source == "estimated"


def test_every_row_of_the_table_in_the_docs_has_a_case() -> None:
    text = (ROOT / "docs" / "ledger.md").read_text("utf-8")
    rows = [line.split("|")[1:3] for line in text.splitlines() if line.startswith("| ")]
    at = next(i for i, row in enumerate(rows) if row[0].strip() == "provider")
    named = [row[0].strip() for row in rows[at + 1 :]]
    # The names of Azure's deployments have a test of their own above.
    tested = [*{(case[0], case[1]) for case in BOOKED}]
    tested += [*{(case[0], "where") for case in VARYING if case[3]}, ("azure", "names")]
    for provider in {name for names in named for name in names.split(", ")} - {"ollama"}:
        rows_of = sum(provider in names.split(", ") for names in named)
        assert sum(name == provider for name, _ in tested) >= rows_of, provider
