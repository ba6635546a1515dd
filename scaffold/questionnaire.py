"""The catalogue as copier's questions: one source, so plain `copier copy` asks the same.

`python -m scaffold.questionnaire` rewrites copier.yml; a test holds the committed text to it.
What templates loop over (`facts`, `enabled`, `fleet_chains` ...) is computed here in hidden
questions, so that a render without this program is the same render.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from scaffold import choices
from scaffold.catalogue import Catalogue, load
from scaffold.computed import (
    ANSWER_CHAIN,
    DEFAULT_AGENTS,
    DEFAULT_CHAINS,
    FLEET_CHAINS,
    SLUG,
    STAGE_CHAINS,
)
from scaffold.feature import KINDS, Feature
from scaffold.names import AGENTS_RULE, CHAINS_RULE, NAME_RULE, PACKAGE_RULE
from scaffold.trust import OLDEST_KEY

HEADER = "# Generated from templates/*/feature.yml by `python -m scaffold.questionnaire`.\n"
SETTINGS: Mapping[str, object] = {
    "_min_copier_version": "9.19",
    OLDEST_KEY: "0.4.0",
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
        **{feature.id: _hidden(_folder_of(feature, features), "str") for feature in features},
        "facts": _hidden({feature.id: feature.facts() for feature in catalogue.features}),
        "enabled": _hidden(_enabled(features)),
        "slug": _hidden(SLUG, "str"),
        "answer_chain": _hidden(ANSWER_CHAIN, "str"),
        "stage_chains": _hidden(STAGE_CHAINS),
        "agents": {
            "type": "yaml",
            "help": "Named sub-agents: a list of {name, description, chain}",
            "default": DEFAULT_AGENTS,
            "validator": AGENTS_RULE,
        },
        "default_chains": _hidden(DEFAULT_CHAINS),
        "chains": {
            "type": "yaml",
            "help": "Chain name: provider:model in the order they are asked",
            "default": "{{ default_chains | to_json }}",
            "validator": CHAINS_RULE,
        },
        "fleet_chains": _hidden(FLEET_CHAINS),
        **_of_features(features),
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


def copier_yml(catalogue: Catalogue) -> str:
    """The text of copier.yml."""
    dumped = yaml.dump(
        questions(catalogue), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
    )
    return HEADER + dumped


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
            "default": SLUG.replace("'-'", "'_'"),
            "validator": PACKAGE_RULE,
        },
        "description": {
            "type": "str",
            "help": "What it does, in one line",
            "default": "Answers requests with a fleet of models.",
        },
    }


def _folder_of(feature: Feature, features: list[Feature]) -> str:
    wanting = [other.id for other in features if feature.ref in other.requires]
    wanting += [] if feature.hidden else [choices.is_chosen(feature)]
    return f"{{{{ '.' if {' or '.join(wanting) or 'false'} else '' }}}}"


def _enabled(features: list[Feature]) -> str:
    pairs = ", ".join(f"('{feature.id}', {feature.id})" for feature in features)
    return (
        "{% set ids = ['core'] %}\n"
        f"{{% for id, folder in [{pairs}] if folder %}}\n"
        "{% set _ = ids.append(id) %}\n{% endfor %}\n{{ ids | to_json }}"
    )


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


class _Dumper(yaml.SafeDumper):
    """Multi-line text as a literal block, and no anchors: people read this file."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def _text(_dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return yaml.ScalarNode("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


if __name__ == "__main__":
    here = load()
    Path(here.root, "copier.yml").write_text(copier_yml(here), encoding="utf-8")
