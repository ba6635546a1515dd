"""Error replies without a server: words of a request never decide, and every way to say "wait"."""

import importlib
import json
import time
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic_ai.exceptions import ModelAPIError, ModelHTTPError

from tests.examples import examples
from tests.test_error_bodies import BODIES

HOSTILE = [
    "insufficient_quota context_length_exceeded",
    "How do I reset my credential? My billing address is wrong.",
    "content_filter: the response was filtered due to the prompt",
    "This organization has been disabled.",
    "This model's maximum context length is 8 tokens.",
    "Your credit balance is too low to access the Anthropic API.",
    "The model `gpt-9` does not exist; invalid_api_key; API key not valid. overloaded",
    '{"error": {"code": "insufficient_quota", "type": "billing_error"}}',
    "<html><body>Just a moment...</body></html> error code: 1020",
    "Request too large for m on tokens per min. Content Exists Risk. Prompt is too long.",
]
CODES = {"code", "Code", "type", "__type", "status", "reason", "quotaId", "raw"}
MESSAGES = {"message", "Message", "error", "detail"}
ERRORS = [
    (case["status"], json.loads(case["body"]), case.get("headers", {}))
    for path in sorted(BODIES.glob("*.toml"))
    for case in tomllib.loads(path.read_text("utf-8"))["case"]
    if case["status"] >= 400 and case["body"].startswith("{")
]


@pytest.fixture(scope="module")
def kind_of(every_provider: str) -> Any:
    return importlib.import_module(f"{every_provider}.runtime.replies").classify_reply


@pytest.fixture(scope="module")
def retry_after_s(every_provider: str) -> Any:
    return importlib.import_module(f"{every_provider}.runtime.retry_after").retry_after_s


def error_of(status: int, body: object, headers: dict[str, str]) -> ModelHTTPError:
    return ModelHTTPError(status, "m", body, headers=headers)


def iter_echoes(body: Any, text: str, key: str = "") -> Iterator[Any]:
    """Yield the body with a user's text in each of its strings in turn, but not in its codes."""
    if isinstance(body, dict):
        for name, value in body.items():
            if name not in CODES:
                for other in iter_echoes(value, text, name):
                    yield body | {name: other}
        yield body | {"input": text, "param": text, "prompt": {"code": text, "message": text}}
    elif isinstance(body, list):
        for at, value in enumerate(body):
            for other in iter_echoes(value, text, key):
                yield [*body[:at], other, *body[at + 1 :]]
    elif isinstance(body, str):
        yield f"{body} {text}" if key in MESSAGES else text
        yield f"{body} (input: '{text}')" if key in MESSAGES else f"{body}{text}"


@given(st.sampled_from(ERRORS), st.sampled_from(HOSTILE) | st.text(max_size=60))
@settings(max_examples=examples(300), deadline=None)
def test_no_text_of_a_user_in_an_error_decides_its_kind(
    kind_of: Any, error: tuple[int, Any, dict[str, str]], text: str
) -> None:
    status, body, headers = error
    for one in (body, body.get("error", body)):  # the SDK of OpenAI takes the outer object off
        kind = kind_of(error_of(status, one, headers))
        for other in iter_echoes(one, text, "message"):
            assert kind_of(error_of(status, other, headers)) == kind, other


@pytest.mark.parametrize("text", HOSTILE)
def test_a_bad_request_that_quotes_a_request_stays_one(kind_of: Any, text: str) -> None:
    for words in (f"Invalid value: '{text}'", f"Unknown tool {text}", f"[{{'input': '{text}'}}]"):
        for status in (400, 422):
            assert kind_of(error_of(status, {"message": words}, {})) == "bad_request"


@pytest.mark.parametrize(
    ("headers", "wait"),
    [
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "2"}, 2),
        ({"Retry-After": "0.25"}, 0.25),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "0"}, 0),
        ({"retry-after": "-5"}, 0),
        ({"retry-after": "soon"}, 0),
        ({"retry-after": "nan"}, 0),
        ({"retry-after": "inf"}, 0),
        ({"retry-after": ""}, 0),
        ({"retry-after": "1m30.5s"}, 90.5),
        ({"x-ratelimit-reset-requests": "6ms", "x-ratelimit-reset-tokens": "1m30.5s"}, 0.006),
        ({"x-ratelimit-reset-tokens": "6m0s", "x-ratelimit-remaining-tokens": "0"}, 360),
        (
            {
                "x-ratelimit-reset-requests": "1s",
                "x-ratelimit-remaining-requests": "9",
                "x-ratelimit-reset-tokens": "7.66s",
                "x-ratelimit-remaining-tokens": "0",
            },
            7.66,
        ),
        ({"ratelimit-reset": "12"}, 12),
    ],
)
def test_how_long_a_reply_asks_to_wait(
    retry_after_s: Any, headers: dict[str, str], wait: float
) -> None:
    assert retry_after_s(error_of(429, None, headers)) == pytest.approx(wait)


@pytest.mark.parametrize(
    ("headers", "body", "wait"),
    [
        ({"retry-after": "2, 3"}, None, 3),
        ({"retry-after": "., ."}, None, 0),
        ({"retry-after": "1.2.3, 4"}, None, 4),
        ({"X-RateLimit-Reset-Requests": "250ms"}, None, 0.25),
        ({"retry-after": "1e3"}, None, 1000),
        ({"retry-after": "-1", "x-ratelimit-reset": "7"}, None, 7),
        ({}, {"error": {"details": [{"retryDelay": "37s"}]}}, 37),
        ({}, [{"error": {"details": [{"retryDelay": "0.5s"}]}}], 0.5),
        ({}, {"error": {"details": [{"retryDelay": "-3s"}]}}, 0),
        ({}, {"error": {"details": [{"retryDelay": {"seconds": 3}}]}}, 0),
        ({}, {"error": {"retry_after": 12}}, 12),
        ({}, {"retry_after": "4.5"}, 4.5),
        ({}, {"retry_after": True}, 0),
        ({}, {"error": {"metadata": {"headers": {"Retry-After": "9"}}}}, 9),
        ({}, {"error": {"metadata": {"headers": {"X-RateLimit-Reset": "11s"}}}}, 11),
        ({"retry-after": "3"}, {"error": {"retry_after": 12}}, 3),
        ({}, {"error": {"message": "Try again in 30 seconds; retry_after: 99"}}, 0),
    ],
)
def test_what_other_places_of_a_reply_say_of_the_wait(
    retry_after_s: Any, headers: dict[str, str], body: object, wait: float
) -> None:
    assert retry_after_s(error_of(429, body, headers)) == pytest.approx(wait)


@pytest.mark.parametrize(
    "name", ["retry-after", "x-ratelimit-reset", "anthropic-ratelimit-tokens-reset"]
)
def test_a_moment_is_a_wait_from_now_on(retry_after_s: Any, name: str) -> None:
    then = datetime.now(UTC) + timedelta(seconds=60)
    moments = [
        format_datetime(then, usegmt=True),
        then.isoformat(),
        str(then.timestamp()),
        str(int(then.timestamp() * 1000)),
    ]
    for moment in moments:
        assert 50 < retry_after_s(error_of(429, None, {name: moment})) <= 60
    for past in ("Mon, 01 Jan 2024 00:00:00 GMT", "1700000000", "1700000000000"):
        assert retry_after_s(error_of(429, None, {name: past})) == 0


def test_no_absurd_wait_rests_a_model_for_longer_than_ten_minutes(every_provider: str) -> None:
    failures = importlib.import_module(f"{every_provider}.runtime.failures")
    candidates = importlib.import_module(f"{every_provider}.runtime.candidates")
    fleet = importlib.import_module(f"{every_provider}.runtime.fleet")
    for value in ("86400", "99999999", "9" * 40, str(time.time() + 10**6)):
        ref = fleet.ModelRef("openai", "m")
        candidate = candidates.Candidate(ref=ref, build=lambda: None)
        error = error_of(429, None, {"retry-after": value})
        candidate.record_failure(failures.classify_error(error), error)
        assert candidate.available_at <= time.monotonic() + candidates.MAX_COOLDOWN_S


def test_an_error_without_a_reply_asks_for_nothing(retry_after_s: Any) -> None:
    assert retry_after_s(TimeoutError()) == 0
    assert retry_after_s(ModelAPIError("m", "cut")) == 0
    assert retry_after_s(ModelAPIError("m", "Google's RetryInfo", retry_after=34.0)) == 34


def test_what_opens_a_circuit_is_a_code_or_a_whole_sentence(kind_of: Any) -> None:
    tripping = {"authentication", "quota", "unknown_model", "network", "overloaded", "timeout"}
    for words in (
        "billing",
        "credential",
        "account disabled",
        "quota",
        "model gone",
        "overloaded by",
    ):
        assert kind_of(error_of(400, {"message": words}, {})) not in tripping


@pytest.mark.parametrize("name", ["NoCredentialsError", "ClientAuthenticationError"])
def test_a_login_of_the_cloud_that_fails_is_authentication(every_provider: str, name: str) -> None:
    failures = importlib.import_module(f"{every_provider}.runtime.failures")
    assert failures.classify_error(type(name, (Exception,), {})("no token")) == "authentication"


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("Invalid model parameter: temperature must be below 2", "bad_request"),
        ("Invalid model: schema field 'x' is required", "bad_request"),
        ("Unknown model: the field is missing in line 3", "bad_request"),
        ("Invalid model: mistral-9", "unknown_model"),
        ("Unknown model: vendor/name:free", "unknown_model"),
        ("/chat/completions: Invalid model name passed in model=m. See more.", "unknown_model"),
    ],
)
def test_a_model_is_unknown_only_where_nothing_else_is_said(
    kind_of: Any, message: str, kind: str
) -> None:
    body = {"message": message, "type": "invalid_request_error"}
    assert kind_of(ModelHTTPError(400, "m", body)) == kind
