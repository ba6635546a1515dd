"""Releases: known by hash, reproducible, rendered from the bundle, clear when one is damaged."""

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from scaffold import cli
from scaffold.errors import TemplateError, ToolError
from scaffold.sources import cut_release, releases
from scaffold.system.git import git
from scaffold.workspace.target import create_repository
from tests.conftest import ROOT
from tests.messages import one_mistake


def template(folder: Path) -> Path:
    """Copy this template to a folder of its own."""
    folder.mkdir()
    shutil.copytree(ROOT / "templates", folder / "templates")
    shutil.copy(ROOT / "copier.yml", folder)
    (folder / "CHANGELOG.md").write_text("## 1.0.0 - 2026-01-02\n\n## 1.1.0 - 2026-02-03\n")
    return folder


def trees_of(bundle: Path, work: Path, *tags: str) -> list[str]:
    """Return the name of each tag's tree, as a clone of the bundle has it."""
    subprocess.run(["git", "clone", "-q", str(bundle), str(work)], check=True, capture_output=True)
    asked = ["git", "-C", str(work), "rev-parse", *(f"{tag}^{{tree}}" for tag in tags)]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.split()


@pytest.mark.slow
def test_released_versions_are_what_they_were(tmp_path: Path) -> None:
    known = releases.list_releases()
    trees = trees_of(releases.BUNDLE, tmp_path / "clone", *known)
    assert trees == [hashes.tree for hashes in known.values()]
    with releases.open_template() as template:
        roots = [template.check_out(version).root for version in known]
        found = [releases.fingerprint(root) for root in roots]
    assert found == [hashes.fingerprint for hashes in known.values()]


@pytest.mark.slow
def test_a_second_release_keeps_the_first_and_is_reproducible(tmp_path: Path) -> None:
    root = template(tmp_path / "template")
    texts: list[str] = []
    for turn in ("a", "b"):
        bundle, hashes = tmp_path / f"{turn}.bundle", tmp_path / f"{turn}.json"
        cut_release.release("1.0.0", root, bundle, hashes)
        cut_release.release("1.1.0", root, bundle, hashes)
        texts.append(hashes.read_text())
    known = json.loads(texts[0])
    assert texts[0] == texts[1]
    assert list(known) == ["v1.0.0", "v1.1.0"]
    assert trees_of(tmp_path / "a.bundle", tmp_path / "x", "v1.0.0") == [known["v1.0.0"]["tree"]]


def test_a_release_is_refused_with_advice(tmp_path: Path) -> None:
    root = template(tmp_path / "template")
    bundle, hashes = tmp_path / "t.bundle", tmp_path / "t.json"
    for version, message in (("1", "is not a version"), ("2.0.0", "has no heading")):
        with pytest.raises(TemplateError, match=message):
            cut_release.release(version, root, bundle, hashes)
    cut_release.release("1.0.0", root, bundle, hashes)
    with pytest.raises(TemplateError, match="released already"):
        cut_release.release("1.0.0", root, bundle, hashes)
    (root / "copier.yml").write_text("stale: true\n")
    with pytest.raises(TemplateError, match="stale"):
        cut_release.release("1.1.0", root, bundle, hashes)


def test_a_template_that_wants_to_run_code_is_refused(tmp_path: Path) -> None:
    root = template(tmp_path / "template")
    with (root / "copier.yml").open("a") as file:
        file.write("_tasks: [touch owned]\n")
    with pytest.raises(TemplateError, match="_tasks"), releases.open_source(str(root)):
        pass


def test_a_folder_that_is_not_a_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"copier\.yml"), releases.open_source(str(tmp_path)):
        pass


def test_a_changed_template_has_another_fingerprint(tmp_path: Path) -> None:
    root = template(tmp_path / "template")
    before = releases.fingerprint(root)
    path = root / "templates/{{'.'}}/src/{{package}}/cli.py"
    path.write_text(path.read_text("utf-8") + "\n", "utf-8")
    assert releases.fingerprint(root) != before


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"v1.0.0": {"commit": "x"}}', '{"v1.0.0": 3}', "\x00"]
)
def test_a_damaged_list_is_reported(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    hashes = tmp_path / "releases.json"
    hashes.write_text(text)
    monkeypatch.setattr(releases, "HASHES", hashes)
    assert cli.run(["new", str(tmp_path / "desk"), "--defaults", "--no-git"]) == 1
    shown = capsys.readouterr().err
    assert "list of released templates is damaged" in one_mistake(shown)


@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_a_missing_or_tampered_bundle_is_reported(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = tmp_path / "templates.bundle"
    if damage == "cut":
        bundle.write_bytes(releases.BUNDLE.read_bytes()[:-3000])
    if damage == "other":
        root = template(tmp_path / "template")
        heading = f"## {next(iter(releases.list_releases())).removeprefix('v')} - 2026-01-01\n"
        (root / "CHANGELOG.md").write_text(heading)
        cut_release.release(heading.split()[1], root, bundle, tmp_path / "hashes.json")
    monkeypatch.setattr(releases, "BUNDLE", bundle)
    with (
        pytest.raises(TemplateError, match="bundle of released templates is damaged or missing"),
        releases.open_source(ref=next(iter(releases.list_releases()))),
    ):
        pass


@pytest.mark.parametrize(
    ("ref", "message"),
    [
        ("v99.0.0", "upgrade scaffold"),
        ("v0.0.1", "Release v0.0.1 does not exist; choose from v0.1.0"),
        ("v0.1.0+local.00000000", "set `_commit: v0.1.0`"),
        ("--upload-pack=x", "does not exist"),
    ],
)
def test_an_unknown_version_is_reported_with_a_way_out(ref: str, message: str) -> None:
    with pytest.raises(TemplateError, match=re.escape(message)), releases.open_source(ref=ref):
        pass


def test_the_installed_templates_are_found_by_their_unreleased_name() -> None:
    here = releases.find_installed()
    with releases.open_template() as template:
        assert template.check_out(str(here.commit)) == here


@pytest.mark.slow
def test_a_release_that_was_interrupted_is_cut_again(tmp_path: Path) -> None:
    root = template(tmp_path / "template")
    bundle, hashes = tmp_path / "t.bundle", tmp_path / "t.json"
    cut_release.release("1.0.0", root, bundle, hashes)
    listed = hashes.read_bytes()
    cut_release.release("1.1.0", root, bundle, hashes)
    whole = hashes.read_bytes()
    hashes.write_bytes(listed)
    cut_release.release("1.1.0", root, bundle, hashes)
    assert hashes.read_bytes() == whole
    assert [path.name for path in tmp_path.glob(".*")] == []


def test_a_release_that_fails_changes_neither_file(tmp_path: Path) -> None:
    root = template(tmp_path / "template")
    bundle, hashes = tmp_path / "t.bundle", tmp_path / "t.json"
    cut_release.release("1.0.0", root, bundle, hashes)
    before = hashes.read_bytes()
    bundle.write_bytes(b"no bundle")
    with pytest.raises(ToolError):
        cut_release.release("1.1.0", root, bundle, hashes)
    bundle.unlink()
    with pytest.raises(TemplateError, match="restore it"):
        cut_release.release("1.1.0", root, bundle, hashes)
    assert hashes.read_bytes() == before


@pytest.mark.slow
def test_versions_only_go_up(tmp_path: Path) -> None:
    root = template(tmp_path / "template")
    bundle, hashes = tmp_path / "t.bundle", tmp_path / "t.json"
    cut_release.release("1.1.0", root, bundle, hashes)
    with pytest.raises(TemplateError, match=r"older than v1\.1\.0"):
        cut_release.release("1.0.0", root, bundle, hashes)


@pytest.mark.slow
def test_the_command_releases_a_copy(tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(ROOT / "scaffold", root / "scaffold")
    shutil.copytree(ROOT / "templates", root / "templates")
    shutil.copy(ROOT / "copier.yml", root)
    (root / "CHANGELOG.md").write_text("## 9.0.0 - 2027-01-01\n\n## 9.1.0 - 2027-01-02\n")
    message = ""
    for version in ("9.0.0", "9.1.0"):
        done = subprocess.run(
            [sys.executable, "-m", "scaffold.sources.cut_release", version],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(root)},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        message = done.stdout
    assert f"{len(releases.list_releases()) + 2} versions" in message
    known = releases.read_hashes(root / "scaffold/data/releases.json")
    assert list(known)[-2:] == ["v9.0.0", "v9.1.0"]
    assert known["v9.0.0"].tree == known["v9.1.0"].tree


def test_git_variables_of_a_hook_do_not_reach_us(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    assert cli.run(["new", str(tmp_path / "desk"), "--defaults", "--ref", "v0.1.0"]) == 0
    assert (tmp_path / "desk/.git/index").is_file()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["desk"]


def test_an_address_without_a_name_still_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tmp_path / "gitconfig"
    settings.write_text("[user]\n\temail = a@example.org\n\tuseConfigOnly = true\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (tmp_path / "desk").mkdir()
    (tmp_path / "desk/file").write_text("x")
    create_repository(tmp_path / "desk", "first")
    assert git("log", "--format=%an %ae", cwd=tmp_path / "desk") == "scaffold a@example.org"
