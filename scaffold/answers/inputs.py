"""The answers that a command line gives: a preset, then a file, then single values."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from scaffold.answers.parse import parse
from scaffold.answers.spec import PartialSpec
from scaffold.catalog.catalog import Catalog
from scaffold.catalog.presets import PRESETS, split
from scaffold.errors import AnswersError, Problem, printable, suggest
from scaffold.system import yaml

MOST_BYTES = 1_000_000
_OPEN_FILES = (Path("/dev/fd"), Path("/proc/self/fd"), Path("/dev"))
_HINT_LINES = "write `key: value` lines"
_HINT_TWICE = "keep one of them"

RawAnswers = dict[str, object]
"""Answers by key, of any shape."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """Where a command line takes its answers from; a later source wins.

    Attributes:
        preset: The name of a preset.
        file: A YAML file of answers.
        values: Single answers as `KEY=VALUE`.
    """

    preset: str | None = None
    file: Path | None = None
    values: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Inputs:
    """What the sources gave: answers of the right shape, notes, and what is wrong with the rest."""

    spec: PartialSpec
    notes: tuple[str, ...]
    problems: tuple[Problem, ...]


def collect(catalog: Catalog, sources: Sources) -> Inputs:
    """Read every source, and return what they gave and all that is wrong with them."""
    collector = _Collector()
    if sources.preset is not None:
        name = sources.preset
        collector.take(lambda: _read_preset(catalog, name, collector.notes))
    if sources.file:
        path = sources.file
        collector.take(lambda: _read_file(path))
    collector.take_values(sources.values)
    parsed = parse(collector.answers, catalog.question_keys())
    problems = (*collector.problems, *parsed.problems)
    return Inputs(parsed.spec, tuple(collector.notes), problems)


def read_values(texts: Sequence[str]) -> RawAnswers:
    """Return the answers of several `KEY=VALUE`, the last of a key.

    Raises:
        AnswersError: Some text is not one.
    """
    collector = _Collector()
    collector.take_values(texts)
    if collector.problems:
        raise AnswersError(collector.problems)
    return collector.answers


class _Collector:
    """The answers so far, and what was wrong: one bad source does not hide the next."""

    def __init__(self) -> None:
        self.answers: RawAnswers = {}
        self.notes: list[str] = []
        self.problems: list[Problem] = []

    def take(self, read: Callable[[], RawAnswers]) -> None:
        try:
            self.answers |= read()
        except AnswersError as error:
            self.problems += error.problems

    def take_values(self, texts: Sequence[str]) -> None:
        for text in texts:
            self.take(lambda text=text: _read_value(text))


def _read_preset(catalog: Catalog, name: str, notes: list[str]) -> RawAnswers:
    if name not in PRESETS:
        raise _refuse("--preset", f"unknown preset '{printable(name)}'", suggest(name, PRESETS))
    answers, absent = split(catalog, PRESETS[name])
    if absent:
        left = ", ".join(absent)
        notes.append(f"Preset {name} goes on without {left}, which this version does not have.")
    return answers


def _read_file(path: Path) -> RawAnswers:
    table = _parse(path, _read_text(path))
    if not isinstance(table, dict):
        raise _refuse("--answers", f"{path} is not a mapping", _HINT_LINES)
    answers = cast(dict[object, object], table)
    return {str(key): value for key, value in answers.items() if not str(key).startswith("_")}


def _read_text(path: Path) -> str:
    try:
        if path.is_fifo() and path.parent not in _OPEN_FILES:
            # Opening it would wait for a writer; what a shell hands over with `<(...)` has one.
            raise _refuse("--answers", f"{path} is a pipe", "name a YAML file")
        # Never the whole file: it may be an endless one, such as /dev/zero.
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        what = f"{path} cannot be read ({error.strerror})"
        raise _refuse("--answers", what, "name a YAML file") from None
    if len(data) > MOST_BYTES:
        raise _refuse("--answers", f"{path} is larger than 1 MB", "name a file of answers")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise _refuse("--answers", f"{path} is not UTF-8 text", "save it as UTF-8") from None


def _parse(path: Path, text: str) -> object:
    try:
        return _load(text)
    except yaml.KeyTwiceError as error:
        raise _refuse("--answers", f"{path} {error}", _HINT_TWICE) from None
    except yaml.UNREADABLE as error:
        what = f"{path}{yaml.describe_place(error)} is not YAML ({yaml.describe_problem(error)})"
        raise _refuse("--answers", what, _HINT_LINES) from None


def _load(text: str) -> object:
    try:
        # JSON is YAML but for its surrogate pairs: what JSON escapes as two is one character.
        table: object = json.loads(text, object_pairs_hook=yaml.pairs_once)
    except (ValueError, RecursionError):
        return yaml.load(text)
    yaml.require_modest_value(table)
    return table


def _read_value(text: str) -> RawAnswers:
    key, equals, value = text.partition("=")
    key = key.strip()
    if not (equals and key):
        raise _refuse("--set", f"'{printable(text)}' is not KEY=VALUE", "write e.g. package=desk")
    if key.startswith("_"):
        raise _refuse("--set", f"{printable(key)} is not an answer key", "a key has no _ before it")
    try:
        return {key: yaml.load(value)}
    except yaml.KeyTwiceError as error:
        raise _refuse("--set", f"{printable(key)} {error}", _HINT_TWICE) from None
    except yaml.UNREADABLE:
        what = f"the value of {printable(key)} is not YAML"
        raise _refuse("--set", what, "quote it as a YAML string") from None


def _refuse(key: str, what: str, hint: str) -> AnswersError:
    return AnswersError([Problem(key, what, hint)])
