"""One test per case in which updaters lose work, or are said to."""

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from scaffold import merge
from scaffold.errors import MergeError
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


def test_untracked_file_in_the_way(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A}).commit().write("n", "mine\n").write("same", C)
    changes = repo.update({"a": A, "n": "theirs\n", "same": C})
    assert changes == {"n": "conflict: in-the-way", "same": "added"}
    assert repo.text("n") == "mine\n"
    assert {"AU n", "UA n"} & {*repo.status()}
    repo.abort()
    assert repo.text("n") == "mine\n" and repo.text("same") == C
    assert repo.status() == ["?? n", "?? same"]


def test_ignored_file_in_the_way_stays_out_of_the_index(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A, ".gitignore": ".env\ncache\n"}).commit()
    repo.write(".env", "KEY=secret\n").write("cache", "x")
    new = {"a": A, ".gitignore": ".env\ncache\n", ".env": "KEY=\n", "cache/x": "y\n"}
    changes = repo.update(new)
    assert changes == {".env": "conflict: in-the-way", "cache/x": "conflict: in-the-way"}
    assert {*repo.report.conflicts} == {".env", "cache/x"}
    assert repo.text(".env") == "KEY=secret\n"
    assert git(repo.top, "ls-files", ".env", "cache") == ""


def test_untracked_folder_in_the_way_of_a_file(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A}).commit().write("n/mine", "mine\n")
    assert repo.update({"a": A, "n": "file\n"}) == {"n": "conflict: in-the-way"}
    assert repo.text("n/mine") == "mine\n"


def test_binary_modes_and_links(tmp_path: Path) -> None:
    old: dict[str, str | bytes] = {"run.sh!": A, "x.bin": b"\0old", "l": "->a", "y.bin": b"\0y"}
    repo = Repo(tmp_path, old).write("y.bin", b"\0team").replace("run.sh", "a 9", "team 9")
    repo.commit()
    new: dict[str, str | bytes] = {
        "run.sh!": lines("a", _1="n"), "x.bin": b"\0new\xff", "l": "->b", "y.bin": b"\0new",
    }  # fmt: skip
    changes = repo.update(new)
    assert changes == {
        "run.sh": "merged", "x.bin": "updated", "l": "updated", "y.bin": "conflict: binary",
    }  # fmt: skip
    assert os.access(repo.folder / "run.sh", os.X_OK)
    assert (repo.folder / "x.bin").read_bytes() == b"\0new\xff"
    assert (repo.folder / "y.bin").read_bytes() == b"\0team"
    assert (repo.folder / "l").readlink() == Path("b")


def test_team_committed_crlf(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A, "b": B, "c": C})
    for path in ("a", "b", ANSWERS):
        repo.replace(path, "\n", "\r\n")
    (repo.folder / "b").rename(repo.folder / "mine")
    repo.replace("a", "a 9", "team 9").commit()
    new = {"a": lines("a", _2="n"), "b": lines("b", _2="n"), "c": lines("c", _2="n"), "n": "n\n"}
    changes = repo.update(new)
    assert changes == {
        "a": "merged", "b": "kept", "mine": "merged", "c": "updated", "n": "added",
    }  # fmt: skip
    wanted = lines("a", _2="n", _9="team 9").replace("\n", "\r\n")
    assert (repo.folder / "a").read_bytes().decode() == wanted
    assert (repo.folder / "mine").read_bytes().decode() == new["b"].replace("\n", "\r\n")
    assert repo.text("c") == new["c"]


@pytest.mark.parametrize("setting", ["true", "input", "false"])
def test_autocrlf(tmp_path: Path, setting: str) -> None:
    old = {"a": A, "win.bat": "@echo\r\nold\r\n"}
    repo = Repo(tmp_path, old)
    git(repo.top, "config", "core.autocrlf", setting)
    repo.replace("a", "a 9", "team 9").commit()
    changes = repo.update({"a": lines("a", _2="n"), "win.bat": "@echo\r\nnew\r\n"})
    assert changes == {"a": "merged", "win.bat": "updated"}
    git(repo.top, "commit", "-qam", "update")
    assert repo.status() == []
    ends = b"new\n" if setting == "input" else b"new\r\n"
    assert (repo.folder / "win.bat").read_bytes().endswith(ends)


def test_attributes_of_the_repository(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A, "win.bat": "@echo\r\nold\r\n"}, prefix="apps/desk")
    (repo.top / ".gitattributes").write_text("* text=auto eol=crlf\n*.keep merge=union\n")
    repo.write("x.keep", "x\n").commit()
    new = {"a": lines("a", _2="n"), "win.bat": "@echo\r\nnew\r\n", "n.bat": "n\r\n"}
    assert repo.update(new) == {"a": "updated", "win.bat": "updated", "n.bat": "added"}
    git(repo.top, "commit", "-qam", "update")
    assert repo.status() == []
    assert b"\r" not in git(repo.top, "cat-file", "blob", "HEAD:apps/desk/n.bat").encode()


def test_neighbours_in_a_monorepo(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A, "b": B}, prefix="apps/desk")
    other = repo.top / "apps/other"
    other.mkdir()
    for name in "ab":
        (other / name).write_text(repo.text(name))
    (repo.folder / "a").unlink()
    repo.commit()
    (other / "a").write_text("uncommitted\n")
    (other / "staged").write_text("staged\n")
    git(repo.top, "add", "apps/other/staged")
    before = {k: v for k, v in repo.files().items() if "other" in k}
    repo.update({"a": lines("a", _1="n"), "b": lines("b", _1="n"), "n": "n\n"})
    assert {k: v for k, v in repo.files().items() if "other" in k} == before
    assert repo.text("b") == lines("b", _1="n")
    assert "A  apps/other/staged" in repo.status()
    repo.abort()
    assert {*repo.status()} == {"A  apps/other/staged", " M apps/other/a"}


def test_linked_work_tree(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A}).commit()
    git(repo.top, "worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    repo.folder = repo.top = tmp_path / "side"
    assert repo.update({"a": lines("a", _1="n")}) == {"a": "updated"}
    assert (tmp_path / "repo/a").read_text() == A
    repo.abort()
    assert repo.text("a") == A and repo.status() == []


def test_before_the_first_commit(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A}).replace("a", "a 9", "team 9")
    with pytest.raises(MergeError, match="git add"):
        repo.update({"a": lines("a", _1="n")})
    git(repo.top, "add", "-A")
    before = repo.files(), repo.status()
    assert repo.update({"a": lines("a", _1="n")}) == {"a": "merged"}
    assert repo.text("a") == lines("a", _1="n", _9="team 9")
    repo.abort()
    assert (repo.files(), repo.status()) == before


def test_hooks_do_not_run_and_nothing_is_signed(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A}).commit()
    for name in ("post-index-change", "post-checkout", "pre-commit", "post-merge"):
        hook = repo.top / ".git/hooks" / name
        hook.write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\n")
        hook.chmod(0o755)
    for key, value in {
        "commit.gpgSign": "true",
        "user.signingKey": "none",
        "gpg.program": "false",
    }.items():
        git(repo.top, "config", key, value)
    repo.replace("a", "a 9", "team 9")
    (tmp_path / "ran").unlink(missing_ok=True)
    repo.update({"a": lines("a", _1="n")}, autostash=True)
    assert repo.text("a") == lines("a", _1="n", _9="team 9")
    assert not (tmp_path / "ran").exists()


def test_variables_from_outside_change_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repo = Repo(tmp_path, {"a": A}).commit()
    for name in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.setenv(name, str(tmp_path / "nowhere"))
    changes = repo.update({"a": lines("a", _1="n")})
    assert changes == {"a": "updated"}
    assert not (tmp_path / "nowhere").exists()


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


def test_an_ignored_file_of_the_render_that_changes(tmp_path: Path) -> None:
    old = {"a": A, "local.env": "one\n", "gone.env": "one\n", "away.env": "one\n"}
    repo = Repo(tmp_path, old, prefix="ws")
    (repo.top / ".gitignore").write_text("*.env\n")
    repo.commit().write("local.env", "secret\n").write("gone.env", "secret\n")
    (repo.folder / "away.env").unlink()
    new = {"a": B, "local.env": "two\n", "fresh.env": "new\n", "same.env": "s\n", "away.env": "2\n"}
    repo.write("same.env", "s\n")
    assert repo.update(new) == {
        "a": "updated", "local.env": "conflict: in-the-way", "fresh.env": "added",
        "away.env": "kept",
    }  # fmt: skip
    assert repo.text("local.env") == repo.text("gone.env") == "secret\n"
    assert repo.text("fresh.env") == "new\n" and not (repo.folder / "away.env").exists()
    assert ".env" not in git(repo.top, "ls-files", "--stage")
    repo.abort()
    assert not (repo.folder / "fresh.env").exists() and repo.text("same.env") == "s\n"
    assert repo.status() == []


def test_an_ignored_file_of_an_update_that_is_edited_stays_on_abort(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A})
    (repo.top / ".gitignore").write_text("*.env\n")
    repo.commit().update({"a": B, "n.env": "n\n"})
    repo.write("n.env", "secret\n")
    secret = git(repo.top, "hash-object", "n.env").strip()
    assert repo.abort().left == ("n.env",) and repo.text("n.env") == "secret\n"
    assert git(repo.top, "cat-file", "-t", secret, allowed=(128,)) == ""


@pytest.mark.parametrize("hidden", [True, False])
def test_declared_rename_onto_a_file_git_does_not_have(tmp_path: Path, hidden: bool) -> None:
    repo = Repo(tmp_path, {"a": A, "b": B}).replace("a", "a 9\n", "team 9\n")
    (repo.top / ".gitignore").write_text("new\n" if hidden else "")
    repo.commit().write("new", "local\n")
    changes = repo.update({"new": lines("a", _1="new"), "b": B}, renames={"a": "new"})
    assert changes == {"a": "conflict: dropped", "new": "conflict: in-the-way"}
    assert repo.text("a") == lines("a", _9="team 9") and repo.text("new") == "local\n"
    assert ("new" in git(repo.top, "ls-files", "--stage")) is not hidden


def test_declared_rename_to_a_name_that_git_ignores(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A, "x/forced.log": B, "x/y": B}).replace("a", "a 9\n", "team 9\n")
    (repo.top / ".gitignore").write_text("new\n*.log\n")
    git(repo.top, "add", "--force", "x/forced.log")
    repo.commit()
    new = {"new": A, "z/forced.log": B, "z/y": B}
    changes = repo.update(new, renames={"a": "new", "x": "z"})
    assert changes["a"] == "conflict: dropped" and changes["z/forced.log"] == "renamed"
    assert "team 9" in repo.text("a") and repo.text("new") == A


def test_a_folder_that_is_a_link(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A, "t/x": B, "t/y": B}, prefix="ws").commit()
    git(repo.top, "mv", "ws/t", "shared")
    (repo.folder / "t").symlink_to("../shared")
    repo.commit()
    changes = repo.update({"a": A, "t/x": lines("b", _1="new"), "t/y": B, "t/z": B})
    assert changes["t/x"] == changes["t/z"] == "conflict: type" and "t" not in changes
    assert (repo.top / "shared/x").read_text() == B and not (repo.top / "shared/z").exists()
    assert (repo.folder / "t").is_symlink()
    assert [line for line in repo.status() if ANSWERS not in line] == []


def test_run_bits_where_git_does_not_look_at_them(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"run!": A, "gone!": B})
    git(repo.top, "config", "core.fileMode", "false")
    repo.commit()
    changes = repo.update({"run!": lines("a", _1="new"), "fresh!": A})
    assert changes == {"run": "updated", "gone": "removed", "fresh": "added"}
    (repo.folder / "run").chmod(0o644)
    assert repo.abort().rescued is None


def test_a_submodule_of_the_teams(tmp_path: Path) -> None:
    library = Repo(tmp_path / "library", {"x": A}).commit()
    repo = Repo(tmp_path / "desk", {"a": A, "b": B})
    (repo.folder / "b").unlink()
    add = ("-c", "protocol.file.allow=always", "submodule", "add", "-q", str(library.top))
    git(repo.folder, *add, "b")
    git(repo.top, "config", "submodule.recurse", "true")
    repo.commit().replace("a", "a 9\n", "dirty 9\n")
    repo.update({"a": lines("a", _1="new"), "b": B}, autostash=True)
    assert repo.text("a") == lines("a", _1="new", _9="dirty 9") and repo.text("b/x") == A
    repo.abort()
    assert repo.text("b/x") == A and repo.status() == [" M a"]


def test_a_detached_head_and_a_sparse_index(tmp_path: Path) -> None:
    repo = Repo(tmp_path, {"a": A, "d/b": B}, prefix="ws")
    repo.write("../far/away", "x\n").commit()
    git(repo.top, "checkout", "-q", "--detach")
    git(repo.top, "sparse-checkout", "set", "--cone", "--sparse-index", "ws")
    assert not (repo.top / "far").exists()
    repo.replace("a", "a 9\n", "dirty 9\n")
    repo.update({"a": lines("a", _1="new"), "d/b": A, "d/c": B}, autostash=True)
    assert repo.text("a") == lines("a", _1="new", _9="dirty 9") and repo.text("d/c") == B
    repo.abort()
    assert repo.status() == [" M ws/a"] and not (repo.top / "far").exists()


def test_a_filter_that_changes_what_is_on_disk(tmp_path: Path) -> None:
    """As git-lfs does: a short text in git, the content on disk."""
    repo = Repo(tmp_path, {"a": A, "big": B, "b": B})
    git(repo.top, "config", "filter.up.clean", "tr A-Z a-z")
    git(repo.top, "config", "filter.up.smudge", "tr a-z A-Z")
    git(repo.top, "config", "filter.up.required", "true")
    (repo.top / ".gitattributes").write_text("big filter=up\n")
    repo.commit()
    git(repo.top, "checkout", "-q", "HEAD", "--", "big")
    repo.replace("b", "b 9\n", "dirty 9\n")
    repo.update({"a": A, "big": lines("b", _1="new"), "b": B}, autostash=True)
    assert "new" in git(repo.top, "show", ":big") and "dirty 9" in repo.text("b")
    repo.abort()
    assert repo.status() == [" M b"]


@pytest.mark.parametrize("name", ["new\nline", "q\"'", "-dash", " lead", "ümlaut", ":(top)x", "*"])
def test_odd_names_that_were_edited(tmp_path: Path, name: str) -> None:
    repo = Repo(tmp_path, {name: A, "b": B}, prefix="w s").commit()
    repo.update({name: lines("a", _1="new"), "b": B})
    repo.replace(name, "a 9\n", "edited 9\n")
    report = repo.abort()
    assert repo.text(name) == A
    subprocess.run(shlex.split(report.commands[0]), cwd="/", check=True)
    assert "edited 9" in repo.text(name)
