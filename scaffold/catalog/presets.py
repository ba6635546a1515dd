"""Ready-made sets of answers for common jobs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scaffold.catalog.catalog import Catalog
from scaffold.catalog.core_settings import AGENT_CHAIN
from scaffold.catalog.kinds import KINDS, Kind, Selection

ALL = "*"
"""Every feature of a kind that there is."""
USUAL = "usual"
"""In a list: what is chosen of that kind by default."""


@dataclass(frozen=True, slots=True)
class Preset:
    """A job, in one line, and the answers it suggests, by answer key."""

    name: str
    title: str
    answers: Mapping[str, Any]


def _propose_agent(name: str, description: str) -> dict[str, str]:
    return {"name": name, "description": description, "chain": AGENT_CHAIN}


_WITH_REPORTS = {"extras": [USUAL, "cost_reports"]}

PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "single",
            "One good model with a fallback chain and the ledger: under 1,000 calls a day",
            {"patterns": [], "extras": ["diagnosis"], "agents": []},
        ),
        Preset(
            "starter",
            "A router in front of a cheap and an expensive chain",
            {"patterns": ["router"]},
        ),
        Preset(
            "support-desk",
            "Customer requests: routed, answered, hard ones polished",
            {
                "patterns": ["router", "draft_polish"],
                **_WITH_REPORTS,
                "agents": [
                    _propose_agent("billing", "Invoices, payments, refunds and subscriptions"),
                    _propose_agent("technical", "Errors, set-up and how a feature works"),
                ],
            },
        ),
        Preset(
            "document-analysis",
            "Long documents: cheap extraction, expensive reasoning over the extract",
            {"patterns": ["extractor_reasoner"], "agents": [], **_WITH_REPORTS},
        ),
        Preset(
            "content",
            "Texts in numbers: cheap drafts, the expensive model rewrites the weak ones",
            {"patterns": ["draft_polish"], "agents": [], **_WITH_REPORTS},
        ),
        Preset(
            "research-desk",
            "Questions answered from sources, with citations",
            {
                "patterns": ["research", "router"],
                "search": ["local_folder"],
                "agents": [],
                **_WITH_REPORTS,
            },
        ),
        Preset(
            "everything",
            "Every pattern, provider, search and extra there is",
            {kind.answer_key: ALL for kind in KINDS.values() if kind.many},
        ),
    )
}


def split(catalog: Catalog, preset: Preset) -> tuple[dict[str, Any], list[str]]:
    """Return a preset's answers with what exists, and `kind:name` of what this version lacks.

    The templates of an earlier release may not have a feature that a preset names.
    """
    answers = dict(preset.answers)
    absent: list[str] = []
    for kind in KINDS.values():
        if kind.answer_key not in answers:
            continue
        known = [*kind.builtins, *(feature.name for feature in catalog.of(kind.name))]
        wanted = _list_names(catalog, kind, preset, known)
        absent += [f"{kind.name}:{name}" for name in wanted if name not in known]
        # The rest of the preset is still of use: the caller says what is left out.
        found = [name for name in wanted if name in known]
        answers[kind.answer_key] = found if kind.many else next(iter(found), kind.builtin)
    return answers, absent


def _list_names(catalog: Catalog, kind: Kind, preset: Preset, known: Sequence[str]) -> list[str]:
    """Return the names that a preset gives for one kind, each once."""
    value = preset.answers[kind.answer_key]
    if value == ALL:
        return [*known]
    listed = list(value) if kind.many else [value]
    usual = catalog.default_choice(kind, _select(preset)) if USUAL in listed else []
    return list(dict.fromkeys([*usual, *(name for name in listed if name != USUAL)]))


def _select(preset: Preset) -> Selection:
    chosen = {
        kind.name: preset.answers.get(kind.answer_key, []) for kind in KINDS.values() if kind.many
    }
    return Selection(features=chosen)
