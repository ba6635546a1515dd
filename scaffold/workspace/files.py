"""The two files of a workspace that are read here: its recorded answers, and its chains.

People edit both, so neither is sure to have its shape.
"""

import json
import shlex
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from scaffold.catalog.kinds import ChainModels
from scaffold.errors import AnswersError, Problem, TargetError
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


def read_chains(folder: Path) -> dict[str, list[str]]:
    """Return chain name → models in a workspace's fleet.toml; empty where it cannot be read."""
    try:
        table = tomllib.loads((folder / "fleet.toml").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    chains = table.get("chains")
    if not isinstance(chains, dict):
        return {}
    tables = cast(dict[str, object], chains)
    return {name: _models(chain) for name, chain in tables.items()}


def _models(chain: object) -> list[str]:
    models: object = cast(dict[str, object], chain).get("models") if isinstance(chain, dict) else []
    return [str(ref) for ref in cast(list[object], models)] if isinstance(models, list) else []


def require_unused(workspace: AnswersFile, answered: ChainModels, provider: str) -> None:
    """Raise AnswersError while a chain, answered or written by hand, asks this provider."""
    problems = [
        Problem(f"chains.{name}", f"asks {provider}", _hint_without(answered, provider))
        for name in find_chains(answered, provider)[:1]
    ]
    recorded: ChainModels = workspace.answers.get("chains") or {}
    for name, refs in read_chains(workspace.folder).items():
        own = [ref for ref in refs if ref not in recorded.get(name, [])]
        if find_chains({name: own}, provider):
            what = f"asks {provider} in fleet.toml"
            problems.append(Problem(f"chains.{name}", what, "take it out there and commit"))
    if problems:
        raise AnswersError(problems)


def find_chains(chains: ChainModels, provider: str) -> list[str]:
    """Return the chains that name a model of this provider."""
    prefix = f"{provider}:"
    return [name for name, refs in chains.items() if any(ref.startswith(prefix) for ref in refs)]


def _hint_without(chains: ChainModels, provider: str) -> str:
    left = {
        name: [ref for ref in chains[name] if not ref.startswith(f"{provider}:")]
        for name in find_chains(chains, provider)
    }
    # JSON is YAML as well, and its double quotes need no escape inside the shell's single ones.
    return f"take it out with --set {shlex.quote(f'chains={json.dumps(left)}')}"
