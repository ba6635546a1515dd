"""From a command line to a new workspace: checked, asked for, rendered. What `new` does."""

import argparse
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from scaffold.answers.complete import complete, list_missing
from scaffold.answers.inputs import Inputs, Sources, collect
from scaffold.answers.spec import WorkspaceSpec
from scaffold.answers.warnings import list_warnings
from scaffold.catalog.catalog import Catalogue, load
from scaffold.catalog.estimate import describe_estimate
from scaffold.errors import AnswersError, ScaffoldError, SeveralErrors, TemplateError, ToolError
from scaffold.rendering.pair import Job, preview
from scaffold.rendering.render import list_files
from scaffold.sources import releases
from scaffold.sources.releases import Source
from scaffold.system.git import GitError, git, is_installed
from scaffold.workspace import target, verify
from scaffold.workspace.created import Written
from scaffold.workspace.files import ANSWERS_FILE

_NEUTRAL = {"user.name": "scaffold", "user.email": "scaffold@localhost"}


def require_git() -> None:
    """Raise ToolError if there is no git."""
    if not is_installed():
        raise ToolError("git is not installed; install it, or pass --no-git (updates need git).")


def inside_work_tree(path: Path) -> bool:
    """Whether a folder, or the nearest one above it that exists, is in a git work tree."""
    place = path.absolute()
    while not place.is_dir():
        place = place.parent
    try:
        return git("rev-parse", "--is-inside-work-tree", cwd=place) == "true"
    except GitError:
        return False


def init(folder: Path, message: str) -> None:
    """Make a repository with one commit; no hook runs and nothing is signed."""
    try:
        git("init", "--quiet", "--initial-branch=main", cwd=folder)
        _add_rendered(folder)
        unsigned = ("-c", "commit.gpgSign=false")
        git(*identity(folder), *unsigned, "commit", "--quiet", "--message", message, cwd=folder)
    except GitError as error:
        raise ToolError(f"git failed: {error}; pass --no-git to go on without it.") from None


def _add_rendered(folder: Path) -> None:
    """Add every file but what the workspace's own .gitignore names.

    The user's ignore files do not count: an update takes every rendered file as committed.
    """
    listed = ("ls-files", "--others", "--exclude-per-directory=.gitignore", "-z")
    paths = git(*listed, cwd=folder)
    literal = {"GIT_LITERAL_PATHSPECS": "1"}
    add = ("add", "--force", "--pathspec-from-file=-", "--pathspec-file-nul")
    git(*add, cwd=folder, env=literal, feed=paths)


def identity(folder: Path) -> list[str]:
    """Options that name an author where the user's settings leave name or address out."""
    words: list[str] = []
    for key, value in _NEUTRAL.items():
        if not git("config", key, cwd=folder, allowed=(0, 1)):
            words += ["-c", f"{key}={value}"]
    return words


Refused = list[ScaffoldError]


@dataclass(frozen=True, slots=True)
class _Order:
    """What a command line asks for, the template it is of, and what was refused of it so far."""

    options: argparse.Namespace
    source: Source
    catalogue: Catalogue
    inputs: Inputs
    notes: list[str]
    refused: Refused


def made(options: argparse.Namespace) -> Written:
    """Write a workspace, or say what a dry run would. Raises what was refused, all together."""
    refused = _refused(options)
    with releases.open_source(options.template, options.ref) as source:
        catalogue = load(source.root)
        sources = Sources(preset=options.preset, file=options.answers, values=options.set)
        inputs = collect(catalogue, sources)
        notes = [*inputs.notes]
        if not source.released and options.template is None:
            notes.append(f"These templates are not a release; recorded as {source.commit}.")
        if source.changed:
            notes.append(_of_changes(source))
        if inputs.problems:
            refused.append(AnswersError(inputs.problems))
        order = _Order(options, source, catalogue, inputs, notes, refused)
        spec = _asked(order) if _in_a_terminal(options) else _completed(order)
        files = _write(options, source, spec)
    notes += list_warnings(catalogue, spec)
    told = describe_estimate(catalogue, spec.selection)
    return Written(options.dir, not options.dry_run, files, spec, source, notes, told)


def _of_changes(source: Source) -> str:
    more = f" and {len(source.changed) - 3} more" if len(source.changed) > 3 else ""
    return (
        f"The template has uncommitted changes ({', '.join(source.changed[:3])}{more}); recorded as"
        f" {source.commit}. Commit and tag them first, or there is no version to update from."
    )


def _refused(options: argparse.Namespace) -> Refused:
    """What is wrong with the target and the tools."""
    checks: list[Callable[[], object]] = [lambda: target.check(options.dir)]
    if _uses_git(options):
        checks.append(require_git)
    if options.verify:
        checks.append(verify.require_uv)
    refused: Refused = []
    for check in checks:
        try:
            check()
        except ScaffoldError as error:
            refused.append(error)
    return refused


def _in_a_terminal(options: argparse.Namespace) -> bool:
    quiet = options.defaults or options.answers or options.json
    return not quiet and sys.stdin.isatty() and sys.stdout.isatty()


def _completed(order: _Order) -> WorkspaceSpec:
    options, given = order.options, order.inputs.spec
    if not (options.defaults or options.preset) and (absent := list_missing(given)):
        order.notes.append(f"Not given, so defaulted: {', '.join(absent)}.")
    try:
        spec = complete(order.catalogue, given, folder_name=_name(options))
    except AnswersError as error:
        raise _together([*order.refused, error]) from None
    if order.refused:
        raise _together(order.refused)
    return spec


def _asked(order: _Order) -> WorkspaceSpec:
    # Questionary takes a while to import, and most runs ask nothing.
    from scaffold.wizard import screens

    if order.refused:
        raise _together(order.refused)
    spec = screens.ask(
        order.catalogue,
        order.inputs.spec,
        folder_name=_name(order.options),
        preview=lambda spec: preview(order.source, spec.answers()),
    )
    if spec is None:
        raise KeyboardInterrupt
    return spec


def _name(options: argparse.Namespace) -> str:
    return Path(os.path.realpath(options.dir)).name


def _together(refused: Refused) -> ScaffoldError:
    return refused[0] if len(refused) == 1 else SeveralErrors(refused)


def _uses_git(options: argparse.Namespace) -> bool:
    return not (options.no_git or options.dry_run)


def _write(options: argparse.Namespace, source: Source, spec: WorkspaceSpec) -> list[str]:
    if options.dry_run:
        return _with_answers_file(preview(source, spec.answers()))
    own_repository = _uses_git(options) and not inside_work_tree(options.dir)
    if _uses_git(options) and not own_repository:
        print("Note: inside a git work tree, so no repository is made.", file=sys.stderr)
    with target.staged(options.dir.resolve()) as folder:
        Job(source, spec.answers(), folder).run()
        files = _with_answers_file(list_files(folder))
        if own_repository:
            version = f"{source.src_path} {source.commit or ''}".strip()
            init(folder, f"Workspace from {version}")
    return files


def _with_answers_file(files: list[str]) -> list[str]:
    """The files, among them the one that makes a workspace of a folder."""
    if ANSWERS_FILE not in files:
        raise TemplateError(
            f"The template renders no {ANSWERS_FILE}; copy"
            " `templates/{{ _copier_conf.answers_file }}.jinja` from scaffold's own template."
        )
    return files
