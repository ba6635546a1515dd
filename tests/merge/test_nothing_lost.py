"""No line that a user ever saved is lost, whatever they do around an update.

Random histories: uncommitted work, `--autostash`, a kill at any line, edits in between, resuming
and aborting, from the repository's root, a subfolder and a neighbour. After each step every line is
on disk, in a commit, in a stash, or in an object that a message named.
"""

import fcntl
import os
import random
import shutil
import tempfile
from pathlib import Path

import pytest

from scaffold import merge
from scaffold.errors import MergeError
from tests.merge.repo import ANSWERS, Repo, git, lines, locate
from tests.merge.test_killed import in_child

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
OLD = {name: lines(name.replace("/", "-")) for name in ("a", "b", "gone", "old", "sub/c", "still")}
NEW = {
    "a": lines("a", _2="new"), "b": lines("b", _5="new"), "fresh": lines("old"),
    "sub/c": lines("sub-c", _1="new"), "still": lines("still"), "added/n": "n\n", "hidden.env": "h\n",
}  # fmt: skip
FILES = [*OLD, "fresh", "added/n", "mine", "hidden.env", "added", "sub", 'new folder/é "x"']


class History:
    """A workspace in a monorepo, what its user saved, and what messages named."""

    def __init__(self, place: Path, chance: random.Random) -> None:
        self.chance = chance
        self.saved: dict[str, str] = {}
        self.shown: list[str] = []
        self.count = 0
        self.done: list[str] = []
        self.staged_alone: dict[str, str] = {}
        self.repo = Repo(place, OLD, prefix=chance.choice(["", "ws"]))
        self.top = self.repo.top
        (self.top / "neighbour").mkdir()
        (self.top / "neighbour" / ANSWERS).write_text("_commit: v1\n")
        (self.top / ".gitignore").write_text("*.env\n")
        self.folders = self.repo.renders(NEW)
        if chance.random() < 0.5:
            self.edit("b")
        self.repo.commit()

    def line(self, path: str) -> str:
        self.count += 1
        line = f"saved {self.count}"
        self.saved[line] = path
        return f"{line}\n"

    def edit(self, path: str) -> None:
        place = self.repo.folder / path
        if place.is_symlink() or any(one.is_symlink() or one.is_file() for one in place.parents):
            return
        if place.is_dir() and not place.is_symlink():
            path = f"{path}/inside"
            place = place / "inside"
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.is_dir():
            return
        text = place.read_text().splitlines(keepends=True) if place.is_file() else []
        at = self.chance.randint(0, len(text))
        place.write_text("".join([*text[:at], self.line(path), *text[at:]]))

    # What a user does

    def edits(self) -> None:
        self.edit(self.chance.choice(FILES))

    def stages(self) -> None:
        """Stage everything; stop expecting what was staged alone and is written over."""
        git(self.top, "add", "-A", allowed=(0, 1, 128))
        for line in self.staged_alone.values():
            self.saved.pop(line, None)
        self.staged_alone = {}

    def stages_and_takes_back_on_disk(self) -> None:
        path = self.chance.choice([*OLD])
        place = self.repo.folder / path
        locked = (self.top / ".git/index.lock").exists()
        if place.is_file() and not place.is_symlink() and not locked:
            before = place.read_bytes()
            self.edit(path)
            git(self.repo.folder, "add", path)
            place.write_bytes(before)
            self.saved.pop(self.staged_alone.get(path, ""), None)
            self.staged_alone[path] = f"saved {self.count}"

    def deletes(self) -> None:
        place = self.repo.folder / self.chance.choice([*OLD])
        if place.is_file():
            self.forget(place.read_text())
            place.unlink()

    def changes_the_mode(self) -> None:
        place = self.repo.folder / self.chance.choice([*OLD])
        if place.is_file():
            place.chmod(self.chance.choice([0o644, 0o755]))

    def puts_a_folder_in_a_files_place(self) -> None:
        place = self.repo.folder / self.chance.choice(["a", "gone", "fresh", "mine"])
        if place.is_file():
            self.forget(place.read_text())
            place.unlink()
            place.mkdir()
            (place / "inside").write_text(self.line(f"{place.name}/inside"))

    def puts_a_link_in_a_files_place(self) -> None:
        place = self.repo.folder / self.chance.choice(["a", "still"])
        if place.is_file():
            self.forget(place.read_text())
            place.unlink()
            place.symlink_to("elsewhere")

    def pops(self) -> None:
        # git forgets what was staged in a stash, and asks for --index where one wants it.
        if not self.staged_alone:
            git(self.top, "stash", "pop", allowed=(0, 1))

    def collects_garbage(self) -> None:
        git(self.top, "gc", "-q", "--prune=now", allowed=(0, 1, 128))

    def commits_something_else(self) -> None:
        (self.top / ".git/index.lock").unlink(missing_ok=True)
        with (self.top / "other").open("a") as file:
            file.write(self.line("../other"))
        git(self.top, "add", "other")
        git(self.top, "commit", "-qm", "other", "--", "other", allowed=(0, 1, 128))

    # What scaffold does

    def updates(self) -> None:
        where = locate(self.repo.folder)
        if merge.resume(where) is None:
            with merge.plan(where, *self.folders, renames={"old": "fresh"}) as plan:
                merge.apply(plan, autostash=True)

    def resumes(self) -> None:
        merge.resume(locate(self.repo.folder))

    def aborts(self) -> None:
        merge.abort(locate(self.repo.folder))

    def run(self, what: str) -> None:
        """Run one of the three, from some folder, killed or not, and keep its message."""
        here = self.chance.choice([self.repo.folder] * 5 + [self.top, self.top / "neighbour"])
        for name in ("sub", "src"):
            if (place := self.repo.folder / name).is_dir() and self.chance.random() < 0.1:
                here = place
        if here != self.repo.folder:
            self.elsewhere(what, here)
        elif self.chance.random() < 0.5:
            in_child(lambda: self.quietly(what), self.chance.randint(1, 500))
            self.wait()
        else:
            self.quietly(what)

    def elsewhere(self, what: str, here: Path) -> None:
        before = self.repo.files()
        where = locate(here)
        if merge.read_progress(where):
            with pytest.raises(MergeError, match=r"scaffold update|not committed|overtaken"):
                merge.abort(where) if what == "aborts" else merge.resume(
                    where
                ) or merge.require_ready(where)
            assert self.repo.files() == before

    def wait(self) -> None:
        """Wait for the git that a killed run has left behind."""
        handle = os.open(self.top / ".git", os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
        os.close(handle)

    def quietly(self, what: str) -> None:
        try:
            result = getattr(self, what)()
        except MergeError as error:
            self.shown.append(str(error))
        else:
            self.shown += getattr(result, "commands", ())

    # What must be true

    def forget(self, text: str) -> None:
        """Stop expecting what the user deletes."""
        for line in text.splitlines():
            self.saved.pop(line, None)

    def step(self) -> None:
        deeds = [
            self.edits, self.edits, self.edits, self.stages, self.deletes, self.changes_the_mode,
            self.puts_a_folder_in_a_files_place, self.puts_a_link_in_a_files_place, self.pops,
            self.collects_garbage, self.commits_something_else, self.stages_and_takes_back_on_disk,
        ]  # fmt: skip
        if self.chance.random() < 0.5:
            what = self.chance.choice(["updates", "updates", "resumes", "aborts"])
            self.done.append(what)
            self.run(what)
        else:
            deed = self.chance.choice(deeds)
            self.done.append(deed.__name__)
            deed()
        self.check()

    def check(self) -> None:
        texts = [x if isinstance(x, str) else x.decode() for x in self.repo.files().values()]
        stashes = git(self.top, "stash", "list", "--format=%H %H^2").split()
        for commit in ["HEAD", *stashes]:
            texts.append(git(self.top, "grep", "-h", "saved", commit, allowed=(0, 1)))
        texts.append(git(self.top, "grep", "-h", "--cached", "saved", allowed=(0, 1)))
        there = {line for text in texts for line in text.splitlines()}
        lost = {line: path for line, path in self.saved.items() if line not in there}
        assert not lost, (lost, self.done)
        assert not [
            path for path in git(self.top, "ls-files", "-z").split("\0") if path.endswith(".env")
        ]


def history(number: int, steps: int) -> None:
    place = Path(tempfile.mkdtemp(prefix="lost-", dir=MEMORY))
    try:
        one = History(place, random.Random(number))
        for _ in range(steps):
            one.step()
    finally:
        shutil.rmtree(place, ignore_errors=True)


@pytest.mark.parametrize("number", [2, 3])
def test_some_histories(number: int) -> None:
    history(number, 10)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(2))
def test_forty_histories(part: int) -> None:
    for number in range(100 + part, 140, 2):
        history(number, 14)


@pytest.mark.slow
@pytest.mark.full
@pytest.mark.parametrize("part", range(10))
def test_five_hundred_histories(part: int) -> None:
    for number in range(1000 + part, 1500, 10):
        history(number, 14)
