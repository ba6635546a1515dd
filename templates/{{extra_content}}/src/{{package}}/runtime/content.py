"""What models were asked and answered, beside the ledger's rows: only with `record_content = true`.

Every text goes through the REDACT functions of wiring.py first; where one fails, nothing of the
call is stored. The workspace's secrets are taken out in any case.
"""

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from pydantic import JsonValue
from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter, ModelResponse

from .call_request import CallRequest
from .errors import LedgerError
from .ledger.attempt import DAY_US, Attempt
from .ledger.location import LedgerSettings, Location, connect, select
from .ledger.rollup import Statement
from .redaction import redact_secrets
from .shared import Texts

log = logging.getLogger(__name__)

Redact = Callable[[str], str]
TABLE = """CREATE TABLE IF NOT EXISTS contents (
    call_id TEXT NOT NULL, attempt BIGINT NOT NULL, ts_us BIGINT NOT NULL, user_ref TEXT,
    request TEXT NOT NULL, response TEXT NOT NULL, PRIMARY KEY (call_id, attempt))"""
INDEX = "CREATE INDEX IF NOT EXISTS contents_by_time ON contents (ts_us)"
INSERT = "INSERT INTO contents VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING"


def texts(
    location: Location, settings: LedgerSettings, redact: Sequence[Redact] = ()
) -> Texts | None:
    """Return what stores a call's texts; None where none are recorded. Old ones go either way."""
    days = min(settings.content_days, settings.retention_days or settings.content_days)
    if settings.record_content or _has_texts(location):
        with closing(connect(location)) as database, database.transaction() as execute:
            for query, values in [(TABLE, ()), (INDEX, ()), _prune(days)]:
                execute(query, values)
    hooks = (redact_secrets, *redact)
    # A ledger file that is deleted meanwhile is made anew, without this table.
    made = [(query, ()) for query in (TABLE, INDEX)] if isinstance(location, Path) else []

    def statements(
        call: CallRequest, rows: Sequence[Attempt], completions: Mapping[int, ModelResponse]
    ) -> list[Statement]:
        stored = [(row, completions[row.attempt]) for row in rows if row.attempt in completions]
        return _statements(call, stored, hooks, [*made, _prune(days)])

    return statements if settings.record_content else None


def _has_texts(location: Location) -> bool:
    """Return whether the ledger has any texts."""
    try:
        return bool(select(location, "SELECT 1 FROM contents LIMIT 1"))
    except LedgerError:
        return False


def _statements(
    call: CallRequest,
    answers: Sequence[tuple[Attempt, ModelResponse]],
    redact: Sequence[Redact],
    first: Sequence[Statement],
) -> list[Statement]:
    statements = list(first)
    try:
        asked = _text(call.messages, redact)
        for row, response in answers:
            key = (call.id, row.attempt, row.ts_us, row.user_ref)
            statements.append((INSERT, (*key, asked, _text([response], redact))))
    except Exception as error:  # a redaction is the team's code: it raises anything
        name = type(error).__name__  # its message may hold the very text
        log.error("The texts of call %s are not stored: redaction failed (%s).", call.id, name)
        return []
    return statements


def _prune(days: int) -> Statement:
    return "DELETE FROM contents WHERE ts_us < ?", (time.time_ns() // 1000 - days * DAY_US,)


def _text(messages: Sequence[ModelMessage], redact: Sequence[Redact]) -> str:
    dumped = ModelMessagesTypeAdapter.dump_python([*messages], mode="json", exclude_none=True)
    text = json.dumps(_redact(dumped, redact), ensure_ascii=False)
    return text.encode(errors="replace").decode()  # a cut answer may end in half a character


def _redact(value: JsonValue, redact: Sequence[Redact]) -> JsonValue:
    """Redact every text in a value, and leave out the bytes of files."""
    if isinstance(value, dict):
        left_out = "data" if value.get("kind") == "binary" else None
        return {key: _redact(one, redact) for key, one in value.items() if key != left_out}
    if isinstance(value, list):
        return [_redact(one, redact) for one in value]
    if isinstance(value, str):
        for hook in redact:
            value = hook(value)
    return value
