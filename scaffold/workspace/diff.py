"""Compare a workspace with its template as it was rendered: what the team changed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scaffold import merge
from scaffold.errors import ExitStatus
from scaffold.rendering.render import Job
from scaffold.sources import releases
from scaffold.system.paths import ANSWERS_FILE
from scaffold.system.progress import show_progress
from scaffold.system.signals import work_folder
from scaffold.workspace.files import read_answers_file


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffReport:
    """What the team changed, per file and as a diff."""

    version: str
    changes: Sequence[merge.Change]
    diff: str

    @property
    def notes(self) -> Sequence[str]:
        """How many files there are of each kind."""
        return (f"{self.version}: {merge.count_changes(self.changes)}.",)

    @property
    def exit_status(self) -> ExitStatus:
        """DONE: a difference is not a failure."""
        return ExitStatus.DONE

    def text(self) -> str:
        """Return a line per file, then the diff."""
        lines = [one.describe() for one in merge.sort_for_reading(self.changes)]
        return "\n".join([*lines, "", self.diff]) if lines else ""

    def as_json(self) -> dict[str, object]:
        """Return version, changes and diff."""
        rows = [one.as_json() for one in merge.sort_for_reading(self.changes)]
        return {"version": self.version, "changes": rows, "diff": self.diff}


def compare_workspace(folder: Path, template: str | None = None) -> DiffReport:
    """Render what the answers file records and compare the team's files with it.

    Raises:
        MergeError: The folder is not in a git repository with a commit.
        TargetError: The folder is not a workspace.
        TemplateError: The template, or the recorded version, cannot be had.
    """
    workspace = read_answers_file(folder)
    place = merge.locate(workspace.folder, ANSWERS_FILE)
    with (
        releases.open_template(template or workspace.src_path) as opened,
        work_folder() as work,
    ):
        with show_progress(f"Rendering {workspace.commit}"):
            Job(opened.check_out(workspace.commit), workspace.answers, work / "before").run()
        changes, text = merge.compare(place, work / "before")
    return DiffReport(version=workspace.commit, changes=changes, diff=text)
