"""A template with features and a team's workspace of it: both change, every line shows its author.

Lines are unique: `t7` was written by the template, `m9` by the team. So a lost or misplaced line shows.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from pathlib import Path

from tests.merge.repo import ANSWERS, Content, Repo, fill

Text = tuple[str, ...]
Files = dict[str, Text | bytes]
BLANKS = 3  # lines shared by all files, so that files are alike and git is tempted to pair them


@dataclass(frozen=True)
class Template:
    """What it renders: files by feature (`core` is always on), folders and files it has renamed."""

    features: dict[str, Files]
    renames: dict[str, str] = field(default_factory=dict)
    version: int = 1

    def render(self, chosen: frozenset[str]) -> Files:
        files: Files = {}
        for name in ("core", *sorted(chosen)):
            files |= self.features.get(name, {})
        return files

    def with_changes(self, feature: str, files: Files, **renames: str) -> "Template":
        moves = {old: rename_path(new, renames) for old, new in self.renames.items()} | renames
        return Template({**self.features, feature: files}, moves, self.version + 1)


def rename_path(path: str, renames: dict[str, str]) -> str:
    for old, new in renames.items():
        if path == old or path.startswith(f"{old}/"):
            return new + path[len(old) :]
    return path


def contents(files: Files, note: str) -> dict[str, Content]:
    texts = {
        path: text if isinstance(text, bytes) else "".join(f"{line}\n" for line in text)
        for path, text in files.items()
    }
    return {**texts, ANSWERS: f"_commit: {note}\n"}


def read(folder: Path) -> Files:
    """Return the workspace's files as they are on disk."""
    files: Files = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and ".git" not in path.parts and name not in (ANSWERS, "secret"):
            content = path.read_bytes()
            binary = b"\0" in content
            files[name] = content if binary else tuple(content.decode().splitlines())
    return files


def team_lines(text: Text | bytes | None) -> set[str]:
    return {line for line in text if line.startswith("m")} if isinstance(text, tuple) else set()


def find_independent(before: Text, ours: Text, after: Text) -> Iterator[tuple[set[str], set[str]]]:
    """Yield the lines that the template drops and adds away from any change of the team's."""
    mine = [
        (low, high)
        for tag, low, high, _, _ in SequenceMatcher(None, before, ours, False).get_opcodes()
        if tag != "equal"
    ]
    for tag, low, high, first, last in SequenceMatcher(None, before, after, False).get_opcodes():
        if tag != "equal" and all(high < start or end < low for start, end in mine):
            yield {*before[low:high]}, {*after[first:last]}


def write_renders(
    repo: Repo, before: Files, after: Files, notes: tuple[str, str]
) -> tuple[Path, Path]:
    """Write both renders as folders, and return these."""
    folders = repo.place / "before", repo.place / "after"
    for folder, files, note in zip(folders, (before, after), notes, strict=True):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        fill(folder, contents(files, note))
    return folders


def without(files: Files, path: str) -> Files:
    return {name: text for name, text in files.items() if name != path}


def move_files(files: Files, renames: dict[str, str]) -> Files:
    return {rename_path(path, renames): text for path, text in files.items()}
