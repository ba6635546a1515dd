"""`scaffold remove KIND NAME [DIR]`: one feature or sub-agent less, at the same template version."""

import argparse
from typing import TYPE_CHECKING, Any

from scaffold.commands import options as shared

if TYPE_CHECKING:
    from scaffold.catalog.catalog import Catalogue

HELP = "Remove a feature or sub-agent; files the team edited stay, as conflicts."


def configure(parser: argparse.ArgumentParser) -> None:
    shared.feature(parser)
    shared.workspace(parser)
    shared.change(parser)


def run(options: argparse.Namespace) -> int:
    """Exit status 0, or 3 when conflicts are left for the team."""
    from scaffold.workspace import update as updating

    return updating.at_same_version(options, _without)


def _without(
    options: argparse.Namespace,
    catalogue: "Catalogue",
    answers: dict[str, Any],
) -> tuple[dict[str, Any], list[str]]:
    """The answers without it. Raises AnswersError while something needs it."""
    from scaffold.answers import edits as change
    from scaffold.workspace import files as fleet
    from scaffold.workspace import files as recorded

    if options.kind == "agent":
        return change.without_agent(catalogue, answers, options.name), []
    if options.kind == "provider":
        fleet.require_unasked(recorded.read(options.dir), answers, options.name)
    return change.removed(catalogue, answers, options.kind, options.name)
