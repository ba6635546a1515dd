"""The one place that calls copier: a template folder and answers become files."""

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from scaffold import yaml_text
from scaffold.errors import TemplateError
from scaffold.temporary import work_folder

_RECORDED = re.compile(r"^(?:_commit|_src_path):.*\n(?:[ \t].*\n)*", re.MULTILINE)


def render(
    root: Path, target: Path, answers: Mapping[str, Any], *, source: str, commit: str | None
) -> None:
    """Render the template in `root` into `target`, a new or empty folder.

    `source` and `commit` are recorded as the template's origin in the answers file.
    Raises TemplateError, never runs a template's own code.
    """
    # Imported here: copier takes longer than everything else together.
    import copier
    from copier.errors import CopierError
    from plumbum import local

    try:
        # Without git copier takes the folder as it is, instead of its latest tag.
        with local.env(PATH=""), _compiled_once(), yaml_text.for_copier():
            worker = copier.run_copy(
                str(root.resolve()),
                target.resolve(),
                data=dict(answers),
                settings=copier.Settings(),
                defaults=True,
                overwrite=True,
                quiet=True,
            )
    except KeyboardInterrupt:
        raise
    except (CopierError, ValueError, LookupError) as error:
        raise TemplateError(_advice(error)) from error
    _record(target / worker.answers_relpath, source, commit)


def preview(root: Path, answers: Mapping[str, Any]) -> list[str]:
    """The paths a render would write, sorted, with `/` between their parts; writes nothing."""
    with work_folder() as folder:
        render(root, folder, answers, source="", commit=None)
        return written(folder)


def written(folder: Path) -> list[str]:
    """The files of a folder, sorted, as relative POSIX paths."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())


@contextmanager
def _compiled_once() -> Generator[None]:
    """Copier compiles the parts of every path anew, most of them dozens of times: remember them."""
    from jinja2 import Environment

    patched: Any = Environment
    compiled: dict[Any, Any] = {}
    original = patched.compile

    def compile_once(self: Environment, source: Any, *args: Any, **options: Any) -> Any:
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


def _advice(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return f"the template cannot be rendered: {text[:300]}; take another version or --template."
