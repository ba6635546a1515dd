"""fleet.toml: what it may say, and what is said of what it may not."""

from pathlib import Path
from typing import Any

import pytest

from desk.runtime.errors import SettingsError
from desk.runtime.fleet import Fleet, ModelRef, find_root, load
from desk.runtime.request import Request

FLEET = """
[chains.main]
models = ["acme:a", "acme:a@eu"]
[stages.answer]
chain = "main"
task_type = "answering"
[deployments.eu]
region = "eu-central-1"
"""
USUAL, EU = ModelRef("acme", "a"), ModelRef("acme", "a", "eu")


def read(folder: Path, text: str) -> Fleet:
    (folder / "fleet.toml").write_text(text)
    return load(folder / "fleet.toml")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[chains", "fleet.toml is not valid TOML"),
        (FLEET.replace("[deployments.eu]", "[deployments.us]"), r"there is no \[deployments.eu\]"),
        (FLEET.replace('"main"', '"mian"'), "which is not under .chains.: did you mean 'main'"),
        (FLEET + "[budgets]\nmonht_usd = 1", "budgets.monht_usd: unknown key: did you mean 'month"),
        (FLEET + "[budgets]\nx = 1", "budgets.x: unknown key: known are month_usd, task_usd"),
        (FLEET.replace("region", "regoin"), "deployments.eu.regoin: unknown key: did you mean"),
        (FLEET + '[budgets]\nmonth_usd = "much"', "should be a valid decimal: correct it"),
    ],
)
def test_a_wrong_file_is_explained(tmp_path: Path, text: str, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        read(tmp_path, text)


def test_a_file_that_is_missing_or_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLEET_ROOT", str(tmp_path))
    with pytest.raises(SettingsError, match="is missing, and FLEET_ROOT names that folder: set"):
        load(find_root() / "fleet.toml")
    monkeypatch.delenv("FLEET_ROOT")
    with pytest.raises(SettingsError, match=r"is missing: .* folder and those above.* FLEET_ROOT"):
        load(tmp_path / "fleet.toml")
    (tmp_path / "fleet.toml").mkdir()
    with pytest.raises(SettingsError, match="cannot be read"):
        load(tmp_path / "fleet.toml")


def test_a_table_with_a_name_like_another_is_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        read(tmp_path, FLEET + "[circiuts]\nfailures = 1\n")
    warnings = [record.getMessage() for record in caplog.records]
    assert warnings == ["fleet.toml: [circiuts] has no effect; did you mean [circuits]?"]


def test_the_version_is_the_files(tmp_path: Path) -> None:
    first, again, other = (read(tmp_path, text) for text in (FLEET, FLEET, FLEET + "\n"))
    assert first.version == again.version != other.version


@pytest.mark.parametrize(
    ("data", "data_class", "places"),
    [
        ("", None, [USUAL, EU]),
        ("", "personal", []),
        ('"acme@eu" = ["personal"]', "personal", [EU]),
        ('"acme@eu" = ["personal"]', None, [USUAL, EU]),
        ('"acme@eu" = ["personal"]\nunclassified = "personal"', None, [EU]),
        ('acme = ["p"]\n"acme@eu" = ["p"]\n[data.regions]\np = ["eu-central-1"]', "p", [EU]),
        ('acme = ["p"]\n"acme@eu" = ["p"]\n[data.regions]\np = ["us-east-1"]', "p", []),
    ],
)
def test_data_goes_where_it_is_listed_alone(
    tmp_path: Path, data: str, data_class: str | None, places: list[ModelRef]
) -> None:
    fleet = read(tmp_path, f"{FLEET}[data]\n{data}\n")
    assert [ref for ref in (USUAL, EU) if fleet.permits(ref, data_class)] == places


def test_the_root_is_named_or_found_upwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read(tmp_path, FLEET)
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.delenv("FLEET_ROOT", raising=False)
    monkeypatch.chdir(tmp_path / "a" / "b")
    assert find_root() == tmp_path
    monkeypatch.setenv("FLEET_ROOT", "elsewhere")
    assert find_root() == Path("elsewhere")


@pytest.mark.parametrize(
    ("limit", "problem"),
    [
        ({"max_cost_usd": -1}, "give US dollars from 0 on"),
        ({"deadline_s": -1}, "give seconds from 0 on"),
    ],
)
def test_a_limit_of_a_request_is_not_negative(limit: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingsError, match=problem):
        Request("?", **limit)
