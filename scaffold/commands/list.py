"""`scaffold list [KIND]`: what can be chosen, with flows, keys, prices and trade-offs."""

import argparse
import json
import shutil
import sys
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scaffold.commands import arguments
from scaffold.errors import ExitStatus, UsageError, printable

if TYPE_CHECKING:
    from scaffold.catalog.catalog import Catalog
    from scaffold.catalog.feature import Feature

HELP = "List what there is to choose: patterns, providers, extras, presets …"
_UNITS = {"provider": " (US dollars per million tokens, context window in tokens)"}
_INDENT = 22
_NO_AGENTS = "  Sub-agents are your own: name them in the wizard or with --set agents=[...].\n"
_NOTHING = "  The templates have none of this kind.\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line says, under the names of its options."""

    kind: str | None
    json: bool


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "kind", nargs="?", metavar="KIND", help="pattern, provider, extra, preset …"
    )
    arguments.add_json(parser)


def run(options: Options) -> ExitStatus:
    """Print what can be chosen, of one kind or of all."""
    from scaffold.catalog.catalog import load

    catalog = load()
    kinds = [_find_kind(options.kind)] if options.kind else _list_kinds()
    rows_by_kind = {kind: _list_rows(catalog, kind) for kind in kinds}
    if options.json:
        print(json.dumps(rows_by_kind, ensure_ascii=False, default=str))
        return ExitStatus.DONE
    for kind, rows in rows_by_kind.items():
        if rows or options.kind:
            print(f"{kind.upper()}{_UNITS.get(kind, '')}\n")
            nothing = _NO_AGENTS if kind == "agent" else _NOTHING
            print("\n".join(_describe(catalog, row) for row in rows) or nothing)
    return ExitStatus.DONE


def _list_kinds() -> list[str]:
    from scaffold.catalog.kinds import KINDS

    return [*KINDS, "preset"]


def _find_kind(word: str) -> str:
    """Return the kind that a word means: `pattern`, or `patterns` as well. Raises UsageError."""
    known = [*_list_kinds(), "agent"]
    singular = word.lower().removesuffix("s")
    for kind in known:
        if singular in (kind, kind.removesuffix("s")) or word.lower() == kind:
            return kind
    hint = f"choose from {', '.join(known)}"
    raise UsageError(f"argument KIND: unknown kind '{printable(word)}'", hint)


def _list_rows(catalog: "Catalog", kind: str) -> list[dict[str, Any]]:
    from scaffold.catalog.presets import PRESETS, split

    if kind == "preset":
        return [
            {
                "name": preset.name,
                "summary": preset.title,
                "not_there_yet": split(catalog, preset)[1],
            }
            for preset in PRESETS.values()
        ]
    return [_to_row(catalog, feature) for feature in catalog.list_for_reading(kind)]


def _to_row(catalog: "Catalog", feature: "Feature") -> dict[str, Any]:
    row: dict[str, Any] = {"name": feature.name, "title": feature.title, "summary": feature.summary}
    row["default"] = feature.default
    if feature.flow:
        row["flow"] = feature.flow.strip()
    if feature.when_not:
        row["when_not"] = feature.when_not
    if feature.claim:
        row["claim"] = feature.claim.model_dump()
    if feature.env:
        row["env"] = [variable.name for variable in feature.env]
    if feature.kind == "provider":
        row["models"] = _list_models(catalog, feature.name)
    return row


def _list_models(catalog: "Catalog", provider: str) -> list[dict[str, Any]]:
    from scaffold.catalog.prices import list_models

    return [
        {
            "model": model.ref,
            "input_usd_per_million": model.input_usd,
            "output_usd_per_million": model.output_usd,
            "context_window": model.context_window,
        }
        for model in list_models(catalog, provider)
    ]


def _describe(catalog: "Catalog", row: dict[str, Any]) -> str:
    """Return a row as lines: its name and summary, and below them all else that it has."""
    from scaffold.catalog.prices import describe_model, find_model

    default = " (default)" if row.get("default") else ""
    lines = [f"  {row['name']:<20}{row['summary']}{default}"]
    details = row.get("flow", "").splitlines()
    if "when_not" in row:
        details.append(f"Not when: {row['when_not']}")
    if "claim" in row:
        details.append(f"Claimed: {row['claim']['says']} Measured: {row['claim']['measured']}")
    if "env" in row:
        details.append(f"reads {', '.join(row['env'])}")
    if row.get("not_there_yet"):
        details.append(f"not there yet: {', '.join(row['not_there_yet'])}")
    for model in row.get("models", []):
        details.append(describe_model(find_model(catalog, model["model"])))
    lines += [f"{'':{_INDENT}}{line}" for line in details]
    return "\n".join(map(_wrap, lines)) + "\n"


def _wrap(line: str) -> str:
    """Wrap a line for a terminal; what reads a pipe gets it whole."""
    if not sys.stdout.isatty():
        return line
    width = max(60, shutil.get_terminal_size().columns)
    indent = " " * (_INDENT + 2)
    return textwrap.fill(line, width, subsequent_indent=indent, drop_whitespace=False)
