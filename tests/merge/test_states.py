"""Before, while and after an update: what is refused, what is finished, what is taken back."""

import shlex
from pathlib import Path

import pytest

from scaffold import merge
from scaffold.errors import MergeError, ToolError
from scaffold.merge import journal, ready, repository
from tests.merge.desk import ANSWERS, Desk, fill, git, lines

A, B = lines("a"), lines("b")
NEW = {"a": lines("a", _1="new"), "n": "n\n"}


def desk_at(place: Path, prefix: str = "") -> Desk:
    return Desk(place, {"a": A}, prefix=prefix).commit()


def test_outside_of_git(tmp_path: Path) -> None:
    with pytest.raises(MergeError, match="git init"):
        merge.locate(tmp_path)
    with pytest.raises(MergeError, match="not a folder"):
        merge.locate(tmp_path / "nowhere")


def test_an_old_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path, {"git!": "#!/bin/sh\necho git version 2.37.1\n"})
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    repository._require_version.cache_clear()
    with pytest.raises(ToolError, match=r"2\.38"):
        merge.locate(tmp_path)


def test_uncommitted_changes_are_named(tmp_path: Path) -> None:
    desk = desk_at(tmp_path).write("a", B)
    with pytest.raises(MergeError, match="changes in a; commit them, or pass --autostash"):
        desk.update(NEW)
    assert desk.text("a") == B and desk.status() == [" M a"]


@pytest.mark.parametrize("name", ["MERGE_HEAD", "CHERRY_PICK_HEAD", "rebase-merge/x", "BISECT_LOG"])
def test_another_operation_under_way(tmp_path: Path, name: str) -> None:
    desk = desk_at(tmp_path)
    fill(desk.top / ".git", {name: git(desk.top, "rev-parse", "HEAD")})
    with pytest.raises(MergeError, match="under way"):
        desk.update(NEW)


def test_files_git_does_not_have(tmp_path: Path) -> None:
    desk = desk_at(tmp_path)
    git(desk.top, "rm", "-q", "--cached", ANSWERS)
    git(desk.top, "commit", "-qm", "without")
    with pytest.raises(MergeError, match="git add"):
        desk.update(NEW)


@pytest.mark.parametrize("flag", ["--skip-worktree", "--assume-unchanged"])
def test_files_git_was_told_to_overlook(tmp_path: Path, flag: str) -> None:
    desk = desk_at(tmp_path)
    git(desk.top, "update-index", flag, "a")
    desk.write("a", B)
    with pytest.raises(MergeError, match="overlook changes in a") as caught:
        desk.update(NEW)
    assert desk.text("a") == B
    command = str(caught.value).partition("; run ")[2].removesuffix(" first.")
    git(desk.top, *shlex.split(command)[1:])
    assert desk.status() == [" M a"]


def test_files_outside_of_a_sparse_checkout(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {"a": A, "d/b": B}, prefix="ws").commit()
    git(desk.top, "sparse-checkout", "set", "--no-cone", "ws/*", "!ws/d")
    with pytest.raises(MergeError, match=r"changes in d/b; run git sparse-checkout add ws/ first"):
        desk.update(NEW)


def test_until_it_is_committed_an_update_can_be_taken_back_and_no_other_starts(
    tmp_path: Path,
) -> None:
    desk = desk_at(tmp_path)
    desk.update(NEW)
    where = merge.locate(desk.folder)
    assert merge.read_progress(where) is merge.Progress.APPLIED
    with pytest.raises(MergeError, match="--abort"):
        desk.update(NEW)
    desk.abort()
    assert desk.status() == [] and desk.text("a") == A
    assert merge.read_progress(where) is None and not journal.folder(where).exists()
    with pytest.raises(MergeError, match="no uncommitted update"):
        desk.abort()


@pytest.mark.parametrize("how", ["commit", "reset"])
def test_a_committed_or_discarded_update_is_over(tmp_path: Path, how: str) -> None:
    desk = desk_at(tmp_path)
    desk.update(NEW)
    desk.commit() if how == "commit" else git(desk.top, "reset", "-q", "--hard")
    assert merge.read_progress(merge.locate(desk.folder)) is None
    with pytest.raises(MergeError, match="git revert"):
        desk.abort()
    assert desk.update({**NEW, "x": "x\n"})["x"] == "added"


def test_abort_keeps_what_was_edited_since(tmp_path: Path) -> None:
    desk = desk_at(tmp_path)
    desk.update(NEW)
    desk.replace("a", "a 9", "since 9").write("unrelated", "mine\n")
    outcome = desk.abort()
    assert desk.text("a") == A and desk.text("unrelated") == "mine\n"
    assert outcome.rescued and outcome.rescued in git(desk.top, "stash", "list")
    assert "since 9" in git(desk.top, "show", "stash@{0}:a")


def test_abort_keeps_the_work_on_conflicts(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {"a": A}).replace("a", "a 5", "team 5").commit()
    desk.update({"a": lines("a", _5="new 5")})
    desk.write("a", lines("a", _5="resolved 5"))
    git(desk.top, "add", "a")
    desk.abort()
    assert desk.text("a") == lines("a", _5="team 5") and desk.status() == []
    assert "resolved 5" in git(desk.top, "show", "stash@{0}:a")


def test_autostash_puts_work_back(tmp_path: Path) -> None:
    desk = desk_at(tmp_path, prefix="ws").write("staged", "s\n").write("../other", "staged\n")
    git(desk.top, "add", "ws/staged", "other")
    (desk.top / "other").write_text("staged, then edited\n")
    desk.replace("a", "a 9", "dirty 9")
    before = desk.files(), desk.status()
    desk.update(NEW, autostash=True)
    assert desk.outcome == merge.MergeReport()
    assert desk.text("a") == lines("a", _1="new", _9="dirty 9")
    assert {"A  ws/staged", "MM ws/a", "A  ws/n"} <= {*desk.status()}
    assert git(desk.top, "stash", "list") == ""
    assert "AM other" in desk.status() and (desk.top / "other").read_text().endswith("edited\n")
    assert desk.abort() == merge.MergeReport()
    assert (desk.files(), desk.status()) == before


@pytest.mark.parametrize("conflict", ["template", "stash"])
def test_autostash_that_cannot_be_put_back_is_kept(tmp_path: Path, conflict: str) -> None:
    desk = desk_at(tmp_path)
    if conflict == "template":
        desk.replace("a", "a 1\n", "team 1\n").commit()
    desk.replace("a", "a 9" if conflict == "template" else "a 1\n", "dirty")
    dirty = desk.text("a")
    desk.update(NEW, autostash=True)
    assert desk.outcome.stash and desk.outcome.stash in git(desk.top, "stash", "list")
    assert "dirty" not in desk.text("a")
    desk.abort()
    assert desk.text("a") == dirty and git(desk.top, "stash", "list") == ""


def test_a_lock_of_someone_else_is_respected(tmp_path: Path) -> None:
    desk = desk_at(tmp_path)
    lock = desk.top / ".git/index.lock"
    lock.write_bytes(b"")
    with pytest.raises(MergeError, match=r"index\.lock"):
        desk.update(NEW)
    assert lock.read_bytes() == b"" and desk.text("a") == A
    lock.unlink()
    assert desk.status() == [] and merge.read_progress(merge.locate(desk.folder)) is None


def test_a_lock_of_a_killed_scaffold_is_cleared(tmp_path: Path) -> None:
    desk = desk_at(tmp_path)
    (desk.top / ".git/index.lock").write_bytes(b"held by scaffold\n")
    assert desk.update(NEW) == {"a": "updated", "n": "added"}


def test_two_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = desk_at(tmp_path)
    monkeypatch.setattr(ready.time, "sleep", lambda _: None)
    with (
        ready.lock_repository(merge.locate(desk.folder)),
        pytest.raises(MergeError, match="Another scaffold"),
    ):
        desk.update(NEW)


def test_what_appears_between_plan_and_apply(tmp_path: Path) -> None:
    desk = desk_at(tmp_path)
    with desk.plan(NEW) as plan:
        desk.write("n", "mine\n")
        with pytest.raises(MergeError, match="n appeared"):
            merge.apply(plan)
    with desk.plan(NEW) as plan:
        desk.commit()
        with pytest.raises(MergeError, match="committed to in the meantime"):
            merge.apply(plan)
    assert desk.text("n") == "mine\n" and desk.text("a") == A


def test_an_interrupted_update_overtaken_by_a_commit_is_left_alone(tmp_path: Path) -> None:
    desk = desk_at(tmp_path)
    desk.update(NEW)
    where = merge.locate(desk.folder)
    found = journal.read(where)
    assert found
    journal.write(where, found.at(merge.Progress.APPLYING))
    desk.write("a", B).commit()
    with pytest.raises(MergeError, match="overtaken"):
        desk.resume()
    assert desk.text("a") == B and desk.status() == []
    assert desk.resume() is None


def test_a_journal_of_another_version(tmp_path: Path) -> None:
    desk = desk_at(tmp_path)
    fill(desk.top / ".git/scaffold-update", {"journal.json": "{}"})
    with pytest.raises(MergeError, match=r"journal\.json"):
        desk.update(NEW)


SMUDGE = 't=$(cat; echo x); case "$t" in *new*) exit 1;; esac; printf %s "${t%x}"'


@pytest.mark.parametrize(("smudge", "told"), [(SMUDGE, "nothing was"), ("false", "half-way")])
def test_a_write_that_fails(tmp_path: Path, smudge: str, told: str) -> None:
    """A filter of the team's that fails stands for a full disk: git stops half-way."""
    desk = Desk(tmp_path, {"a": A, "z": B}).commit()
    for key, value in {"smudge": smudge, "clean": "cat", "required": "true"}.items():
        git(desk.top, "config", f"filter.bad.{key}", value)
    (desk.top / ".git/info/attributes").write_text("z filter=bad\n")
    with pytest.raises(MergeError, match=told):
        desk.update({"a": lines("a", _1="new"), "z": lines("b", _1="new")})
    if told == "half-way":
        git(desk.top, "config", "filter.bad.smudge", "cat")
        desk.abort()
    assert desk.text("a") == A and desk.text("z") == B and desk.status() == []


def test_version_jumps_steps_and_a_fresh_render_are_one(tmp_path: Path) -> None:
    versions: list[dict[str, str | bytes]] = [
        {"a": A, "b": B, "old": lines("o"), "src/p/x": lines("x"), "gone": "g\n"},
        {"a": lines("a", _3="2"), "b": B, "new": lines("o", _1="2"), "src/p/x": lines("x")},
        {"a": lines("a", _3="3"), "newer": lines("o", _1="2"), "src/q/x": lines("x", _2="3")},
    ]
    steps, jump = (Desk(tmp_path / name, versions[0]).commit() for name in ("steps", "jump"))
    for number, renames in ((1, {"old": "new"}), (2, {"new": "newer", "src/p": "src/q"})):
        steps.update(versions[number], version=f"v{number + 1}", renames=renames)
        steps.commit()
        steps.old, steps.before = versions[number], f"v{number + 1}"
    jump.update(versions[2], version="v3", renames={"old": "newer", "src/p": "src/q"})
    jump.commit()
    fresh = Desk(tmp_path / "fresh", versions[2], before="v3")
    assert steps.files() == jump.files() == fresh.files()
