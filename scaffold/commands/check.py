"""`scaffold check [DIR]`: whether a workspace is behind its template; writes nothing."""

import argparse

from scaffold.commands import arguments
from scaffold.commands.arguments import WorkspaceOptions
from scaffold.commands.output import print_report
from scaffold.errors import ExitStatus

HELP = "Say whether a workspace is behind its template (exit status 3); needs no network."


Options = WorkspaceOptions


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    arguments.add_workspace(parser)
    arguments.add_template(parser)


def run(options: Options) -> ExitStatus:
    """Check the workspace."""
    from scaffold.workspace.check import check_workspace

    return print_report(check_workspace(options.dir, options.template), as_json=options.json)
