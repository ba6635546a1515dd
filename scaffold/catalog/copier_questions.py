"""The catalog as copier's questions, so that plain `copier copy` asks and renders the same.

`python -m scaffold.catalog.copier_questions` writes copier.yml; a test compares the committed text
with the generated one. What templates loop over (`facts`, `enabled`, `fleet_chains` ...) is
computed in hidden questions.
"""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from scaffold.catalog import core_settings
from scaffold.catalog import jinja_sources as jinja
from scaffold.catalog.catalog import Catalog, load
from scaffold.catalog.feature import CORE, MANIFEST, Feature
from scaffold.catalog.kinds import KINDS, Kind
from scaffold.catalog.manifest import Question
from scaffold.catalog.names import AGENTS_RULE, CHAINS_RULE, NAME_RULE, PACKAGE_RULE
from scaffold.catalog.prices import list_prices
from scaffold.system import yaml

HEADER = (
    "# Generated from templates/*/feature.yml by `python -m scaffold.catalog.copier_questions`.\n"
)
PRICES_DAY = "prices_day"
"""The hidden question that records whose day's list prices copier.yml holds."""

SETTINGS: Mapping[str, object] = {
    "_min_copier_version": "9.19",
    core_settings.OLDEST_KEY: "0.8.0",
    "_subdirectory": "templates",
    "_exclude": [MANIFEST, "_parts", "*.pyc", "__pycache__"],
    "_envops": {
        "undefined": "jinja2.StrictUndefined",
        "trim_blocks": True,
        "lstrip_blocks": True,
        "keep_trailing_newline": True,
    },
}


def list_questions(catalog: Catalog, day: date) -> dict[str, Any]:
    """Return everything copier.yml holds, in the order copier asks and computes it."""
    features = [feature for feature in catalog.features if feature.kind != CORE]
    folders = {one.id: _hide(jinja.place_folder(one, features), "str") for one in features}
    return {
        **SETTINGS,
        **_ask_names(),
        **{kind.answer_key: _ask_kind(catalog, kind) for kind in KINDS.values()},
        **folders,
        # Hidden questions are computed in this order, and each may use those before it.
        "facts": _hide({feature.id: feature.to_facts() for feature in catalog.features}),
        "enabled": _hide(jinja.list_enabled(features)),
        PRICES_DAY: _hide(day.isoformat(), "str"),
        "list_prices": _hide(list_prices(catalog, day)),
        "slug": _hide(jinja.SLUG, "str"),
        "answer_chain": _hide(jinja.ANSWER_CHAIN, "str"),
        "stage_chains": _hide(jinja.STAGE_CHAINS),
        "agents": {
            "type": "yaml",
            "help": "Named sub-agents: a list of {name, description, chain}",
            "default": jinja.DEFAULT_AGENTS,
            "validator": AGENTS_RULE,
        },
        "default_chains": _hide(jinja.DEFAULT_CHAINS),
        "chains": {
            "type": "yaml",
            "help": "Chain name: provider:model in the order they are asked",
            "default": "{{ default_chains | to_json }}",
            "validator": CHAINS_RULE,
        },
        "fleet_chains": _hide(jinja.FLEET_CHAINS),
        **_ask_features(features),
        **{key: _ask(key, question) for key, question in core_settings.QUESTIONS.items()},
    }


def copier_yml(catalog: Catalog, day: date | None = None) -> str:
    """Return the text of copier.yml with the list prices of a day, today's unless one is named."""
    return HEADER + yaml.dump(list_questions(catalog, day or datetime.now(UTC).date()))


def is_current(text: str, catalog: Catalog) -> bool:
    """Tell whether this is the catalog's copier.yml, at the list prices of the day it records.

    Prices change by the calendar, and the same templates stay the same.
    """
    recorded = yaml.load_trusted(text).get(PRICES_DAY)
    if not recorded:
        return False
    return text == copier_yml(catalog, date.fromisoformat(recorded["default"]))


def _ask_names() -> dict[str, Any]:
    return {
        "project_name": {
            "type": "str",
            "help": "What the project is called",
            "default": core_settings.PROJECT_NAME,
            "validator": NAME_RULE,
        },
        "package": {
            "type": "str",
            "help": "Its Python package",
            "default": jinja.PACKAGE,
            "validator": PACKAGE_RULE,
        },
        "description": {
            "type": "str",
            "help": "What it does, in one line",
            "default": core_settings.DESCRIPTION,
        },
    }


def _ask_kind(catalog: Catalog, kind: Kind) -> dict[str, Any]:
    choices = {name: name for name in kind.builtins}
    choices |= {f"{f.title}: {f.summary}": f.name for f in catalog.of(kind.name)}
    asked: dict[str, Any] = {"type": "str", "help": f"Which {kind.answer_key}"}
    if not choices:
        # Copier refuses a multiple choice without choices.
        return {"type": "yaml", "help": asked["help"], "default": "[]"}
    default = catalog.default_choice(kind)
    if kind.many:
        asked["multiselect"] = True
    asked |= {"choices": choices, "default": default if kind.many else kind.builtin}
    if proposals := catalog.proposals(kind):
        asked["default"] = jinja.propose(default, proposals)
    if needing := [f for f in catalog.features if kind.name in f.requires]:
        asked["validator"] = "".join(jinja.require_one(feature, kind) for feature in needing)
    return asked


def _ask_features(features: list[Feature]) -> dict[str, Any]:
    return {
        key: _ask(key, question, when=f"{{{{ {feature.id} != '' }}}}")
        for feature in features
        for key, question in feature.questions.items()
    }


def _ask(key: str, question: Question, when: str | None = None) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "type": question.type,
        "help": question.help,
        "default": question.default,
    }
    if when:
        asked["when"] = when
    if question.choices:
        asked["choices"] = question.choices
    if question.min is not None or question.max is not None:
        asked["validator"] = jinja.check_bounds(key, question.min, question.max)
    return asked


def _hide(default: object, type_: str = "yaml") -> dict[str, Any]:
    return {"type": type_, "when": False, "default": default}


if __name__ == "__main__":
    here = load()
    Path(here.root, "copier.yml").write_text(copier_yml(here), encoding="utf-8")
