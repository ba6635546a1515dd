"""Renders for the matrix: every feature alone, every preset, and pairs of all answers."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from allpairspy import AllPairs

from scaffold.answers import complete
from scaffold.catalogue import Catalogue, load
from scaffold.feature import KINDS
from scaffold.presets import PRESETS, split
from scaffold.render import render
from tests.conftest import ROOT

CATALOGUE = load(ROOT)
BARE: dict[str, Any] = {"patterns": [], "extras": [], "agents": [], "providers": ["anthropic"]}
AGENTS = [
    [],
    [{"name": "billing", "description": 'Bills and "refunds"', "chain": "cheap"}],
    [
        {"name": "zoe", "description": "The last", "chain": "own"},
        {"name": "abe", "description": "The first", "chain": "specialist"},
    ],
]


def alone(catalogue: Catalogue) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each feature with as little else as possible."""
    for feature in catalogue.features:
        if feature.kind == "core":
            yield "core", BARE
            continue
        if feature.hidden:
            continue
        kind = KINDS[feature.kind]
        value = [feature.name] if kind.many else feature.name
        yield feature.id, {**BARE, "agents": None, kind.answer_key: value}


def presets(catalogue: Catalogue) -> Iterator[tuple[str, dict[str, Any]]]:
    for preset in PRESETS.values():
        yield f"preset_{preset.name}".replace("-", "_"), split(catalogue, preset)[0]


def pairs(catalogue: Catalogue) -> Iterator[tuple[str, dict[str, Any]]]:
    """A pairwise covering array: each pair of choices is in one render at least."""
    on_off = [f for f in catalogue.features if f.kind not in ("core", "provider") and not f.hidden]
    first = [f.name for f in catalogue.of("provider")]
    axes: list[list[Any]] = [*([True, False] for _ in on_off), first, [*first[::-1], None], AGENTS]
    axes += [["desk", "a_package_of_thirty_characters"], [0, 1.5], [0.0, 1.0]]

    def sound(row: list[Any]) -> bool:
        if len(row) < len(on_off):
            return True
        on = [f for f, flag in zip(on_off, row, strict=False) if flag]
        wanted = {kind for f in on for kind in f.requires if kind in KINDS}
        return wanted <= {f.kind for f in on}

    for at, row in enumerate(AllPairs(axes, filter_func=sound)):
        *flags, one, two, agents, package, budget, threshold = row
        answers: dict[str, Any] = {
            "providers": list(dict.fromkeys(p for p in (one, two) if p)),
            "agents": agents,
            "package": package,
            "monthly_budget_usd": budget,
            "quality_threshold": threshold,
        }
        for kind in {f.kind for f in on_off}:
            key = KINDS[kind].answer_key
            answers[key] = [
                f.name for f, on in zip(on_off, flags, strict=True) if on and f.kind == kind
            ]
        yield f"pair_{at:03}", answers


def rendered(folder: Path, answers: dict[str, Any]) -> Path:
    """A workspace rendered from these answers."""
    given = {"project_name": "Desk", "package": "desk", **answers}
    spec = complete(CATALOGUE, given, folder_name="desk")
    render(ROOT, folder, spec.answers(), source="matrix", commit=None)
    return folder


def run(folder: Path, *words: str) -> str:
    """Run a module of this environment in a workspace; what it said, if it failed, else ""."""
    environment = {**os.environ, "PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, env=environment, capture_output=True, text=True
    )
    return "" if done.returncode == 0 else f"{folder.name}: {done.stdout}{done.stderr}"
