"""Arguments that several commands take. Imported to build the parser, so nothing heavy here."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scaffold.catalog.kinds import KINDS
from scaffold.system.paths import LONGEST_PATH

if TYPE_CHECKING:
    from scaffold.workspace.update import UpdateRequest

ADDABLE = (*KINDS, "agent")
"""What `add` and `remove` take as KIND: the kinds of feature, and sub-agents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceOptions:
    """What the command line says to every command that takes a workspace."""

    dir: Path
    template: str | None
    json: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeOptions(WorkspaceOptions):
    """What the command line says to every command that changes a workspace."""

    set: Sequence[str]
    dry_run: bool
    autostash: bool

    def request(self) -> "UpdateRequest":
        """Return what the workspace is asked for."""
        from scaffold.workspace.update import UpdateRequest

        return UpdateRequest(
            folder=self.dir,
            values=self.set,
            template=self.template,
            dry_run=self.dry_run,
            autostash=self.autostash,
        )


def parse_text(word: str) -> str:
    """Return a word that is not empty, as an unset variable of a script would be, and not endless."""
    if not word.strip():
        raise argparse.ArgumentTypeError("it is empty")
    if len(word) > LONGEST_PATH:
        raise argparse.ArgumentTypeError(f"it is longer than {LONGEST_PATH:,} characters")
    if "\0" in word:
        raise argparse.ArgumentTypeError("it holds a NUL character")
    return word


def parse_file(word: str) -> Path:
    """Return a file's path."""
    return Path(parse_text(word))


def parse_folder(word: str) -> Path:
    """Return a folder's path; the current folder is `.`, never an empty word."""
    path = Path(parse_text(word))
    try:
        return path.expanduser()
    except RuntimeError:
        return path


def add_workspace(parser: argparse.ArgumentParser) -> None:
    """Take DIR, the current folder by default, and --json."""
    parser.add_argument(
        "dir",
        metavar="DIR",
        type=parse_folder,
        nargs="?",
        default=Path(),
        help="the workspace's folder (default: here)",
    )
    add_json(parser)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Take --json."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def add_feature(parser: argparse.ArgumentParser) -> None:
    """Take KIND and NAME; to be called before `add_workspace`."""
    parser.add_argument("kind", metavar="KIND", choices=ADDABLE, help=", ".join(ADDABLE))
    parser.add_argument("name", metavar="NAME", help="its name (`scaffold list KIND`)")


def add_template(parser: argparse.ArgumentParser) -> None:
    """Take --template, for a workspace whose template has moved."""
    parser.add_argument(
        "--template",
        metavar="SRC",
        type=parse_text,
        help="where the template is now: a folder or git URL",
    )


def add_values(parser: argparse.ArgumentParser) -> None:
    """Take --set any number of times."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="one answer, in YAML; may be repeated",
    )


def add_change(parser: argparse.ArgumentParser) -> None:
    """Take what `ChangeOptions` holds, besides what `add_workspace` takes."""
    add_values(parser)
    parser.add_argument("--dry-run", action="store_true", help="print plan and diff, write nothing")
    parser.add_argument(
        "--autostash", action="store_true", help="put uncommitted work aside, and back afterwards"
    )
    add_template(parser)
