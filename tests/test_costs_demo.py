"""A fresh workspace's demo ends with a report whose first line is a finding, and it is true."""

import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from genai_prices import Usage, calc_price

from tests.ledger_package import importable, module


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("demo") / "w"
    answers: dict[str, Any] = {"patterns": ["router"], "providers": ["anthropic", "openai"]}
    extras = ["cost_reports", "reconcile", "ledger_tools"]
    with importable(folder, "demo_desk", extras=extras, **answers) as name:
        yield name


@pytest.fixture
def command(
    package: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Any:
    """Run a command of the workspace: its exit status or advice, and what it printed."""
    cli = __import__(f"{package}.cli", fromlist=["main"])
    monkeypatch.setenv("FLEET_ROOT", str(Path(cli.__file__).parents[2]))
    monkeypatch.setenv("FLEET_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.sqlite3")

    def run(*words: str) -> tuple[Any, str]:
        monkeypatch.setattr("sys.argv", ["desk", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code, capsys.readouterr().out

    return run


def list_price(model: str, row: Any) -> Decimal:
    """Return what these tokens cost at list price, by the provider's public prices."""
    provider, _, name = model.partition(":")
    usage = Usage(input_tokens=row.input_tokens, output_tokens=row.output_tokens)
    return calc_price(usage, name, provider_id=provider).total_price


def test_the_first_line_of_the_demos_report_is_true(
    package: str, command: Any, tmp_path: Path
) -> None:
    status, printed = command("demo")
    first = printed.partition("makes of it:\n\n")[2].splitlines()[0]
    assert status == 0 and first.startswith("1. $")
    finding = json.loads(command("costs", "--json", "--environment", "demo")[1])["findings"][0]
    assert finding["text"] in first
    evidence, queries = finding["evidence"], module(package, "queries")
    path = tmp_path / "ledger.sqlite3"
    rows = queries.sums(path, ("task_type", "provider", "request_model"), 0, environment="demo")
    task = evidence["task_type"]
    dear = next(row for row in rows if row.key == (task, *evidence["model"].split(":", 1)))
    assert (
        evidence["cost_nano_usd"]
        == dear.cost_nano_usd
        == 10**9 * list_price(evidence["model"], dear)
    )
    assert evidence["other_nano_usd"] == 10**9 * list_price(evidence["other_model"], dear)
    assert finding["nano_usd_per_month"] == dear.cost_nano_usd - evidence["other_nano_usd"] > 0


def test_costs_its_options_and_its_words_live_together(command: Any, tmp_path: Path) -> None:
    command("demo")
    page = tmp_path / "costs.html"
    assert command("costs", "--html", str(page))[0] == 0 and page.read_text("utf-8")
    assert command("costs", "--weeks", "2", "--by", "task")[0] == 0
    assert command("costs", "reprice", "--dry-run")[0] == 0
    export = tmp_path / "export.csv"
    export.write_text("start_time,amount_value,line_item\n0,0.10,gpt-6-luna\n", "utf-8")
    assert command("costs", "reconcile", str(export))[0] == 0
    assert command("costs", "rubbish")[0] == 2


def test_a_page_that_cannot_be_written_is_advice(command: Any, tmp_path: Path) -> None:
    command("demo")
    status, _ = command("costs", "--html", str(tmp_path / "no" / "such" / "folder.html"))
    assert "cannot be written" in str(status)
