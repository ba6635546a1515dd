"""What `scaffold new` tells when it is done: for a person, or as one JSON object."""

import json
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from scaffold.answers.spec import WorkspaceSpec
from scaffold.sources.releases import Source
from scaffold.workspace.verify import Step, verify


def drawn(name: str, paths: Sequence[str]) -> str:
    """The tree of `paths` (with `/` between their parts) under a folder called `name`."""
    return "\n".join([f"{name}/", *_lines([path.split("/") for path in sorted(paths)], "")])


def _lines(parts: list[list[str]], indent: str) -> list[str]:
    groups = [(name, list(group)) for name, group in groupby(parts, key=lambda part: part[0])]
    lines: list[str] = []
    for at, (name, group) in enumerate(groups):
        last = at == len(groups) - 1
        inner = [part[1:] for part in group if len(part) > 1]
        lines.append(f"{indent}{'└── ' if last else '├── '}{name}{'/' if inner else ''}")
        lines += _lines(inner, indent + ("    " if last else "│   "))
    return lines


@dataclass(frozen=True, slots=True)
class Written:
    """A workspace that was written, or (`really` False) would have been."""

    folder: Path
    really: bool
    files: list[str]
    spec: WorkspaceSpec
    source: Source
    notes: list[str]
    estimate: str


def show(written: Written) -> None:
    """The notes on stderr; what was written and what to do next on stdout."""
    for note in written.notes:
        print(f"Note: {note}", file=sys.stderr)
    if not written.really:
        print(drawn(written.folder.absolute().name, written.files))
        print(f"\n{len(written.files)} files; nothing was written.\n{written.estimate}")
        return
    print(f"Wrote {len(written.files)} files to {written.folder}.\n{written.estimate}\n")
    print(f"  cd {shlex.quote(str(written.folder))}")
    print("  uv run pytest")
    print(f"  uv run {written.spec.slug} demo")


def verified(written: Written, *, quiet: bool) -> list[Step]:
    """Run the workspace's own checks, a line each; on stderr where stdout is for JSON."""
    out = sys.stderr if quiet else sys.stdout
    print(file=out)
    steps: list[Step] = []
    for step in verify(written.folder):
        steps.append(step)
        print(f"{'ok    ' if step.ok else 'FAILED'} {step.name:8} {step.seconds:5.1f} s", file=out)
        if step.tail:
            print(step.tail, file=sys.stderr)
    return steps


def print_json(written: Written, steps: Sequence[Step]) -> None:
    """One object: target, files, answers, warnings, template, and the checks that ran."""
    source = written.source
    report = {
        "target": str(written.folder),
        "written": written.really,
        "files": written.files,
        "answers": written.spec.answers(),
        "warnings": written.notes,
        "estimate": written.estimate,
        "template": {"source": source.src_path, "version": source.commit},
        "verify": [{"step": s.name, "ok": s.ok, "seconds": round(s.seconds, 1)} for s in steps],
    }
    print(json.dumps(report, ensure_ascii=False))
