"""Export, import, erasing and repricing in a rendered workspace."""

import asyncio
import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import commands, ledger_package
from tests.examples import examples, first_quick

PACKAGE = "carried"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("tools") / "w"
    extras = ["ledger_tools", "ledger_parquet", "prices"]
    with ledger_package.importable(place, PACKAGE, extras=extras, providers=["openai"]):
        yield place


@pytest.fixture(scope="module")
def store(folder: Path) -> Any:
    assert folder.is_dir()
    return ledger_package.module(PACKAGE, "store")


@pytest.fixture(scope="module")
def transfer(store: Any) -> Any:
    assert store
    return ledger_package.module(PACKAGE, "transfer")


def write(store: Any, path: Path, rows: list[Any]) -> None:
    async def play() -> None:
        ledger = store.Ledger(path)
        await ledger.write(rows)
        ledger.close()

    asyncio.run(play())


def read_rows(store: Any, path: Path) -> list[tuple[Any, ...]]:
    names = ", ".join(store.COLUMNS)
    return store.select(path, f"SELECT {names} FROM attempts ORDER BY call_id, attempt")


def rollup(store: Any, path: Path) -> list[tuple[Any, ...]]:
    return store.select(path, f"SELECT * FROM rollup ORDER BY {', '.join(store.ROLLUP_KEY)}")


ALL = (-1, 10**17)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
rows = st.lists(
    st.fixed_dictionaries(
        {
            "task_type": texts.filter(bool),
            "user_ref": st.one_of(st.none(), texts.filter(bool)),
            "tags": st.dictionaries(texts, texts, max_size=2).map(json.dumps),
            "quality": st.one_of(st.none(), st.floats(0, 1)),
            "input_tokens": st.one_of(st.none(), st.integers(0, 2**50)),
            "cost_nano_usd": st.one_of(st.none(), st.integers(0, 2**62)),
            "ts_us": st.sampled_from([1, 2, 3, 10**15]),
        }
    ),
    max_size=8,
)


@pytest.mark.parametrize("format_", first_quick(["csv", "jsonl", "parquet"]))
@given(attempts=rows)
@settings(max_examples=examples(25), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_exported_can_be_imported(
    store: Any,
    transfer: Any,
    tmp_path_factory: pytest.TempPathFactory,
    format_: str,
    attempts: list[dict[str, Any]],
) -> None:
    """Every row, every column, any text; twice is once, and the rollup is the same."""
    place = tmp_path_factory.mktemp("carry")
    one, other, file = place / "a.sqlite3", place / "b.sqlite3", place / f"rows.{format_}"
    write(store, one, [ledger_package.row(store, **given) for given in attempts] or [])
    store.connect(one).close()
    seen: list[int] = []
    assert transfer.export(one, file, format_, ALL, seen.append) == len(attempts)
    assert transfer.import_(other, file, format_, seen.append) == (len(attempts), [])
    assert transfer.import_(other, file, format_, seen.append) == (0, [])
    assert read_rows(store, other) == read_rows(store, one)
    assert rollup(store, other) == rollup(store, one)
    assert [path.name for path in place.iterdir() if "part" in path.name] == []


def test_pages_do_not_lose_rows_of_the_same_moment(
    store: Any, transfer: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.sqlite3"
    write(store, path, [ledger_package.row(store, ts_us=7 + at // 50) for at in range(120)])
    monkeypatch.setattr(transfer, "PAGE", 11)
    pages = list(transfer.pages(path, "1 = 1", *ALL))
    assert len({row.call_id for page in pages for row in page}) == 120
    assert sum(len(page) for page in transfer.pages(path, "attempt = 1", 8, 9)) == 50


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return commands.run(PACKAGE, *words, folder=folder, FLEET_ROOT=str(folder))


@pytest.fixture
def ledger(folder: Path) -> Iterator[Path]:
    path = folder / "data" / "ledger.sqlite3"
    yield path
    for file in path.parent.glob("ledger*"):
        file.unlink()


def test_a_file_with_broken_rows_is_imported_as_far_as_it_goes(
    store: Any, folder: Path, ledger: Path, tmp_path: Path
) -> None:
    write(store, ledger, [ledger_package.row(store) for _ in range(3)])
    file = tmp_path / "rows.csv"
    assert command(folder, "ledger", "export", str(file)).stdout.startswith("3 attempts")
    head, *lines = file.read_text().splitlines()
    lines[1] = lines[1].replace(",120,", ",soon,", 1)
    file.write_text("\n".join([f"{head},more", *lines, "1,2", ""]))
    ledger.unlink()
    done = command(folder, "ledger", "import", str(file))
    assert done.returncode == 1
    assert done.stdout.startswith("2 new attempts")
    assert "latency_ms" in done.stderr and "2 rows" in done.stderr
    assert "Traceback" not in done.stderr
    assert len(read_rows(store, ledger)) == 2


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("x.csv", b"a,b\n1,2\n", "no column"),
        ("x.parquet", b"PAR0", "cannot be read"),
        ("x.jsonl", b"\xff\xfe", "cannot be read"),
        ("x.txt", b"", "--format"),
        ("missing.csv", None, "cannot be read"),
    ],
)
def test_a_wrong_file_is_an_error_of_one_line(
    folder: Path, ledger: Path, tmp_path: Path, name: str, content: bytes | None, message: str
) -> None:
    assert ledger.parent.parent == folder
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = command(folder, "ledger", "import", str(tmp_path / name))
    error, *hint = done.stderr.splitlines()
    assert done.returncode == 1 and error.startswith("error: "), done.stderr
    assert all(line.startswith("hint: ") for line in hint) and len(hint) < 2, done.stderr
    assert message in done.stderr


def test_an_export_that_fails_leaves_the_old_file(
    store: Any, transfer: Any, tmp_path: Path
) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text("old")
    with pytest.raises(store.LedgerError):
        transfer.export(tmp_path / "none.sqlite3", file, "jsonl", ALL, print)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]
    assert file.read_text() == "old"


def test_a_user_is_erased_and_the_sums_stay(store: Any, folder: Path, ledger: Path) -> None:
    write(store, ledger, [ledger_package.row(store, user_ref="ada-4711") for _ in range(4)])
    write(store, ledger, [ledger_package.row(store, user_ref="bob")])
    write(store, store.spill_of(ledger), [ledger_package.row(store, user_ref="ada-4711")])
    open_ = store.SqliteDatabase(ledger)  # of a process that goes on, and holds the -wal
    open_.write([ledger_package.row(store, user_ref="ada-4711", environment="test")])
    done = command(folder, "ledger", "erase", "--user", "ada-4711")
    assert done.stdout.startswith("6 attempts erased"), done.stderr
    left = b"".join(path.read_bytes() for path in ledger.parent.glob("ledger*"))
    assert b"ada-4711" not in left
    open_.close()
    assert len(read_rows(store, ledger)) == 1
    assert store.select(ledger, "SELECT SUM(calls) FROM rollup") == [(7,)]
    store.connect(ledger).close()
    left = b"".join(path.read_bytes() for path in ledger.parent.glob("ledger*"))
    assert b"ada-4711" not in left
    assert b"bob" in left


def test_what_an_earlier_release_set_aside_is_imported_before_a_user_is_erased(
    store: Any, folder: Path, ledger: Path
) -> None:
    write(store, ledger, [ledger_package.row(store, user_ref="ada-4711")])
    left = ledger.with_suffix(".spill.jsonl")
    row = json.dumps(asdict(ledger_package.row(store, user_ref="ada-4711")))
    left.write_text(f'\n{row}\n{{"ts_us": 1, "call_')  # killed while it wrote
    refused = command(folder, "ledger", "erase", "--user", "ada-4711")
    error, hint = refused.stderr.splitlines()
    assert refused.returncode == 1 and error.startswith("error: ")
    assert hint.startswith("hint: ") and f"`ledger import {left}`" in hint
    done = command(folder, "ledger", "import", str(left))
    assert done.stdout.startswith("1 new attempts"), done.stderr
    left.unlink()
    done = command(folder, "ledger", "erase", "--user", "ada-4711")
    assert done.stdout.startswith("2 attempts erased"), done.stderr


def test_what_had_no_price_gets_one(store: Any, folder: Path, ledger: Path) -> None:
    march = int(time.mktime((2026, 3, 1, 12, 0, 0, 0, 0, 0))) * 1_000_000
    unpriced: dict[str, Any] = {"cost_nano_usd": None, "cost_source": "unpriced", "ts_us": march}
    own = {"provider": "openai", "request_model": "ft:own", "outcome": "rejected"}
    rows = [ledger_package.row(store, **unpriced, **own) for _ in range(3)]
    rows += [ledger_package.row(store, **unpriced, other_units='{"web_searches": 2}')]
    rows += [ledger_package.row(store, **unpriced, request_model="nobody-knows-it")]
    listed = {"request_model": "gpt-5-mini", "call_id": "plain", "outcome": "rejected"}
    rows += [ledger_package.row(store, **unpriced, **listed)]
    keys = listed | {"call_id": "own keys", "service_tier": "is_byok=True cost=0.25"}
    rows += [ledger_package.row(store, **unpriced, **keys)]
    broken_off = {**own, "outcome": "aborted"}
    rows += [ledger_package.row(store, **unpriced, **broken_off)]
    rows += [ledger_package.row(store)]
    write(store, ledger, rows)
    (folder / "prices.toml").write_text(
        '["openai:ft:own"]\ninput_usd = "1"\noutput_usd = "5"\n', "utf-8"
    )
    before = read_rows(store, ledger)
    dry = command(folder, "costs", "reprice", "--dry-run")
    assert dry.returncode == 1, dry.stderr
    assert read_rows(store, ledger) == before
    done = command(folder, "costs", "reprice")
    assert "would be priced" in dry.stdout and "would be priced" not in done.stdout
    assert dry.stdout.split("ft:own")[1].split() == done.stdout.split("ft:own")[1].split()
    again = command(folder, "costs", "reprice")
    assert (again.returncode, "ft:own" in again.stdout) == (1, False)
    costs = dict(
        store.select(ledger, "SELECT request_model, MAX(cost_nano_usd) FROM attempts GROUP BY 1")
    )
    assert costs["ft:own"] == 2_000_000
    query = "SELECT outcome, cost_source FROM attempts WHERE request_model = 'ft:own' GROUP BY 1"
    assert store.select(ledger, query) == [("aborted", "estimated"), ("rejected", "override")]
    assert costs["nobody-knows-it"] is None
    query = "SELECT call_id, cost_nano_usd, cost_source FROM attempts WHERE request_model = 'gpt-5-mini'"
    found = {id_: (usd, source) for id_, usd, source in store.select(ledger, query)}
    usd, source = found["plain"]
    assert (source, found["own keys"]) == ("list", (usd + 250_000_000, "estimated"))
    assert costs["gpt-5-nano"] > 130_000
    attempts = [
        store.Attempt(**dict(zip(store.COLUMNS, row, strict=True)))
        for row in read_rows(store, ledger)
    ]
    expected = [
        (*key, *total.values()) for key, total in ledger_package.fold(store, attempts).items()
    ]
    assert sorted(rollup(store, ledger)) == sorted(expected)
    (folder / "prices.toml").unlink()
