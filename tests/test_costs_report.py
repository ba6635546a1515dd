"""`costs` on ledgers whose truth is known: the sums, the periods, the formats, the bad input."""

import csv
import io
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.costs_ledger import CHEAP, DEAR, attempts, today, write
from tests.ledger_package import importable, module


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("costs") / "w"
    with importable(folder, "report_desk", extras=["cost_reports"]) as name:
        yield name


@pytest.fixture(scope="module")
def store(package: str) -> Any:
    return module(package, "store")


@pytest.fixture(scope="module")
def queries(package: str) -> Any:
    return module(package, "queries")


@pytest.fixture
def cli(package: str) -> ModuleType:
    return __import__(f"{package}.cli", fromlist=["main"])


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str) -> Path:
    """Where the commands look for the ledger; there is none yet."""
    file = Path(__import__(package).__file__ or "").parents[2]
    monkeypatch.setenv("FLEET_ROOT", str(file))
    monkeypatch.setenv("FLEET_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.sqlite3")
    return tmp_path / "ledger.sqlite3"


@pytest.fixture
def costs(
    path: Path, cli: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Run `costs` with these words on `path`: its exit status or advice, and what it printed."""
    assert not path.exists()

    def run(*words: str) -> tuple[Any, str]:
        monkeypatch.setattr("sys.argv", ["desk", "costs", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        return ended.value.code, printed.out + printed.err

    return run


def two_weeks(store: Any, path: Path) -> Path:
    return write(
        store,
        path,
        attempts(store, 10, days_ago=0, cost_nano_usd=3_000_000, latency_ms=100),
        attempts(store, 5, days_ago=6, cost_nano_usd=3_000_000, latency_ms=200),
        attempts(store, 5, days_ago=6, outcome="rejected", cost_nano_usd=1_000_000),
        attempts(store, 4, days_ago=7, cost_nano_usd=2_000_000),
        attempts(store, 3, days_ago=13, model=CHEAP, cost_nano_usd=42),
        attempts(store, 9, days_ago=14, cost_nano_usd=9_000_000),
        attempts(store, 2, model="own", cost_nano_usd=None, cost_source="unpriced"),
        attempts(store, 7, environment="demo", cost_nano_usd=5_000_000),
        attempts(store, 6, outcome="skipped", cost_nano_usd=None, cost_source="none"),
    )


def test_this_week_against_last(package: str, store: Any, path: Path) -> None:
    by = ("task_type", "request_model")
    report = module(package, "report_text").Report(two_weeks(store, path), by, 7)
    dear = next(row for row in report.rows if row.key[1] == DEAR)
    assert (dear.attempts, dear.ok, dear.rejected, dear.skipped) == (20, 15, 5, 6)
    assert dear.cost_nano_usd == 15 * 3_000_000 + 5 * 1_000_000
    assert dear.wasted_nano_usd == 5_000_000
    assert dear.nano_usd_per_success == round(50_000_000 / 15)
    assert dear.failure_rate == 0.25
    assert report.before[dear.key].cost_nano_usd == 4 * 2_000_000
    assert report.unpriced == {"own:own": 2}
    assert sum(row.cost_nano_usd for row in report.before.values()) == 8_000_126


def test_json_and_csv_tell_the_same_exact_numbers(store: Any, costs: Any, path: Path) -> None:
    two_weeks(store, path)
    status, printed = costs("--json")
    whole = json.loads(printed)
    assert status == 0
    _, lines = costs("--csv")
    rows = list(csv.DictReader(io.StringIO(lines)))
    assert [row["request_model"] for row in rows] == [row["request_model"] for row in whole["rows"]]
    for row, record in zip(rows, whole["rows"], strict=True):
        for name in ("attempts", "cost_nano_usd", "input_tokens", "p95_ms"):
            assert row[name] == ("" if record[name] is None else str(record[name]))
    own = next(row for row in whole["rows"] if row["request_model"] == "own")
    assert own["cost_nano_usd"] is None and own["unpriced_share"] == 1
    assert whole["unpriced"] == {"own:own": 2}
    assert whole["total"]["cost_nano_usd"] == 50_000_000


def test_text_puts_what_is_unpriced_before_the_sums(store: Any, costs: Any, path: Path) -> None:
    two_weeks(store, path)
    _, printed = costs()
    top, _, table = printed.partition("task_type")
    assert "Unpriced: 2, in no figure below: own:own (2)." in top
    assert "≥$0.05, 22 calls" not in top  # skipped calls began too
    assert "≥$0.05" in top
    own = next(line for line in table.splitlines() if " own " in line)
    assert "unpriced" in own and "$0" not in own


def without_usage(store: Any, count: int, **given: Any) -> list[Any]:
    """Answers whose provider did not say what they used."""
    nothing = {"input_tokens": None, "output_tokens": None, "cost_nano_usd": None}
    return attempts(store, count, **{**nothing, "cost_source": "none", **given})


def test_every_total_says_how_many_calls_lack_usage(store: Any, costs: Any, path: Path) -> None:
    today: dict[str, Any] = {"days_ago": 0}
    answered = attempts(store, 1, cost_nano_usd=65_000, **today)
    write(store, path, without_usage(store, 9, **today), answered)
    _, printed = costs()
    assert f"Answered without usage: 9, in no figure below: anthropic:{DEAR} (9)." in printed
    assert "≥$0.000065 (lacks 9 without usage), 10 calls" in printed
    assert "≈$0.000065" in printed and "$0.0000065" not in printed  # one measured call cost that
    assert "This month: ≥$0.000065 (lacks 9 without usage)" in printed
    whole = json.loads(costs("--json")[1])
    assert whole["unmeasured"] == {f"anthropic:{DEAR}": 9}
    assert (whole["total"]["unmeasured"], whole["rows"][0]["unmeasured"]) == (9, 9)
    assert next(iter(csv.DictReader(io.StringIO(costs("--csv")[1]))))["unmeasured"] == "9"


def test_csv_holds_no_escape_sequence(store: Any, costs: Any, path: Path) -> None:
    write(store, path, attempts(store, 1, task_type="\x1b[31mred", model="\x1b[0m=cmd()"))
    printed = costs("--csv")[1]
    row = next(iter(csv.DictReader(io.StringIO(printed))))
    assert (row["task_type"], row["request_model"]) == ("red", "'=cmd()")
    assert "\x1b" not in printed


def test_what_is_all_unmeasured_is_not_free(store: Any, costs: Any, path: Path) -> None:
    write(store, path, without_usage(store, 3), attempts(store, 2, days_ago=8))
    report, _, _ = costs()[1].partition("This month")
    top, _, table = report.partition("task_type")
    assert "unmeasured (lacks 3 without usage), 3 calls" in top
    assert "unmeasured" in table and "$0.00 " not in table
    whole = json.loads(costs("--json")[1])
    assert whole["total"]["cost_nano_usd"] is None
    assert whole["previous_total"]["unmeasured"] == 0


def test_a_month_that_is_all_unmeasured_is_not_free(store: Any, costs: Any, path: Path) -> None:
    write(store, path, without_usage(store, 3, days_ago=0))
    assert "This month: unmeasured (lacks 3 without usage) of $100.00" in costs()[1]


def test_no_success_has_no_least_cost(store: Any, costs: Any, path: Path) -> None:
    rejected = attempts(store, 3, outcome="rejected", cost_nano_usd=1_000_000)
    unpriced: dict[str, Any] = {"cost_nano_usd": None, "cost_source": "unpriced"}
    write(store, path, rejected, attempts(store, 2, outcome="rejected", **unpriced))
    printed = costs()[1]
    assert "≥$0.003" in printed and "≥-" not in printed


def test_small_amounts_keep_their_digits(store: Any, costs: Any, path: Path) -> None:
    write(store, path, attempts(store, 1, cost_nano_usd=42_000))
    assert "$0.000042" in costs()[1]


@pytest.mark.parametrize(
    ("words", "attempts_seen"),
    [
        ((), 20),
        (("--days", "1"), 10),
        (("--weeks", "2"), 24),
        (("--weeks", "26"), 33),
        (("--environment", "demo"), 7),
    ],
)
def test_periods_and_environments(
    store: Any, costs: Any, path: Path, words: tuple[str, ...], attempts_seen: int
) -> None:
    two_weeks(store, path)
    rows = json.loads(costs("--json", *words)[1])["rows"]
    assert [row["attempts"] for row in rows if row["request_model"] == DEAR] == [attempts_seen]


def test_since_a_date(store: Any, costs: Any, queries: Any, path: Path) -> None:
    two_weeks(store, path)
    date = str(queries.day_of(today() - 7))
    whole = json.loads(costs("--json", "--since", date)[1])
    assert whole["since"] == date
    assert whole["total"]["attempts"] == 26


def test_by_week_and_day_are_named_by_their_first_day(
    store: Any, costs: Any, queries: Any, path: Path
) -> None:
    two_weeks(store, path)
    weeks = json.loads(costs("--json", "--weeks", "2", "--by", "week")[1])["rows"]
    first = today() - 13
    assert {row["week"]: row["attempts"] for row in weeks} == {
        str(queries.day_of(first)): 7,
        str(queries.day_of(first + 7)): 22,
    }
    days = json.loads(costs("--json", "--by", "day")[1])["rows"]
    assert {row["day"]: row["attempts"] for row in days} == {
        str(queries.day_of(today() - ago)): n for ago, n in ((0, 10), (1, 2), (6, 10))
    }


@pytest.mark.parametrize(
    ("words", "advice"),
    [
        (("--by", "nothing"), "is not one of"),
        (("--since", "yesterday"), "like 2026-01-31"),
        (("--since", "9999-01-01"), "yet to come"),
        (("--days", "0"), "from 1 to 36500"),
        (("--days", "14", "--weeks", "1"), "not allowed with"),
        (("--json", "--csv"), "not allowed with"),
    ],
)
def test_wrong_words_are_usage(costs: Any, words: tuple[str, ...], advice: str) -> None:
    status, printed = costs(*words)
    assert status == 2
    assert advice in printed


def test_escalations_are_a_share_of_the_tasks_calls(store: Any, costs: Any, path: Path) -> None:
    asked = attempts(store, 20, chain="main")
    tickets = [
        store.Attempt(
            **{
                **{name: getattr(row, name) for name in store.COLUMNS},
                **{"attempt": 2, "outcome": "escalated", "request_model": "human"},
                **{"provider": "human", "cost_nano_usd": None, "cost_source": "none"},
            }
        )
        for row in asked[:5]
    ]
    write(store, path, asked, tickets)
    rows = json.loads(costs("--json")[1])["rows"]
    human = next(row for row in rows if row["request_model"] == "human")
    assert human["escalation_rate"] == 0.25


def test_demo_rows_stand_in_only_while_there_are_no_others(
    store: Any, costs: Any, path: Path
) -> None:
    write(store, path, attempts(store, 3, environment="demo"))
    status, printed = costs()
    assert status == 0 and "the demo's recorded ones" in printed and DEAR in printed
    assert "This month: $0.00" in printed and "billed to nobody" in printed


def test_the_demo_has_cost_the_month_nothing(store: Any, costs: Any, path: Path) -> None:
    write(store, path, attempts(store, 3, days_ago=0, environment="demo"))
    month = json.loads(costs("--json", "--environment", "demo")[1])["month"]
    assert month["cost_nano_usd"] == 0 and month["forecast_nano_usd"] is None


def test_help_loads_no_library_for_models(package: str, cli: ModuleType) -> None:
    code = (
        f"import sys; from {package} import cli\n"
        "sys.argv[1:] = ['--help']\n"
        "try: cli.main()\n"
        "except SystemExit: pass\n"
        "print({'pydantic_ai', 'genai_prices', 'httpx'} & set(sys.modules))"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(cli.__file__ or "").parents[1])}
    words = [sys.executable, "-c", code]
    printed = subprocess.run(words, env=env, capture_output=True, text=True, timeout=60, check=True)
    assert printed.stdout.splitlines()[-1] == "set()"


def test_no_ledger_is_advice(costs: Any) -> None:
    status, _ = costs()
    assert "run `demo` or `ask` first" in str(status)


def test_an_empty_file_is_a_ledger_without_calls(costs: Any, path: Path) -> None:
    path.write_bytes(b"")
    status, printed = costs()
    assert status == 0 and "run `demo` or `ask` first" in printed


def test_a_file_that_is_no_ledger_is_advice(costs: Any, path: Path) -> None:
    path.write_bytes(b"not a database at all" * 100)
    status, printed = costs()
    assert status not in (0, None)
    assert "Traceback" not in printed
    assert [line.partition(":")[0] for line in str(status).splitlines()] == ["error", "hint"]


def test_a_corrupt_ledger_is_advice(store: Any, costs: Any, path: Path) -> None:
    two_weeks(store, path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    status, printed = costs()
    assert "cannot be read" in str(status) and "Traceback" not in printed


def test_a_read_only_ledger_is_read(store: Any, costs: Any, path: Path) -> None:
    two_weeks(store, path)
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode = DELETE")
    path.chmod(0o444)
    assert costs()[0] == 0


def test_a_ledger_that_is_being_written_is_read(store: Any, costs: Any, path: Path) -> None:
    two_weeks(store, path)
    writer = sqlite3.connect(path, isolation_level=None)
    writer.execute("BEGIN IMMEDIATE")
    try:
        assert costs()[0] == 0
    finally:
        writer.close()


def test_rows_of_a_clock_that_ran_ahead_are_counted_and_told(
    store: Any, costs: Any, path: Path
) -> None:
    write(store, path, attempts(store, 4, days_ago=-3000), attempts(store, 4, days_ago=20_000))
    status, printed = costs()
    assert status == 0
    assert "4 calls are dated after today" in printed


def test_tokens_that_were_not_reported_are_no_zero_cost(store: Any, costs: Any, path: Path) -> None:
    cut: dict[str, Any] = dict.fromkeys(("input_tokens", "output_tokens", "cost_nano_usd"))
    write(store, path, attempts(store, 4, cost_source="none", outcome="failed", **cut))
    rows = json.loads(costs("--json")[1])["rows"]
    assert rows[0]["cost_nano_usd"] is None and rows[0]["failed"] == 4
    assert "$0.00" not in costs()[1].partition("This month")[0]


@given(nano=st.integers(1, 10**15))
def test_an_amount_is_never_shown_as_nothing(package: str, nano: int) -> None:
    shown = module(package, "report_text").dollars(nano)
    value = float(shown.removeprefix("$").replace(",", ""))
    assert value > 0
    assert abs(value - nano / 1e9) <= max(0.005 * nano / 1e9, 0.005 if nano >= 10**9 else 0)


def test_months_are_calendar_months(store: Any, queries: Any, path: Path) -> None:
    day = queries.day_of(today()).day
    write(
        store,
        path,
        attempts(store, 1, days_ago=0, cost_nano_usd=5),
        attempts(store, 1, days_ago=day, cost_nano_usd=7),
    )
    assert queries.month_by_task(path) == {"classification": 5}
    assert queries.month_by_task(path, "demo").total() == 0


def write_varied(store: Any, path: Path) -> Path:
    """Write attempts that differ in all that a counter of the rollup looks at."""
    rows: list[Any] = []
    for at, outcome in enumerate([*store.OUTCOMES, "ok", "ok"]):
        unpriced = at % 4 == 3
        rows += attempts(
            store,
            3 + at,
            days_ago=at % 3,
            model=(DEAR, CHEAP)[at % 2],
            outcome=outcome,
            attempt=1 + at % 2,
            latency_ms=5 * 7**at,
            cost_nano_usd=None if unpriced else 1000 + at,
            cost_source="unpriced" if unpriced else "list",
            quality=(None, 0.25, 0.875)[at % 3],
            cache_read_input_tokens=(None, 40)[at % 2],
            user_ref=(None, "ann", "bob")[at % 3],
            agent=("analyst", None)[at % 2],
            tags=('{"team": "red"}', '{"team": "blue", "n": 1}', "{}")[at % 3],
        )
    return write(store, path, rows, attempts(store, 4, days_ago=8, environment="demo"))


@pytest.mark.parametrize("by", [("task_type", "request_model"), ("provider",), ("chain", "week")])
def test_a_scan_of_the_attempts_adds_up_to_the_rollup(
    package: str, store: Any, queries: Any, path: Path, by: tuple[str, ...]
) -> None:
    scan = module(package, "scan")
    write_varied(store, path)
    for environment, found in ((None, True), ("demo", True), ("staging", False)):
        asked = (path, by, today() - 13, today() + 1, environment)
        assert scan.sums(*asked) == queries.sums(*asked)
        assert bool(scan.sums(*asked)) is found


@pytest.mark.parametrize(
    ("by", "expected"),
    [
        ("user", {"": 3, "ann": 4 + 10, "bob": 5 + 8 + 11}),
        ("agent", {"analyst": 3 + 5 + 11, "": 4 + 8 + 10}),
        ("tag:team", {"red": 3, "blue": 4 + 10, "": 5 + 8 + 11}),
    ],
)
def test_by_what_only_attempts_have(
    store: Any, costs: Any, path: Path, by: str, expected: dict[str, int]
) -> None:
    write_varied(store, path)
    name = "user_ref" if by == "user" else by
    rows = json.loads(costs("--json", "--by", by)[1])["rows"]
    assert {row[name]: row["attempts"] for row in rows} == expected


def test_a_scan_shows_its_progress_on_a_terminal_only(
    package: str, store: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_varied(store, path)
    shown = io.StringIO()
    monkeypatch.setattr("sys.stderr", shown)
    asked = (path, ("agent",), today() - 13, today() + 1, None)
    module(package, "scan").sums(*asked)
    assert shown.getvalue() == ""
    monkeypatch.setattr(shown, "isatty", lambda: True)
    module(package, "scan").sums(*asked)
    assert "41 of 41 attempts" in shown.getvalue()


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Render a package without any extra."""
    with importable(tmp_path_factory.mktemp("plain") / "w", "plain_desk") as name:
        yield name


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Render a package with the findings that new workspaces have, and no more."""
    folder = tmp_path_factory.mktemp("usual") / "w"
    with importable(folder, "usual_desk", extras=["findings"]) as name:
        yield name


@pytest.mark.parametrize("desk", ["plain", "usual"])
def test_without_the_reports_costs_say_how_to_get_them(
    desk: str,
    path: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    package = request.getfixturevalue(desk)
    write(module(package, "store"), path, attempts(module(package, "store"), 3))
    cli = __import__(f"{package}.cli", fromlist=["main"])
    monkeypatch.setattr("sys.argv", ["desk", "costs", "--html", "x.html"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2 and "--html" in capsys.readouterr().err
    monkeypatch.setattr("sys.argv", ["desk", "costs", "--by", "user"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert "`scaffold add extra cost_reports`" in str(ended.value.code)
    assert [one.partition(":")[0] for one in str(ended.value.code).splitlines()] == [
        "error",
        "hint",
    ]
    monkeypatch.setattr("sys.argv", ["desk", "costs"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 0 and DEAR in capsys.readouterr().out


def test_an_environment_that_no_call_was_made_in_names_those_there_are(
    store: Any, costs: Any, path: Path
) -> None:
    write(store, path, attempts(store, 3), attempts(store, 2, environment="staging"))
    for words in ((), ("--json",), ("--csv",)):
        status, table = costs("--environment", "nope", *words)
        assert status == (
            "error: No calls match: none was made in environment 'nope'\n"
            "hint: take --environment production or staging, or run `ask` first"
        )
        assert table == ""
    assert costs("--environment", "staging")[0] == 0


def test_a_period_without_calls_is_not_called_fine(store: Any, costs: Any, path: Path) -> None:
    write(store, path, attempts(store, 3, days_ago=40, environment="staging"))
    _, printed = costs("--environment", "staging")
    assert "Nothing stands out" not in printed and "No calls in these 7 days" in printed


def test_a_tag_that_no_call_has_names_those_there_are(store: Any, costs: Any, path: Path) -> None:
    write(store, path, attempts(store, 3, tags='{"team": "a", "lang": "de"}'))
    status, printed = costs("--by", "tag:teem")
    assert status == 0
    assert "No call of these 7 days has a teem: the tags are lang, team.\n" in printed
    assert "No call of these 7 days has a user.\n" in costs("--by", "tag:team,user")[1]
    assert "No call" not in costs("--by", "tag:team,task")[1]


@pytest.mark.parametrize("removed", ["1", "ts_us <= (SELECT MAX(ts_us) FROM attempts) - 9"])
def test_sums_by_user_name_the_attempts_whose_rows_were_removed(
    store: Any, costs: Any, path: Path, removed: str
) -> None:
    write(store, path, attempts(store, 10, user_ref="ann"))
    with closing(sqlite3.connect(path)) as ledger, ledger:
        lost = ledger.execute(f"DELETE FROM attempts WHERE {removed}").rowcount
    for words in (["--by", "user"], ["--by", "tag:team,user", "--environment", "production"]):
        status, printed = costs(*words)
        assert status == 0 and "No calls match" not in printed
        assert f"{lost} of 10 attempts are left out: their rows were removed" in printed
    assert "left out" not in costs("--by", "task")[1]
