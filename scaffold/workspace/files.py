"""What a workspace records of its template: `.copier-answers.yml`, which people edit as well."""

import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from scaffold.errors import AnswersError, Problem, TargetError
from scaffold.system import yaml as yaml_text

ANSWERS_FILE = ".copier-answers.yml"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A workspace's folder, its template's address and version, and its answers."""

    folder: Path
    src_path: str
    commit: str
    answers: dict[str, Any]


def read(folder: Path) -> Recorded:
    """Read a workspace's answers file. Raises TargetError that says what to write where."""
    path = folder.absolute() / ANSWERS_FILE
    table = _table(path)
    facts = {key: table.get(key) for key in ("_src_path", "_commit")}
    for key, value in facts.items():
        if value is None:
            raise TargetError(f"{path} has no {key}; {_WAYS_OUT[key]}.")
        if not isinstance(value, str) or not value.strip():
            raise TargetError(f"{key} in {path} should be text; {_WAYS_OUT[key]}.")
    answers = {key: value for key, value in table.items() if not key.startswith("_")}
    return Recorded(path.parent, str(facts["_src_path"]), str(facts["_commit"]), answers)


_WAYS_OUT = {
    "_src_path": "write the template's folder or git URL there",
    "_commit": "write the version it was rendered from there, such as `_commit: v0.1.0`"
    " (a template without git has no versions to update to)",
}


def _table(path: Path) -> dict[str, Any]:
    if path.is_symlink() or (path.exists() and not path.is_file()):
        raise TargetError(f"{path} is not a file of its own; put the answers themselves there.")
    if not path.is_file():
        raise TargetError(
            f"{path.parent} is not a workspace: it has no {ANSWERS_FILE}; name another."
        )
    try:
        text = yaml_text.read_text(path)
        if text.startswith("<<<<<<< ") or "\n<<<<<<< " in text:
            raise TargetError(
                f"{path} holds conflict markers; solve them and commit, or"
                " `scaffold update --abort`."
            )
        table: object = yaml_text.load(text)
    except OSError as error:
        raise TargetError(
            f"{path} cannot be read ({error.strerror}); restore it from git."
        ) from None
    except yaml_text.KeyTwiceError as error:
        raise TargetError(f"{path} {error}; keep one of them.") from None
    except yaml_text.UNREADABLE as error:
        told = f"{yaml_text.describe_problem(error)}{yaml_text.describe_place(error).replace(':', ', line ')}"
        raise TargetError(f"{path} is not YAML ({told}); mend it or restore it from git.") from None
    if not isinstance(table, dict):
        raise TargetError(f"{path} holds no answers; restore it from git.")
    return {str(key): value for key, value in cast(dict[object, Any], table).items()}


Chains = Mapping[str, list[str]]


def require_unasked(workspace: Recorded, answered: Chains, provider: str) -> None:
    """Raise AnswersError while a chain, answered or written by hand, asks this provider."""
    problems = [
        Problem(f"chains.{name}", f"asks {provider}", _way_out(answered, provider))
        for name in asking(answered, provider)[:1]
    ]
    recorded: Chains = workspace.answers.get("chains") or {}
    for name, refs in written(workspace.folder).items():
        own = [ref for ref in refs if ref not in recorded.get(name, [])]
        if asking({name: own}, provider):
            told = f"asks {provider} in fleet.toml"
            problems.append(Problem(f"chains.{name}", told, "take it out there and commit"))
    if problems:
        raise AnswersError(problems)


def asking(chains: Chains, provider: str) -> list[str]:
    """The chains that name a model of this provider."""
    prefix = f"{provider}:"
    return [name for name, refs in chains.items() if any(ref.startswith(prefix) for ref in refs)]


def written(folder: Path) -> dict[str, list[str]]:
    """Chain name → models in a workspace's fleet.toml; empty where it cannot be read."""
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


def _way_out(chains: Chains, provider: str) -> str:
    left = {
        name: [ref for ref in chains[name] if not ref.startswith(f"{provider}:")]
        for name in asking(chains, provider)
    }
    text = yaml.safe_dump(left, default_flow_style=True, width=10_000, sort_keys=False).strip()
    return f"take it out with --set {shlex.quote(f'chains={text}')}"
