"""What a template must be to be rendered: it runs no code, stays in its folder, and suits us."""

import os
import re
from collections.abc import Iterator, Mapping
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any, cast

from scaffold.catalog.core_settings import OLDEST_KEY
from scaffold.errors import TemplateError, printable
from scaffold.system import yaml
from scaffold.system.paths import ANSWERS_FILE, is_git_name
from scaffold.system.versions import is_newer, parse_version

MOST_FILES = 20_000
_QUESTIONS = "copier.yml"
# What copier would run, all of it only with --trust.
_RUN_CODE = ("_tasks", "_migrations", "_jinja_extensions")
# They read other files, keep links as links, or keep an answer out of the answers file.
_LEAD_OUT = ("_external_data", "_preserve_symlinks", "_secret_questions")
# Updates find templates and answers there.
_FIXED = {"_subdirectory": "templates", "_answers_file": ANSWERS_FILE}
# Options of Jinja that change neither what is a tag nor what is safe.
_ENVOPS = {
    "undefined": ("jinja2.StrictUndefined", "jinja2.Undefined"),
    **dict.fromkeys(("trim_blocks", "lstrip_blocks", "keep_trailing_newline"), (True, False)),
}
_ASKED = ("project_name", "package")
_GENERATE = "write it with `python -m scaffold.catalog.copier_questions` (docs/own-templates.md)"


def require_safe_template(root: Path, name: str) -> None:
    """Raise TemplateError unless it is a template that runs no code and suits this scaffold."""
    _require_own_files(root, name)
    settings = _settings(root / _QUESTIONS, name)
    wanted = [key for key in _RUN_CODE if settings.get(key)]
    if wanted:
        raise TemplateError(
            f"{name} asks for {', '.join(wanted)}; scaffold runs no template's code."
        )
    _require_plain_settings(settings, name)
    _require_suited(settings, name)


def _require_plain_settings(settings: Mapping[str, Any], name: str) -> None:
    """Refuse settings of copier that read or write elsewhere, or hide what an update needs."""
    where = f"The {_QUESTIONS} of {name}"
    for key in _LEAD_OUT:
        if settings.get(key):
            raise TemplateError(f"{where} has {key}, which scaffold does not take; take it out.")
    for key, only in _FIXED.items():
        if settings.get(key, only) != only:
            raise TemplateError(
                f"{where} has another {key} than scaffold reads; write `{key}: {only}`."
            )
    lists = ("_exclude", "_skip_if_exists")
    if wrong := [key for key in lists if not _are_texts(settings.get(key, []))]:
        raise TemplateError(
            f"{where} has {wrong[0]} that is not a list of texts; write one pattern a line."
        )
    if not isinstance(settings.get("_templates_suffix") or "", str):
        raise TemplateError(f"{where} has _templates_suffix that is not text; write `.jinja`.")
    options: object = settings.get("_envops") or {}
    if not _is_map(options):
        raise TemplateError(f"{where} has _envops that is not a mapping; leave it out.")
    for key, value in cast(dict[object, object], options).items():
        allowed = _ENVOPS.get(str(key))
        if allowed is None or value not in allowed:
            raise TemplateError(
                f"{where} sets _envops.{printable(str(key))} to {printable(str(value))}, which"
                f" scaffold does not take; leave it out, or choose from {', '.join(_ENVOPS)}."
            )


def _require_suited(settings: Mapping[str, Any], name: str) -> None:
    oldest, ours = str(settings.get(OLDEST_KEY, "0")), version_of("fleet-scaffold")
    if parse_version(oldest) is None:
        raise TemplateError(
            f"{OLDEST_KEY} in the {_QUESTIONS} of {name} is not a version: {printable(oldest)};"
            f" write one such as {ours}."
        )
    if is_newer(oldest, ours):
        raise TemplateError(f"{name} needs scaffold {oldest}, this is {ours}; upgrade scaffold.")


def _settings(path: Path, name: str) -> dict[str, Any]:
    if not path.is_file():
        raise TemplateError(
            f"{name} has no {_QUESTIONS}; name the folder or repository of a template."
        )
    try:
        settings: object = yaml.load_trusted(yaml.read_text(path))
    except yaml.KeyTwiceError as error:
        raise TemplateError(f"{name}/{_QUESTIONS} {error}; keep one of them.") from None
    except yaml.UNREADABLE as error:
        place = yaml.describe_place(error)
        raise TemplateError(
            f"{name}/{_QUESTIONS}{place} is not YAML of one document:"
            f" {yaml.describe_problem(error)}",
            "mend that line; `!include` and other tags are not taken",
        ) from None
    if settings is None:
        raise TemplateError(f"{name}/{_QUESTIONS} is empty", _GENERATE)
    keys = list(cast(dict[object, object], settings)) if _is_map(settings) else [None]
    if not all(isinstance(key, str) for key in keys):
        raise TemplateError(f"{name}/{_QUESTIONS} is not a mapping of questions", _GENERATE)
    table = cast(dict[str, Any], settings)
    misshapen = [key for key, value in table.items() if key[:1] != "_" and isinstance(value, list)]
    if misshapen:
        raise TemplateError(
            f"{name}/{_QUESTIONS}: the question {printable(misshapen[0])} is a list; write a"
            " mapping with `type` and `default`."
        )
    if missing := [key for key in _ASKED if key not in table]:
        raise TemplateError(f"{name}/{_QUESTIONS} does not ask for {missing[0]}", _GENERATE)
    return table


def _are_texts(value: object) -> bool:
    if not isinstance(value, list):
        return False
    return all(isinstance(one, str) for one in cast(list[object], value))


def _is_map(value: object) -> bool:
    return isinstance(value, dict)


def _require_own_files(root: Path, name: str) -> None:
    """Refuse links that lead out of the template, devices, and repositories inside it."""
    for number, entry in enumerate(_entries(root)):
        path = Path(entry.path)
        parts = path.relative_to(root).parts
        inside = printable("/".join(parts), 200)
        if number > MOST_FILES:
            raise TemplateError(f"{name} has more than {MOST_FILES:,} files; take some out.")
        if is_git_name(re.sub(r"\.jinja$", "", entry.name)):
            raise TemplateError(
                f"{name} has {inside}: a git submodule, or a repository of its own; commit its"
                " files to the template itself, without .git."
            )
        if entry.is_symlink() and not _stays_inside(path, root):
            raise TemplateError(
                f"{name} has {inside}, a link that leads out of the template or to a folder; put"
                " the file itself there."
            )
        if not (entry.is_dir() or entry.is_file()):
            raise TemplateError(f"{name} has {inside}, which is not a file; take it out.")


def _entries(root: Path) -> Iterator[os.DirEntry[str]]:
    """Yield copier.yml and everything below templates/; links are named, not followed."""
    with os.scandir(root) as top:
        waiting = [entry for entry in top if entry.name in (_QUESTIONS, _FIXED["_subdirectory"])]
    while waiting:
        entry = waiting.pop()
        yield entry
        if entry.is_dir(follow_symlinks=False):
            with os.scandir(entry.path) as inner:
                waiting += inner


def _stays_inside(path: Path, root: Path) -> bool:
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError):
        return False
    home = root.resolve()
    in_git = home / ".git"
    return real.is_file() and real.is_relative_to(home) and not real.is_relative_to(in_git)
