"""Work that an update meets: it is kept before anything is written over, and named."""

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
from tests.merge.repo import ANSWERS, Repo, git, lines, locate

A, B = lines("a"), lines("b")
NEW = {"a": lines("a", _1="new"), "b": B, "c": lines("c"), "n": "n\n"}
OLD = {"a": A, "b": B, "c": lines("c")}


class KilledError(BaseException):
    """Stand for a kill: nothing catches it."""


def kill_update(repo: Repo, monkeypatch: pytest.MonkeyPatch, after: dict[str, str] = NEW) -> None:
    """Stop an update with --autostash after it said that it is about to write."""

    def die(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patch:
        patch.setattr(transition, "switch_over", die)
        with pytest.raises(KilledError):
            repo.update(after, autostash=True)


def run(command: str) -> str:
    """Run a command as a message names it, from anywhere."""
    return subprocess.run(
        shlex.split(command), cwd="/", check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    one = Repo(tmp_path, OLD, prefix="ws")
    (one.top / "other").mkdir()
    (one.top / "other" / ANSWERS).write_text("_commit: v1\n")
    return one.write("sub/x", "x\n").commit().replace("b", "b 9\n", "dirty 9\n")


@pytest.mark.parametrize("elsewhere", ["other", ".", "ws/sub"])
@pytest.mark.parametrize("what", [merge.resume, merge.abort])
def test_a_killed_update_is_finished_from_its_own_folder_alone(
    repo: Repo,
    monkeypatch: pytest.MonkeyPatch,
    elsewhere: str,
    what: Callable[[merge.Workspace], object],
) -> None:
    kill_update(repo, monkeypatch)
    state = repo.files()
    with pytest.raises(MergeError, match=shlex.quote(f"{repo.top}/ws")):
        what(locate(repo.top / elsewhere))
    assert repo.files() == state
    repo.resume()
    assert repo.text("b") == lines("b", _9="dirty 9") and repo.text("n") == "n\n"


def test_an_update_that_is_not_committed_names_its_folder(repo: Repo) -> None:
    repo.update(NEW, autostash=True)
    with pytest.raises(MergeError, match=rf"scaffold update --abort {repo.top}/ws"):
        merge.require_ready(locate(repo.top / "other"))
    with pytest.raises(MergeError, match=rf"scaffold update --abort {repo.top}/ws"):
        merge.abort(locate(repo.top / "other"))


def test_a_folder_that_is_gone_is_brought_back_from_anywhere(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_update(repo, monkeypatch)
    repo.folder.rename(repo.top / "moved")
    merge.abort(locate(repo.top / "other"))
    assert repo.text("b") == lines("b", _9="dirty 9") and repo.text("a") == A


def test_work_that_was_typed_again_stays(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    kill_update(repo, monkeypatch)
    assert "dirty" not in repo.text("b")
    repo.replace("b", "b 5\n", "typed again\n")
    report = repo.resume()
    assert report and report.left == ("b",) and "typed again" in repo.text("b")
    assert repo.text("a") == NEW["a"]
    assert "dirty 9" in run(report.commands[0])
    assert report.stash and report.stash in git(repo.top, "stash", "list")


def test_each_file_that_was_typed_again_has_its_command(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo.replace("c", "c 9\n", "dirty too\n")
    kill_update(repo, monkeypatch)
    for name in "bc":
        repo.replace(name, f"{name} 5\n", "typed again\n")
    report = repo.resume()
    assert report and report.left == ("b", "c")
    for command, work in zip(report.commands, ("dirty 9", "dirty too"), strict=True):
        assert work in run(command)


def test_work_that_does_not_fit_is_brought_back_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An ignored file that was edited stays, which does not change what becomes of the stash."""
    repo = Repo(tmp_path, {**OLD, ".gitignore": "key\n"}).commit()
    repo.replace("a", "a 1\n", "dirty 1\n")
    kill_update(repo, monkeypatch, {**NEW, ".gitignore": "key\n", "key": "key\n"})
    repo.write("key", "mine\n")
    report = repo.resume()
    assert report and report.left == ("key",) and repo.text("key") == "mine\n"
    assert " stash pop" in report.commands[0]


def test_edits_between_two_resumes_are_all_named(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_update(repo, monkeypatch)
    repo.replace("a", "a 5\n", "first edit\n")
    with monkeypatch.context() as patch:
        patch.setattr(
            "scaffold.merge.transition.switch_over", lambda *_: (_ for _ in ()).throw(KilledError())
        )
        with pytest.raises(KilledError):
            repo.resume()
    repo.replace("a", "first edit\n", "second edit\n")
    report = repo.resume()
    assert report and len(report.commands) == 2 and repo.text("a") == NEW["a"]
    for command, edit in zip(report.commands, ("first edit", "second edit"), strict=True):
        run(command)
        assert edit in repo.text("a")


def test_abort_after_a_pop_leaves_what_was_written_since(tmp_path: Path) -> None:
    repo = Repo(tmp_path, OLD).replace("a", "a 1\n", "team 1\n").commit()
    repo.replace("b", "b 9\n", "dirty 9\n")
    repo.update(NEW, autostash=True)
    git(repo.top, "checkout", "--theirs", "a")
    git(repo.top, "add", "a")
    git(repo.top, "stash", "pop")
    repo.replace("b", "b 5\n", "more work\n")
    report = repo.abort()
    assert report.left == ("b",) and repo.text("a") == lines("a", _1="team 1")
    assert repo.text("b") == lines("b", _5="more work", _9="dirty 9")


def test_what_was_staged_alone_is_rescued_as_well(tmp_path: Path) -> None:
    repo = Repo(tmp_path, OLD).commit()
    repo.update(NEW)
    before = repo.text("a")
    repo.replace("a", "a 5\n", "staged\n")
    git(repo.top, "add", "a")
    repo.write("a", before)
    report = repo.abort()
    assert repo.text("a") == A and repo.status() == []
    run(report.commands[-1])
    assert "staged\n" in repo.text("a")


def test_a_change_of_the_mode_alone_is_rescued(tmp_path: Path) -> None:
    repo = Repo(tmp_path, OLD).commit()
    repo.update(NEW)
    (repo.folder / "a").chmod(0o755)
    assert repo.abort().rescued and repo.status() == []
    assert git(repo.top, "ls-tree", "stash@{0}", "a").startswith("100755")


def test_a_folder_in_a_files_place(tmp_path: Path) -> None:
    repo = Repo(tmp_path, OLD).commit()
    repo.update(NEW)
    (repo.folder / "a").unlink()
    repo.write("a/notes", "mine\n").write("a/deep/er", "mine as well\n")
    report = repo.abort()
    assert repo.text("a") == A and repo.status() == []
    assert git(repo.top, "show", "stash@{0}:a/deep/er") == "mine as well\n"
    assert report.left == () and len(report.commands) == 1


def test_a_link_in_a_folders_place(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {**OLD, "d/x": lines("x")}).commit()
    repo.update({**NEW, "d/x": lines("x", _1="new")})
    (repo.top.parent / "outside").mkdir()
    (repo.top.parent / "outside/x").write_text("not git's\n")
    (repo.folder / "d/x").unlink()
    (repo.folder / "d").rmdir()
    (repo.folder / "d").symlink_to("../outside")
    repo.abort()
    assert (repo.top.parent / "outside/x").read_text() == "not git's\n"
    assert repo.text("d/x") == lines("x") and repo.status() == []
    assert git(repo.top, "show", "stash@{0}:d") == "../outside"


def test_a_repository_in_a_files_place_is_not_touched(tmp_path: Path) -> None:
    repo = Repo(tmp_path, OLD).commit()
    repo.update(NEW)
    (repo.folder / "a").unlink()
    git(repo.folder, "init", "-q", "a")
    repo.write("a/x", "x\n")
    with pytest.raises(MergeError, match="a repository of its own"):
        repo.abort()
    assert repo.text("a/x") == "x\n"
    (repo.folder / "a").rename(tmp_path / "away")
    repo.abort()
    assert repo.text("a") == A


def test_conflicts_of_the_users_own_stay_on_abort(tmp_path: Path) -> None:
    repo = Repo(tmp_path, OLD).commit()
    repo.update(NEW)
    repo.replace("b", "b 5\n", "stashed\n")
    git(repo.top, "stash", "push", "-q", "--", "b")
    repo.replace("b", "b 5\n", "written since\n")
    git(repo.top, "add", "b")
    git(repo.top, "-c", "core.editor=true", "stash", "apply", "-q", allowed=(0, 1))
    git(
        repo.top,
        "update-index",
        "--cacheinfo",
        f"100644,{git(repo.top, 'hash-object', 'b').strip()},b",
    )
    repo.abort()
    assert "written since" in repo.text("b") and repo.text("a") == A


def test_garbage_collection_takes_nothing(tmp_path: Path) -> None:
    repo = (
        Repo(tmp_path, OLD, options={"team_owned": ["c"]}).replace("a", "a 1\n", "team\n").commit()
    )
    repo.replace("b", "b 9\n", "dirty 9\n")
    repo.update({**NEW, "c": lines("c", _1="seed")}, autostash=True)
    git(repo.top, "reflog", "expire", "--expire=now", "--all")
    git(repo.top, "gc", "-q", "--prune=now")
    seed = next(one.blob for one in repo.changes if one.path == "c")
    assert "seed" in git(repo.top, "show", str(seed))
    repo.abort()
    assert repo.text("b") == lines("b", _9="dirty 9") and repo.text("a") == lines("a", _1="team")
    assert git(repo.top, "for-each-ref", "refs/worktree") == ""


def test_overtaken_by_a_commit_the_stash_is_named(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_update(repo, monkeypatch)
    repo.write("new", "new\n")
    git(repo.top, "add", "ws/new")
    git(repo.top, "commit", "-qm", "new")
    git(repo.top, "reflog", "expire", "--expire=now", "--all")
    with pytest.raises(MergeError, match="overtaken") as caught:
        repo.resume()
    run(str(caught.value).split("in the stash: ")[1])
    assert repo.text("b") == lines("b", _9="dirty 9")


def test_a_stash_of_an_update_that_was_thrown_away_is_named(tmp_path: Path) -> None:
    repo = Repo(tmp_path, OLD).commit().replace("a", "a 1\n", "team 1\n").commit()
    repo.replace("b", "b 9\n", "dirty 9\n").update(NEW, autostash=True)
    git(repo.top, "reset", "-q", "--hard")
    with pytest.raises(MergeError, match="Found no uncommitted update") as caught:
        repo.abort()
    problem, hint = caught.value.pairs[0]
    assert "stash" not in problem and "git revert" in hint
    run(hint.split("in the stash: ")[1])
    assert repo.text("b") == lines("b", _9="dirty 9")
    with pytest.raises(MergeError) as caught:
        repo.abort()
    assert "stash" not in str(caught.value)


def test_a_commit_of_a_neighbours_overtakes_nothing(
    repo: Repo, monkeypatch: pytest.MonkeyPatch
) -> None:
    kill_update(repo, monkeypatch)
    for step in (repo.resume, repo.abort):
        (repo.top / "other/new").write_text(f"{step}\n")
        git(repo.top, "add", "other")
        git(repo.top, "commit", "-qm", "of the neighbour", "--", "other")
        step()
        assert repo.text("a") == (A if step == repo.abort else NEW["a"])
        assert repo.text("b") == lines("b", _9="dirty 9")
    assert repo.status() == [" M ws/b"] and git(repo.top, "stash", "list") == ""


def test_what_was_unstaged_can_be_taken_back(tmp_path: Path) -> None:
    repo = Repo(tmp_path, OLD).commit()
    repo.update(NEW)
    git(repo.top, "reset", "-q")
    repo.abort()
    assert repo.status() == [] and repo.text("a") == A


@pytest.mark.parametrize("left", ["", "a 0\na 1\n"])
def test_a_file_that_somebody_cut_is_rescued(tmp_path: Path, left: str) -> None:
    repo = Repo(tmp_path, OLD).commit()
    repo.update(NEW)
    repo.write("a", left)
    report = repo.abort()
    assert repo.text("a") == A and report.rescued
    run(report.commands[0])
    assert repo.text("a") == left


def test_other_stashes_are_not_mistaken(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    git(repo.top, "config", "log.date", "iso")
    kill_update(repo, monkeypatch)
    (repo.top / "other" / ANSWERS).write_text("mine\n")
    git(repo.top, "stash", "push", "-q", "-m", "mine")
    repo.resume()
    assert [line[-4:] for line in git(repo.top, "stash", "list").splitlines()] == ["mine"]


def test_a_stash_made_at_the_same_moment_stays(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    listed, pushed = vars(stash)["_list_stashes"], list[str]()

    def list_before_another(own: Git) -> list[str]:
        found = listed(own)
        if len(found) == 1 and not pushed:
            pushed.append("now")
            (repo.top / "other/x").write_text("of another work tree\n")
            git(repo.top, "add", "other/x")
            git(repo.top, "stash", "push", "-q", "--", "other/x")
        return found

    with monkeypatch.context() as patch:
        patch.setattr(stash, "_list_stashes", list_before_another)
        repo.update(NEW, autostash=True)
    assert pushed and len(git(repo.top, "stash", "list").splitlines()) == 1
    assert "of another work tree" in git(repo.top, "stash", "show", "-p")
    assert repo.text("b") == lines("b", _9="dirty 9")


def test_a_stash_that_fails_changes_nothing(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise GitError("no room")

    monkeypatch.setattr(stash, "create", fail)
    state = repo.files(), repo.status()
    with pytest.raises(MergeError, match="nothing was changed: no room"):
        repo.update(NEW, autostash=True)
    assert (repo.files(), repo.status()) == state
    assert journal.read(locate(repo.folder)) is None


def test_untracked_files_where_a_tracked_one_was(repo: Repo) -> None:
    (repo.folder / "a").unlink()
    repo.write("a/mine", "mine\n")
    with pytest.raises(MergeError, match="in the way"):
        repo.update(NEW, autostash=True)
    assert repo.text("a/mine") == "mine\n" and "dirty 9" in repo.text("b")


def test_taken_out_of_the_index_and_edited(tmp_path: Path) -> None:
    repo = Repo(tmp_path, OLD).commit()
    git(repo.top, "rm", "-q", "--cached", "b")
    repo.write("b", "only here\n")
    repo.update(NEW, autostash=True)
    assert repo.text("b") == "only here\n" and "D  b" in repo.status()
    repo.abort()
    assert repo.text("b") == "only here\n" and repo.status() == ["D  b", "?? b"]


def test_a_file_that_git_expects_without_its_content(tmp_path: Path) -> None:
    """`git add --intent-to-add` leaves an entry in the index without a content."""
    repo = Repo(tmp_path, OLD).commit().write("mine", "mine\n").write("empty", "")
    git(repo.top, "add", "--intent-to-add", "mine", "empty")
    repo.update(NEW, autostash=True)
    assert repo.text("mine") == "mine\n" and repo.text("a") == NEW["a"]
    repo.abort()
    assert repo.text("mine") == "mine\n" and (repo.folder / "empty").exists()


def test_before_the_first_commit_edits_are_rescued(tmp_path: Path) -> None:
    repo = Repo(tmp_path, OLD)
    git(repo.top, "add", "-A")
    repo.update(NEW)
    repo.replace("a", "a 5\n", "edited\n")
    git(repo.top, "gc", "-q", "--prune=now")
    report = repo.abort()
    assert repo.text("a") == A
    run(report.commands[0])
    assert "edited" in repo.text("a")


def test_locks_of_a_git_that_was_killed(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    kill_update(repo, monkeypatch)
    place = journal.folder(locate(repo.folder))
    for lock in ("scratch.lock", "index.lock"):
        (place / lock).touch()
    (repo.top / ".git/refs/worktree/scaffold-update.lock").touch()
    repo.resume()
    assert repo.text("b") == lines("b", _9="dirty 9")


def test_saved_while_it_is_written_over(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    """An editor that saves after the look, before the write: git notices."""
    kill_update(repo, monkeypatch)
    run_switch = worktree.Switch.run

    def save_first(switch: worktree.Switch) -> None:
        repo.write("a", "saved at the last moment\n")
        run_switch(switch)

    with monkeypatch.context() as patch:
        patch.setattr(worktree.Switch, "run", save_first)
        with pytest.raises(MergeError, match="run it again"):
            repo.resume()
    assert repo.text("a") == "saved at the last moment\n"
    report = repo.resume()
    assert report and report.rescued and repo.text("a") == NEW["a"]


def test_the_journal_of_an_earlier_scaffold(repo: Repo, monkeypatch: pytest.MonkeyPatch) -> None:
    kill_update(repo, monkeypatch)
    path = journal.folder(locate(repo.folder)) / "journal.json"
    fields = json.loads(path.read_text())
    for name in ("ignored", "rescued", "blobs"):
        del fields[name]
    path.write_text(json.dumps({**fields, "progress": "restoring", "disk": fields["after"]}))
    repo.resume()
    assert repo.text("b") == lines("b", _9="dirty 9") and repo.text("a") == NEW["a"]
