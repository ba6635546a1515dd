"""Options that several commands share. Imported to build the parser, so nothing heavy here."""

import argparse
from pathlib import Path

KINDS = (
    "pattern",
    "provider",
    "agent",
    "search",
    "engine",
    "framework",
    "surface",
    "extra",
)

LONGEST = 4096
"""The longest path or address, in characters: what Linux takes as a path."""


def text(word: str) -> str:
    """A word that is not empty, as an unset variable of a script would be, and not endless."""
    if not word.strip():
        raise argparse.ArgumentTypeError("it is empty")
    if len(word) > LONGEST:
        raise argparse.ArgumentTypeError(f"it is longer than {LONGEST:,} characters")
    if "\0" in word:
        raise argparse.ArgumentTypeError("it holds a NUL character")
    return word


def file(word: str) -> Path:
    """A file's path."""
    return Path(text(word))


def folder(word: str) -> Path:
    """A folder's path; the current folder is `.`, never an empty word."""
    path = Path(text(word))
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def workspace(parser: argparse.ArgumentParser) -> None:
    """DIR, the current folder by default, and --json."""
    parser.add_argument(
        "dir",
        metavar="DIR",
        type=folder,
        nargs="?",
        default=Path(),
        help="the workspace's folder (default: here)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def feature(parser: argparse.ArgumentParser) -> None:
    """KIND and NAME; before DIR."""
    parser.add_argument("kind", metavar="KIND", choices=KINDS, help=", ".join(KINDS))
    parser.add_argument("name", metavar="NAME", help="its name (`scaffold list KIND`)")


def template(parser: argparse.ArgumentParser) -> None:
    """--template, for a workspace whose template has moved."""
    parser.add_argument(
        "--template",
        metavar="SRC",
        type=text,
        help="where the template is now: a folder or git URL",
    )


def values(parser: argparse.ArgumentParser) -> None:
    """--set, as often as wanted."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one answer, in YAML; may be repeated",
    )


def change(parser: argparse.ArgumentParser) -> None:
    """What every command takes that changes a workspace."""
    values(parser)
    parser.add_argument("--dry-run", action="store_true", help="print plan and diff, write nothing")
    parser.add_argument(
        "--autostash", action="store_true", help="put uncommitted work aside, and back afterwards"
    )
    template(parser)
