"""Identity files: `identity` of `[agents.X]` names what a sub-agent reads before its prompt."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .fleet import Fleet
from .subagent import Output, SubAgent, read_prompt


@dataclass(frozen=True)
class Identified(SubAgent[Output]):
    """A sub-agent that reads these files of `prompts/identity` first, in their order."""

    files: tuple[str, ...] = ()

    def prompt(self) -> str:
        """Return the files and the prompt as one text."""
        return "\n\n".join([*map(_read, self.files), super().prompt()])


def equip(agent: SubAgent[Any], files: Sequence[str], fleet: Fleet) -> SubAgent[Any]:
    """Return a sub-agent with the files that its table names; a missing one fails when it is asked."""
    del fleet
    own = {field.name: getattr(agent, field.name) for field in fields(agent)}
    return Identified(**own, files=tuple(files))


def _read(name: str) -> str:
    return read_prompt(f"identity/{Path(name).name}").strip()
