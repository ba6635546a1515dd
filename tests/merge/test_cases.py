"""One test per case in which updaters lose work, or say so wrongly."""

import shlex
import subprocess
from pathlib import Path

import pytest

from scaffold import merge
from tests.merge.repo import ANSWERS, Repo, git, kinds_by_path, lines, locate

A, B, C = (lines(name) for name in "abc")


def test_both_edit_other_lines(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A, "b": B}).replace("a", "a 9\n", "team 9\n").commit()
    assert repo.update({"a": lines("a", _2="new 2"), "b": lines("b", _2="new")}) == {
        "a": "merged",
        "b": "updated",
    }
    assert repo.text("a") == lines("a", _2="new 2", _9="team 9")
    assert repo.text(ANSWERS) == "_commit: v2\n"
    assert {line[:2] for line in repo.status()} == {"M "}


def test_same_lines_conflict_as_git_merge_leaves_them(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A}).replace("a", "a 5\n", "team 5\n").commit()
    labels = merge.Labels("yours", "template v2")
    assert repo.update({"a": lines("a", _5="new 5")}, labels=labels) == {"a": "conflict: content"}
    assert "<<<<<<< yours\nteam 5\n=======\nnew 5\n>>>>>>> template-v2\n" in repo.text("a")
    assert "UU a" in repo.status()
    git(repo.top, "checkout", "--theirs", "a")
    assert repo.text("a") == lines("a", _5="new 5")


def test_template_drops_what_the_team_edited(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A, "b": B}).replace("a", "a 5\n", "team 5\n").commit()
    assert repo.update({}) == {"a": "conflict: dropped", "b": "removed"}
    assert repo.text("a") == lines("a", _5="team 5")
    assert "UD a" in repo.status()
    assert not (repo.folder / "b").exists()


def test_a_dropped_file_is_never_paired_with_a_similar_new_one(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"deepseek.py": A}).replace("deepseek.py", "a 5\n", "team 5\n").commit()
    new = {"groq.py": lines("a", _3="groq")}
    assert repo.update(new) == {"deepseek.py": "conflict: dropped", "groq.py": "added"}
    assert repo.text("groq.py") == new["groq.py"]
    assert "team 5" in repo.text("deepseek.py")


def test_declared_rename_carries_the_teams_edits(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"router.py": A}).replace("router.py", "a 9\n", "team 9\n").commit()
    new = {"routing.py": lines("new", 8) + "a 8\na 9\na 10\na 11\n"}
    assert repo.update(new, renames={"router.py": "routing.py"}) == {"routing.py": "renamed"}
    assert repo.text("routing.py") == new["routing.py"].replace("a 9", "team 9")
    assert not (repo.folder / "router.py").exists()


def test_declared_rename_onto_a_file_of_the_teams(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A}).replace("a", "a 9\n", "team 9\n").write("z", "mine\n").commit()
    changes = repo.update({"z": A}, renames={"a": "z"})
    assert changes == {"a": "conflict: dropped", "z": "conflict: both-added"}
    assert "mine" in repo.text("z") and "team 9" in repo.text("a")


def test_team_moved_a_file_the_template_edits(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A, "b": B}).commit()
    (repo.folder / "a").rename(repo.folder / "mine")
    repo.replace("mine", "a 9", "team 9").commit()
    assert repo.update({"a": lines("a", _2="new"), "b": B}) == {"mine": "merged", "a": "kept"}
    assert repo.text("mine") == lines("a", _2="new", _9="team 9")


def test_team_moved_and_edited_what_the_template_renames(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A}).commit()
    (repo.folder / "a").rename(repo.folder / "mine")
    repo.commit()
    repo.update({"z": lines("a", _2="new")}, renames={"a": "z"})
    assert repo.text("mine") == lines("a", _2="new")


def test_team_deleted_what_the_template_edits(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A, "b": B}).commit()
    (repo.folder / "a").unlink()
    repo.commit()
    assert repo.update({"a": lines("a", _2="new"), "b": B}) == {"a": "conflict: deleted"}
    assert "DU a" in repo.status()


def test_team_deleted_what_the_template_leaves(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A, "b": B}).commit()
    (repo.folder / "a").unlink()
    repo.commit()
    assert repo.update({"a": A, "b": lines("b", _1="new")}) == {"a": "kept", "b": "updated"}
    assert not (repo.folder / "a").exists()


def test_both_add_the_same_path(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A}).write("n", "mine\n").write("s", C).commit()
    new = {"a": A, "n": "theirs\n", "s": C}
    assert repo.update(new) == {"n": "conflict: both-added"}
    assert "mine" in repo.text("n") and "theirs" in repo.text("n")


def test_package_rename_moves_the_teams_own_files(tmp_path: Path) -> None:
    old = {"src/desk/a.py": A, "src/desk/sub/b.py": B, "tests/test_a.py": "import desk\n" + C}
    repo = Repo(tmp_path, old).write("src/desk/mine.py", "mine\n")
    repo.replace("src/desk/a.py", "a 9", "team 9").commit()
    new = {"src/help/a.py": A, "src/help/sub/b.py": B, "tests/test_a.py": "import help\n" + C}
    changes = repo.update(new, renames={"src/desk": "src/help"})
    assert repo.text("src/help/mine.py") == "mine\n"
    assert repo.text("src/help/a.py") == lines("a", _9="team 9")
    assert not (repo.folder / "src/desk").exists()
    assert changes["src/help/mine.py"] == "renamed"
    assert repo.changes[1].was is not None


def test_team_renamed_a_folder_the_template_adds_to(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"agents/a": A, "agents/b": B, "c": C}).commit()
    (repo.folder / "agents").rename(repo.folder / "crew")
    repo.commit()
    repo.update({"agents/a": A, "agents/b": B, "agents/judge": "judge\n", "c": C})
    assert repo.text("crew/judge") == "judge\n"


@pytest.mark.parametrize("edited", [True, False])
def test_team_owned_files_are_never_changed(tmp_path: Path, edited: bool) -> None:
    repo = Repo(tmp_path, {"prompts/a.md": A, "prompts/gone.md": B, "c": C})
    if edited:
        repo.replace("prompts/a.md", "a 9", "team 9")
    (repo.folder / "prompts/gone.md").unlink()
    repo.commit()
    kept = repo.text("prompts/a.md")
    new = {"prompts/a.md": lines("a", _1="x"), "prompts/gone.md": "new\n", "prompts/n.md": "n\n"}
    changes = repo.update({**new, "c": C}, team_owned=["prompts"])
    assert changes == {
        "prompts/a.md": "suggestion",
        "prompts/n.md": "added",
        "prompts/gone.md": "kept",
    }
    assert repo.text("prompts/a.md") == kept
    blob = next(one.blob for one in repo.changes if one.path == "prompts/a.md")
    assert git(repo.top, "cat-file", "blob", str(blob)) == new["prompts/a.md"]


def test_team_owned_files_of_a_removed_feature(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"p/a.md": A, "p/b.md": B}).replace("p/a.md", "a 9", "team 9").commit()
    changes = repo.update({}, team_owned=["p/*.md"])
    assert changes == {"p/a.md": "conflict: dropped", "p/b.md": "removed"}


def test_team_owned_seed_where_the_team_has_its_own(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"c": C}).write("p.md", "mine\n").commit()
    assert repo.update({"c": C, "p.md": "seed\n"}, team_owned=["p.md"]) == {"p.md": "suggestion"}
    assert repo.text("p.md") == "mine\n"


def test_team_owned_files_follow_the_package(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"src/desk/p.md": A}).replace("src/desk/p.md", "a 9", "team 9").commit()
    owned = ["src/desk/p.md", "src/help/p.md"]
    new = {"src/help/p.md": lines("a", _1="new")}
    repo.update(new, team_owned=owned, renames={"src/desk": "src/help"})
    assert repo.text("src/help/p.md") == lines("a", _9="team 9")


def test_dry_run_leaves_no_trace_and_shows_what_an_update_does(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A, "b": B, "c": C}).replace("a", "a 9", "team 9").commit()
    (repo.folder / "b").touch()
    new = {"a": lines("a", _9="n"), "b": lines("b", _1="n"), "n": "n\n"}
    before = repo.state()
    with repo.plan(new) as plan:
        diff = plan.diff()
    assert repo.state() == before
    repo.update(new)
    git(repo.top, "add", "-A")
    assert git(repo.top, "diff", "--cached", "-M", "HEAD") == diff


def test_update_twice_is_update_once(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A}).replace("a", "a 9", "team 9").commit()
    new = {"a": lines("a", _1="n")}
    repo.update(new)
    repo.commit()
    repo.old, repo.before = dict(new), "v2"
    assert repo.update(new) == {"a": "kept"}
    assert repo.status() == []


def test_answers_file_is_the_templates(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A}).write(ANSWERS, "_commit: v1\nby: hand\n").commit()
    assert repo.update({"a": A}) == {}
    assert repo.text(ANSWERS) == "_commit: v2\n"


@pytest.mark.parametrize("prefix", ["", "a b/d\u00e9sk"])
def test_odd_names(tmp_path: Path, prefix: str) -> None:
    names = [
        "with space",
        'qu"ote',
        "st*r",
        "b\\s",
        "\u00fcml\u00e4ut",
        "-dash",
        ":(top)x",
        "tab\tx",
    ]
    old = {name: lines(name) for name in names}
    repo = Repo(tmp_path, old, prefix=prefix)
    for name in names:
        repo.replace(name, " 9\n", " team\n")
    repo.commit()
    new = {name: lines(name, _1="n") for name in names} | {f"new {name}": A for name in names}
    changes = repo.update(new)
    assert {changes[name] for name in names} == {"merged"}
    assert all(repo.text(n) == lines(n, _1="n", _9=f"{n} team") for n in names)
    repo.abort()
    assert repo.status() == []


def test_what_the_team_changed(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A, "b": B, "c": C}, prefix="ws").replace("a", "a 9", "team 9")
    repo.commit()
    (repo.folder / "c").rename(repo.folder / "moved")
    (repo.folder / "b").unlink()
    (repo.top / ".git/info/exclude").write_text("ignored\n")
    repo.write("untracked", "u\n").write("ignored", "i\n")
    before = repo.state()
    changes, text = merge.compare(locate(repo.folder), repo.renders({})[0])
    assert repo.state() == before
    assert kinds_by_path(changes) == {
        "a": "updated",
        "b": "removed",
        "moved": "renamed",
        "untracked": "added",
    }
    assert "+team 9\n" in text and text.endswith("\n")


@pytest.mark.parametrize("name", ["new\nline", "q\"'", "-dash", " lead", "ümlaut", ":(top)x", "*"])
def test_odd_names_that_were_edited(tmp_path: Path, name: str) -> None:
    repo = Repo(tmp_path, {name: A, "b": B}, prefix="w s").commit()
    repo.update({name: lines("a", _1="new"), "b": B})
    repo.replace(name, "a 9\n", "edited 9\n")
    report = repo.abort()
    assert repo.text(name) == A
    subprocess.run(shlex.split(report.commands[0]), cwd="/", check=True)
    assert "edited 9" in repo.text(name)
