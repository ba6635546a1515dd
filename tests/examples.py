"""What is tried while people wait: a third of a property's examples, the first of many cases."""

import os
from collections.abc import Iterable
from typing import Any

import pytest

EVERY = "EVERY_EXAMPLE"
"""With this variable set, a property is tried with as many examples as it asks for."""
SHARE = 3


def examples(most: int) -> int:
    """Return how many of a property's examples are tried in this run."""
    return most if os.environ.get(EVERY) else -(-most // SHARE)


def first_quick(values: Iterable[Any], quick: int = 1) -> list[Any]:
    """Return the values of a parameter: with the first ones a test is quick, with others slow."""
    every = list(values)
    return every[:quick] + [pytest.param(value, marks=pytest.mark.slow) for value in every[quick:]]
