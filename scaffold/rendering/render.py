"""A template folder and answers become files: the one place that calls copier.

Our own templates are rendered in this process, anybody else's in a confined one. An update needs
two renders, which run at once.
"""

import pickle
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scaffold.errors import ScaffoldError, TemplateError, is_system_error, printable
from scaffold.rendering import confined
from scaffold.rendering.confined import LIMITS, Child, Limits
from scaffold.sources.template import Source
from scaffold.system.paths import ANSWERS_FILE, find_unfit
from scaffold.system.signals import work_folder

_RECORDED = re.compile(r"^(?:_commit|_src_path):.*\n(?:[ \t].*\n)*", re.MULTILINE)


def render(
    root: Path, target: Path, answers: Mapping[str, Any], *, source: str, commit: str | None
) -> None:
    """Render the template in `root` into `target`, a new or empty folder.

    Never runs a template's own code.

    Args:
        root: A folder with `copier.yml` and `templates/`.
        target: The folder to fill.
        answers: An answer for each question; the rest take their defaults.
        source: What to record as the template's address in the answers file.
        commit: What to record as its version.

    Raises:
        TemplateError: The template cannot be rendered, or renders a link or a device.
    """
    if error := _run_copier(root, target, answers):
        raise error
    _require_plain(target)
    _record(target / ANSWERS_FILE, source, commit)


def _run_copier(root: Path, target: Path, answers: Mapping[str, Any]) -> ScaffoldError | None:
    """Let copier render. Return what is wrong with the template, without copier's frames."""
    # Imported here: copier takes longer than everything else together.
    import copier
    from plumbum import local

    from scaffold.rendering.patches import patch_jinja

    # Without git copier takes the folder as it is, instead of its latest tag. What it leaves open
    # when it stops is closed with its frames.
    with warnings.catch_warnings(), local.env(PATH=""), patch_jinja():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            copier.run_copy(
                str(root.resolve()),
                target.resolve(),
                data=dict(answers),
                settings=copier.Settings(),
                defaults=True,
                overwrite=True,
                quiet=True,
            )
        except ScaffoldError as error:
            return TemplateError(*error.pairs[0])
        except Exception as error:
            if is_system_error(error):
                raise
            # Most templates have no mistake.
            from scaffold.rendering.mistakes import explain

            return explain(error, root)
    return None


def list_files(folder: Path) -> list[str]:
    """Return the files of a folder, sorted, as relative POSIX paths."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())


def _require_plain(target: Path) -> None:
    """Refuse what git would take for its own, and links and devices: before any git runs there."""
    if found := find_unfit(target):
        path, what = found
        name = printable(str(path), 200)
        raise TemplateError(
            f"The template renders {name}, which {what}; take it out of the template."
        )


def _record(path: Path, source: str, commit: str | None) -> None:
    # Copier records no commit of a template that is not a git clone.
    if not path.is_file():
        return
    import yaml

    facts = {"_commit": commit, "_src_path": source} if commit else {"_src_path": source}
    lines = yaml.safe_dump(facts, allow_unicode=True, width=10_000)
    text, places = _RECORDED.subn("\0", path.read_text("utf-8"))
    if places:
        path.write_text(text.replace("\0", lines, 1).replace("\0", ""), "utf-8", newline="\n")


@dataclass(frozen=True, slots=True)
class Job:
    """A template, the answers to render it with, and the folder to fill."""

    source: Source
    answers: Mapping[str, Any]
    target: Path
    limits: Limits = LIMITS

    def run(self) -> None:
        """Render. Raises TemplateError, OSError for what the system refused."""
        if self.source.trusted:
            self.run_here()
            return
        with work_folder() as folder:
            self.start(folder / "job").wait()

    def run_here(self) -> None:
        """Render in this process."""
        source, target = self.source, self.target
        render(source.root, target, self.answers, source=source.src_path, commit=source.commit)

    def start(self, path: Path) -> Child:
        """Start the render in a process of its own, which reads the job from a file at `path`."""
        plain = replace(self, target=self.target.resolve(), answers=dict(self.answers))
        path.write_bytes(pickle.dumps(plain))
        return confined.start(path, self.limits)


def render_both(before: Job, after: Job) -> None:
    """Render two jobs at once. Raises TemplateError that says which of them cannot be rendered."""
    # Copier's environment and working directory belong to the process, so threads would not do;
    # multiprocessing would start the program's main module again.
    another = before.start(before.target.with_name(f"{before.target.name}.job"))
    try:
        after.run()
    except BaseException:
        another.stop()
        raise
    try:
        another.wait()
    except TemplateError as error:
        problem, hint = error.pairs[0]
        recorded = f"As the answers file records it ({before.source.commit})"
        raise TemplateError(f"{recorded}, {problem}", hint) from None


def preview(source: Source, answers: Mapping[str, Any]) -> list[str]:
    """Return the paths that a render would write, as `list_files` does."""
    with work_folder() as folder:
        Job(source, answers, folder / "render").run()
        return list_files(folder / "render")


def run_job(path: str) -> int:
    """Run the job in a file, in a process of its own. Return its exit status; see `confined`."""
    job: Job = pickle.loads(Path(path).read_bytes())

    def work() -> None:
        if not job.source.trusted:
            job.target.mkdir(parents=True, exist_ok=True)
            confined.confine(job.source.root, job.target, job.limits)
        job.run_here()

    return confined.report(work, job.limits)
