"""git in a workspace's repository, kept from doing more than it is asked."""

import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from scaffold.errors import MergeError, ToolError
from scaffold.system import git as program
from scaffold.system.git import GitError

# The date is now, whatever a variable of the user's says: git overlooks a stash from 1970.
_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "scaffold"), ("EMAIL", "scaffold@localhost"), ("DATE", ""))
}


@dataclass(frozen=True, slots=True)
class Git:
    """git run at one place, always with the same variables; its paths are taken literally.

    No hook runs, no daemon or garbage collection starts, and no lock is taken just to be quick.
    `held` files stay open in every git started, so that a lock on them outlives this process.
    """

    place: Path
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    held: Sequence[int] = ()

    def __call__(
        self,
        *words: str,
        config: Sequence[str] = (),
        feed: str = "",
        allowed: Collection[int] = (0,),
    ) -> str:
        """What git printed. Raises GitError."""
        settings = [word for one in config for word in ("-c", one)]
        fixed = {
            **_IDENTITY,
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "LC_ALL": "C",
        }
        return program.git(
            *settings,
            *words,
            cwd=self.place,
            env={**fixed, **self.variables},
            allowed=allowed,
            feed=feed,
            held=self.held,
        )

    def using(self, **variables: str | Path) -> "Git":
        """The same with more variables set."""
        more = {name: str(value) for name, value in variables.items()}
        return replace(self, variables={**self.variables, **more})


def records(text: str) -> list[str]:
    """The parts of an answer that git ends with NUL each (`-z`)."""
    return [part for part in text.split("\0") if part]


ANSWERS = ".copier-answers.yml"
_OLDEST_GIT = (2, 38)
_OPERATIONS = {
    "MERGE_HEAD": "a merge",
    "CHERRY_PICK_HEAD": "a cherry-pick",
    "REVERT_HEAD": "a revert",
    "rebase-merge": "a rebase",
    "rebase-apply": "a rebase or git am",
    # A commit made while one looks for a fault is on no branch afterwards.
    "BISECT_LOG": "a bisect",
    "sequencer": "a cherry-pick or revert",
}


@dataclass(frozen=True, slots=True)
class Workspace:
    """A workspace's folder, and what git calls its places.

    `top` is the work tree's root and `prefix` the workspace's folder in it, "" or ending in "/".
    `git_dir` is this work tree's own (a linked work tree has one), `objects` the repository's.
    `head` is the commit checked out, or None before the first one; `hashes` is sha1 or sha256.
    """

    folder: Path
    top: Path
    prefix: str
    git_dir: Path
    objects: Path
    head: str | None
    hashes: str

    @property
    def git(self) -> Git:
        """git in this work tree, with the team's settings."""
        return Git(self.top, {"GIT_DIR": str(self.git_dir), "GIT_WORK_TREE": str(self.top)})

    @property
    def pathspec(self) -> str:
        """The workspace's folder as git's commands take it at `top`."""
        return self.prefix or "."


def locate(folder: Path) -> Workspace:
    """Find the repository of a workspace's folder.

    Raises ToolError without git 2.38 or newer, MergeError when the folder is in no work tree.
    """
    if not folder.is_dir():
        raise MergeError(f"{folder} is not a folder; name the workspace's.")
    git = Git(folder.resolve())
    _require_version()
    asked = ("--show-toplevel", "--show-prefix", "--absolute-git-dir", "--show-object-format")
    try:
        top, prefix, git_dir, hashes, objects = git(
            "rev-parse", *asked, "--git-path", "objects"
        ).split("\n")
    except GitError as error:
        if "not a git repository" in str(error) or "work tree" in str(error):
            raise MergeError(
                f"{folder} is in no git work tree, which an update needs to merge with; "
                "run git init, git add -A and git commit there first."
            ) from None
        raise
    return Workspace(
        folder=folder.resolve(),
        top=Path(top),
        prefix=prefix,
        git_dir=Path(git_dir),
        objects=(folder.resolve() / objects).resolve(),
        head=head(git),
        hashes=hashes,
    )


def head(git: Git) -> str | None:
    """The commit checked out, None before the first one."""
    return git("rev-parse", "--quiet", "--verify", "HEAD^{commit}", allowed=(0, 1)) or None


def modes_count(git: Git) -> bool:
    """Whether the file system has run bits and links, as the team's settings say."""
    asked = ("core.fileMode", "core.symlinks")
    return "false" not in [git("config", "--type=bool", key, allowed=(0, 1)) for key in asked]


def require_settled(workspace: Workspace) -> None:
    """Raise MergeError while a merge, rebase or the like is under way, or conflicts are left."""
    for name, what in _OPERATIONS.items():
        if (workspace.git_dir / name).exists():
            raise MergeError(f"There is {what} under way in {workspace.top}; finish it first.")
    if workspace.git("ls-files", "--unmerged"):
        raise MergeError(f"{workspace.top} has unresolved conflicts; resolve them first.")


def require_known(workspace: Workspace) -> None:
    """Raise MergeError unless git has the workspace's files."""
    told = workspace.git("ls-files", "-v", "-z", "--", workspace.pathspec)
    marks = {line[2:].removeprefix(workspace.prefix): line[0] for line in records(told)}
    if ANSWERS not in marks:
        raise MergeError(
            f"git does not have {workspace.folder / ANSWERS}; run git add and git commit first."
        )
    hidden = sorted(path for path, mark in marks.items() if mark == "S" or mark.islower())
    if hidden:
        sparse = workspace.git("config", "--type=bool", "core.sparseCheckout", allowed=(0, 1))
        way_out = (
            f"run git sparse-checkout add {shlex.quote(workspace.prefix or '.')} first."
            if sparse == "true" and all(marks[path] == "S" for path in hidden)
            else f"run {_look_again(workspace, {path: marks[path] for path in hidden})} first."
        )
        raise MergeError(f"git was told to overlook changes in {_named(hidden)}; {way_out}")


def _look_again(workspace: Workspace, marks: Mapping[str, str]) -> str:
    """Return the command after which git sees changes of files again, by path and mark."""
    git = f"git -C {shlex.quote(str(workspace.folder))} update-index"
    # Two commands: of both options in one, git obeys the last alone.
    by_option = {
        "--no-skip-worktree": [path for path, mark in marks.items() if mark in "Ss"],
        "--no-assume-unchanged": [path for path, mark in marks.items() if mark.islower()],
    }
    return " && ".join(
        f"{git} {option} -- {shlex.join(paths)}" for option, paths in by_option.items() if paths
    )


def require_clean(workspace: Workspace) -> None:
    """Raise MergeError when tracked files have uncommitted changes."""
    if changed := uncommitted(workspace):
        way_out = (
            "commit them, or pass --autostash" if workspace.head else "stage them with git add"
        )
        raise MergeError(f"There are uncommitted changes in {_named(changed)}; {way_out}.")


def uncommitted(workspace: Workspace) -> list[str]:
    """The workspace's tracked files that differ from the last commit, sorted.

    Untracked files are not among them. Before the first commit what is staged counts as the
    last commit.
    """
    told = workspace.git(
        "status", "--porcelain", "-z", "--untracked-files=no", "--no-renames",
        "--ignore-submodules=all", "--", workspace.pathspec,
    )  # fmt: skip
    lines = records(told)
    changed = [line[3:] for line in lines if workspace.head or line[1] != " "]
    return sorted(path.removeprefix(workspace.prefix) for path in changed)


def _named(paths: list[str]) -> str:
    return ", ".join(paths[:3]) + (f" and {len(paths) - 3} more" if len(paths) > 3 else "")


@cache
def _require_version() -> None:
    found = re.search(r"(\d+)\.(\d+)", Git(Path.cwd())("version"))
    if found and (int(found[1]), int(found[2])) < _OLDEST_GIT:
        raise ToolError(f"An update needs git 2.38 or newer, not {found[0]}; upgrade git.")
