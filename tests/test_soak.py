"""Many calls, one in ten going wrong, and many rows: all are in the ledger, and memory stays flat."""

import asyncio
import gc
import os
import random
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests import ledger_package
from tests.fleets import Desk, desk, loopback
from tests.loopback import Reply
from tests.stores import folder, keys, path, store

__all__ = ["desk", "folder", "loopback", "path", "store"]

CALLS = int(os.environ.get("SOAK_CALLS", "20000"))
AT_ONCE = 80
WRONG = [
    Reply(status=500),
    Reply(status=429),
    Reply(text=""),
    Reply(text="Paris is the cap", finish="length"),
    Reply(fault="cut"),
    Reply(fault="cut", after=1),
    Reply(body='{"id": "1", "cho'),
]


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
@pytest.mark.full
@pytest.mark.skipif(
    not Path("/proc/self/statm").exists(),
    reason="a process's memory is read from /proc/self/statm, which is missing",
)
def test_a_soak_of_many_calls_is_all_in_the_ledger(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng, outcomes = random.Random(5), Counter[str]()
    monkeypatch.setattr(desk.server, "record", False)
    replies: list[Reply] = [
        rng.choice(WRONG) if rng.random() < 0.1 else Reply() for _ in range(997)
    ]
    served = 0

    def reply_to(model: str) -> Reply:
        nonlocal served
        served += 1
        return replies[served % len(replies)] if model == "main-model" else Reply()

    monkeypatch.setattr(desk.server, "reply_to", reply_to)
    desk.models = ["openai:main-model", "anthropic:second-model"]
    desk.rules, desk.more = {"deadline_s": 120}, "[circuits]\nfailures = 1000\n"
    request, errors = desk.module("runtime.run").Request, desk.module("runtime.errors")
    memory: list[int] = []

    async def use(workspace: Any) -> None:
        left = iter(range(CALLS))

        async def caller() -> None:
            for at in left:
                try:
                    outcomes[(await workspace.handle(request(f"Question {at}"))).status] += 1
                except errors.ChainExhausted:
                    outcomes["failed"] += 1
                if at % (CALLS // 5) == CALLS // 5 - 1:
                    gc.collect()
                    memory.append(resident_bytes())

        await asyncio.gather(*(caller() for _ in range(AT_ONCE)))

    desk.play(use)
    made = [row for row in desk.rows() if row[1] != "skipped"]
    rows = Counter(model for model, _, _ in made)
    # These may end an attempt before the server has read the request.
    unsent = ("network", "timeout", "stalled", "machine_exhausted")
    came = Counter(model for model, _, error in made if error not in unsent)
    kinds = Counter((model, error) for model, _, error in made if error)
    print(dict(rows), desk.server.hits, dict(outcomes), f"{desk.seconds:.0f} s", memory, kinds)
    for model, hits in desk.server.hits.items():
        assert came[model] <= hits <= rows[model]
    assert sum(outcomes.values()) == CALLS and outcomes["answered"] > 0.99 * CALLS
    assert memory[-1] < memory[0] + 40_000_000, "what stays of four fifths of the calls"


@pytest.mark.slow
def test_ten_thousand_rows_a_second_are_written(store: Any, path: Path) -> None:
    """Not measured against a clock: as many rows as many callers write come in few commits."""
    commits = 0
    write_ = store.SqliteDatabase.write

    def count_commit(database: Any, *given: Any) -> int:
        nonlocal commits
        commits += 1
        return write_(database, *given)

    async def play() -> None:
        store.SqliteDatabase.write = count_commit
        ledger = store.Ledger(path)
        for _ in range(10):
            rows = [ledger_package.row(store) for _ in range(1000)]
            await asyncio.gather(*(ledger.write([row]) for row in rows))
        ledger.close()
        store.SqliteDatabase.write = write_

    asyncio.run(play())
    assert commits <= 30
    assert len(keys(store, path)) == 10_000
    assert threading.active_count() < 50
