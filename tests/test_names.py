"""A legal name is green: it renders, lints, and its tests pass. Every other one is refused."""

import builtins
import keyword
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from scaffold.catalog.catalog import Catalog
from scaffold.catalog.names import agent_problem, package_problem, project_problem
from scaffold.errors import AnswersError
from tests import harness
from tests.conftest import ROOT
from tests.specs import complete

PYTHON_NAMES = [*keyword.softkwlist, "type", *dir(builtins)]
NUMBERED = [
    "a",
    "a0",
    "a1",
    "a2",
    "a10",
    "a_1",
    "a_2",
    "a_10",
    "a2b9",
    "a2b10",
    "x9",
    "x99",
    "x100",
    *("a_", "a__", "a__b", "a_b", "ab", "a1_", "n" * 30, "m" * 29 + "_"),
]
OS_RELEASE = "".join(p.read_text("utf-8") for p in [Path("/etc/os-release")] if p.is_file())
WORDS_OF_FORMATS = ["on", "off", "yes", "no", "y", "n", "true", "false", "null", "nan", "inf", "e1"]
"""What YAML, TOML or JSON may read as something else than a name."""
PACKAGES = [
    "runtime",
    "agents",
    "wiring",
    "ledger",
    "cli",
    "match",
    "type",
    "print",
    "a1b2",
    "x",
    "a__b_",
]
PROJECTS = ["Type", "List 2", "research", "content", "ask", "demo", "2026", "1e3", "null", "no"]


def modules() -> set[str]:
    """Every module that any template brings, and every feature."""
    paths = (ROOT / "templates").rglob("*.py*")
    features = {feature.name for feature in harness.CATALOG.features}
    return {path.name.partition(".")[0] for path in paths} | features


def agents(names: list[str]) -> list[dict[str, str]]:
    return [{"name": name, "description": "One", "chain": "cheap"} for name in names]


def legal(names: list[str]) -> list[str]:
    """Return those that a sub-agent may have in a workspace with every pattern."""
    everything = {"patterns": [feature.name for feature in harness.CATALOG.of("pattern")]}
    names = list(dict.fromkeys(names))
    with pytest.raises(AnswersError) as caught:
        complete(harness.CATALOG, {**everything, "agents": agents(names)}, folder_name="w")
    refused = {problem.key for problem in caught.value.problems}
    return [name for name in names if f"agents.{name}" not in refused]


@pytest.fixture(scope="module")
def crowd() -> list[str]:
    """Legal names that are most likely to hide something."""
    return legal([*sorted(modules()), *PYTHON_NAMES, *NUMBERED, *WORDS_OF_FORMATS])


def test_most_module_names_are_legal_for_a_sub_agent(crowd: list[str]) -> None:
    assert {"content", "openai", "type", "match", "cli", "checks", "print"} <= set(crowd)
    refused = modules() - set(crowd)
    assert {"classify", "plan", "research", "judge"} <= refused | {"judge"}


@pytest.mark.slow
def test_a_workspace_of_awkward_sub_agents_is_clean(crowd: list[str], tmp_path: Path) -> None:
    folder = harness.render_workspace(tmp_path / "w", {"agents": agents(crowd)})
    assert not harness.run(folder, "ruff", "check", "--no-cache")
    assert not harness.run(folder, "ruff", "format", "--check", "--no-cache")
    assert not harness.run(folder, "desk", "doctor", "--help")


@pytest.mark.slow
def test_a_workspace_of_awkward_sub_agents_is_green(crowd: list[str], tmp_path: Path) -> None:
    everything = {"patterns": [feature.name for feature in harness.CATALOG.of("pattern")]}
    folder = harness.render_workspace(tmp_path / "w", {**everything, "agents": agents(crowd)})
    assert not harness.run(folder, "pytest", "-p", "no:cacheprovider")
    assert not harness.run(folder, "basedpyright", "--pythonpath", sys.executable)


@pytest.mark.slow
@pytest.mark.parametrize("package", PACKAGES)
def test_an_awkward_package_is_green(package: str, tmp_path: Path) -> None:
    assert package_problem(package) is None
    folder = harness.render_workspace(tmp_path / "w", {"package": package})
    assert not harness.run(folder, "ruff", "check", "--no-cache")
    assert not harness.run(folder, "pytest", "-p", "no:cacheprovider")


@pytest.mark.slow
@pytest.mark.parametrize("project", PROJECTS)
def test_an_awkward_project_is_green(project: str, tmp_path: Path) -> None:
    assert project_problem(project) is None
    folder = harness.render_workspace(tmp_path / "w", {"project_name": project})
    assert not harness.run(folder, "ruff", "format", "--check", "--no-cache")
    assert not harness.run(folder, "pytest", "-p", "no:cacheprovider")


@pytest.mark.slow
@settings(max_examples=8, deadline=None)
@given(
    st.lists(
        st.from_regex(r"[a-c_]{0,2}[0-9]{0,3}[a-c_]{0,2}[0-9]{0,4}", fullmatch=True).map(
            lambda text: "a" + text
        ),
        min_size=2,
        max_size=60,
    )
)
def test_imports_of_any_sub_agents_are_sorted(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    kept = [name for name in dict.fromkeys(names) if agent_problem(name) is None]
    folder = harness.render_workspace(tmp_path_factory.mktemp("w") / "w", {"agents": agents(kept)})
    assert not harness.run(folder, "ruff", "check", "--no-cache", "--select", "I")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("class", "keyword"),
        ("nul", "device"),
        ("tier_01", "leading zero"),
        ("Billing", "identifier"),
        ("_x", "identifier"),
    ],
)
def test_other_sub_agents_are_refused(name: str, problem: str) -> None:
    assert problem in (agent_problem(name) or "")


@pytest.mark.parametrize(
    "name",
    [
        *("imp", "distutils", "annotationlib", "tomllib", "test_x", "site", "tests", "conftest"),
        *("src", "docs", "data", "colorama", "tzdata", "pytest", "google", "aux"),
    ],
)
def test_a_package_may_hide_a_module_of_no_python(name: str) -> None:
    assert package_problem(name)


@pytest.mark.parametrize("name", ["build", "dist", "venv", "node_modules", "lib", "env", "target"])
def test_no_tool_passes_over_a_package(name: str, catalog: Catalog) -> None:
    assert "pass over" in (package_problem(name) or "")
    assert complete(catalog, {}, folder_name=name).package == f"{name}_agents"


@pytest.mark.parametrize(
    "name",
    [
        *("python", "Python 3", "activate", "pip", "pip3.11", "ruff", "uv", "git", "py.test"),
        *("ssh", "SSH!", "cc", "gcc", "ls", "test", "env", "make", "gpg", "git LFS", "ssh-agent"),
        *("less", "xcrun", "cmd", "copier", "pydoc3", "uvx"),
    ],
)
def test_a_command_may_hide_none_of_the_environment(name: str) -> None:
    assert project_problem(name)


def test_a_folder_called_like_a_program_gets_another_project_name(catalog: Catalog) -> None:
    spec = complete(catalog, {}, folder_name="ssh")
    assert (spec.project_name, spec.slug, spec.package) == (
        "ssh-agents",
        "ssh-agents",
        "ssh_agents",
    )


@pytest.mark.skipif(
    "VERSION_CODENAME=bookworm" not in OS_RELEASE or shutil.which("dpkg-query") is None,
    reason="this system is not Debian 12, whose packages system_commands.txt lists",
)
def test_no_command_is_called_like_a_program_of_this_system() -> None:
    asked = ["dpkg-query", "-W", "-f", "${Package} ${Priority}\\n"]
    lines = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.splitlines()
    base = [line.split()[0] for line in lines if line.split()[-1] in ("required", "important")]
    done = subprocess.run(["dpkg", "-L", *base], capture_output=True, text=True, check=False)
    programs = re.findall(r"^(?:/usr)?/s?bin/([a-z0-9]+(?:-[a-z0-9]+)*)$", done.stdout, re.M)
    assert len(programs) > 200
    assert [name for name in programs if not project_problem(name)] == []


def test_a_recorded_sub_agent_stays_legal(catalog: Catalog) -> None:
    answers = {"patterns": [], "agents": agents(["plan"])}
    assert complete(catalog, answers, folder_name="w", recorded=answers)
    with pytest.raises(AnswersError, match="take another, such as plan_desk"):
        complete(catalog, answers, folder_name="w")
    with pytest.raises(AnswersError, match="Orchestrat"):
        complete(
            catalog, {**answers, "patterns": ["orchestrator"]}, folder_name="w", recorded=answers
        )
