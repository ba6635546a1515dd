"""Read `fleet.toml`, where a team sets its chains by hand."""

import json
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import cast

from scaffold.errors import AnswersError, Problem
from scaffold.workspace.answers_file import AnswersFile

Chains = Mapping[str, Sequence[str]]


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


def require_unused(workspace: AnswersFile, answered: Chains, provider: str) -> None:
    """Raise AnswersError while a chain, answered or written by hand, asks this provider."""
    problems = [
        Problem(f"chains.{name}", f"asks {provider}", _hint(answered, provider))
        for name in find_chains(answered, provider)[:1]
    ]
    recorded: Chains = workspace.answers.get("chains") or {}
    for name, refs in read_chains(workspace.folder).items():
        own = [ref for ref in refs if ref not in recorded.get(name, [])]
        if find_chains({name: own}, provider):
            what = f"asks {provider} in fleet.toml"
            problems.append(Problem(f"chains.{name}", what, "take it out there and commit"))
    if problems:
        raise AnswersError(problems)


def find_chains(chains: Chains, provider: str) -> list[str]:
    """Return the chains that name a model of this provider."""
    prefix = f"{provider}:"
    return [name for name, refs in chains.items() if any(ref.startswith(prefix) for ref in refs)]


def _hint(chains: Chains, provider: str) -> str:
    left = {
        name: [ref for ref in chains[name] if not ref.startswith(f"{provider}:")]
        for name in find_chains(chains, provider)
    }
    # JSON is YAML as well, and its double quotes need no escape inside the shell's single ones.
    return f"take it out with --set {shlex.quote(f'chains={json.dumps(left)}')}"
