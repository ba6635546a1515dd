"""The workspace end to end, on scripted models: no key, no network."""

import asyncio
import sqlite3
from contextlib import closing
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

from desk import cli, wiring
from desk.configuration import keys_of, ledger_location
from desk.runtime import fleet, subagent
from desk.runtime.errors import (
    ChainExhausted,
    SettingsError,
    ToolsFailed,
)
from desk.runtime.fleet import ModelRef
from desk.runtime.ledger import queries, report_text
from desk.runtime.ledger.attempt import Attempt, new_id
from desk.runtime.ledger.writer import Ledger
from desk.runtime.recorded import (
    RecordedModel,
    Reply,
    Scene,
    Tape,
    scenes,
)
from desk.runtime.request import Request
from desk.runtime.subagent import SubAgent
from desk.workspace import BuildModel, Workspace

ROOT = Path(__file__).parents[1]
FLEET = """
[chains.main]
models = ["first:a", "second:b"]
backoff_s = 0
[stages.answer]
chain = "main"
task_type = "answering"
"""
SPOKEN = Reply(text="A good answer.", input_tokens=100, output_tokens=10)
ANSWER: SubAgent[str] = SubAgent("answer", str)


class Person(BaseModel):
    name: str
    age: int


WRONG = Reply(answer={"name": "Ada"}, input_tokens=9, output_tokens=3)
RIGHT = Reply(answer={"name": "Ada", "age": 36}, input_tokens=20, output_tokens=5)


@pytest.fixture(autouse=True)
def own_ledger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give every test a ledger of its own and no key in its environment."""
    monkeypatch.setenv("FLEET_ROOT", str(ROOT))
    monkeypatch.setenv("FLEET_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.sqlite3")
    for key in keys():
        monkeypatch.delenv(key, raising=False)
    return tmp_path / "ledger.sqlite3"


def keys_by_model() -> list[tuple[str, ...]]:
    """Return the variables that each model of this workspace needs."""
    settings = fleet.load(ROOT / "fleet.toml")
    refs = [ref for chain in settings.chains.values() for ref in chain.models]
    return [keys_of(ref, settings) for ref in refs]


def keys() -> list[str]:
    """Return the variables of this workspace's models."""
    return [key for needed in keys_by_model() for key in needed]


def play(root: Path, build: BuildModel, agent: SubAgent[Any], settings: str = "") -> Any:
    """Return a sub-agent's answer, in a workspace of one chain with two models."""
    (root / "fleet.toml").write_text(FLEET + settings)

    async def ask() -> Any:
        async with Workspace.open(root, build=build) as workspace:
            return await workspace.start(Request("?", tags={"team": "a"})).ask(agent, "?")

    return asyncio.run(ask())


def ask(root: Path, *replies: Reply, agent: SubAgent[Any] = ANSWER) -> Any:
    """Return a sub-agent's answer when its models give these replies."""
    tape = Tape(Scene(title="test", text="?", replies={agent.name: list(replies)}))
    return play(root, lambda ref: RecordedModel(ref, tape), agent)


def ledger_rows(path: Path, columns: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as database:
        return database.execute(f"SELECT {columns} FROM attempts ORDER BY rowid").fetchall()


def test_real_requests_are_not_taken_for_recorded_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fleet.toml").write_text(FLEET)

    async def name_environment(environment: str) -> str:
        monkeypatch.setenv("FLEET_ENVIRONMENT", environment)
        async with Workspace.open(tmp_path, build=lambda _: pytest.fail()) as workspace:
            return workspace.environment

    assert asyncio.run(name_environment("")) == "production"
    assert asyncio.run(name_environment("staging")) == "staging"
    # No budget counts the rows of the demo.
    with pytest.raises(SettingsError, match="FLEET_ENVIRONMENT is 'demo'"):
        asyncio.run(name_environment("demo"))


def test_first_model_answers(tmp_path: Path, own_ledger: Path) -> None:
    assert ask(tmp_path, SPOKEN) == "A good answer."
    assert ledger_rows(own_ledger, "attempt, request_model, outcome, input_tokens, tags") == [
        (1, "a", "ok", 100, '{"team": "a"}')
    ]


@pytest.mark.parametrize(
    ("bad", "outcome", "reason", "tokens"),
    [
        (Reply(status=503), "failed", "overloaded", None),
        (Reply(status=429), "failed", "rate_limited", None),
        (Reply(status=401), "failed", "authentication", None),
        (Reply(text=" ", input_tokens=5), "rejected", "empty", 5),
        (Reply(text="cut", finish_reason="length", input_tokens=5), "rejected", "truncated", 5),
    ],
)
def test_second_model_answers_when_the_first_fails(
    tmp_path: Path, own_ledger: Path, bad: Reply, outcome: str, reason: str, tokens: int | None
) -> None:
    ask(tmp_path, bad, SPOKEN)
    columns = "attempt, request_model, outcome, error_type, fallback_from, input_tokens"
    assert ledger_rows(own_ledger, columns) == [
        (1, "a", outcome, reason, None, tokens),
        (2, "b", "ok", None, "a", 100),
    ]


def test_exhausted_chain_tells_every_attempt(tmp_path: Path, own_ledger: Path) -> None:
    with pytest.raises(ChainExhausted) as caught:
        ask(tmp_path, Reply(status=503), Reply(status=429))
    once = [("a", "overloaded"), ("b", "rate_limited")]
    assert caught.value.failures == (*once, ("a", "rate_limited"), ("b", "rate_limited"))
    assert len(ledger_rows(own_ledger, "call_id")) == 4


@pytest.mark.parametrize(
    ("replies", "models"), [([WRONG, RIGHT], "aa"), ([WRONG, WRONG, RIGHT], "aab")]
)
def test_typed_answer_is_repaired_once_by_the_same_model(
    tmp_path: Path, own_ledger: Path, replies: list[Reply], models: str
) -> None:
    person = SubAgent("answer", Person)
    assert ask(tmp_path, *replies, agent=person) == Person(name="Ada", age=36)
    rejected = [(model, "rejected", "malformed") for model in models[:-1]]
    rows = ledger_rows(own_ledger, "request_model, outcome, error_type")
    assert rows == [*rejected, (models[-1], "ok", None)]


def use_tools(root: Path, agent: SubAgent[Any], called: str, settings: str = "") -> Any:
    """Return the answer of a sub-agent whose model calls one tool until it has a result."""

    def model(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
        last = messages[-1].parts[-1]
        if isinstance(last, ToolReturnPart):
            return ModelResponse(parts=[TextPart(f"It is {last.content}.")])
        return ModelResponse(parts=[ToolCallPart(called, {"number": 1})])

    return play(root, lambda _: FunctionModel(model), agent, settings)


def balance(number: int) -> int:
    """Return what is left on an account."""
    return number + 41


def broken(number: int) -> int:
    """Fail at every call."""
    raise OSError(f"no account {number}")


def test_a_sub_agent_calls_its_tools_and_every_request_is_booked(
    tmp_path: Path, own_ledger: Path
) -> None:
    assert use_tools(tmp_path, SubAgent("answer", str, tools=(balance,)), "balance") == "It is 42."
    assert ledger_rows(own_ledger, "stage, outcome") == [("answer", "ok")] * 2


def test_a_tool_that_raises_is_one_line_of_advice(tmp_path: Path) -> None:
    with pytest.raises(ToolsFailed, match="answer: OSError: no account 1"):
        use_tools(tmp_path, SubAgent("answer", str, tools=(broken,)), "broken")


def test_an_endless_caller_of_tools_is_stopped(tmp_path: Path, own_ledger: Path) -> None:
    agent = SubAgent("answer", str, tools=(balance,))
    limit = '[agents.answer]\ndescription = "?"\nchain = "main"\nmax_requests = 1\n'
    with pytest.raises(ToolsFailed, match="UsageLimitExceeded"):
        use_tools(tmp_path, agent, "balance", limit)
    assert len(ledger_rows(own_ledger, "call_id")) == 1


def test_ledger_has_a_column_for_every_field(own_ledger: Path) -> None:
    Ledger(own_ledger).close()
    with closing(sqlite3.connect(own_ledger)) as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(attempts)")]
    assert columns == [field.name for field in fields(Attempt)]


def test_ids_sort_by_time() -> None:
    made = [new_id() for _ in range(50)]
    assert len(set(made)) == 50
    assert sorted(made, key=lambda id_: id_[:12]) == made


@pytest.mark.parametrize(
    ("nano", "shown"),
    [
        (None, "-"),
        (0, "$0.00"),
        (1, "$0.000000001"),
        (42_000, "$0.000042"),
        (9_316_000, "$0.00932"),
        (1_500_000_000, "$1.50"),
        (1_234_000_000_000, "$1,234.00"),
    ],
)
def test_dollars_keep_their_digits(nano: int | None, shown: str) -> None:
    assert report_text.dollars(nano) == shown


@pytest.mark.parametrize("text", ["p:m", "p:a:b", "p:vendor/m", "p:m@eu", "p:a@b@eu"])
def test_model_reference_round_trips(text: str) -> None:
    assert str(ModelRef.parse(text)) == text


@pytest.mark.parametrize("text", ["", "m", ":m", "p:", "p:m@", "p:@eu"])
def test_bad_model_reference_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="provider:model"):
        ModelRef.parse(text)


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ('[chains.b]\nmodels = ["x"]\n[stages.s]\nchain = "b"', r"chains\.b\.models\.0.*task_type"),
        ('[stages.s]\nchain = "b"\ntask_type = "t"', r"stages\.s\.chain is 'b', which is not"),
        ('[agents.a]\ndescription = "?"\nchain = "main"\nskill = ["x"]', r"key 'skill'.*: connect"),
        ('[agents.a]\ndescription = "?"\nchain = "main"\nskill = "x"', r"agents\.a\.skill: "),
        ('[agents.a]\ndescription = "?"\nchain = "main"\nchecks = ["x"]', "'x' is not in wiring"),
    ],
)
def test_wrong_settings_are_named(tmp_path: Path, wrong: str, problem: str) -> None:
    (tmp_path / "fleet.toml").write_text(FLEET + wrong)
    with pytest.raises(SettingsError, match=problem):
        Workspace.open(tmp_path)


def test_a_file_that_is_not_text_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    for name in ("answer.md", "scene.toml"):
        (folder / name).write_bytes(b"\xff\xfe")
    monkeypatch.setattr(subagent, "PROMPTS", folder)
    with pytest.raises(SettingsError, match=r"prompts/answer\.md is not UTF-8 text"):
        ask(tmp_path, SPOKEN)
    with pytest.raises(SettingsError, match=r"scene\.toml is not valid TOML"):
        scenes(folder)


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
    shown = capsys.readouterr().out
    assert "Recorded answers" in shown
    assert "overloaded" in shown
    assert command(monkeypatch, "costs") == 0
    assert "answering" in capsys.readouterr().out
    assert queries.month_by_task(ledger_location(ROOT)).total() == 0


def test_ask_without_a_key_says_which_to_set(
    monkeypatch: pytest.MonkeyPatch, own_ledger: Path
) -> None:
    if not all(keys_by_model()):
        pytest.skip("a model of this fleet needs no key, and would be asked")
    shown = str(command(monkeypatch, "ask", "Hello?"))
    assert any(f"set {key}" in shown for key in keys())
    assert {row[0] for row in ledger_rows(own_ledger, "outcome")} == {"skipped"}
