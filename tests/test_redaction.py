"""Text from redaction: secrets out of all that is logged, stored, raised or shown; nothing that runs."""

import base64
import importlib
import json
import logging
import os
import stat
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError
from pydantic_ai.exceptions import ModelHTTPError

from tests.fleets import Desk, desk, loopback
from tests.loopback import Reply

__all__ = ["desk", "loopback"]
KEY = "sk-proj-Abc123/xyz+0987654321-QwertyUiop"
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    factory = logging.getLogRecordFactory()
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    yield KEY
    logging.setLogRecordFactory(factory)


@pytest.fixture
def redaction(every_provider: str) -> Any:
    return importlib.import_module(f"{every_provider}.runtime.redaction")


@pytest.fixture
def text_module(every_provider: str) -> Any:
    return importlib.import_module(f"{every_provider}.runtime.text")


def forms(key: str) -> dict[str, str]:
    basic = [base64.b64encode(f"{'u' * n}:{key}".encode()).decode() for n in range(4)]
    return {
        "plain": key,
        "bearer": f"Bearer {key}",
        "url": quote(key, safe=""),
        "json": json.dumps(key),
        "cut": key[: len(key) // 2 + 3],
        **{f"basic {n}": f"Basic {text}" for n, text in enumerate(basic)},
    }


@pytest.mark.parametrize("form", forms(KEY))
def test_every_form_of_a_secret_is_taken_out(redaction: Any, key: str, form: str) -> None:
    text = forms(key)[form]
    cleaned = redaction.redact_secrets(f"Incorrect API key provided: {text}. See the docs.")
    assert "***" in cleaned and cleaned.endswith("See the docs.")
    for part in (text[8:24], text[-16:-4]):
        assert part not in cleaned


def test_what_settings_name_is_secret_whatever_its_name(
    redaction: Any, every_provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_EU", "eu-credential-0815")
    monkeypatch.setenv(
        "FLEET_ESCALATION_WEBHOOK", "https://hooks.invalid/services/T0/B0/abcdefghijklmnopqrstuv"
    )
    monkeypatch.setenv("FLEET_LEDGER_URL", "postgresql://ann:pa55word!x@db.invalid/fleet")
    (tmp_path / "fleet.toml").write_text(
        '[chains.cheap]\nmodels = ["openai:m@eu"]\n[deployments.eu]\nkey_env = "OPENAI_EU"\n'
        'base_url = "https://bob:hunter2222@gateway.invalid/v1?api_key=qqqwwweee"\n'
    )
    importlib.import_module(f"{every_provider}.runtime.fleet").load(tmp_path / "fleet.toml")
    shown = redaction.redact_secrets(
        "eu-credential-0815 abcdefghijklmnopqrstuv pa55word!x hunter2222 qqqwwweee stay"
    )
    assert shown == "*** *** *** *** *** stay"


def test_a_provider_may_mask_a_key_itself(redaction: Any, key: str) -> None:
    for masked in ("sk-…iop", "sk-p********Uiop", "sk-x"):
        assert redaction.redact_secrets(masked) == masked
    assert key


def echo(desk: Desk, key: str, status: int = 401) -> None:
    body = {"error": {"message": f"Bad key {key}", "code": "invalid_api_key", "type": key}}
    desk.server.script["m"] = [Reply(status=status, body=json.dumps(body))]
    desk.models = ["openai:m"]


def test_a_key_that_a_gateway_echoes_is_in_no_log_no_row_and_no_error(
    desk: Desk, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    echo(desk, key)
    with pytest.raises(Exception, match="authentication") as raised:
        desk.ask()
    logging.getLogger("httpx").debug("headers=%s", {"Authorization": f"Bearer {key}"})
    shown = "".join(traceback.format_exception(raised.value))
    assert key not in shown and key not in caplog.text
    assert "*** " not in shown and "Bad key ***" in caplog.text
    assert all(key not in path.read_bytes().decode("latin-1") for path in files(desk))


def test_an_answer_that_holds_the_key_is_recorded_without_it(desk: Desk, key: str) -> None:
    answer = {
        **{"id": f"id-{key}", "object": "chat.completion", "created": 1, "model": key},
        "choices": [
            {
                "index": 0,
                "finish_reason": "stop",
                "message": {"role": "assistant", "content": "Paris is the capital of France."},
            }
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18},
    }
    desk.server.script["m"] = [Reply(body=json.dumps(answer))]
    desk.models = ["openai:m"]
    desk.ask()
    assert desk.rows("response_model, provider_request_id") == [("***", "id-***")]


def files(desk: Desk) -> list[Path]:
    return [path for path in (desk.root / "data").rglob("*") if path.is_file()]


def test_an_error_and_all_it_came_from_are_cleaned(redaction: Any, key: str) -> None:
    try:
        try:
            raise ValueError(f"inner {key}", {"deep": [key]})
        except ValueError as inner:
            raise ExceptionGroup(f"outer {key}", [RuntimeError(key)]) from inner
    except ExceptionGroup as error:
        error.add_note(f"noted {key}")
        cleaned = redaction.redact_error(error)
        shown = "".join(traceback.format_exception(cleaned))
        assert isinstance(cleaned, ExceptionGroup)
        for part in ("outer ***", "inner ***", "RuntimeError: ***", "noted ***"):
            assert part in shown
        assert key not in shown + repr(cleaned) + repr(cleaned.__cause__)


class Count(BaseModel):
    count: int


def test_an_error_whose_text_cannot_be_changed_is_raised_as_another(
    redaction: Any, key: str
) -> None:
    with pytest.raises(ExceptionGroup, match="all") as raised:
        try:
            try:
                Count.model_validate({"count": key})
            except ValidationError as error:
                raise ExceptionGroup("all", [error]) from None
        except ExceptionGroup as group:
            redaction.raise_redacted(group)
    shown = "".join(traceback.format_exception(raised.value))
    assert key not in shown and "RuntimeError: ValidationError: 1 validation error" in shown
    assert redaction.redact_error(error := ValueError("fine")) is error


def test_a_formatter_that_reads_a_records_arguments_finds_them(
    redaction: Any, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    redaction.hide_in_logs()
    log = logging.getLogger("uvicorn.access")
    log.warning('%s - "%s %s HTTP/%s" %d', "1.2.3.4:5", "GET", f"/v1?key={key}", "1.1", 200)
    log.warning("%(a)s %(b)d", {"a": [key], "b": 3})
    log.warning("%s %r", OSError(key), URL(key))
    log.warning("%s%s", key[:5], key[5:])
    paths, named, objects, halves = caplog.records[-4:]
    assert paths.args == ("1.2.3.4:5", "GET", "/v1?key=***", "1.1", 200)
    assert named.getMessage() == "['***'] 3" and objects.getMessage() == "*** 'URL(***)'"
    assert halves.getMessage() == "***" and key not in caplog.text


class URL:
    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return f"URL({self.text})"


def test_a_warning_is_cleaned(redaction: Any, key: str) -> None:
    shown = warnings.formatwarning
    redaction.hide_in_logs()
    try:
        assert key not in warnings.formatwarning(f"key {key}", UserWarning, "x.py", 1)
    finally:
        warnings.formatwarning = shown


JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJzb21lYm9keSJ9.c2lnbmF0dXJlLW9mLWl0"


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADAN\nabc\n-----END PRIVATE KEY-----",
        JWT,
        "ya29.a0AfH6SMBx1234567890abcdefgh",
        "AIza" + "Sy0123456789abcdefghijklmnopqrstuvw"[:35],
        "ASIA0123456789ABCDEF",
        "sk-ant-api03-abcdefghijklmnopqrst",
        "Authorization: Basic dXNlcjpwYXNzd29yZA==",
        "'authorization': 'Bearer abcdef-0123456789'",
    ],
)
def test_a_credential_of_nobodys_settings_is_known_by_its_shape(redaction: Any, text: str) -> None:
    assert redaction.redact_secrets(f"failed: {text}").replace("'", "") == "failed: ***"


def test_what_only_resembles_a_credential_stays(redaction: Any) -> None:
    for text in ("Authorization: see below", "basic internationalization", "ASIA is large", "sk-5"):
        assert redaction.redact_secrets(text) == text


def test_a_service_accounts_key_is_secret_wherever_it_stands(
    redaction: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7"
    account = {"type": "service_account", "private_key": f"-----BEGIN KEY-----\n{line}\n"}
    (tmp_path / "account.json").write_text(json.dumps(account))
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(tmp_path / "account.json"))
    assert line not in redaction.redact_secrets(f"bad key {line}")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/nowhere.json")
    monkeypatch.setenv("GOOGLE_CREDENTIALS_JSON", json.dumps(account))
    assert line not in redaction.redact_secrets(f"bad key {line}")


def test_settings_show_no_secret(every_provider: str, key: str) -> None:
    fleet = importlib.import_module(f"{every_provider}.runtime.fleet")
    place = fleet.Deployment(base_url=f"https://gateway.invalid/v1?api_key={key}")
    chain = fleet.ChainSettings(models=["openai:m"])
    whole = fleet.Fleet(chains={"c": chain}, deployments={"d": place}, mcp={"s": {"headers": key}})
    for one in (place, whole):
        assert key not in f"{one} {one!r} {[one]}" and "gateway" in str(one)


def test_a_log_record_of_anybody_is_cleaned(
    redaction: Any, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    redaction.hide_in_logs()
    redaction.hide_in_logs()
    try:
        raise ValueError(key)
    except ValueError:
        logging.getLogger("somebody.else").exception("failed with %s and %d", key, 3)
    formatter = logging.Formatter()
    record = caplog.records[-1]
    assert key not in formatter.format(record) and "with *** and 3" in formatter.format(record)


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
def test_files_in_data_are_their_owners_alone(desk: Desk, umask: int) -> None:
    data, before = desk.root / "data", os.umask(umask)
    try:
        data.mkdir(exist_ok=True)
        data.chmod(0o755)
        (data / "ledger.sqlite3").touch(0o666)
        (data / "ledger.sqlite3").chmod(0o644)
        desk.models = ["openai:ok"]

        async def look(workspace: Any) -> list[int]:
            await workspace.handle(desk.module("runtime.run").Request("Hello?"))
            return [stat.S_IMODE(path.stat().st_mode) for path in files(desk)]

        modes = desk.play(look)
    finally:
        os.umask(before)
    assert len(modes) >= 3 and set(modes) == {0o600}
    assert stat.S_IMODE(data.stat().st_mode) == 0o700


def test_a_folder_of_others_keeps_its_mode(every_provider: str, tmp_path: Path) -> None:
    private = importlib.import_module(f"{every_provider}.runtime.private")
    tmp_path.chmod(0o755)
    private.private_file(tmp_path / "here.sqlite3")
    private.private_file(tmp_path / "new" / "there.sqlite3")
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o755
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700


@given(st.text())
def test_what_is_printed_moves_no_cursor_and_turns_no_line(every_provider: str, text: str) -> None:
    shown = importlib.import_module(f"{every_provider}.runtime.text").printable(text)
    assert not set(shown) & {"\x1b", "\x9b", "\r", "\u202e", "\u2066", "\u200f", "\x07", "\x00"}
    shown.encode()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ann\x1b[2J", "ann"),
        ("\x1b]0;title\x07ann", "ann"),
        ("\x1b]8;;http://x.invalid\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("user\u202egnp.exe", "usergnp.exe"),
        ("two\nlines", "two\nlines"),
        ("Zürich 東京 €", "Zürich 東京 €"),
    ],
)
def test_escapes_are_removed_and_words_stay(text_module: Any, text: str, shown: str) -> None:
    assert text_module.printable(text) == shown


@given(st.text(alphabet="=+-@\t\r'a1. |", max_size=8))
def test_a_csv_cell_is_no_formula_and_reads_back(every_provider: str, text: str) -> None:
    text_module = importlib.import_module(f"{every_provider}.runtime.text")
    cell = text_module.csv_cell(text)
    assert text_module.from_csv_cell(cell) == text
    if cell.lstrip()[:1] in ("=", "+", "-", "@"):
        float(cell)


@pytest.mark.parametrize("number", [-5, 3.5, "-5", "+1e5", "-0.25", ".5"])
def test_numbers_stay_numbers(text_module: Any, number: Any) -> None:
    assert text_module.csv_cell(number) == number


def test_what_only_looks_like_a_secret_stays_in_a_text(
    redaction: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAX_TOKENS", "128000")
    monkeypatch.setenv("FLEET_LEDGER_URL", "postgresql://postgres@localhost/ledger")
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", "/home/me/desk/key.json")
    text = "postgres holds 128000 rows; /home/me/desk/fleet.toml is missing"
    assert redaction.redact_secrets(text) == text
    assert redaction.redact_secrets("/home/me/desk/key.json: bad") == "***: bad"


def test_a_password_may_hold_colons_and_a_token_may_stand_in_the_users_place(
    redaction: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_URL", "postgresql://ann:pa:ss:word@db.invalid/fleet")
    monkeypatch.setenv("B_URL", "https://0123456789abcdef@sentry.invalid/7")
    assert redaction.redact_secrets("pa:ss:word 0123456789abcdef stay") == "*** *** stay"


def test_an_error_body_of_any_shape_is_cleaned(redaction: Any, key: str) -> None:
    pair, deep = NamedTuple("pair", [("a", str), ("b", str)]), [key]
    for _ in range(900):
        deep = [deep]
    error = ModelHTTPError(500, "m", {"detail": deep, "msg": key})
    error.args = (pair("x", key),)
    redaction.redact_error(error)
    assert error.args == (("x", "***"),)
    assert "***" in str(error.body) and key not in str(error.body)


def test_a_deeply_nested_error_body_does_not_keep_the_next_model_from_being_asked(
    desk: Desk, key: str
) -> None:
    desk.server.script["deep"] = [Reply(status=500, body="[" * 900 + "]" * 900)]
    desk.models = ["openai:deep", "anthropic:ok"]
    desk.ask()
    assert key and desk.rows() == [("deep", "failed", "overloaded"), ("ok", "ok", None)]
