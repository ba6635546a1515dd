"""The catalogue as copier's questions: one source, so plain `copier copy` asks the same.

`python -m scaffold.questionnaire` rewrites copier.yml; a test holds the committed text to it.
What templates loop over (`facts`, `enabled`, `fleet_chains` ...) is computed here in hidden
questions, so that a render without this program is the same render.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scaffold import choices, computed, models, yaml_text
from scaffold.catalogue import Catalogue, load
from scaffold.feature import KINDS, Feature
from scaffold.names import AGENTS_RULE, CHAINS_RULE, NAME_RULE, PACKAGE_RULE
from scaffold.trust import OLDEST_KEY

HEADER = "# Generated from templates/*/feature.yml by `python -m scaffold.questionnaire`.\n"
SETTINGS: Mapping[str, object] = {
    "_min_copier_version": "9.19",
    OLDEST_KEY: "0.6.0",
    "_subdirectory": "templates",
    "_exclude": ["feature.yml", "_parts", "*.pyc", "__pycache__"],
    "_envops": {
        "undefined": "jinja2.StrictUndefined",
        "trim_blocks": True,
        "lstrip_blocks": True,
        "keep_trailing_newline": True,
    },
}
MOST_USD = 1_000_000_000
"""A monthly budget above this is a slip of the keyboard."""


def questions(catalogue: Catalogue) -> dict[str, Any]:
    """Everything copier.yml holds, in the order copier asks and computes it."""
    features = [feature for feature in catalogue.features if feature.kind != "core"]
    return {
        **SETTINGS,
        **_names(),
        **{kind.answer_key: choices.question(catalogue, kind) for kind in KINDS.values()},
        **{feature.id: _hidden(computed.folder(feature, features), "str") for feature in features},
        "facts": _hidden({feature.id: feature.facts() for feature in catalogue.features}),
        "enabled": _hidden(computed.enabled(features)),
        "list_prices": _hidden(models.list_prices(catalogue)),
        "slug": _hidden(computed.SLUG, "str"),
        "answer_chain": _hidden(computed.ANSWER_CHAIN, "str"),
        "stage_chains": _hidden(computed.STAGE_CHAINS),
        "agents": {
            "type": "yaml",
            "help": "Named sub-agents: a list of {name, description, chain}",
            "default": computed.DEFAULT_AGENTS,
            "validator": AGENTS_RULE,
        },
        "default_chains": _hidden(computed.DEFAULT_CHAINS),
        "chains": {
            "type": "yaml",
            "help": "Chain name: provider:model in the order they are asked",
            "default": "{{ default_chains | to_json }}",
            "validator": CHAINS_RULE,
        },
        "fleet_chains": _hidden(computed.FLEET_CHAINS),
        **_of_features(features),
        **_limits(),
    }


def copier_yml(catalogue: Catalogue) -> str:
    """The text of copier.yml."""
    return HEADER + yaml_text.dumped(questions(catalogue))


def _names() -> dict[str, Any]:
    return {
        "project_name": {
            "type": "str",
            "help": "What the project is called",
            "default": "My Agents",
            "validator": NAME_RULE,
        },
        "package": {
            "type": "str",
            "help": "Its Python package",
            "default": computed.SLUG.replace("'-'", "'_'"),
            "validator": PACKAGE_RULE,
        },
        "description": {
            "type": "str",
            "help": "What it does, in one line",
            "default": "Answers requests with a fleet of models.",
        },
    }


def _limits() -> dict[str, Any]:
    return {
        "quality_threshold": {
            "type": "float",
            "help": "From which score or confidence on an answer is good enough (0 to 1)",
            "default": 0.7,
            "validator": _bounds("quality_threshold", 0, 1),
        },
        "monthly_budget_usd": {
            "type": "float",
            "help": "What a month may cost in US dollars (0: no budget)",
            "default": 100,
            "validator": _bounds("monthly_budget_usd", 0, MOST_USD),
        },
    }


def _of_features(features: list[Feature]) -> dict[str, Any]:
    asked: dict[str, Any] = {}
    for feature in features:
        for key, question in feature.questions.items():
            asked[key] = {
                "type": question.type,
                "help": question.help,
                "default": question.default,
                "when": f"{{{{ {feature.id} != '' }}}}",
            }
            if question.choices:
                asked[key]["choices"] = question.choices
            if question.min is not None or question.max is not None:
                asked[key]["validator"] = _bounds(key, question.min, question.max)
    return asked


def _bounds(key: str, least: float | None, most: float | None) -> str:
    wrong = [f"{key} < {least}"] if least is not None else []
    wrong += [f"{key} > {most}"] if most is not None else []
    told = f"at least {least}" if most is None else f"from {least} to {most}"
    return f"{{% if {' or '.join(wrong)} %}}{key} goes {told}{{% endif %}}"


def _hidden(default: object, type_: str = "yaml") -> dict[str, Any]:
    return {"type": type_, "when": False, "default": default}


if __name__ == "__main__":
    here = load()
    Path(here.root, "copier.yml").write_text(copier_yml(here), encoding="utf-8")
