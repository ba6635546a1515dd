"""Precision and recall of the grounding check on quotes from real meetings."""

import json
from collections import Counter
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import quote_pairs
from benchmarks.duplicate_pairs import DATA
from tests import evaluation, labelled
from tests.unrendered import module

NO_DATA = evaluation.needs(DATA)
TEXT = st.text(st.sampled_from("ab \n.#:1é—'\"*"), max_size=600)


@pytest.fixture(scope="module", autouse=True)
def import_first() -> None:
    """Import it here: that takes longer than hypothesis gives an example."""
    module("grounding")


@NO_DATA
def test_quotes_of_real_meetings() -> None:
    counted: Counter[tuple[bool, bool]] = Counter()
    missed: Counter[str] = Counter()
    source = module("grounding").Source("")
    for text, quote in quote_pairs.quotes(quote_pairs.meetings(), most=10):
        source = source if source.text == text else module("grounding").Source(text)
        passage = source.find(quote.text)
        counted[quote.true, passage is not None] += 1
        if quote.true != (passage is not None):
            missed[quote.by] += 1
        assert passage is None or text[passage.start : passage.end] == passage.text
    assert counted.total() > 3000
    precision = counted[True, True] / (counted[True, True] + counted[False, True])
    recall = counted[True, True] / (counted[True, True] + counted[True, False])
    print(f"{counted.total()} quotes, precision {precision:.4f}, recall {recall:.4f}; {missed}")
    assert precision >= 0.995, missed
    assert recall >= 0.995, missed


@NO_DATA
def test_real_meetings_are_not_flagged_as_orders_to_a_model() -> None:
    untrusted = module("untrusted")
    flagged = [
        row["id"]
        for row in quote_pairs.meetings()
        if untrusted.find_orders(quote_pairs.transcript(row))
    ]
    assert flagged == []


@given(TEXT, st.data())
def test_whatever_is_cut_at_words_is_found(text: str, data: st.DataObject) -> None:
    words = text.split()
    if not any(char.isalnum() for word in words for char in word):
        return
    first = data.draw(st.integers(0, len(words) - 1))
    last = data.draw(st.integers(first, len(words) - 1))
    quote = " ".join(words[first : last + 1])
    passage = module("grounding").Source(text).find(quote)
    if passage:
        assert text[passage.start : passage.end] == passage.text
    elif any(char.isalnum() for char in quote):
        # What is left is a part of a number or of a word written with a mark inside.
        assert not all(word.isalnum() for word in words[max(0, first - 1) : last + 2])


@given(TEXT, st.integers(20, 200), st.integers(0, 9))
def test_parts_cover_the_text(text: str, size: int, overlap: int) -> None:
    parts = module("splitting").split(text, size, overlap)
    assert parts[0].start == 0
    assert parts[-1].end == len(text)
    assert all(len(part.text) <= size for part in parts)
    assert all(text[part.start : part.end] == part.text for part in parts)
    for one, next_ in pairwise(parts):
        assert one.start < next_.start <= one.end
        assert one.end - next_.start <= overlap


def score_support(rows: list[dict[str, Any]]) -> tuple[float, float]:
    """Return precision and recall of deciding which passages say what their claim says."""
    supports = module("support").supports
    verdicts = [
        (row["supported"], supports(row["claim"], row["quote"], row.get("source", "")))
        for row in rows
    ]
    return labelled.score(verdicts)


@pytest.mark.parametrize("frozen", [True, False])
def test_a_passage_has_to_say_what_its_claim_says(frozen: bool) -> None:
    precision, recall = score_support(labelled.read("quotes", "claim", "quote", frozen=frozen))
    assert precision >= 0.97
    assert recall >= 0.90


@pytest.mark.parametrize(
    ("claim", "quote", "says"),
    [
        ("Revenue was 5 in 2019 and 9 in 2020.", "Revenue was 9 in 2019 and 5 in 2020.", False),
        ("Revenue was 5 in 2019 and 9 in 2020.", "Revenue was 9 in 2020 and 5 in 2019.", True),
        ("The vote passed 60 to 40.", "The vote passed 40 to 60.", False),
        ("The firm had 40 vans in 2019.", "In 2019 the firm had 40 vans.", True),
    ],
)
def test_amounts_in_another_order_are_not_support(claim: str, quote: str, says: bool) -> None:
    assert module("support").supports(claim, quote) is says


def test_passages_of_rarer_forms() -> None:
    lines = (labelled.FOLDER / "quotes_seen.jsonl").read_text("utf-8").splitlines()
    precision, recall = score_support([json.loads(line) for line in lines])
    assert precision >= 0.93
    assert recall >= 0.90


def test_passages_written_against_the_rules() -> None:
    lines = (labelled.FOLDER / "quotes_more.jsonl").read_text("utf-8").splitlines()
    precision, recall = score_support([json.loads(line) for line in lines])
    assert precision >= 0.97
    assert recall >= 0.80


def test_a_passage_in_another_language_is_not_judged() -> None:
    supports = module("support").supports
    assert supports(
        "Sales rose by 12 percent.", "Der Umsatz stieg um 12 Prozent und die Kosten sanken."
    )
    assert not supports("Sales rose by 12 percent.", "Umsatz")


@given(TEXT, st.text(max_size=200))
def test_every_claim_and_passage_has_a_verdict(claim: str, passage: str) -> None:
    supports = module("support").supports
    assert supports(claim, passage, claim) in (True, False)
    assert supports(passage, claim) in (True, False)
