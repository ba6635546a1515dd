"""A workspace made of two render folders and a repository: no template, no copier."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scaffold import merge

IDENTITY = {
    "GIT_AUTHOR_NAME": "team",
    "GIT_AUTHOR_EMAIL": "team@localhost",
    "GIT_COMMITTER_NAME": "team",
    "GIT_COMMITTER_EMAIL": "team@localhost",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
}
Content = str | bytes
ANSWERS = ".copier-answers.yml"


def locate(folder: Path) -> merge.Workspace:
    """Find a workspace by its answers file."""
    return merge.locate(folder, ANSWERS)


def git(place: Path, *words: str, allowed: tuple[int, ...] = (0,)) -> str:
    """Run git as the team does, and return what it printed."""
    done = subprocess.run(
        ["git", *words], cwd=place, env={**os.environ, **IDENTITY}, capture_output=True
    )
    assert done.returncode in allowed, (words, done.stderr.decode())
    return done.stdout.decode("utf-8", "surrogateescape")


def fill(folder: Path, files: Mapping[str, Content]) -> Path:
    """Write files; `->x` is a symlink to x, a path that ends in ! may be run."""
    for path, content in files.items():
        place = folder / path.removesuffix("!")
        place.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str) and content.startswith("->"):
            place.symlink_to(content[2:])
        else:
            place.write_bytes(content.encode() if isinstance(content, str) else content)
            if path.endswith("!"):
                place.chmod(0o755)
    return folder


def lines(name: str, count: int = 12, **other: str) -> str:
    """Return a text whose lines differ from those of every other text; `_3="x"` sets line 3."""
    return "".join(f"{other.get(f'_{at}', f'{name} {at}')}\n" for at in range(count))


@dataclass
class Repo:
    """A repository with a workspace in it that was rendered from `old`.

    After an update `report` and `changes` have what came of it.
    """

    place: Path
    old: Mapping[str, Content]
    prefix: str = ""
    options: dict[str, Any] = field(default_factory=dict)
    before: str = "v1"

    def __post_init__(self) -> None:
        self.top = self.place / "repo"
        self.folder = self.top / self.prefix
        self.folder.mkdir(parents=True)
        git(self.top, "init", "-q", "-b", "main")
        fill(self.folder, self.with_answers(self.old, self.before))

    def with_answers(self, files: Mapping[str, Content], version: str) -> dict[str, Content]:
        return {**files, ANSWERS: f"_commit: {version}\n"}

    def commit(self) -> "Repo":
        git(self.top, "add", "-A")
        git(self.top, "commit", "-q", "--allow-empty", "-m", "team")
        return self

    def write(self, path: str, content: Content) -> "Repo":
        fill(self.folder, {path: content})
        return self

    def text(self, path: str) -> str:
        return (self.folder / path).read_text("utf-8")

    def replace(self, path: str, old: str, new: str) -> "Repo":
        place = self.folder / path
        content = place.read_bytes()
        assert old.encode() in content
        place.write_bytes(content.replace(old.encode(), new.encode()))
        return self

    def renders(self, new: Mapping[str, Content], version: str = "v2") -> tuple[Path, Path]:
        folders = self.place / "before", self.place / "after"
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
        fill(folders[0], self.with_answers(self.old, self.before))
        fill(folders[1], self.with_answers(new, version))
        return folders

    def plan(self, new: Mapping[str, Content], version: str = "v2", **options: Any) -> Any:
        """Return the plan of an update to `new`, as a context."""
        before, after = self.renders(new, version)
        where = locate(self.folder)
        return merge.plan(where, before, after, **{**self.options, **options})

    def update(
        self,
        new: Mapping[str, Content],
        version: str = "v2",
        *,
        autostash: bool = False,
        **options: Any,
    ) -> dict[str, str]:
        """Update, and return what happened by path, conflicts as `conflict: KIND`."""
        with self.plan(new, version, **options) as plan:
            self.report = merge.apply(plan, autostash=autostash)
            self.changes = plan.changes
        return kinds_by_path(plan.changes)

    def abort(self) -> merge.MergeReport:
        return merge.abort(locate(self.folder))

    def resume(self) -> merge.MergeReport | None:
        return merge.resume(locate(self.folder))

    def status(self) -> list[str]:
        return git(self.top, "status", "--porcelain", "-uall").splitlines()

    def files(self) -> dict[str, bytes | str]:
        """Return everything on disk in the repository, links as `->`, run bits as a trailing !."""
        return on_disk(self.top)

    def state(self) -> tuple[object, ...]:
        """Return files, index, references and objects: what a dry run must leave alone."""
        git_files = on_disk(self.top / ".git")
        return self.files(), {k: v for k, v in git_files.items() if "logs/" not in k}


def kinds_by_path(changes: tuple[merge.Change, ...]) -> dict[str, str]:
    return {
        one.path: f"{one.kind}: {one.conflict}" if one.conflict else str(one.kind)
        for one in changes
        if one.path != ANSWERS
    }


def on_disk(folder: Path) -> dict[str, bytes | str]:
    found: dict[str, bytes | str] = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            found[name] = f"->{path.readlink()}"
        elif path.is_file() and not name.startswith(".git/"):
            found[name + ("!" if os.access(path, os.X_OK) else "")] = path.read_bytes()
    return found
