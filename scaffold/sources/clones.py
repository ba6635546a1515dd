"""Clone a template's repository so that nothing in it is run or obeyed.

Its configuration is not copied: all work is done in a bare clone of our own. Its attributes are
overruled there, so that no filter changes a file.
"""

import re
from pathlib import Path

from scaffold.errors import TemplateError, printable
from scaffold.system.git import GitError, git, read_output_start
from scaffold.system.paths import LONGEST_PATH

# What a repository could use to write elsewhere, or to give other files on another machine.
_SAFE = (
    "core.autocrlf=false",
    "core.protectHFS=true",
    "core.protectNTFS=true",
    "core.sparseCheckout=false",
    "diff.ignoreSubmodules=all",
)
_OPTIONS = [word for setting in _SAFE for word in ("-c", setting)]
_ENVIRONMENT = {
    "GIT_ALLOW_PROTOCOL": "file:https:http:ssh:git",
    "GIT_LITERAL_PATHSPECS": "1",
    # A repository may name a command to fetch what it lacks (CVE-2024-32004).
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "LC_ALL": "C",
}
_NO_SETTINGS = {
    "GIT_CONFIG_COUNT": "0",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_PARAMETERS": "",
}
# No attribute of the template's applies: a filter would run a program.
_AS_STORED = "* -text -filter -ident -working-tree-encoding -diff -merge\n"
_SHORT = {"gh:": "https://github.com/", "gl:": "https://gitlab.com/"}
# The settings of a partial clone, which lacks objects and says where to fetch them.
_PROMISES = r"^(extensions\.partialclone|remote\..*\.(promisor|partialclonefilter))$"
_HINTS = (
    ("File too large", "raise the limit on the size of a file (`ulimit -f unlimited`)"),
    ("bad .*config", "mend that line of your git settings (`git config --list --show-origin`)"),
    ("dubious ownership", "if you trust its owner, name it to git as `safe.directory`"),
    ("Authentication failed|could not read (User|Pass)|Permission denied", "check your access"),
    ("resolve host|Connection|timed out|unable to access", "check the address and the network"),
)
MOST_LISTED = 20_000_000
"""The most bytes that git may print to list a template's files: some 200,000 of them."""
MOST_SIZE = 500_000_000
_MOVED = "if it has moved, name it with --template"
_PLAIN = "it is a folder without a git repository: leave out --ref, or commit it to one of its own"


def run_git(
    folder: Path, *words: str, env: dict[str, str] | None = None, as_user: bool = False
) -> str:
    """Return what git printed in a bare clone of ours. Raises GitError.

    Unless `as_user`, the user's settings are ignored: they change what is printed (columns,
    lengths of names) and what is done.
    """
    settings = {} if as_user else _NO_SETTINGS
    return git(
        *_OPTIONS, "--git-dir=.", *words, cwd=folder, env=_ENVIRONMENT | settings | (env or {})
    )


def require_modest_tree(folder: Path, commit: str, src: str) -> None:
    """Raise TemplateError for a version with more files, or larger ones, than any template has.

    A few kilobytes of trees that name each other can stand for billions of files, and as many of
    compressed zeros for a full disk: neither is ever checked out.
    """
    words = (*_OPTIONS, "--git-dir=.", "ls-tree", "-r", "-l", "-z", commit)
    listed = read_output_start(*words, cwd=folder, env=_ENVIRONMENT, most=MOST_LISTED)
    sizes = (entry.split(b"\t")[0].rsplit(None, 1)[-1] for entry in listed.split(b"\0") if entry)
    if len(listed) == MOST_LISTED or sum(int(s) for s in sizes if s.isdigit()) > MOST_SIZE:
        raise TemplateError(
            f"{src} has more files, or larger ones, than scaffold checks out"
            f" ({MOST_SIZE // 1_000_000} MB); name the repository of a template."
        )


def clone(src: str, folder: Path) -> None:
    """Make a bare clone with every branch and tag. Raises TemplateError."""
    try:
        _require_whole(Path(src), folder)
        words = ("clone", "--quiet", "--bare", "--template=", "--", src, ".")
        git(*_OPTIONS, *words, cwd=folder, env=_ENVIRONMENT)
    except GitError as error:
        reason = str(error)
        hints = [hint for pattern, hint in _HINTS if re.search(pattern, reason)]
        plain = "does not exist" in reason and local_place(src) is not None
        raise TemplateError(
            f"The template cannot be had: {printable(reason, 300).rstrip('.')}",
            [*hints, _PLAIN if plain else _MOVED][0],
        ) from None
    (folder / "info").mkdir(exist_ok=True)
    (folder / "info/attributes").write_text(_AS_STORED, "utf-8")


def canonical(src: str) -> str:
    """Return what is recorded of a template's address: an absolute path or a git URL.

    Raises TemplateError for one with a password, and for what cannot be an address.
    """
    if (place := local_place(src)) is not None:
        return str(place)
    for short, host in _SHORT.items():
        if src.startswith(short):
            return f"{host}{src.removeprefix(short).removesuffix('.git')}.git"
    if re.match(r"[\w+.-]+://[^/@]*:[^/@]+@", src):
        raise TemplateError("A template's URL must hold no password; use a git credential helper.")
    strange = src.startswith("-") or not src.isprintable() or len(src) > LONGEST_PATH
    if strange or "::" in src.partition("/")[0]:
        raise TemplateError(f"'{printable(src)}' is not a template; name a folder or a git URL.")
    return src.removeprefix("git+")


def local_place(src: str) -> Path | None:
    """Return the folder or bundle of that path, absolute; None where there is none."""
    try:
        place = Path(src).expanduser()
        if not place.exists():
            return None
        if not (place.is_dir() or place.is_file()):
            raise TemplateError(
                f"{printable(src)} is a device or a pipe; name a folder or a bundle."
            )
        return place.resolve()
    except (OSError, RuntimeError, ValueError):
        return None


def _require_whole(src: Path, folder: Path) -> None:
    """Refuse a partial clone: git would run the command it names to fetch the rest."""
    if local_place(str(src)) is None:
        return
    for config in (src / "config", src / ".git/config", src / ".git/config.worktree"):
        if not config.is_file():
            continue
        words = ("config", "--file", str(config.resolve()), "--includes", "--get-regexp", _PROMISES)
        if git(*words, cwd=folder, env=_ENVIRONMENT, allowed=(0, 1)):
            raise TemplateError(
                f"{src} is a partial clone; run `git fetch --refetch --no-filter` there, or clone"
                " it again without --filter."
            )
