"""Explain a mistake in a template by its file and line instead of a traceback."""

import re
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import NamedTuple

from scaffold.errors import TemplateError, printable
from scaffold.system import yaml

QUESTIONS = "copier.yml"
_MEND = "mend that line, then run it again"
_HINTS = {
    "UndefinedError": "use a key of copier.yml there, or give it a default: `| default('')`",
    "TemplateSyntaxError": "mend the Jinja of that line",
    "TemplateNotFound": "add that file, or write its path from the template's root",
    "YieldTagInFileError": "use `yield` in a file's name only, and `for` in its text",
    "MultipleYieldTagsError": "use one `yield` in a path",
    "SecurityError": "use plain values there: templates run in a sandbox",
    "ForbiddenPathError": "keep every path inside the template, and inside the workspace",
    "MemoryError": "render less at once: a template may use 1 GB",
    "UnsupportedVersionError": "install a newer scaffold, which brings a newer copier",
    "AssertionError": "render a file or a folder of that name, not both",
    "UnicodeDecodeError": "save that file as UTF-8, or take `.jinja` off its name",
}
_SETTINGS = ("exclude", "skip_if_exists", "templates_suffix", "envops", "min_copier_version")


class _Place(NamedTuple):
    """Where a mistake is: a file, or a question of copier.yml, and the line if it is known."""

    file: str
    line: int | None = None


def explain(error: BaseException, root: Path) -> TemplateError:
    """Return the error of a render as one that names file, line and what to do."""
    name = type(error).__name__
    place = _place(error, root)
    line = f":{place.line}" if place.line else ""
    # Copier wraps some errors in others.
    whole = [error, *([error.__cause__] if error.__cause__ else [])]
    kinds = [kind.__name__ for one in whole for kind in type(one).__mro__]
    hint = next((_HINTS[kind] for kind in kinds if kind in _HINTS), _MEND)
    if "UndefinedError" in kinds and not place.line and place.file.startswith("templates/{{"):
        hint = f"{hint}; after adding a feature, run `python -m scaffold.catalog.copier_questions`"
    return TemplateError(f"{printable(place.file, 160)}{line}: {_text(error, name)}", hint)


def _text(error: BaseException, name: str) -> str:
    if name == "AssertionError":
        return "it is a file in one feature and a folder in another"
    if name == "TemplateNotFound":
        return f"the template has no file {getattr(error, 'name', None) or error}"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8 text"
    words = " ".join((str(error).strip() or name).split())
    words = re.sub(r"^Error rendering template path .*?: ", "", words)
    words = re.sub(r" For further information visit \S+", "", words)
    words = re.sub(r"^File .*? contains a yield tag, but", "it contains a yield tag, but", words)
    kept = words[:240].rstrip(".")
    # A bare `'x'` or `division by zero` says little without its kind.
    return kept if " " in kept and not isinstance(error, LookupError) else f"{name}: {kept}"


def _place(error: BaseException, root: Path) -> _Place:
    """Return the file that copier was at, and the innermost line of Jinja."""
    # Copier's exceptions do not say where it was: the local variables of its own functions do.
    frames = list(_frames(error.__traceback__))
    file = next(filter(None, (_file_of(frame, root) for frame, _ in reversed(frames))), None)
    syntax = "TemplateSyntaxError" in [kind.__name__ for kind in type(error).__mro__]
    number = getattr(error, "lineno", None) if syntax else None
    inner = getattr(error, "filename", None) if syntax else None
    for frame, line in frames:
        name = frame.f_code.co_filename
        if number is None and (name == "<template>" or _inside(name, root)):
            number = line
            inner = name if name != "<template>" else None
            break
    if isinstance(inner, str) and _inside(inner, root):
        return _Place(str(Path(inner).resolve().relative_to(root.resolve())), number)
    if any(frame.f_code.co_name in ("match_exclude", "match_skip") for frame, _ in frames):
        return _Place(f"{QUESTIONS} (_exclude or _skip_if_exists)")
    if file and file.startswith("templates/"):
        return _Place(file)
    return _place_of_question(frames, root)


def _place_of_question(frames: list[tuple[FrameType, int]], root: Path) -> _Place:
    for frame, _ in reversed(frames):
        if frame.f_code.co_name == "_ask" and isinstance(
            key := frame.f_locals.get("var_name"), str
        ):
            try:
                line = yaml.find_line(yaml.read_text(root / QUESTIONS), [key])
            except (OSError, *yaml.UNREADABLE):
                return _Place(QUESTIONS)
            return _Place(QUESTIONS, line)
    setting = next((f.f_code.co_name for f, _ in frames if f.f_code.co_name in _SETTINGS), None)
    return _Place(f"{QUESTIONS} (_{setting})" if setting else QUESTIONS)


def _file_of(frame: FrameType, root: Path) -> str | None:
    """Return what copier's own functions call the file they are at."""
    key = {
        "_render_file": "src_relpath",
        "_render_path": "relpath",
        "_render_template": "src_abspath",
    }
    value = frame.f_locals.get(key.get(frame.f_code.co_name, ""))
    if not isinstance(value, Path):
        return None
    if value.is_absolute():
        return str(value.relative_to(root.resolve())) if _inside(str(value), root) else None
    under = frame.f_code.co_name == "_render_path"
    return str(Path("templates", value) if under else value)


def _inside(name: str, root: Path) -> bool:
    return Path(name).is_absolute() and Path(name).resolve().is_relative_to(root.resolve())


def _frames(traceback: TracebackType | None) -> Iterator[tuple[FrameType, int]]:
    """Yield the frames of a traceback, innermost first, each with its line."""
    found: list[tuple[FrameType, int]] = []
    while traceback:
        found.append((traceback.tb_frame, traceback.tb_lineno))
        traceback = traceback.tb_next
    yield from reversed(found)
