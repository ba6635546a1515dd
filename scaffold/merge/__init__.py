"""How does a template's change get into a team's files without losing a line the team wrote?

    workspace = merge.locate(folder, marker)
    merge.require_ready(workspace, autostash=False)
    with merge.plan(workspace, before, after, team_owned=["examples"], renames={}) as plan:
        print(plan.diff())          # a dry run stops here: nothing was written
        merge.apply(plan)           # journalled: killed at any moment, `resume` finishes it
    merge.abort(workspace)          # until the team commits, back to what was

`before` and `after` are two plain folders: the template rendered as the workspace records it,
and as it shall be. Paths in results are relative to the workspace, with `/` between their parts.
This package knows git and files, and neither features nor answers.

The modules in reading order. To plan, without writing anything:

    repository      git in the team's repository
    scratch         the throwaway repository in which a merge is computed
    sides           two renders, as git would have them, and the team's files
    protected       what a merge must not write over: team-owned files, files git lacks
    three_way       the merge itself: edits, drops, additions
    dependencies    its one exception, pyproject.toml; arrays edits the text
    changes         what the merge means, file by file, in the words of reports
    plans           all of that in order: `plan`
    comparison      what the team changed: `compare`

To write, so that a kill at any moment loses nothing:

    ready           whether an update may start; locks
    journal         what an update is about to do
    worktree        files and index, from one state to another
    stash           uncommitted work, put aside and put back
    goal            which state is wanted, forward or back
    rescue          edits that would be written over
    report          what is left for the team
    transition      all of that in order: `apply`, `resume`, `abort`
"""

from scaffold.merge.changes import Change, ChangeKind, count_changes, sort_for_reading
from scaffold.merge.comparison import compare
from scaffold.merge.journal import Progress, read_progress
from scaffold.merge.plans import Labels, Plan, plan
from scaffold.merge.ready import format_command, require_ready
from scaffold.merge.report import MergeReport
from scaffold.merge.repository import Workspace, locate
from scaffold.merge.transition import abort, apply, resume

__all__ = [
    "Change",
    "ChangeKind",
    "Labels",
    "MergeReport",
    "Plan",
    "Progress",
    "Workspace",
    "abort",
    "apply",
    "compare",
    "count_changes",
    "format_command",
    "locate",
    "plan",
    "read_progress",
    "require_ready",
    "resume",
    "sort_for_reading",
]
