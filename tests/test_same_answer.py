"""When two answers are the same one: a table of both kinds, and what holds for every text."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests import labelled
from tests.examples import first_quick
from tests.unrendered import module

ROWS: list[dict[str, Any]] = [
    json.loads(line) for line in (labelled.FOLDER / "answers.jsonl").read_text("utf-8").splitlines()
]
ENDS = st.lists(
    st.sampled_from(
        [
            "5",
            "9",
            "0.25",
            "1/4",
            "25%",
            "$",
            "-5",
            "at",
            "least",
            "or",
            "not",
            "km",
            "x^2",
            "\\frac{1}{4}",
            "boxed{",
            "}",
            "[1,",
            "(",
            ")",
            "'a'",
            '"',
            "yes",
            "No.",
            "aB",
            "3",
            "April",
            "2025",
            "03/04/2025",
            "=",
            "answer:",
            "e3",
            ",",
            ".",
            "!",
            "\n",
        ]
    ),
    max_size=8,
).map(" ".join)
TYPED = st.dictionaries(
    st.sampled_from("abc"),
    st.recursive(st.one_of(st.none(), st.booleans(), st.integers(), ENDS), st.lists, max_leaves=4),
)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['one']} / {row['other']}"[:60])
def test_answers_are_compared_by_value(row: dict[str, Any]) -> None:
    same = module("same_answer").is_same
    assert same(row["one"], row["other"]) is row["same"]
    assert same(row["other"], row["one"]) is row["same"]


@given(one=st.one_of(st.text(), ENDS), other=st.one_of(st.text(), ENDS))
def test_every_text_agrees_with_itself_and_either_way_round(one: str, other: str) -> None:
    same = module("same_answer").is_same
    assert same(one, one)
    assert same(one, one, exact=True)
    assert same(one, other) == same(other, one)
    assert same(one, other) or not same(one, other, exact=True)


@given(one=TYPED, other=TYPED)
def test_so_does_every_typed_answer(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = module("same_answer").is_same
    left, right = json.dumps(one), json.dumps(other)
    assert same(left, left)
    assert same(left, right) == same(right, left)
    assert same(left, right) or not same(left, right, exact=True)


@pytest.mark.parametrize(
    "part",
    first_quick(["1 ", "(", "\\frac{", "1,", "a ", "[", "{", "1/", "3 may ", "-", "$", "'"], 3),
)
def test_a_long_answer_is_read_once(part: str) -> None:
    text = part * (100_000 // len(part))
    assert module("same_answer").is_same(text, text)
    assert not module("same_answer").is_same(text, f"{text} 7 x")


def test_a_field_that_is_missing_agrees_with_nothing() -> None:
    assert not module("same_answer").is_same('{"a": 1}', '{"a": 1}', "b")


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("42", "42", True),
        (" 42\n", "42", True),
        ("42", "42.0", False),
        ("Paris", "paris", False),
        ('{"a": 1, "b": 2}', '{"b": 2, "a": 1}', True),
        (
            '{"a": "Long texts count as well here."}',
            '{"a": "They do count here, letter by letter."}',
            False,
        ),
        ('{"a": true}', '{"a": 1}', False),
    ],
)
def test_exact_is_letter_by_letter(one: str, other: str, equal: bool) -> None:
    assert module("same_answer").is_same(one, other, exact=True) is equal
