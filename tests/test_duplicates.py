"""Precision and recall of the near-duplicate check on labelled pairs from real sentences."""

import importlib.util
import sys
from collections import Counter
from collections.abc import Iterable
from functools import cache
from types import ModuleType

import pytest

from benchmarks import duplicate_pairs
from benchmarks.duplicate_pairs import Pair
from tests.conftest import ROOT

MODULE = (
    ROOT / "templates" / "{{extra_sources}}" / "src" / "{{package}}" / "runtime" / "duplicates.py"
)
NO_DATA = pytest.mark.skipif(
    not duplicate_pairs.DATA.is_dir(), reason="evaluation data is elsewhere"
)


@cache
def duplicates() -> ModuleType:
    """The module as it lies in the template: it has no relative import."""
    spec = importlib.util.spec_from_file_location("duplicates", MODULE)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["duplicates"] = module
    spec.loader.exec_module(module)
    return module


def verdicts(pairs: Iterable[Pair]) -> Counter[tuple[str, str]]:
    """How often (label, verdict) came together."""
    module = duplicates()
    counted: Counter[tuple[str, str]] = Counter()
    for pair in pairs:
        one, other = module.read(pair.one), module.read(pair.other)
        opposed = "opposed" if module.opposed(one, other) else "different"
        counted[pair.label, "same" if module.same(one, other) else opposed] += 1
    return counted


def scores(counted: Counter[tuple[str, str]], label: str) -> tuple[float, float]:
    """Precision and recall of one verdict."""
    hits = counted[label, label]
    said = sum(number for (_, verdict), number in counted.items() if verdict == label)
    true = sum(number for (actual, _), number in counted.items() if actual == label)
    return hits / said, hits / true


def test_on_this_projects_own_documents() -> None:
    paths = [ROOT / "README.md", ROOT / "AGENTS.md", *sorted((ROOT / "docs").rglob("*.md"))]
    texts = duplicate_pairs.sentences("\n".join(path.read_text("utf-8") for path in paths))
    counted = verdicts(duplicate_pairs.edited(texts))
    assert counted.total() > 200
    precision, recall = scores(counted, "same")
    assert precision >= 0.98
    assert recall >= 0.93


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
@pytest.mark.parametrize("name", ["banking77", "clinc150"])
def test_utterances_of_one_intent_are_not_duplicates(name: str) -> None:
    counted = verdicts(duplicate_pairs.written_apart(name))
    assert counted["different", "same"] / counted.total() <= 0.02
