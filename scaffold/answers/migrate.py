"""A workspace's answers as another version of its template understands them."""

from collections.abc import Mapping
from typing import Any

from scaffold.answers import edits as change
from scaffold.answers.edits import Answers
from scaffold.catalog import economics
from scaffold.catalog.catalog import Catalogue, chosen, default_choice
from scaffold.catalog.feature import KINDS, Feature
from scaffold.catalog.manifest import StageFact
from scaffold.workspace import files as fleet


def carried_over(
    before: Catalogue,
    after: Catalogue,
    answers: Mapping[str, Any],
    written: fleet.Chains | None = None,
) -> tuple[Answers, list[str]]:
    """The answers for `after`, so that the workspace keeps doing what it did, and notes.

    What became a feature of its own stays on where it was on; a new question takes the answer
    that equals the behaviour before it (`Question.before`); a stage that moved to a chain of its
    own keeps its models; choices that are gone are left out. `written` are the chains of the
    workspace's fleet.toml, which people edit.
    """
    carried = dict(answers)
    if before is not after:
        # A choice that is not recorded was the default then; it may be another one now.
        for kind in KINDS.values():
            carried.setdefault(kind.answer_key, default_choice(before, kind, carried))
    split = _split_off(before, after, carried)
    notes = [note for kind in KINDS for note in _drop_gone(after, carried, kind)]
    for feature in split:
        if feature.name not in chosen(carried, feature.kind):
            carried, more = change.added(after, carried, feature.kind, feature.name)
            notes += [f"{feature.kind} {feature.name} is now a feature of its own, and on.", *more]
    _old_behaviour(before, after, carried)
    return carried, notes + _keep_models(before, after, carried, written or {})


def newly_offered(before: Catalogue, after: Catalogue, answers: Mapping[str, Any]) -> list[str]:
    """A note that names what new workspaces have by default and this one could add."""
    known = {feature.id for feature in [*before.features, *after.enabled(answers)]}
    new = [one for kind in KINDS for one in after.of(kind) if one.default and one.id not in known]
    if not new:
        return []
    names = ", ".join(f"{feature.kind} {feature.name}" for feature in new)
    return [f"New workspaces also have {names}: `scaffold add` brings one here."]


def _split_off(before: Catalogue, after: Catalogue, answers: Answers) -> list[Feature]:
    """The new features whose work an enabled one did before, one split off another among them."""
    known = {feature.ref for feature in before.features}
    on = {feature.ref for feature in before.enabled(answers)}
    still = {feature.ref for feature in after.enabled(answers)}
    # What was on because another feature required it, which no longer does, is still in use.
    split = [one for one in after.features if one.ref in on - still and not one.hidden]
    new = [feature for feature in after.features if feature.ref not in known]
    while found := [one for one in new if one.split_from in on and one.ref not in on]:
        on |= {feature.ref for feature in found}
        split += [feature for feature in found if not feature.hidden]
    return split


def _old_behaviour(before: Catalogue, after: Catalogue, answers: Answers) -> None:
    known = {feature.ref for feature in before.features}
    for feature in after.enabled(answers):
        for key, question in feature.questions.items() if feature.ref in known else ():
            if question.before is not None:
                answers.setdefault(key, question.before)


def _keep_models(
    before: Catalogue, after: Catalogue, answers: Answers, written: fleet.Chains
) -> list[str]:
    """Give a chain that a stage asks for the first time the models of its chain before."""
    asked = {stage.name: stage.chain for one in before.enabled(answers) for stage in one.stages}
    moved = [
        (feature, stage, asked[stage.name])
        for feature in after.enabled(answers)
        for stage in feature.stages
        if feature.kind != "core" and asked.get(stage.name, stage.chain) != stage.chain
    ]
    there = before.default_chains(answers) if moved else {}
    notes: list[str] = []
    for feature, stage, old in moved:
        if stage.chain in there:
            notes.append(f"Stage {stage.name} asks chain {stage.chain} now, not {old}.")
            continue
        refs = _known(written.get(old, []), answers) or there[old]
        answers["chains"] = {**(answers.get("chains") or {}), stage.chain: refs}
        notes.append(_moved(after, answers, feature, stage, old))
    return notes


def _known(refs: list[str], answers: Answers) -> list[str]:
    """Models as fleet.toml has them, if all are of the providers that are chosen."""
    providers = chosen(answers, "provider")
    return refs if all(ref.partition(":")[0] in providers for ref in refs) else []


def _moved(after: Catalogue, answers: Answers, feature: Feature, stage: StageFact, old: str) -> str:
    """What keeping the models of the chain before costs, and how to change that."""
    chains = after.default_chains(answers)
    usual = after.default_chains({**answers, "chains": {}}).get(stage.chain, chains[stage.chain])
    costs = [
        economics.per_1000_of(after, feature, {**chains, stage.chain: refs})
        for refs in (chains[stage.chain], usual)
    ]
    now, then = ("at an unknown price" if usd is None else f"for ${usd:.2f}" for usd in costs)
    return (
        f"Stage {stage.name} has a chain of its own now, {stage.chain}. It keeps the models of "
        f"{old}: 1,000 requests of {feature.name} with {chains[stage.chain][0]} {now}, with the "
        f"new default, {usual[0]}, {then}. To take that: "
        f'scaffold update --set "chains={{{stage.chain}: null}}"'
    )


def _drop_gone(after: Catalogue, answers: Answers, kind: str) -> list[str]:
    there = {feature.name for feature in after.of(kind)} | {KINDS[kind].builtin}
    on = chosen(answers, kind)
    gone = [name for name in on if name not in there]
    if gone:
        left = [name for name in on if name in there]
        answers[KINDS[kind].answer_key] = left if KINDS[kind].many else KINDS[kind].builtin
    return [f"The template has no {kind} {name} any more." for name in gone]
