"""`scaffold diff [DIR]`: what the team changed against its template, per file; writes nothing."""

import argparse

from scaffold.commands import arguments
from scaffold.commands.arguments import WorkspaceOptions
from scaffold.commands.output import print_report
from scaffold.errors import ExitStatus

HELP = "Show what the team changed against its template, file by file."


Options = WorkspaceOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    arguments.add_workspace(parser)
    arguments.add_template(parser)


def run(options: Options) -> ExitStatus:
    """Compare the workspace; a difference is not a failure."""
    from scaffold.workspace.diff import compare_workspace

    return print_report(compare_workspace(options.dir, options.template), as_json=options.json)
