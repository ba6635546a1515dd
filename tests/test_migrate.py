"""A workspace keeps what its answers name when an extra is split, over made-up versions."""

import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from scaffold import cli
from scaffold.answers.migrate import migrate
from scaffold.answers.spec import PartialSpec
from scaffold.catalog.catalog import Catalog, load
from scaffold.catalog.copier_questions import copier_yml
from scaffold.sources.releases import open_source
from tests.fork import commit, git, make_fork, new, read_json
from tests.harness import CATALOG

Features = dict[str, dict[str, Any]]
PAGES: Features = {"reports": {}}
FINDINGS: Features = {
    "reports": {"requires": ["extra:findings"]},
    "findings": {"split_from": "extra:reports", "default": True},
}
HINTS: Features = {**FINDINGS, "hints": {"split_from": "extra:findings"}}
ONLY_HINTS: Features = {"hints": {"split_from": "extra:findings"}, "findings": HINTS["findings"]}


def catalog(root: Path, extras: Features) -> Catalog:
    """Write and load a template with a core, one provider and these extras."""
    shutil.rmtree(root, ignore_errors=True)
    models = {"cheap": "s", "balanced": "m", "expensive": "l"}
    manifests: dict[str, dict[str, Any]] = {
        "{{'.'}}": {"kind": "core", "name": "core"},
        "{{provider_acme}}": {"kind": "provider", "name": "acme", "models": models},
    }
    for name, more in extras.items():
        manifests["{{extra_" + name + "}}"] = {"kind": "extra", "name": name, **more}
    for folder, manifest in manifests.items():
        place = root / "templates" / folder
        place.mkdir(parents=True)
        whole = {"title": "t", "summary": "s", **manifest}
        (place / "feature.yml").write_text(yaml.safe_dump(whole))
    return load(root)


@pytest.mark.parametrize(
    ("before", "after", "on", "wanted"),
    [
        (PAGES, FINDINGS, ["reports"], ["reports", "findings"]),
        (PAGES, FINDINGS, [], []),
        (PAGES, HINTS, ["reports"], ["reports", "findings", "hints"]),
        (FINDINGS, HINTS, ["findings"], ["findings", "hints"]),
        (FINDINGS, HINTS, [], []),
        (HINTS, HINTS, ["findings"], ["findings"]),
        (PAGES, ONLY_HINTS, ["reports"], ["findings", "hints"]),
        (PAGES, FINDINGS, ["reports", "findings"], ["reports", "findings"]),
    ],
)
def test_what_was_split_off_stays_where_it_was_on(
    tmp_path: Path, before: Features, after: Features, on: list[str], wanted: list[str]
) -> None:
    old, new_ = catalog(tmp_path / "old", before), catalog(tmp_path / "new", after)
    migrated, _ = migrate(old, new_, PartialSpec(extras=on))
    assert sorted(migrated.extras or []) == sorted(wanted)


def test_going_over_two_versions_is_going_step_by_step(tmp_path: Path) -> None:
    first, second = catalog(tmp_path / "1", PAGES), catalog(tmp_path / "2", FINDINGS)
    third = catalog(tmp_path / "3", HINTS)
    recorded = PartialSpec(extras=["reports"])
    halfway, _ = migrate(first, second, recorded)
    assert migrate(second, third, halfway)[0] == migrate(first, third, recorded)[0]


def test_what_is_needed_by_now_is_on_without_a_word(tmp_path: Path) -> None:
    alone: Features = {"reports": {}, "findings": {}}
    needing: Features = {"reports": {"requires": ["extra:findings"]}, "findings": {}}
    old, new_ = catalog(tmp_path / "old", alone), catalog(tmp_path / "new", needing)
    migrated, notes = migrate(old, new_, PartialSpec(extras=["reports"]))
    assert (migrated.extras, notes) == (["reports"], [])
    assert "extra_findings" in {feature.id for feature in new_.list_enabled(migrated.selection)}


def test_a_choice_that_is_not_recorded_was_the_default_of_its_time(tmp_path: Path) -> None:
    old = catalog(tmp_path / "old", {"reports": {"default": True}})
    new_ = catalog(tmp_path / "new", {"reports": {}, "pages": {"default": True}})
    assert migrate(old, new_, PartialSpec())[0].extras == ["reports"]


@pytest.mark.parametrize("release", ["v0.1.0", "v0.7.0"])
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
def test_a_workspace_keeps_what_its_gateways_of_openai_need(release: str, provider: str) -> None:
    with open_source(ref=release) as source:
        migrated, _ = migrate(load(source.root), CATALOG, PartialSpec(providers=[provider]))
    assert ("openai_chat" in (migrated.extras or [])) is (provider == "openai")


@pytest.mark.slow
def test_an_update_keeps_a_file_that_moves_to_an_extra_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fork = make_fork(tmp_path / "fork")
    old, split = (fork / "templates" / f"{{{{extra_{name}}}}}" for name in ("docker", "split"))
    desk = new(tmp_path / "desk", "--template", str(fork), "--ref", "v1.0.0")
    none = new(
        tmp_path / "none", "--template", str(fork), "--ref", "v1.0.0", "--set=extras=[dotenv]"
    )
    git(fork, "checkout", "--quiet", "v1.0.0")
    split.mkdir()
    (old / "Dockerfile.jinja").rename(split / "Dockerfile.jinja")
    (split / "feature.yml").write_text(
        "kind: extra\nname: split\ntitle: t\nsummary: s\nsplit_from: extra:docker\n"
    )
    (fork / "copier.yml").write_text(copier_yml(load(fork)), encoding="utf-8")
    commit(fork, "three")
    git(fork, "tag", "v1.2.0")
    ours = (desk / "Dockerfile").read_text() + "# Ours.\n"
    (desk / "Dockerfile").write_text(ours)
    commit(desk)
    capsys.readouterr()
    assert cli.run(["update", str(desk), "--json"]) == 0
    report = read_json(capsys)
    assert "split" in report["answers"]["extras"]
    assert {row["path"]: row["status"] for row in report["changes"]} == {
        ".copier-answers.yml": "updated",
        "Dockerfile": "kept",
    }
    assert (desk / "Dockerfile").read_text() == ours
    assert cli.run(["update", str(none), "--json"]) == 0
    assert read_json(capsys)["answers"]["extras"] == ["dotenv"]
    assert not (none / "Dockerfile").exists()
