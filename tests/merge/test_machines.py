"""Settings, variables and file systems of users' machines: none of them changes a merge."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from scaffold import merge
from scaffold.errors import MergeError
from scaffold.system import git as program
from scaffold.system.signals import work_folder
from scaffold.workspace import update_notes
from scaffold.workspace.target import create_repository
from tests.merge.repo import Repo, fill, git, lines, locate

A, B = lines("a"), lines("b")
SETTINGS = """\
[safe]
    bareRepository = explicit
[core]
    quotePath = true
    splitIndex = true
    attributesFile = {attributes}
[diff]
    external = false
    noprefix = true
    mnemonicPrefix = true
    renames = copies
    orderFile = {order}
[status]
    showUntrackedFiles = all
    branch = true
    relativePaths = true
[log]
    date = iso
    showSignature = true
[merge]
    conflictStyle = diff3
    renames = false
[stash]
    showPatch = true
[submodule]
    recurse = true
[color]
    ui = always
"""


@pytest.fixture
def odd_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set what people set, and what changes what git prints or does."""
    home = tmp_path / "home"
    (home / ".config/git").mkdir(parents=True)
    attributes = "* merge=union diff=odd\n"
    (home / ".config/git/attributes").write_text(attributes)
    (home / "attributes").write_text(attributes)
    (home / "order").write_text("*\n")
    (home / ".gitconfig").write_text(
        SETTINGS.format(attributes=home / "attributes", order=home / "order")
    )
    for name in ("GIT_CONFIG_GLOBAL", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'diff.context'='0'")
    for name, value in {
        "GIT_EXTERNAL_DIFF": "false",
        "GIT_DIFF_OPTS": "-u0",
        "GIT_GLOB_PATHSPECS": "1",
        "GIT_LITERAL_PATHSPECS": "0",
        "GIT_INDEX_FILE": str(home / "index"),
        "GIT_DIR": str(home / "nowhere"),
        "GIT_DEFAULT_HASH": "sha256",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.mark.usefixtures("odd_user")
def test_settings_and_variables_of_a_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as calm:
        for name in [name for name in os.environ if name.startswith("GIT_")]:
            calm.delenv(name)
        repo = Repo(tmp_path, {"a": A, "b": B, "é": A}, prefix="ws")
        repo.replace("a", "a 5\n", "team 5\n").commit().replace("b", "b 9\n", "dirty 9\n")
    text = merge.compare(locate(repo.folder), repo.renders({})[0])[1]
    assert "-a 5\n+team 5" in text and "a/a" in text
    new = {"a": lines("a", _5="new 5"), "b": lines("b", _2="new 2"), "é": B}
    with repo.plan(new) as plan:
        assert "+new 2" in plan.diff() and "a/é" in plan.diff()
    assert repo.update(new, autostash=True)["a"] == "conflict: content"
    assert "<<<<<<< yours\nteam 5\n=======\nnew 5\n>>>>>>> template\n" in repo.text("a")
    repo.abort()
    assert repo.text("b") == lines("b", _9="dirty 9") and repo.text("é") == A


def test_a_git_command_ignores_variables_of_a_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_EXTERNAL_DIFF", "difft")
    monkeypatch.setenv("GIT_SSH_COMMAND", "ssh -v")
    assert "GIT_EXTERNAL_DIFF" not in program.environment()
    assert program.environment()["GIT_SSH_COMMAND"] == "ssh -v"


def test_dates_and_empty_names_in_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = Repo(tmp_path, {"a": A, "b": B}).commit().replace("b", "b 9\n", "dirty 9\n")
    for who in ("AUTHOR", "COMMITTER"):
        monkeypatch.setenv(f"GIT_{who}_DATE", "no date")
        monkeypatch.setenv(f"GIT_{who}_NAME", "")
        assert f"GIT_{who}_NAME" not in program.environment()
    assert repo.update({"a": B, "b": B}, autostash=True) == {"a": "updated"}
    assert repo.text("b") == lines("b", _9="dirty 9")
    monkeypatch.undo()
    assert git(repo.top, "stash", "list") == ""


def test_temporary_files_in_the_workspace_are_not_the_teams(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = Repo(tmp_path, {"a": A}).commit().write("tmp/mine", "mine\n")
    monkeypatch.setattr("tempfile.tempdir", str(repo.folder / "tmp"))
    changes, _ = merge.compare(locate(repo.folder), repo.renders({})[0])
    assert [one.path for one in changes] == ["tmp/mine"]


def test_temporary_files_beside_the_caller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", ".")
    with work_folder() as folder:
        assert folder.is_absolute() and folder.parent == tmp_path
    assert not folder.exists()


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    fill(
        tmp_path,
        {"git!": "#!/bin/sh\necho 'fatal: write: No space left on device' >&2; exit 128\n"},
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(tmp_path), prepend=":")
        with pytest.raises(program.RoomError, match="disk is full"):
            program.git("add", cwd=tmp_path)


def test_a_file_system_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    repo = Repo(tmp_path, {"a": A, "b": B}).commit().replace("b", "b 9\n", "dirty 9\n")
    assert repo.update({"a": B, "b": B}, autostash=True) == {"a": "updated"}
    assert repo.text("b") == lines("b", _9="dirty 9")
    lock = repo.top / ".git/index.lock"
    lock.write_bytes(b"")
    with pytest.raises(MergeError, match=r"index\.lock"):
        repo.abort()
    lock.unlink()
    repo.abort()
    assert repo.text("a") == A and not lock.exists()


def test_a_repository_in_the_workspace(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A}).replace("a", "a 5\n", "team 5\n").commit()
    git(repo.folder, "init", "-q", "scratch")
    repo.write("scratch/x", "x\n").write("new file", "mine\n")
    changes, text = merge.compare(locate(repo.folder), repo.renders({})[0])
    assert [(one.path, str(one.kind)) for one in changes] == [
        ("a", "updated"),
        ("new file", "added"),
    ]
    assert "+team 5" in text


def test_the_first_commit_has_what_a_users_ignore_file_hides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(tmp_path, {"home/ignore": ".env*\n.github/\n", "home/.gitconfig": "[core]\n"})
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "home/.gitconfig"))
    git(
        tmp_path,
        "config",
        "--file",
        "home/.gitconfig",
        "core.excludesFile",
        str(tmp_path / "home/ignore"),
    )
    repo = fill(
        tmp_path / "desk",
        {".env.example": "K=\n", ".github/ci.yml": "x\n", ".gitignore": ".env\n", ".env": "s\n"},
    )
    create_repository(repo, "first")
    assert set(git(repo, "ls-files").split()) == {".env.example", ".github/ci.yml", ".gitignore"}


def test_the_first_commit_with_windows_line_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = "[core]\nautocrlf = true\nsafecrlf = true\n[i18n]\nlogOutputEncoding = utf-16\n"
    fill(tmp_path, {"gitconfig": settings})
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "gitconfig"))
    repo = fill(tmp_path / "desk", {"a": "a\n"})
    create_repository(repo, "first")
    assert program.git("show", "HEAD:a", cwd=repo) == "a"
    assert program.git("log", "--format=%s", cwd=repo) == "first"


def test_a_file_that_is_there_on_a_file_system_without_run_bits(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A})
    git(repo.top, "config", "core.fileMode", "false")
    repo.commit().write("same!", B).write("other", B)
    changes = repo.update({"a": A, "same": B, "other!": B})
    assert changes == {"same": "added", "other": "added"}


def test_what_still_names_the_old_package(tmp_path: Path) -> None:
    """A renamed package takes the team's modules along; their imports are named, not guessed at."""
    repo = Repo(tmp_path, {"src/desk/a.py": "from desk.b import x\n", "README": "src/desk\n"})
    repo.write("src/desk/own.py", "import os\nfrom desk.runtime import x\nimport desk\n")
    repo.write("tests/test_own.py", "import desktop\npatch('desk.own.x')\n").write(
        "bin", b"\0desk.x"
    )
    repo.commit().write("src/desk/scratch.py", "x\n")
    new = {"src/bureau/a.py": "from bureau.b import x\n", "README": "src/bureau\n"}
    with repo.plan(new, renames={"src/desk": "src/bureau"}) as plan:
        assert update_notes.list_old_names(plan, "desk", "bureau") == [
            "src/bureau/own.py still names the package desk (lines 2, 3); write bureau there.",
            "tests/test_own.py still names the package desk (line 2); write bureau there.",
            "git does not have src/desk/scratch.py, so it stays where it is; move it yourself.",
        ]
        assert update_notes.list_old_names(plan, "desk", "desk") == []
