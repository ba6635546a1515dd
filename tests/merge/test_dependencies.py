"""Dependency arrays merge as sets; the rest of the file stays as the team wrote it."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scaffold.merge.arrays import find_arrays
from scaffold.merge.dependencies import (
    RequirementConflict,
    combine,
    parse_requirement,
    settle_arrays,
)
from tests.merge.repo import Repo

PYPROJECT = """[project]
name = "desk"
dependencies = [
    "genai-prices>=0.2",
    "pydantic>=2.12",
    "pydantic-ai-slim[anthropic,openai]>=2.68",
]

[dependency-groups]
dev = [
    "pytest>=9",
    "ruff>=0.17",
]

[tool.ruff]
line-length = 100
"""
GROQ = ("[anthropic,openai]", "[anthropic,groq,openai]")
OWN = ('    "pydantic-ai-slim', '    "httpx>=0.28", # for the CRM\n    "pydantic-ai-slim')


def update_pyproject(tmp_path: Path, ours: str, after: str) -> tuple[str, dict[str, str]]:
    repo = Repo(tmp_path, {"pyproject.toml": PYPROJECT}).write("pyproject.toml", ours).commit()
    changes = repo.update({"pyproject.toml": after})
    return repo.text("pyproject.toml"), changes


def test_an_own_dependency_beside_an_added_provider(tmp_path: Path) -> None:
    text, changes = update_pyproject(tmp_path, PYPROJECT.replace(*OWN), PYPROJECT.replace(*GROQ))
    assert text == PYPROJECT.replace(*OWN).replace(*GROQ)
    assert changes == {"pyproject.toml": "merged"}


def test_both_append(tmp_path: Path) -> None:
    end = '>=2.68",\n'
    ours = PYPROJECT.replace(end, f'{end}    "mine>=1",\n')
    after = PYPROJECT.replace(end, f'{end}    "theirs>=1",\n').replace(
        "pydantic>=2.12", "pydantic>=3"
    )
    text, _ = update_pyproject(tmp_path, ours, after)
    added = tomllib.loads(text)["project"]["dependencies"]
    assert {"mine>=1", "theirs>=1", "pydantic>=3"} <= {*added} and "pydantic>=2.12" not in added


def test_other_lines_still_merge(tmp_path: Path) -> None:
    ours = PYPROJECT.replace(*OWN).replace("line-length = 100", "line-length = 88")
    text, _ = update_pyproject(tmp_path, ours, PYPROJECT.replace(*GROQ).replace('"desk"', '"help"'))
    assert text == ours.replace(*GROQ).replace('"desk"', '"help"')


def test_a_conflict_elsewhere_keeps_the_arrays_merged(tmp_path: Path) -> None:
    ours = PYPROJECT.replace(*OWN).replace("line-length = 100", "line-length = 88")
    after = PYPROJECT.replace(*GROQ).replace("line-length = 100", "line-length = 120")
    text, changes = update_pyproject(tmp_path, ours, after)
    assert changes == {"pyproject.toml": "conflict: content"}
    assert "groq" in text.partition("<<<<<<<")[0] and "httpx" in text.partition("<<<<<<<")[0]


@pytest.mark.parametrize(
    ("ours", "after"),
    [("pydantic>=2.13", "pydantic>=3"), ("pydantic>=2.13", None), (None, "pydantic>=3")],
)
def test_what_excludes_each_other_is_a_conflict(
    tmp_path: Path, ours: str | None, after: str | None
) -> None:
    one, other = (
        PYPROJECT.replace('    "pydantic>=2.12",\n', f'    "{new}",\n' if new else "")
        for new in (ours, after)
    )
    _, changes = update_pyproject(tmp_path, one, other)
    assert changes == {"pyproject.toml": "conflict: content"}


def test_both_change_one_requirement_in_ways_that_go_together(tmp_path: Path) -> None:
    ours = PYPROJECT.replace("[anthropic,openai]", "[anthropic,logfire,openai]")
    after = PYPROJECT.replace("[anthropic,openai]>=2.68", "[anthropic,groq]>=2.70")
    text, _ = update_pyproject(tmp_path, ours, after)
    assert '"pydantic-ai-slim[anthropic,groq,logfire]>=2.70"' in text


def test_a_comment_of_the_teams_is_not_dropped_with_its_line(tmp_path: Path) -> None:
    ours = PYPROJECT.replace('"ruff>=0.17",', '"ruff>=0.17", # pinned by IT\n    "mine",')
    text, changes = update_pyproject(
        tmp_path, ours, PYPROJECT.replace('    "ruff>=0.17",\n', '    "x",\n')
    )
    assert changes == {"pyproject.toml": "conflict: content"} and "pinned by IT" in text


@pytest.mark.parametrize(
    "form",
    [
        '["b", {new}"c"]',
        '[\n  "b",\n  {new}"c"\n]',
        "[ # why\n  'b', {new}'c',\n  # the end\n]",
        '["b",\n {new}"c" ]',
    ],
)
def test_forms_a_team_may_write(form: str) -> None:
    base = '[project]\ndependencies = [\n    "b",\n    "c",\n]\n'
    ours = "[project]\n  dependencies = " + form.replace("{new}", '"mine", ') + "\nx = 1\n"
    after = base.replace('    "b",\n', "").replace('    "c",\n', '    "c",\n    "new[x]>=1",\n')
    settled = settle_arrays(base, ours, after)
    text = settled.put_into(ours)
    assert text is not None
    members = tomllib.loads(text)["project"]["dependencies"]
    assert sorted(members) == ["c", "mine", "new[x]>=1"]
    assert all(comment in text for comment in re.findall(r"#.*", form))


def test_what_is_not_an_array_of_strings_is_left_to_git() -> None:
    for text in (
        "[project]\ndependencies = [[]]\n",
        "[project\n",
        "[dependency-groups]\na = [{x = 1}]\n",
    ):
        assert find_arrays(text) == {}


def test_dotted_and_inline_tables_are_left_to_git() -> None:
    assert find_arrays('project.dependencies = ["a"]\n') == {}
    assert find_arrays('project = {dependencies = ["a"]}\n') == {}
    assert find_arrays('x = """\n[project]\ndependencies = ["a"]\n"""\n') == {}


NAMES = st.sampled_from(["alpha", "beta", "gamma-x", "delta", "eps"])
REQUIREMENTS = st.dictionaries(NAMES, st.sampled_from(["", ">=1", ">=2", "[x]>=1", "[x,y]>=1"]))


@given(REQUIREMENTS, REQUIREMENTS, REQUIREMENTS, st.booleans())
def test_sets_merge_member_by_member(
    base: dict[str, str], ours: dict[str, str], after: dict[str, str], one_line: bool
) -> None:
    def text(members: dict[str, str], flat: bool = False) -> str:
        parts = [f'"{name}{rest}"' for name, rest in members.items()]
        inner = ", ".join(parts) if flat else "".join(f"\n    {part}," for part in parts) + "\n"
        return f"[project]\ndependencies = [{inner}]\n"

    settled = settle_arrays(text(base), text(ours, one_line), text(after))
    if not settled.final:
        return
    merged = settled.put_into(text(ours, one_line))
    assert merged is not None and settled.before.count("[project]") == 1
    found = {
        one.name: one
        for one in map(parse_requirement, tomllib.loads(merged)["project"]["dependencies"])
        if one
    }
    for name in base.keys() | ours.keys() | after.keys():
        old, team, new = (
            parse_requirement(name + side[name]) if name in side else None
            for side in (base, ours, after)
        )
        wanted = combine(old, team, new)
        assert (found[name].text if name in found else None) == wanted


def test_requirement_forms() -> None:
    one = parse_requirement("Pydantic_AI.slim [b, a] >=2 ; python_version<'4'")
    assert one and (one.name, one.extras) == ("pydantic-ai-slim", ("b", "a"))
    assert parse_requirement("-e .") is None
    with pytest.raises(RequirementConflict):
        combine(parse_requirement("a>=1"), parse_requirement("a>=2"), parse_requirement("a>=3"))
    assert combine(None, parse_requirement("a>=1"), parse_requirement("a>=1")) == "a>=1"
