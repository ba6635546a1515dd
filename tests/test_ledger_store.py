"""The rendered ledger: commits, rollup, migration, several processes, and databases that fail."""

import asyncio
import contextlib
import math
import os
import random
import resource
import shutil
import signal
import sqlite3
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import ledger_package

PACKAGE = "booked"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    place = tmp_path_factory.mktemp("store") / "w"
    with ledger_package.importable(place, PACKAGE):
        yield place


@pytest.fixture(scope="module")
def store(folder: Path) -> Any:
    assert folder.is_dir()
    return ledger_package.module(PACKAGE, "store")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "ledger.sqlite3"


def write(store: Any, path: Path, *batches: list[Any], **settings: Any) -> None:
    """Open a ledger, write the batches at once, close it."""

    async def play() -> None:
        ledger = store.Ledger(path, store.LedgerSettings(**settings))
        try:
            await asyncio.gather(*map(ledger.write, batches))
        finally:
            ledger.close()

    asyncio.run(play())


def keys(store: Any, path: Path) -> list[tuple[str, int]]:
    return store.select(path, "SELECT call_id, attempt FROM attempts ORDER BY call_id, attempt")


def rollup(store: Any, path: Path) -> dict[Any, Any]:
    """The stored rollup as `ledger_package.fold` gives it."""
    names = (*store.ROLLUP_KEY, *store.COUNTERS)
    rows = store.select(path, f"SELECT {', '.join(names)} FROM rollup")
    at = len(store.ROLLUP_KEY)
    return {row[:at]: dict(zip(store.COUNTERS, row[at:], strict=True)) for row in rows}


def stored(store: Any, path: Path) -> list[Any]:
    rows = store.select(path, f"SELECT {', '.join(store.COLUMNS)} FROM attempts")
    return [store.Attempt(**dict(zip(store.COLUMNS, row, strict=True))) for row in rows]


attempts = st.fixed_dictionaries(
    {
        "ts_us": st.integers(0, 4 * 10**15),
        "latency_ms": st.integers(0, 10**6),
        "attempt": st.integers(1, 3),
        "call_id": st.sampled_from(["a", "b", "c"]),
        "task_type": st.sampled_from(["x", "y"]),
        "deployment": st.sampled_from([None, "eu"]),
        "pipeline": st.sampled_from([None, "router"]),
        "environment": st.sampled_from(["production", "demo"]),
        "outcome": st.sampled_from(
            ["ok", "failed", "rejected", "skipped", "escalated", "aborted", "answered", "new"]
        ),
        "quality": st.one_of(st.none(), st.floats(0, 1)),
        "input_tokens": st.one_of(st.none(), st.integers(-5, 10**7)),
        "output_tokens": st.one_of(st.none(), st.integers(-5, 10**7)),
        "cost_nano_usd": st.one_of(st.none(), st.integers(0, 10**12)),
        "cost_source": st.sampled_from(["list", "override", "provider", "unpriced", "none"]),
    }
)


@given(st.lists(st.lists(attempts, max_size=4), max_size=6))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_rollup_is_what_the_rows_add_up_to(
    store: Any, tmp_path_factory: pytest.TempPathFactory, batches: list[list[dict[str, Any]]]
) -> None:
    path = tmp_path_factory.mktemp("fold") / "l.sqlite3"
    write(store, path, *([ledger_package.row(store, **one) for one in rows] for rows in batches))
    given_keys = {(one["call_id"], one["attempt"]) for rows in batches for one in rows}
    assert {tuple(key) for key in keys(store, path)} == given_keys
    assert rollup(store, path) == ledger_package.fold(store, stored(store, path))
    for total in rollup(store, path).values():
        assert all(value >= 0 for value in total.values())


def test_percentiles_stay_in_their_bucket(store: Any) -> None:
    percentile = ledger_package.module(PACKAGE, "queries").percentile
    counts = [0] * len(store.BUCKETS)
    assert percentile(counts, 0.5) is None
    rng = random.Random(1)
    seen = sorted(round(rng.lognormvariate(6.5, 1)) for _ in range(5000))
    for latency in seen:
        [total] = ledger_package.fold(
            store, [ledger_package.row(store, latency_ms=latency)]
        ).values()
        for at, name in enumerate(store.BUCKETS):
            counts[at] += total[name]
    for share in (0.05, 0.5, 0.95):
        assert percentile(counts, share) == pytest.approx(seen[int(share * 5000)], rel=0.1)


def test_a_key_written_twice_is_booked_once(store: Any, path: Path) -> None:
    row = ledger_package.row(store)
    write(store, path, [row], [row], [ledger_package.row(store)])
    write(store, path, [row])
    assert len(keys(store, path)) == 2
    [total] = rollup(store, path).values()
    assert total["calls"] == 2


def test_a_wrong_row_is_told_to_its_caller_alone(store: Any, path: Path) -> None:
    good = [ledger_package.row(store) for _ in range(3)]
    wrong = [
        ledger_package.row(store, task_type=None),
        ledger_package.row(store, latency_ms=2**70),
        ledger_package.row(store, latency_ms="fast"),
        ledger_package.row(store, tags={"a": 1}),
        ledger_package.row(store, user_ref="\ud83d"),  # half a character
    ]

    async def play() -> list[Any]:
        ledger = store.Ledger(path)
        writes = [ledger.write([row]) for row in (*good[:2], *wrong, good[2])]
        told = await asyncio.gather(*writes, return_exceptions=True)
        ledger.close()
        return told

    told = asyncio.run(play())
    assert [isinstance(one, store.LedgerError) for one in told] == [
        *[False] * 2,
        *[True] * 5,
        False,
    ]
    assert len(keys(store, path)) == 3


V1 = """
CREATE TABLE attempts (
    ts_us INTEGER NOT NULL, latency_ms INTEGER NOT NULL, ttft_ms INTEGER,
    call_id TEXT NOT NULL, run_id TEXT NOT NULL, parent_id TEXT, operation TEXT NOT NULL,
    provider TEXT NOT NULL, deployment TEXT, request_model TEXT NOT NULL, response_model TEXT,
    provider_request_id TEXT, service_tier TEXT, agent TEXT, task_type TEXT NOT NULL,
    pipeline TEXT, stage TEXT NOT NULL, chain TEXT NOT NULL, attempt INTEGER NOT NULL,
    fallback_from TEXT, outcome TEXT NOT NULL, error_type TEXT, quality REAL,
    quality_source TEXT, input_tokens INTEGER, output_tokens INTEGER,
    cache_read_input_tokens INTEGER, cache_creation_input_tokens INTEGER,
    reasoning_output_tokens INTEGER, other_units TEXT, cost_nano_usd INTEGER,
    cost_source TEXT NOT NULL, price_version TEXT, prompt_version TEXT, config_version TEXT,
    environment TEXT NOT NULL, user_ref TEXT, tags TEXT NOT NULL,
    UNIQUE (call_id, attempt)
) STRICT;
CREATE INDEX attempts_by_time ON attempts (ts_us);
PRAGMA user_version = 1;
"""
"""The schema of release v0.1.0: no rollup."""


def version_1(store: Any, path: Path, rows: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    insert = f"INSERT INTO attempts VALUES ({', '.join('?' * len(store.COLUMNS))})"
    with contextlib.closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA journal_mode = WAL")
        database.executescript(V1)
        database.executemany(
            insert, [store.values_of(ledger_package.row(store)) for _ in range(rows)]
        )


def test_a_ledger_of_version_1_gets_its_rollup(store: Any, path: Path) -> None:
    version_1(store, path, 50)
    [(calls,)] = store.select(path, "SELECT SUM(calls) FROM rollup")
    assert calls == 50
    write(store, path, [ledger_package.row(store)])
    assert rollup(store, path) == ledger_package.fold(store, stored(store, path))
    assert len(keys(store, path)) == 51


OPEN = f"import pathlib, sys; from {PACKAGE}.runtime.ledger import store; "
OPEN += "store.Ledger(pathlib.Path(sys.argv[1])).close()"


def test_processes_that_open_at_once_migrate_once(store: Any, folder: Path, path: Path) -> None:
    version_1(store, path, 3000)
    processes = [ledger_package.start(folder, OPEN, path) for _ in range(3)]
    for process in processes:
        _, told = process.communicate(timeout=60)
        assert process.returncode == 0, told
    assert rollup(store, path) == ledger_package.fold(store, stored(store, path))


def test_writers_that_create_at_once(store: Any, tmp_path: Path) -> None:
    """SQLite does not wait for the change to WAL by itself: without a retry, some of these fail."""
    for at in range(40):
        path, told = tmp_path / f"{at}.sqlite3", list[Exception]()
        together = threading.Barrier(8)

        def create(
            path: Path = path, together: threading.Barrier = together, told: list[Exception] = told
        ) -> None:
            together.wait(10)
            try:
                store.connect(path).close()
            except store.LedgerError as error:
                told.append(error)

        threads = [threading.Thread(target=create) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert told == []
        assert keys(store, path) == []


@pytest.mark.slow
def test_a_migration_killed_anywhere_starts_again(store: Any, folder: Path, path: Path) -> None:
    version_1(store, path, 20_000)
    for pause in (0.9, 1.0, 1.1, 1.2, 1.3):
        process = ledger_package.start(folder, OPEN, path)
        time.sleep(pause)
        process.kill()
        process.communicate(timeout=60)
    assert len(keys(store, path)) == 20_000
    assert rollup(store, path) == ledger_package.fold(store, stored(store, path))


def test_a_newer_ledger_is_refused(store: Any, path: Path) -> None:
    write(store, path, [ledger_package.row(store)])
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(store.LedgerError, match="newer workspace"):
        store.Ledger(path)


def test_rows_of_a_locked_ledger_come_in_later(
    store: Any, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(store, "LOCK_S", 0.2)
    write(store, path, [ledger_package.row(store)])

    async def play() -> None:
        ledger = store.Ledger(path)
        with contextlib.closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            for _ in range(3):
                await asyncio.wait_for(ledger.write([ledger_package.row(store)]), 3)
            assert len(keys(store, store.spill_of(path))) == 3
            other.execute("ROLLBACK")
        await ledger.write([ledger_package.row(store)])
        ledger.close()

    asyncio.run(play())
    assert len(keys(store, path)) == 5
    assert rollup(store, path) == ledger_package.fold(store, stored(store, path))
    assert keys(store, store.spill_of(path)) == []
    assert "another process holds it" in caplog.text


def test_what_was_set_aside_is_brought_in_at_the_next_opening(
    store: Any, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    row = ledger_package.row(store)
    write(store, path, [row])
    write(store, store.spill_of(path), [row], [ledger_package.row(store) for _ in range(2500)])
    write(store, path)
    assert len(keys(store, path)) == 2501
    assert rollup(store, path) == ledger_package.fold(store, stored(store, path))
    assert keys(store, store.spill_of(path)) == []
    assert "2500 attempts that were set aside are in the ledger now" in caplog.text


def test_what_an_earlier_release_set_aside_is_named(
    store: Any, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(store, path, [ledger_package.row(store)])
    write(store, store.spill_of(path), [ledger_package.row(store)])
    for name in ("ledger.spill.jsonl", "ledger.spill.0123.jsonl"):
        file = path.with_name(name)
        file.write_text("{}")
        caplog.clear()
        write(store, path)
        assert f"`ledger import {file}`" in caplog.text
        file.unlink()
    assert len(keys(store, path)) == 2


def test_rows_set_aside_while_another_process_brings_in_are_not_lost(
    store: Any, path: Path
) -> None:
    write(store, path)
    spill, total = store.spill_of(path), 300

    def add() -> None:
        for _ in range(total // 3):
            with contextlib.closing(store.connect(spill)) as aside:
                aside.write([ledger_package.row(store)])

    adding = [threading.Thread(target=add) for _ in range(3)]
    for thread in adding:
        thread.start()
    database = store.connect(path)
    while any(thread.is_alive() for thread in adding):
        store.bring_in(spill, database)
    store.bring_in(spill, database)
    database.close()
    assert len(keys(store, path)) == total


FULL = f"""
import asyncio, pathlib, resource, signal, sys
from {PACKAGE}.runtime.ledger import store
from tests.ledger_package import row

async def play():
    ledger = store.Ledger(pathlib.Path(sys.argv[1]))
    await ledger.write([row(store)])
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), hard))
    done = 0
    try:
        for _ in range(400):
            await ledger.write([row(store)])
            done += 1
    except store.LedgerError as error:
        print("refused", error)
    print("done", done + 1)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    ledger.close()

asyncio.run(play())
"""


@pytest.mark.parametrize("limit", [150_000, 1])
def test_a_full_disk_keeps_every_acknowledged_row(
    store: Any, folder: Path, path: Path, limit: int
) -> None:
    """A limit on the size of files stands in for the disk: of the database, or of the spill too."""
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[1] == resource.RLIM_INFINITY
    assert signal.SIGXFSZ
    process = ledger_package.start(folder, FULL, path, limit)
    out, told = process.communicate(timeout=60)
    assert process.returncode == 0, told
    done = int(out.split("done ")[1])
    write(store, path)
    assert len(keys(store, path)) >= done
    assert rollup(store, path) == ledger_package.fold(store, stored(store, path))
    if limit == 1:
        assert "Nor can" in out
        assert '"call_id"' in told  # the last resort: the log has the row
    else:
        assert done > 100


READ_ONLY = f"""
import asyncio, logging, pathlib, sys
from {PACKAGE}.runtime.ledger import store
from tests.ledger_package import row

async def play():
    try:
        ledger = store.Ledger(pathlib.Path(sys.argv[1]))
    except store.LedgerError as error:
        return print("refused", error)
    await ledger.write([row(store)])
    ledger.close()

logging.basicConfig()
asyncio.run(play())
"""


@pytest.mark.parametrize("there", [True, False], ids=["file", "folder"])
def test_what_is_read_only_is_told_and_its_rows_are_kept(
    store: Any, folder: Path, path: Path, there: bool
) -> None:
    path.parent.mkdir()
    if there:
        write(store, path, [ledger_package.row(store)])
    closed = path if there else path.parent
    closed.chmod(0o500)
    # Root may write everywhere, unless it gives that right away.
    root = os.geteuid() == 0
    within = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search") if root else ()
    if root and shutil.which("setpriv") is None:
        pytest.skip("root may write everywhere")
    process = ledger_package.start(folder, READ_ONLY, path, within=within)
    out, told = process.communicate(timeout=60)
    closed.chmod(0o700)
    assert process.returncode == 0, told
    assert "make the file and its folder" in out + told
    write(store, path)
    assert len(keys(store, path)) == (2 if there else 0)


def test_a_ledger_that_cannot_be_written_is_told(store: Any, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(store.LedgerError, match="cannot be opened"):
        store.Ledger(tmp_path / "file" / "ledger.sqlite3")
    (tmp_path / "ledger.sqlite3").mkdir()
    with pytest.raises(store.LedgerError, match="cannot be opened"):
        store.Ledger(tmp_path / "ledger.sqlite3")


def test_a_file_that_is_no_database_is_told_and_left_alone(store: Any, path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"not a database, but somebody's file" * 100)
    for use in (store.Ledger, lambda place: store.select(place, "SELECT 1")):
        with pytest.raises(store.LedgerError, match="move the file away"):
            use(path)
    assert path.read_bytes().startswith(b"not a database")


def test_rows_for_a_database_that_breaks_are_set_aside(store: Any, path: Path) -> None:
    write(store, path, [ledger_package.row(store) for _ in range(2000)])

    async def play() -> None:
        ledger = store.Ledger(path)
        with path.open("r+b") as file:
            for page in range(1, 60):
                file.seek(page * 4096)
                file.write(b"\xff" * 4096)
        await ledger.write([ledger_package.row(store)])
        ledger.close()

    asyncio.run(play())
    [kept] = stored(store, store.spill_of(path))
    assert kept.outcome == "ok"


def test_there_is_no_ledger_yet(store: Any, path: Path) -> None:
    with pytest.raises(store.LedgerError, match="no ledger"):
        store.select(path, "SELECT 1")
    assert not path.exists()


def test_old_rows_go_and_their_rollup_stays(store: Any, path: Path) -> None:
    now = time.time_ns() // 1000
    old = [ledger_package.row(store, ts_us=now - 500 * store.DAY_US) for _ in range(2500)]
    write(store, path, old, [ledger_package.row(store, ts_us=now)])
    write(store, path, retention_days=0)
    assert len(keys(store, path)) == 2501
    ledger = store.Ledger(path, store.LedgerSettings(retention_days=400))
    deadline = time.monotonic() + 10
    while len(keys(store, path)) > 1 and time.monotonic() < deadline:
        time.sleep(0.02)
    ledger.close()
    assert len(keys(store, path)) == 1
    assert sum(total["calls"] for total in rollup(store, path).values()) == 2501


def test_a_clock_that_jumps_ahead_removes_nothing(
    store: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, path, [ledger_package.row(store)])
    ahead = time.time_ns() + 80 * 365 * store.DAY_US * 1000
    monkeypatch.setattr(store.time, "time_ns", lambda: ahead)
    ledger = store.Ledger(path, store.LedgerSettings(retention_days=1))
    time.sleep(0.2)
    ledger.close()
    monkeypatch.undo()
    assert len(keys(store, path)) == 1


def test_a_clock_that_jumps_back_keeps_rows_and_their_days(
    store: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = time.time_ns() // 1000
    write(store, path, [ledger_package.row(store, ts_us=now)])
    back = now - 900 * store.DAY_US
    monkeypatch.setattr(store.time, "time_ns", lambda: back * 1000)
    row = ledger_package.row(store, ts_us=back)
    write(store, path, [row], retention_days=400)
    monkeypatch.undo()
    assert len(keys(store, path)) == 2
    assert {key[0] for key in rollup(store, path)} == {now // store.DAY_US, back // store.DAY_US}


def test_a_wrong_row_is_not_set_aside(store: Any, path: Path) -> None:
    """While the database does not work either, it is told to its caller alone."""
    write(store, path)
    rows = [ledger_package.row(store, **given) for given in ({}, {"latency_ms": 2**70}, {})]

    async def play() -> list[Any]:
        ledger = store.Ledger(path)
        ledger._retry_at = math.inf
        told = await asyncio.gather(*(ledger.write([row]) for row in rows), return_exceptions=True)
        ledger.close()
        return told

    assert [isinstance(one, store.RowsRefused) for one in asyncio.run(play())] == [
        False,
        True,
        False,
    ]
    assert len(keys(store, path)) == 2


def test_negative_counts_say_nothing(store: Any, path: Path) -> None:
    row = ledger_package.row(store, input_tokens=-5, output_tokens=None)
    write(store, path, [row])
    assert store.select(path, "SELECT input_tokens, output_tokens FROM attempts") == [(None, None)]
    [total] = rollup(store, path).values()
    assert (total["input_tokens"], total["output_tokens"], total["unmeasured"]) == (0, 0, 1)


def test_a_closed_ledger_says_so(store: Any, path: Path) -> None:
    async def play() -> None:
        ledger = store.Ledger(path)
        ledger.close()
        with pytest.raises(store.LedgerError, match="closed"):
            await ledger.write([ledger_package.row(store)])

    asyncio.run(play())


def test_callers_that_left_disturb_nobody(store: Any, path: Path) -> None:
    async def leave(ledger: Any) -> None:
        task = asyncio.create_task(ledger.write([ledger_package.row(store)]))
        await asyncio.sleep(0)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    ledger = store.Ledger(path)
    asyncio.run(leave(ledger))
    loop = asyncio.new_event_loop()
    left = loop.create_task(ledger.write([ledger_package.row(store)]))
    loop.run_until_complete(asyncio.sleep(0))
    left.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        loop.run_until_complete(left)
    loop.close()
    ledger.close()
    assert len(keys(store, path)) == 2


def kill_nine(store: Any, folder: Path, path: Path, times: int) -> None:
    """Kill a writing process at random moments; what it was told is committed must be there."""
    acknowledged = ledger_package.acknowledged_until_killed(folder, PACKAGE, path, times)
    there = [key for key, _ in keys(store, path)]
    assert len(there) == len(set(there))
    assert acknowledged <= set(there)
    assert len(acknowledged) > 20 * times
    assert rollup(store, path) == ledger_package.fold(store, stored(store, path))


def test_nothing_acknowledged_is_lost_in_a_kill(store: Any, folder: Path, path: Path) -> None:
    kill_nine(store, folder, path, 2)


@pytest.mark.slow
def test_nothing_acknowledged_is_lost_in_fifty_kills(store: Any, folder: Path, path: Path) -> None:
    kill_nine(store, folder, path, 50)


def test_settings_say_what_they_mean(store: Any, folder: Path) -> None:
    """The rendered fleet.toml keeps rows for a time and stores no prompts."""
    fleet = ledger_package.importlib.import_module(f"{PACKAGE}.runtime.fleet")
    settings = fleet.load(folder / "fleet.toml").section("ledger", store.LedgerSettings)
    assert (settings.retention_days, settings.record_content) == (400, False)
    assert settings.content_days == 30
