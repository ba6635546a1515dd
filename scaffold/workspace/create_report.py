"""The report of a new workspace: what was written, from which template, and what to do next."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from scaffold.answers.spec import WorkspaceSpec
from scaffold.errors import ExitStatus
from scaffold.sources.template import Source
from scaffold.workspace.verify import Step


def draw_tree(name: str, paths: Sequence[str]) -> str:
    """Return the tree of `paths` (with `/` between their parts) under a folder called `name`."""
    return "\n".join([f"{name}/", *_draw([path.split("/") for path in sorted(paths)], "")])


def _draw(parts: list[list[str]], indent: str) -> list[str]:
    groups = [(name, list(group)) for name, group in groupby(parts, key=lambda part: part[0])]
    lines: list[str] = []
    for at, (name, group) in enumerate(groups):
        last = at == len(groups) - 1
        inner = [part[1:] for part in group if len(part) > 1]
        lines.append(f"{indent}{'└── ' if last else '├── '}{name}{'/' if inner else ''}")
        lines += _draw(inner, indent + ("    " if last else "│   "))
    return lines


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateReport:
    """A workspace that was written, or (`written` False) would have been.

    Attributes:
        files: Paths in the workspace, with `/` between their parts.
        notes: What the user should know besides.
        estimate: What 1,000 requests cost, in one line.
        steps: The checks of its own that ran.
    """

    folder: Path
    written: bool
    files: Sequence[str]
    spec: WorkspaceSpec
    source: Source
    notes: Sequence[str]
    estimate: str
    steps: Sequence[Step] = ()

    @property
    def exit_status(self) -> ExitStatus:
        """DONE, or NOT_VERIFIED when a check failed."""
        passed = all(step.ok for step in self.steps)
        return ExitStatus.DONE if passed else ExitStatus.NOT_VERIFIED

    def text(self) -> str:
        """Return what was written, what it costs, and the next commands."""
        count = len(self.files)
        if not self.written:
            tree = draw_tree(self.folder.absolute().name, self.files)
            return f"{tree}\n\n{count} files; nothing was written.\n{self.estimate}"
        return "\n".join(
            [
                f"Wrote {count} files to {self.folder}.",
                self.estimate,
                "",
                f"  cd {shlex.quote(str(self.folder))}",
                "  uv run pytest",
                f"  uv run {self.spec.slug} demo",
            ]
        )

    def as_json(self) -> dict[str, object]:
        """Return target, files, answers, warnings, template, and the checks that ran."""
        template = {"source": self.source.src_path, "version": self.source.commit}
        return {
            "target": str(self.folder),
            "written": self.written,
            "files": self.files,
            "answers": self.spec.answers(),
            "warnings": self.notes,
            "estimate": self.estimate,
            "template": template,
            "verify": [
                {"step": step.name, "ok": step.ok, "seconds": round(step.seconds, 1)}
                for step in self.steps
            ],
        }
