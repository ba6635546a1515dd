"""What comes from outside: error replies, refusals, JSON in texts, characters."""

import asyncio
import logging
import stat
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from socket import gaierror
from types import SimpleNamespace
from typing import Any

import pytest
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from desk import cli, wiring
from desk.runtime import text
from desk.runtime.errors import (
    SettingsError,
    explain_lookup,
    find_exhaustion,
    find_remedy,
)
from desk.runtime.fleet import Deployment
from desk.runtime.private import private_file
from desk.runtime.refusals import refuses
from desk.runtime.replies import classify_reply
from desk.runtime.retry_after import retry_after_s

KEY = "sk-proj-Abc123/xyz+0987654321-QwertyUiop"


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (429, {"error": {"code": "insufficient_quota", "message": "Too many"}}, "quota"),
        (400, {"error": {"code": "context_length_exceeded"}}, "context_too_long"),
        (400, {"message": "Prompt is too long: 9 tokens > 8 maximum"}, "context_too_long"),
        (400, {"message": "Invalid value: 'my prompt is too long'"}, "bad_request"),
        (429, {"message": "Too many tokens. Slow down"}, "rate_limited"),
        (413, {"error": {"code": "rate_limit_exceeded"}}, "request_too_large"),
        (400, {"error": {"innererror": {"content_filter_result": {}}}}, "content_filter"),
        (503, "<html>Bad gateway</html>", "network"),
        (401, {"message": "No"}, "authentication"),
        (418, None, "bad_request"),
        (302, None, "network"),
        (599, None, "overloaded"),
        (400, {"message": 'litellm.X: AException - {"error": {"code": 404}}'}, "bad_request"),
        (500, b'{"error": [{"code": "overloaded"}]}', "overloaded"),
    ],
)
def test_status_code_and_type_decide_what_an_error_is(status: int, body: Any, kind: str) -> None:
    assert classify_reply(ModelHTTPError(status, "m", body, headers={})) == kind


def test_an_error_without_a_reply_is_classified_by_its_text() -> None:
    half = ModelAPIError("m", "Failed to decode response as JSON")
    assert classify_reply(half) == "malformed"
    assert classify_reply(ModelAPIError("m", "cut off")) is None
    assert classify_reply(ValueError("... expected JSON data")) == "network"
    html = ModelHTTPError(502, "m", "<p>down</p>", headers={"content-type": "text/html"})
    assert classify_reply(html) == "network"


@pytest.mark.parametrize(
    ("headers", "body", "seconds"),
    [
        ({"retry-after": "1.5"}, None, 1.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, None, 1.5),
        ({"retry-after": "1m30.5s"}, None, 90.5),
        ({"retry-after": "2, 3"}, None, 3),
        ({"retry-after": "soon"}, None, 0),
        ({"retry-after": "-5"}, None, 0),
        ({"x-ratelimit-reset-tokens": "6m0s", "x-ratelimit-remaining-tokens": "0"}, None, 360),
        ({"ratelimit-reset": "12"}, None, 12),
        ({}, {"error": {"details": [{"retryDelay": "37s"}]}}, 37),
        ({}, {"error": {"metadata": {"headers": {"Retry-After": "9"}}}}, 9),
        ({}, {"message": "Try again in 30 seconds"}, 0),
    ],
)
def test_a_reply_says_how_long_to_wait(headers: dict[str, str], body: Any, seconds: float) -> None:
    error = ModelHTTPError(429, "m", body, headers=headers)
    assert retry_after_s(error) == pytest.approx(seconds)


def test_a_moment_is_a_wait_from_now_on() -> None:
    then = datetime.now(UTC) + timedelta(seconds=60)
    milliseconds = str(int(then.timestamp() * 1000))
    for moment in (format_datetime(then, usegmt=True), str(then.timestamp()), milliseconds):
        error = ModelHTTPError(429, "m", None, headers={"retry-after": moment})
        assert 50 < retry_after_s(error) <= 60
    assert retry_after_s(TimeoutError()) == 0
    assert retry_after_s(ModelAPIError("m", "in its body", retry_after=34.0)) == 34


@pytest.mark.parametrize(
    ("said", "is_refusal"),
    [
        ("I'm sorry, but I can't help with that.", True),
        ("I must decline this request.", True),
        ("No, sorry.", True),
        ('{"answer": "I cannot assist with that."}', True),
        ('{"answer": "I cannot assist with that.", "source": "page 3"}', False),
        ("{broken", False),
        ("I cannot give a date, but your parcel left on Monday, 3 May.", False),
        ("I can't answer questions after my training data ends in 2024.", True),
        ('He said: "I cannot help with that."', False),
        ("That violates my guidelines.", True),
        ("That goes against the guidelines I follow.", True),
        ("That goes against the rules of chess.", False),
        ("No, that is against our travel policy.", False),
        ("Your post was removed because it violates our content policy.", False),
        ("I can't help with that. " + "The rest is an answer. " * 40, False),
    ],
)
def test_a_refusal_is_distinguished_from_an_answer(said: str, is_refusal: bool) -> None:
    assert refuses(said) is is_refusal


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ('{"a": 1}', '{"a": 1}'),
        ('```json\n{"a": 1}\n```', '{"a": 1}'),
        ('Here it is: {"a": 1,} as you asked', '{"a": 1}'),
        ('<think>{"a": 0}</think>{"a": 1}', '{"a": 1}'),
        ("{'a': True, 'b': None}", '{"a": true, "b": null}'),
        ('"{\\"a\\": 1}"', '{"a": 1}'),
        ('{"a": 1}\n{"a": 2}', '{"a": 1}\n{"a": 2}'),
        ("No JSON, as [1] says", "No JSON, as [1] says"),
        ("so: {broken", "so: {broken"),
    ],
)
def test_json_is_found_in_what_is_around_it(said: str, found: str) -> None:
    assert text.extract_json(said) == found


def test_texts_become_what_every_client_takes() -> None:
    assert text.sanitize({"a": ["nul \0", ("half \ud83d",)]}) == {
        "a": ["nul \ufffd", ("half \ufffd",)]
    }
    assert text.sanitize("page\x0cpage") == "page\npage"
    tool = ToolDefinition(name="look", description="nul \0")
    asked = ModelRequestParameters(function_tools=[tool])
    assert text.sanitize(asked).function_tools[0].description == "nul \ufffd"
    assert text.drop_half_characters(rb'{"a": "\ud83d"}') == rb'{"a": "\ufffd"}'


def test_a_terminal_and_a_spreadsheet_run_nothing() -> None:
    assert text.printable("ann\x1b[2J \x1b[31mred\x1b[0m gnp\u202e.exe") == "ann red gnp.exe"
    assert [text.csv_cell(one) for one in ("=1+1", "-5", "ann", 3)] == ["'=1+1", "-5", "ann", 3]
    assert text.from_csv_cell("'=1+1") == "=1+1"


@pytest.fixture
def key(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    return KEY


def play(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> int | str | None:
    """Return how the command line ends where its only command raises this error."""

    def fail(_: Any) -> int:
        raise error

    command = SimpleNamespace(HELP="?", configure=lambda _: None, run=fail)
    monkeypatch.setattr(cli, "COMMANDS", {"fail": command})
    monkeypatch.setattr("sys.argv", ["workspace", "fail"])
    factory = logging.getLogRecordFactory()
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main()
    finally:
        logging.setLogRecordFactory(factory)
    return ended.value.code


def test_the_command_line_shows_an_error_and_on_its_own_line_a_hint(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert play(monkeypatch, SettingsError("It is wrong", "mend it")) == (
        "error: It is wrong\nhint: mend it"
    )
    assert play(monkeypatch, SettingsError("It is wrong")) == "error: It is wrong"
    bug = str(play(monkeypatch, ValueError(key)))
    assert bug.startswith("Traceback") and bug.endswith("ValueError: ***")
    assert play(monkeypatch, KeyboardInterrupt()) == 130


def test_wrong_usage_is_shown_like_any_other_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["workspace", "nonsense"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    error, hint = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert error.startswith("error: ") and hint.startswith("hint: see `")


def test_what_this_machine_has_run_out_of_is_found() -> None:
    files = OSError(24, "Too many open files")
    assert find_exhaustion(ExceptionGroup("all", [ValueError(), files])) is files
    for error in (MemoryError(), RuntimeError("can't start new thread")):
        found = find_exhaustion(error)
        assert found and find_remedy(found)
    assert find_exhaustion(ValueError("bad")) is None


def test_what_helps_is_said_with_an_error_of_this_machine() -> None:
    remedy = find_remedy(OSError(24, "Too many open files"))
    assert remedy.endswith("lower [limits] of fleet.toml")
    assert find_remedy(OSError(2, "No such file or directory")) == ""
    error = ConnectionError("down")
    error.__cause__ = gaierror("not known")
    assert "DNS" in explain_lookup(error)
    assert explain_lookup(ConnectionError("down")) == ""


def test_a_private_file_is_its_owners_alone(tmp_path: Path) -> None:
    path = private_file(tmp_path / "data" / "ledger.sqlite3")
    path.chmod(0o644)
    private_file(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(IsADirectoryError):
        private_file(tmp_path)


@pytest.mark.parametrize("name", wiring.PROVIDERS)
def test_a_client_of_every_provider_is_made_without_a_request(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = wiring.PROVIDERS[name]
    for variable in (*provider.keys(Deployment()), "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        url = variable.endswith(("URL", "ENDPOINT"))
        monkeypatch.setenv(variable, "http://127.0.0.1:9" if url else "eu-central-1")
    place = Deployment(base_url="http://127.0.0.1:9", region="eu-central-1")

    async def build() -> None:  # xAI's client wants an event loop
        for deployment in (place, Deployment()):
            model = provider.build("vendor/m", deployment)
            assert model.model_name == "vendor/m"
            varies = getattr(provider, "price_varies", None)
            assert varies is None or varies("m", deployment) in (True, False)

    asyncio.run(build())
