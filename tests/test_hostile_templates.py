"""A template of somebody else's runs nothing, reads nothing outside, and comes to an end."""

import contextlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from scaffold.errors import TargetError, TemplateError
from scaffold.rendering import confined
from scaffold.rendering.confined import LIMITS, Limits
from scaffold.rendering.render import Job, render
from scaffold.sources import clones, releases
from scaffold.sources.safety import require_safe_template
from scaffold.sources.template import Source
from scaffold.system import yaml as yaml_text
from scaffold.system.paths import is_git_name
from scaffold.workspace.files import read_answers_file

ASKED = "project_name: x\npackage: x\n_subdirectory: templates\n"
QUICK = replace(LIMITS, cpu_s=3, wall_s=60)


def template(root: Path, files: dict[str, str], questions: str = ASKED) -> Path:
    """Write a template of a few files; their names are paths under templates/."""
    root.mkdir()
    (root / "copier.yml").write_text(questions)
    for name, text in files.items():
        path = root / "templates" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "templates").mkdir(exist_ok=True)
    return root


def refusal(root: Path, limits: Limits = QUICK) -> str:
    """Return the error of a confined render; nothing is written outside its folder."""
    target = root.parent / "out"
    with pytest.raises(TemplateError) as caught:
        Job(Source(root, "somewhere", None, False), {}, target, limits).run()
    assert "\n" not in str(caught.value)
    assert {path.name for path in root.parent.iterdir()} <= {root.name, "out"}
    return str(caught.value)


@pytest.mark.parametrize(
    "part",
    [
        ".git", ".GIT", ".Git", ".git ", ".git.", ".git. .", ".g\u200cit", "\ufeff.git", ".gi\u202et",
        "git~1", "GIT~2", ".git::$INDEX_ALLOCATION", ".git:x", ".git\\config", "\uff0egit",
    ],
)  # fmt: skip
def test_what_a_file_system_may_take_for_git_is_known(part: str) -> None:
    assert is_git_name(part)


@pytest.mark.parametrize("part", [".gitignore", ".gitattributes", ".github", "git", "x.git", "~1"])
def test_what_only_looks_like_it_is_not(part: str) -> None:
    assert not is_git_name(part)


@pytest.mark.parametrize(
    "name",
    [
        "{{ '.git' }}/config",
        "{{ '.GIT' }}/hooks/post-commit",
        "a/{{ 'git~1' }}/x",
        "{{ '.g' ~ 'it' }}",
    ],
)
def test_no_rendered_path_is_of_git(name: str, tmp_path: Path) -> None:
    root = template(tmp_path / "t", {name: "[core]\n\tfsmonitor = touch ran\n"})
    with pytest.raises(TemplateError, match="belongs to git"):
        render(root, tmp_path / "out", {}, source="x", commit=None)


@pytest.mark.parametrize(
    "name",
    [
        "{{ '..' }}/x",
        "{{ '%ctmp' % 47 }}/x",
        "{{ '..%c..%cx' % (47, 47) }}",
        "{{ 'a%c..%c..%cx' % (47, 47, 47) }}",
    ],
)
def test_no_rendered_path_leaves_the_workspace(name: str, tmp_path: Path) -> None:
    root = template(tmp_path / "t", {name: "x"})
    with pytest.raises(TemplateError, match="inside the workspace"):
        render(root, tmp_path / "out", {}, source="x", commit=None)
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", [".git", "a/.git/config", "a/.GIT", "a/.git.jinja"])
def test_a_repository_inside_a_template_is_refused(name: str, tmp_path: Path) -> None:
    root = template(tmp_path / "t", {name: "gitdir: /elsewhere\n"})
    with pytest.raises(TemplateError, match="submodule"):
        require_safe_template(root, "t")


@pytest.mark.parametrize(
    "to", ["/etc/passwd", "../../outside", ".", "..", "nowhere", "../.git/config"]
)
def test_a_link_out_of_a_template_is_refused(to: str, tmp_path: Path) -> None:
    root = template(tmp_path / "t", {})
    (root / ".git").mkdir()
    (root / ".git/config").write_text("")
    (tmp_path / "outside").write_text("secret")
    (root / "templates/link").symlink_to(to)
    with pytest.raises(TemplateError, match="a link that leads out"):
        require_safe_template(root, "t")


def test_a_link_inside_a_template_and_a_pipe(tmp_path: Path) -> None:
    root = template(tmp_path / "t", {"a": "x"})
    (root / "templates/b").symlink_to("a")
    require_safe_template(root, "t")
    os.mkfifo(root / "templates/pipe")
    with pytest.raises(TemplateError, match="not a file"):
        require_safe_template(root, "t")


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ("_tasks: [touch ran]", "runs no template's code"),
        ("_migrations: [{command: touch ran}]", "runs no template's code"),
        ("_jinja_extensions: [os]", "runs no template's code"),
        ("_external_data: {x: ../../secret.yml}", "_external_data"),
        ("_preserve_symlinks: true", "_preserve_symlinks"),
        ("_secret_questions: [package]", "_secret_questions"),
        ("_answers_file: ../x.yml", "_answers_file"),
        ("_envops: {undefined: os.system}", "_envops.undefined"),
        ("_envops: {finalize: x}", "_envops.finalize"),
        ("_envops: [1]", "_envops that is not a mapping"),
        ("_exclude: [3]", "_exclude that is not a list of texts"),
        ("_templates_suffix: 3", "_templates_suffix that is not text"),
        ("_scaffold_min: newest", "not a version"),
        ("x: !include /etc/passwd", "not YAML"),
        ("x: !!python/object/apply:os.system [touch ran]", "not YAML"),
        ("package: twice", "twice"),
        ("--- {}", "one document"),
        ("1: x", "not a mapping"),
        ("x: !!set {a, b}", "not YAML"),
        ("x: !!binary aGVsbG8=", "not YAML"),
        ("x: " + ":".join(["59"] * 5000), "not YAML"),
        ("x: " + ":".join(["59"] * 200) + ".5", "not YAML"),
        ("x: !!bool x", "not YAML"),
        ("x: " + "[" * 5000, "nested deeper"),
        ("x:\n  " + "- " * 200_000 + "x", "nested deeper"),
        ("a: &a [x, x, x, x, x, x, x, x, x, x]\n"
         + "".join(f"b{n}: &b{n} [{', '.join([f'*b{n - 1}' if n else '*a'] * 10)}]\n" for n in range(9)),
         "more than 100,000 values"),
        ("a: &a {b: *a}", "stands for what it is in"),
        ("x: " + "y" * 1_000_000, "larger than 1 MB"),
        ("x: \x00", "not YAML"),
    ],
    ids=lambda text: text[:24],
)  # fmt: skip
def test_questions_that_are_refused(more: str, message: str, tmp_path: Path) -> None:
    root = template(tmp_path / "t", {}, f"{ASKED}{more}\n")
    with pytest.raises(TemplateError) as caught:
        require_safe_template(root, "t")
    assert message in str(caught.value)
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("# only a comment\n", "is empty"),
        ("- a\n", "not a mapping"),
        ("a: b", "ask for"),
    ],
)
def test_a_questionnaire_that_asks_nothing(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=message):
        require_safe_template(template(tmp_path / "t", {}, text), "t")


def bomb(root: Path) -> Path:
    """Create a repository of a few hundred bytes whose one commit has ten thousand million files."""
    root.mkdir()
    env = {"cwd": root, "text": True, "check": True, "capture_output": True}
    subprocess.run(["git", "init", "-q"], **env)
    what = subprocess.run(["git", "hash-object", "-w", "--stdin"], input="x", **env).stdout.strip()
    kind, mode = "blob", "100644"
    for _ in range(10):
        lines = "".join(f"{mode} {kind} {what}\t{name}\n" for name in "abcdefghij")
        what = subprocess.run(["git", "mktree"], input=lines, **env).stdout.strip()
        kind, mode = "tree", "040000"
    author = ["-c", "user.name=x", "-c", "user.email=x@x.example"]
    made = subprocess.run(["git", *author, "commit-tree", "-m", "x", what], **env).stdout.strip()
    subprocess.run(["git", "tag", "v1.0.0", made], **env)
    subprocess.run(["git", "update-ref", "HEAD", made], **env)
    return root


@pytest.mark.slow
def test_a_repository_of_endless_files_is_not_checked_out(tmp_path: Path) -> None:
    with (
        pytest.raises(TemplateError, match="more files, or larger ones"),
        releases.open_source(str(bomb(tmp_path / "t")), "v1.0.0"),
    ):
        pass


def test_zeros_that_fill_a_disk_are_not_checked_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = template(tmp_path / "t", {"a": "0" * 200_000})
    for words in (["init", "-q"], ["add", "-A"], ["commit", "-q", "-m", "x"], ["tag", "v1.0.0"]):
        author = ["-c", "user.name=x", "-c", "user.email=x@x.example"]
        subprocess.run(["git", *author, *words], cwd=root, check=True)
    monkeypatch.setattr(clones, "MOST_SIZE", 100_000)
    with pytest.raises(TemplateError, match="larger"), releases.open_source(str(root), "v1.0.0"):
        pass


@pytest.mark.parametrize(
    "use",
    [
        "'/etc/*' | fileglob", "'$HOME' | expandvars", "'~' | expanduser", "'.' | realpath",
        "'/' | relpath", "['/etc/*'] | map('fileglob') | list",
    ],
)  # fmt: skip
def test_no_filter_reads_the_machine(use: str, tmp_path: Path) -> None:
    root = template(tmp_path / "t", {"a.jinja": f"{{{{ {use} }}}}"})
    with pytest.raises(TemplateError, match="reads this machine"):
        render(root, tmp_path / "out", {}, source="x", commit=None)


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{{ cycler.__init__.__globals__.os.system('touch ran') }}",
        "{{ ['x'] | map(attribute='__class__') | first }}",
        "{{ '{0.__class__}'.format(1) ~ ''['__class__'] }}",
        "{{ (''|attr('__class__')).mro() }}",
        "{{ _copier_conf.settings.from_file('/etc/passwd') }}",
        "{{ _copier_conf.src_path.parser }}{{ _copier_conf.src_path.parser.os.system('touch ran') }}",
        "{% include '/etc/passwd' %}",
        "{% include '../outside' %}",
        "{% import '../outside' as x %}",
        "{% extends '../outside' %}",
    ],
)
def test_the_sandbox_holds(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outside").write_text("SECRET")
    root = template(tmp_path / "t", {"a.jinja": text})
    with contextlib.suppress(TemplateError):
        render(root, tmp_path / "out", {}, source="x", commit=None)
    written = [path.read_text() for path in (tmp_path / "out").glob("*")]
    assert not any(word in text for text in written for word in ("SECRET", "class", "root:"))
    assert not list(tmp_path.rglob("ran"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param(
            "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
            "seconds",
            marks=pytest.mark.slow,
        ),
        pytest.param("{{ 9 ** (9 ** 9) }}", "seconds", marks=pytest.mark.slow),
        pytest.param(
            "{{ ('a' * 40 ~ 'b') | regex_search('(a+)+$') }}", "seconds", marks=pytest.mark.slow
        ),
        ("{{ 'x' * 10 ** 10 }}", "a.jinja:1"),
    ],
)
def test_a_render_comes_to_an_end(text: str, message: str, tmp_path: Path) -> None:
    root = template(tmp_path / "t", {"a.jinja": text})
    assert message in refusal(root)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("files", "limits", "message"),
    [
        (
            {"a.jinja": "{{ 'x' * 2000000 }}"},
            replace(QUICK, one_file=1_000_000),
            "a file of more than 1 MB",
        ),
        (
            {"{% yield a from range(50) %}{{ a }}{% endyield %}": "x"},
            replace(QUICK, files=20),
            "20 files",
        ),
        (
            {"{% yield a from range(50) %}{{ a }}{% endyield %}": "x" * 100_000},
            replace(QUICK, all_files=1_000_000),
            "1 MB",
        ),
        ({"a.jinja": "{% for a in range(10 ** 12) %}{% endfor %}"}, QUICK, "Range too big"),
        ({"a.jinja": "{% include 'templates/a.jinja' %}"}, QUICK, "a.jinja"),
        (
            {"a.jinja": "{{ '[' * 100000 | int }}{{ ('[' * 90000) | from_json }}"},
            QUICK,
            "a.jinja:1",
        ),
        ({"a.jinja": "{{ ('- ' * 400000) | from_yaml }}"}, QUICK, ""),
    ],
)
def test_limits_of_size(
    files: dict[str, str], limits: Limits, message: str, tmp_path: Path
) -> None:
    assert message in refusal(template(tmp_path / "t", files), limits)


@pytest.mark.parametrize(
    "work",
    [
        "import os; os.system('touch ran')",
        "import subprocess; subprocess.run(['touch', 'ran'])",
        "import socket; socket.create_connection(('127.0.0.1', 9))",
        "open('/etc/passwd').read()",
        "open('../ran', 'w')",
        "import os; os.listdir('/')",
        "import os; os.symlink('/etc', 'x')",
    ],
)
@pytest.mark.slow
def test_the_second_wall_holds_without_the_first(work: str, tmp_path: Path) -> None:
    root = template(tmp_path / "t", {"a": "x"})
    job = Job(Source(root, "x", None, False), {"work": work}, tmp_path / "out", QUICK)
    script = (
        "import sys; from pathlib import Path; from scaffold.rendering import confined\n"
        "confined.confine(Path(sys.argv[1]), Path(sys.argv[2]), confined.LIMITS)\n"
        "try:\n    exec(sys.argv[3])\nexcept Exception as error:\n    print(type(error).__name__)\n"
    )
    words = [sys.executable, "-c", script, str(root), str(job.target), work]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.stdout.strip() == "TemplateError", done.stderr
    assert not (tmp_path / "ran").exists()


def test_no_key_of_the_environment_is_handed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ("HOMEBREW_GITHUB_API_TOKEN", "LANGFUSE_SECRET_KEY", "TEMPORAL_API_KEY")
    for key in keys:
        monkeypatch.setenv(key, "secret")
    started: list[dict[str, str]] = []
    monkeypatch.setattr(subprocess, "Popen", lambda *_, env, **__: started.append(env))
    confined.start(tmp_path / "job")
    assert "secret" not in started[0].values() and "HOME" in started[0]


def test_a_confined_render_is_the_same_to_the_byte(tmp_path: Path) -> None:
    root = template(
        tmp_path / "t", {"a.jinja": "{{ package }}\n", "b": "x", "{{ package }}/c": "y"}
    )
    Job(Source(root, "s", "v1", False), {"package": "p"}, tmp_path / "apart").run()
    Job(Source(root, "s", "v1", True, trusted=True), {"package": "p"}, tmp_path / "here").run()
    apart, here = (
        {path.relative_to(top): path.read_bytes() for path in top.rglob("*") if path.is_file()}
        for top in (tmp_path / "apart", tmp_path / "here")
    )
    assert apart == here
    assert len(here) == 3


def test_only_releases_and_this_installation_are_trusted(fork: Path) -> None:
    with releases.open_source() as ours, releases.open_source(ref="v0.1.0") as older:
        assert ours.trusted and older.trusted
    with (
        releases.open_source(str(fork)) as lying,
        releases.open_source(str(fork), "v1.0.0") as tagged,
    ):
        assert not lying.trusted and not tagged.trusted


@pytest.mark.parametrize("kind", ["link", "folder", "pipe", "large", "nested", "bomb"])
def test_an_answers_file_that_is_none(kind: str, tmp_path: Path) -> None:
    path = tmp_path / ".copier-answers.yml"
    if kind == "link":
        (tmp_path / "other").write_text("_commit: v1\n_src_path: x\n")
        path.symlink_to("other")
    elif kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "large":
        with path.open("wb") as file:
            file.truncate(1_000_000_000)
    elif kind == "nested":
        path.write_text("a: " + "[" * 100_000)
    else:
        path.write_text("a: &a [x]\n" + "".join(
            f"b{n}: &{'a'}{n} [{', '.join(['*a' + (str(n - 1) if n else '')] * 9)}]\n" for n in range(12)
        ))  # fmt: skip
    with pytest.raises(TargetError) as caught:
        read_answers_file(tmp_path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_many_aliases_of_small_things_are_fine() -> None:
    text = "a: &a {x: 1}\n" + "".join(f"b{n}: *a\n" for n in range(1000))
    assert len(yaml_text.load(text)) == 1001
