"""Create a workspace: check the target, complete the answers, render, commit. What `new` does."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from scaffold.answers.complete import complete, list_missing
from scaffold.answers.inputs import Sources, collect
from scaffold.answers.spec import PartialSpec, WorkspaceSpec
from scaffold.answers.warnings import list_warnings
from scaffold.catalog.catalog import Catalog, load
from scaffold.catalog.estimate import describe_estimate
from scaffold.errors import AnswersError, ScaffoldError, SeveralErrors, TemplateError
from scaffold.rendering.render import Job, list_files, preview
from scaffold.sources import releases
from scaffold.sources.template import Source
from scaffold.system.paths import ANSWERS_FILE
from scaffold.workspace import target
from scaffold.workspace.create_report import CreateReport
from scaffold.workspace.target import create_repository, is_in_work_tree, require_git


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRequest:
    """What a new workspace is to be.

    Attributes:
        answers: Where the answers come from.
        defaults: Whether to be silent about answers that take their default.
        template: A folder or git URL instead of this installation's template.
        ref: A version of the template.
        verify: Whether the caller will run the workspace's own checks, which need uv.
        with_git: Whether to make a repository, unless the folder is in one.
    """

    folder: Path
    answers: Sources
    defaults: bool = False
    template: str | None = None
    ref: str | None = None
    dry_run: bool = False
    verify: bool = False
    with_git: bool = True

    @property
    def name(self) -> str:
        """The name of the folder, links resolved."""
        return Path(os.path.realpath(self.folder)).name

    @property
    def uses_git(self) -> bool:
        """Whether git is needed."""
        return self.with_git and not self.dry_run


class Ask(Protocol):
    """Asks a person for the answers; returns None when they cancel."""

    def __call__(
        self,
        catalog: Catalog,
        given: PartialSpec,
        /,
        *,
        folder_name: str,
        preview: Callable[[WorkspaceSpec], list[str]],
    ) -> WorkspaceSpec | None:
        """Return the answers."""


def create_workspace(request: CreateRequest, *, ask: Ask | None = None) -> CreateReport:
    """Write a workspace, or report what a dry run would write.

    Args:
        request: What the workspace is to be.
        ask: Asks for missing answers; without it, they take their defaults.

    Raises:
        ScaffoldError: Everything that is wrong with target, tools and answers, together.
        KeyboardInterrupt: The person who was asked cancelled.
    """
    errors = _check(request)
    with releases.open_source(request.template, request.ref) as source:
        catalog = load(source.root)
        given = collect(catalog, request.answers)
        if given.problems:
            errors.append(AnswersError(given.problems))
        notes = [*given.notes, *_describe_version(request, source)]
        if ask is None:
            notes += _list_defaulted(request, given.spec)
            spec = _complete(request, catalog, given.spec, errors)
        else:
            _raise_together(errors)
            spec = _ask(request, source, catalog, given.spec, ask)
        files, more = _write(request, source, spec)
    return CreateReport(
        folder=request.folder,
        written=not request.dry_run,
        files=files,
        spec=spec,
        source=source,
        notes=[*notes, *more, *list_warnings(catalog, spec)],
        estimate=describe_estimate(catalog, spec.selection),
    )


def _check(request: CreateRequest) -> list[ScaffoldError]:
    """Return what is wrong with the target and the tools."""
    checks: list[Callable[[], None]] = [lambda: target.require_usable(request.folder)]
    if request.uses_git:
        checks.append(require_git)
    if request.verify:
        # Most runs do not verify.
        from scaffold.workspace.verify import require_uv

        checks.append(require_uv)
    errors: list[ScaffoldError] = []
    for check in checks:
        try:
            check()
        except ScaffoldError as error:
            errors.append(error)
    return errors


def _describe_version(request: CreateRequest, source: Source) -> list[str]:
    """Return notes on a template that is not a release as it was tagged."""
    notes: list[str] = []
    if not source.released and request.template is None:
        notes.append(f"These templates are not a release; recorded as {source.commit}.")
    if changed := source.changed:
        more = f" and {len(changed) - 3} more" if len(changed) > 3 else ""
        notes.append(
            f"The template has uncommitted changes ({', '.join(changed[:3])}{more}); recorded as"
            f" {source.commit}. Commit and tag them first, or no update can start from it."
        )
    return notes


def _list_defaulted(request: CreateRequest, answers: PartialSpec) -> list[str]:
    absent = [] if request.defaults or request.answers.preset else list_missing(answers)
    return [f"Not given, so defaulted: {', '.join(absent)}."] if absent else []


def _complete(
    request: CreateRequest,
    catalog: Catalog,
    answers: PartialSpec,
    errors: Sequence[ScaffoldError],
) -> WorkspaceSpec:
    """Complete the answers. Raises their problems together with the errors so far."""
    try:
        spec = complete(catalog, answers, folder_name=request.name)
    except AnswersError as error:
        _raise_together([*errors, error])
        raise
    _raise_together(errors)
    return spec


def _ask(
    request: CreateRequest,
    source: Source,
    catalog: Catalog,
    answers: PartialSpec,
    ask: Ask,
) -> WorkspaceSpec:
    def list_paths(spec: WorkspaceSpec) -> list[str]:
        return preview(source, spec.answers())

    spec = ask(catalog, answers, folder_name=request.name, preview=list_paths)
    if spec is None:
        raise KeyboardInterrupt
    return spec


def _raise_together(errors: Sequence[ScaffoldError]) -> None:
    if errors:
        raise errors[0] if len(errors) == 1 else SeveralErrors(errors)


def _write(
    request: CreateRequest, source: Source, spec: WorkspaceSpec
) -> tuple[list[str], list[str]]:
    """Render into the target. Return the files, and notes."""
    if request.dry_run:
        return _require_answers_file(preview(source, spec.answers())), []
    makes_repository = request.uses_git and not is_in_work_tree(request.folder)
    inside = request.uses_git and not makes_repository
    with target.stage(request.folder.resolve()) as folder:
        Job(source, spec.answers(), folder).run()
        files = _require_answers_file(list_files(folder))
        if makes_repository:
            version = f"{source.src_path} {source.commit or ''}".strip()
            create_repository(folder, f"Workspace from {version}")
    return files, ["The folder is in a git work tree, so no repository is made."] if inside else []


def _require_answers_file(files: list[str]) -> list[str]:
    """Return the files, among them the one that makes a workspace of a folder."""
    if ANSWERS_FILE not in files:
        raise TemplateError(
            f"The template renders no {ANSWERS_FILE}; copy"
            " `templates/{{ _copier_conf.answers_file }}.jinja` from scaffold's own template."
        )
    return files
