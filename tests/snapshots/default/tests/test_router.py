"""Where the router sends a request, and what decides when its classifier fails."""

import asyncio
from pathlib import Path

import pytest
from flat_prices import set_prices

from desk.agents.classify import Verdict
from desk.router import Router
from desk.runtime.errors import (
    AnswerInvalid,
    BudgetReached,
    ChainExhausted,
    FleetError,
    MissingKey,
    SettingsError,
)
from desk.runtime.recorded import RecordedModel, Reply, Scene, Tape
from desk.runtime.request import Request, Route
from desk.runtime.run import Run
from desk.workspace import Answer, Workspace

FLEET = """
[chains.cheap]
models = ["p:small"]
backoff_s = 0
[chains.expensive]
models = ["p:large"]
[chains.specialist]
models = ["p:tuned"]
[stages.classify]
chain = "cheap"
task_type = "classification"
[stages.answer]
chain = "cheap"
task_type = "answering"
[agents.billing]
description = "Invoices"
chain = "specialist"
[pipelines.reports]
description = "Reports on long documents"
[router]
expensive_from = 3
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FLEET_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.sqlite3")
    (tmp_path / "fleet.toml").write_text(FLEET)
    return tmp_path


def choose(root: Path, *classified: Reply, text: str = "short") -> Route:
    """Return the route a request takes when the classifier gives these replies."""
    tape = Tape(Scene(title="test", text=text, replies={"classify": list(classified)}))

    async def play() -> Route:
        async with Workspace.open(root, build=lambda ref: RecordedModel(ref, tape)) as workspace:
            return await Router().choose(Run(Request(text), workspace.fleet, workspace.chains))

    return asyncio.run(play())


def verdict(**changed: object) -> Reply:
    usual: dict[str, object] = {"intent": "answer", "complexity": 1, "confidence": 0.9}
    return Reply(answer=usual | {"reason": "because"} | changed, input_tokens=50, output_tokens=9)


@pytest.mark.parametrize(
    ("complexity", "chain"), [(1, "cheap"), (2, "cheap"), (3, "expensive"), (5, "expensive")]
)
def test_complexity_chooses_the_chain(root: Path, complexity: int, chain: str) -> None:
    route = choose(root, verdict(complexity=complexity))
    assert (route.chain, route.decided_by) == (chain, "classifier")
    assert "because" in route.reason


def test_an_unknown_intent_is_answered_like_any_other(root: Path) -> None:
    route = choose(root, verdict(intent="astrology"))
    assert (route.agent, route.chain, route.intent) == ("answer", "cheap", "astrology")


def test_an_unsure_classifier_takes_the_expensive_chain(root: Path) -> None:
    route = choose(root, verdict(confidence=0.2))
    assert route.chain == "expensive"
    assert "only 20% sure" in route.reason


@pytest.mark.parametrize("text", ["short", "x" * 5_000])
def test_when_the_classifier_fails_the_expensive_chain_answers(root: Path, text: str) -> None:
    route = choose(root, Reply(status=503), text=text)
    assert (route.chain, route.decided_by) == ("expensive", "rule")
    assert "classifier failed" in route.reason


@pytest.mark.parametrize(
    "error",
    [
        ChainExhausted("cheap", [("small", "timeout")]),
        AnswerInvalid("no verdict"),
        BudgetReached("classification is used up"),
        MissingKey("Set A_KEY."),
    ],
)
def test_however_the_classifier_fails_the_expensive_chain_is_asked(
    root: Path, error: FleetError, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Run, "ask", fail)
    assert choose(root, verdict()).chain == "expensive"


def test_a_retired_setting_warns_and_stops_nothing(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (root / "fleet.toml").write_text(FLEET + "long_from_chars = 50\n")
    for _ in range(2):
        assert choose(root, verdict(complexity=5)).chain == "expensive"
    warnings = [record.getMessage() for record in caplog.records]
    assert len([one for one in warnings if "router.long_from_chars" in one]) == 1
    assert "delete the line" in "".join(warnings)


def test_a_misspelt_setting_is_an_error_that_names_the_right_one(root: Path) -> None:
    (root / "fleet.toml").write_text(FLEET + "expensive_frm = 2\n")
    with pytest.raises(SettingsError, match="did you mean 'expensive_from'"):
        choose(root, verdict())


def test_a_classifier_that_never_fits_its_type_is_a_failed_one(root: Path) -> None:
    route = choose(root, verdict(complexity=9), verdict(complexity=0))
    assert route.decided_by == "rule"


def test_a_named_intent_goes_to_its_sub_agent(root: Path) -> None:
    route = choose(root, verdict(intent="billing", complexity=5))
    assert (route.agent, route.chain) == ("billing", "specialist")


def test_a_named_intent_goes_to_its_pipeline(root: Path) -> None:
    assert choose(root, verdict(intent="reports", complexity=5)).pipeline == "reports"
    assert choose(root, verdict(intent="reports", confidence=0.2)).pipeline == "answer"


def test_the_result_tells_the_decision_its_reason_and_its_cost(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_prices(monkeypatch, {"p:small": (1, 0), "p:large": (2, 0)})
    replies = {"classify": [verdict(complexity=4)], "answer": [Reply(text="42", input_tokens=100)]}
    tape = Tape(Scene(title="test", text="?", replies=replies))

    async def play() -> Answer:
        async with Workspace.open(root, build=lambda ref: RecordedModel(ref, tape)) as workspace:
            return await workspace.handle(Request("?"))

    answer = asyncio.run(play())
    assert (answer.output, answer.route.chain) == ("42", "expensive")
    assert answer.route.reason == "complexity 4, because"
    assert answer.cost_nano_usd == 50 * 1_000 + 100 * 2_000


def test_a_verdict_is_validated() -> None:
    with pytest.raises(ValueError, match="complexity"):
        Verdict(intent="answer", complexity=6, confidence=0.5, reason="")
