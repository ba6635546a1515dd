"""Before, during and after an update: what is refused, finished and taken back."""

import shlex
from pathlib import Path

import pytest

from scaffold import merge
from scaffold.errors import MergeError, ToolError
from scaffold.merge import journal, ready, repository
from tests.merge.repo import ANSWERS, Repo, fill, git, lines, locate

A, B = lines("a"), lines("b")
NEW = {"a": lines("a", _1="new"), "n": "n\n"}


def create_repo(place: Path, prefix: str = "") -> Repo:
    return Repo(place, {"a": A}, prefix=prefix).commit()


def test_outside_of_git(tmp_path: Path) -> None:
    with pytest.raises(MergeError, match="is not a workspace"):
        locate(tmp_path)
    fill(tmp_path, {".copier-answers.yml": "{}\n"})
    with pytest.raises(MergeError, match="git init"):
        locate(tmp_path)
    with pytest.raises(MergeError, match="not a folder"):
        locate(tmp_path / "nowhere")


def test_the_file_that_marks_a_workspace_is_the_callers(tmp_path: Path) -> None:
    with pytest.raises(MergeError, match=r"it has no marker\.toml"):
        merge.locate(tmp_path, "marker.toml")
    repo = create_repo(tmp_path).write("marker.toml", "x = 1\n")
    place = merge.locate(repo.folder, "marker.toml")
    with pytest.raises(MergeError, match=r"git does not have .*/marker\.toml"):
        merge.require_ready(place)
    place = merge.locate(repo.commit().folder, "marker.toml")
    merge.require_ready(place)
    before, after = (fill(tmp_path / name, {"marker.toml": name}) for name in ("old", "new"))
    # The team changed it as well, and the template's wins without a conflict.
    with merge.plan(place, before, after) as plan:
        merge.apply(plan)
    assert repo.text("marker.toml") == "new"


def test_an_old_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, {"git!": "#!/bin/sh\necho git version 2.37.1\n"})
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    repository._require_version.cache_clear()
    with pytest.raises(ToolError, match=r"2\.38"):
        locate(tmp_path)


def test_uncommitted_changes_are_named(tmp_path: Path) -> None:
    repo = create_repo(tmp_path).write("a", B)
    with pytest.raises(MergeError, match="changes in a; commit them, or pass --autostash"):
        repo.update(NEW)
    assert repo.text("a") == B and repo.status() == [" M a"]


@pytest.mark.parametrize("name", ["MERGE_HEAD", "CHERRY_PICK_HEAD", "rebase-merge/x", "BISECT_LOG"])
def test_another_operation_under_way(tmp_path: Path, name: str) -> None:
    repo = create_repo(tmp_path)
    fill(repo.top / ".git", {name: git(repo.top, "rev-parse", "HEAD")})
    with pytest.raises(MergeError, match="under way"):
        repo.update(NEW)


def test_files_git_does_not_have(tmp_path: Path) -> None:
    repo = create_repo(tmp_path)
    git(repo.top, "rm", "-q", "--cached", ANSWERS)
    git(repo.top, "commit", "-qm", "without")
    with pytest.raises(MergeError, match="git add"):
        repo.update(NEW)


@pytest.mark.parametrize("flag", ["--skip-worktree", "--assume-unchanged"])
def test_files_git_is_set_to_overlook(tmp_path: Path, flag: str) -> None:
    repo = create_repo(tmp_path)
    git(repo.top, "update-index", flag, "a")
    repo.write("a", B)
    with pytest.raises(MergeError, match="overlook changes in a") as caught:
        repo.update(NEW)
    assert repo.text("a") == B
    command = str(caught.value).partition("; run ")[2].removesuffix(" first.")
    git(repo.top, *shlex.split(command)[1:])
    assert repo.status() == [" M a"]


def test_files_outside_of_a_sparse_checkout(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A, "d/b": B}, prefix="ws").commit()
    git(repo.top, "sparse-checkout", "set", "--no-cone", "ws/*", "!ws/d")
    with pytest.raises(MergeError, match=r"changes in d/b; run git sparse-checkout add ws/ first"):
        repo.update(NEW)


def test_until_it_is_committed_an_update_can_be_taken_back_and_no_other_starts(
    tmp_path: Path,
) -> None:
    repo = create_repo(tmp_path)
    repo.update(NEW)
    where = locate(repo.folder)
    assert merge.read_progress(where) is merge.Progress.APPLIED
    with pytest.raises(MergeError, match="--abort"):
        repo.update(NEW)
    repo.abort()
    assert repo.status() == [] and repo.text("a") == A
    assert merge.read_progress(where) is None and not journal.folder(where).exists()
    with pytest.raises(MergeError, match="no uncommitted update"):
        repo.abort()


@pytest.mark.parametrize("how", ["commit", "reset"])
def test_a_committed_or_discarded_update_is_over(tmp_path: Path, how: str) -> None:
    repo = create_repo(tmp_path)
    repo.update(NEW)
    repo.commit() if how == "commit" else git(repo.top, "reset", "-q", "--hard")
    assert merge.read_progress(locate(repo.folder)) is None
    with pytest.raises(MergeError, match="git revert"):
        repo.abort()
    assert repo.update({**NEW, "x": "x\n"})["x"] == "added"


def test_abort_keeps_what_was_edited_since(tmp_path: Path) -> None:
    repo = create_repo(tmp_path)
    repo.update(NEW)
    repo.replace("a", "a 9", "since 9").write("unrelated", "mine\n")
    report = repo.abort()
    assert repo.text("a") == A and repo.text("unrelated") == "mine\n"
    assert report.rescued and report.rescued in git(repo.top, "stash", "list")
    assert "since 9" in git(repo.top, "show", "stash@{0}:a")


def test_abort_keeps_the_work_on_conflicts(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A}).replace("a", "a 5", "team 5").commit()
    repo.update({"a": lines("a", _5="new 5")})
    repo.write("a", lines("a", _5="resolved 5"))
    git(repo.top, "add", "a")
    repo.abort()
    assert repo.text("a") == lines("a", _5="team 5") and repo.status() == []
    assert "resolved 5" in git(repo.top, "show", "stash@{0}:a")


def test_autostash_puts_work_back(tmp_path: Path) -> None:
    repo = create_repo(tmp_path, prefix="ws").write("staged", "s\n").write("../other", "staged\n")
    git(repo.top, "add", "ws/staged", "other")
    (repo.top / "other").write_text("staged, then edited\n")
    repo.replace("a", "a 9", "dirty 9")
    before = repo.files(), repo.status()
    repo.update(NEW, autostash=True)
    assert repo.report == merge.MergeReport()
    assert repo.text("a") == lines("a", _1="new", _9="dirty 9")
    assert {"A  ws/staged", "MM ws/a", "A  ws/n"} <= {*repo.status()}
    assert git(repo.top, "stash", "list") == ""
    assert "AM other" in repo.status() and (repo.top / "other").read_text().endswith("edited\n")
    assert repo.abort() == merge.MergeReport()
    assert (repo.files(), repo.status()) == before


@pytest.mark.parametrize("conflict", ["template", "stash"])
def test_autostash_that_cannot_be_put_back_is_kept(tmp_path: Path, conflict: str) -> None:
    repo = create_repo(tmp_path)
    if conflict == "template":
        repo.replace("a", "a 1\n", "team 1\n").commit()
    repo.replace("a", "a 9" if conflict == "template" else "a 1\n", "dirty")
    dirty = repo.text("a")
    repo.update(NEW, autostash=True)
    assert repo.report.stash and repo.report.stash in git(repo.top, "stash", "list")
    assert "dirty" not in repo.text("a")
    repo.abort()
    assert repo.text("a") == dirty and git(repo.top, "stash", "list") == ""


def test_a_lock_of_someone_else_is_respected(tmp_path: Path) -> None:
    repo = create_repo(tmp_path)
    lock = repo.top / ".git/index.lock"
    lock.write_bytes(b"")
    with pytest.raises(MergeError, match=r"index\.lock"):
        repo.update(NEW)
    assert lock.read_bytes() == b"" and repo.text("a") == A
    lock.unlink()
    assert repo.status() == [] and merge.read_progress(locate(repo.folder)) is None


def test_a_lock_of_a_killed_scaffold_is_cleared(tmp_path: Path) -> None:
    repo = create_repo(tmp_path)
    (repo.top / ".git/index.lock").write_bytes(b"held by scaffold\n")
    assert repo.update(NEW) == {"a": "updated", "n": "added"}


def test_two_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repo = create_repo(tmp_path)
    monkeypatch.setattr(ready.time, "sleep", lambda _: None)
    with (
        ready.lock_repository(locate(repo.folder)),
        pytest.raises(MergeError, match="Another scaffold"),
    ):
        repo.update(NEW)


def test_what_appears_between_plan_and_apply(tmp_path: Path) -> None:
    repo = create_repo(tmp_path)
    with repo.plan(NEW) as plan:
        repo.write("n", "mine\n")
        with pytest.raises(MergeError, match="n appeared"):
            merge.apply(plan)
    with repo.plan(NEW) as plan:
        repo.commit()
        with pytest.raises(MergeError, match="committed to in the meantime"):
            merge.apply(plan)
    assert repo.text("n") == "mine\n" and repo.text("a") == A


def test_an_interrupted_update_overtaken_by_a_commit_is_left_alone(tmp_path: Path) -> None:
    repo = create_repo(tmp_path)
    repo.update(NEW)
    where = locate(repo.folder)
    found = journal.read(where)
    assert found
    journal.write(where, found.at(merge.Progress.APPLYING))
    repo.write("a", B).commit()
    with pytest.raises(MergeError, match="overtaken"):
        repo.resume()
    assert repo.text("a") == B and repo.status() == []
    assert repo.resume() is None


def test_a_journal_of_another_version(tmp_path: Path) -> None:
    repo = create_repo(tmp_path)
    fill(repo.top / ".git/scaffold-update", {"journal.json": "{}"})
    with pytest.raises(MergeError, match=r"journal\.json"):
        repo.update(NEW)


SMUDGE = 't=$(cat; echo x); case "$t" in *new*) exit 1;; esac; printf %s "${t%x}"'


@pytest.mark.parametrize(("smudge", "message"), [(SMUDGE, "nothing was"), ("false", "half-way")])
def test_a_write_that_fails(tmp_path: Path, smudge: str, message: str) -> None:
    """Let a filter of the team's fail, which stands for a full disk: git stops half-way."""
    repo = Repo(tmp_path, {"a": A, "z": B}).commit()
    for key, value in {"smudge": smudge, "clean": "cat", "required": "true"}.items():
        git(repo.top, "config", f"filter.bad.{key}", value)
    (repo.top / ".git/info/attributes").write_text("z filter=bad\n")
    with pytest.raises(MergeError, match=message):
        repo.update({"a": lines("a", _1="new"), "z": lines("b", _1="new")})
    if message == "half-way":
        git(repo.top, "config", "filter.bad.smudge", "cat")
        repo.abort()
    assert repo.text("a") == A and repo.text("z") == B and repo.status() == []


def test_version_jumps_steps_and_a_fresh_render_are_one(tmp_path: Path) -> None:
    versions: list[dict[str, str | bytes]] = [
        {"a": A, "b": B, "old": lines("o"), "src/p/x": lines("x"), "gone": "g\n"},
        {"a": lines("a", _3="2"), "b": B, "new": lines("o", _1="2"), "src/p/x": lines("x")},
        {"a": lines("a", _3="3"), "newer": lines("o", _1="2"), "src/q/x": lines("x", _2="3")},
    ]
    steps, jump = (Repo(tmp_path / name, versions[0]).commit() for name in ("steps", "jump"))
    for number, renames in ((1, {"old": "new"}), (2, {"new": "newer", "src/p": "src/q"})):
        steps.update(versions[number], version=f"v{number + 1}", renames=renames)
        steps.commit()
        steps.old, steps.before = versions[number], f"v{number + 1}"
    jump.update(versions[2], version="v3", renames={"old": "newer", "src/p": "src/q"})
    jump.commit()
    fresh = Repo(tmp_path / "fresh", versions[2], before="v3")
    assert steps.files() == jump.files() == fresh.files()
