"""What templates loop over, computed in Jinja: a render without this program is the same render."""

from collections.abc import Sequence

from scaffold.choices import is_chosen
from scaffold.feature import Feature

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
