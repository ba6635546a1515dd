"""A mistake in a team's own template is one error that names its file and line, and one hint."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from scaffold import cli
from scaffold.errors import TemplateError
from scaffold.rendering.render import render
from tests.fork import append, edit
from tests.messages import one_mistake

ASKED = (
    "project_name: x\npackage: x\n_subdirectory: templates\n_envops:\n"
    "  undefined: jinja2.StrictUndefined\n"
)
FILES = [
    ("one\n{{ x\n", ":2: unexpected end of template"),
    ("one\n{% fro x in y %}", ":2: Encountered unknown tag"),
    ("one\n{% if 1 %}\n\n", ":2: Unexpected end of template"),
    ("\n\n{{ projekt }}", ":3: 'projekt' is undefined"),
    ("{{ package.nope.x }}", ":1: 'str object' has no attribute"),
    ("\n{{ package | shout }}", ":2: No filter named"),
    ("\n{{ package is loud }}", ":2: No test named"),
    ("\n{{ 1 + 'a' }}", ":2: unsupported operand"),
    ("\n{{ 1 / 0 }}", ":2: division by zero"),
    ("\n{{ package() }}", ":2: "),
    ("\n{{ 'x' | from_json }}", ":2: "),
    ("\n{% include 'nope' %}", ":2: the template has no file nope"),
    ("\n{% include 'templates/b.jinja' %}", "templates/b.jinja:2: 'nope' is undefined"),
    ("\n{% from 'templates/a.jinja' import y %}{{ y }}", "templates/a.jinja"),
    ("{% yield a from ['x'] %}{{ a }}{% endyield %}", ": it contains a yield tag"),
    ("{% for i in range(10 ** 9) %}{% endfor %}", ":1: Range too big"),
    ("{{ 'x' | int | list }}", ":1: "),
]


def explain_render(root: Path) -> str:
    with pytest.raises(TemplateError) as caught:
        render(root, root.parent / "out", {}, source="x", commit=None)
    [(problem, hint)] = caught.value.pairs
    assert hint and "\n" not in f"{problem}{hint}"
    assert len(problem) < 500
    return problem


def template(root: Path, files: dict[str, str | bytes], questions: str = ASKED) -> Path:
    (root / "templates").mkdir(parents=True)
    (root / "copier.yml").write_text(questions)
    for name, text in files.items():
        data = text if isinstance(text, bytes) else text.encode()
        (root / "templates" / name).write_bytes(data)
    return root


@pytest.mark.parametrize(("text", "wanted"), FILES)
def test_in_a_file(text: str, wanted: str, tmp_path: Path) -> None:
    root = template(tmp_path / "t", {"a.jinja": text})
    # Read before it is rendered itself: a folder's files have no order.
    (root / "templates/b.jinja").write_text("\n{{ nope }}") if "b.jinja" in text else None
    shown = explain_render(root)
    assert shown.startswith("templates/")
    assert wanted in shown


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("{{ package.md", "unexpected end of template"),
        ("{{ packge }}.md", "'packge' is undefined"),
        ("{{ package | shout }}", "No filter named"),
        ("{% yield a from 3 %}{{ a }}{% endyield %}", "not iterable"),
        (
            "{% yield a from [1] %}{{ a }}{% endyield %}{% yield b from [1] %}{% endyield %}",
            "twice",
        ),
        ("{{ 'x' * 300 }}", "too long"),
        ("{{ '%c' % 0 }}", "null"),
    ],
)
def test_in_a_path(name: str, wanted: str, tmp_path: Path) -> None:
    assert wanted in explain_render(template(tmp_path / "t", {name: "x"}))


@pytest.mark.parametrize(
    ("question", "wanted"),
    [
        ("{type: str, default: '{{ x'}", "unexpected end of template"),
        ("{type: str, default: '{{ nope }}'}", "'nope' is undefined"),
        ("{type: int, default: many}", "invalid literal"),
        ("{type: strng, default: x}", "Unsupported type"),
        ("{type: str, default: x, when: '{{ nope( }}'}", "unexpected '}'"),
        ("{type: str, default: x, when: '{{ nope }}'}", "'nope' is undefined"),
        ("{type: str, default: x, validator: '{% if %}'}", "Expected an expression"),
        ("{type: str, default: x, validator: never}", "never"),
        ("{type: str, default: x, choices: 3}", "choices"),
        ("{type: str, default: x, choices: [a, b]}", "Invalid choice"),
        ("{type: str, defualt: x}", "required"),
        ("{type: yaml, default: '['}", "parsing"),
        ("{type: str}", "required"),
    ],
)
def test_in_a_question(question: str, wanted: str, tmp_path: Path) -> None:
    shown = explain_render(template(tmp_path / "t", {"a": "x"}, f"{ASKED}own: {question}\n"))
    assert shown.startswith("copier.yml:6: ")
    assert wanted in shown


@pytest.mark.parametrize(
    ("setting", "wanted"),
    [
        ("_exclude: ['{{ nope( }}']", "_exclude"),
        ("_min_copier_version: '99'", "requires Copier version"),
        ("_min_copier_version: x", "Invalid version"),
    ],
)
def test_in_a_setting(setting: str, wanted: str, tmp_path: Path) -> None:
    shown = explain_render(template(tmp_path / "t", {"a": "x"}, f"{ASKED}{setting}\n"))
    assert shown.startswith("copier.yml")
    assert wanted in shown


def test_bytes_that_are_not_text(tmp_path: Path) -> None:
    shown = explain_render(template(tmp_path / "t", {"a.jinja": b"\xff{{ package }}"}))
    assert shown == "templates/a.jinja: it is not UTF-8 text"


def in_a_file(root: Path) -> None:
    (root / "templates/{{'.'}}/a.md.jinja").write_text("\n{{ projekt }}\n")


def in_a_path(root: Path) -> None:
    (root / "templates/{{'.'}}/{{ projekt }}").write_text("x")


def in_the_questions(root: Path) -> None:
    edit(
        root / "copier.yml",
        "_min_copier_version",
        "own: {type: int, default: x}\n_min_copier_version",
    )


def in_the_yaml(root: Path) -> None:
    append(root / "copier.yml", "own: [\n")


def in_a_manifest(root: Path) -> None:
    append(root / "templates/{{extra_docker}}/feature.yml", "titel: x\n")


def without_answers(root: Path) -> None:
    next((root / "templates").glob("*answers_file*")).unlink()


@pytest.mark.parametrize("dry", [False, True])
@pytest.mark.parametrize(
    ("spoil", "wanted"),
    [
        (in_a_file, "a.md.jinja:2: 'projekt' is undefined"),
        pytest.param(in_a_path, "{{ projekt }}: 'projekt' is undefined", marks=pytest.mark.slow),
        pytest.param(in_the_questions, "copier.yml:2: invalid literal", marks=pytest.mark.slow),
        (in_the_yaml, "is not YAML"),
        (in_a_manifest, "feature.yml:7: titel"),
        pytest.param(without_answers, "renders no .copier-answers.yml", marks=pytest.mark.slow),
    ],
)
def test_a_command_prints_an_error_and_a_hint_and_writes_nothing(
    spoil: Callable[[Path], None],
    wanted: str,
    dry: bool,
    fork: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    root = tmp_path / "template"
    shutil.copytree(fork, root, ignore=shutil.ignore_patterns(".git"))
    spoil(root)
    words = ["--template", str(root), "--defaults", "--no-git", *(["--dry-run"] if dry else [])]
    assert cli.run(["new", str(tmp_path / "desk"), *words]) == 1
    shown = capsys.readouterr()
    assert wanted in one_mistake(shown.err)
    assert shown.out == ""
    assert not (tmp_path / "desk").exists()
