"""`scaffold add KIND NAME [DIR]`: one feature or sub-agent more, at the same template version."""

import argparse
from functools import partial
from typing import TYPE_CHECKING

from scaffold.commands import options as shared

if TYPE_CHECKING:
    from scaffold.answers.edits import Edited
    from scaffold.answers.spec import Agent, PartialSpec
    from scaffold.catalog.catalog import Catalogue

HELP = "Add a pattern, provider, sub-agent, search, engine, framework, surface or extra."


def configure(parser: argparse.ArgumentParser) -> None:
    shared.feature(parser)
    shared.workspace(parser)
    shared.change(parser)
    parser.add_argument("--description", metavar="TEXT", help="agent: the requests it is for")
    parser.add_argument(
        "--chain", metavar="CHAIN", help="agent: the chain it asks; provider: join it, as the last"
    )


def run(options: argparse.Namespace) -> int:
    """Exit status 0, or 3 when conflicts are left for the team."""
    from scaffold.workspace import update as updating

    return updating.at_same_version(options, partial(_add, options))


def _add(options: argparse.Namespace, catalogue: "Catalogue", answers: "PartialSpec") -> "Edited":
    """Return the answers with it, and what to know about it."""
    from scaffold.answers import edits

    if options.kind == "agent":
        return edits.add_agent(answers, _agent(options)), []
    after, notes = edits.add_feature(catalogue, answers, options.kind, options.name)
    if options.kind != "provider":
        return after, notes
    if options.chain:
        return edits.extend_chain(catalogue, after, options.chain, options.name), notes
    if options.name in edits.list_asked_providers(after):
        return after, notes
    note = f"No chain asks {options.name} yet: name its models in fleet.toml, or add with --chain."
    return after, [*notes, note]


def _agent(options: argparse.Namespace) -> "Agent":
    from scaffold.answers.spec import Agent
    from scaffold.catalog.core_settings import AGENT_CHAIN

    description = options.description or f"Requests about {options.name.replace('_', ' ')}"
    return Agent(name=options.name, description=description, chain=options.chain or AGENT_CHAIN)
