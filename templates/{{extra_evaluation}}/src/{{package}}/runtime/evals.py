"""Eval sets: what goes in, and what is expected to come out.

`evals/<pipeline>.jsonl` holds one case a line. Its `replies` are what recorded models answer, by
stage, when it is run offline.
"""

import json
from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError
from pydantic_core import to_jsonable_python

from .errors import SettingsError
from .recorded import Reply, Scene
from .settings import Settings


class Expected(Settings):
    """What a good result contains. Paths go into the typed result: `facts.0.kind`.

    `contains` and `lacks` are searched for in the whole result, whatever their case.
    """

    contains: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    equals: dict[str, Any] = Field(default_factory=dict[str, Any])
    at_least: dict[str, float] = Field(default_factory=dict[str, float])

    def find_misses(self, output: Any) -> list[str]:
        """Return what is wrong with a result, in words; an empty list for a good one."""
        plain = to_jsonable_python(output)
        text = plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)
        text = text.casefold()
        wrong = [f"lacks {want!r}" for want in self.contains if want.casefold() not in text]
        wrong += [f"has {ban!r}" for ban in self.lacks if ban.casefold() in text]
        for path, want in self.equals.items():
            value = _follow_path(plain, path)
            wrong += [] if value == want else [f"{path} is {value!r}, not {want!r}"]
        for path, least in self.at_least.items():
            value = _follow_path(plain, path)
            enough = isinstance(value, int | float) and value >= least
            wrong += [] if enough else [f"{path} is {value!r}, less than {least:g}"]
        return wrong


class Case(Settings):
    """One line of an eval set. `task` is what its accuracy is counted under."""

    id: str
    task: str = ""
    input: str
    options: dict[str, str] = Field(default_factory=dict[str, str])
    expect: Expected
    replies: dict[str, list[Reply]] = Field(default_factory=dict[str, list[Reply]])

    def scene(self) -> Scene:
        return Scene(title=self.id, text=self.input, replies=self.replies)


def load(path: Path) -> list[Case]:
    """Return the cases of one file.

    Raises:
        SettingsError: The file cannot be read, or a line is not a case; the message names it.
    """
    try:
        # Not by `splitlines`: JSON may hold other line ends than this one in a text.
        lines = path.read_text("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} cannot be read as UTF-8 text ({error})") from None
    cases: list[Case] = []
    for number, line in enumerate(lines, 1):
        try:
            cases += [Case.model_validate_json(line)] if line.strip() else []
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"])) or "the line"
            raise SettingsError(f"{path.name}:{number}: {where}: {first['msg']}") from None
    return cases


def _follow_path(value: Any, path: str) -> Any:
    for key in path.split("."):
        try:
            value = value[int(key) if key.isdigit() else key]
        except (KeyError, IndexError, TypeError):
            return None
    return value
