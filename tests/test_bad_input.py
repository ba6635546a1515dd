"""Bad input at the command line: one clear line each, all of a run together, nothing written."""

import contextlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import given as hypothesis_given
from hypothesis import strategies as st

from scaffold import cli
from scaffold.answers.parse import known_keys
from scaffold.catalog.catalog import Catalog
from scaffold.errors import AnswersError
from tests.conftest import ROOT
from tests.examples import examples
from tests.messages import mistakes
from tests.specs import complete

MOMENTS = 12


def read_errors(folder: Path, capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    """Return the errors that `scaffold new` prints, a line and a hint each; nothing is written."""
    before = sorted(folder.rglob("*"))
    assert cli.run(["new", str(folder / "desk"), "--no-git", "--defaults", *words]) == 1
    assert sorted(folder.rglob("*")) == before
    output = capsys.readouterr()
    assert output.out == ""
    return mistakes(output.err)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("_commit=v1", "_commit is not an answer key"),
        ("packge=x", "packge: is not an answer key; did you mean package?"),
        ("a\nb=1", "a?b: is not an answer key"),
        ("x" * 300 + "=1", "xxx…: is not an answer key"),
        ("{{ 7*7 }}=1", "{{ 7*7 }}: is not an answer key"),
        ("description=!!python/name:os.system", "is not YAML"),
        ("description=2001-02-30", "is not YAML"),
        ("description=" + "[" * 5000, "is not YAML"),
        ("description=!!binary aGVsbG8=", "is not YAML"),
        ("patterns=!!set {router, research}", "is not YAML"),
        ("chains=!!omap [{cheap: [a]}]", "is not YAML"),
        ("monthly_budget_usd=" + ":".join(["59"] * 5000), "is not YAML"),
        ("monthly_budget_usd=" + ":".join(["59"] * 200) + ".5", "is not YAML"),
        ("monthly_budget_usd=!!float '" + ":".join(["59"] * 5000) + "'", "is not YAML"),
        ("monthly_budget_usd=!!int ''", "is not YAML"),
        ("description=!!bool x", "is not YAML"),
        ("monthly_budget_usd=0x" + "f" * 900, "should be a number"),
        ("monthly_budget_usd=.nan", "monthly_budget_usd: should be"),
        ("chains={cheap: [openai:a], cheap: [openai:b]}", "chains has the key 'cheap' twice"),
    ],
)
def test_a_wrong_value_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    lines = read_errors(tmp_path, capsys, f"--set={text}")
    assert len(lines) == 1
    assert message in lines[0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\xff\xfe", "not UTF-8 text"),
        (b"x" * 2_000_000, "larger than 1 MB"),
        (b"a: " + b"[" * 20_000, "is not YAML"),
        (b"package: !!timestamp x", "is not YAML"),
        (b"a: 1\n? [a, b]\n: c\n", "answers.yml:2 is not YAML (found unhashable key)"),
        (b"", "is not a mapping"),
        (b"package: a\nextras: []\npackage: b\n", "answers.yml has the key 'package' twice"),
        (b"package: a\nextras: []\npackage: b\n", "again in line 3; keep one of them"),
        (b"chains: &it\n  cheap: [a]\n  cheap: [b]\nagents: *it\n", "again in line 3"),
        (b"agents: [{name: a, name: b}]", "the key 'name' twice"),
        (b'"a\\u0007b": 1\n"a\\u0007b": 2', "the key 'a\\x07b' twice"),
        (b'{"package": "a", "package": "b"}', "answers.yml has the key 'package' twice;"),
        (b'{"chains": {"a": [], "a": []}}', "the key 'a' twice"),
    ],
)
def test_a_wrong_answers_file_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: bytes, message: str
) -> None:
    file = tmp_path / "answers.yml"
    file.write_bytes(data)
    lines = read_errors(tmp_path, capsys, f"--answers={file}")
    assert len(lines) == 1
    assert message in lines[0]


LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.dates(),
    st.sampled_from(["router", "anthropic", "openai:a", "cheap", "research", ""]),
)  # fmt: skip
KEYS = st.one_of(st.sampled_from(["name", "chain", "description", "cheap"]), LEAVES)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=6,
)  # fmt: skip


@settings(max_examples=examples(150), suppress_health_check=[HealthCheck.too_slow])
@hypothesis_given(data=st.data())
def test_answers_of_any_shape_are_taken_or_refused(catalog: Catalog, data: st.DataObject) -> None:
    keys = st.sampled_from(sorted(known_keys(catalog)))
    answers = data.draw(st.dictionaries(keys, VALUES, max_size=4))
    with contextlib.suppress(AnswersError):
        complete(catalog, answers, folder_name="desk")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("patterns: [" + ",".join(f"p{n}" for n in range(9000)) + "]", "more mistakes"),
        (
            "chains: {" + ",".join(f"c{n}: [a]" for n in range(9000)) + "}",
            "more than 10,000 values",
        ),
        ('{"chains": ' + "[" * 900 + "]" * 900 + "}", "deeper than 100 levels"),
        ("a: &a [x]\nb: &b [" + "*a, " * 200 + "]\nc: [" + "*b, " * 200 + "]", "10,000 values"),
        ("chains: 3", "chains"),
        ("agents: {a: [b]}", "agents"),
    ],
)
def test_answers_without_end_are_reported_in_a_few_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    file = tmp_path / "answers.yml"
    file.write_text(text)
    lines = read_errors(tmp_path, capsys, f"--answers={file}")
    assert message in lines[-1]
    assert len(lines) <= 31


def test_a_key_may_replace_one_it_was_merged_with(tmp_path: Path) -> None:
    file = tmp_path / "answers.yml"
    file.write_text(
        "_usual: &usual {name: usual, description: Bills, chain: cheap}\n"
        "agents: [{<<: *usual, name: invoices}, {<<: *usual, name: refunds}]\n"
    )
    assert cli.run(["new", str(tmp_path / "desk"), "--no-git", "--answers", str(file)]) == 0
    assert (tmp_path / "desk/src/desk/agents/refunds.py").is_file()


@pytest.mark.parametrize("value", [".inf", "-.inf", ".nan", "1" + "0" * 400, "1.0e+300"])
def test_a_number_without_bounds_is_finite(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], value: str
) -> None:
    words = ("--set=patterns=[orchestrator]", f"--set=run_budget_usd={value}")
    [line] = read_errors(tmp_path, capsys, *words)
    assert line.startswith("run_budget_usd: is ")


def test_a_pipe_without_a_writer_is_not_waited_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(tmp_path / "pipe")
    [line] = read_errors(tmp_path, capsys, f"--answers={tmp_path / 'pipe'}")
    assert "is a pipe" in line


@pytest.mark.slow
def test_answers_may_come_through_a_pipe_of_the_shell(tmp_path: Path) -> None:
    script = f"{sys.executable} -m scaffold new desk --no-git --answers <(echo 'package: piped')"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, check=True)
    assert (tmp_path / "desk/src/piped").is_dir()


@pytest.mark.parametrize("name", [".", "/dev/zero", "/dev/null", "x" * 3000, "-", "a/" * 1000])
def test_what_is_not_a_file_of_answers_is_reported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert len(read_errors(tmp_path, capsys, f"--answers={name}")) == 1


def test_a_file_of_something_else_is_reported_shortly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "other.yml"
    file.write_text("".join(f"key{n}: 1\n" for n in range(1000)))
    lines = read_errors(tmp_path, capsys, f"--answers={file}")
    assert len(lines) == 21
    assert "980 more keys" in lines[-1]


def test_json_is_taken_with_its_surrogate_pairs(tmp_path: Path) -> None:
    file = tmp_path / "answers.json"
    file.write_text(json.dumps({"description": "Café 🚀"}))
    words = ["new", str(tmp_path / "desk"), "--no-git", "--answers", str(file)]
    assert cli.run(words) == 0
    assert "Café 🚀" in (tmp_path / "desk/pyproject.toml").read_text("utf-8")


def test_target_tools_and_answers_are_refused_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "desk").write_text("mine")
    monkeypatch.setenv("PATH", str(tmp_path))
    words = ["--preset=singel", "--set=bad=[", "--set=patterns=[nope]", "--verify"]
    assert cli.run(["new", str(tmp_path / "desk"), "--defaults", *words]) == 1
    lines = mistakes(capsys.readouterr().err)
    wanted = ["is a file", "git is not", "needs uv", "mean single?", "of bad is not", "'nope'"]
    assert len(lines) == len(wanted)
    assert all(message in line for message, line in zip(wanted, lines, strict=True))
    assert cli.run(["new", str(tmp_path / "desk"), "--json", *words]) == 1
    message = json.loads(capsys.readouterr().out)["error"]
    assert {problem["key"] for problem in message["problems"]} == {"--preset", "--set", "patterns"}
    assert "is a file" in message["message"]


@pytest.mark.parametrize(
    "words",
    [
        *([""], ["x", "--ref=--"], ["x", "--template=--"], ["x", "--template", "a\0b"]),
        ["x", "--ref", ""],
        ["x", "--template", " "],
        ["x", "--js"],
    ],
)
def test_an_empty_word_or_half_an_option_is_usage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.run(["new", *words, "--no-git", "--defaults"]) == 2
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "src",
    [
        *("-x", "--upload-pack=touch ran", "ext::sh -c 'touch ran'", "fd::17", "foo://bar"),
        *("ssh://-oProxyCommand=touch%20ran/x", "-oProxyCommand=x:y", "~nosuchuser/x", "x" * 3000),
        *("/dev/null", "/etc/passwd", "file:///nowhere", "http://a:b@c/", "::1", "\x1b[31m", "/"),
    ],
)
def test_a_strange_template_is_refused(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    src: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    [line] = read_errors(tmp_path, capsys, f"--template={src}")
    assert len(line) < 1000


@pytest.mark.parametrize(
    "ref", ["-x", "^v1.0.0", "v1.0.0^{tree}", "HEAD:copier.yml", "..", "*", "\udcff"]
)
def test_a_strange_ref_is_refused(
    fork: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], ref: str
) -> None:
    [line] = read_errors(tmp_path, capsys, f"--template={fork}", f"--ref={ref}")
    assert "its versions are v1.0.0, v1.1.0" in line


def start(
    folder: Path, *words: str, before: Callable[[], None] | None = None
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "scaffold", "new", "a/desk", "--defaults", *words]
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    return subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=before,
    )


@pytest.mark.slow
@pytest.mark.parametrize("words", [["--no-git"], ["--ref", "v0.1.0"], ["--dry-run"]], ids=str)
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_at_any_moment_leaves_all_or_nothing(
    tmp_path: Path, number: signal.Signals, words: list[str]
) -> None:
    began = time.monotonic()
    with start(tmp_path, *words) as whole:
        whole.communicate()
    span = time.monotonic() - began
    for turn in range(MOMENTS):
        place = tmp_path / f"turn{turn}"
        place.mkdir()
        with start(place, *words) as running:
            time.sleep(span * turn / MOMENTS)
            running.send_signal(number)
            running.communicate()
        assert not list((place / "temporary").iterdir())
        if (place / "a").exists():
            assert [path.name for path in (place / "a").iterdir()] == ["desk"]
            assert (place / "a/desk/.copier-answers.yml").is_file()
        else:
            assert running.returncode or "--dry-run" in words


def small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, 2000))


@pytest.mark.slow
def test_a_file_system_that_takes_no_more_is_reported(tmp_path: Path) -> None:
    for words in (["--no-git"], ["--dry-run"]):
        with start(tmp_path, *words, before=small_files) as running:
            _, message = running.communicate()
        assert running.returncode == 1
        assert message.splitlines()[-1].startswith("hint: ")
        assert "File too large" in message
        assert "Traceback" not in message
        assert [path.name for path in tmp_path.iterdir()] == ["temporary"]
        assert not list((tmp_path / "temporary").iterdir())
