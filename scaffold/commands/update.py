"""`scaffold update [DIR]`: bring a workspace to another version of its template."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scaffold.commands import arguments
from scaffold.commands.output import print_report
from scaffold.errors import ExitStatus

HELP = "Bring a workspace up to date, or change answers; what the team edited stays."


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says, under the names of its options."""

    dir: Path
    to: str | None
    set: Sequence[str]
    dry_run: bool
    autostash: bool
    template: str | None
    abort: bool
    json: bool


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
    from scaffold.workspace.update import UpdateRequest, abort_update, update_workspace

    if options.abort:
        return print_report(abort_update(options.dir), as_json=options.json)
    request = UpdateRequest(
        folder=options.dir,
        values=options.set,
        template=options.template,
        dry_run=options.dry_run,
        autostash=options.autostash,
    )
    return print_report(update_workspace(request, options.to), as_json=options.json)
