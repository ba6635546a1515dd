"""`scaffold new DIR`: take the answers from the wizard or the options, and render a workspace."""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from scaffold.commands import arguments
from scaffold.commands.output import print_report
from scaffold.errors import ExitStatus

if TYPE_CHECKING:
    from scaffold.workspace.create import Ask, CreateRequest
    from scaffold.workspace.create_report import CreateReport
    from scaffold.workspace.verify import Step

HELP = "Generate a workspace: with a wizard in a terminal, from options elsewhere."


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says, under the names of its options."""

    dir: Path
    answers: Path | None
    set: Sequence[str]
    defaults: bool
    preset: str | None
    template: str | None
    ref: str | None
    dry_run: bool
    verify: bool
    no_git: bool
    json: bool


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "dir",
        metavar="DIR",
        type=arguments.parse_folder,
        help="the new workspace's folder: new or empty",
    )
    parser.add_argument(
        "--answers",
        type=arguments.parse_file,
        metavar="FILE.yml",
        help="take answers from a file, ask nothing",
    )
    arguments.add_values(parser)
    parser.add_argument("--defaults", action="store_true", help="take defaults, ask nothing")
    parser.add_argument(
        "--preset", metavar="NAME", help="start from a preset (`scaffold list presets`)"
    )
    parser.add_argument(
        "--template",
        metavar="SRC",
        type=arguments.parse_text,
        help="another template: a folder or git URL",
    )
    parser.add_argument(
        "--ref", metavar="REV", type=arguments.parse_text, help="a version of the template"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the tree, write nothing")
    parser.add_argument(
        "--verify", action="store_true", help="install it, run its lint, types and tests"
    )
    parser.add_argument("--no-git", action="store_true", help="make no git repository")
    parser.add_argument("--json", action="store_true", help="print one JSON object, ask nothing")


def run(options: Options) -> ExitStatus:
    """Create the workspace. The exit status says whether it was verified, too."""
    from scaffold.system.signals import unwind_on_sigterm
    from scaffold.workspace.create import create_workspace

    with unwind_on_sigterm():
        report = create_workspace(_make_request(options), ask=_find_wizard(options))
    try:
        return _report(options, report)
    except KeyboardInterrupt:
        if not report.written:
            raise
        print(f"\nCancelled; the workspace is in {options.dir}.", file=sys.stderr)
        return ExitStatus.INTERRUPTED


def _make_request(options: Options) -> "CreateRequest":
    from scaffold.answers.inputs import Sources
    from scaffold.workspace.create import CreateRequest

    return CreateRequest(
        folder=options.dir,
        answers=Sources(preset=options.preset, file=options.answers, values=options.set),
        defaults=options.defaults,
        template=options.template,
        ref=options.ref,
        dry_run=options.dry_run,
        verify=options.verify,
        with_git=not options.no_git,
    )


def _find_wizard(options: Options) -> "Ask | None":
    quiet = options.defaults or options.answers or options.json
    if quiet or not (sys.stdin.isatty() and sys.stdout.isatty()):
        return None
    # Questionary takes long to import, and most runs ask nothing.
    from scaffold.wizard import screens

    return screens.ask


def _report(options: Options, report: "CreateReport") -> ExitStatus:
    if not options.json:
        print_report(report, as_json=False)
    steps = _verify(options) if options.verify and report.written else []
    checked = replace(report, steps=tuple(steps))
    if options.json:
        print_report(checked, as_json=True)
    return checked.exit_status


def _verify(options: Options) -> list["Step"]:
    """Run the workspace's own checks, a line each; on stderr where stdout is for JSON."""
    from scaffold.workspace.verify import verify

    out = sys.stderr if options.json else sys.stdout
    print(file=out)
    steps: list[Step] = []
    for step in verify(options.dir):
        steps.append(step)
        print(f"{'ok    ' if step.ok else 'FAILED'} {step.name:8} {step.seconds:5.1f} s", file=out)
        if step.tail:
            print(step.tail, file=sys.stderr)
    return steps
