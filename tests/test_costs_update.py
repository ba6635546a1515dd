"""A workspace of v0.3.0 keeps its cost reports, which were one extra then and are two now."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from scaffold import cli
from scaffold.catalog.presets import PRESETS, USUAL, split
from tests.fork import commit, edit, git, new
from tests.harness import CATALOG
from tests.test_update_releases import next_release, with_next

__all__ = ["next_release", "with_next"]

LEDGER = "src/desk/runtime/ledger"


@pytest.mark.slow
@pytest.mark.usefixtures("with_next")
def test_cost_reports_of_an_earlier_release_stay(tmp_path: Path) -> None:
    desk = new(tmp_path / "desk", "--ref", "v0.3.0")
    edit(desk / LEDGER / "findings.py", "    kind: str\n", "    kind: str  # ours\n")
    commit(desk)
    assert cli.run(["update", str(desk)]) == 0
    assert git(desk, "diff", "--name-only", "--diff-filter=U") == ""
    extras = yaml.safe_load((desk / ".copier-answers.yml").read_text("utf-8"))["extras"]
    assert {"cost_reports", "findings"} <= set(extras)
    for name in ("findings.py", "findings_chains.py", "findings_trends.py", "page.py", "scan.py"):
        assert (desk / LEDGER / name).is_file()
    assert "    kind: str  # ours\n" in (desk / LEDGER / "findings.py").read_text("utf-8")
    for words in (["demo"], ["costs", "--html", "costs.html"], ["costs", "--by", "user,agent"]):
        done = subprocess.run(
            [sys.executable, "-m", "desk", *words],
            cwd=desk,
            env={"PYTHONPATH": "src"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
    assert "</html>" in (desk / "costs.html").read_text("utf-8")


@pytest.mark.slow
@pytest.mark.usefixtures("with_next")
def test_prices_of_a_workspace_that_had_no_extra_for_them_go_on_counting(tmp_path: Path) -> None:
    """In v0.7.0 any workspace read a prices.toml."""
    desk = new(tmp_path / "desk", "--ref", "v0.7.0", "--set=extras=[]", "--set=patterns=[]")
    own = '["openai:gpt-6-luna"]\nfactor = "0.5"\n'
    (desk / "prices.toml").write_text(own)
    commit(desk)
    assert cli.run(["update", str(desk)]) == 0
    assert (desk / "prices.toml").read_text("utf-8") == own
    assert "prices" in yaml.safe_load((desk / ".copier-answers.yml").read_text("utf-8"))["extras"]
    assert (desk / LEDGER / "own_prices.py").is_file()


@pytest.mark.parametrize("name", ["support-desk", "document-analysis", "content", "research-desk"])
def test_presets_for_many_calls_add_the_reports_to_what_is_usual(name: str) -> None:
    answers, absent = split(CATALOG, PRESETS[name])
    usual = {feature.name for feature in CATALOG.of("extra") if feature.default}
    assert set(answers["extras"]) == {*usual, "cost_reports", "prices"} and usual
    assert USUAL not in answers["extras"] and not absent
