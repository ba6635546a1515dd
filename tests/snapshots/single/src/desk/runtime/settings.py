"""Tables of a settings file as typed settings, and what is wrong with them in a line."""

import logging
import os
import tomllib
from collections.abc import Collection, Sequence
from difflib import get_close_matches
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .errors import SettingsError, find_remedy
from .redaction import redact_secrets

log = logging.getLogger(__name__)

Table = TypeVar("Table", bound=BaseModel)

RETIRED = {
    "router.long_from_chars": "A request whose classifier fails goes to the expensive chain, "
    "whatever its length: delete the line. 'router.expensive_from' sets what else goes there.",
}
"""Settings that had an effect in earlier versions, by `table.key`: what holds now."""


class Settings(BaseModel):
    """A table of fleet.toml: frozen, and a misspelt key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def __repr__(self) -> str:
        return redact_secrets(super().__repr__())

    __str__ = __repr__


class Open(Settings):
    """A table whose further keys, each a list of names, are not known here."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, tuple[str, ...]] = Field(init=False)  # pyright: ignore[reportIncompatibleVariableOverride]

    @property
    def further(self) -> dict[str, tuple[str, ...]]:
        """Return the keys that are not known here, with their names."""
        return self.__pydantic_extra__


def read_toml(path: Path) -> tuple[dict[str, Any], str]:
    """Return the tables of a file, and its version: a hash. Raises SettingsError."""
    try:
        text = path.read_bytes()
        return tomllib.loads(text.decode()), sha256(text).hexdigest()[:12]
    except FileNotFoundError:
        raise _explain_missing(path) from None
    except OSError as error:
        problem = f"{path} cannot be read ({error.strerror})"
        raise SettingsError(problem, find_remedy(error)) from error
    except ValueError as error:  # bad TOML, or no UTF-8
        raise SettingsError(f"{path.name} is not valid TOML ({error})", "correct it") from None


def drop_retired(path: Path, tables: dict[str, Any]) -> None:
    """Take settings that have no effect any more out of the tables of a file, and say so."""
    for name, successor in RETIRED.items():
        table, _, key = name.partition(".")
        if isinstance(tables.get(table), dict) and key in tables[table]:
            del tables[table][key]
            warn_once(f"{path.name}: '{name}' has no effect any more. {successor}")


def _explain_missing(path: Path) -> SettingsError:
    if os.environ.get("FLEET_ROOT") and Path(os.environ["FLEET_ROOT"]) == path.parent:
        problem = f"{path} is missing, and FLEET_ROOT names that folder"
        return SettingsError(problem, "set FLEET_ROOT to the workspace's folder, or unset it")
    looked = "the workspace is looked for in the working folder and those above it"
    return SettingsError(f"{path} is missing", f"{looked}: run from there, or set FLEET_ROOT to it")


def parse_table(type_: type[Table], table: object, where: str) -> Table:
    """Return a table as its settings. Raises SettingsError that names every wrong key."""
    try:
        return type_.model_validate(table)
    except ValidationError as error:
        raise explain_invalid(error, where, type_) from None


def explain_invalid(error: ValidationError, where: str, type_: Any = None) -> SettingsError:
    """Return an error that names every wrong key, and what an unknown one may be meant to be."""
    wrong: list[str] = []
    hints: list[str] = []
    for detail in error.errors(include_url=False):
        loc, reason, hint = detail["loc"], detail["msg"].removeprefix("Value error, "), "correct it"
        if detail["type"] == "extra_forbidden":
            reason, hint = "unknown key", suggest(str(loc[-1]), _keys(type_, loc[:-1]))
        elif detail["type"] == "missing":
            hint = "add it"
        wrong.append(".".join(map(str, loc)) + f": {reason}")
        hints.append(hint)
    return SettingsError(f"{where}{'; '.join(wrong)}", "; ".join(dict.fromkeys(hints)))


def suggest(name: str, known: Collection[str]) -> str:
    """Return as a hint which of the known names is meant, or all of them."""
    if close := get_close_matches(name, known, 1):
        return f"did you mean '{close[0]}'?"
    return f"known are {', '.join(known)}" if known else "take it out"


def _keys(type_: Any, path: Sequence[int | str]) -> list[str]:
    """Return the keys of a table within a table; none where it is not one of ours."""
    for part in path:
        fields = getattr(type_, "model_fields", {})
        type_ = fields[part].annotation if part in fields else (get_args(type_) or (None,))[-1]
    return list(getattr(type_, "model_fields", {}))


def warn_of_misspelt(names: Collection[str], absent: Collection[str]) -> None:
    """Warn of tables that are named almost like one that is absent: nobody reads those."""
    for name in names:
        if close := get_close_matches(name, absent, 1, 0.75):
            warn_once(f"fleet.toml: [{name}] has no effect; did you mean [{close[0]}]?")


@cache
def warn_once(text: str) -> None:
    """Log a warning the first time."""
    log.warning(text)
