"""Which version of a template is newer, and what a template's own repository may not do."""

import shutil
from pathlib import Path

import pytest
import yaml

from scaffold import cli
from scaffold.errors import TemplateError
from scaffold.sources import releases, template
from scaffold.sources.clones import clone
from scaffold.sources.releases import is_sound
from scaffold.system.git import git as run
from scaffold.system.versions import is_newer, list_finished
from scaffold.workspace.target import create_repository
from tests.fork import append, commit, git, new, read_json
from tests.messages import one_mistake


@pytest.fixture
def history(tmp_path: Path) -> Path:
    """Create a small repository without a tag; the tests here check nothing out."""
    root = tmp_path / "history"
    root.mkdir()
    git(root, "init", "--quiet", "--initial-branch=main")
    step(root)
    return root


def step(root: Path) -> str:
    append(root / "file", "more\n")
    commit(root)
    return git(root, "rev-parse", "--short", "HEAD").strip()


@pytest.mark.parametrize(
    ("version", "known", "newer"),
    [
        ("v1.2.0rc1", "v1.2.0", False),
        ("v1.2.0", "v1.2.0rc1", True),
        ("1.10", "v1.9.9", True),
        ("v1.2", "1.2.0", False),
        ("1.2.0.post1", "v1.2.0", True),
        ("v1.2.0.dev1", "v1.2.0a1", False),
        ("main", "v1.0.0", False),
        ("v1.0.0", "main", True),
    ],
)
def test_versions_are_ordered_as_pep_440_orders_them(version: str, known: str, newer: bool) -> None:
    assert is_newer(version, known) is newer


def test_of_a_version_that_is_tagged_twice_one_counts() -> None:
    assert list_finished(["v1.0", "1.0.0", "0.9", "v1.1rc1", "nightly"]) == ["0.9", "v1.0"]


def test_a_tag_without_its_v_is_the_next_version(history: Path) -> None:
    git(history, "tag", "v1.0.0")
    step(history)
    git(history, "tag", "1.1.0")
    with template.open_template(str(history)) as own:
        assert own.list_newer("v1.0.0") == ["1.1.0"]
        assert own.find_newest("v1.0.0") == "1.1.0"
        assert own.resolve("v1.1.0") == own.resolve("1.1") == "1.1.0"


def test_how_a_user_has_git_print_changes_no_version(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    git(history, "tag", "v1.0.0")
    step(history)
    git(history, "tag", "v1.1.0")
    settings = {"column.ui": "always", "color.ui": "always", "core.abbrev": "4"}
    monkeypatch.setenv("GIT_CONFIG_COUNT", str(len(settings)))
    for number, (key, value) in enumerate(settings.items()):
        monkeypatch.setenv(f"GIT_CONFIG_KEY_{number}", key)
        monkeypatch.setenv(f"GIT_CONFIG_VALUE_{number}", value)
    with template.open_template(str(history)) as own:
        assert own.list_versions() == ["v1.0.0", "v1.1.0"]
        assert own.list_newer("v1.0.0") == ["v1.1.0"]


def test_a_tag_of_a_folder_is_not_a_version(history: Path) -> None:
    git(history, "tag", "v1.0.0")
    git(history, "tag", "-a", "-m", "one", "v1.1.0")
    git(history, "tag", "-a", "-m", "again", "v1.2.0", "v1.1.0")
    git(history, "tag", "v2.0.0", "HEAD^{tree}")
    git(history, "tag", "v2.1.0", "HEAD:file")
    with template.open_template(str(history)) as own:
        assert own.list_versions() == ["v1.0.0", "v1.1.0", "v1.2.0"]
        assert own.resolve("1.2.0") == "v1.2.0"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (("init", "-q", "own"), "no commit on its main branch; name a version or a branch"),
        (("clone", "-q", "--depth=1", "file://{}", "own"), "git fetch --unshallow --tags"),
    ],
)
def test_what_a_repository_lacks_is_named(history: Path, make: tuple[str, ...], words: str) -> None:
    step(history)
    git(history, *(word.format(history) for word in make))
    ref = "HEAD" if make[0] == "init" else "v1.0.0"
    with (
        template.open_template(str(history / "own")) as own,
        pytest.raises(TemplateError, match=words),
    ):
        own.resolve(ref)


def test_a_folder_without_a_repository_has_no_versions(history: Path) -> None:
    (history / "inside").mkdir()
    with (
        pytest.raises(TemplateError) as caught,
        template.open_template(str(history / "inside")),
    ):
        pass
    assert "without a git repository: leave out --ref" in str(caught.value.pairs)
    with pytest.raises(TemplateError, match="if it has moved"):
        clone(str(history / "gone"), history / "inside")


def test_a_broken_setting_of_the_users_is_called_one(
    history: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = history.with_name("gitconfig")
    settings.write_text("[broken\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    (history.parent / "clone").mkdir()
    with pytest.raises(TemplateError, match="mend that line of your git settings"):
        clone(str(history), history.parent / "clone")


def test_a_prerelease_goes_on_to_what_it_announced(history: Path) -> None:
    for tag in ("v1.0.0", "v1.1.0rc1", "v1.1.0"):
        step(history)
        git(history, "tag", tag)
    with template.open_template(str(history)) as own:
        assert own.list_newer("v1.1.0rc1") == ["v1.1.0"]
        assert own.find_newest("v1.0.0") == "v1.1.0"


def test_a_branch_ahead_of_every_tag_is_not_behind(history: Path) -> None:
    git(history, "tag", "v1.0.0")
    git(history, "checkout", "--quiet", "-b", "develop")
    step(history)
    git(history, "checkout", "--quiet", "main")
    with template.open_template(str(history)) as own:
        name = own.resolve("develop")
        assert own.list_newer(name) == []
        assert own.find_newest(name) == name


@pytest.mark.parametrize("merged", [False, True])
def test_a_branch_is_followed_until_main_contains_it(history: Path, merged: bool) -> None:
    git(history, "tag", "v1.0.0")
    git(history, "checkout", "--quiet", "-b", "develop")
    step(history)
    made_from = git(history, "describe", "--tags").strip()
    step(history)
    git(history, "checkout", "--quiet", "main")
    git(history, "commit", "--quiet", "--allow-empty", "--message", "main goes on")
    if merged:
        git(history, "merge", "--quiet", "--no-edit", "develop")
    wanted = git(history, "describe", "--tags", "HEAD" if merged else "develop").strip()
    with template.open_template(str(history)) as own:
        assert own.list_newer(made_from) == [wanted]


def test_a_commit_that_is_tagged_is_called_by_its_version(history: Path) -> None:
    git(history, "tag", "v1.0.0")
    git(history, "tag", "nightly")
    with template.open_template(str(history)) as own:
        assert own.resolve("main") == "v1.0.0"


@pytest.mark.parametrize("ref", ["-x", "--upload-pack=id", "a\0b", "x" * 5000, "a\nb", "*", "@{u}"])
def test_a_hostile_ref_gets_one_short_line(ref: str, history: Path) -> None:
    with template.open_template(str(history)) as own, pytest.raises(TemplateError) as caught:
        own.check_out(ref)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    "src",
    [
        "x" * 5000,
        "x" * 300,
        "a\0b",
        "~nobody-there/x",
        "ext::id",
        "fd::17",
        "\x1b[31m",
        "/dev/zero",
    ],
)
def test_a_hostile_address_gets_one_short_line(src: str) -> None:
    with pytest.raises(TemplateError) as caught, template.open_template(src):
        pass
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400


def test_uncommitted_changes_are_not_a_version(
    fork: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(shutil.copytree(fork, tmp_path / "template"))
    (root / "README.md").write_text("Nothing that is rendered.\n")
    with releases.open_source(str(root)) as source:
        assert (source.commit, source.changed) == ("v1.1.0", [])
    append(root / "templates/{{'.'}}/HISTORY.md", "Three.\n")
    (root / "templates/{{'.'}}/NEW.md").write_text("New.\n")
    desk = new(tmp_path / "desk", "--template", str(root), "--no-git", "--set", "extras=[]")
    noted = capsys.readouterr().err
    assert "has uncommitted changes (templates/{{'.'}}/HISTORY.md, templates" in noted
    facts = yaml.safe_load((desk / ".copier-answers.yml").read_text("utf-8"))
    assert facts["_commit"] == "v1.1.0+uncommitted"
    assert cli.run(["check", str(desk)]) == 1
    assert "write `_commit: v1.1.0`" in one_mistake(capsys.readouterr().err)


def arm(root: Path, marker: Path) -> None:
    """Give a template's own repository every setting that runs a command."""
    script = root / "run.sh"
    script.write_text(f"#!/bin/sh\ntouch {marker}\ncat\n")
    script.chmod(0o755)
    for key, value in {
        "core.fsmonitor": str(script),
        "core.hooksPath": str(root / "hooks"),
        "core.sshCommand": str(script),
        "filter.evil.clean": str(script),
        "filter.evil.smudge": str(script),
        "filter.evil.process": str(script),
        "diff.external": str(script),
        "uploadpack.packObjectsHook": str(script),
        "core.pager": str(script),
        "core.editor": str(script),
        "gpg.program": str(script),
        "core.alternateRefsCommand": str(script),
    }.items():
        git(root, "config", key, value)
    (root / "hooks").mkdir()
    for name in ("post-checkout", "post-index-change", "reference-transaction", "pre-auto-gc"):
        shutil.copy(script, root / "hooks" / name)
    (root / ".git/info").mkdir(exist_ok=True)
    (root / ".git/info/attributes").write_text("* filter=evil diff=evil\n")


@pytest.mark.slow
@pytest.mark.parametrize("dirty", [False, True])
def test_no_configuration_of_a_template_is_obeyed(
    dirty: bool, fork: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(shutil.copytree(fork, tmp_path / "template"))
    (root / ".gitattributes").write_text("* filter=evil ident text eol=crlf\n")
    commit(root)
    git(root, "tag", "v1.2.0")
    marker = tmp_path / "ran"
    arm(root, marker)
    if dirty:
        append(root / "templates/{{'.'}}/HISTORY.md", "Three.\n")
    words = ("--template", str(root), "--no-git", "--set", "extras=[]")
    new(tmp_path / "dry", *words, "--dry-run")
    new(tmp_path / "lying", *words)
    desk = new(tmp_path / "desk", *words, "--ref", "v1.0.0")
    create_repository(desk, "first")
    capsys.readouterr()
    assert cli.run(["check", str(desk), "--json"]) == 3
    assert read_json(capsys)["newer"] == ["v1.1.0", "v1.2.0"]
    assert cli.run(["update", str(desk)]) in (0, 3)
    assert (desk / "HISTORY.md").read_bytes() == b"Two: an addition.\n"
    assert not marker.exists()


def test_a_partial_clone_is_refused(fork: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(fork, tmp_path / "template"))
    (root / "more").write_text('[remote "o"]\npromisor = true\nuploadpack = touch ran\n')
    git(root, "config", "include.path", str(root / "more"))
    with pytest.raises(TemplateError, match="partial clone"), template.open_template(str(root)):
        pass


def test_versions_with_names_that_are_alike_are_two(fork: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(fork, tmp_path / "template"))
    git(root, "tag", "next/one", "v1.0.0")
    git(root, "tag", "next-one", "v1.1.0")
    with template.open_template(str(root)) as own:
        first, second = (own.check_out(name).root for name in ("next/one", "next-one"))
        assert first != second
        assert not list(first.rglob("HISTORY.md")) and list(second.rglob("HISTORY.md"))


def test_a_version_with_a_submodule_names_it(fork: Path, tmp_path: Path) -> None:
    root = Path(shutil.copytree(fork, tmp_path / "template"))
    head = git(root, "rev-parse", "HEAD").strip()
    entry = f"160000,{head},templates/{{{{extra_part}}}}"
    git(root, "update-index", "--add", "--cacheinfo", entry)
    git(root, "commit", "--quiet", "--message", "A part of its own")
    git(root, "tag", "v1.2.0")
    with (
        template.open_template(str(root)) as own,
        pytest.raises(TemplateError, match="git submodule"),
    ):
        own.check_out("v1.2.0")


def test_no_room_is_not_a_damaged_bundle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    program = tmp_path / "git"
    program.write_text(
        "#!/bin/sh\necho 'fatal: write error: No space left on device' >&2; exit 128\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    words = ["--defaults", "--no-git", "--ref", "v0.1.0"]
    assert cli.run(["new", str(tmp_path / "desk"), *words]) == 1
    shown = one_mistake(capsys.readouterr().err)
    assert "No space left" in shown
    assert "TMPDIR" in shown
    assert "damaged" not in shown


def test_a_cut_bundle_is_known(tmp_path: Path) -> None:
    data = releases.BUNDLE.read_bytes()
    (tmp_path / "cut").write_bytes(data[:-1])
    assert is_sound(releases.BUNDLE)
    assert not is_sound(tmp_path / "cut")


def test_what_the_user_ignores_everywhere_is_committed_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = tmp_path / "git-template/info"
    places.mkdir(parents=True)
    (places / "exclude").write_text("docs/\n")
    (tmp_path / "ignored").write_text("*.toml\n")
    settings = f"[core]\nexcludesFile = {tmp_path}/ignored\n[init]\ntemplateDir = {places.parent}\n"
    (tmp_path / "config").write_text(settings)
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    desk = tmp_path / "desk"
    (desk / "docs").mkdir(parents=True)
    for name in ("fleet.toml", "docs/a.md", ".env", ":(exclude)x"):
        (desk / name).write_text("x")
    (desk / ".gitignore").write_text(".env\n")
    create_repository(desk, "first")
    wanted = [".gitignore", ":(exclude)x", "docs/a.md", "fleet.toml"]
    assert run("ls-files", cwd=desk).splitlines() == wanted
