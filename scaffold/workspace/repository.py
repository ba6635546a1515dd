"""The git repository of a new workspace."""

from pathlib import Path

from scaffold.errors import ToolError
from scaffold.system.git import GitError, git, is_installed
from scaffold.workspace.target import find_existing

_NEUTRAL = {"user.name": "scaffold", "user.email": "scaffold@localhost"}


def require_git() -> None:
    """Raise ToolError if git is not installed."""
    if not is_installed():
        raise ToolError("git is not installed; install it, or pass --no-git (updates need git).")


def is_in_work_tree(path: Path) -> bool:
    """Tell whether a folder, or the nearest one above it that exists, is in a git work tree."""
    place = find_existing(path.absolute())
    try:
        return git("rev-parse", "--is-inside-work-tree", cwd=place) == "true"
    except GitError:
        return False


def create_repository(folder: Path, message: str) -> None:
    """Create a repository with one commit; no hook runs and nothing is signed."""
    try:
        git("init", "--quiet", "--initial-branch=main", cwd=folder)
        _add_files(folder)
        unsigned = ("-c", "commit.gpgSign=false")
        git(
            *read_identity(folder), *unsigned, "commit", "--quiet", "--message", message, cwd=folder
        )
    except GitError as error:
        raise ToolError(f"git failed: {error}; pass --no-git to go on without it.") from None


def _add_files(folder: Path) -> None:
    """Add every file but what the workspace's own .gitignore names.

    The user's ignore files do not count: an update takes every rendered file as committed.
    """
    listed = ("ls-files", "--others", "--exclude-per-directory=.gitignore", "-z")
    paths = git(*listed, cwd=folder)
    literal = {"GIT_LITERAL_PATHSPECS": "1"}
    add = ("add", "--force", "--pathspec-from-file=-", "--pathspec-file-nul")
    git(*add, cwd=folder, env=literal, feed=paths)


def read_identity(folder: Path) -> list[str]:
    """Return options that name an author where the user's settings leave name or address out."""
    words: list[str] = []
    for key, value in _NEUTRAL.items():
        if not git("config", key, cwd=folder, allowed=(0, 1)):
            words += ["-c", f"{key}={value}"]
    return words
