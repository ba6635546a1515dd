"""Precision and recall of the near-duplicate check on labelled pairs from real sentences."""

import json
from collections import Counter
from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks import duplicate_pairs
from benchmarks.duplicate_pairs import Pair
from tests import evaluation, labelled, unrendered
from tests.conftest import ROOT
from tests.examples import first_quick

NO_DATA = evaluation.needs(duplicate_pairs.DATA)

WORDS = [
    "Acme",
    "was",
    "acquired",
    "by",
    "Beta",
    "in",
    "May",
    "2025",
    ",",
    "for",
    "3",
    "million",
    "and",
    "not",
    "-5",
    "%",
    "the",
    "by",
    "is",
]


def verdicts(pairs: Iterable[Pair]) -> Counter[tuple[str, str]]:
    """How often (label, verdict) came together."""
    module = unrendered.module("duplicates")
    counted: Counter[tuple[str, str]] = Counter()
    for pair in pairs:
        one, other = module.read(pair.one), module.read(pair.other)
        opposed = "opposed" if module.contradict(one, other) else "different"
        counted[pair.label, "same" if module.say_the_same(one, other) else opposed] += 1
    return counted


def scores(counted: Counter[tuple[str, str]], label: str) -> tuple[float, float]:
    """Precision and recall of one verdict."""
    hits = counted[label, label]
    said = sum(number for (_, verdict), number in counted.items() if verdict == label)
    true = sum(number for (actual, _), number in counted.items() if actual == label)
    return hits / said, hits / true


@pytest.mark.slow
def test_on_this_projects_own_documents() -> None:
    paths = [ROOT / "README.md", ROOT / "AGENTS.md", *sorted((ROOT / "docs").rglob("*.md"))]
    texts = duplicate_pairs.sentences("\n".join(path.read_text("utf-8") for path in paths))
    counted = verdicts(duplicate_pairs.edited(texts))
    assert counted.total() > 200
    precision, recall = scores(counted, "same")
    assert precision >= 0.98
    assert recall >= 0.93


@pytest.mark.slow
@NO_DATA
def test_on_what_people_said_in_meetings() -> None:
    counted = verdicts(duplicate_pairs.edited(duplicate_pairs.transcripts(300)))
    precision, recall = scores(counted, "same")
    assert precision >= 0.98
    assert recall >= 0.94
    precision, recall = scores(counted, "opposed")
    assert precision >= 0.95
    assert recall >= 0.95


@NO_DATA
@pytest.mark.parametrize("name", first_quick(["banking77", "clinc150"]))
def test_utterances_of_one_intent_are_not_duplicates(name: str) -> None:
    counted = verdicts(duplicate_pairs.written_apart(name))
    assert counted["different", "same"] / counted.total() <= 0.02


def hard(frozen: bool) -> list[tuple[bool, bool]]:
    """(label, verdict) of each hard pair."""
    module = unrendered.module("duplicates")
    return [
        (row["same"], module.say_the_same(module.read(row["one"]), module.read(row["other"])))
        for row in labelled.read("claims", "one", "other", frozen=frozen)
    ]


@pytest.mark.parametrize("frozen", [True, False])
def test_claims_that_look_alike_are_told_apart(frozen: bool) -> None:
    precision, recall = labelled.score(hard(frozen))
    assert precision >= 0.97
    assert recall >= 0.90


def test_claims_of_rarer_forms() -> None:
    lines = (labelled.FOLDER / "claims_seen.jsonl").read_text("utf-8").splitlines()
    module = unrendered.module("duplicates")
    wrong = [
        row
        for row in map(json.loads, lines)
        if row["same"] != module.say_the_same(module.read(row["one"]), module.read(row["other"]))
    ]
    assert not wrong


def test_no_claim_is_lost_to_one_of_another_form() -> None:
    lines = (labelled.FOLDER / "claims_more.jsonl").read_text("utf-8").splitlines()
    module = unrendered.module("duplicates")
    precision, recall = labelled.score(
        [
            (row["same"], module.say_the_same(module.read(row["one"]), module.read(row["other"])))
            for row in map(json.loads, lines)
        ]
    )
    assert precision >= 0.97
    assert recall >= 0.65  # paraphrases stay two claims


@given(st.text(max_size=300), st.text(max_size=300))
def test_every_text_says_the_same_as_itself_and_either_way_round(one: str, other: str) -> None:
    module = unrendered.module("duplicates")
    a, b = module.read(one), module.read(other)
    assert module.say_the_same(a, a)
    assert module.say_the_same(a, b) == module.say_the_same(b, a)
    assert module.contradict(a, b) == module.contradict(b, a)


@given(st.lists(st.sampled_from(WORDS), max_size=30), st.randoms(use_true_random=False))
def test_a_shuffled_claim_has_a_verdict_either_way_round(words: list[str], dice: Random) -> None:
    module = unrendered.module("duplicates")
    shuffled = dice.sample(words, len(words))
    a, b = module.read(" ".join(words)), module.read(" ".join(shuffled))
    assert module.say_the_same(a, b) == module.say_the_same(b, a)


@pytest.mark.parametrize("repeated", first_quick(["1", "1,", "1.", "1 "]))
def test_a_long_number_is_read_at_once(repeated: str) -> None:
    """Read in cubic time, this many would take a day."""
    text = repeated * (200_000 // len(repeated))
    assert (
        len(unrendered.module("duplicates").group_duplicates([text, "Sales rose by 5 million."]))
        == 2
    )
