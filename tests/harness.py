"""Renders for the matrix: every feature alone, every preset, and pairs of all answers."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from allpairspy import AllPairs

from scaffold.catalog.catalog import Catalog, load
from scaffold.catalog.kinds import KINDS
from scaffold.catalog.manifest import Question
from scaffold.catalog.presets import PRESETS, split
from scaffold.rendering.render import render
from tests.conftest import ROOT
from tests.specs import complete

CATALOG = load(ROOT)
BARE: dict[str, Any] = {"patterns": [], "extras": [], "agents": [], "providers": ["anthropic"]}
AGENTS = [
    [],
    [{"name": "billing", "description": 'Bills and "refunds"', "chain": "cheap"}],
    [
        {"name": "zoe", "description": "The last", "chain": "own"},
        {"name": "abe", "description": "The first", "chain": "specialist"},
    ],
]


def alone(catalog: Catalog) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each feature by its id, with as little else as possible."""
    for feature in catalog.features:
        if feature.kind == "core":
            yield "core", BARE
            continue
        if feature.hidden:
            continue
        kind = KINDS[feature.kind]
        value = [feature.name] if kind.many else feature.name
        yield feature.id, {**BARE, "agents": None, kind.answer_key: value}


def presets(catalog: Catalog) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the answers of each preset by its name."""
    for preset in PRESETS.values():
        yield f"preset_{preset.name}".replace("-", "_"), split(catalog, preset)[0]


def pairs(catalog: Catalog) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield answers until each pair of choices of two questions has been in one render."""
    axes = dict(_axes(catalog))
    names = list(axes)

    def sound(row: list[Any]) -> bool:
        decided = set(names[: len(row)])
        on = {name for name, value in zip(names, row, strict=False) if value is True}
        features = [feature for feature in catalog.features if feature.ref in on]
        conflicts = {other for feature in features for other in feature.conflicts}
        needed = {kind for feature in features for kind in feature.requires if kind in KINDS}
        # Checked as early as it can be: at the last column it makes the search exponential.
        choices = [{feature.ref for feature in catalog.of(kind)} for kind in needed]
        return not on & conflicts and all(refs & on or not refs <= decided for refs in choices)

    rows = AllPairs([axes[name] for name in names], filter_func=sound)
    for at, row in enumerate(rows):
        yield f"pair_{at:03}", _answers(catalog, dict(zip(names, row, strict=True)))


SYNTAX = "{{ x }} {% if %} {# \\N{DASH} \\x00 \\ \"\"\" ''' ` $HOME $(id) ${x} %s %(x)s {0} <b> --> ]]> # : - ? & * !"
"""Characters that mean something to Jinja, Python, TOML, YAML, Markdown, a shell or HTML."""
LETTERS = "Ünïcødé 日本語 العربية עברית 👩\u200d🚀 ﬁ İ ß"


def odd(catalog: Catalog) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield legal answers that few people give: long, in other letters, full of syntax, extreme, none."""
    patterns = {"patterns": [feature.name for feature in catalog.of("pattern")]}
    yield (
        "odd_syntax",
        {
            **patterns,
            "project_name": f"Desk {SYNTAX}"[:60].strip(),
            "description": SYNTAX,
            "agents": [{"name": "a_", "description": SYNTAX, "chain": "null"}],
            "chains": {
                "null": [f"anthropic:{word}" for word in ('a"b', "a\\b", "{{x}}", "a:b", "ü")]
            },
        },
    )
    yield (
        "odd_letters",
        {
            **patterns,
            "project_name": f"1 {LETTERS}"[:60],
            "description": (LETTERS * 20)[:300].strip(),
            "agents": [
                {
                    "name": f"agent_{n}",
                    "description": (LETTERS * 20)[:300].strip(),
                    "chain": "cheap",
                }
                for n in range(1, 60)
            ],
        },
    )
    small = {"quality_threshold": 1e-9, "monthly_budget_usd": 1e-9, "run_budget_usd": 0.01}
    large = {"quality_threshold": 0.999999, "monthly_budget_usd": 1e9, "run_budget_usd": 1e15}
    yield "odd_small", {**patterns, **small}
    yield "odd_large", {**patterns, **large}
    none = {"patterns": [], "search": [], "extras": [], "agents": [], "chains": {}, "surfaces": []}
    yield "odd_none", none


def _axes(catalog: Catalog) -> Iterator[tuple[str, list[Any]]]:
    choosable = [feature for feature in catalog.features if not feature.hidden]
    for feature in choosable:
        if feature.kind not in ("core", "provider") and KINDS[feature.kind].many:
            yield feature.ref, [True, False]
    for kind in KINDS.values():
        if not kind.many and catalog.of(kind.name):
            yield kind.answer_key, [kind.builtin, *(f.name for f in catalog.of(kind.name))]
    providers = [feature.name for feature in catalog.of("provider")]
    yield "first", providers
    # Providers do not know each other: all that matters is whether there is a second one.
    yield "second", [None, providers[0], providers[-1]]
    yield "agents", AGENTS
    yield "chains", [None, "own"]
    yield "package", ["desk", "a_package_of_thirty_characters"]
    yield "monthly_budget_usd", [0, 1.5]
    yield "quality_threshold", [0.0, 1.0]
    for feature in choosable:
        for key, question in feature.questions.items():
            yield key, _extremes(question)


def _extremes(question: Question) -> list[Any]:
    if question.type == "bool":
        return [True, False]
    if question.type == "str":
        return question.choices or [question.default]
    kind = int if question.type == "int" else float
    ends = [end for end in (question.min, question.max) if end is not None]
    return [kind(end) for end in ends] or [question.default]


def _answers(catalog: Catalog, row: dict[str, Any]) -> dict[str, Any]:
    first, second = row.pop("first"), row.pop("second")
    answers = {
        key: value for key, value in row.items() if ":" not in key and key not in ("chains",)
    }
    answers["providers"] = list(dict.fromkeys(name for name in (first, second) if name))
    for kind in KINDS.values():
        if kind.many and kind.name != "provider":
            features = catalog.of(kind.name)
            answers[kind.answer_key] = [f.name for f in features if row.get(f.ref) is True]
    if row["chains"]:
        answers["chains"] = {
            "cheap": [f"{first}:tuned@eu", f"{first}:plain"],
            "legal": [f"{first}:x"],
        }
    return answers


def render_workspace(folder: Path, answers: dict[str, Any]) -> Path:
    """Render a workspace from these answers, and return its folder."""
    named = {"project_name": "Desk", "package": "desk", **answers}
    spec = complete(CATALOG, named, folder_name="desk")
    render(ROOT, folder, spec.answers(), source="matrix", commit=None)
    return folder


def run(folder: Path, *words: str) -> str:
    """Run a module of this environment in a workspace; return what it printed if it failed, else ""."""
    environment = {**os.environ, "PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, env=environment, capture_output=True, text=True
    )
    return "" if done.returncode == 0 else f"{folder.name}: {done.stdout}{done.stderr}"
