"""Which short answers are refusals, on labelled texts of which half were never looked at."""

import importlib.util
import json
import sys
from functools import cache
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import labelled
from tests.conftest import ROOT

MODULE = ROOT / "templates" / "{{'.'}}" / "src" / "{{package}}" / "runtime" / "refusals.py"
WORDS = st.sampled_from(
    ["I", "can't", "help", "with", "that", "but", '"', ":", "no", ".", "\n", "7"]
)


@cache
def refusals() -> ModuleType:
    """Return the module from the template: it has no relative import."""
    spec = importlib.util.spec_from_file_location("refusals", MODULE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["refusals"] = module
    spec.loader.exec_module(module)
    return module


def score(rows: list[dict[str, Any]]) -> tuple[float, float]:
    wrong = [row["text"] for row in rows if refusals().refuses(row["text"]) != row["refusal"]]
    print(f"{len(rows)} texts, {len(wrong)} wrong")
    return labelled.score([(row["refusal"], refusals().refuses(row["text"])) for row in rows])


@pytest.mark.parametrize("frozen", [True, False])
def test_refusals_are_told_from_answers(frozen: bool) -> None:
    precision, recall = score(labelled.read("refusals", "text", frozen=frozen))
    assert precision >= 0.95
    assert recall >= 0.95


def test_refusals_of_rarer_forms() -> None:
    lines = (labelled.FOLDER / "refusals_seen.jsonl").read_text("utf-8").splitlines()
    precision, recall = score([json.loads(line) for line in lines])
    assert precision >= 0.98
    assert recall >= 0.98


@given(st.one_of(st.text(), st.lists(WORDS).map(" ".join)))
def test_every_text_has_a_verdict(text: str) -> None:
    assert refusals().refuses(text) in (True, False)


def test_a_long_text_that_begins_with_a_reservation_is_an_answer() -> None:
    assert refusals().refuses("I can't help with that.")
    assert not refusals().refuses("I can't help with that. " + "The rest is an answer. " * 40)
