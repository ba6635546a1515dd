"""Rendering: what is recorded, that it repeats, and that text stays text."""

import tempfile
import tomllib
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scaffold import cli
from scaffold.catalog.catalog import Catalog
from scaffold.errors import TemplateError
from scaffold.rendering import render
from scaffold.sources.template import Source
from tests.examples import examples, first_quick
from tests.specs import complete

SOURCE = "somewhere"
SMALL = {"patterns": [], "agents": [], "extras": [], "providers": ["anthropic"]}
REFUSED = ["\n", "\x00", "\u202e", "\u2028", "\ufeff"]
TOGETHER = ["{{ 7*7 }}", "{% raw %}", "$(touch pwned)", "`id`", "../../evil", "#", ":"]
TOGETHER += ["🦊", "é", "${HOME}", "%s"]
# How a text is quoted depends on its quotes, and on its length.
ALONE = ["'", '"', "\\", "a" * 300, "'''"]
NASTY = [*REFUSED, *TOGETHER, *ALONE]
text = st.lists(st.one_of(st.sampled_from(NASTY), st.text(max_size=20)), max_size=4).map("".join)


def test_the_origin_is_recorded_as_copier_writes_it(workspace: Path) -> None:
    lines = (workspace / ".copier-answers.yml").read_text("utf-8").splitlines()
    assert lines[1:3] == ["_commit: v1", f"_src_path: {SOURCE}"]
    assert yaml.safe_load("\n".join(lines))["project_name"] == "desk"


@pytest.mark.usefixtures("templates_anew")
def test_a_second_render_is_the_same_to_the_byte(
    catalog: Catalog, workspace: Path, tmp_path: Path
) -> None:
    answers = yaml.safe_load((workspace / ".copier-answers.yml").read_text("utf-8"))
    spec = complete(catalog, answers, folder_name="elsewhere")
    render.render(catalog.root, tmp_path / "again", spec.answers(), source=SOURCE, commit="v1")
    assert _bytes(tmp_path / "again") == _bytes(workspace)


@pytest.mark.usefixtures("templates_anew")
def test_preview_names_what_a_render_writes(catalog: Catalog, workspace: Path) -> None:
    spec = complete(catalog, {}, folder_name="desk")
    source = Source(catalog.root, SOURCE, "v1", released=True, trusted=True)
    assert render.preview(source, spec.answers()) == render.list_files(workspace)


def test_a_template_with_tasks_does_not_run_them(tmp_path: Path) -> None:
    template = tmp_path / "template"
    template.mkdir()
    (template / "copier.yml").write_text("_tasks: ['touch ../pwned']\n")
    with pytest.raises(TemplateError):
        render.render(template, tmp_path / "out", {}, source=SOURCE, commit=None)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["template"]


@settings(max_examples=examples(6), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(name=text, description=text)
def test_hostile_text_is_refused_or_stays_text(name: str, description: str) -> None:
    with tempfile.TemporaryDirectory() as place:
        _hostile(Path(place), {"project_name": name, "description": description})


@pytest.mark.parametrize("nasty", NASTY)
def test_a_hostile_description_is_refused_or_completed_as_it_is(
    nasty: str, catalog: Catalog, tmp_path: Path
) -> None:
    answers = {**SMALL, "description": nasty}
    if nasty in REFUSED:
        assert _hostile(tmp_path, answers) == 1
    else:
        assert complete(catalog, answers, folder_name="desk").description == nasty


# A render takes a second.
@pytest.mark.parametrize("description", first_quick([" ".join(TOGETHER), *ALONE]))
def test_a_hostile_description_stays_text(description: str, tmp_path: Path) -> None:
    assert _hostile(tmp_path, {**SMALL, "description": description}) == 0


@pytest.mark.parametrize(
    "answers",
    [
        {"package": "../evil"},
        {"agents": [{"name": "../../evil", "description": "x", "chain": "cheap"}]},
        {"agents": [{"name": "a", "description": "x", "chain": "../x"}]},
        {"chains": {"../x": ["anthropic:m"]}},
        {"patterns": ["../../evil"]},
        {"search": [{"a": 1}]},
        {"agents": "all"},
        {"chains": ["cheap"]},
    ],
)
def test_hostile_names_are_refused(answers: dict[str, object], tmp_path: Path) -> None:
    assert _hostile(tmp_path, answers) == 1


def _hostile(place: Path, answers: dict[str, object]) -> int:
    file = place / "answers.yml"
    file.write_text(yaml.safe_dump(answers, allow_unicode=False), "utf-8")
    status = cli.run(["new", str(place / "desk"), "--answers", str(file), "--no-git"])
    if status:
        assert status == 1
        assert list(place.iterdir()) == [file]
        return status
    assert {path.name for path in place.iterdir()} == {"answers.yml", "desk"}
    recorded = yaml.safe_load((place / "desk/.copier-answers.yml").read_text("utf-8"))
    assert {key: recorded[key] for key in answers} == answers
    project = tomllib.loads((place / "desk/pyproject.toml").read_text("utf-8"))["project"]
    assert project["description"] == recorded["description"]
    tomllib.loads((place / "desk/fleet.toml").read_text("utf-8"))
    return status


def _bytes(folder: Path) -> dict[str, bytes]:
    return {path: (folder / path).read_bytes() for path in render.list_files(folder)}
