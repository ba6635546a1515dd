"""What copier computes in Jinja, so that a render without this program is the same render.

Each text is the counterpart of a method of `Catalog`: `list_enabled`, `answer_chain`,
`default_agents`, `default_chains`.
"""

from collections.abc import Sequence

from scaffold.catalog.core_settings import MOST_PROVIDERS
from scaffold.catalog.feature import CORE, Feature
from scaffold.catalog.kinds import KINDS, Kind
from scaffold.catalog.manifest import TIERS

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
# Concatenated and not an f-string, where every brace of Jinja's would be doubled.
DEFAULT_CHAINS = (
    "{% set tiers = " + str(list(TIERS)) + " %}\n"
    """\
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
"""
    "{% for provider in providers[:" + str(MOST_PROVIDERS) + "] %}\n"
    """\
{% set _ = refs.append(provider ~ ':' ~ facts['provider_' ~ provider].models[tier]) %}
{% endfor %}
{% if tier != 'expensive' and providers %}
{% set higher = tiers[tiers.index(tier) + 1] %}
{% set _ = refs.append(providers[0] ~ ':' ~ facts['provider_' ~ providers[0]].models[higher]) %}
{% endif %}
{% set _ = found.update({name: refs | unique | list}) %}
{% endfor %}
{{ found | to_json }}"""
)
FLEET_CHAINS = """\
{% set found = {} %}
{% for name in (default_chains | list + chains | list) | unique %}
{% set _ = found.update({name: chains.get(name) or default_chains[name]}) %}
{% endfor %}
{{ found | to_json(ensure_ascii=False) }}"""
SLUG = "{{ project_name | lower | regex_replace('[^a-z0-9]+', '-') | trim('-') }}"
PACKAGE = SLUG.replace("'-'", "'_'")


def is_chosen(feature: Feature) -> str:
    """Return the Jinja test for whether a feature is chosen."""
    kind = KINDS[feature.kind]
    return f"'{feature.name}' {'in' if kind.many else '=='} {kind.answer_key}"


def place_folder(feature: Feature, features: Sequence[Feature]) -> str:
    """Return where a folder goes: here when it is chosen or one of `features` requires it."""
    conditions = [other.id for other in features if feature.ref in other.requires]
    conditions += [] if feature.hidden else [is_chosen(feature)]
    return f"{{{{ '.' if {' or '.join(conditions) or 'false'} else '' }}}}"


def list_enabled(features: Sequence[Feature]) -> str:
    """Return the ids of the features whose folders are rendered."""
    pairs = ", ".join(f"('{feature.id}', {feature.id})" for feature in features)
    return (
        f"{{% set ids = ['{CORE}'] %}}\n"
        f"{{% for id, folder in [{pairs}] if folder %}}\n"
        "{% set _ = ids.append(id) %}\n{% endfor %}\n{{ ids | to_json }}"
    )


def propose(default: Sequence[str], proposals: Sequence[tuple[Feature, list[str]]]) -> str:
    """Return the default of a kind, with what the features that are chosen propose."""
    parts = [f"({names} if {is_chosen(feature)} else [])" for feature, names in proposals]
    return f"{{{{ ({' + '.join([str(list(default)), *parts])}) | unique | list | to_json }}}}"


def require_one(feature: Feature, kind: Kind) -> str:
    """Return the check that a kind has a choice while a feature that needs one is chosen."""
    missing = f"{is_chosen(feature)} and not {kind.answer_key}"
    return f"{{% if {missing} %}}{feature.name} needs a {kind.name}{{% endif %}}"


def check_bounds(key: str, least: float | None, most: float | None) -> str:
    """Return the check that a number is within its bounds."""
    outside = [f"{key} < {least:g}"] if least is not None else []
    outside += [f"{key} > {most:.15g}"] if most is not None else []
    allowed = f"at least {least:g}" if most is None else f"from {least:g} to {most:.15g}"
    return f"{{% if {' or '.join(outside)} %}}{key} goes {allowed}{{% endif %}}"
