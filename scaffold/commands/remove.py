"""`scaffold remove KIND NAME [DIR]`: one feature or sub-agent less, at the same template version."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scaffold.commands import arguments
from scaffold.commands.output import print_report
from scaffold.errors import ExitStatus

HELP = "Remove a feature or sub-agent; files the team edited stay, as conflicts."


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says, under the names of its options."""

    kind: str
    name: str
    dir: Path
    set: Sequence[str]
    dry_run: bool
    autostash: bool
    template: str | None
    json: bool


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    arguments.add_feature(parser)
    arguments.add_workspace(parser)
    arguments.add_change(parser)


def run(options: Options) -> ExitStatus:
    """Remove the feature or sub-agent."""
    from scaffold.workspace.features import remove_feature
    from scaffold.workspace.update import UpdateRequest

    request = UpdateRequest(
        folder=options.dir,
        values=options.set,
        template=options.template,
        dry_run=options.dry_run,
        autostash=options.autostash,
    )
    report = remove_feature(request, options.kind, options.name)
    return print_report(report, as_json=options.json)
