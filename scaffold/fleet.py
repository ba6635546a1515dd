"""The chains as the team has them: a workspace's `fleet.toml`, which people edit by hand."""

import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import yaml

from scaffold.errors import AnswersError, Problem
from scaffold.recorded import Recorded

Chains = Mapping[str, list[str]]


def require_unasked(workspace: Recorded, answers: Mapping[str, Any], provider: str) -> None:
    """Raise AnswersError while a chain, answered or written by hand, asks this provider."""
    answered: Chains = answers.get("chains") or {}
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
