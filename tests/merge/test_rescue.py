"""Work that an update meets on its way: kept before anything is written over, and named."""

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scaffold import merge
from scaffold.errors import MergeError
from scaffold.merge import journal, stash, transition, worktree
from scaffold.merge.repository import Git
from scaffold.system.git import GitError
from tests.merge.desk import ANSWERS, Desk, git, lines

A, B = lines("a"), lines("b")
NEW = {"a": lines("a", _1="new"), "b": B, "c": lines("c"), "n": "n\n"}
OLD = {"a": A, "b": B, "c": lines("c")}


class KilledError(BaseException):
    """Stands for a kill: nothing catches it."""


def killed(desk: Desk, monkeypatch: pytest.MonkeyPatch, after: dict[str, str] = NEW) -> None:
    """Stop an update with --autostash after it said that it is about to write."""

    def die(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(transition, "switch_over", die)
        with pytest.raises(KilledError):
            desk.update(after, autostash=True)


def run(command: str) -> str:
    """Run a command as a message names it, from anywhere."""
    return subprocess.run(
        shlex.split(command), cwd="/", check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    one = Desk(tmp_path, OLD, prefix="ws")
    (one.top / "other").mkdir()
    (one.top / "other" / ANSWERS).write_text("_commit: v1\n")
    return one.write("sub/x", "x\n").commit().replace("b", "b 9\n", "dirty 9\n")


@pytest.mark.parametrize("elsewhere", ["other", ".", "ws/sub"])
@pytest.mark.parametrize("what", [merge.resume, merge.abort])
def test_a_killed_update_is_finished_from_its_own_folder_alone(
    desk: Desk,
    monkeypatch: pytest.MonkeyPatch,
    elsewhere: str,
    what: Callable[[merge.Workspace], object],
) -> None:
    killed(desk, monkeypatch)
    state = desk.files()
    with pytest.raises(MergeError, match=shlex.quote(f"{desk.top}/ws")):
        what(merge.locate(desk.top / elsewhere))
    assert desk.files() == state
    desk.resume()
    assert desk.text("b") == lines("b", _9="dirty 9") and desk.text("n") == "n\n"


def test_an_update_that_is_not_committed_names_its_folder(desk: Desk) -> None:
    desk.update(NEW, autostash=True)
    with pytest.raises(MergeError, match=rf"scaffold update --abort {desk.top}/ws"):
        merge.require_ready(merge.locate(desk.top / "other"))
    with pytest.raises(MergeError, match=rf"scaffold update --abort {desk.top}/ws"):
        merge.abort(merge.locate(desk.top / "other"))


def test_a_folder_that_is_gone_is_brought_back_from_anywhere(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(desk, monkeypatch)
    desk.folder.rename(desk.top / "moved")
    merge.abort(merge.locate(desk.top / "other"))
    assert desk.text("b") == lines("b", _9="dirty 9") and desk.text("a") == A


def test_work_that_was_typed_again_stays(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(desk, monkeypatch)
    assert "dirty" not in desk.text("b")
    desk.replace("b", "b 5\n", "typed again\n")
    outcome = desk.resume()
    assert outcome and outcome.left == ("b",) and "typed again" in desk.text("b")
    assert desk.text("a") == NEW["a"]
    assert "dirty 9" in run(outcome.commands[0])
    assert outcome.stash and outcome.stash in git(desk.top, "stash", "list")


def test_each_file_that_was_typed_again_has_its_command(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.replace("c", "c 9\n", "dirty too\n")
    killed(desk, monkeypatch)
    for name in "bc":
        desk.replace(name, f"{name} 5\n", "typed again\n")
    outcome = desk.resume()
    assert outcome and outcome.left == ("b", "c")
    for command, work in zip(outcome.commands, ("dirty 9", "dirty too"), strict=True):
        assert work in run(command)


def test_work_that_does_not_fit_is_brought_back_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ignored file that was edited stays: that says nothing of the stash."""
    desk = Desk(tmp_path, {**OLD, ".gitignore": "key\n"}).commit()
    desk.replace("a", "a 1\n", "dirty 1\n")
    killed(desk, monkeypatch, {**NEW, ".gitignore": "key\n", "key": "key\n"})
    desk.write("key", "mine\n")
    outcome = desk.resume()
    assert outcome and outcome.left == ("key",) and desk.text("key") == "mine\n"
    assert " stash pop" in outcome.commands[0]


def test_edits_between_two_resumes_are_all_named(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(desk, monkeypatch)
    desk.replace("a", "a 5\n", "first edit\n")
    with monkeypatch.context() as patch:
        patch.setattr(
            "scaffold.merge.transition.switch_over", lambda *_: (_ for _ in ()).throw(KilledError())
        )
        with pytest.raises(KilledError):
            desk.resume()
    desk.replace("a", "first edit\n", "second edit\n")
    outcome = desk.resume()
    assert outcome and len(outcome.commands) == 2 and desk.text("a") == NEW["a"]
    for command, edit in zip(outcome.commands, ("first edit", "second edit"), strict=True):
        run(command)
        assert edit in desk.text("a")


def test_abort_after_a_pop_leaves_what_was_written_since(tmp_path: Path) -> None:
    desk = Desk(tmp_path, OLD).replace("a", "a 1\n", "team 1\n").commit()
    desk.replace("b", "b 9\n", "dirty 9\n")
    desk.update(NEW, autostash=True)
    git(desk.top, "checkout", "--theirs", "a")
    git(desk.top, "add", "a")
    git(desk.top, "stash", "pop")
    desk.replace("b", "b 5\n", "more work\n")
    outcome = desk.abort()
    assert outcome.left == ("b",) and desk.text("a") == lines("a", _1="team 1")
    assert desk.text("b") == lines("b", _5="more work", _9="dirty 9")


def test_what_was_staged_alone_is_rescued_as_well(tmp_path: Path) -> None:
    desk = Desk(tmp_path, OLD).commit()
    desk.update(NEW)
    before = desk.text("a")
    desk.replace("a", "a 5\n", "staged\n")
    git(desk.top, "add", "a")
    desk.write("a", before)
    outcome = desk.abort()
    assert desk.text("a") == A and desk.status() == []
    run(outcome.commands[-1])
    assert "staged\n" in desk.text("a")


def test_a_change_of_the_mode_alone_is_rescued(tmp_path: Path) -> None:
    desk = Desk(tmp_path, OLD).commit()
    desk.update(NEW)
    (desk.folder / "a").chmod(0o755)
    assert desk.abort().rescued and desk.status() == []
    assert git(desk.top, "ls-tree", "stash@{0}", "a").startswith("100755")


def test_a_folder_in_a_files_place(tmp_path: Path) -> None:
    desk = Desk(tmp_path, OLD).commit()
    desk.update(NEW)
    (desk.folder / "a").unlink()
    desk.write("a/notes", "mine\n").write("a/deep/er", "mine as well\n")
    outcome = desk.abort()
    assert desk.text("a") == A and desk.status() == []
    assert git(desk.top, "show", "stash@{0}:a/deep/er") == "mine as well\n"
    assert outcome.left == () and len(outcome.commands) == 1


def test_a_link_in_a_folders_place(tmp_path: Path) -> None:
    desk = Desk(tmp_path, {**OLD, "d/x": lines("x")}).commit()
    desk.update({**NEW, "d/x": lines("x", _1="new")})
    (desk.top.parent / "outside").mkdir()
    (desk.top.parent / "outside/x").write_text("not git's\n")
    (desk.folder / "d/x").unlink()
    (desk.folder / "d").rmdir()
    (desk.folder / "d").symlink_to("../outside")
    desk.abort()
    assert (desk.top.parent / "outside/x").read_text() == "not git's\n"
    assert desk.text("d/x") == lines("x") and desk.status() == []
    assert git(desk.top, "show", "stash@{0}:d") == "../outside"


def test_a_repository_in_a_files_place_is_not_touched(tmp_path: Path) -> None:
    desk = Desk(tmp_path, OLD).commit()
    desk.update(NEW)
    (desk.folder / "a").unlink()
    git(desk.folder, "init", "-q", "a")
    desk.write("a/x", "x\n")
    with pytest.raises(MergeError, match="a repository of its own"):
        desk.abort()
    assert desk.text("a/x") == "x\n"
    (desk.folder / "a").rename(tmp_path / "away")
    desk.abort()
    assert desk.text("a") == A


def test_conflicts_of_the_users_own_stay_on_abort(tmp_path: Path) -> None:
    desk = Desk(tmp_path, OLD).commit()
    desk.update(NEW)
    desk.replace("b", "b 5\n", "stashed\n")
    git(desk.top, "stash", "push", "-q", "--", "b")
    desk.replace("b", "b 5\n", "written since\n")
    git(desk.top, "add", "b")
    git(desk.top, "-c", "core.editor=true", "stash", "apply", "-q", allowed=(0, 1))
    git(
        desk.top,
        "update-index",
        "--cacheinfo",
        f"100644,{git(desk.top, 'hash-object', 'b').strip()},b",
    )
    desk.abort()
    assert "written since" in desk.text("b") and desk.text("a") == A


def test_garbage_collection_takes_nothing(tmp_path: Path) -> None:
    desk = (
        Desk(tmp_path, OLD, options={"team_owned": ["c"]}).replace("a", "a 1\n", "team\n").commit()
    )
    desk.replace("b", "b 9\n", "dirty 9\n")
    desk.update({**NEW, "c": lines("c", _1="seed")}, autostash=True)
    git(desk.top, "reflog", "expire", "--expire=now", "--all")
    git(desk.top, "gc", "-q", "--prune=now")
    seed = next(one.blob for one in desk.planned if one.path == "c")
    assert "seed" in git(desk.top, "show", str(seed))
    desk.abort()
    assert desk.text("b") == lines("b", _9="dirty 9") and desk.text("a") == lines("a", _1="team")
    assert git(desk.top, "for-each-ref", "refs/worktree") == ""


def test_overtaken_by_a_commit_the_stash_is_named(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(desk, monkeypatch)
    desk.write("new", "new\n")
    git(desk.top, "add", "ws/new")
    git(desk.top, "commit", "-qm", "new")
    git(desk.top, "reflog", "expire", "--expire=now", "--all")
    with pytest.raises(MergeError, match="overtaken") as caught:
        desk.resume()
    run(str(caught.value).split("in the stash: ")[1])
    assert desk.text("b") == lines("b", _9="dirty 9")


def test_a_stash_of_an_update_that_was_thrown_away_is_named(tmp_path: Path) -> None:
    desk = Desk(tmp_path, OLD).commit().replace("a", "a 1\n", "team 1\n").commit()
    desk.replace("b", "b 9\n", "dirty 9\n").update(NEW, autostash=True)
    git(desk.top, "reset", "-q", "--hard")
    with pytest.raises(MergeError, match="There is no uncommitted update") as caught:
        desk.abort()
    problem, hint = caught.value.pairs[0]
    assert "stash" not in problem and "git revert" in hint
    run(hint.split("in the stash: ")[1])
    assert desk.text("b") == lines("b", _9="dirty 9")
    with pytest.raises(MergeError) as caught:
        desk.abort()
    assert "stash" not in str(caught.value)


def test_a_commit_of_a_neighbours_overtakes_nothing(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(desk, monkeypatch)
    for step in (desk.resume, desk.abort):
        (desk.top / "other/new").write_text(f"{step}\n")
        git(desk.top, "add", "other")
        git(desk.top, "commit", "-qm", "of the neighbour", "--", "other")
        step()
        assert desk.text("a") == (A if step == desk.abort else NEW["a"])
        assert desk.text("b") == lines("b", _9="dirty 9")
    assert desk.status() == [" M ws/b"] and git(desk.top, "stash", "list") == ""


def test_what_was_unstaged_can_be_taken_back(tmp_path: Path) -> None:
    desk = Desk(tmp_path, OLD).commit()
    desk.update(NEW)
    git(desk.top, "reset", "-q")
    desk.abort()
    assert desk.status() == [] and desk.text("a") == A


@pytest.mark.parametrize("left", ["", "a 0\na 1\n"])
def test_a_file_that_somebody_cut_is_rescued(tmp_path: Path, left: str) -> None:
    desk = Desk(tmp_path, OLD).commit()
    desk.update(NEW)
    desk.write("a", left)
    outcome = desk.abort()
    assert desk.text("a") == A and outcome.rescued
    run(outcome.commands[0])
    assert desk.text("a") == left


def test_other_stashes_are_not_mistaken(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    git(desk.top, "config", "log.date", "iso")
    killed(desk, monkeypatch)
    (desk.top / "other" / ANSWERS).write_text("mine\n")
    git(desk.top, "stash", "push", "-q", "-m", "mine")
    desk.resume()
    assert [line[-4:] for line in git(desk.top, "stash", "list").splitlines()] == ["mine"]


def test_a_stash_made_at_the_same_moment_stays(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    listed, pushed = vars(stash)["_list_stashes"], list[str]()

    def listed_before_another(own: Git) -> list[str]:
        found = listed(own)
        if len(found) == 1 and not pushed:
            pushed.append("now")
            (desk.top / "other/x").write_text("of another work tree\n")
            git(desk.top, "add", "other/x")
            git(desk.top, "stash", "push", "-q", "--", "other/x")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(stash, "_list_stashes", listed_before_another)
        desk.update(NEW, autostash=True)
    assert pushed and len(git(desk.top, "stash", "list").splitlines()) == 1
    assert "of another work tree" in git(desk.top, "stash", "show", "-p")
    assert desk.text("b") == lines("b", _9="dirty 9")


def test_a_stash_that_fails_changes_nothing(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise GitError("no room")

    monkeypatch.setattr(stash, "create", fail)
    state = desk.files(), desk.status()
    with pytest.raises(MergeError, match="nothing was changed: no room"):
        desk.update(NEW, autostash=True)
    assert (desk.files(), desk.status()) == state
    assert journal.read(merge.locate(desk.folder)) is None


def test_untracked_files_where_a_tracked_one_was(desk: Desk) -> None:
    (desk.folder / "a").unlink()
    desk.write("a/mine", "mine\n")
    with pytest.raises(MergeError, match="in the way"):
        desk.update(NEW, autostash=True)
    assert desk.text("a/mine") == "mine\n" and "dirty 9" in desk.text("b")


def test_taken_out_of_the_index_and_edited(tmp_path: Path) -> None:
    desk = Desk(tmp_path, OLD).commit()
    git(desk.top, "rm", "-q", "--cached", "b")
    desk.write("b", "only here\n")
    desk.update(NEW, autostash=True)
    assert desk.text("b") == "only here\n" and "D  b" in desk.status()
    desk.abort()
    assert desk.text("b") == "only here\n" and desk.status() == ["D  b", "?? b"]


def test_a_file_that_git_was_told_of_only(tmp_path: Path) -> None:
    """`git add --intent-to-add` leaves an entry in the index without a content."""
    desk = Desk(tmp_path, OLD).commit().write("mine", "mine\n").write("empty", "")
    git(desk.top, "add", "--intent-to-add", "mine", "empty")
    desk.update(NEW, autostash=True)
    assert desk.text("mine") == "mine\n" and desk.text("a") == NEW["a"]
    desk.abort()
    assert desk.text("mine") == "mine\n" and (desk.folder / "empty").exists()


def test_before_the_first_commit_edits_are_rescued(tmp_path: Path) -> None:
    desk = Desk(tmp_path, OLD)
    git(desk.top, "add", "-A")
    desk.update(NEW)
    desk.replace("a", "a 5\n", "edited\n")
    git(desk.top, "gc", "-q", "--prune=now")
    outcome = desk.abort()
    assert desk.text("a") == A
    run(outcome.commands[0])
    assert "edited" in desk.text("a")


def test_locks_of_a_git_that_was_killed(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(desk, monkeypatch)
    place = journal.folder(merge.locate(desk.folder))
    for lock in ("scratch.lock", "index.lock"):
        (place / lock).touch()
    (desk.top / ".git/refs/worktree/scaffold-update.lock").touch()
    desk.resume()
    assert desk.text("b") == lines("b", _9="dirty 9")


def test_saved_while_it_is_written_over(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """An editor that saves after the look, before the write: git notices."""
    killed(desk, monkeypatch)
    run_switch = worktree.Switch.run

    def saved_first(switch: worktree.Switch) -> None:
        desk.write("a", "saved at the last moment\n")
        run_switch(switch)

    with monkeypatch.context() as patch:
        patch.setattr(worktree.Switch, "run", saved_first)
        with pytest.raises(MergeError, match="run it again"):
            desk.resume()
    assert desk.text("a") == "saved at the last moment\n"
    outcome = desk.resume()
    assert outcome and outcome.rescued and desk.text("a") == NEW["a"]


def test_the_journal_of_an_earlier_scaffold(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    killed(desk, monkeypatch)
    path = journal.folder(merge.locate(desk.folder)) / "journal.json"
    fields = json.loads(path.read_text())
    for name in ("ignored", "rescued", "blobs"):
        del fields[name]
    path.write_text(json.dumps({**fields, "progress": "restoring", "disk": fields["after"]}))
    desk.resume()
    assert desk.text("b") == lines("b", _9="dirty 9") and desk.text("a") == NEW["a"]
