"""A manifest that is wrong is refused with its file, its field and the way out."""

from pathlib import Path

import pytest

from scaffold import cli
from scaffold.catalog.catalog import Catalog, load
from scaffold.catalog.feature import RENAMES, read
from scaffold.catalog.path_rules import fill_pattern
from scaffold.catalog.presets import PRESETS, split
from scaffold.errors import AnswersError, ManifestError
from scaffold.sources import releases
from tests.examples import first_quick
from tests.messages import one_mistake
from tests.specs import complete, select

CORE = "kind: core\nname: core\ntitle: t\nsummary: s\n"
PATTERN = "kind: pattern\nname: relay\ntitle: t\nsummary: s\n"


def folder(root: Path, name: str, text: str) -> Path:
    place = root / "templates" / name
    place.mkdir(parents=True)
    (place / "feature.yml").write_text(text)
    return place / "feature.yml"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("kind: [", "is not YAML"),
        (PATTERN + "title: u\n", "feature.yml has the key 'title' twice, again in line 5"),
        (PATTERN + "chains: {a: cheap, a: balanced}\n", "the key 'a' twice"),
        ("just text", "see docs/adding-a-feature.md"),
        (PATTERN + "tilte: x\n", "tilte"),
        (PATTERN.replace("relay", "Relay"), "name"),
        (PATTERN.replace("pattern", "patern"), "kind"),
        (
            PATTERN + "estimate: [{chain: cheap, input_tokens: -1, output_tokens: 1, share: 1}]\n",
            "input",
        ),
        (PATTERN.replace("relay", "other"), "a folder called"),
        (PATTERN + "split_from: pattern_baton\n", "split_from"),
        (PATTERN.replace("kind: pattern", "kind: provider"), "needs `models`"),
    ],
)
def test_a_wrong_manifest_is_named(tmp_path: Path, text: str, expected: str) -> None:
    path = folder(tmp_path, "{{pattern_relay}}", text)
    with pytest.raises(ManifestError) as caught:
        read(path)
    assert expected in str(caught.value)
    assert "pattern_relay" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_manifest_with_a_key_twice_ends_a_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder(tmp_path, "{{'.'}}", CORE + "title: u\n")
    (tmp_path / "copier.yml").write_text("project_name: x\npackage: x\n")
    words = ["--template", str(tmp_path), "--defaults", "--no-git"]
    assert cli.run(["new", str(tmp_path / "desk"), *words]) == 1
    error = one_mistake(capsys.readouterr().err)
    assert "feature.yml has the key 'title' twice" in error
    assert not (tmp_path / "desk").exists()


def list_renames(path: Path, text: str) -> Path:
    """Write the file of renames beside a manifest."""
    (path.parent / RENAMES).parent.mkdir()
    (path.parent / RENAMES).write_text(text)
    return path


def test_renames_stand_in_the_manifest_and_in_a_file_of_their_own(tmp_path: Path) -> None:
    text = PATTERN + "renames: [{old: a.md, new: b.md}]\n"
    path = folder(tmp_path, "{{pattern_relay}}", text)
    list_renames(path, "- {old: c.md, new: d.md}\n")
    assert [(one.old, one.new) for one in read(path).renames] == [
        ("a.md", "b.md"),
        ("c.md", "d.md"),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: b\n", "{{pattern_relay}}/_parts/renames.yml is not a list"),
        ("- [", "{{pattern_relay}}/_parts/renames.yml:2 is not YAML"),
        ("- {old: a.md}\n", "renames.0.new: Field required"),
    ],
)
def test_wrong_renames_are_named(tmp_path: Path, text: str, expected: str) -> None:
    path = folder(tmp_path, "{{pattern_relay}}", PATTERN)
    with pytest.raises(ManifestError) as caught:
        read(list_renames(path, text))
    assert expected in str(caught.value)


def test_a_template_without_a_core_is_refused(tmp_path: Path) -> None:
    folder(tmp_path, "{{pattern_relay}}", PATTERN)
    with pytest.raises(ManifestError, match="no core"):
        load(tmp_path)


def test_two_features_with_one_stage_are_refused(tmp_path: Path) -> None:
    stage = "stages: [{name: relay, chain: cheap, task_type: relaying}]\n"
    folder(tmp_path, "{{'.'}}", CORE)
    folder(tmp_path, "{{pattern_relay}}", PATTERN + stage)
    folder(tmp_path, "{{pattern_baton}}", PATTERN.replace("relay", "baton") + stage)
    with pytest.raises(ManifestError, match="'relay' is in"):
        load(tmp_path)


def test_what_is_required_comes_after_what_requires_it(tmp_path: Path) -> None:
    folder(tmp_path, "{{'.'}}", CORE)
    needs = {"c": "b", "b": "a", "a": None}
    for name, other in needs.items():
        more = f'requires: ["pattern:{other}"]\n' if other else ""
        folder(tmp_path, f"{{{{pattern_{name}}}}}", PATTERN.replace("relay", name) + more)
    catalog = load(tmp_path)
    assert [f.name for f in catalog.list_enabled(select(pattern=["c"]))] == [
        "core",
        "c",
        "b",
        "a",
    ]
    assert [f.name for f in catalog.of("pattern")] == ["a", "b", "c"]


def test_features_that_require_each_other_are_refused(tmp_path: Path) -> None:
    folder(tmp_path, "{{'.'}}", CORE)
    for name, other in (("a", "b"), ("b", "a")):
        text = PATTERN.replace("relay", name) + f'requires: ["pattern:{other}"]\n'
        folder(tmp_path, f"{{{{pattern_{name}}}}}", text)
    with pytest.raises(ManifestError, match=r"require each other: .*pattern:a -> pattern:b"):
        load(tmp_path)


def test_a_preset_is_split_into_what_is_there_and_what_is_not(catalog: Catalog) -> None:
    small = Catalog(catalog.root, tuple(f for f in catalog.features if f.kind != "pattern"))
    answers, absent = split(small, PRESETS["starter"])
    assert answers == {"patterns": []}
    assert absent == ["pattern:router"]
    answers, absent = split(catalog, PRESETS["everything"])
    assert set(answers["providers"]) == {f.name for f in catalog.of("provider")}
    assert answers["surfaces"][0] == "cli"
    assert absent == []


@pytest.mark.parametrize("version", first_quick([None, *releases.list_releases()]), ids=str)
def test_every_preset_fits_every_version(version: str | None) -> None:
    with releases.open_source(ref=version) as source:
        there = load(source.root)
    for preset in PRESETS.values():
        answers, absent = split(there, preset)
        spec = complete(there, answers, folder_name="desk")
        for name in absent:
            assert name.partition(":")[2] not in [*spec.patterns, *spec.extras, *spec.search]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("requires: ['pattern:relay']\n", "require each other"),
        ("questions: {q: {type: int, default: x, help: h}}\n", "feature.yml:5: questions.q"),
        ("questions: {q: {type: int, default: true, help: h}}\n", "not of type int"),
        ("questions: {q: {type: int, default: 9, max: 2, help: h}}\n", "more than 2"),
        ("questions: {q: {type: str, default: x, choices: [a], help: h}}\n", "not one of a"),
    ],
)
def test_a_feature_that_cannot_work_is_named(more: str, expected: str, tmp_path: Path) -> None:
    folder(tmp_path, "{{'.'}}", CORE)
    folder(tmp_path, "{{pattern_relay}}", PATTERN + more)
    with pytest.raises(ManifestError) as caught:
        load(tmp_path)
    assert expected in str(caught.value)
    assert "; " in str(caught.value)


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ("requires: ['extra:nope']\n", "add that feature to the template"),
        ("requires: [search]\nproposes: {search: [nope]}\n", "none to choose"),
    ],
)
def test_what_is_required_and_not_there_is_named(more: str, expected: str, tmp_path: Path) -> None:
    folder(tmp_path, "{{'.'}}", CORE + "stages: [{name: answer, chain: cheap, task_type: x}]\n")
    folder(tmp_path, "{{pattern_relay}}", PATTERN + more)
    with pytest.raises(AnswersError, match=expected):
        complete(load(tmp_path), {"patterns": ["relay"]}, folder_name="desk")


def test_a_feature_and_a_question_stand_once(tmp_path: Path) -> None:
    folder(tmp_path, "{{'.'}}", CORE)
    asking = "questions: {q: {type: int, default: 1, help: h}}\n"
    folder(tmp_path, "{{pattern_relay}}", PATTERN + asking)
    folder(tmp_path, "{{pattern_other}}", PATTERN.replace("relay", "other") + asking)
    with pytest.raises(ManifestError, match="Question 'q' is in"):
        load(tmp_path)
    folder(tmp_path, "{{ pattern_relay }}", PATTERN)
    with pytest.raises(ManifestError, match="two folders"):
        load(tmp_path)


@pytest.mark.parametrize(
    "pattern",
    [
        "{% for a in range(10 ** 9) %}x{% endfor %}", "{{ 9 ** 9 }}", "{{ 'x' * 9 }}", "{{ x() }}",
        "{% for a in agents %}{% for b in agents %}x{% endfor %}{% endfor %}", "{{ a | safe }}",
        "{% for a in agents recursive %}{{ loop(agents) }}{% endfor %}", "x" * 2000, "{% set a = 1 %}",
        "{% if %}", "{% macro a() %}{% endmacro %}", "{% for a in 3 %}x{% endfor %}",
    ],
)  # fmt: skip
def test_a_path_of_a_manifest_holds_names_and_one_loop(pattern: str) -> None:
    with pytest.raises(ManifestError, match="not a path in Jinja"):
        list(fill_pattern(pattern, {"agents": [{"name": "a"}], "a": "x"}))
