"""git in a workspace's repository, kept from doing more than it is asked to do."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

from packaging.version import Version

from scaffold.errors import MergeError, ToolError
from scaffold.system import git as program
from scaffold.system.git import GitError

# The first one with `git merge-tree --write-tree`.
_OLDEST_GIT = Version("2.38")

# The date is now, whatever a variable of the user says: git overlooks a stash from 1970.
_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "scaffold"), ("EMAIL", "scaffold@localhost"), ("DATE", ""))
}


@dataclass(frozen=True, slots=True)
class Git:
    """Run git at one place, always with the same variables; paths are taken literally.

    No hook runs, no daemon or garbage collection starts, and no lock is taken just to be quick.
    `held` files stay open in every git that is started, so that a lock on them outlives this
    process.
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
        """Run one command and return what it printed.

        Args:
            words: The command and its arguments.
            config: Settings for this command alone, as `key=value`.
            feed: The command's input.
            allowed: Exit statuses that are not failures.

        Raises:
            GitError: The exit status is not an allowed one.
        """
        settings = [word for one in config for word in ("-c", one)]
        fixed = {
            **_IDENTITY,
            # A file may be called `*` or `:(top)x`.
            "GIT_LITERAL_PATHSPECS": "1",
            # A lock of ours, taken for a mere `git status`, would stop the team's own git.
            "GIT_OPTIONAL_LOCKS": "0",
            # Some of git's messages are compared with their English text.
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

    def with_variables(self, **variables: str | Path) -> "Git":
        """Return the same git with more variables set."""
        more = {name: str(value) for name, value in variables.items()}
        return replace(self, variables={**self.variables, **more})


def split_records(text: str) -> list[str]:
    """Return the parts of an answer that git ends with NUL each (`-z`)."""
    return [part for part in text.split("\0") if part]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workspace:
    """A workspace's folder, and the places of its repository.

    `top` is the work tree's root and `prefix` the workspace's folder in it, "" or ending in "/".
    `git_dir` is this work tree's own (a linked work tree has one), `objects` the repository's.
    `head` is the commit checked out, or None before the first one; `hashes` is sha1 or sha256.
    `marker` is the file that makes a workspace of the folder; the template alone writes it.
    """

    folder: Path
    top: Path
    prefix: str
    git_dir: Path
    objects: Path
    head: str | None
    hashes: str
    marker: str

    @property
    def git(self) -> Git:
        """The git of this work tree, with the team's settings."""
        return Git(self.top, {"GIT_DIR": str(self.git_dir), "GIT_WORK_TREE": str(self.top)})

    @property
    def pathspec(self) -> str:
        """The workspace's folder as git's commands take it at `top`."""
        return self.prefix or "."


def locate(folder: Path, marker: str) -> Workspace:
    """Find the repository of a workspace's folder, which has a file of the name `marker`.

    Raises:
        ToolError: git is missing, or older than 2.38.
        MergeError: The folder is missing, or is not in a work tree.
    """
    if not folder.is_dir():
        raise MergeError(f"{folder} is not a folder; name the workspace's folder.")
    _require_version()
    git = Git(folder.resolve())
    asked = ("--show-toplevel", "--show-prefix", "--absolute-git-dir", "--show-object-format")
    try:
        answer = git("rev-parse", *asked, "--git-path", "objects")
    except GitError as error:
        if "not a git repository" in str(error) or "work tree" in str(error):
            if not (folder / marker).is_file():
                problem = f"{folder.resolve()} is not a workspace: it has no {marker}"
                raise MergeError(f"{problem}; name another.") from None
            raise MergeError(
                f"{folder} is not in a git work tree, which an update needs to merge with; "
                "run git init, git add -A and git commit there first."
            ) from None
        raise
    top, prefix, git_dir, hashes, objects = answer.split("\n")
    return Workspace(
        folder=folder.resolve(),
        top=Path(top),
        prefix=prefix,
        git_dir=Path(git_dir),
        objects=(folder.resolve() / objects).resolve(),
        head=read_head(git),
        hashes=hashes,
        marker=marker,
    )


def read_head(git: Git) -> str | None:
    """Return the commit checked out, None before the first one."""
    return git("rev-parse", "--quiet", "--verify", "HEAD^{commit}", allowed=(0, 1)) or None


def require_marker(workspace: Workspace, paths: Collection[str]) -> None:
    """Raise MergeError unless git has the marker among these paths of the workspace."""
    if workspace.marker not in paths:
        marker = workspace.folder / workspace.marker
        raise MergeError(f"git does not have {marker}; run git add and git commit first.")


def tracks_modes(git: Git) -> bool:
    """Tell whether the file system has run bits and links, as the team's settings say."""
    asked = ("core.fileMode", "core.symlinks")
    return "false" not in [git("config", "--type=bool", key, allowed=(0, 1)) for key in asked]


def list_uncommitted(workspace: Workspace) -> list[str]:
    """Return the workspace's tracked files that differ from the last commit, sorted.

    Untracked files are not among them. Before the first commit what is staged counts as the
    last commit.
    """
    printed = workspace.git(
        "status", "--porcelain", "-z", "--untracked-files=no", "--no-renames",
        # A submodule is a repository of its own, which an update never touches.
        "--ignore-submodules=all", "--", workspace.pathspec,
    )  # fmt: skip
    lines = split_records(printed)
    changed = [line[3:] for line in lines if workspace.head or line[1] != " "]
    return sorted(path.removeprefix(workspace.prefix) for path in changed)


@cache
def _require_version() -> None:
    # Only the leading numbers: vendors add words of their own, as in "2.39.2 (Apple Git-143)".
    found = re.search(r"\d+\.\d+", Git(Path.cwd())("version"))
    if found and Version(found[0]) < _OLDEST_GIT:
        raise ToolError(f"An update needs git {_OLDEST_GIT} or newer, not {found[0]}; upgrade git.")
