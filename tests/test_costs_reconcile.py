"""`costs reconcile` on exports as the providers write them: what differs is named, the rest agrees."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.ledger_package import importable, module


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("reconcile") / "w"
    with importable(folder, "reconcile_desk", extras=["reconcile"]) as name:
        yield name


@pytest.fixture(scope="module")
def exports(package: str) -> Any:
    return module(package, "exports")


@given(value=st.one_of(st.text(max_size=12), st.integers(), st.floats(), st.none()))
def test_no_value_breaks_the_reading(exports: Any, value: Any) -> None:
    try:
        count = exports._count(value)
    except ValueError:
        return
    assert count >= 0 and Decimal(str(value).strip().removeprefix("$").replace(",", "")) == count
