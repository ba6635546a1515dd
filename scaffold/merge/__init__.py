"""Merging a template's change into a team's work, by git: nothing the team wrote is lost.

    workspace = merge.locate(folder)
    merge.require_ready(workspace, autostash=False)
    with merge.plan(workspace, before, after, team_owned=["examples"], renames={}) as plan:
        print(plan.diff())          # a dry run stops here: nothing was written
        merge.apply(plan)           # journalled: killed at any moment, `resume` finishes it
    merge.abort(workspace)          # until the team commits, back to what was

`before` and `after` are two plain folders: the template rendered as the workspace records it,
and as it shall be. Paths in results are relative to the workspace, with `/` between their parts.
"""

from scaffold.merge.changes import Change, ChangeKind
from scaffold.merge.journal import Progress, progress
from scaffold.merge.plan import Labels, Plan, compare, plan
from scaffold.merge.ready import command, require_ready
from scaffold.merge.repository import Workspace, locate, uncommitted
from scaffold.merge.result import Outcome
from scaffold.merge.transition import abort, apply, resume

__all__ = [
    "Change",
    "ChangeKind",
    "Labels",
    "Outcome",
    "Plan",
    "Progress",
    "Workspace",
    "abort",
    "apply",
    "command",
    "compare",
    "locate",
    "plan",
    "progress",
    "require_ready",
    "resume",
    "uncommitted",
]
