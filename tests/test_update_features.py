"""`scaffold add`, `remove`, `check` and `diff` through the program's edge, in real repositories."""

import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from scaffold import cli
from scaffold.answers.migrate import migrate
from scaffold.answers.spec import PartialSpec
from scaffold.catalog.catalog import Catalog
from tests.fork import append, commit, edit, files, git, new, read_json

ANALYST = "src/desk/agents/analyst.py"

pytestmark = pytest.mark.usefixtures("updates_render_once")


def read_answers(folder: Path) -> dict[str, Any]:
    return yaml.safe_load((folder / ".copier-answers.yml").read_text("utf-8"))


@pytest.fixture(scope="module")
def first_bare(fork: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Create a workspace with as little as possible, at the fork's first version."""
    words = ["patterns=[]", "extras=[]", "agents=[]", "providers=[anthropic]"]
    settings = [f"--set={word}" for word in words]
    place = tmp_path_factory.mktemp("bare") / "desk"
    return new(place, "--template", str(fork), "--ref", "v1.0.0", *settings)


@pytest.fixture
def bare(first_bare: Path, tmp_path: Path) -> Path:
    """Return a copy of that workspace to work in."""
    return Path(shutil.copytree(first_bare, tmp_path / "desk", symlinks=True))


ADDED = [
    pytest.param("pattern", "router", marks=pytest.mark.slow),
    pytest.param("provider", "openai", marks=pytest.mark.slow),
    pytest.param("extra", "docker", marks=pytest.mark.slow),
    ("agent", "billing"),
]


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "name"), ADDED)
def test_what_is_added_is_there_and_removed_it_is_as_before(
    kind: str, name: str, bare: Path, fork: Path
) -> None:
    before = files(bare)
    assert cli.run(["add", kind, name, str(bare)]) == 0
    assert read_answers(bare)["_commit"] == "v1.0.0"
    commit(bare)
    assert files(bare) != before
    answers = bare.parent / "answers.yml"
    shutil.copy(bare / ".copier-answers.yml", answers)
    words = ("--template", str(fork), "--ref", "v1.0.0", "--no-git", "--answers", str(answers))
    assert files(bare) == files(new(bare.parent / "fresh/desk", *words))
    assert cli.run(["remove", kind, name, str(bare)]) == 0
    assert files(bare) == before


def test_a_pattern_brings_its_chain_and_takes_it_along(
    bare: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert set(read_answers(bare)["chains"]) == {"balanced"}
    assert cli.run(["add", "pattern", "router", str(bare), "--json"]) == 0
    report = read_json(capsys)
    assert "src/desk/router.py" in [row["path"] for row in report["changes"]]
    assert set(read_answers(bare)["chains"]) == {"balanced", "cheap", "expensive"}
    assert read_answers(bare)["expensive_from"] == 3


@pytest.mark.slow
def test_a_chain_that_was_changed_stays_when_its_pattern_goes(desk: Path) -> None:
    chain = "chains={expensive: ['openai:gpt-6-luna']}"
    assert cli.run(["update", str(desk), "--set", chain]) == 0
    commit(desk)
    assert cli.run(["remove", "pattern", "router", str(desk)]) == 0
    assert read_answers(desk)["chains"]["expensive"] == ["openai:gpt-6-luna"]


@pytest.mark.slow
def test_a_provider_leaves_the_chains_alone_unless_asked(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = read_answers(desk)["chains"]
    assert cli.run(["add", "provider", "groq", str(desk)]) == 0
    assert "No chain asks groq yet" in capsys.readouterr().err
    assert read_answers(desk)["chains"] == before
    assert cli.run(["update", str(desk), "--abort"]) == 0
    assert cli.run(["add", "provider", "groq", str(desk), "--chain", "cheap"]) == 0
    after = read_answers(desk)["chains"]
    assert after["cheap"][:-1] == before["cheap"]
    assert after["cheap"][-1].startswith("groq:")
    assert {**after, "cheap": before["cheap"]} == before


@pytest.mark.slow
def test_a_teams_dependency_and_an_added_provider_do_not_conflict(desk: Path) -> None:
    edit(desk / "pyproject.toml", '    "pydantic>=', '    "httpx>=0.28",\n    "pydantic>=')
    commit(desk)
    assert cli.run(["add", "provider", "groq", str(desk)]) == 0
    text = (desk / "pyproject.toml").read_text("utf-8")
    assert '"httpx>=0.28",' in text
    assert "groq" in text


@pytest.mark.slow
def test_a_sub_agent_gets_module_prompt_and_table(desk: Path) -> None:
    words = ["--description", "Invoices", "--chain", "cheap"]
    assert cli.run(["add", "agent", "billing", str(desk), *words]) == 0
    assert (desk / "src/desk/agents/billing.py").is_file()
    assert "Invoices" in (desk / "src/desk/prompts/billing.md").read_text("utf-8")
    assert "[agents.billing]" in (desk / "fleet.toml").read_text("utf-8")
    assert "billing" in (desk / "src/desk/wiring.py").read_text("utf-8")


@pytest.mark.slow
def test_a_removed_sub_agent_that_was_edited_is_kept_and_reported(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    append(desk / ANALYST, "\nOURS = 1\n")
    commit(desk)
    assert cli.run(["remove", "agent", "analyst", str(desk)]) == 3
    assert ANALYST in capsys.readouterr().out
    assert "OURS = 1" in (desk / ANALYST).read_text("utf-8")
    assert not (desk / "src/desk/prompts/analyst.md").exists()
    assert "analyst" not in (desk / "src/desk/wiring.py").read_text("utf-8")


def test_a_removed_pattern_that_was_edited_is_kept_as_a_conflict(desk: Path) -> None:
    append(desk / "src/desk/router.py", "\nOURS = 1\n")
    commit(desk)
    assert cli.run(["remove", "pattern", "router", str(desk)]) == 3
    assert "OURS = 1" in (desk / "src/desk/router.py").read_text("utf-8")
    assert "UD src/desk/router.py" in git(desk, "status", "--porcelain").splitlines()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["add", "pattern", "ruoter"], "did you mean router?"),
        (["add", "pattern", "router"], "is already enabled"),
        (["add", "agent", "analyst"], "already exists"),
        (["add", "agent", "classify"], "is a name that Router gives to a stage"),
        (["add", "agent", "no-name"], "identifier"),
        (["add", "provider", "groq", "--chain", "cheep"], "did you mean cheap?"),
        (["add", "extra", "prices"], "unknown extra 'prices'"),
        (["remove", "pattern", "absent"], "unknown pattern 'absent'"),
        (["remove", "provider", "groq"], "provider 'groq' is not enabled"),
        (["remove", "agent", "absent"], "unknown agent 'absent'"),
        (["remove", "surface", "cli"], "unknown surface 'cli'"),
        (["remove", "engine", "in_process"], "unknown engine 'in_process'"),
        (["remove", "provider", "openai"], "--set 'chains="),
        (["add", "extra", "docker", "--set", "x"], "is not KEY=VALUE"),
    ],
)
def test_mistakes_are_reported_with_a_way_out(
    words: list[str], said: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run([*words[:3], str(desk), *words[3:]]) == 1
    assert said in capsys.readouterr().err
    assert git(desk, "status", "--porcelain") == ""


@pytest.mark.slow
def test_the_way_out_of_a_provider_in_use_works(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["remove", "provider", "openai", str(desk)]) == 1
    way_out = shlex.split(capsys.readouterr().err.partition("take it out with ")[2])
    assert cli.run(["remove", "provider", "openai", str(desk), *way_out]) == 0
    assert "openai" not in (desk / "fleet.toml").read_text("utf-8")


@pytest.mark.slow
def test_a_provider_that_the_team_wrote_into_fleet_toml_is_in_use(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run(["add", "provider", "groq", str(desk)]) == 0
    edit(desk / "fleet.toml", "models = [", 'models = [\n    "groq:mine",')
    commit(desk)
    assert cli.run(["remove", "provider", "groq", str(desk)]) == 1
    assert "in fleet.toml" in capsys.readouterr().err


def test_an_unknown_kind_is_usage(desk: Path) -> None:
    assert cli.run(["add", "patern", "router", str(desk)]) == 2


@pytest.mark.slow
def test_dry_runs_write_nothing(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = files(desk)
    assert cli.run(["add", "agent", "billing", str(desk), "--dry-run"]) == 0
    shown = capsys.readouterr().out
    assert "added       src/desk/agents/billing.py" in shown
    assert "+[agents.billing]" in shown
    assert cli.run(["remove", "agent", "analyst", str(desk), "--dry-run", "--json"]) == 0
    assert read_json(capsys)["dry_run"] is True
    assert files(desk) == before


def test_check_says_behind_equal_and_ahead(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["check", str(desk), "--json"]) == 3
    report = read_json(capsys)
    assert (report["version"], report["newest"], report["behind"]) == ("v1.0.0", "v1.1.0", True)
    assert cli.run(["update", str(desk)]) == 0
    assert cli.run(["check", str(desk)]) == 0
    path = desk / ".copier-answers.yml"
    path.write_text(path.read_text("utf-8").replace("v1.1.0", "v9.0.0"))
    assert cli.run(["check", str(desk)]) == 1


@pytest.mark.slow
def test_diff_of_a_workspace_that_git_ignores_says_what_to_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / ".gitignore").write_text("/desk/\n")
    commit(tmp_path)
    assert cli.run(["new", str(tmp_path / "desk"), "--preset", "single"]) == 0
    capsys.readouterr()
    assert cli.run(["diff", str(tmp_path / "desk")]) == 1
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: git does not have ")
    assert hint == "hint: run git add and git commit first"


def test_diff_names_what_the_team_changed(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["diff", str(desk), "--json"]) == 0
    assert read_json(capsys)["changes"] == []
    append(desk / "fleet.toml", "\n# Ours.\n")
    (desk / "Dockerfile").unlink()
    (desk / "ours.txt").write_text("ours\n")
    before = files(desk)
    assert cli.run(["diff", str(desk), "--json"]) == 0
    report = read_json(capsys)
    rows = {row["path"]: row["status"] for row in report["changes"]}
    assert rows == {"fleet.toml": "updated", "Dockerfile": "removed", "ours.txt": "added"}
    assert "+# Ours." in report["diff"]
    assert cli.run(["diff", str(desk)]) == 0
    assert "+# Ours." in capsys.readouterr().out
    assert files(desk) == before


def test_what_became_a_feature_of_its_own_stays_on(catalog: Catalog) -> None:
    answers = PartialSpec(patterns=[], extras=["docker"], providers=["anthropic"])
    old = Catalog(
        catalog.root,
        tuple(one for one in catalog.features if one.id != "extra_dotenv"),
    )
    migrated, notes = migrate(old, catalog, answers)
    assert migrated.extras == ["docker", "dotenv"]
    assert "dotenv" in notes[0]
    migrated, notes = migrate(catalog, catalog, answers)
    assert (migrated, notes) == (answers, [])


@pytest.mark.parametrize("check", ["agreement", "grounded"])
def test_a_check_stays_where_the_quality_checks_had_it(catalog: Catalog, check: str) -> None:
    answers = PartialSpec(patterns=[], extras=["quality_checks"], providers=["anthropic"])
    old = Catalog(
        catalog.root,
        tuple(one for one in catalog.features if one.id != f"extra_{check}"),
    )
    migrated, _ = migrate(old, catalog, answers)
    assert sorted(migrated.extras or []) == sorted([check, "quality_checks"])
    migrated, _ = migrate(old, catalog, answers.replace(extras=["docker"]))
    assert migrated.extras == ["docker"]


def test_a_feature_that_is_no_longer_required_stays_on(catalog: Catalog) -> None:
    answers = PartialSpec(patterns=[], extras=["quality_checks"], providers=["anthropic"])
    requiring = [
        one.model_copy(update={"requires": ["extra:grounded"]})
        if one.id == "extra_quality_checks"
        else one
        for one in catalog.features
    ]
    migrated, _ = migrate(Catalog(catalog.root, tuple(requiring)), catalog, answers)
    assert sorted(migrated.extras or []) == ["grounded", "quality_checks"]


def test_choices_that_are_gone_are_left_out_and_reported(catalog: Catalog) -> None:
    answers = PartialSpec(extras=["docker", "dropped"], engine="dropped")
    migrated, notes = migrate(catalog, catalog, answers)
    assert migrated == PartialSpec(extras=["docker"], engine="in_process")
    assert len(notes) == 2


@pytest.mark.slow
def test_a_feature_written_into_the_answers_by_hand_is_pointed_out(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(desk / ".copier-answers.yml", "- anthropic\n", "- groq\n- anthropic\n")
    commit(desk)
    capsys.readouterr()
    assert cli.run(["update", str(desk), "--dry-run", "--json"]) == 0
    pointed_out = [note for note in read_json(capsys)["warnings"] if "by hand" in note]
    assert len(pointed_out) == 1
    assert "`scaffold add provider groq`" in pointed_out[0]
