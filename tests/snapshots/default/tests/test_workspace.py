"""The workspace end to end, on scripted models: no key, no network."""

import asyncio
import sqlite3
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from pydantic_ai.messages import (
    ModelMessage,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel
from pydantic_ai.usage import RequestUsage

from desk import cli, wiring
from desk.runtime import fleet
from desk.runtime.errors import (
    ChainExhausted,
    MissingKey,
    SettingsError,
    ToolsFailed,
)
from desk.runtime.fleet import ModelRef
from desk.runtime.ledger import queries
from desk.runtime.ledger.prices import NANO, Override, Prices
from desk.runtime.ledger.store import (
    Attempt,
    Ledger,
    database_path,
    new_id,
)
from desk.runtime.recorded import RecordedModel, Reply, Scene, Tape
from desk.runtime.run import Request, Run, SubAgent
from desk.workspace import Workspace, keys_of

ROOT = Path(__file__).parents[1]
SPOKEN = Reply(text="A good answer.", input_tokens=100, output_tokens=10)


class Person(BaseModel):
    name: str
    age: int


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test has a ledger of its own and no key in its environment."""
    monkeypatch.setenv("FLEET_ROOT", str(ROOT))
    monkeypatch.setenv("FLEET_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.sqlite3")
    settings = fleet.load(ROOT / "fleet.toml")
    for chain in settings.chains.values():
        for ref in chain.models:
            for key in keys_of(ref, settings):
                monkeypatch.delenv(key, raising=False)
    return tmp_path / "ledger.sqlite3"


def two_models(folder: Path) -> Path:
    """A fleet of one chain with two models of different providers."""
    folder.mkdir(exist_ok=True)
    (folder / "fleet.toml").write_text(
        '[chains.main]\nmodels = ["first:a", "second:b"]\nbackoff_s = 0\n'
        '[stages.answer]\nchain = "main"\ntask_type = "answering"\n'
    )
    return folder


def ask(root: Path, *replies: Reply, agent: SubAgent[Any]) -> Run:
    """Ask one sub-agent on the two-model chain, with these replies."""
    scene = Scene(title="test", text="?", replies={agent.name: list(replies)})
    tape = Tape(scene)

    async def play() -> Run:
        async with Workspace.open(root, build=lambda ref: RecordedModel(ref, tape)) as workspace:
            run = Run(Request("?", tags={"team": "a"}), workspace.fleet, workspace.chains)
            await run.ask(agent, "?", chain="main")
            return run

    return asyncio.run(play())


def ledger_rows(path: Path, columns: str) -> list[tuple[object, ...]]:
    with sqlite3.connect(path) as database:
        return database.execute(f"SELECT {columns} FROM attempts ORDER BY rowid").fetchall()


ANSWER: SubAgent[str] = SubAgent("answer", str)


def test_first_model_answers(tmp_path: Path, own_ledger: Path) -> None:
    ask(two_models(tmp_path), SPOKEN, agent=ANSWER)
    assert ledger_rows(own_ledger, "attempt, request_model, outcome, input_tokens, tags") == [
        (1, "a", "ok", 100, '{"team": "a"}')
    ]


@pytest.mark.parametrize(
    ("bad", "outcome", "reason", "tokens"),
    [
        (Reply(status=503), "failed", "overloaded", None),
        (Reply(status=429), "failed", "rate_limited", None),
        (Reply(text=" ", input_tokens=5), "rejected", "empty", 5),
        (Reply(text="cut", finish_reason="length", input_tokens=5), "rejected", "truncated", 5),
    ],
)
def test_second_model_answers_when_the_first_fails(
    tmp_path: Path, own_ledger: Path, bad: Reply, outcome: str, reason: str, tokens: int | None
) -> None:
    ask(two_models(tmp_path), bad, SPOKEN, agent=ANSWER)
    columns = "attempt, request_model, outcome, error_type, fallback_from, input_tokens"
    assert ledger_rows(own_ledger, columns) == [
        (1, "a", outcome, reason, None, tokens),
        (2, "b", "ok", None, "a", 100),
    ]


def test_exhausted_chain_tells_every_attempt(tmp_path: Path, own_ledger: Path) -> None:
    with pytest.raises(ChainExhausted) as caught:
        ask(two_models(tmp_path), Reply(status=503), Reply(status=429), agent=ANSWER)
    once = [("a", "overloaded"), ("b", "rate_limited")]
    assert caught.value.failures == (*once, ("a", "rate_limited"), ("b", "rate_limited"))
    assert len(ledger_rows(own_ledger, "call_id")) == 4


def test_typed_answer_is_repaired_once_by_the_same_model(tmp_path: Path, own_ledger: Path) -> None:
    person: SubAgent[Person] = SubAgent("answer", Person)
    wrong = Reply(answer={"name": "Ada"}, input_tokens=9, output_tokens=3)
    right = Reply(answer={"name": "Ada", "age": 36}, input_tokens=20, output_tokens=5)
    ask(two_models(tmp_path), wrong, right, agent=person)
    assert ledger_rows(own_ledger, "request_model, outcome, error_type") == [
        ("a", "rejected", "malformed"),
        ("a", "ok", None),
    ]


def test_typed_answer_that_stays_wrong_moves_on(tmp_path: Path, own_ledger: Path) -> None:
    person: SubAgent[Person] = SubAgent("answer", Person)
    wrong = Reply(answer={"name": "Ada"}, input_tokens=9, output_tokens=3)
    right = Reply(answer={"name": "Ada", "age": 36}, input_tokens=20, output_tokens=5)
    ask(two_models(tmp_path), wrong, wrong, right, agent=person)
    models = [row[0] for row in ledger_rows(own_ledger, "request_model")]
    assert models == ["a", "a", "b"]


def test_a_model_without_its_key_is_skipped_and_named(own_ledger: Path) -> None:
    settings = fleet.load(ROOT / "fleet.toml")
    name, chain = next(iter(settings.chains.items()))
    keys = [key for ref in chain.models for key in keys_of(ref, settings)]
    if not all(keys_of(ref, settings) for ref in chain.models):
        pytest.skip("a model of this chain needs no key")

    async def play() -> None:
        async with Workspace.open(ROOT) as workspace:
            await Run(Request("?"), workspace.fleet, workspace.chains).ask(ANSWER, "?", chain=name)

    with pytest.raises(MissingKey, match=keys[0]):
        asyncio.run(play())
    assert {row[0] for row in ledger_rows(own_ledger, "outcome")} == {"skipped"}


def use_tools(
    root: Path, agent: SubAgent[Any], called: str, *, settings: str = ""
) -> tuple[Any, list[str]]:
    """Ask a sub-agent whose model calls one tool until it has a result; its answer and calls."""
    heard: list[str] = []
    path = two_models(root) / "fleet.toml"
    path.write_text(path.read_text() + settings)

    def model(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        last = messages[-1].parts[-1]
        if isinstance(last, ToolReturnPart):
            heard.append(str(last.content))
            return ModelResponse(parts=[TextPart(f"It is {last.content}.")])
        return ModelResponse(parts=[ToolCallPart(called, {"number": 1})])

    async def play() -> Any:
        async with Workspace.open(root, build=lambda _: FunctionModel(model)) as workspace:
            run = Run(Request("?"), workspace.fleet, workspace.chains)
            return await run.ask(agent, "?", chain="main")

    return asyncio.run(play()), heard


def balance(number: int) -> int:
    """What is left on an account."""
    return number + 41


def broken(number: int) -> int:
    """Never works."""
    raise OSError(f"no account {number}")


def test_a_sub_agent_calls_its_tools_and_every_request_is_booked(
    tmp_path: Path, own_ledger: Path
) -> None:
    agent = SubAgent("answer", str, tools=(balance,))
    assert use_tools(tmp_path, agent, "balance") == ("It is 42.", ["42"])
    assert ledger_rows(own_ledger, "stage, outcome") == [("answer", "ok")] * 2


def test_a_tool_that_raises_is_one_line_of_advice(tmp_path: Path) -> None:
    with pytest.raises(ToolsFailed, match="answer: OSError: no account 1"):
        use_tools(tmp_path, SubAgent("answer", str, tools=(broken,)), "broken")


def test_an_endless_caller_of_tools_is_stopped(tmp_path: Path, own_ledger: Path) -> None:
    agent = SubAgent("answer", str, tools=(balance,))
    limit = '[agents.answer]\ndescription = "?"\nchain = "main"\nmax_requests = 1\n'
    with pytest.raises(ToolsFailed, match="UsageLimitExceeded"):
        use_tools(tmp_path, agent, "balance", settings=limit)
    assert len(ledger_rows(own_ledger, "call_id")) == 1


def test_identity_is_read_only_where_it_is_named(tmp_path: Path) -> None:
    named = '[agents.answer]\ndescription = "?"\nchain = "main"\nidentity = ["NOBODY.md"]\n'
    with pytest.raises(SettingsError, match=r"prompts/identity/NOBODY\.md is missing"):
        use_tools(tmp_path, ANSWER, "none", settings=named)


def test_ledger_has_a_column_for_every_field(own_ledger: Path) -> None:
    Ledger(own_ledger).close()
    with sqlite3.connect(own_ledger) as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(attempts)")]
    assert columns == [field.name for field in fields(Attempt)]


def test_ids_sort_by_time() -> None:
    made = [new_id() for _ in range(50)]
    assert len(set(made)) == 50
    assert sorted(made, key=lambda id_: id_[:12]) == made


def test_own_price_counts_cached_tokens_once() -> None:
    ref = ModelRef("own", "tuned")
    price = Override.model_validate({"input_usd": "2", "output_usd": "10", "cache_read_usd": "0.5"})
    usage = RequestUsage(input_tokens=1000, output_tokens=100, cache_read_tokens=400)
    cost = Prices({str(ref): price}, {}).cost(ref, usage)
    assert cost.nano_usd == (600 * 2 + 400 * 0.5 + 100 * 10) * NANO / 1_000_000
    assert cost.source == "override"


def test_unknown_model_is_unpriced_not_free() -> None:
    cost = Prices({}, {"own": None}).cost(ModelRef("own", "x"), RequestUsage(input_tokens=1))
    assert (cost.nano_usd, cost.source) == (None, "unpriced")


@pytest.mark.parametrize(
    ("nano", "shown"),
    [
        (None, "-"),
        (0, "$0.00"),
        (42_000, "$0.000042"),
        (1_500_000_000, "$1.50"),
        (1, "$0.000000001"),
        (9_316_000, "$0.00932"),
        (1_234_000_000_000, "$1,234.00"),
    ],
)
def test_dollars_keep_their_digits(nano: int | None, shown: str) -> None:
    assert queries.dollars(nano) == shown


@pytest.mark.parametrize("text", ["p:m", "p:a:b", "p:vendor/m", "p:m@eu", "p:a@b@eu"])
def test_model_reference_round_trips(text: str) -> None:
    assert str(ModelRef.parse(text)) == text


@pytest.mark.parametrize("text", ["", "m", ":m", "p:", "p:m@", "p:@eu"])
def test_bad_model_reference_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="provider:model"):
        ModelRef.parse(text)


def test_settings_name_every_mistake(tmp_path: Path) -> None:
    path = tmp_path / "fleet.toml"
    path.write_text('[chains.a]\nmodels = ["x"]\n[stages.s]\nchain = "b"\n')
    with pytest.raises(SettingsError, match=r"chains\.a\.models\.0.*stages\.s\.task_type"):
        fleet.load(path)


def test_settings_of_this_workspace_are_wired() -> None:
    settings = fleet.load(ROOT / "fleet.toml")
    used = {ref.provider for chain in settings.chains.values() for ref in chain.models}
    assert used <= set(wiring.PROVIDERS)
    assert set(settings.agents) == set(wiring.AGENTS)


def command(monkeypatch: pytest.MonkeyPatch, *words: str) -> int | str | None:
    monkeypatch.setattr("sys.argv", ["workspace", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


def test_demo_runs_and_costs_show_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(monkeypatch, "demo") == 0
    told = capsys.readouterr().out
    assert "Recorded answers" in told
    assert "overloaded" in told
    assert command(monkeypatch, "costs") == 0
    assert "answering" in capsys.readouterr().out
    assert queries.month_nano_usd(database_path(ROOT)) == 0


def test_ask_without_a_key_says_which_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = fleet.load(ROOT / "fleet.toml")
    refs = [ref for chain in settings.chains.values() for ref in chain.models]
    if not all(keys_of(ref, settings) for ref in refs):
        pytest.skip("a model of this fleet needs no key")
    assert "Set " in str(command(monkeypatch, "ask", "Hello?"))


def test_doctor_tells_keys_but_not_their_values(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = fleet.load(ROOT / "fleet.toml")
    for chain in settings.chains.values():
        for key in keys_of(chain.models[0], settings):
            monkeypatch.setenv(key, "very-secret")
    assert command(monkeypatch, "doctor") == 0
    told = capsys.readouterr().out
    assert "not set" in told or " set" in told or "no key needed" in told
    assert "very-secret" not in told
