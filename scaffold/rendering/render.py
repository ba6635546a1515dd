"""The one place that calls copier: a template folder and answers become files."""

import re
import warnings
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakSet

from scaffold.errors import ScaffoldError, TemplateError, is_system_error, printable
from scaffold.rendering.mistakes import explain
from scaffold.system import yaml as yaml_text
from scaffold.system.paths import find_unfit
from scaffold.system.signals import work_folder
from scaffold.workspace.files import ANSWERS_FILE

_RECORDED = re.compile(r"^(?:_commit|_src_path):.*\n(?:[ \t].*\n)*", re.MULTILINE)


_OUTWARD = ("expanduser", "expandvars", "fileglob", "realpath", "relpath")
"""Filters of copier's that read this machine: its files, its variables, where it is."""


def render(
    root: Path, target: Path, answers: Mapping[str, Any], *, source: str, commit: str | None
) -> None:
    """Render the template in `root` into `target`, a new or empty folder.

    `source` and `commit` are recorded as the template's origin in the answers file.
    Raises TemplateError, never runs a template's own code.
    """
    if problem := _refusal(root, target, answers):
        raise problem
    _require_plain(target)
    _record(target / ANSWERS_FILE, source, commit)


def _refusal(root: Path, target: Path, answers: Mapping[str, Any]) -> ScaffoldError | None:
    """Let copier render; return what is wrong with the template, without copier's frames."""
    # Imported here: copier takes longer than everything else together.
    import copier
    from plumbum import local

    # Without git copier takes the folder as it is, instead of its latest tag. What it leaves open
    # when it stops is closed with its frames.
    with warnings.catch_warnings(), local.env(PATH=""), _compiled_once(), yaml_text.for_copier():
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
            return explain(error, root)
    return None


def preview(root: Path, answers: Mapping[str, Any]) -> list[str]:
    """The paths a render would write, sorted, with `/` between their parts; writes nothing."""
    with work_folder() as folder:
        render(root, folder, answers, source="", commit=None)
        return list_files(folder)


def list_files(folder: Path) -> list[str]:
    """The files of a folder, sorted, as relative POSIX paths."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())


def _refuse(*_: object, **__: object) -> str:
    filters = ", ".join(_OUTWARD)
    raise TemplateError(
        f"The template uses a filter that reads this machine ({filters}); take it out."
    )


def _require_plain(target: Path) -> None:
    """Refuse what git would take for its own, and what is no file: before any git runs there."""
    if found := find_unfit(target):
        path, what = found
        raise TemplateError(
            f"The template renders {printable(str(path), 200)}, which {what}; take it out of the template."
        )


@contextmanager
def _compiled_once() -> Generator[None]:
    """Copier compiles the parts of every path anew, most of them dozens of times: remember them."""
    from jinja2 import Environment

    patched: Any = Environment
    compiled: dict[Any, Any] = {}
    disarmed: WeakSet[Environment] = WeakSet()
    original = patched.compile

    def compile_once(self: Environment, source: Any, *args: Any, **options: Any) -> Any:
        if self not in disarmed:
            untyped: Any = self
            untyped.filters.update(dict.fromkeys(_OUTWARD, _refuse))
            disarmed.add(self)
        key = (self, source, args, tuple(options.items()))
        if key not in compiled:
            compiled[key] = original(self, source, *args, **options)
        elif isinstance(source, str):
            # Copier's yield tag resets itself whenever a source passes through here.
            self.preprocess(source)
        return compiled[key]

    patched.compile = compile_once
    try:
        yield
    finally:
        patched.compile = original


def _record(path: Path, source: str, commit: str | None) -> None:
    # A template that is no git clone has no commit for copier to record.
    if not path.is_file():
        return
    import yaml

    facts = {"_commit": commit, "_src_path": source} if commit else {"_src_path": source}
    lines = yaml.safe_dump(facts, allow_unicode=True, width=10_000)
    text, places = _RECORDED.subn("\0", path.read_text("utf-8"))
    if places:
        path.write_text(text.replace("\0", lines, 1).replace("\0", ""), "utf-8", newline="\n")
