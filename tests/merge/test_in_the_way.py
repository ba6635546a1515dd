"""Files that git does not have, where an update writes: none is lost, none enters the index."""

from pathlib import Path

import pytest

from tests.merge.repo import Repo, git, lines

A, B, C = (lines(name) for name in "abc")


def test_untracked_file_in_the_way(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A}).commit().write("n", "mine\n").write("same", C)
    changes = repo.update({"a": A, "n": "theirs\n", "same": C})
    assert changes == {"n": "conflict: in-the-way", "same": "added"}
    assert repo.text("n") == "mine\n"
    assert {"AU n", "UA n"} & {*repo.status()}
    repo.abort()
    assert repo.text("n") == "mine\n" and repo.text("same") == C
    assert repo.status() == ["?? n", "?? same"]


def test_ignored_file_in_the_way_stays_out_of_the_index(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A, ".gitignore": ".env\ncache\n"}).commit()
    repo.write(".env", "KEY=secret\n").write("cache", "x")
    new = {"a": A, ".gitignore": ".env\ncache\n", ".env": "KEY=\n", "cache/x": "y\n"}
    changes = repo.update(new)
    assert changes == {".env": "conflict: in-the-way", "cache/x": "conflict: in-the-way"}
    assert {*repo.report.conflicts} == {".env", "cache/x"}
    assert repo.text(".env") == "KEY=secret\n"
    assert git(repo.top, "ls-files", ".env", "cache") == ""


def test_untracked_folder_in_the_way_of_a_file(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A}).commit().write("n/mine", "mine\n")
    assert repo.update({"a": A, "n": "file\n"}) == {"n": "conflict: in-the-way"}
    assert repo.text("n/mine") == "mine\n"


def test_an_ignored_file_of_the_render_that_changes(tmp_path: Path) -> None:
    old = {"a": A, "local.env": "one\n", "gone.env": "one\n", "away.env": "one\n"}
    repo = Repo(tmp_path, old, prefix="ws")
    (repo.top / ".gitignore").write_text("*.env\n")
    repo.commit().write("local.env", "secret\n").write("gone.env", "secret\n")
    (repo.folder / "away.env").unlink()
    new = {"a": B, "local.env": "two\n", "fresh.env": "new\n", "same.env": "s\n", "away.env": "2\n"}
    repo.write("same.env", "s\n")
    assert repo.update(new) == {
        "a": "updated", "local.env": "conflict: in-the-way", "fresh.env": "added",
        "away.env": "kept",
    }  # fmt: skip
    assert repo.text("local.env") == repo.text("gone.env") == "secret\n"
    assert repo.text("fresh.env") == "new\n" and not (repo.folder / "away.env").exists()
    assert ".env" not in git(repo.top, "ls-files", "--stage")
    repo.abort()
    assert not (repo.folder / "fresh.env").exists() and repo.text("same.env") == "s\n"
    assert repo.status() == []


def test_an_ignored_file_of_an_update_that_is_edited_stays_on_abort(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A})
    (repo.top / ".gitignore").write_text("*.env\n")
    repo.commit().update({"a": B, "n.env": "n\n"})
    repo.write("n.env", "secret\n")
    secret = git(repo.top, "hash-object", "n.env").strip()
    assert repo.abort().left == ("n.env",) and repo.text("n.env") == "secret\n"
    assert git(repo.top, "cat-file", "-t", secret, allowed=(128,)) == ""


@pytest.mark.parametrize("hidden", [True, False])
def test_declared_rename_onto_a_file_git_does_not_have(tmp_path: Path, hidden: bool) -> None:
    repo = Repo(tmp_path, {"a": A, "b": B}).replace("a", "a 9\n", "team 9\n")
    (repo.top / ".gitignore").write_text("new\n" if hidden else "")
    repo.commit().write("new", "local\n")
    changes = repo.update({"new": lines("a", _1="new"), "b": B}, renames={"a": "new"})
    assert changes == {"a": "conflict: dropped", "new": "conflict: in-the-way"}
    assert repo.text("a") == lines("a", _9="team 9") and repo.text("new") == "local\n"
    assert ("new" in git(repo.top, "ls-files", "--stage")) is not hidden


def test_declared_rename_to_a_name_that_git_ignores(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A, "x/forced.log": B, "x/y": B}).replace("a", "a 9\n", "team 9\n")
    (repo.top / ".gitignore").write_text("new\n*.log\n")
    git(repo.top, "add", "--force", "x/forced.log")
    repo.commit()
    new = {"new": A, "z/forced.log": B, "z/y": B}
    changes = repo.update(new, renames={"a": "new", "x": "z"})
    assert changes["a"] == "conflict: dropped" and changes["z/forced.log"] == "renamed"
    assert "team 9" in repo.text("a") and repo.text("new") == A
