"""`scaffold list [KIND]`: what can be chosen, with flows, keys, prices and trade-offs."""

import argparse
import json
import shutil
import sys
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scaffold.catalog.catalog import Catalogue
    from scaffold.catalog.feature import Feature

HELP = "List what there is to choose: patterns, providers, extras, presets …"
_UNITS = {"provider": " (US dollars per million tokens, context window in tokens)"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "kind", nargs="?", metavar="KIND", help="pattern, provider, extra, preset …"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    from scaffold.catalog.catalog import load

    catalogue = load()
    kinds = [_kind(options.kind)] if options.kind else None
    listed = {name: _rows(catalogue, name) for name in kinds or _all_kinds()}
    if options.json:
        print(json.dumps(listed, ensure_ascii=False, default=str))
        return 0
    for name, rows in listed.items():
        if rows or kinds:
            print(f"{name.upper()}{_UNITS.get(name, '')}\n")
            print("\n".join(_text(catalogue, row) for row in rows) or _nothing(name))
    return 0


def _all_kinds() -> list[str]:
    from scaffold.catalog.feature import KINDS

    return [*KINDS, "preset"]


def _kind(word: str) -> str:
    from scaffold.errors import AnswersError, Problem

    known = [*_all_kinds(), "agent"]
    singular = word.lower().removesuffix("s")
    for name in known:
        if singular in (name, name.removesuffix("s")) or word.lower() == name:
            return name
    raise AnswersError(
        [Problem("KIND", f"there is no kind '{word}'", f"one of {', '.join(known)}")]
    )


def _rows(catalogue: "Catalogue", kind: str) -> list[dict[str, Any]]:
    from scaffold.catalog.presets import PRESETS, split

    if kind == "preset":
        return [
            {"name": p.name, "summary": p.title, "not_there_yet": split(catalogue, p)[1]}
            for p in PRESETS.values()
        ]
    return [_row(catalogue, feature) for feature in catalogue.of(kind)]


def _row(catalogue: "Catalogue", feature: "Feature") -> dict[str, Any]:
    from scaffold.catalog import prices as models

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
        row["models"] = [
            {
                "model": known.ref,
                "input_usd_per_million": known.input_usd,
                "output_usd_per_million": known.output_usd,
                "context_window": known.context_window,
            }
            for known in models.offered(catalogue, feature.name)
        ]
    return row


def _text(catalogue: "Catalogue", row: dict[str, Any]) -> str:
    from scaffold.catalog import prices as models

    lines = [f"  {row['name']:<20}{row['summary']}{' (default)' if row.get('default') else ''}"]
    inside = row.get("flow", "").splitlines()
    if "when_not" in row:
        inside.append(f"Not when: {row['when_not']}")
    if "claim" in row:
        inside.append(f"Claimed: {row['claim']['says']} Measured: {row['claim']['measured']}")
    if "env" in row:
        inside.append(f"reads {', '.join(row['env'])}")
    if row.get("not_there_yet"):
        inside.append(f"not there yet: {', '.join(row['not_there_yet'])}")
    for model in row.get("models", []):
        inside.append(models.told(models.facts(catalogue, model["model"])))
    lines += [f"{'':22}{line}" for line in inside]
    return "\n".join(map(_wrapped, lines)) + "\n"


def _wrapped(line: str) -> str:
    if not sys.stdout.isatty():
        return line
    width = max(60, shutil.get_terminal_size().columns)
    return textwrap.fill(line, width, subsequent_indent=" " * 24, drop_whitespace=False)


def _nothing(kind: str) -> str:
    if kind == "agent":
        return "  Sub-agents are your own: name them in the wizard or with --set agents=[...].\n"
    return "  There is none yet.\n"
