"""`scaffold update [DIR]`: bring a workspace to another version of its template."""

import argparse

from scaffold.commands import options as shared

HELP = "Bring a workspace up to date, or change answers; what the team edited stays."


def configure(parser: argparse.ArgumentParser) -> None:
    shared.workspace(parser)
    parser.add_argument(
        "--to", metavar="VERSION", help="the version (default: the newest; with --set: as it is)"
    )
    shared.change(parser)
    parser.add_argument("--abort", action="store_true", help="take an uncommitted update back")


def run(options: argparse.Namespace) -> int:
    """Exit status 0, or 3 when conflicts are left for the team."""
    from scaffold.workspace import update as updating

    if options.abort:
        return updating.abort(options)
    return updating.to_version(options, options.to)
