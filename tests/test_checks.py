"""Quality checks of a rendered workspace: what they reject, what they cost, who pays."""

import asyncio
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import recorded

FLEET = """
[chains.main]
models = ["first:a", "second:b"]
[chains.other]
models = ["third:c"]
[stages.answer]
chain = "main"
task_type = "answering"
checks = [{checks}]
"""
SOURCE = "Revenue rose to $1.2 million in 2026 (24 November 2026), up 12,5 %; twelve vans."


@pytest.fixture(scope="module")
def matching(every_provider: str) -> ModuleType:
    return import_module(f"{every_provider}.runtime.same_answer")


@pytest.fixture(scope="module")
def grounding(every_provider: str) -> ModuleType:
    return import_module(f"{every_provider}.runtime.grounded")


def count_calls(function: Callable[[str], None], text: str) -> int:
    """Return how many functions are called, of Python and of C, as this one reads a text."""
    count = 0

    def note(_: object, event: str, __: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    sys.setprofile(note)
    try:
        function(text)
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.parametrize("text", ["word " * 40_000, "= " * 40_000, '"' * 40_000, "1,1 " * 40_000])
def test_a_long_text_takes_no_time(matching: ModuleType, grounding: ModuleType, text: str) -> None:
    def read(long: str) -> None:
        grounding.missing(long, long)
        matching.is_same(long, long + "x")

    read(text)  # in quadratic time this would take minutes
    most, half = count_calls(read, text[:8000]), count_calls(read, text[:4000])
    assert most <= 2.5 * half


@given(text=st.text(max_size=200))
def test_every_text_is_grounded_in_itself_and_agrees_with_itself(
    matching: ModuleType, grounding: ModuleType, text: str
) -> None:
    assert grounding.missing(text, text)[0] == []
    assert matching.is_same(text, text)


USED = {"input_tokens": 10, "output_tokens": 5}


class Desk(recorded.Desk):
    """A workspace of two models whose replies are scripted by stage."""

    def ask(
        self, checks: str, replies: dict[str, list[Any]], *, more: str = "", **asked: Any
    ) -> str:
        """Return what the sub-agent `answer` says to a question, with these checks and replies."""
        self.write(FLEET.format(checks=checks) + more)
        request = self.module("runtime.run").Request("How many?", data_class=asked.pop("to", None))
        answer = self.module("workspace").ANSWER

        async def play() -> str:
            used = {stage: [USED | one for one in given] for stage, given in replies.items()}
            async with self.open(used) as workspace:
                return await workspace.start(request).ask(answer, "How many?", **asked)

        return asyncio.run(play())


@pytest.fixture
def desk(every_provider: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setenv("FLEET_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.sqlite3")
    return Desk(every_provider, tmp_path)


@pytest.mark.parametrize(
    ("checks", "bad", "good", "reason"),
    [
        ('"length:5-40"', "12", "There are twelve.", "too_short"),
        ('"length:-20"', "There are twelve of them.", "Twelve.", "too_long"),
        ('"pattern:^There"', "Twelve.", "There are twelve.", "no_match"),
        ('"not_empty", "schema", "pattern:^There"', "Twelve.", "There are 12.", "no_match"),
    ],
)
def test_a_rejected_answer_is_paid_for_and_the_next_model_asked(
    desk: Desk, checks: str, bad: str, good: str, reason: str
) -> None:
    assert desk.ask(checks, {"answer": [{"text": bad}, {"text": good}]}) == good
    assert desk.rows("request_model, outcome, error_type, input_tokens") == [
        ("a", "rejected", reason, 10),
        ("b", "ok", None, 10),
    ]


def test_an_ungrounded_answer_is_rejected_with_its_share(desk: Desk) -> None:
    replies = {"answer": [{"text": "12 vans in 2031"}, {"text": "12 vans in 2026"}]}
    assert desk.ask('"grounded"', replies, source=SOURCE) == "12 vans in 2026"
    assert desk.rows("outcome, error_type, quality, quality_source") == [
        ("rejected", "ungrounded", 0.5, "check"),
        ("ok", None, 1.0, "check"),
    ]


def test_a_judge_scores_and_is_billed_to_the_task(desk: Desk) -> None:
    replies = {
        "answer": [{"text": "Bad."}, {"text": "Good."}],
        "judge": [
            {"answer": {"score": 0.3, "reason": "vague"}},
            {"answer": {"score": 0.9, "reason": "none"}},
        ],
    }
    assert desk.ask('"judge:0.7"', replies) == "Good."
    columns = "stage, task_type, outcome, error_type, quality, quality_source"
    assert [row for row in desk.rows(columns) if row[0] == "answer"] == [
        ("answer", "answering", "rejected", "low_score", 0.3, "judge"),
        ("answer", "answering", "ok", None, 0.9, "judge"),
    ]
    judged = ("judge", "answering", "ok", None, None, None)
    assert [row for row in desk.rows(columns) if row[0] == "judge"] == [judged, judged]
    ids = desk.rows("stage, run_id, call_id, parent_id")
    answers = {row[2] for row in ids if row[0] == "answer"}
    assert {row[3] for row in ids if row[0] == "judge"} == answers
    assert len({row[1] for row in ids}) == 1


def test_a_judge_alone_takes_the_threshold_of_quality(desk: Desk) -> None:
    replies = {
        "answer": [{"text": "One."}],
        "judge": [{"answer": {"score": 0.5, "reason": "so so"}}],
    }
    assert desk.ask('"judge"', replies, more="[quality]\nthreshold = 0.4\n") == "One."


def test_a_judge_that_cannot_be_asked_rejects_nothing(desk: Desk) -> None:
    replies = {"answer": [{"text": "One."}], "judge": [{"status": 503}] * 6}
    more = '[stages.judge]\nchain = "other"\ntask_type = "judging"\n'
    assert desk.ask('"judge:0.9"', replies, more=more) == "One."
    assert ("answer", "ok", None) in desk.rows("stage, outcome, quality")


def test_a_judge_obeys_the_data_boundary(desk: Desk) -> None:
    replies = {"answer": [{"text": "One."}], "judge": []}
    more = '[stages.judge]\nchain = "other"\ntask_type = "judging"\n'
    more += '[data]\nfirst = ["personal"]\nsecond = ["personal"]\nthird = ["public"]\n'
    assert desk.ask('"judge:0.9"', replies, more=more, to="personal") == "One."
    assert ("judge", "skipped", "data_class") in desk.rows("stage, outcome, error_type")


def test_a_second_model_that_disagrees_sends_the_request_on(desk: Desk) -> None:
    replies = {
        "answer": [{"text": "The answer is 41."}, {"text": "So it is 42."}],
        "second_opinion": [{"text": "42"}, {"text": "42"}],
    }
    assert desk.ask('"agreement:other"', replies) == "So it is 42."
    rows = desk.rows("stage, request_model, outcome, error_type, quality, quality_source")
    assert sorted(rows) == sorted(
        [
            ("answer", "a", "rejected", "disagrees", 0.0, "agreement"),
            ("second_opinion", "c", "ok", None, None, None),
            ("answer", "b", "ok", None, 1.0, "agreement"),
            ("second_opinion", "c", "ok", None, None, None),
        ]
    )
    assert {row[0] for row in desk.rows("task_type")} == {"answering"}


def test_the_same_model_is_no_second_opinion(desk: Desk) -> None:
    replies = {"answer": [{"text": "41"}], "second_opinion": [{"text": "42"}]}
    assert desk.ask('"agreement:main"', replies) == "41"


def test_a_check_of_an_extra_that_is_not_there_names_the_extra(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(desk.module("wiring").CHECKS, "grounded")
    errors = desk.module("runtime.errors")
    with pytest.raises(
        errors.SettingsError, match=r"'grounded' is not in wiring.*`scaffold add extra"
    ):
        desk.ask('"grounded"', {"answer": [{"text": "One."}]})


@pytest.mark.parametrize("slow", [False, True])
def test_a_team_names_its_own(desk: Desk, monkeypatch: pytest.MonkeyPatch, slow: bool) -> None:
    def polite(completion: Any, _call: Any) -> str | None:
        return None if "please" in (completion.text or "") else "impolite"

    async def polite_later(completion: Any, call: Any) -> str | None:
        await asyncio.sleep(0)
        return polite(completion, call)

    def make_check(_: str) -> Any:
        return polite_later if slow else polite

    monkeypatch.setitem(desk.module("wiring").CHECKS, "polite", make_check)
    replies = {"answer": [{"text": "Wait."}, {"text": "Wait, please."}]}
    assert desk.ask('"polite"', replies) == "Wait, please."
    assert ("rejected", "impolite") in desk.rows("outcome, error_type")


@pytest.mark.parametrize(
    ("checks", "advice"),
    [
        ('"lenght:5-40"', "'lenght' is not in wiring"),
        ('"length:many"', "length:20-2000"),
        ('"length"', "length:20-2000"),
        ('"length:400-20"', "smaller number comes first"),
        ('"pattern:("', "regular expression"),
        ('"grounded:7"', "from 0 to 1"),
        ('"judge:high"', "from 0 to 1"),
        ('"agreement"', "agreement:cheap"),
        ('"agreement:nowhere"', r"no \[chains.nowhere\]"),
    ],
)
def test_a_wrong_check_is_refused_with_advice(desk: Desk, checks: str, advice: str) -> None:
    errors = desk.module("runtime.errors")
    with pytest.raises(errors.SettingsError, match=advice):
        desk.ask(checks, {"answer": [{"text": "One."}]})
