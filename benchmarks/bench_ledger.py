"""The rendered ledger beside raw `sqlite3`, killed, its report over weeks, and recorded costs.

`python -m benchmarks.bench_ledger [--quick] [--rows N]` prints a line each. The raw baseline
writes the same schema, key and rollup in batches of as many rows as there are callers, in one
thread and without an event loop. What others do on the machine shows in single figures: the
medians of ROUNDS are what to look at.
"""

import argparse
import asyncio
import contextlib
import gzip
import json
import random
import sqlite3
import statistics
import tempfile
import time
import timeit
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tests import ledger_package
from tests.conftest import ROOT

CALLERS = 32
ROUNDS = 5
RECORDED = ROOT.parent / "shared" / "data" / "replay" / "routerarena-sub10.jsonl.gz"
TASKS = ("classification", "extraction", "drafting", "answering", "scoring", "synthesis")
MODELS = ("gpt-5-nano", "gpt-5-mini", "gpt-5", "claude-haiku-4-5", "claude-sonnet-4-5")
WEEKS = 26


def raw(store: Any, path: Path, rows: list[Any]) -> float:
    """Rows per second of `executemany` and the same rollup, committed every CALLERS rows."""
    store.connect(path).close()
    insert = store.INSERT.partition(" ON CONFLICT")[0]
    add = store.adding_up("attempts WHERE rowid > ?")
    started = time.perf_counter()
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA synchronous = NORMAL")
        for at in range(0, len(rows), CALLERS):
            database.execute("BEGIN IMMEDIATE")
            database.executemany(insert, map(store.values_of, rows[at : at + CALLERS]))
            database.execute(add, ("", at))
            database.execute("COMMIT")
    return len(rows) / (time.perf_counter() - started)


def ledger(store: Any, path: Path, rows: list[Any]) -> float:
    """Rows per second of CALLERS that each await the commit of one row after the other."""

    async def caller(books: Any, mine: list[Any]) -> None:
        for row in mine:
            await books.write([row])

    async def play() -> float:
        books = store.Ledger(path)
        started = time.perf_counter()
        await asyncio.gather(*(caller(books, rows[at::CALLERS]) for at in range(CALLERS)))
        seconds = time.perf_counter() - started
        books.close()
        return len(rows) / seconds

    return asyncio.run(play())


def latency(store: Any, path: Path, per_s: int, seconds: float) -> list[float]:
    """How long `write` took (ms), sorted, at a steady rate from CALLERS."""

    async def caller(books: Any, first: float, took: list[float]) -> None:
        due = first
        while due < first + seconds:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            row = ledger_package.row(store)
            started = time.perf_counter()
            await books.write([row])
            took.append((time.perf_counter() - started) * 1000)
            due += CALLERS / per_s

    async def play() -> list[float]:
        books, took = store.Ledger(path), list[float]()
        start = time.perf_counter() + 0.1
        steps = (start + at / per_s for at in range(CALLERS))
        await asyncio.gather(*(caller(books, first, took) for first in steps))
        books.close()
        return sorted(took)

    return asyncio.run(play())


def half_a_year(store: Any, rows: int) -> Iterator[Any]:
    """Synthetic attempts over WEEKS, every task on every model, by day."""
    rng, today = random.Random(5), time.time_ns() // 1000
    days = WEEKS * 7
    for at in range(rows):
        yield ledger_package.row(
            store,
            call_id=f"{at:032x}",
            ts_us=today - (days - 1 - at * days // rows) * store.DAY_US,
            task_type=rng.choice(TASKS),
            request_model=rng.choice(MODELS),
            latency_ms=round(rng.lognormvariate(6.5, 0.8)),
            cost_nano_usd=rng.randrange(10**7),
            outcome="ok" if rng.random() < 0.95 else "rejected",
        )


def fill(store: Any, path: Path, rows: int) -> None:
    """Write the synthetic rows in large transactions: how they got there is not measured."""
    database, batch = store.connect(path), list[Any]()
    for row in half_a_year(store, rows):
        batch.append(row)
        if len(batch) == 20_000:
            database.write(batch)
            batch.clear()
    database.write(batch)
    database.close()


def best_ms(call: Callable[[], object], rounds: int = 7) -> float:
    """Return the median of some calls, in milliseconds."""
    times: list[float] = []
    for _ in range(rounds):
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def report(package: str, store: Any, path: Path) -> tuple[float, float]:
    """Milliseconds of 26 weeks by task and model: from the rollup, and by scanning the rows."""
    queries = ledger_package.module(package, "queries")
    scan = (
        "SELECT task_type, request_model, SUM(cost_nano_usd), COUNT(*) FROM attempts GROUP BY 1, 2"
    )
    took = best_ms(lambda: queries.Report(path, ("task_type", "request_model"), WEEKS * 7))
    return took, best_ms(lambda: store.select(path, scan), rounds=1)


def recorded(prices: Any) -> str:
    """How far list prices are from the costs that providers billed."""
    if not RECORDED.is_file():
        return "recorded costs: not on this machine"
    from pydantic_ai.usage import RequestUsage

    providers = {"claude-3-haiku-20240307": "anthropic", "gemini-2.0-flash-001": "google"}
    table = prices.Prices({"anthropic": "anthropic", "google": "google"})
    off: list[float] = []
    for line in gzip.decompress(RECORDED.read_bytes()).decode().splitlines():
        for model, known in json.loads(line)["models"].items():
            if known.get("recorded_cost_usd") is None:
                continue
            usage = RequestUsage(
                input_tokens=known["input_tokens"], output_tokens=known["output_tokens"]
            )
            cost = table.cost(prices.ModelRef(providers[model], model), usage)
            off.append(abs(cost.nano_usd / 1e9 - known["recorded_cost_usd"]))
    within = sum(one <= 1e-6 for one in off)
    return f"recorded costs: {within} of {len(off)} within 1e-6 USD, the worst {max(off):.1e}"


def priced(prices: Any) -> str:
    """Measure how long pricing one plain text attempt takes."""
    from pydantic_ai.usage import RequestUsage

    table, ref = prices.Prices({"openai": "openai"}), prices.ModelRef("openai", "gpt-5-nano")
    usage = RequestUsage(input_tokens=1200, cache_read_tokens=1000, output_tokens=80)
    details = {"service_tier": "default", "finish_reason": "stop"}

    def cost() -> None:
        table.cost(ref, usage, context=details)

    took = min(timeit.repeat(cost, timer=time.process_time, number=1000, repeat=9)) * 1000
    return f"the price of an attempt: {took:.0f} us of CPU (goal 40)"


def throughput(store: Any, place: Path, count: int) -> None:
    """Print the ledger's rows per second beside the raw baseline's."""
    ratios, busy = list[float](), list[float]()
    for turn in range(ROUNDS):
        attempts = [ledger_package.row(store) for _ in range(count)]
        at = [time.process_time()]
        base = raw(store, place / f"raw{turn}.sqlite3", attempts)
        at.append(time.process_time())
        ours = ledger(store, place / f"ours{turn}.sqlite3", attempts)
        at.append(time.process_time())
        ratios.append(ours / base)
        busy.append((at[1] - at[0]) / (at[2] - at[1]))
        print(f"{CALLERS} callers {ours:,.0f} rows/s, raw {base:,.0f}: {ours / base:.2f}")
    print(f"median of the ratios {statistics.median(ratios):.2f} (goal 0.8)")
    print(f"... and by time of the processor {statistics.median(busy):.2f}")


def steady(store: Any, place: Path, seconds: float) -> None:
    """Print how long a caller waits for the commit at 5,000 rows a second."""
    halves, tails = list[float](), list[float]()
    for turn in range(ROUNDS):
        took = latency(store, place / f"steady{turn}.sqlite3", 5000, seconds)
        halves.append(took[len(took) // 2])
        tails.append(took[int(len(took) * 0.99)])
    each = ", ".join(f"{tail:.2f}" for tail in tails)
    half, tail = statistics.median(halves), statistics.median(tails)
    print(f"5,000 rows/s: p50 {half:.2f} ms, p99 {tail:.2f} ms (goal 2; each round: {each})")


def kill(store: Any, package: str, folder: Path, times: int) -> None:
    """Print what of the acknowledged rows is lost or doubled by kill -9."""
    path = folder / "killed.sqlite3"
    known = ledger_package.write_until_killed(folder / "w", package, path, times)
    store.Ledger(path).close()
    there = [key for (key,) in store.select(path, "SELECT call_id FROM attempts")]
    lost, doubled = len(known - set(there)), len(there) - len(set(there))
    print(f"{times} times kill -9: {len(known):,} acknowledged, {lost} lost, {doubled} doubled")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small, for a busy machine")
    parser.add_argument("--rows", type=int, help="rows of the report's ledger")
    options = parser.parse_args()
    count = 20_000 if options.quick else 200_000
    rows = options.rows or (100_000 if options.quick else 10_000_000)
    with (
        tempfile.TemporaryDirectory() as folder,
        ledger_package.importable(Path(folder) / "w", "benched") as package,
    ):
        store, place = ledger_package.module(package, "store"), Path(folder)
        print(recorded(ledger_package.module(package, "prices")))
        print(priced(ledger_package.module(package, "prices")))
        throughput(store, place, count)
        steady(store, place, 1 if options.quick else 5)
        kill(store, package, place, 5 if options.quick else 50)
        fill(store, place / "weeks.sqlite3", rows)
        rollup_ms, scan_ms = report(package, store, place / "weeks.sqlite3")
        print(
            f"{WEEKS} weeks, {rows:,} rows: {rollup_ms:.1f} ms (goal 50), a scan {scan_ms:.0f} ms"
        )


if __name__ == "__main__":
    main()
