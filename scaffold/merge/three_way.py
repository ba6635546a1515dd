"""Three merges in a row: what the template edits, what it drops, what it adds.

In one merge git would pair a dropped file with any similar new one and move the team's edits there.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from scaffold.merge.scratch import Blob, Files, ScratchRepository, parse_index

# Whatever the user's own settings say: results must not differ between two machines.
_SETTINGS = (
    "merge.renames=true",
    "merge.directoryRenames=true",
    "diff.renames=true",
)

Stages = Mapping[int, Blob]
"""A conflicted file's versions: 1 before, 2 the team's, 3 the template's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeInput:
    """What is merged: the change from `before` to `after`, into `ours`.

    `around` is the tree of the whole repository that the workspace lies in, and `labels` name the
    two sides in conflict markers, the team's first.
    """

    around: str
    before: Files
    ours: Files
    after: Files
    labels: tuple[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Merged:
    """The result of a merge: the workspace's files, and its conflicts by path.

    `tree` is the repository's tree with these files, None where it is not written yet. `reasons`
    is git's word for each conflict.
    """

    tree: str | None
    files: Files
    stages: Mapping[str, Stages]
    reasons: Mapping[str, str]


def merge_three_times(scratch: ScratchRepository, inputs: MergeInput) -> Merged:
    """Merge the template's edits, then what it drops, then what it adds."""
    # A file that the template drops stays until the second merge, a new one comes in the third.
    edited = {path: inputs.after.get(path, blob) for path, blob in inputs.before.items()}
    kept = {path: blob for path, blob in edited.items() if path in inputs.after}
    steps = ((inputs.before, edited), (edited, kept), (kept, inputs.after))
    result = Merged(tree=None, files=inputs.ours, stages={}, reasons={})
    for before, after in steps:
        if before != after:
            step = MergeInput(
                around=inputs.around,
                before=before,
                ours=result.files,
                after=after,
                labels=inputs.labels,
            )
            result = _join(result, _merge_once(scratch, step))
    return result


def _join(first: Merged, then: Merged) -> Merged:
    return Merged(
        tree=then.tree,
        files=then.files,
        stages={**first.stages, **then.stages},
        reasons={**first.reasons, **then.reasons},
    )


def _merge_once(scratch: ScratchRepository, inputs: MergeInput) -> Merged:
    ours, theirs = inputs.labels
    commits = {"scaffold-base": inputs.before, ours: inputs.ours, theirs: inputs.after}
    scratch.write_commits(inputs.around, commits)
    # Prints the tree, the stages of conflicts and git's messages, each part ended by an empty one.
    printed = scratch.git(
        "merge-tree", "--write-tree", "-z", "--messages", ours, theirs,
        config=_SETTINGS, allowed=(0, 1),
    )  # fmt: skip
    tree, _, rest = printed.partition("\0")
    listed, _, messages = ("\0" + rest).partition("\0\0")
    # git names paths from the repository's root, a merge's are the workspace's.
    start = len(scratch.workspace.prefix)
    stages = {path[start:]: versions for path, versions in parse_index(listed).items()}
    files = scratch.list_files(tree)
    return Merged(tree=tree, files=files, stages=stages, reasons=_parse_messages(messages, start))


def _parse_messages(messages: str, start: int) -> dict[str, str]:
    """Return git's word for each path's conflict; `start` is where a workspace's path begins.

    A message is a count, as many paths, a word, and a text for people.
    """
    parts = messages.split("\0")
    reasons: dict[str, str] = {}
    at = 0
    while at < len(parts) and parts[at].isdigit():
        count = int(parts[at])
        word = parts[at + count + 1]
        if word.startswith("CONFLICT"):
            # The first word is the closer one: git names a binary file as contents as well.
            for path in parts[at + 1 : at + 1 + count]:
                reasons.setdefault(path[start:], word)
        at += count + 3
    return reasons
