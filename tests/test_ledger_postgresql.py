"""The PostgreSQL ledger against a real server, started here and stopped at the end."""

import asyncio
import contextlib
import importlib
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import ledger_package

PACKAGE = "shared_books"
BIN = next((str(bin) for bin in sorted(Path("/usr/lib/postgresql").glob("*/bin"))[::-1]), None)
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        BIN is None and shutil.which("initdb") is None, reason="PostgreSQL is not installed here"
    ),
]


class Server:
    """One cluster in a temporary folder, on a free port of the loopback address."""

    def __init__(self, folder: str) -> None:
        self.data = f"{folder}/data"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self._run("initdb", "-A", "trust", "-U", "fleet", "-D", self.data)
        self.start()

    def url(self, database: str) -> str:
        return f"postgresql://fleet:secret@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        options = f"-p {self.port} -c listen_addresses=127.0.0.1 -c unix_socket_directories=''"
        log = f"{self.data}/log"
        self._run("pg_ctl", "-D", self.data, "-l", log, "-w", "-t", "30", "-o", options, "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-D", self.data, "-m", "immediate", "-w", "-t", "30", "stop")

    def _run(self, program: str, *words: str) -> None:
        # PostgreSQL does not run as root.
        user = "postgres" if os.geteuid() == 0 else None
        found = shutil.which(program, path=BIN) or program
        home = str(Path(self.data).parent)
        subprocess.run(
            [found, *words],
            check=True,
            user=user,
            cwd=home,
            timeout=60,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with tempfile.TemporaryDirectory() as folder:
        if os.geteuid() == 0:
            os.chown(folder, pwd.getpwnam("postgres").pw_uid, -1)
        running = Server(folder)
        yield running
        running.stop()


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    place = tmp_path_factory.mktemp("postgresql") / "w"
    extras = ["ledger_postgresql", "ledger_tools", "content"]
    with ledger_package.importable(place, PACKAGE, extras=extras) as name:
        yield ledger_package.module(name, "store")


def locate(store: Any, root: Path) -> Any:
    package = store.__name__.partition(".")[0]
    return importlib.import_module(f"{package}.configuration").ledger_location(root)


@pytest.fixture
def location(server: Server, store: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    import psycopg

    monkeypatch.setenv("FLEET_ROOT", str(tmp_path))
    (tmp_path / "data").mkdir()
    name = f"ledger_{time.time_ns()}"
    with psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}".encode())
    monkeypatch.setenv("FLEET_LEDGER_URL", server.url(name))
    return locate(store, tmp_path)


def write(store: Any, location: Any, *batches: list[Any], **settings: Any) -> None:
    async def play() -> None:
        ledger = store.Ledger(location, store.LedgerSettings(**settings))
        try:
            await asyncio.gather(*map(ledger.write, batches))
        finally:
            ledger.close()

    asyncio.run(play())


def count(store: Any, location: Any, what: str = "COUNT(*) FROM attempts") -> Any:
    return store.select(location, f"SELECT {what}")[0][0]


def assert_rollup_adds_up(store: Any, location: Any) -> None:
    names = ", ".join(store.COLUMNS)
    rows = store.select(location, f"SELECT {names} FROM attempts")
    attempts = [store.Attempt(**dict(zip(store.COLUMNS, row, strict=True))) for row in rows]
    key = ", ".join(name for name in store.ROLLUP_KEY if name != "writer")
    sums = ", ".join(f"SUM({name})" for name in store.COUNTERS)
    booked = store.select(location, f"SELECT {key}, {sums} FROM rollup GROUP BY {key}")
    at = len(store.ROLLUP_KEY) - 1
    writer = store.ROLLUP_KEY.index("writer")
    expected = {
        (*key[:writer], *key[writer + 1 :]): tuple(total.values())
        for key, total in ledger_package.fold(store, attempts).items()
    }
    assert {row[:at]: row[at:] for row in booked} == expected


def test_rows_arrive_once_with_their_rollup(store: Any, location: Any) -> None:
    rows = [ledger_package.row(store, quality=0.5, user_ref="a\0b") for _ in range(20)]
    write(store, location, *([row] for row in rows))
    write(store, location, rows)
    assert count(store, location) == 20
    assert_rollup_adds_up(store, location)
    assert count(store, location, "SUM(cost_nano_usd) FROM rollup") == 20 * 130_000
    found = store.select(
        location, "SELECT COUNT(*) FROM attempts WHERE user_ref LIKE 'a%' AND attempt = ?", (1,)
    )
    assert found == [(20,)]


def test_what_became_of_rows_replaces_what_they_were_first(store: Any, location: Any) -> None:
    """Written as aborted when their answers arrived, then judged, by this writer or the next."""
    first = [ledger_package.row(store, outcome="aborted") for _ in range(5)]
    ends = ("ok", "ok", "rejected", "rejected")
    ended = [replace(row, outcome=end) for row, end in zip(first, ends, strict=False)]
    write(store, location, first)

    async def judge(rows: list[Any]) -> None:
        ledger = store.Ledger(location)
        await ledger.ready()
        await ledger.write((), (), rows)
        ledger.close()

    asyncio.run(judge(ended[:3]))
    asyncio.run(judge(ended))
    found = store.select(location, "SELECT outcome, COUNT(*) FROM attempts GROUP BY 1 ORDER BY 1")
    assert found == [("aborted", 1), ("ok", 2), ("rejected", 2)]
    assert_rollup_adds_up(store, location)


def test_what_had_no_price_gets_one_and_the_rollup_knows(store: Any, location: Any) -> None:
    unpriced: dict[str, Any] = {"cost_nano_usd": None, "cost_source": "unpriced"}
    rows = [ledger_package.row(store, **unpriced, outcome=one) for one in ("ok", "rejected")]
    write(store, location, rows, [ledger_package.row(store)])
    prices = ledger_package.module(PACKAGE, "prices").Prices({"openai": "openai"})
    reprice = ledger_package.module(PACKAGE, "reprice").reprice
    for expected in (2, 0):
        repriced = reprice(location, prices, dry_run=False, progress=lambda _: None)
        assert repriced.priced.total() == expected
    assert count(store, location, "COUNT(*) FROM attempts WHERE cost_source = 'unpriced'") == 0
    assert_rollup_adds_up(store, location)


def test_texts_are_stored_with_their_rows_and_erased(store: Any, location: Any) -> None:
    from pydantic_ai.messages import ModelRequest, ModelResponse, TextPart, UserPromptPart

    content = importlib.import_module(f"{PACKAGE}.runtime.content")
    row, answer = (
        ledger_package.row(store, user_ref="a\0b"),
        ModelResponse(parts=[TextPart("That.")]),
    )
    asked = [ModelRequest(parts=[UserPromptPart("What\0?")])]
    call = ledger_package.call(row.call_id, asked)
    settings = store.LedgerSettings(record_content=True)

    async def play() -> None:
        texts, ledger = content.texts(location, settings), store.Ledger(location, settings)
        await ledger.write([row], texts(call, [row], {row.attempt: answer}))
        ledger.close()

    asyncio.run(play())
    transfer = ledger_package.module(PACKAGE, "transfer")
    [(*_, asked, answered)] = transfer.texts(location, "run")
    assert "What" in asked and "That." in answered
    assert transfer.erase(location, "a\0b") == 1
    assert count(store, location, "COUNT(*) FROM contents") == 0
    assert count(store, location, "SUM(calls) FROM rollup") == 1


def test_a_wrong_row_is_refused_to_its_caller_alone(store: Any, location: Any) -> None:
    wrong = [
        ledger_package.row(store, task_type=None),
        ledger_package.row(store, latency_ms=2**70),
        ledger_package.row(store, latency_ms="fast"),
    ]

    async def play() -> list[Any]:
        ledger = store.Ledger(location)
        writes = [ledger.write([row]) for row in [ledger_package.row(store), *wrong]]
        results = await asyncio.gather(*writes, return_exceptions=True)
        ledger.close()
        return results

    results = asyncio.run(play())
    assert [isinstance(one, store.LedgerError) for one in results] == [False, True, True, True]
    assert count(store, location) == 1


def test_sixteen_writers_do_not_deadlock(store: Any, location: Any) -> None:
    """All book the same day, task and model, and some of the same rows."""
    common = [ledger_package.row(store) for _ in range(50)]

    async def caller(ledger: Any, backwards: bool) -> None:
        for at in range(25):
            own = [ledger_package.row(store) for _ in range(3)]
            await ledger.write([*(common[::-1] if backwards else common)[at : at + 9], *own])

    async def play() -> None:
        ledgers = [store.Ledger(location) for _ in range(16)]
        callers = (caller(ledger, at % 2 == 0) for at, ledger in enumerate([*ledgers, *ledgers]))
        await asyncio.gather(*callers)
        for ledger in ledgers:
            ledger.close()

    asyncio.run(asyncio.wait_for(play(), 120))
    assert count(store, location) == len({row.call_id for row in common[:33] + common[17:]}) + 2400
    assert (
        count(store, location, "deadlocks FROM pg_stat_database WHERE datname = current_database()")
        == 0
    )
    assert count(store, location, "COUNT(DISTINCT writer) FROM rollup") == 16
    assert_rollup_adds_up(store, location)
    assert not store.spill_of(location).exists()


def test_old_days_are_dropped_whole(store: Any, location: Any) -> None:
    now = time.time_ns() // 1000
    days = [[ledger_package.row(store, ts_us=now - at * store.DAY_US)] for at in (0, 5, 300, 301)]
    write(store, location, *days)
    ledger = store.Ledger(location, store.LedgerSettings(retention_days=30))
    deadline = time.monotonic() + 10
    while count(store, location) > 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    ledger.close()
    assert count(store, location) == 2
    assert count(store, location, "COUNT(*) FROM pg_class WHERE relname ~ '^attempts_[0-9]+$'") == 2
    assert count(store, location, "SUM(calls) FROM rollup") == 4


def test_rows_wait_while_the_server_is_away(
    store: Any, server: Server, location: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def play() -> None:
        ledger = store.Ledger(location)
        await ledger.write([ledger_package.row(store)])
        server.stop()
        try:
            for _ in range(3):
                await asyncio.wait_for(ledger.write([ledger_package.row(store)]), 20)
        finally:
            server.start()
        await ledger.write([ledger_package.row(store)])
        ledger.close()

    asyncio.run(play())
    assert count(store, location) == 5
    assert_rollup_adds_up(store, location)
    assert "secret" not in caplog.text


def test_rows_of_a_killed_client_are_whole(store: Any, location: Any) -> None:
    write(store, location, [ledger_package.row(store)])
    database = store.connect(location)
    with contextlib.suppress(ZeroDivisionError), database.transaction() as execute:
        execute("DELETE FROM attempts", ())
        raise ZeroDivisionError
    database.close()
    assert count(store, location) == 1


def test_a_wrong_address_is_named_without_the_password(
    store: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FLEET_LEDGER_URL", "postgresql://fleet:secret@127.0.0.1:9/x")
    location = locate(store, tmp_path)
    for use in (store.Ledger, lambda place: store.select(place, "SELECT 1")):
        with pytest.raises(store.LedgerError, match="cannot be") as error:
            use(location)
        assert "secret" not in str(error.value)
    assert "secret" not in f"{location} {location!r}"


def test_a_read_that_hangs_ends_in_an_error(
    store: Any, location: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(store, location, [ledger_package.row(store)])
    module = importlib.import_module(type(location).__module__)
    limit = "SELECT current_setting('statement_timeout')"
    assert store.select(location, limit) == [(f"{module.READ_S}s",)]
    monkeypatch.setattr(module, "READ_S", 0.2)
    database = store.connect(location)
    with contextlib.closing(database), database.transaction() as execute:
        execute("LOCK TABLE rollup IN ACCESS EXCLUSIVE MODE", ())
        with pytest.raises(store.LedgerError, match=r"cannot be read.*statement timeout"):
            store.select(location, "SELECT COUNT(*) FROM rollup")
    assert count(store, location, "COUNT(*) FROM rollup") == 1


def test_a_server_that_never_answers_is_given_up(
    store: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"postgresql://fleet:secret@127.0.0.1:{silent.getsockname()[1]}/x"
        monkeypatch.setenv("FLEET_LEDGER_URL", url)
        location = locate(store, tmp_path)
        module = importlib.import_module(type(location).__module__)
        monkeypatch.setattr(module, "CONNECT_S", 2)  # psycopg waits no shorter
        for use in (store.connect, lambda place: store.select(place, "SELECT 1")):
            with pytest.raises(store.LedgerError, match="timeout expired"):
                use(location)


def test_an_empty_database_is_no_ledger(store: Any, location: Any) -> None:
    with pytest.raises(store.LedgerError, match="does not exist yet"):
        store.select(location, "SELECT COUNT(*) FROM attempts")
