"""kill -9 at any moment of an update: a workspace is old, new, or in progress.

Running again finishes, `abort` goes back. The child is killed at the Nth line it executes of the
modules that write, or at any time at all, with a git of its own still running.
"""

import os
import random
import shutil
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from scaffold import merge
from scaffold.merge import journal, ready, rescue, stash, transition, worktree
from scaffold.merge.journal import Progress
from tests.merge.repo import Repo, git, lines, locate

MODULES = (journal, ready, rescue, stash, transition, worktree)
WRITING = {module.__file__ for module in MODULES}
State = tuple[object, ...]


def create_busy_repo(place: Path, *, dirty: bool = False) -> Repo:
    """Create a workspace with one of each: merged, conflict, renamed, removed, added, in the way."""
    old = {name: lines(name) for name in ("a", "b", "gone", "old", "c/d")}
    repo = Repo(place, dict(old), prefix="ws")
    (repo.top / "neighbour").write_text("n\n")
    repo.replace("a", "a 9\n", "team 9\n").replace("b", "b 5\n", "team 5\n").commit()
    repo.write("same", "same\n").write("mine", "mine\n")
    if dirty:
        repo.replace("a", "a 11\n", "dirty 11\n")
    return repo


NEW = {
    "a": lines("a", _2="new"), "b": lines("b", _2="new"), "same": "same\n",
    "new/er": lines("n"), "fresh": lines("old"), "c": lines("c"),
}  # fmt: skip
CONFLICT = NEW | {"b": lines("b", _5="new"), "mine": "theirs\n"}


def renders(repo: Repo, conflict: bool) -> tuple[Path, Path]:
    return repo.renders(CONFLICT if conflict else NEW)


def update(repo: Repo, folders: tuple[Path, Path], autostash: bool) -> None:
    where = locate(repo.folder)
    with merge.plan(where, *folders, renames={"old": "fresh"}) as plan:
        merge.apply(plan, autostash=autostash)


def state(top: Path) -> State:
    files = {
        path.relative_to(top): path.read_bytes()
        for path in top.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(top).parts
    }
    return files, git(top, "ls-files", "--stage"), git(top, "stash", "list", "--format=%gs")[:30]


def copy_repo(repo: Repo, to: Path) -> Repo:
    """Copy a workspace with its repository."""
    shutil.copytree(repo.top, to, symlinks=True)
    copy = object.__new__(Repo)
    copy.__dict__ |= repo.__dict__ | {"top": to, "folder": to / repo.prefix}
    return copy


def in_child(work: Callable[[], Any], kill_at: int) -> bool:
    """Run in a child that is killed at its Nth line in a module that writes.

    Return whether it came to that line.
    """
    child = os.fork()
    if child == 0:
        left = kill_at

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            nonlocal left
            if frame.f_code.co_filename not in WRITING or frame.f_code.co_name.startswith("<"):
                return None
            if event == "line":
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
            return trace

        sys.settrace(trace)
        try:
            work()
        finally:
            os._exit(0)
    return os.waitpid(child, 0)[1] != 0


def check(repo: Repo, old: State, new: State, again: Callable[[Repo], None], place: Path) -> str:
    """Return what was found after a kill; assert that it can be finished and taken back."""
    found = merge.read_progress(locate(repo.folder))
    forward, back = (copy_repo(repo, place / name) for name in ("forward", "back"))
    if found is None:
        assert state(repo.top) == old
        again(forward)
        assert state(forward.top) == new
        return "old"
    back.abort()
    assert state(back.top) == old
    assert merge.read_progress(locate(back.folder)) is None
    forward.resume()
    if found in (Progress.STASHING, Progress.ABORTING):
        assert state(forward.top) == old
        again(forward)
    assert state(forward.top) == new
    assert not (forward.top / ".git/index.lock").exists()
    return str(found)


def trial(place: Path, kill_at: int, *, conflict: bool, dirty: bool) -> str | None:
    """Kill an update, then check what is there; return None when it ended before line N."""
    repo = create_busy_repo(place / "desk", dirty=dirty)
    folders = renders(repo, conflict)
    done = copy_repo(repo, place / "done")
    old = state(repo.top)
    update(done, folders, dirty)
    new = state(done.top)
    if not in_child(lambda: update(repo, folders, dirty), kill_at):
        return None
    return check(repo, old, new, lambda it: update(it, folders, dirty), place / "checked")


# An update passes about 750 of these lines, and 1,200 with uncommitted work: early, in the middle,
# and while it writes.
@pytest.mark.parametrize(
    ("conflict", "kill_at"),
    [
        (True, 294),
        (False, 600),
        *(
            pytest.param(conflict, line, marks=pytest.mark.slow)
            for conflict, line in [(True, 42), (True, 690), (False, 42), (False, 1130)]
        ),
    ],
)
def test_killed_at_some_lines(tmp_path: Path, kill_at: int, conflict: bool) -> None:
    trial(tmp_path, kill_at, conflict=conflict, dirty=not conflict)


@pytest.mark.slow
@pytest.mark.full
@pytest.mark.parametrize("part", range(8))
@pytest.mark.parametrize(
    ("conflict", "dirty", "stride"), [(False, True, 1), (True, False, 4), (True, True, 4)]
)
def test_killed_at_every_line(
    tmp_path: Path, part: int, conflict: bool, dirty: bool, stride: int
) -> None:
    """Every line of an update with uncommitted work, every fourth of those with conflicts."""
    found: set[str | None] = set()
    for kill_at in range(part * stride + 1, 10_000, 8 * stride):
        found.add(trial(tmp_path / str(kill_at), kill_at, conflict=conflict, dirty=dirty))
        shutil.rmtree(tmp_path / str(kill_at))
        if None in found:
            break
    assert found >= ({"old", "stashing", "applying"} if stride == 1 else {"old"})


@pytest.mark.slow
@pytest.mark.full
@pytest.mark.parametrize("part", range(4))
def test_abort_killed_at_every_line(tmp_path: Path, part: int) -> None:
    for kill_at in range(part + 1, 10_000, 4):
        place = tmp_path / str(kill_at)
        repo = create_busy_repo(place / "desk")
        folders = renders(repo, conflict=True)
        old = state(repo.top)
        update(repo, folders, autostash=False)
        if not in_child(repo.abort, kill_at):
            break
        if merge.read_progress(locate(repo.folder)):
            repo.abort()
        assert state(repo.top) == old
        shutil.rmtree(place)


@pytest.mark.parametrize("rounds", [1, pytest.param(60, marks=pytest.mark.slow)])
def test_killed_at_any_time(tmp_path: Path, rounds: int) -> None:
    """The git that the killed process started goes on: running again waits for it."""
    chance = random.Random(rounds)
    for turn in range(rounds):
        place = tmp_path / str(turn)
        repo = create_busy_repo(place / "desk")
        folders = renders(repo, conflict=True)
        done = copy_repo(repo, place / "done")
        old = state(repo.top)
        started = time.monotonic()
        update(done, folders, autostash=False)
        took = time.monotonic() - started
        child = os.fork()
        if child == 0:
            try:
                update(repo, folders, autostash=False)
            finally:
                os._exit(0)
        time.sleep(chance.uniform(0.6, 1.0) * took)
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        time.sleep(0.05)
        again = partial(update, folders=folders, autostash=False)
        check(repo, old, state(done.top), again, place / "checked")
        shutil.rmtree(place)
