"""Updates in repositories of every kind: line ends, modes, links, hooks, submodules, filters."""

import os
from pathlib import Path

import pytest

from scaffold.errors import MergeError
from tests.merge.repo import ANSWERS, Repo, git, lines

A, B, C = (lines(name) for name in "abc")


def test_binary_modes_and_links(tmp_path: Path) -> None:
    old: dict[str, str | bytes] = {"run.sh!": A, "x.bin": b"\0old", "l": "->a", "y.bin": b"\0y"}
    repo = Repo(tmp_path, old).write("y.bin", b"\0team").replace("run.sh", "a 9", "team 9")
    repo.commit()
    new: dict[str, str | bytes] = {
        "run.sh!": lines("a", _1="n"), "x.bin": b"\0new\xff", "l": "->b", "y.bin": b"\0new",
    }  # fmt: skip
    changes = repo.update(new)
    assert changes == {
        "run.sh": "merged", "x.bin": "updated", "l": "updated", "y.bin": "conflict: binary",
    }  # fmt: skip
    assert os.access(repo.folder / "run.sh", os.X_OK)
    assert (repo.folder / "x.bin").read_bytes() == b"\0new\xff"
    assert (repo.folder / "y.bin").read_bytes() == b"\0team"
    assert (repo.folder / "l").readlink() == Path("b")


def test_team_committed_crlf(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A, "b": B, "c": C})
    for path in ("a", "b", ANSWERS):
        repo.replace(path, "\n", "\r\n")
    (repo.folder / "b").rename(repo.folder / "mine")
    repo.replace("a", "a 9", "team 9").commit()
    new = {"a": lines("a", _2="n"), "b": lines("b", _2="n"), "c": lines("c", _2="n"), "n": "n\n"}
    changes = repo.update(new)
    assert changes == {
        "a": "merged", "b": "kept", "mine": "merged", "c": "updated", "n": "added",
    }  # fmt: skip
    wanted = lines("a", _2="n", _9="team 9").replace("\n", "\r\n")
    assert (repo.folder / "a").read_bytes().decode() == wanted
    assert (repo.folder / "mine").read_bytes().decode() == new["b"].replace("\n", "\r\n")
    assert repo.text("c") == new["c"]


@pytest.mark.parametrize("setting", ["true", "input", "false"])
def test_autocrlf(tmp_path: Path, setting: str) -> None:
    old = {"a": A, "win.bat": "@echo\r\nold\r\n"}
    repo = Repo(tmp_path, old)
    git(repo.top, "config", "core.autocrlf", setting)
    repo.replace("a", "a 9", "team 9").commit()
    changes = repo.update({"a": lines("a", _2="n"), "win.bat": "@echo\r\nnew\r\n"})
    assert changes == {"a": "merged", "win.bat": "updated"}
    git(repo.top, "commit", "-qam", "update")
    assert repo.status() == []
    ends = b"new\n" if setting == "input" else b"new\r\n"
    assert (repo.folder / "win.bat").read_bytes().endswith(ends)


def test_attributes_of_the_repository(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A, "win.bat": "@echo\r\nold\r\n"}, prefix="apps/desk")
    (repo.top / ".gitattributes").write_text("* text=auto eol=crlf\n*.keep merge=union\n")
    repo.write("x.keep", "x\n").commit()
    new = {"a": lines("a", _2="n"), "win.bat": "@echo\r\nnew\r\n", "n.bat": "n\r\n"}
    assert repo.update(new) == {"a": "updated", "win.bat": "updated", "n.bat": "added"}
    git(repo.top, "commit", "-qam", "update")
    assert repo.status() == []
    assert b"\r" not in git(repo.top, "cat-file", "blob", "HEAD:apps/desk/n.bat").encode()


def test_neighbours_in_a_monorepo(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A, "b": B}, prefix="apps/desk")
    other = repo.top / "apps/other"
    other.mkdir()
    for name in "ab":
        (other / name).write_text(repo.text(name))
    (repo.folder / "a").unlink()
    repo.commit()
    (other / "a").write_text("uncommitted\n")
    (other / "staged").write_text("staged\n")
    git(repo.top, "add", "apps/other/staged")
    before = {k: v for k, v in repo.files().items() if "other" in k}
    repo.update({"a": lines("a", _1="n"), "b": lines("b", _1="n"), "n": "n\n"})
    assert {k: v for k, v in repo.files().items() if "other" in k} == before
    assert repo.text("b") == lines("b", _1="n")
    assert "A  apps/other/staged" in repo.status()
    repo.abort()
    assert {*repo.status()} == {"A  apps/other/staged", " M apps/other/a"}


def test_linked_work_tree(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A}).commit()
    git(repo.top, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    repo.folder = repo.top = tmp_path / "side"
    assert repo.update({"a": lines("a", _1="n")}) == {"a": "updated"}
    assert (tmp_path / "repo/a").read_text() == A
    repo.abort()
    assert repo.text("a") == A and repo.status() == []


def test_before_the_first_commit(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A}).replace("a", "a 9", "team 9")
    with pytest.raises(MergeError, match="git add"):
        repo.update({"a": lines("a", _1="n")})
    git(repo.top, "add", "-A")
    before = repo.files(), repo.status()
    assert repo.update({"a": lines("a", _1="n")}) == {"a": "merged"}
    assert repo.text("a") == lines("a", _1="n", _9="team 9")
    repo.abort()
    assert (repo.files(), repo.status()) == before


def test_hooks_do_not_run_and_nothing_is_signed(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A}).commit()
    for name in ("post-index-change", "post-checkout", "pre-commit", "post-merge"):
        hook = repo.top / ".git/hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\n")
        hook.chmod(0o755)
    for key, value in {
        "commit.gpgSign": "true",
        "user.signingKey": "none",
        "gpg.program": "false",
    }.items():
        git(repo.top, "config", key, value)
    repo.replace("a", "a 9", "team 9")
    (tmp_path / "ran").unlink(missing_ok=True)
    repo.update({"a": lines("a", _1="n")}, autostash=True)
    assert repo.text("a") == lines("a", _1="n", _9="team 9")
    assert not (tmp_path / "ran").exists()


def test_variables_from_outside_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = Repo(tmp_path, {"a": A}).commit()
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    changes = repo.update({"a": lines("a", _1="n")})
    assert changes == {"a": "updated"}
    assert not (tmp_path / "nowhere").exists()


def test_a_folder_that_is_a_link(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A, "t/x": B, "t/y": B}, prefix="ws").commit()
    git(repo.top, "mv", "ws/t", "shared")
    (repo.folder / "t").symlink_to("../shared")
    repo.commit()
    changes = repo.update({"a": A, "t/x": lines("b", _1="new"), "t/y": B, "t/z": B})
    assert changes["t/x"] == changes["t/z"] == "conflict: type" and "t" not in changes
    assert (repo.top / "shared/x").read_text() == B and not (repo.top / "shared/z").exists()
    assert (repo.folder / "t").is_symlink()
    assert [line for line in repo.status() if ANSWERS not in line] == []


def test_run_bits_where_git_does_not_look_at_them(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"run!": A, "gone!": B})
    git(repo.top, "config", "core.fileMode", "false")
    repo.commit()
    changes = repo.update({"run!": lines("a", _1="new"), "fresh!": A})
    assert changes == {"run": "updated", "gone": "removed", "fresh": "added"}
    (repo.folder / "run").chmod(0o644)
    assert repo.abort().rescued is None


def test_a_submodule_of_the_teams(tmp_path: Path) -> None:
    library = Repo(tmp_path / "library", {"x": A}).commit()
    repo = Repo(tmp_path / "desk", {"a": A, "b": B})
    (repo.folder / "b").unlink()
    add = ("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.top))
    git(repo.folder, *add, "b")
    git(repo.top, "config", "submodule.recurse", "true")
    repo.commit().replace("a", "a 9\n", "dirty 9\n")
    repo.update({"a": lines("a", _1="new"), "b": B}, autostash=True)
    assert repo.text("a") == lines("a", _1="new", _9="dirty 9") and repo.text("b/x") == A
    repo.abort()
    assert repo.text("b/x") == A and repo.status() == [" M a"]


def test_a_detached_head_and_a_sparse_index(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A, "d/b": B}, prefix="ws")
    repo.write("../far/away", "x\n").commit()
    git(repo.top, "checkout", "-q", "--detach")
    git(repo.top, "sparse-checkout", "set", "--cone", "--sparse-index", "ws")
    assert not (repo.top / "far").exists()
    repo.replace("a", "a 9\n", "dirty 9\n")
    repo.update({"a": lines("a", _1="new"), "d/b": A, "d/c": B}, autostash=True)
    assert repo.text("a") == lines("a", _1="new", _9="dirty 9") and repo.text("d/c") == B
    repo.abort()
    assert repo.status() == [" M ws/a"] and not (repo.top / "far").exists()


def test_a_filter_that_changes_what_is_on_disk(tmp_path: Path) -> None:
    """As git-lfs does: a short text in git, the content on disk."""
    repo = Repo(tmp_path, {"a": A, "big": B, "b": B})
    git(repo.top, "config", "filter.up.clean", "tr A-Z a-z")
    git(repo.top, "config", "filter.up.smudge", "tr a-z A-Z")
    git(repo.top, "config", "filter.up.required", "true")
    (repo.top / ".gitattributes").write_text("big filter=up\n")
    repo.commit()
    git(repo.top, "checkout", "-q", "HEAD", "--", "big")
    repo.replace("b", "b 9\n", "dirty 9\n")
    repo.update({"a": A, "big": lines("b", _1="new"), "b": B}, autostash=True)
    assert "new" in git(repo.top, "show", ":big") and "dirty 9" in repo.text("b")
    repo.abort()
    assert repo.status() == [" M b"]
