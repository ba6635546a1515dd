"""Two renders at a time, each in a process of its own."""

from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from scaffold.errors import TemplateError
from scaffold.render import render
from scaffold.template import Source


@dataclass(frozen=True, slots=True)
class Job:
    """A template, the answers to render it with, and the folder to fill."""

    source: Source
    answers: Mapping[str, Any]
    target: Path

    def run(self) -> None:
        """Render. Raises TemplateError."""
        source = self.source
        render(
            source.root,
            self.target,
            self.answers,
            source=source.src_path,
            commit=source.commit,
        )


def both(before: Job, after: Job) -> None:
    """Render two jobs. Raises TemplateError that says which of them cannot be.

    Copier's environment and working directory belong to the process, so threads would not do.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as another:
        first = another.submit(before.run)
        after.run()
        try:
            first.result()
        except TemplateError as error:
            raise TemplateError(
                f"As the answers file records it ({before.source.commit}), {error}"
            ) from None
