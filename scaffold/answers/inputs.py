"""The answers a command line gives: a preset, then a file, then single values."""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from scaffold.catalog.catalog import Catalogue
from scaffold.catalog.presets import PRESETS, split
from scaffold.errors import AnswersError, Problem, printable, suggest
from scaffold.system import yaml as yaml_text

MOST_BYTES = 1_000_000
_OPEN_FILES = (Path("/dev/fd"), Path("/proc/self/fd"), Path("/dev"))
_LINES = "write `key: value` lines"
_ONE_OF_THEM = "keep one of them"

Answers = dict[str, Any]


class Given:
    """What the sources of one command line gave, and what was wrong with them."""

    def __init__(self) -> None:
        self.answers: Answers = {}
        self.notes: list[str] = []
        self.problems: list[Problem] = []

    def take(self, source: Callable[[], Answers]) -> None:
        """Let a source's answers win over those before it; keep its problems for later."""
        try:
            self.answers |= source()
        except AnswersError as error:
            self.problems += error.problems


def collect(catalogue: Catalogue, options: argparse.Namespace) -> Given:
    """The answers, later sources first, with notes and problems for the user."""
    given = Given()
    if options.preset is not None:
        given.take(lambda: _preset(catalogue, options.preset, given.notes))
    if options.answers:
        given.take(lambda: _file(options.answers))
    _take_values(given, options.set)
    return given


def values(texts: Sequence[str]) -> Answers:
    """The answers of several `KEY=VALUE`, the last of a key. Raises AnswersError."""
    given = Given()
    _take_values(given, texts)
    if given.problems:
        raise AnswersError(given.problems)
    return given.answers


def _take_values(given: Given, texts: Sequence[str]) -> None:
    for text in texts:
        given.take(lambda text=text: _value(text))


def _preset(catalogue: Catalogue, name: str, notes: list[str]) -> Answers:
    if name not in PRESETS:
        raise _refused("--preset", f"there is no '{printable(name)}'", suggest(name, PRESETS))
    answers, absent = split(catalogue, PRESETS[name])
    if absent:
        left = ", ".join(absent)
        notes.append(f"Preset {name} goes on without {left}, which this version does not have.")
    return answers


def _file(path: Path) -> Answers:
    table = _parsed(path, _text(path))
    if not isinstance(table, dict):
        raise _refused("--answers", f"{path} is not a mapping", _LINES)
    answers = cast(dict[object, object], table)
    return {str(key): value for key, value in answers.items() if not str(key).startswith("_")}


def _text(path: Path) -> str:
    try:
        if path.is_fifo() and path.parent not in _OPEN_FILES:
            # Opening it would wait for a writer; what a shell hands over with `<(...)` has one.
            raise _refused("--answers", f"{path} is a pipe", "name a YAML file")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        told = f"{path} cannot be read ({error.strerror})"
        raise _refused("--answers", told, "name a YAML file") from None
    if len(data) > MOST_BYTES:
        raise _refused("--answers", f"{path} is larger than 1 MB", "name a file of answers")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _refused("--answers", f"{path} is not UTF-8 text", "save it as UTF-8") from None


def _parsed(path: Path, text: str) -> object:
    try:
        return _loaded(text)
    except yaml_text.KeyTwiceError as error:
        raise _refused("--answers", f"{path} {error}", _ONE_OF_THEM) from None
    except yaml_text.UNREADABLE as error:
        told = f"{path}{yaml_text.describe_place(error)} is not YAML ({yaml_text.describe_problem(error)})"
        raise _refused("--answers", told, _LINES) from None


def _loaded(text: str) -> object:
    try:
        # JSON is YAML but for its surrogate pairs: what JSON escapes as two is one character.
        table: object = json.loads(text, object_pairs_hook=yaml_text.pairs_once)
    except (ValueError, RecursionError):
        return yaml_text.load(text)
    yaml_text.require_modest_value(table)
    return table


def _value(text: str) -> Answers:
    key, equals, value = text.partition("=")
    key = key.strip()
    if not (equals and key):
        raise _refused("--set", f"'{printable(text)}' is not KEY=VALUE", "write e.g. package=desk")
    if key.startswith("_"):
        raise _refused(
            "--set", f"{printable(key)} is not an answer key", "a key has no _ before it"
        )
    try:
        return {key: yaml_text.load(value)}
    except yaml_text.KeyTwiceError as error:
        raise _refused("--set", f"{printable(key)} {error}", _ONE_OF_THEM) from None
    except yaml_text.UNREADABLE:
        told = f"the value of {printable(key)} is not YAML"
        raise _refused("--set", told, "quote it as a YAML string") from None


def _refused(key: str, what: str, way_out: str) -> AnswersError:
    return AnswersError([Problem(key, what, way_out)])
