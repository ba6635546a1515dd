"""`scaffold add KIND NAME [DIR]`: one feature or sub-agent more, at the same template version."""

import argparse
from dataclasses import dataclass

from scaffold.commands import arguments
from scaffold.commands.arguments import ChangeOptions
from scaffold.commands.output import print_report
from scaffold.errors import ExitStatus

HELP = "Add a pattern, provider, sub-agent, search, engine, framework, surface or extra."


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(ChangeOptions):
    """What the command line says, under the names of its options."""

    kind: str
    name: str
    description: str | None
    chain: str | None


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    arguments.add_feature(parser)
    arguments.add_workspace(parser)
    arguments.add_change(parser)
    parser.add_argument("--description", metavar="TEXT", help="agent: the requests it is for")
    parser.add_argument(
        "--chain", metavar="CHAIN", help="agent: the chain it asks; provider: join it, as the last"
    )


def run(options: Options) -> ExitStatus:
    """Add the feature or sub-agent."""
    from scaffold.workspace.features import Addition, add_feature

    addition = Addition(
        kind=options.kind,
        name=options.name,
        description=options.description,
        chain=options.chain,
    )
    return print_report(add_feature(options.request(), addition), as_json=options.json)
