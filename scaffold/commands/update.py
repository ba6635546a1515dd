"""`scaffold update [DIR]`: bring a workspace to another version of its template."""

import argparse
from dataclasses import dataclass

from scaffold.commands import arguments
from scaffold.commands.arguments import ChangeOptions
from scaffold.commands.output import print_report
from scaffold.errors import ExitStatus

HELP = "Bring a workspace up to date, or change answers; what the team edited stays."


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(ChangeOptions):
    """What the command line says, under the names of its options."""

    to: str | None
    abort: bool


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    arguments.add_workspace(parser)
    parser.add_argument(
        "--to", metavar="VERSION", help="the version (default: the newest; with --set: as it is)"
    )
    arguments.add_change(parser)
    parser.add_argument("--abort", action="store_true", help="take an uncommitted update back")


def run(options: Options) -> ExitStatus:
    """Update the workspace, or take an update back."""
    from scaffold.workspace.update import abort_update, update_workspace

    if options.abort:
        return print_report(abort_update(options.dir), as_json=options.json)
    return print_report(update_workspace(options.request(), options.to), as_json=options.json)
