"""`scaffold remove KIND NAME [DIR]`: one feature or sub-agent less, at the same template version."""

import argparse
from functools import partial
from typing import TYPE_CHECKING

from scaffold.commands import options as shared

if TYPE_CHECKING:
    from scaffold.answers.edits import Edited
    from scaffold.answers.spec import PartialSpec
    from scaffold.catalog.catalog import Catalogue

HELP = "Remove a feature or sub-agent; files the team edited stay, as conflicts."


def configure(parser: argparse.ArgumentParser) -> None:
    shared.feature(parser)
    shared.workspace(parser)
    shared.change(parser)


def run(options: argparse.Namespace) -> int:
    """Exit status 0, or 3 when conflicts are left for the team."""
    from scaffold.workspace import update as updating

    return updating.at_same_version(options, partial(_remove, options))


def _remove(
    options: argparse.Namespace, catalogue: "Catalogue", answers: "PartialSpec"
) -> "Edited":
    """Return the answers without it. Raises AnswersError while something needs it."""
    from scaffold.answers import edits
    from scaffold.workspace import files as fleet
    from scaffold.workspace import files as recorded

    if options.kind == "agent":
        return edits.remove_agent(catalogue, answers, options.name), []
    if options.kind == "provider":
        fleet.require_unasked(recorded.read(options.dir), answers.chains or {}, options.name)
    return edits.remove_feature(catalogue, answers, options.kind, options.name)
