"""`scaffold update` through the program's edge, in real repositories."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from scaffold import cli
from tests.fork import append, commit, edit, files, git, new, read_json
from tests.messages import one_mistake

ERRORS, OLD, NEW = (f"src/desk/runtime/{name}.py" for name in ("errors", "recorded", "replayed"))
PROMPT = "src/desk/prompts/answer.md"

pytestmark = pytest.mark.usefixtures("updates_render_once")


def update(folder: Path, *words: str) -> int:
    return cli.run(["update", str(folder), *words])


def status(folder: Path) -> list[str]:
    return git(folder, "status", "--porcelain", "--untracked-files=all").splitlines()


def first_line(path: Path) -> str:
    return path.read_text("utf-8").splitlines()[0]


def test_the_team_keeps_its_edits_and_gets_the_templates(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(desk / ERRORS, first_line(desk / ERRORS), '"""Ours."""')
    edit(desk / OLD, first_line(desk / OLD), '"""Ours too."""')
    append(desk / PROMPT, "Be kind.\n")
    (desk / "ours.txt").write_text("ours\n")
    commit(desk)
    assert update(desk) == 0
    shown = capsys.readouterr().out
    assert "v1.0.0 → v1.1.0" in shown
    assert f"suggestion  {PROMPT}" in shown
    assert first_line(desk / ERRORS) == '"""Ours."""'
    assert "# Two: an edit." in (desk / ERRORS).read_text("utf-8")
    assert first_line(desk / NEW) == '"""Ours too."""'
    assert not (desk / OLD).exists()
    assert not (desk / "Dockerfile").exists()
    assert (desk / "HISTORY.md").read_text() == "Two: an addition.\n"
    assert (desk / PROMPT).read_text("utf-8").endswith("Be kind.\n")
    assert "Two" not in (desk / PROMPT).read_text("utf-8")
    recorded = yaml.safe_load((desk / ".copier-answers.yml").read_text("utf-8"))
    assert recorded["_commit"] == "v1.1.0"
    assert all(line[1] == " " for line in status(desk)), "everything is staged"


@pytest.mark.slow
def test_twice_is_once(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert update(desk) == 0
    commit(desk)
    before = files(desk)
    capsys.readouterr()
    assert update(desk) == 0
    assert "Nothing to do" in capsys.readouterr().out
    assert (files(desk), status(desk)) == (before, [])


@pytest.mark.slow
def test_a_workspace_nobody_edited_becomes_a_fresh_render(
    desk: Path, fork: Path, tmp_path: Path
) -> None:
    assert update(desk) == 0
    words = ("--template", str(fork), "--ref", "v1.1.0", "--no-git")
    fresh = files(new(tmp_path / "fresh/desk", *words))
    merged = files(desk)
    # What is the team's from the first day is suggested, not changed.
    assert merged.pop(PROMPT) != fresh.pop(PROMPT)
    assert merged == fresh


def test_conflicts_are_left_as_git_merge_leaves_them(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    append(desk / ERRORS, "\n\n# Ours.\n")
    append(desk / "Dockerfile", "# Ours.\n")
    commit(desk)
    assert update(desk, "--json") == 3
    report = read_json(capsys)
    assert sorted(report["conflicts"]) == ["Dockerfile", ERRORS]
    assert report["written"] is True
    assert {line for line in status(desk) if "U" in line[:2]} == {f"UU {ERRORS}", "UD Dockerfile"}
    text = (desk / ERRORS).read_text("utf-8")
    assert text.count("<<<<<<< ") == text.count(">>>>>>> ") == 1
    assert "# Ours." in (desk / "Dockerfile").read_text("utf-8")
    git(desk, "checkout", "--theirs", ERRORS)
    assert "# Two: an edit." in (desk / ERRORS).read_text("utf-8")


def test_abort_goes_back_and_what_was_half_solved_is_not_lost(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    append(desk / ERRORS, "\n\n# Ours.\n")
    commit(desk)
    before = files(desk)
    assert update(desk) == 3
    assert update(desk) == 1
    assert "--abort" in capsys.readouterr().err
    assert update(desk, "--abort") == 0
    assert (files(desk), status(desk)) == (before, [])
    assert update(desk, "--abort") == 1


@pytest.mark.slow
def test_a_dry_run_leaves_no_trace_and_predicts_the_result(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    append(desk / ERRORS, "\n\n# Ours.\n")
    commit(desk)
    before = files(desk.parent)
    objects = git(desk, "count-objects", "-v")
    assert update(desk, "--dry-run", "--json") == 0
    plan = read_json(capsys)
    assert files(desk.parent) == before
    assert git(desk, "count-objects", "-v") == objects
    assert (plan["written"], plan["dry_run"]) == (False, True)
    assert update(desk, "--json") == 3
    done = read_json(capsys)
    assert done["changes"] == plan["changes"]
    commit(desk)
    assert git(desk, "diff", "--find-renames", "HEAD~1", "HEAD") == plan["diff"]


@pytest.mark.slow
def test_json_names_every_file(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert update(desk, "--json") == 0
    report = read_json(capsys)
    assert (report["from"], report["to"]) == ("v1.0.0", "v1.1.0")
    rows = {row["path"]: row["status"] for row in report["changes"]}
    assert rows == {
        ".copier-answers.yml": "updated",
        "Dockerfile": "removed",
        "HISTORY.md": "added",
        ERRORS: "updated",
        NEW: "renamed",
        PROMPT: "suggestion",
    }
    assert report["answers"]["package"] == "desk"
    assert next(row for row in report["changes"] if row["path"] == NEW)["was"] == OLD


def test_uncommitted_work_is_refused_or_put_aside_and_back(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    append(desk / "README.md", "Not committed.\n")
    before = files(desk)
    assert update(desk) == 1
    assert "--autostash" in capsys.readouterr().err
    assert files(desk) == before
    assert update(desk, "--autostash") == 0
    assert (desk / "README.md").read_text("utf-8").endswith("Not committed.\n")
    assert (desk / "HISTORY.md").is_file()
    assert git(desk, "stash", "list") == ""


@pytest.mark.parametrize("ignored", [True, False])
def test_files_in_the_way_are_kept(ignored: bool, desk: Path) -> None:
    if ignored:
        append(desk / ".gitignore", "HISTORY.md\n")
        commit(desk)
    (desk / "HISTORY.md").write_text("Mine.\n")
    assert update(desk) in (1, 3)
    assert (desk / "HISTORY.md").read_text() == "Mine.\n"


@pytest.mark.slow
def test_in_a_monorepo_neighbours_stay_as_they_are(desk: Path, tmp_path: Path) -> None:
    mono = tmp_path / "mono"
    (mono / "apps").mkdir(parents=True)
    shutil.rmtree(desk / ".git")
    shutil.copytree(desk, mono / "apps/desk")
    shutil.copytree(desk, mono / "apps/other")
    git(mono, "init", "--quiet")
    commit(mono)
    edit(mono / "apps/desk" / OLD, first_line(desk / OLD), '"""Ours."""')
    commit(mono)
    other = files(mono / "apps/other")
    assert update(mono / "apps/desk") == 0
    assert first_line(mono / "apps/desk" / NEW) == '"""Ours."""'
    assert files(mono / "apps/other") == other
    assert all("apps/desk/" in line for line in status(mono))


@pytest.mark.slow
def test_in_a_linked_work_tree(desk: Path, tmp_path: Path) -> None:
    git(desk, "worktree", "add", "--quiet", str(tmp_path / "linked"))
    assert update(tmp_path / "linked") == 0
    assert (tmp_path / "linked/HISTORY.md").is_file()
    assert status(desk) == []
    assert update(tmp_path / "linked", "--abort") == 0


@pytest.mark.slow
def test_files_with_crlf_keep_it(desk: Path) -> None:
    text = (desk / ERRORS).read_bytes().replace(b"\n", b"\r\n")
    (desk / ERRORS).write_bytes(text)
    commit(desk)
    assert update(desk) == 0
    merged = (desk / ERRORS).read_bytes()
    assert b"# Two: an edit.\r\n" in merged
    assert merged.count(b"\n") == merged.count(b"\r\n")


@pytest.mark.slow
def test_hooks_do_not_run_and_nothing_is_signed(desk: Path, tmp_path: Path) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("post-checkout", "pre-commit", "post-merge", "reference-transaction"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\nexit 1\n")
        (hooks / name).chmod(0o755)
    git(desk, "config", "core.hooksPath", str(hooks))
    git(desk, "config", "commit.gpgSign", "true")
    git(desk, "config", "gpg.program", "false")
    assert update(desk) == 0
    assert not (tmp_path / "ran").exists()


def test_before_the_first_commit_it_is_refused(
    desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(desk / ".git")
    git(desk, "init", "--quiet")
    before = files(desk)
    assert update(desk) == 1
    assert "commit" in capsys.readouterr().err
    assert files(desk) == before


def test_without_git_it_says_so(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(desk / ".git")
    assert update(desk) == 1
    assert "git init" in capsys.readouterr().err


@pytest.mark.slow
def test_a_version_can_be_named(desk: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert update(desk, "--to", "v9") == 1
    assert "v1.0.0, v1.1.0" in capsys.readouterr().err
    assert update(desk, "--to", "v1.1.0") == 0
    commit(desk)
    edit(desk / NEW, first_line(desk / NEW), '"""Ours."""')
    commit(desk)
    assert update(desk, "--to", "v1.0.0") == 0
    assert first_line(desk / OLD) == '"""Ours."""'


@pytest.mark.slow
def test_a_moved_template_is_recorded(desk: Path, fork: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(fork, tmp_path / "moved"))
    assert update(desk, "--template", str(moved)) == 0
    recorded = yaml.safe_load((desk / ".copier-answers.yml").read_text("utf-8"))
    assert recorded["_src_path"] == str(moved)


def test_an_answer_changes_without_an_upgrade(desk: Path) -> None:
    assert update(desk, "--set", "monthly_budget_usd=7") == 0
    assert "month_usd = 7" in (desk / "fleet.toml").read_text("utf-8")
    recorded = yaml.safe_load((desk / ".copier-answers.yml").read_text("utf-8"))
    assert (recorded["_commit"], recorded["monthly_budget_usd"]) == ("v1.0.0", 7)
    assert not (desk / "HISTORY.md").exists()


def test_one_chain_changes_and_the_others_stay(desk: Path) -> None:
    before = yaml.safe_load((desk / ".copier-answers.yml").read_text("utf-8"))["chains"]
    assert update(desk, "--set", "chains={expensive: ['anthropic:claude-opus-5-5']}") == 0
    after = yaml.safe_load((desk / ".copier-answers.yml").read_text("utf-8"))["chains"]
    assert after == {**before, "expensive": ["anthropic:claude-opus-5-5"]}


def test_the_package_moves_with_the_teams_edits_and_files(desk: Path) -> None:
    edit(desk / ERRORS, first_line(desk / ERRORS), '"""Ours."""')
    (desk / "src/desk/ours.py").write_text("OURS = 1\n")
    append(desk / PROMPT, "Be kind.\n")
    commit(desk)
    assert update(desk, "--set", "package=bureau") == 0
    assert not (desk / "src/desk").exists()
    assert first_line(desk / "src/bureau/runtime/errors.py") == '"""Ours."""'
    assert (desk / "src/bureau/ours.py").is_file()
    assert (desk / "src/bureau/prompts/answer.md").read_text("utf-8").endswith("Be kind.\n")
    assert "bureau.cli:main" in (desk / "pyproject.toml").read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "is not YAML"),
        ("_commit: v1.0.0\n_commit: v1.0.0\n", "has the key '_commit' twice, again in line 2"),
        ("- a\n", "holds no answers"),
        ("<<<<<<< yours\n", "conflict markers"),
        ("_src_path: x\n", "has no _commit"),
        ("_commit: v1.0.0\n", "has no _src_path"),
        ("_commit: 1.0\n_src_path: x\n", "_commit in"),
        ("_commit: v1.0.0\n_src_path: /absent\n", "name it with --template"),
    ],
)
def test_an_answers_file_edited_by_hand(
    text: str, said: str, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (desk / ".copier-answers.yml").write_text(text)
    commit(desk)
    for command in ("update", "check", "diff"):
        assert cli.run([command, str(desk)]) == 1
        shown = capsys.readouterr().err
        assert said in one_mistake(shown)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("patterns", 3),
        pytest.param("agents", "x", marks=pytest.mark.slow),
        pytest.param("chains", ["a"], marks=pytest.mark.slow),
        pytest.param("package", None, marks=pytest.mark.slow),
    ],
)
def test_answers_of_the_wrong_type(
    key: str, value: object, desk: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = desk / ".copier-answers.yml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text("utf-8")), key: value}))
    commit(desk)
    for words in (["update"], ["add", "extra", "update_check"], ["add", "agent", "billing"]):
        assert cli.run([*words, str(desk)]) == 1
        assert f"{key}: " in capsys.readouterr().err
    assert status(desk) == []


def test_a_folder_that_is_not_a_workspace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        assert update(tmp_path) == 1
        assert "is not a workspace" in capsys.readouterr().err
        git(tmp_path, "init", "--quiet")


@pytest.mark.slow
def test_from_its_own_folder_in_a_process_of_its_own(desk: Path) -> None:
    (desk / "copier.py").write_text("raise SystemExit('the workspace was imported')\n")
    commit(desk)
    words = [str(Path(sys.executable).with_name("scaffold")), "update", "--json"]
    done = subprocess.run(words, cwd=desk, capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
