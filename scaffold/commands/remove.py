"""`scaffold remove KIND NAME [DIR]`: one feature or sub-agent less, at the same template version."""

import argparse
from dataclasses import dataclass

from scaffold.commands import arguments
from scaffold.commands.arguments import ChangeOptions
from scaffold.commands.output import print_report
from scaffold.errors import ExitStatus

HELP = "Remove a feature or sub-agent; files the team edited stay, as conflicts."


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(ChangeOptions):
    """What the command line says, under the names of its options."""

    kind: str
    name: str


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    arguments.add_feature(parser)
    arguments.add_workspace(parser)
    arguments.add_change(parser)


def run(options: Options) -> ExitStatus:
    """Remove the feature or sub-agent."""
    from scaffold.workspace.features import remove_feature

    report = remove_feature(options.request(), options.kind, options.name)
    return print_report(report, as_json=options.json)
