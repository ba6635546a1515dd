"""The answers a command line gives: a preset, then a file, then single values."""

import argparse
import difflib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import yaml

from scaffold.catalogue import Catalogue
from scaffold.errors import AnswersError, Problem
from scaffold.presets import PRESETS, split


def collect(catalogue: Catalogue, options: argparse.Namespace) -> tuple[dict[str, Any], list[str]]:
    """The answers, later sources first, and notes for the user. Raises AnswersError."""
    answers: dict[str, Any] = {}
    notes: list[str] = []
    problems: list[Problem] = []
    if options.preset:
        answers, notes = _preset(catalogue, options.preset)
    try:
        answers |= _file(options.answers) if options.answers else {}
    except AnswersError as error:
        problems += error.problems
    try:
        answers |= values(options.set)
    except AnswersError as error:
        problems += error.problems
    if problems:
        raise AnswersError(problems)
    return answers, notes


def values(texts: Sequence[str]) -> dict[str, Any]:
    """The answers of several `KEY=VALUE`, the last of a key. Raises AnswersError."""
    answers: dict[str, Any] = {}
    problems: list[Problem] = []
    for text in texts:
        try:
            answers |= _value(text)
        except AnswersError as error:
            problems += error.problems
    if problems:
        raise AnswersError(problems)
    return answers


def _preset(catalogue: Catalogue, name: str) -> tuple[dict[str, Any], list[str]]:
    if name not in PRESETS:
        close = difflib.get_close_matches(name, PRESETS, n=1)
        way_out = f"did you mean {close[0]}?" if close else f"choose from {', '.join(PRESETS)}"
        raise AnswersError([Problem("--preset", f"there is no '{name}'", way_out)])
    answers, absent = split(catalogue, PRESETS[name])
    notes = [f"Preset {name}: not there yet, so left out: {', '.join(absent)}."] if absent else []
    return answers, notes


def _file(path: Path) -> dict[str, Any]:
    try:
        table: Any = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        told = f"{path} cannot be read ({error.strerror})"
        raise AnswersError([Problem("--answers", told, "name a YAML file")]) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        told = f"{path} is not YAML ({' '.join(str(error).split())[:120]})"
        raise AnswersError([Problem("--answers", told, "write `key: value` lines")]) from None
    if not isinstance(table, dict):
        told = f"{path} is no mapping"
        raise AnswersError([Problem("--answers", told, "write `key: value` lines")])
    answers = cast(dict[object, object], table)
    return {str(key): value for key, value in answers.items() if not str(key).startswith("_")}


def _value(text: str) -> dict[str, Any]:
    key, equals, value = text.partition("=")
    if not (equals and key.strip()):
        raise AnswersError(
            [Problem("--set", f"'{text}' is no KEY=VALUE", "write e.g. package=desk")]
        )
    try:
        return {key.strip(): yaml.safe_load(value)}
    except yaml.YAMLError:
        told = f"the value of {key} is not YAML"
        raise AnswersError([Problem("--set", told, "quote it as a YAML string")]) from None
