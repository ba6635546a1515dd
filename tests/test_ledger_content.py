"""Prompts and answers in the ledger's database: never, unless fleet.toml asks for them."""

import asyncio
import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydantic_ai.messages import (
    BinaryContent,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    UserPromptPart,
)

from tests import commands, harness, ledger_package, recorded

PACKAGE = "noted"
ASKED = "Where is parcel 4711 of Ada Lovelace?"
ANSWERED = "It left Hamburg on Tuesday."
VERDICT = {"intent": "answer", "complexity": 1, "confidence": 0.9, "reason": "short"}
ROUTE = {"answer": VERDICT}
REPLIES = {"classify": [ROUTE], "answer": [{"text": ""}, {"text": ANSWERED}]}
"""The first model's answer is empty: rejected. The second one's is not."""


class Desk(recorded.Desk):
    """A default workspace with a ledger of its own."""

    def ask(self, text: str = ASKED, replies: Any = REPLIES, **request: Any) -> Any:
        asked = self.module("runtime.run").Request(text, **request)

        async def play() -> Any:
            async with self.open(replies) as workspace:
                return await workspace.handle(asked)

        return asyncio.run(play())

    def texts(self, columns: str = "request, response") -> list[tuple[Any, ...]]:
        store = ledger_package.module(self.package, "store")
        query = f"SELECT {columns} FROM contents ORDER BY ts_us, attempt"
        return store.select(self.root / "ledger.sqlite3", query)

    def bytes(self) -> bytes:
        """All that is on the disk, settings apart."""
        files = (path for path in self.root.rglob("*") if path.name != "fleet.toml")
        return b"".join(path.read_bytes() for path in files if path.is_file())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Render the default workspace with stored texts, and the tools that erase."""
    place = tmp_path_factory.mktemp("content") / "w"
    default = [extra.name for extra in harness.CATALOG.of("extra") if extra.default]
    harness.render_workspace(
        place, {"package": PACKAGE, "extras": [*default, "content", "ledger_tools"]}
    )
    sys.path.insert(0, str(place / "src"))
    yield place
    sys.path.remove(str(place / "src"))


@pytest.fixture
def desk(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("FLEET_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.sqlite3")
    return Desk(PACKAGE, tmp_path, (folder / "fleet.toml").read_text())


@pytest.fixture
def recording(desk: Desk) -> Desk:
    given = (desk.root / "fleet.toml").read_text()
    assert "record_content = false" in given
    desk.write(given.replace("record_content = false", "record_content = true"))
    return desk


@pytest.fixture
def redact(desk: Desk) -> Iterator[list[Any]]:
    """Yield the list in wiring.py that a team fills."""
    hooks = desk.module("wiring").REDACT
    yield hooks
    hooks.clear()


def test_nothing_is_stored_until_it_is_asked_for(desk: Desk) -> None:
    assert desk.ask(user_ref="ada").output == ANSWERED
    assert len(desk.rows("outcome")) == 3
    for text in (ASKED, "Lovelace", ANSWERED, "Hamburg"):
        assert text.encode() not in desk.bytes()


def test_what_was_asked_and_answered_is_stored_when_it_is(recording: Desk) -> None:
    answer = recording.ask(user_ref="ada")
    routed, rejected, accepted = recording.texts()
    assert "complexity" in routed[1]
    assert ASKED in rejected[0] and ASKED in accepted[0]
    assert ANSWERED not in rejected[1] and ANSWERED in accepted[1]
    messages = json.loads(accepted[0])
    assert messages[-1]["parts"][0]["content"] == ASKED
    assert messages[-1]["instructions"]
    assert recording.rows("call_id, attempt, ts_us, user_ref") == recording.texts(
        "call_id, attempt, ts_us, user_ref"
    )
    assert recording.rows("DISTINCT run_id") == [(answer.run_id,)]


def test_what_failed_has_no_text(recording: Desk) -> None:
    replies = {"classify": [ROUTE], "answer": [{"status": 503}, {"text": ANSWERED}]}

    async def play() -> None:
        async with recording.open(replies) as workspace:
            await workspace.handle(recording.module("runtime.run").Request(ASKED))

    asyncio.run(play())
    assert [row[0] for row in recording.rows("outcome")] == ["ok", "failed", "ok"]
    assert len(recording.texts()) == 2


def test_redaction_comes_before_the_disk(
    recording: Desk, redact: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-very-secret")
    redact += [lambda text: text.replace("Lovelace", "L."), lambda text: text.replace("4711", "#")]
    recording.ask(f"{ASKED} My key is sk-very-secret.")
    [*_, (asked, answered)] = recording.texts()
    assert "Where is parcel # of Ada L.? My key is ***." in asked
    assert ANSWERED in answered
    for text in (b"Lovelace", b"4711", b"sk-very-secret"):
        assert text not in recording.bytes()


def test_a_redaction_that_fails_stores_nothing_and_fails_no_call(
    recording: Desk, redact: list[Any], caplog: pytest.LogCaptureFixture
) -> None:
    def fails(text: str) -> str:
        raise ValueError(text)

    redact.append(fails)
    assert recording.ask().output == ANSWERED
    assert recording.texts() == []
    assert len(recording.rows("outcome")) == 3
    assert "not stored: redaction failed (ValueError)" in caplog.text
    assert "Lovelace" not in caplog.text
    assert b"Lovelace" not in recording.bytes()


def test_texts_go_before_their_rows_do(recording: Desk) -> None:
    store = ledger_package.module(recording.package, "store")
    recording.ask()
    path = recording.root / "ledger.sqlite3"
    database = store.connect(path)
    with database.transaction() as execute:
        execute("UPDATE contents SET ts_us = ts_us - ?", (31 * store.DAY_US,))
        execute("UPDATE attempts SET ts_us = ts_us - ?", (31 * store.DAY_US,))
    database.close()
    recording.ask("And parcel 12?")
    assert len(recording.rows("outcome")) == 6
    assert len(recording.texts()) == 3
    assert b"Lovelace" not in recording.bytes()


def test_texts_recorded_before_are_removed_when_they_are_due(recording: Desk) -> None:
    """Turned off again, what is there does not stay for ever."""
    recording.ask()
    given = (recording.root / "fleet.toml").read_text()
    recording.write(given.replace("record_content = true", "record_content = false"))
    recording.ask("And parcel 12?")
    assert len(recording.texts()) == 3
    store = ledger_package.module(recording.package, "store")
    database = store.connect(recording.root / "ledger.sqlite3")
    with database.transaction() as execute:
        execute("UPDATE contents SET ts_us = ts_us - ?", (31 * store.DAY_US,))
    database.close()
    recording.ask("And parcel 12?")
    assert recording.texts() == []


def test_texts_are_kept_no_longer_than_rows(recording: Desk) -> None:
    content, store = (
        recording.module("runtime.content"),
        ledger_package.module(recording.package, "store"),
    )
    path = recording.root / "ledger.sqlite3"
    settings = store.LedgerSettings(record_content=True, retention_days=3, content_days=30)
    save = content.texts(path, settings)
    [*_, (_, (before,))] = save(ledger_package.call("one", []), [], {})
    assert before == pytest.approx(time.time_ns() // 1000 - 3 * store.DAY_US, abs=60_000_000)


def test_the_bytes_of_files_are_left_out(recording: Desk) -> None:
    prompt = UserPromptPart(
        ["What is on it?", BinaryContent(b"\x89PNG" * 40, media_type="image/png")]
    )
    content, store = (
        recording.module("runtime.content"),
        ledger_package.module(recording.package, "store"),
    )
    answer = ModelResponse(parts=[ToolCallPart("look", {"data": "kept"})])
    row = ledger_package.row(store, call_id="one")
    call = ledger_package.call("one", [ModelRequest(parts=[prompt])])
    settings = store.LedgerSettings(record_content=True)
    save = content.texts(recording.root / "ledger.sqlite3", settings)
    [*_, (_, values)] = save(call, [row], {row.attempt: answer})
    *_, asked, answered = values
    assert "What is on it?" in asked and "image/png" in asked and len(asked) < 400
    assert "kept" in answered


def test_an_answer_cut_within_a_character_is_stored(recording: Desk) -> None:
    content, store = (
        recording.module("runtime.content"),
        ledger_package.module(recording.package, "store"),
    )
    answer = ModelResponse(parts=[TextPart("All is well \ud83d")])
    row = ledger_package.row(store, call_id="one")
    settings = store.LedgerSettings(record_content=True)
    save = content.texts(path := recording.root / "ledger.sqlite3", settings)
    database = store.connect(path)
    database.write([row], save(ledger_package.call("one", []), [row], {row.attempt: answer}))
    database.close()
    [(_, answered)] = recording.texts()
    assert "All is well ?" in answered


def test_a_user_is_erased_with_the_texts(recording: Desk, folder: Path) -> None:
    recording.ask(user_ref="ada")
    recording.ask("And parcel 12?", user_ref="bob")
    run_id = recording.rows("run_id")[-1][0]
    shown = command(folder, recording, "ledger", "show", run_id)
    assert "And parcel 12?" in shown.stdout and ANSWERED in shown.stdout
    assert "Lovelace" not in shown.stdout
    done = command(folder, recording, "ledger", "erase", "--user", "ada")
    assert done.returncode == 0, done.stderr
    assert recording.texts("DISTINCT user_ref") == [("bob",)]
    ledger_package.module(recording.package, "store").connect(
        recording.root / "ledger.sqlite3"
    ).close()
    assert b"Lovelace" not in recording.bytes()


def test_nothing_of_a_user_is_left_while_a_workspace_is_open(recording: Desk, folder: Path) -> None:
    path = recording.root / "ledger.sqlite3"
    with closing(sqlite3.connect(path)) as open_:
        recording.ask(user_ref="ada")
        assert open_.execute("SELECT count(*) FROM attempts").fetchone()[0]
        assert b"Lovelace" in recording.bytes()
        done = command(folder, recording, "ledger", "erase", "--user", "ada")
        assert done.returncode == 0, done.stderr
        assert b"Lovelace" not in recording.bytes()


def test_a_user_is_erased_with_what_went_to_a_person(desk: Desk, folder: Path) -> None:
    given = (desk.root / "fleet.toml").read_text()
    desk.write(given.replace("[chains.cheap]", '[chains.cheap]\non_exhausted = "human"'))
    nobody = {"classify": [ROUTE], "answer": [{"status": 503}]}
    assert desk.ask(replies=nobody, user_ref="ada").status == "escalated"
    kept = desk.ask("And parcel 12?", replies=nobody, user_ref="bob").ticket
    assert b"Lovelace" in desk.bytes()
    done = command(folder, desk, "ledger", "erase", "--user", "ada")
    assert "tickets erased: 1." in done.stdout, done.stderr
    assert b"Lovelace" not in desk.bytes()
    inbox = desk.module("runtime.inbox").Tickets(desk.root)
    assert [ticket.id for ticket in inbox.select("all")] == [kept]
    inbox.close()


def test_there_is_nothing_to_show(desk: Desk, folder: Path) -> None:
    desk.ask()
    shown = command(folder, desk, "ledger", "show", "x")
    error, hint = shown.stderr.splitlines()
    assert shown.returncode == 1 and error.startswith("error: ")
    assert hint.startswith("hint: ") and "record_content = true" in hint


@pytest.mark.slow
def test_a_locked_ledger_sends_no_call_and_stores_no_text(recording: Desk) -> None:
    unavailable = recording.module("runtime.errors").LedgerUnavailable

    async def play() -> None:
        async with recording.open(REPLIES) as workspace:
            with closing(sqlite3.connect(recording.root / "ledger.sqlite3")) as other:
                other.execute("BEGIN IMMEDIATE")
                with pytest.raises(unavailable, match="another process holds it"):
                    await workspace.handle(recording.module("runtime.run").Request(ASKED))
                other.execute("ROLLBACK")

    asyncio.run(play())
    assert recording.rows("outcome") == []
    assert recording.texts() == []
    assert b"Lovelace" not in recording.bytes()


def test_a_workspace_without_the_extra_says_which_one(
    tmp_path_factory: pytest.TempPathFactory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path_factory.mktemp("bare") / "w"
    monkeypatch.setenv("FLEET_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.sqlite3")
    with ledger_package.importable(place, "unnoted"):
        given = (place / "fleet.toml").read_text()
        desk = recorded.Desk(
            "unnoted", tmp_path, given.replace("content = false", "content = true")
        )
        with pytest.raises(desk.module("runtime.errors").SettingsError, match="add extra content"):
            desk.open({})


def command(folder: Path, desk: Desk, *words: str) -> subprocess.CompletedProcess[str]:
    url = f"sqlite:///{desk.root}/ledger.sqlite3"
    return commands.run(PACKAGE, *words, folder=folder, FLEET_LEDGER_URL=url)
