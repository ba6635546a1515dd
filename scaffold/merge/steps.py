"""Three merges in a row: what the template edits, what it drops, what it adds.

In one merge git would pair a dropped file with any similar new one and move the team's edits there.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scaffold.merge.lab import Blob, Files, Lab
from scaffold.merge.repository import records

_SETTINGS = (
    "merge.renames=true",
    "merge.directoryRenames=true",
    "diff.renames=true",
)

Stages = Mapping[int, Blob]
"""A conflicted file's versions: 1 before, 2 the team's, 3 the template's."""


@dataclass(frozen=True, slots=True)
class Merged:
    """The repository's tree after a merge, the workspace's files in it, its conflicts by path.

    `reasons` is git's word for each conflict. `tree` is None once `files` are others.
    """

    tree: str | None
    files: Files
    stages: Mapping[str, Stages]
    reasons: Mapping[str, str]


def merge(
    lab: Lab, around: str, before: Files, ours: Files, after: Files, names: Sequence[str]
) -> Merged:
    """Merge the change from `before` to `after` into `ours`. `names` label the two sides."""
    edited = {path: after.get(path, blob) for path, blob in before.items()}
    kept = {path: blob for path, blob in edited.items() if path in after}
    result = Merged(None, ours, {}, {})
    for base, theirs in ((before, edited), (edited, kept), (kept, after)):
        if base != theirs:
            result = _joined(result, _merge(lab, around, base, result.files, theirs, names))
    return result


def _joined(first: Merged, then: Merged) -> Merged:
    return Merged(
        then.tree, then.files, {**first.stages, **then.stages}, {**first.reasons, **then.reasons}
    )


def _merge(
    lab: Lab, around: str, base: Files, ours: Files, theirs: Files, names: Sequence[str]
) -> Merged:
    mine, other = names
    lab.commit(around, {"scaffold-base": base, mine: ours, other: theirs})
    told = lab.git(
        "merge-tree", "--write-tree", "-z", "--messages", mine, other,
        config=_SETTINGS, allowed=(0, 1),
    )  # fmt: skip
    tree, _, rest = told.partition("\0")
    listed, _, messages = ("\0" + rest).partition("\0\0")
    cut = len(lab.workspace.prefix)
    stages: dict[str, dict[int, Blob]] = {}
    for line in records(listed):
        facts, path = line.split("\t", 1)
        mode, oid, stage = facts.split()
        stages.setdefault(path[cut:], {})[int(stage)] = Blob(mode, oid)
    return Merged(tree, lab.workspace_files(tree), stages, _reasons(messages, cut))


def _reasons(messages: str, cut: int) -> dict[str, str]:
    """Path to git's word for its conflict: each message is a count, paths, a word and a text."""
    parts = messages.split("\0")
    reasons: dict[str, str] = {}
    at = 0
    while at < len(parts) and parts[at].isdigit():
        count = int(parts[at])
        word = parts[at + count + 1]
        if word.startswith("CONFLICT"):
            # The first word is the closer one: a binary file is told of as contents as well.
            for path in parts[at + 1 : at + 1 + count]:
                reasons.setdefault(path[cut:], word)
        at += count + 3
    return reasons
