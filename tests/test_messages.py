"""Every command that a message of a workspace names exists, with these options, where it is said."""

import argparse
import ast
import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from scaffold.catalog.catalog import Catalog
from tests.conftest import ROOT
from tests.ledger_package import importable

CORE = {"ask", "run", "demo", "costs", "doctor"}
SOURCES = sorted((ROOT / "templates").glob("*/src/*/**/*.py"))


def owner(path: Path) -> str:
    """Return the extra, pattern or provider that a file belongs to; "." for the core's."""
    folder = path.relative_to(ROOT / "templates").parts[0].strip("{}'")
    return folder.partition("_")[2] or "."


def commands() -> dict[str, str]:
    """Every command of a workspace and who brings it."""
    brought = dict.fromkeys(CORE, ".")
    for path in SOURCES:
        if path.parent.name == "commands":
            brought.setdefault(path.stem.replace("_", " "), owner(path))
    return brought


def messages() -> Iterator[tuple[Path, str, str]]:
    """Each command in backticks in a text that a user may see, with the whole text."""
    for path in SOURCES:
        tree = ast.parse(path.read_text("utf-8"))
        docs = {
            ast.get_docstring(node, clean=False)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        }
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                parts = (v.value if isinstance(v, ast.Constant) else "X" for v in node.values)
                text = "".join(map(str, parts))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                text = node.value
            else:
                continue
            if text not in docs:
                for words in re.findall(r"`([a-z][^`\n]*)`", text):
                    yield path, words, text


def test_what_findings_advise_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Parsed by the command line itself, in a workspace with the reports."""
    with importable(tmp_path / "w", "advice_desk", extras=["cost_reports", "ledger_tools"]) as name:
        parser: argparse.ArgumentParser = importlib.import_module(f"{name}.cli")._parser()
    monkeypatch.setattr("sys.argv", ["desk"])
    seen = 0
    for path, words, _ in messages():
        if words.split()[0] in CORE and path.name.startswith(
            ("findings", "costs", "doctor", "cli")
        ):
            asked = shlex.split(words)
            if asked[0] in ("ask", "run"):
                continue
            parser.parse_args(asked)
            seen += 1
    assert seen >= 5


def test_a_command_is_named_only_where_it_is(catalog: Catalog) -> None:
    brought = commands()
    wrong: list[str] = []
    for path, words, text in messages():
        first = words.split()[0]
        name = next(
            (
                known
                for known in sorted(brought, key=len, reverse=True)
                if words == known or words.startswith(known + " ")
            ),
            None,
        )
        if name is None or brought[name] in (".", owner(path)):
            continue
        needed = {"ledger": "ledger_tools", "escalations": "escalation"}.get(first, brought[name])
        # A ticket exists only where the extra does.
        if (
            needed not in text
            and "ticket" not in text.lower()
            and owner(path) not in _needing(catalog, brought[name])
        ):
            wrong.append(f"{path.relative_to(ROOT)}: `{words}` is of {brought[name]}")
    assert not wrong


def _needing(catalog: Catalog, name: str) -> set[str]:
    return {
        one.name
        for one in catalog.features
        if any(str(need).endswith(f":{name}") for need in one.requires)
    }


def test_an_extra_that_a_message_says_to_add_can_be_added(catalog: Catalog) -> None:
    offered = {(one.kind, one.name) for one in catalog.features if not one.hidden}
    for path, words, _ in messages():
        if found := re.match(r"scaffold add (\w+) (\w+)$", words):
            kind: Any = found[1]
            assert (kind, found[2]) in offered or kind == "agent", f"{path}: {words}"
