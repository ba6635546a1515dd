"""What a path may be: its length, the name of the answers file, and what git takes for its own."""

import re
import unicodedata
from pathlib import Path

ANSWERS_FILE = ".copier-answers.yml"
"""The file that makes a workspace of a folder."""
LONGEST_PATH = 4096
"""The longest path or address, in characters: what Linux takes as a path."""


def is_git_name(part: str) -> bool:
    """Tell whether one part of a path is, or may be read as, `.git`.

    Compared as HFS+ and NTFS compare: case, ignorable characters, trailing dots and spaces, a
    stream's name and short names do not count (git's own rules: `is_hfs_dotgit`,
    `is_ntfs_dotgit`).
    """
    seen = "".join(c for c in part if unicodedata.category(c) != "Cf")
    names = (
        name.partition(":")[0].rstrip(". ")
        for name in unicodedata.normalize("NFKC", seen).casefold().split("\\")
    )
    return any(name == ".git" or re.fullmatch(r"\.?git~\d+", name) for name in names)


def find_unfit(folder: Path) -> tuple[Path, str] | None:
    """Return the first path below a folder that is not for a work tree, and what it is."""
    for path in folder.rglob("*"):
        inside = path.relative_to(folder)
        if is_git_name(path.name):
            return inside, "belongs to git"
        if path.is_symlink():
            return inside, "is a link"
        if not (path.is_dir() or path.is_file()):
            return inside, "is a device or a pipe"
    return None
