"""Every released version updates to what is here now, with what a team does in the meantime."""

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from scaffold import cli
from scaffold.sources import cut_release, releases
from tests.conftest import ROOT
from tests.fork import append, commit, edit, files, git, new

NEXT = "99.0.0"
VERSIONS = list(releases.list_releases())
FIRST = VERSIONS[0]
LATEST_FIRST = [
    VERSIONS[-1],
    *(pytest.param(version, marks=pytest.mark.slow) for version in VERSIONS[-2::-1]),
]
OURS = '"""The team\'s own module."""\n\nOURS = 1\n'


def work_like_a_team(desk: Path) -> None:
    """Edit what teams edit: settings, prompts, machinery, a dependency, files of their own."""
    package = desk / "src/desk"
    edit(desk / "fleet.toml", '"anthropic:claude-haiku-5-5"', '"anthropic:claude-haiku-4-5"')
    append(package / "prompts/answer.md", "Be kind.\n")
    append(package / "prompts/analyst.md", "Show your working.\n")
    append(package / "agents/analyst.py", "\nOURS = 1\n")
    edit(package / "runtime/errors.py", "class FleetError", "OURS = 1\n\n\nclass FleetError")
    edit(desk / "pyproject.toml", "dependencies = [\n", 'dependencies = [\n    "structlog>=25",\n')
    append(desk / ".gitignore", "/private/\n")
    edit(desk / "README.md", "Answers requests with a fleet of models.", "Deployed on Fridays.")
    (package / "ours.py").write_text(OURS)
    (desk / "private").mkdir()
    (desk / "private/notes.txt").write_text("ignored by git\n")
    (desk / "AGENTS.md").unlink()
    commit(desk)


def assert_all_is_there(desk: Path) -> None:
    """Assert that every line of `work_like_a_team` is where it belongs."""
    package = desk / "src/desk"
    assert '"anthropic:claude-haiku-4-5"' in (desk / "fleet.toml").read_text("utf-8")
    assert (package / "prompts/answer.md").read_text("utf-8").endswith("Be kind.\n")
    assert (package / "prompts/analyst.md").read_text("utf-8").endswith("Show your working.\n")
    assert (package / "agents/analyst.py").read_text("utf-8").endswith("\nOURS = 1\n")
    assert "OURS = 1\n\n\nclass FleetError" in (package / "runtime/errors.py").read_text("utf-8")
    project = tomllib.loads((desk / "pyproject.toml").read_text("utf-8"))["project"]
    assert "structlog>=25" in project["dependencies"]
    assert "/private/" in (desk / ".gitignore").read_text("utf-8").splitlines()
    assert "Deployed on Fridays." in (desk / "README.md").read_text("utf-8")
    assert (package / "ours.py").read_text() == OURS
    assert (desk / "private/notes.txt").read_text() == "ignored by git\n"
    gone = not (desk / "AGENTS.md").exists()
    assert gone or "DU AGENTS.md" in git(desk, "status", "--porcelain").splitlines()


@pytest.fixture(scope="module")
def next_release(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return the bundle and its hashes with these templates as one release more."""
    root = tmp_path_factory.mktemp("next")
    for path in (releases.BUNDLE, releases.HASHES, ROOT / "copier.yml"):
        shutil.copy(path, root)
    shutil.copytree(ROOT / "templates", root / "templates")
    (root / "CHANGELOG.md").write_text(f"## {NEXT} - 2099-01-01\n")
    bundle, hashes = root / releases.BUNDLE.name, root / releases.HASHES.name
    cut_release.release(NEXT, root, bundle, hashes)
    return bundle, hashes


@pytest.fixture
def with_next(next_release: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    bundle, hashes = next_release
    monkeypatch.setattr(releases, "BUNDLE", bundle)
    monkeypatch.setattr(releases, "HASHES", hashes)


@pytest.mark.usefixtures("with_next")
@pytest.mark.parametrize("version", LATEST_FIRST)
def test_every_release_updates_to_the_next_with_the_teams_work(
    version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = new(tmp_path / "desk", "--ref", version)
    work_like_a_team(desk)
    assert cli.run(["check", str(desk)]) == 3
    assert cli.run(["update", str(desk)]) in (0, 3)
    assert_all_is_there(desk)
    conflicts = git(desk, "diff", "--name-only", "--diff-filter=U").split()
    assert set(conflicts) <= {"AGENTS.md"}, capsys.readouterr().out
    recorded = yaml.safe_load((desk / ".copier-answers.yml").read_text("utf-8"))
    assert recorded["_commit"] == f"v{NEXT}"
    commit(desk)
    assert cli.run(["check", str(desk)]) == 0


@pytest.mark.slow
@pytest.mark.usefixtures("with_next")
@pytest.mark.parametrize(
    ("extras", "pattern"),
    [("[quality_checks]", "[]"), ("[grounded]", "[]"), ("[]", "[research]")],
)
def test_one_check_alone_gets_what_it_reads_texts_with(
    extras: str, pattern: str, tmp_path: Path
) -> None:
    settings = ("--set", f"extras={extras}", "--set", f"patterns={pattern}")
    desk = new(tmp_path / "desk", "--ref", "0.4.0", *settings, "--set", "search=[local_folder]")
    had = "**checks.CHECKS" in (desk / "src/desk/wiring.py").read_text()
    assert cli.run(["update", str(desk)]) == 0
    wiring = (desk / "src/desk/wiring.py").read_text()
    assert ("**grounded.CHECKS" in wiring, "**checks.CHECKS" in wiring) == (True, had)
    assert (desk / "src/desk/runtime/grounded.py").is_file()


@pytest.mark.slow
@pytest.mark.usefixtures("with_next")
@pytest.mark.parametrize("version", VERSIONS)
def test_an_untouched_workspace_updated_passes_its_own_tests(version: str, tmp_path: Path) -> None:
    desk = new(tmp_path / "desk", "--ref", version)
    assert cli.run(["update", str(desk)]) == 0
    environment = {**os.environ, "PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"}
    for words in (["pytest", "-q"], ["ruff", "check"], ["ruff", "format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", *words],
            cwd=desk,
            env=environment,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("with_next")
def test_jumping_over_releases_is_going_step_by_step(tmp_path: Path) -> None:
    desk = new(tmp_path / "jump/desk", "--ref", FIRST)
    assert cli.run(["update", str(desk)]) == 0
    steps = new(tmp_path / "steps/desk", "--ref", FIRST)
    for version in [*list(releases.list_releases())[1:]]:
        assert cli.run(["update", str(steps), "--to", version]) == 0
        commit(steps)
    assert files(steps) == files(desk)


def _install(tmp_path: Path) -> Path:
    """Install a wheel with one release more in an environment with nothing else; return the program."""
    root = tmp_path / "source"
    listed = git(ROOT, "ls-files", "-z", "--", ".", ":!tests").split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, root / name)
    append(root / "CHANGELOG.md", f"\n## {NEXT} - 2099-01-01\n")
    data = root / "scaffold/data"
    cut_release.release(NEXT, root, data / "templates.bundle", data / "releases.json")
    environment = tmp_path / "environment"
    for words in (
        ["uv", "build", "--quiet", "--wheel", "--out-dir", str(tmp_path / "dist"), str(root)],
        ["uv", "venv", "--quiet", "--python", sys.executable, str(environment)],
    ):
        subprocess.run(words, check=True, timeout=300)
    wheel = next((tmp_path / "dist").glob("*.whl"))
    words = ["uv", "pip", "install", "--quiet", "--python", str(environment), str(wheel)]
    subprocess.run(words, check=True, timeout=300)
    return environment / "bin/scaffold"


@pytest.mark.slow
@pytest.mark.installs
def test_from_the_wheel_offline_in_an_empty_environment(tmp_path: Path) -> None:
    """A workspace from the first release, edited as teams do, comes to the last one."""
    program = _install(tmp_path)
    git_folder = Path(shutil.which("git") or "/usr/bin/git").parent
    home = tmp_path / "home"
    home.mkdir()
    environment = {
        "PATH": f"{program.parent}:{git_folder}",
        "HOME": str(home),
        "GIT_ALLOW_PROTOCOL": "file",
        **{f"{name}_proxy": "http://127.0.0.1:9" for name in ("http", "https", "all")},
    }

    def scaffold(*words: str) -> int:
        done = subprocess.run(
            [str(program), *words], env=environment, cwd=home, timeout=120, text=True, check=False
        )
        return done.returncode

    desk = home / "desk"
    assert scaffold("new", "desk", "--defaults", "--ref", FIRST) == 0
    work_like_a_team(desk)
    before = files(desk)
    assert scaffold("check", "desk") == 3
    assert scaffold("update", "desk", "--dry-run") == 0
    assert files(desk) == before
    status = scaffold("update", "desk")
    assert_all_is_there(desk)
    conflicts = git(desk, "diff", "--name-only", "--diff-filter=U").split()
    assert (status, conflicts) in [(0, []), (3, ["AGENTS.md"])]
    commit(desk)
    assert scaffold("check", "desk") == 0
    assert scaffold("add", "agent", "billing", "desk") == 0
    commit(desk)
    assert scaffold("remove", "agent", "billing", "desk") == 0
    assert scaffold("diff", "desk") == 0
    assert [path.name for path in home.iterdir()] == ["desk"]


# The first release has no drafts, and from v0.6.0 on a scorer has a chain of its own.
@pytest.mark.usefixtures("with_next")
@pytest.mark.slow
@pytest.mark.parametrize("version", ["v0.2.0", "v0.3.0", "v0.4.0", "v0.5.0"])
def test_a_scorer_stays_expensive_until_the_team_changes_the_answer(
    version: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    desk = new(tmp_path / "desk", "--ref", version, "--set", "patterns=[draft_polish]")
    edit(desk / "fleet.toml", '    "openai:gpt-6.1-sol",\n', "")
    chains = tomllib.loads((desk / "fleet.toml").read_text("utf-8"))["chains"]
    commit(desk)
    capsys.readouterr()
    assert cli.run(["update", str(desk)]) == 0
    shown = capsys.readouterr().err
    settings = tomllib.loads((desk / "fleet.toml").read_text("utf-8"))
    assert settings["stages"]["score"]["chain"] == "scorer"
    assert settings["chains"]["scorer"]["models"] == chains["expensive"]["models"]
    assert "scorer. It keeps the models of expensive: 1,000 requests of draft_polish with" in shown
    commit(desk)
    assert cli.run(["update", str(desk), "--set", "chains={scorer: null}"]) == 0
    settings = tomllib.loads((desk / "fleet.toml").read_text("utf-8"))
    assert settings["chains"]["scorer"]["models"][0] == "anthropic:claude-sonnet-5-5"
