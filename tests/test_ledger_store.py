"""The rendered ledger: commits, rollup, migration, several processes, kills."""

import asyncio
import contextlib
import random
import sqlite3
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests import ledger_package
from tests.examples import examples
from tests.stores import PACKAGE, folder, keys, path, read_rows, rollup, store, write

__all__ = ["folder", "path", "store"]


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
@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_the_rollup_is_what_the_rows_add_up_to(
    store: Any, tmp_path_factory: pytest.TempPathFactory, batches: list[list[dict[str, Any]]]
) -> None:
    path = tmp_path_factory.mktemp("fold") / "l.sqlite3"
    write(store, path, *([ledger_package.row(store, **one) for one in rows] for rows in batches))
    given_keys = {(one["call_id"], one["attempt"]) for rows in batches for one in rows}
    assert {tuple(key) for key in keys(store, path)} == given_keys
    assert rollup(store, path) == ledger_package.fold(store, read_rows(store, path))
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


def test_a_wrong_row_is_refused_to_its_caller_alone(store: Any, path: Path) -> None:
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
        results = await asyncio.gather(*writes, return_exceptions=True)
        ledger.close()
        return results

    results = asyncio.run(play())
    assert [isinstance(one, store.LedgerError) for one in results] == [
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
    assert rollup(store, path) == ledger_package.fold(store, read_rows(store, path))
    assert len(keys(store, path)) == 51


OPEN = f"import pathlib, sys; from {PACKAGE}.runtime.ledger import writer; "
OPEN += "writer.Ledger(pathlib.Path(sys.argv[1])).close()"


def test_processes_that_open_at_once_migrate_once(store: Any, folder: Path, path: Path) -> None:
    version_1(store, path, 3000)
    processes = [ledger_package.start(folder, OPEN, path) for _ in range(3)]
    for process in processes:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    assert rollup(store, path) == ledger_package.fold(store, read_rows(store, path))


@pytest.mark.slow
def test_writers_that_create_at_once(store: Any, tmp_path: Path) -> None:
    """SQLite does not wait for the change to WAL by itself: without a retry, some of these fail."""
    for at in range(40):
        path, failures = tmp_path / f"{at}.sqlite3", list[Exception]()
        together = threading.Barrier(8)

        def create(
            path: Path = path,
            together: threading.Barrier = together,
            failures: list[Exception] = failures,
        ) -> None:
            together.wait(10)
            try:
                store.connect(path).close()
            except store.LedgerError as error:
                failures.append(error)

        threads = [threading.Thread(target=create) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert failures == []
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
    assert rollup(store, path) == ledger_package.fold(store, read_rows(store, path))


def test_a_newer_ledger_is_refused(store: Any, path: Path) -> None:
    write(store, path, [ledger_package.row(store)])
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(store.LedgerError, match="newer workspace"):
        store.Ledger(path)


def test_there_is_no_ledger_yet(store: Any, path: Path) -> None:
    with pytest.raises(store.LedgerError, match="does not exist yet"):
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


def test_a_wrong_row_is_refused_alone(store: Any, path: Path) -> None:
    """Whatever is written together with it."""
    write(store, path)
    rows = [ledger_package.row(store, **given) for given in ({}, {"latency_ms": 2**70}, {})]

    async def play() -> list[Any]:
        ledger = store.Ledger(path)
        results = await asyncio.gather(
            *(ledger.write([row]) for row in rows), return_exceptions=True
        )
        ledger.close()
        return results

    assert [isinstance(one, store.RowsRefused) for one in asyncio.run(play())] == [
        False,
        True,
        False,
    ]
    assert len(keys(store, path)) == 2


def test_negative_counts_say_nothing(store: Any, path: Path) -> None:
    unpriced = {"cost_nano_usd": None, "cost_source": "unpriced"}
    row = ledger_package.row(store, input_tokens=-5, output_tokens=None, **unpriced)
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
    """Kill a writing process at random moments; what it knows to be committed must be there."""
    acknowledged = ledger_package.write_until_killed(folder, PACKAGE, path, times)
    there = [key for key, _ in keys(store, path)]
    assert len(there) == len(set(there))
    assert acknowledged <= set(there)
    assert len(acknowledged) > 20 * times
    assert rollup(store, path) == ledger_package.fold(store, read_rows(store, path))


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
