"""`scaffold add KIND NAME [DIR]`: one feature or sub-agent more, at the same template version."""

import argparse
from typing import TYPE_CHECKING, Any

from scaffold.commands import options as shared

if TYPE_CHECKING:
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

    return updating.at_same_version(options, _with)


def _with(
    options: argparse.Namespace,
    catalogue: "Catalogue",
    answers: dict[str, Any],
) -> tuple[dict[str, Any], list[str]]:
    """The answers with it, and what to know about it."""
    from scaffold.answers import edits as change

    if options.kind == "agent":
        return change.with_agent(answers, _agent(options)), []
    after, notes = change.added(catalogue, answers, options.kind, options.name)
    if options.kind != "provider":
        return after, notes
    if options.chain:
        return change.chain_with(catalogue, after, options.chain, options.name), notes
    if options.name in change.providers_asked(after):
        return after, notes
    told = f"No chain asks {options.name} yet: name its models in fleet.toml, or add with --chain."
    return after, [*notes, told]


def _agent(options: argparse.Namespace) -> dict[str, str]:
    description = options.description or f"Requests about {options.name.replace('_', ' ')}"
    return {
        "name": options.name,
        "description": description,
        "chain": options.chain or "specialist",
    }
