"""Check whether a workspace is behind its template."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scaffold.errors import ExitStatus
from scaffold.sources import releases
from scaffold.workspace.files import AnswersFile, read_answers_file


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """A workspace's version and the versions that are newer, oldest first."""

    folder: Path
    workspace: AnswersFile
    newer: Sequence[str]
    notes: Sequence[str] = ()

    @property
    def exit_status(self) -> ExitStatus:
        """DONE, or LEFT when the workspace is behind."""
        return ExitStatus.LEFT if self.newer else ExitStatus.DONE

    def text(self) -> str:
        """Return in one line whether it is up to date."""
        version = self.workspace.commit
        if not self.newer:
            return f"{version} is up to date."
        return f"{version} is behind: {self.newer[-1]} is there; run `scaffold update`."

    def as_json(self) -> dict[str, object]:
        """Return the versions, and where they were looked for."""
        released = self.workspace.src_path == releases.URL
        return {
            "workspace": str(self.folder),
            "template": self.workspace.src_path,
            "version": self.workspace.commit,
            "newest": self.newer[-1] if self.newer else self.workspace.commit,
            "behind": bool(self.newer),
            "newer": self.newer,
            "bundle": str(releases.BUNDLE) if released else None,
        }


def check_workspace(folder: Path, template: str | None = None) -> CheckReport:
    """Compare a workspace's version with those of its template, or of `template`.

    Raises:
        TargetError: The folder is not a workspace.
        TemplateError: The template, or the recorded version, cannot be had.
    """
    workspace = read_answers_file(folder)
    with releases.open_template(template or workspace.src_path) as opened:
        newer = opened.list_newer(workspace.commit)
    return CheckReport(folder=folder, workspace=workspace, newer=newer)
