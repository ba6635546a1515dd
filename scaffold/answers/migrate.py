"""A workspace's answers as another version of its template understands them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from scaffold.answers.edits import add_feature
from scaffold.answers.spec import PartialSpec
from scaffold.catalog.catalog import Catalog, list_providers
from scaffold.catalog.estimate import price_pattern
from scaffold.catalog.feature import CORE, Feature
from scaffold.catalog.kinds import KINDS
from scaffold.catalog.manifest import Stage


def migrate(
    before: Catalog,
    after: Catalog,
    answers: PartialSpec,
    written_chains: Mapping[str, list[str]] | None = None,
) -> tuple[PartialSpec, list[str]]:
    """Return the answers for `after`, so that the workspace keeps doing what it did, and notes.

    What became a feature of its own stays on where it was on. A new question takes the answer that
    equals the behaviour before it (`Question.before`). A stage that moved to a chain of its own
    keeps its models. Choices that the template no longer has are left out.

    Args:
        before: The features of the recorded version.
        after: The features of the new version.
        answers: The recorded answers.
        written_chains: The chains of the workspace's fleet.toml, which people edit.
    """
    migrated = answers if before is after else _record_defaults(before, answers)
    # Before anything is dropped: a feature may be split off one that is gone.
    split = _list_split_off(before, after, migrated)
    notes: list[str] = []
    for kind in KINDS:
        migrated, dropped = _drop_absent(after, migrated, kind)
        notes += dropped
    for feature in split:
        if feature.name not in migrated.selection.names(feature.kind):
            migrated, more = add_feature(after, migrated, feature.kind, feature.name)
            notes += [f"{feature.kind} {feature.name} is now a feature of its own, and on.", *more]
    migrated = _keep_behaviour(before, after, migrated)
    migrated, more = _keep_models(before, after, migrated, written_chains or {})
    return migrated, notes + more


def list_new_features(before: Catalog, after: Catalog, answers: PartialSpec) -> list[str]:
    """Return a note that names what new workspaces have by default and this one could add."""
    known = {feature.id for feature in [*before.features, *after.list_enabled(answers.selection)]}
    new = [one for kind in KINDS for one in after.of(kind) if one.default and one.id not in known]
    if not new:
        return []
    names = ", ".join(f"{feature.kind} {feature.name}" for feature in new)
    return [f"New workspaces also have {names}: `scaffold add` brings one here."]


def _record_defaults(before: Catalog, answers: PartialSpec) -> PartialSpec:
    """Choose what was the default: an answer that is not recorded may have another one now."""
    for kind in KINDS.values():
        if kind.name not in answers.list_chosen():
            answers = answers.choose(kind.name, before.default_choice(kind, answers.selection))
    return answers


def _list_split_off(before: Catalog, after: Catalog, answers: PartialSpec) -> list[Feature]:
    """Return the new features whose work an enabled one did before, directly or in two steps."""
    # A feature that was there may have taken over work of another one since.
    known = {(feature.ref, feature.split_from) for feature in before.features}
    on = {feature.ref for feature in before.list_enabled(answers.selection)}
    still_on = {feature.ref for feature in after.list_enabled(answers.selection)}
    # What was on because another feature required it, which no longer does, is still in use.
    split = [one for one in after.features if one.ref in on - still_on and not one.hidden]
    new = [feature for feature in after.features if (feature.ref, feature.split_from) not in known]
    while more := [one for one in new if one.split_from in on and one.ref not in on]:
        on |= {feature.ref for feature in more}
        split += [feature for feature in more if not feature.hidden]
    return split


def _drop_absent(after: Catalog, answers: PartialSpec, kind: str) -> tuple[PartialSpec, list[str]]:
    known = {feature.name for feature in after.of(kind)} | {*KINDS[kind].builtins}
    chosen = answers.selection.names(kind)
    absent = [name for name in chosen if name not in known]
    if absent:
        answers = answers.choose(kind, [name for name in chosen if name in known])
    return answers, [f"The template no longer has {kind} {name}." for name in absent]


def _keep_behaviour(before: Catalog, after: Catalog, answers: PartialSpec) -> PartialSpec:
    """Answer new questions so that nothing changes."""
    known = {feature.ref for feature in before.features}
    unchanged = {
        key: question.before
        for feature in after.list_enabled(answers.selection)
        if feature.ref in known
        for key, question in feature.questions.items()
        if question.before is not None
    }
    return answers.replace(settings={**unchanged, **answers.settings})


@dataclass(frozen=True, slots=True)
class _Move:
    """A stage of a feature that asks another chain than before."""

    feature: Feature
    stage: Stage
    old_chain: str


def _keep_models(
    before: Catalog,
    after: Catalog,
    answers: PartialSpec,
    written_chains: Mapping[str, list[str]],
) -> tuple[PartialSpec, list[str]]:
    """Give a chain that a stage asks for the first time the models of its chain before."""
    moves = list(_list_moves(before, after, answers))
    old_chains = before.default_chains(answers.selection) if moves else {}
    notes: list[str] = []
    for move in moves:
        name = move.stage.chain
        if name in old_chains:
            notes.append(f"Stage {move.stage.name} asks chain {name} now, not {move.old_chain}.")
            continue
        # What fleet.toml says is what ran; the recorded answers may be older than its edits.
        written = written_chains.get(move.old_chain, [])
        refs = written if written and _are_known(written, answers) else old_chains[move.old_chain]
        answers = answers.replace(chains={**(answers.chains or {}), name: refs})
        notes.append(_describe_move(after, answers, move))
    return answers, notes


def _list_moves(before: Catalog, after: Catalog, answers: PartialSpec) -> Iterator[_Move]:
    enabled = before.list_enabled(answers.selection)
    asked = {stage.name: stage.chain for feature in enabled for stage in feature.stages}
    for feature in after.list_enabled(answers.selection):
        for stage in feature.stages if feature.kind != CORE else ():
            old_chain = asked.get(stage.name, stage.chain)
            if old_chain != stage.chain:
                yield _Move(feature, stage, old_chain)


def _are_known(refs: Sequence[str], answers: PartialSpec) -> bool:
    """Tell whether models, as fleet.toml has them, are all of providers that are chosen."""
    providers = answers.selection.names("provider")
    return all(provider in providers for provider in list_providers(refs))


def _describe_move(after: Catalog, answers: PartialSpec, move: _Move) -> str:
    """Say what keeping the models of the chain before costs, and how to change that."""
    name = move.stage.chain
    chains = after.default_chains(answers.selection)
    defaults = after.default_chains(replace(answers.selection, chains={}))
    default = defaults.get(name, chains[name])
    costs = [
        price_pattern(after, move.feature, {**chains, name: refs})
        for refs in (chains[name], default)
    ]
    now, then = ("at an unknown price" if usd is None else f"for ${usd:.2f}" for usd in costs)
    return (
        f"Stage {move.stage.name} has a chain of its own now, {name}. It keeps the models of "
        f"{move.old_chain}: 1,000 requests of {move.feature.name} with {chains[name][0]} {now}, "
        f"with the new default, {default[0]}, {then}. To take that: "
        f'scaffold update --set "chains={{{name}: null}}"'
    )
