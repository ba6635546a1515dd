"""`scaffold new DIR`: ask, or take what is given, and render a workspace."""

import argparse
import sys
from typing import TYPE_CHECKING

from scaffold.commands import options as shared
from scaffold.errors import VerifyError

if TYPE_CHECKING:
    from scaffold.workspace.created import Written

HELP = "Generate a workspace: with a wizard in a terminal, from options elsewhere."
INTERRUPTED = 130


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "dir", metavar="DIR", type=shared.folder, help="the new workspace's folder: new or empty"
    )
    parser.add_argument(
        "--answers",
        type=shared.file,
        metavar="FILE.yml",
        help="take answers from a file, ask nothing",
    )
    shared.values(parser)
    parser.add_argument("--defaults", action="store_true", help="take defaults, ask nothing")
    parser.add_argument(
        "--preset", metavar="NAME", help="start from a preset (`scaffold list presets`)"
    )
    parser.add_argument(
        "--template", metavar="SRC", type=shared.text, help="another template: a folder or git URL"
    )
    parser.add_argument("--ref", metavar="REV", type=shared.text, help="a version of the template")
    parser.add_argument("--dry-run", action="store_true", help="print the tree, write nothing")
    parser.add_argument(
        "--verify", action="store_true", help="install it, run its lint, types and tests"
    )
    parser.add_argument("--no-git", action="store_true", help="make no git repository")
    parser.add_argument("--json", action="store_true", help="print one JSON object, ask nothing")


def run(options: argparse.Namespace) -> int:
    """Exit status 0, or 4 when the workspace was written but does not verify."""
    from scaffold.system.signals import unwind_on_sigterm
    from scaffold.workspace import create as creating

    with unwind_on_sigterm():
        written = creating.made(options)
    try:
        return _told(options, written)
    except KeyboardInterrupt:
        if not written.really:
            raise
        print(f"\nCancelled; the workspace is in {options.dir}.", file=sys.stderr)
        return INTERRUPTED


def _told(options: argparse.Namespace, written: "Written") -> int:
    from scaffold.workspace import created as outcome

    if not options.json:
        outcome.show(written)
    verify = options.verify and written.really
    steps = outcome.verified(written, quiet=options.json) if verify else []
    if options.json:
        outcome.print_json(written, steps)
    return 0 if all(step.ok for step in steps) else VerifyError.exit_status
