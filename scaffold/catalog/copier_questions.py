"""The catalogue as copier's questions: one source, so plain `copier copy` asks the same.

`python -m scaffold.catalog.copier_questions` rewrites copier.yml; a test holds the committed text to it.
What templates loop over (`facts`, `enabled`, `fleet_chains` ...) is computed here in hidden
questions, so that a render without this program is the same render.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from scaffold.catalog import catalog as choices
from scaffold.catalog import prices as models
from scaffold.catalog.catalog import Catalogue, is_chosen, load
from scaffold.catalog.feature import KINDS, Feature
from scaffold.catalog.names import AGENTS_RULE, CHAINS_RULE, NAME_RULE, PACKAGE_RULE
from scaffold.sources.safety import OLDEST_KEY
from scaffold.system import yaml as yaml_text

ANSWER_CHAIN = """\
{% set named = enabled | map('extract', facts) | map(attribute='wires') %}
{{ (named | map(attribute='answer_chain') | select | list + ['balanced']) | first }}"""
STAGE_CHAINS = """\
{% set chains_ = {'answer': answer_chain} %}
{% for id in enabled if id != 'core' %}
{% for stage in facts[id].stages %}
{% set _ = chains_.update({stage.name: stage.chain}) %}
{% endfor %}
{% endfor %}
{{ chains_ | to_json }}"""
DEFAULT_AGENTS = """\
{% set proposed = [] %}
{% for id in enabled %}
{% set _ = proposed.extend(facts[id].default_agents) %}
{% endfor %}
{{ proposed | to_json }}"""
DEFAULT_CHAINS = """\
{% set tiers = ['cheap', 'balanced', 'expensive'] %}
{% set declared = {} %}
{% set names = [answer_chain] %}
{% for id in enabled if id != 'core' %}
{% set _ = declared.update(facts[id].chains) %}
{% set _ = names.extend(facts[id].stages | map(attribute='chain')) %}
{% set _ = names.extend(facts[id].chains) %}
{% endfor %}
{% set _ = names.extend(agents | map(attribute='chain')) %}
{% set found = {} %}
{% for name in names | unique %}
{% set tier = declared.get(name, name if name in tiers else 'balanced') %}
{% set refs = [] %}
{% for provider in providers[:3] %}
{% set _ = refs.append(provider ~ ':' ~ facts['provider_' ~ provider].models[tier]) %}
{% endfor %}
{% if tier != 'expensive' and providers %}
{% set higher = tiers[tiers.index(tier) + 1] %}
{% set _ = refs.append(providers[0] ~ ':' ~ facts['provider_' ~ providers[0]].models[higher]) %}
{% endif %}
{% set _ = found.update({name: refs | unique | list}) %}
{% endfor %}
{{ found | to_json }}"""
FLEET_CHAINS = """\
{% set found = {} %}
{% for name in (default_chains | list + chains | list) | unique %}
{% set _ = found.update({name: chains.get(name) or default_chains[name]}) %}
{% endfor %}
{{ found | to_json(ensure_ascii=False) }}"""
SLUG = "{{ project_name | lower | regex_replace('[^a-z0-9]+', '-') | trim('-') }}"


def folder(feature: Feature, features: Sequence[Feature]) -> str:
    """Where a feature's folder goes: here when it is chosen or one of `features` requires it."""
    wanting = [other.id for other in features if feature.ref in other.requires]
    wanting += [] if feature.hidden else [is_chosen(feature)]
    return f"{{{{ '.' if {' or '.join(wanting) or 'false'} else '' }}}}"


def enabled(features: Sequence[Feature]) -> str:
    """The ids of the features whose folders are rendered."""
    pairs = ", ".join(f"('{feature.id}', {feature.id})" for feature in features)
    return (
        "{% set ids = ['core'] %}\n"
        f"{{% for id, folder in [{pairs}] if folder %}}\n"
        "{% set _ = ids.append(id) %}\n{% endfor %}\n{{ ids | to_json }}"
    )


HEADER = (
    "# Generated from templates/*/feature.yml by `python -m scaffold.catalog.copier_questions`.\n"
)
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
        **{feature.id: _hidden(folder(feature, features), "str") for feature in features},
        "facts": _hidden({feature.id: feature.facts() for feature in catalogue.features}),
        "enabled": _hidden(enabled(features)),
        "list_prices": _hidden(models.list_prices(catalogue)),
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
        **_limits(),
    }


def copier_yml(catalogue: Catalogue) -> str:
    """The text of copier.yml."""
    return HEADER + yaml_text.dump(questions(catalogue))


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
