"""Releases: pinned, reproducible, rendered from the bundle, and clear when something is wrong."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from scaffold import release, releases
from scaffold.errors import TemplateError
from tests.conftest import ROOT


def template(folder: Path) -> Path:
    """A copy of this template in a folder of its own."""
    folder.mkdir()
    shutil.copytree(ROOT / "templates", folder / "templates")
    shutil.copy(ROOT / "copier.yml", folder)
    (folder / "CHANGELOG.md").write_text("## 1.0.0 - 2026-01-02\n\n## 1.1.0 - 2026-02-03\n")
    return folder


def tree_of(bundle: Path, tag: str, work: Path) -> str:
    subprocess.run(["git", "clone", "-q", str(bundle), str(work)], check=True, capture_output=True)
    asked = ["git", "-C", str(work), "rev-parse", f"{tag}^{{tree}}"]
    return subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("version", releases.releases())
def test_a_released_version_is_what_it_was(version: str, tmp_path: Path) -> None:
    pins = releases.releases()[version]
    assert tree_of(releases.BUNDLE, version, tmp_path / "clone") == pins.tree
    with releases.source(ref=version) as source:
        assert releases.fingerprint(source.root) == pins.fingerprint


def test_a_second_release_keeps_the_first_and_is_reproducible(tmp_path: Path) -> None:
    root = template(tmp_path / "template")
    made: list[str] = []
    for turn in ("a", "b"):
        bundle, pins = tmp_path / f"{turn}.bundle", tmp_path / f"{turn}.json"
        release.release("1.0.0", root, bundle, pins)
        release.release("1.1.0", root, bundle, pins)
        made.append(pins.read_text())
    known = json.loads(made[0])
    assert made[0] == made[1]
    assert list(known) == ["v1.0.0", "v1.1.0"]
    assert tree_of(tmp_path / "a.bundle", "v1.0.0", tmp_path / "x") == known["v1.0.0"]["tree"]


def test_a_release_is_refused_with_advice(tmp_path: Path) -> None:
    root = template(tmp_path / "template")
    bundle, pins = tmp_path / "t.bundle", tmp_path / "t.json"
    for version, told in (("1", "is no version"), ("2.0.0", "has no heading")):
        with pytest.raises(TemplateError, match=told):
            release.release(version, root, bundle, pins)
    release.release("1.0.0", root, bundle, pins)
    with pytest.raises(TemplateError, match="released already"):
        release.release("1.0.0", root, bundle, pins)
    (root / "copier.yml").write_text("stale: true\n")
    with pytest.raises(TemplateError, match="stale"):
        release.release("1.1.0", root, bundle, pins)


def test_a_template_that_wants_to_run_code_is_refused(tmp_path: Path) -> None:
    root = template(tmp_path / "template")
    with (root / "copier.yml").open("a") as file:
        file.write("_tasks: [touch owned]\n")
    with pytest.raises(TemplateError, match="_tasks"), releases.source(str(root)):
        pass


def test_a_folder_that_is_no_template_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"copier\.yml"), releases.source(str(tmp_path)):
        pass


def test_a_changed_template_has_another_fingerprint(tmp_path: Path) -> None:
    root = template(tmp_path / "template")
    before = releases.fingerprint(root)
    path = root / "templates/{{'.'}}/src/{{package}}/cli.py"
    path.write_text(path.read_text("utf-8") + "\n", "utf-8")
    assert releases.fingerprint(root) != before
