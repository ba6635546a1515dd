"""A team's own template with two versions, and workspaces made from it."""

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from scaffold import cli
from scaffold.catalog.catalog import load
from scaffold.catalog.copier_questions import copier_yml
from scaffold.errors import ScaffoldError
from scaffold.rendering.render import Job, render_both
from scaffold.sources.releases import fingerprint
from tests.conftest import ROOT

CORE = "templates/{{'.'}}"
RUNTIME = f"{CORE}/src/{{{{package}}}}/runtime"
KEPT = [
    "{{'.'}}",
    "{{pattern_router}}",
    "{{provider_anthropic}}",
    "{{provider_openai}}",
    "{{provider_groq}}",
    "{{extra_bookkeeping}}",
    "{{extra_docker}}",
    "{{extra_dotenv}}",
    "{{extra_openai_chat}}",
    "{{extra_update_check}}",
]
"""Few features, so that a render is quick."""

WHO = {
    f"GIT_{role}_{field}": value
    for role in ("AUTHOR", "COMMITTER")
    for field, value in (("NAME", "t"), ("EMAIL", "t@example.org"))
}


def git(folder: Path, *words: str) -> str:
    """Return what git prints; fail on any error."""
    done = subprocess.run(
        ["git", *words], cwd=folder, env={**os.environ, **WHO}, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def commit(folder: Path, message: str = "The team's work") -> None:
    git(folder, "add", "--all", ".")
    git(folder, "commit", "--quiet", "--message", message)


def edit(path: Path, old: str, new: str) -> None:
    """Replace the first `old`, which has to be there; line ends stay as they are."""
    text = path.read_bytes()
    assert old.encode() in text, f"{path} has no {old!r}"
    path.write_bytes(text.replace(old.encode(), new.encode(), 1))


def append(path: Path, text: str) -> None:
    with path.open("ab") as file:
        file.write(text.encode())


def make_fork(folder: Path) -> Path:
    """Create a template: some of ours as v1.0.0; v1.1.0 edits, renames, removes and adds a file."""
    for feature in KEPT:
        shutil.copytree(ROOT / "templates" / feature, folder / "templates" / feature)
    for path in (ROOT / "templates").iterdir():
        if path.is_file():
            shutil.copy(path, folder / "templates")
    append(folder / "templates/{{extra_docker}}/feature.yml", "default: true\n")
    (folder / "copier.yml").write_text(copier_yml(load(folder)), encoding="utf-8")
    git(folder, "init", "--quiet", "--initial-branch=main")
    commit(folder, "one")
    git(folder, "tag", "v1.0.0")
    append(folder / RUNTIME / "errors.py", "\n\n# Two: an edit.\n")
    append(folder / CORE / "src/{{package}}/prompts/answer.md.jinja", "Two: a newer seed.\n")
    (folder / RUNTIME / "recorded.py").rename(folder / RUNTIME / "replayed.py")
    edit(
        folder / CORE / "feature.yml",
        "kind: core\n",
        "kind: core\nrenames:\n"
        "  - old: src/{{package}}/runtime/recorded.py\n"
        "    new: src/{{package}}/runtime/replayed.py\n",
    )
    (folder / "templates/{{extra_docker}}/Dockerfile.jinja").unlink()
    (folder / CORE / "HISTORY.md").write_text("Two: an addition.\n")
    commit(folder, "two")
    git(folder, "tag", "v1.1.0")
    return folder


class SharedRenders:
    """The renders of templates that are not ours, each in a confined process, once for all tests.

    Two are the same when the bytes of the template and the answers are.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.renders: dict[str, Path] = {}

    def render_both(self, before: Job, after: Job) -> None:
        """Stand in for `render_both` of `scaffold.rendering.render`."""
        try:
            for job in (before, after):
                shutil.copytree(self._render(job), job.target, symlinks=True)
        except ScaffoldError:
            # Its message says which of the two it is about.
            for job in (before, after):
                shutil.rmtree(job.target, ignore_errors=True)
            render_both(before, after)

    def _render(self, job: Job) -> Path:
        source = job.source
        parts = (fingerprint(source.root), source.src_path, source.commit, dict(job.answers))
        key = json.dumps(parts)
        if key not in self.renders:
            target = self.folder / str(len(self.renders))
            replace(job, target=target).run()
            self.renders[key] = target
        return self.renders[key]


def new(folder: Path, *words: str) -> Path:
    """Create a workspace in a repository of its own, named as its folder."""
    assert cli.run(["new", str(folder), "--defaults", *words]) == 0
    return folder


def read_json(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """Return the one JSON object that was printed since the last look."""
    return json.loads(capsys.readouterr().out)


def files(folder: Path) -> dict[str, bytes]:
    """Every file of a work tree, git's own left out."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    }
