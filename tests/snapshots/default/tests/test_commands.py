"""The command line in process, on scripted models: `ask`, `run`, `costs`, and how each ends."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic_ai.messages import ModelMessage, ModelResponse, TextPart
from pydantic_ai.models.function import AgentInfo, FunctionModel

from desk import cli, wiring
from desk.commands import ask as ask_command
from desk.runtime.fleet import Deployment
from desk.runtime.run import FixedRouter
from desk.runtime.settings import warn_once

FLEET = """
[chains.main]
models = ["echo:small", "echo:large"]
backoff_s = 0
[stages.answer]
chain = "main"
task_type = "answering"
[budgets]
month_usd = 5
"""
Run = Callable[..., int | str | None]


class Echo:
    """A provider whose models repeat the request; without a price."""

    PRICES = None

    def keys(self, deployment: Deployment) -> tuple[str, ...]:
        return ()

    def build(self, model: str, deployment: Deployment) -> FunctionModel:
        return FunctionModel(_repeat, model_name=model)


def _repeat(messages: list[ModelMessage], _: AgentInfo) -> ModelResponse:
    text = getattr(messages[-1].parts[-1], "content", "")
    if text == "Say nothing":
        return ModelResponse(parts=[TextPart(" ")])
    return ModelResponse(parts=[TextPart(f"You said: {text}")])


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Return what runs a command in a workspace of two models, and returns its exit status."""
    (tmp_path / "fleet.toml").write_text(FLEET)
    monkeypatch.setenv("FLEET_ROOT", str(tmp_path))
    monkeypatch.setenv("FLEET_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.sqlite3")
    monkeypatch.setitem(wiring.PROVIDERS, "echo", Echo())
    monkeypatch.setattr(wiring, "ROUTER", FixedRouter())

    def command(*words: str) -> int | str | None:
        monkeypatch.setattr("sys.argv", ["workspace", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code

    return command


def test_ask_prints_the_answer_and_apart_from_it_how_it_came_about(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("ask", "Hello") == 0
    printed = capsys.readouterr()
    assert printed.out == "You said: Hello\n"
    assert "main chain, fixed:" in printed.err
    assert "cost -, run " in printed.err  # a model without a price is not free


def test_an_answer_as_json(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("ask", "Hello", "--json", "--id", "request-1") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed.pop("run_id")
    assert printed == {
        "status": "answered",
        "output": "You said: Hello",
        "cost_nano_usd": None,
        "ticket": None,
    }


def test_run_takes_a_text_or_a_file(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "request.txt").write_text("From a file")
    assert run("run", "answer", str(tmp_path / "request.txt")) == 0
    assert run("run", "answer", "From the line", "--set", "question=Why?") == 0
    assert run("run", "answer", "long " * 200) == 0  # too long for the name of a file
    shown = capsys.readouterr().out.splitlines()
    assert shown[:2] == ["You said: From a file", "You said: From the line"]


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (("run", "no_such_pipeline", "?"), "no_such_pipeline"),
        (("run", "answer", "bytes.txt"), "bytes.txt"),
        (("ask", "Say nothing"), "main"),
        (("costs",), "ledger"),
        (("costs", "--environment", "elsewhere"), "ledger"),
    ],
)
def test_an_error_says_what_is_wrong(
    run: Run, words: tuple[str, ...], problem: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("bytes.txt").write_bytes(b"\xff\xfe")
    shown = str(run(*words))
    assert shown.startswith("error: ")
    assert problem in shown
    assert "Traceback" not in shown


@pytest.mark.parametrize("blank", ["", " \n\t"])
def test_a_blank_request_asks_nobody(run: Run, tmp_path: Path, blank: str) -> None:
    (tmp_path / "blank.txt").write_text(blank)
    refusal = "error: The request is empty\nhint: write what you want to know"
    assert run("ask", blank) == refusal
    assert run("run", "answer", blank) == refusal
    assert str(run("run", "answer", str(tmp_path / "blank.txt"))).startswith("error: ")
    assert not (tmp_path / "ledger.sqlite3").exists()


def test_the_demo_of_a_broken_workspace_prints_the_error_alone(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo = tmp_path / "examples" / "demo"
    demo.mkdir(parents=True)
    (demo / "one.toml").write_text('[[scene]]\ntitle = "One"\ntext = "?"\n[scene.replies]\n')
    (tmp_path / "fleet.toml").write_text(FLEET.replace("echo:large", "nobody:large"))
    assert "nobody" in str(run("demo"))
    assert capsys.readouterr().out == ""


def test_an_effect_that_needs_an_extra_is_warned_of(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(wiring, "STREAM", None)
    warn_once.cache_clear()
    assert run("ask", "Hello") == 0
    assert "on_cut" not in caplog.text
    settings = FLEET.replace("backoff_s", 'on_cut = "restart"\nbackoff_s')
    (tmp_path / "fleet.toml").write_text(settings)
    assert run("ask", "Hello") == 0
    assert "on_cut has no effect" in caplog.text
    assert "`scaffold add extra streaming`" in caplog.text


def test_an_error_of_the_program_has_its_traceback_but_not_its_secrets(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_down(*_: object) -> None:
        raise RuntimeError("refused: Bearer sk-proj-0123456789abcdefghijklmnopqrstuv")

    monkeypatch.setattr(ask_command, "answer", break_down)
    shown = str(run("ask", "Hello"))
    assert "Traceback" in shown
    assert "RuntimeError: refused" in shown
    assert "0123456789abcdef" not in shown


def test_an_interrupt_ends_with_its_status(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ask_command, "answer", interrupt)
    assert run("ask", "Hello") == 130


def test_costs_show_what_was_asked(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    run("ask", "Hello")
    run("ask", "Say nothing")
    capsys.readouterr()
    assert run("costs", "--days", "1", "--by", "task,model") == 0
    shown = capsys.readouterr().out
    assert "answering" in shown
    assert "small" in shown
    assert "of $5.00" in shown


@pytest.mark.parametrize(
    "words",
    [
        ("costs", "--days", "0"),
        ("costs", "--since", "tomorrow"),
        ("costs", "--since", "9999-01-01"),
        ("costs", "--by", "colour"),
        ("run", "answer", "?", "--set", "question"),
        ("no_such_command",),
    ],
)
def test_wrong_usage_has_a_status_of_its_own(run: Run, words: tuple[str, ...]) -> None:
    assert run(*words) == 2


def test_the_hint_of_wrong_usage_is_the_commands_own(
    run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("ask", "?", "--foo") == 2
    assert "hint: see `workspace ask --help`\n" in capsys.readouterr().err
    assert run("--foo") == 2
    assert "hint: see `workspace --help`\n" in capsys.readouterr().err
