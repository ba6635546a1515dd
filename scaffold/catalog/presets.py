"""Ready-made sets of answers for common jobs. They may name features that come later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scaffold.answers.spec import WorkspaceSpec
from scaffold.catalog.catalog import Catalogue, default_choice
from scaffold.catalog.feature import KINDS, Kind


@dataclass(frozen=True, slots=True)
class Preset:
    """A job, in one line, and the answers it suggests."""

    name: str
    title: str
    answers: Mapping[str, Any]


def _agent(name: str, description: str, chain: str = "specialist") -> dict[str, str]:
    return {"name": name, "description": description, "chain": chain}


ALL = "*"
"""Every feature of a kind that there is."""
USUAL = "usual"
"""In a list: what is chosen of that kind by default."""
WITH_REPORTS = {"extras": [USUAL, "cost_reports"]}

PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(
            "single",
            "One good model with a fallback chain and the ledger: under 1,000 calls a day",
            {"patterns": [], "extras": [], "agents": []},
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
                **WITH_REPORTS,
                "agents": [
                    _agent("billing", "Invoices, payments, refunds and subscriptions"),
                    _agent("technical", "Errors, set-up and how a feature works"),
                ],
            },
        ),
        Preset(
            "document-analysis",
            "Long documents: cheap extraction, expensive reasoning over the extract",
            {"patterns": ["extractor_reasoner"], "agents": [], **WITH_REPORTS},
        ),
        Preset(
            "content",
            "Texts in numbers: cheap drafts, the expensive model rewrites the weak ones",
            {"patterns": ["draft_polish"], "agents": [], **WITH_REPORTS},
        ),
        Preset(
            "research-desk",
            "Questions answered from sources, with citations",
            {
                "patterns": ["research", "router"],
                "search": ["local_folder"],
                "agents": [],
                **WITH_REPORTS,
            },
        ),
        Preset(
            "everything",
            "Every pattern, provider, search and extra there is",
            {kind.answer_key: ALL for kind in KINDS.values() if kind.many},
        ),
    )
}


def split(catalogue: Catalogue, preset: Preset) -> tuple[dict[str, Any], list[str]]:
    """A preset's answers with what there is, and `kind:name` of what this version does not have."""
    answers = dict(preset.answers)
    absent: list[str] = []
    for kind in KINDS.values():
        if kind.answer_key not in answers:
            continue
        known = [feature.name for feature in catalogue.of(kind.name)]
        known += [kind.builtin] if kind.builtin else []
        wanted = _wanted(catalogue, kind, answers, known)
        absent += [f"{kind.name}:{name}" for name in wanted if name not in known]
        there = [name for name in wanted if name in known]
        answers[kind.answer_key] = there if kind.many else next(iter(there), kind.builtin)
    asked = {key for feature in catalogue.features for key in feature.questions}
    gone = [key for key in answers if key not in {*WorkspaceSpec.model_fields, *asked}]
    return {key: answers[key] for key in answers if key not in gone}, [*absent, *gone]


def _wanted(
    catalogue: Catalogue, kind: Kind, answers: Mapping[str, Any], known: Sequence[str]
) -> list[str]:
    """The names a preset gives for one kind, each once: what is usual may hold others of them."""
    named = answers[kind.answer_key]
    if named == ALL:
        return list(dict.fromkeys([*([kind.builtin] if kind.builtin else []), *known]))
    listed = list(named) if kind.many else [named]
    usual = default_choice(catalogue, kind, answers) if USUAL in listed else []
    return list(dict.fromkeys([*usual, *(name for name in listed if name != USUAL)]))
