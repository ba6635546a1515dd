"""Secrets: in whatever form they come, no error, log or message shows them."""

import base64
import json
import logging
import traceback
import warnings
from pathlib import Path
from urllib.parse import quote

import pytest
from pydantic import BaseModel, ValidationError

from desk.runtime import credentials, redaction
from desk.runtime.errors import (
    ChainExhausted,
    Escalated,
    SettingsError,
    Unanswered,
    WrongLoop,
)

KEY = "sk-proj-Abc123/xyz+0987654321-QwertyUiop"


class Count(BaseModel):
    count: int


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return KEY


def test_every_form_of_a_secret_is_hidden(key: str) -> None:
    basic = base64.b64encode(f"user:{key}".encode()).decode()
    for form in (key, quote(key, safe=""), json.dumps(key), key[:25], f"Basic {basic}"):
        assert "Qwerty" not in redaction.redact_secrets(f"Wrong key {form}.")
        assert "***" in redaction.redact_secrets(f"Wrong key {form}.")
    assert redaction.redact_data({"a": [key.encode(), (key, 3)]}) == {"a": [b"***", ("***", 3)]}


def test_secrets_of_settings_files_and_urls_are_hidden(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = {"private_key": "line-of-a-private-key-0123456789-abcdef"}
    (tmp_path / "account.json").write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
    monkeypatch.setenv("MY_CREDENTIALS", json.dumps({"secret": "another-secret"}))
    monkeypatch.setenv("EU", "eu-credential-0815")
    monkeypatch.setenv("A_URL", "postgresql://ann:pa55word@db.invalid/fleet")
    monkeypatch.setenv("MAX_TOKENS", "128000")
    credentials.hide_settings({"key_env": "EU", "all": [{"headers": {"x": "header-secret"}}]})
    secrets = f"{account['private_key']} another-secret eu-credential-0815 pa55word header-secret"
    assert redaction.redact_secrets(f"{secrets} 128000") == "*** *** *** *** *** 128000"


def test_errors_and_logs_hold_no_secret(key: str, caplog: pytest.LogCaptureFixture) -> None:
    factory, shown = logging.getLogRecordFactory(), warnings.formatwarning
    cleaned: BaseException = ValueError(key)
    try:
        redaction.hide_in_logs()
        redaction.hide_in_logs()
        log = logging.getLogger("somebody")
        log.warning("%s %r %d", key, OSError(key), 3)
        log.warning("%(a)s", {"a": [key]})
        log.warning("%s%s", key[:5], key[5:])
        try:
            Count.model_validate({"count": key})
        except ValidationError as error:
            log.exception("It failed", stack_info=True)
            group = ExceptionGroup(f"all {key}", [error, ValueError(key)])
            group.add_note(key)
            cleaned = redaction.redact_error(group)
            with pytest.raises(RuntimeError, match="validation error"):
                redaction.raise_redacted(error)
        assert key not in warnings.formatwarning(f"key {key}", UserWarning, "x.py", 1)
    finally:
        logging.setLogRecordFactory(factory)
        warnings.formatwarning = shown
    assert key not in caplog.text
    assert key not in "".join(traceback.format_exception(cleaned))
    fine = ValueError("fine")
    assert redaction.redact_error(fine) is fine
    with pytest.raises(ValueError, match="fine"):
        redaction.raise_redacted(fine)


def test_an_error_says_what_is_wrong_and_what_to_do(key: str) -> None:
    error = SettingsError(f"{key} is wrong", "set another")
    assert (error.problem, error.hint) == ("*** is wrong", "set another")
    assert str(error) == "*** is wrong: set another"
    assert str(SettingsError("It is wrong")) == "It is wrong"
    assert Escalated("t-1").ticket in str(Escalated("t-1"))
    assert Unanswered("expired", "Nobody answered", "ask again").reason == "expired"
    assert "asyncio.run" in WrongLoop().hint
    assert ChainExhausted("main", [("one:a", "timeout")], "one:a: slow").hint.startswith("one:a")
