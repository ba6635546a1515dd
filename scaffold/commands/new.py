"""`scaffold new DIR`: ask, or take what is given, and render a workspace."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scaffold.answers import WorkspaceSpec
    from scaffold.catalogue import Catalogue
    from scaffold.releases import Source

HELP = "Generate a workspace: with a wizard in a terminal, from options elsewhere."


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", metavar="DIR", type=Path, help="the new workspace's folder")
    parser.add_argument("--answers", type=Path, metavar="FILE.yml", help="take answers from a file")
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="one answer, in YAML"
    )
    parser.add_argument("--defaults", action="store_true", help="ask nothing")
    parser.add_argument(
        "--preset", metavar="NAME", help="start from a preset (`scaffold list presets`)"
    )
    parser.add_argument("--template", metavar="SRC", help="another template: a folder or git URL")
    parser.add_argument("--ref", metavar="REV", help="a version of the template")
    parser.add_argument("--dry-run", action="store_true", help="print the tree, write nothing")
    parser.add_argument(
        "--verify", action="store_true", help="install it, run its lint, types, tests"
    )
    parser.add_argument("--no-git", action="store_true", help="make no git repository")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Exit status 0, or 4 when the workspace was written but does not verify."""
    from scaffold import given, releases, repository, target, verify
    from scaffold.catalogue import load

    target.check(options.dir)
    use_git = not (options.no_git or options.dry_run)
    if use_git:
        repository.require_git()
    if options.verify:
        verify.require_uv()
    with releases.source(options.template, options.ref) as source:
        catalogue = load(source.root)
        answers, notes = given.collect(catalogue, options)
        if not source.released and options.template is None:
            notes.append(f"These templates are no release; recorded as {source.commit}.")
        spec = _spec(options, catalogue, source, answers, notes)
        if spec is None:
            raise KeyboardInterrupt
        files = _write(options, source, spec, use_git=use_git)
    from scaffold import outcome
    from scaffold.answers import warnings
    from scaffold.errors import VerifyError

    notes += warnings(catalogue, spec)
    written = outcome.Written(options.dir, not options.dry_run, files, spec, source, notes)
    if not options.json:
        outcome.show(written)
    steps = (
        outcome.verified(written, quiet=options.json)
        if options.verify and not options.dry_run
        else []
    )
    if options.json:
        outcome.print_json(written, steps)
    return 0 if all(step.ok for step in steps) else VerifyError.exit_status


def _spec(
    options: argparse.Namespace,
    catalogue: "Catalogue",
    source: "Source",
    answers: Mapping[str, Any],
    notes: list[str],
) -> "WorkspaceSpec | None":
    from scaffold.answers import complete, missing

    folder = options.dir.resolve().name
    quiet = options.defaults or options.answers or options.json
    if not quiet and sys.stdin.isatty() and sys.stdout.isatty():
        from scaffold import wizard
        from scaffold.render import preview

        return wizard.ask(
            catalogue,
            answers,
            folder_name=folder,
            preview=lambda spec: preview(source.root, spec.answers()),
        )
    if not (options.defaults or options.preset) and (absent := missing(answers)):
        notes.append(f"Not given, so defaulted: {', '.join(absent)}.")
    return complete(catalogue, answers, folder_name=folder)


def _write(
    options: argparse.Namespace, source: "Source", spec: "WorkspaceSpec", *, use_git: bool
) -> list[str]:
    from scaffold import repository, target
    from scaffold.render import preview, render, written

    if options.dry_run:
        return preview(source.root, spec.answers())
    outside = use_git and not repository.inside_work_tree(options.dir)
    if use_git and not outside:
        print("Note: inside a git work tree, so no repository is made.", file=sys.stderr)
    with target.staged(options.dir.resolve()) as folder:
        render(source.root, folder, spec.answers(), source=source.src_path, commit=source.commit)
        files = written(folder)
        if outside:
            repository.init(
                folder, f"Workspace from {source.src_path} {source.commit or ''}".strip()
            )
    return files
