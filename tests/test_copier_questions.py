"""copier.yml is the catalog's, and plain copier renders what scaffold renders."""

import os
from datetime import date
from pathlib import Path
from typing import Any

import copier
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from plumbum import local

from scaffold.catalog.catalog import Catalog, load
from scaffold.catalog.copier_questions import copier_yml, is_current
from scaffold.catalog.prices import list_prices
from scaffold.rendering.render import render
from tests.conftest import ROOT
from tests.specs import complete

CATALOG = load(ROOT)
PROVIDERS = [feature.name for feature in CATALOG.of("provider")]
AGENTS = [{"name": "billing", "description": "Bills: 'all' \"of\" {{ them }}", "chain": "own"}]


def files(folder: Path) -> dict[str, str]:
    found = {
        path.relative_to(folder).as_posix(): path.read_text("utf-8")
        for path in folder.rglob("*")
        if path.is_file()
    }
    answers = found[".copier-answers.yml"].splitlines()
    found[".copier-answers.yml"] = "\n".join(line for line in answers if line[:1] != "_")
    return found


def plain_copier(folder: Path, data: dict[str, Any]) -> None:
    with local.env(PATH=os.devnull):
        copier.run_copy(
            str(ROOT), folder, data=data, settings=copier.Settings(), defaults=True, quiet=True
        )


def test_committed_text_is_the_generated_one(catalog: Catalog) -> None:
    assert is_current((ROOT / "copier.yml").read_text("utf-8"), catalog)


def test_prices_that_change_by_the_calendar_do_not_make_it_stale(catalog: Catalog) -> None:
    days = [date(2026, 11, 30), date(2026, 12, 1)]
    usd = [list_prices(catalog, day)["google:gemini-4-argon"] for day in days]
    assert usd == [[2.0, 10.0], [4.0, 20.0]]
    before, after = (copier_yml(catalog, day) for day in days)
    assert is_current(before, catalog) and is_current(after, catalog)
    assert not is_current(before.replace("2026-11-30", "2026-12-01"), catalog)


def same(
    folder: Path, patterns: list[str], providers: list[str], agents: list[dict[str, str]] | None
) -> None:
    """Plain copier and scaffold write the same files for these answers."""
    # Copier records a multiple choice in the order of its choices.
    in_order = sorted(providers, key=PROVIDERS.index)
    given_ = {"project_name": "desk", "patterns": patterns, "providers": in_order}
    given_ |= {} if agents is None else {"agents": agents}
    spec = complete(CATALOG, given_, folder_name="desk")
    plain_copier(folder / "plain", {**given_, "monthly_budget_usd": spec.monthly_budget_usd})
    render(ROOT, folder / "ours", spec.answers(), source="x", commit=None)
    assert files(folder / "ours") == files(folder / "plain")


def test_plain_copier_renders_the_same(tmp_path: Path) -> None:
    same(tmp_path, ["research", "orchestrator"], PROVIDERS[-2:], AGENTS)


@pytest.mark.slow
@given(
    patterns=st.sampled_from([[], ["router"], ["research"], ["research", "orchestrator"]]),
    providers=st.lists(st.sampled_from(PROVIDERS), min_size=1, max_size=4, unique=True),
    agents=st.sampled_from([None, [], AGENTS]),
)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_plain_copier_renders_any_answers_the_same(
    tmp_path_factory: pytest.TempPathFactory,
    patterns: list[str],
    providers: list[str],
    agents: list[dict[str, str]] | None,
) -> None:
    same(tmp_path_factory.mktemp("both"), patterns, providers, agents)
