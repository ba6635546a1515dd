"""Templates of a team's own: folder, URL and bundle; trusted only as far as they run nothing."""

import shutil
from pathlib import Path

import pytest
import yaml

from scaffold import cli
from scaffold.catalog.catalog import load
from scaffold.catalog.copier_questions import copier_yml
from scaffold.catalog.core_settings import OLDEST_KEY
from scaffold.errors import TemplateError
from scaffold.sources import releases, template
from tests.examples import first_quick
from tests.fork import append, commit, edit, git, new, read_json


def copy_template(fork: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(fork, tmp_path / "template"))


def test_versions_are_tags_in_their_order(fork: Path, tmp_path: Path) -> None:
    root = copy_template(fork, tmp_path)
    for tag in ("v1.10.0", "v1.9.0", "nightly", "v2.0.0-rc1"):
        git(root, "tag", tag)
    with template.open_template(str(root)) as own:
        assert own.list_versions() == ["v1.0.0", "v1.1.0", "v1.9.0", "v1.10.0"]
        assert own.find_newest() == "v1.10.0"
        assert own.list_newer("v1.1.0") == ["v1.9.0", "v1.10.0"]


def test_without_tags_the_branch_is_followed(fork: Path, tmp_path: Path) -> None:
    root = copy_template(fork, tmp_path)
    git(root, "tag", "--delete", "v1.0.0", "v1.1.0")
    first = git(root, "rev-parse", "--short", "HEAD~1").strip()
    last = git(root, "rev-parse", "--short", "HEAD").strip()
    with template.open_template(str(root)) as own:
        assert own.list_newer(first) == [last]
        assert own.list_newer(last) == []


@pytest.mark.parametrize("kind", first_quick(["bundle", "folder", "url"]))
def test_a_folder_a_url_and_a_bundle_will_do(
    kind: str, fork: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    src = str(fork)
    if kind == "url":
        src = fork.as_uri()
    if kind == "bundle":
        src = str(tmp_path / "t.bundle")
        git(fork, "bundle", "create", "--quiet", src, "HEAD", "main", "--tags")
    words = ("--template", src, "--ref", "v1.0.0", "--no-git", "--set", "extras=[]")
    desk = new(tmp_path / "desk", *words)
    facts = yaml.safe_load((desk / ".copier-answers.yml").read_text("utf-8"))
    assert (facts["_src_path"], facts["_commit"]) == (src, "v1.0.0")
    capsys.readouterr()
    assert cli.run(["check", str(desk), "--json"]) == 3
    assert read_json(capsys)["newer"] == ["v1.1.0"]


def test_a_moved_template_is_reported_and_found(
    fork: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = copy_template(fork, tmp_path)
    words = ("--template", str(root), "--ref", "v1.0.0", "--no-git", "--set", "extras=[]")
    desk = new(tmp_path / "desk", *words)
    root.rename(tmp_path / "moved")
    assert cli.run(["check", str(desk)]) == 1
    assert "--template" in capsys.readouterr().err
    assert cli.run(["check", str(desk), "--template", str(tmp_path / "moved")]) == 3


def test_a_rewritten_history_is_reported(fork: Path) -> None:
    with template.open_template(str(fork)) as own:
        with pytest.raises(TemplateError, match="history was rewritten"):
            own.check_out("v0.9.0")
        with pytest.raises(TemplateError, match="its versions are"):
            own.check_out("1234567")


@pytest.mark.parametrize("src", ["ext::sh -c id", "-x", "--upload-pack=id", "/absent", "gh:"])
def test_an_address_that_is_none(src: str) -> None:
    with pytest.raises(TemplateError), template.open_template(src):
        pass


def test_a_password_in_a_url_is_refused_and_not_repeated() -> None:
    with (
        pytest.raises(TemplateError, match="no password") as caught,
        template.open_template("https://me:s3cret@example.org/t.git"),
    ):
        pass
    assert "s3cret" not in str(caught.value)


def test_short_forms_are_written_out() -> None:
    assert template.canonical("gh:team/fork") == "https://github.com/team/fork.git"
    assert template.canonical("git+https://example.org/t.git") == "https://example.org/t.git"


@pytest.mark.parametrize("wanted", ["_tasks: [touch owned]", "_jinja_extensions: [os]"])
def test_a_version_that_wants_to_run_code_is_refused(
    wanted: str, fork: Path, tmp_path: Path
) -> None:
    root = copy_template(fork, tmp_path)
    append(root / "copier.yml", f"{wanted}\n")
    commit(root)
    git(root, "tag", "v1.2.0")
    with (
        template.open_template(str(root)) as own,
        pytest.raises(TemplateError, match="runs no template's code"),
    ):
        own.check_out("v1.2.0")


def test_a_template_for_a_newer_scaffold_says_so(fork: Path, tmp_path: Path) -> None:
    root = copy_template(fork, tmp_path)
    text = (root / "copier.yml").read_text("utf-8")
    ours = str(yaml.safe_load(text)[OLDEST_KEY])
    edit(root / "copier.yml", f"{OLDEST_KEY}: {ours}", f"{OLDEST_KEY}: 99.0.0")
    with (
        pytest.raises(TemplateError, match=r"needs scaffold 99\.0\.0"),
        releases.open_source(str(root)),
    ):
        pass


def test_catalog_and_questions_are_those_of_the_version(fork: Path, tmp_path: Path) -> None:
    root = copy_template(fork, tmp_path)
    folder = root / "templates/{{extra_house}}"
    folder.mkdir()
    (folder / "feature.yml").write_text(
        "kind: extra\nname: house\ntitle: H\nsummary: House rules\n"
    )
    (folder / "HOUSE.md").write_text("Rules.\n")

    (root / "copier.yml").write_text(copier_yml(load(root)), encoding="utf-8")
    commit(root)
    git(root, "tag", "v1.2.0")
    words = ("--template", str(root), "--no-git", "--set", "extras=[house]")
    desk = new(tmp_path / "desk", *words, "--ref", "v1.2.0")
    assert (desk / "HOUSE.md").is_file()
    assert cli.run(["new", str(tmp_path / "x"), *words, "--ref", "v1.1.0"]) == 1


def test_a_folder_without_git_has_no_versions(
    fork: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plain = tmp_path / "plain"
    shutil.copytree(fork, plain, ignore=shutil.ignore_patterns(".git"))
    words = ("--template", str(plain), "--no-git", "--set", "extras=[]")
    desk = new(tmp_path / "desk", *words)
    assert cli.run(["check", str(desk)]) == 1
    assert "a template without git has no versions" in capsys.readouterr().err
