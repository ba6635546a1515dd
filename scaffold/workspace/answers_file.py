"""Read `.copier-answers.yml`: what a workspace records of its template, and people edit as well."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from scaffold.errors import TargetError
from scaffold.system import yaml
from scaffold.system.paths import ANSWERS_FILE


@dataclass(frozen=True, slots=True)
class AnswersFile:
    """A workspace's folder, its template's address and version, and its answers."""

    folder: Path
    src_path: str
    commit: str
    answers: dict[str, Any]


_HINTS = {
    "_src_path": "write the template's folder or git URL there",
    "_commit": "write the version it was rendered from there, such as `_commit: v0.1.0`"
    " (a template without git has no versions to update to)",
}


def read_answers_file(folder: Path) -> AnswersFile:
    """Read a workspace's answers file. Raises TargetError that says what to write where."""
    path = folder.absolute() / ANSWERS_FILE
    table = _read_table(path)
    for key, hint in _HINTS.items():
        value = table.get(key)
        if value is None:
            raise TargetError(f"{path} has no {key}; {hint}.")
        if not isinstance(value, str) or not value.strip():
            raise TargetError(f"{key} in {path} should be text; {hint}.")
    answers = {key: value for key, value in table.items() if not key.startswith("_")}
    return AnswersFile(path.parent, str(table["_src_path"]), str(table["_commit"]), answers)


def _read_table(path: Path) -> dict[str, Any]:
    _require_own_file(path)
    try:
        text = yaml.read_text(path)
        _require_no_conflict(path, text)
        table: object = yaml.load(text)
    except OSError as error:
        raise TargetError(
            f"{path} cannot be read ({error.strerror}); restore it from git."
        ) from None
    except yaml.KeyTwiceError as error:
        raise TargetError(f"{path} {error}; keep one of them.") from None
    except yaml.UNREADABLE as error:
        place = yaml.describe_place(error).replace(":", ", line ")
        reason = f"{yaml.describe_problem(error)}{place}"
        raise TargetError(
            f"{path} is not YAML ({reason}); mend it or restore it from git."
        ) from None
    if not isinstance(table, dict):
        raise TargetError(f"{path} holds no answers; restore it from git.")
    return {str(key): value for key, value in cast(dict[object, Any], table).items()}


def _require_own_file(path: Path) -> None:
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise TargetError(f"{path} is not a file of its own; put the answers themselves there.")
    if not path.is_file():
        raise TargetError(
            f"{path.parent} is not a workspace: it has no {ANSWERS_FILE}; name another."
        )


def _require_no_conflict(path: Path, text: str) -> None:
    if text.startswith("<<<<<<< ") or "\n<<<<<<< " in text:
        raise TargetError(
            f"{path} holds conflict markers; solve them and commit, or `scaffold update --abort`."
        )
