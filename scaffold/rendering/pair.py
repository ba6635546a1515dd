"""One render, or the two of an update: ours in this process, anybody else's in a confined one."""

import pickle
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from scaffold.errors import TemplateError
from scaffold.rendering import confined
from scaffold.rendering.confined import LIMITS, Child, Limits
from scaffold.rendering.render import list_files, render
from scaffold.sources.template import Source
from scaffold.system.signals import work_folder


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
