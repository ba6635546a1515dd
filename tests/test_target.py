"""The folder to write to: a render that is stopped or refused leaves nothing behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from scaffold import cli
from scaffold.errors import TargetError
from scaffold.system import signals
from scaffold.workspace import target
from tests.conftest import ROOT
from tests.messages import one_mistake

SLOW_WRITE = """
import sys, time
from pathlib import Path
from scaffold.workspace import target
with target.stage(Path(sys.argv[1])) as folder:
    (folder / "half").write_text("written")
    print("begun", flush=True)
    time.sleep(30)
"""


@pytest.mark.parametrize("inside", [False, True], ids=["new folder", "empty folder"])
def test_sigterm_unwinds(tmp_path: Path, inside: bool) -> None:
    wanted = tmp_path / "a" / "b"
    if inside:
        wanted.mkdir(parents=True)
    words = [sys.executable, "-c", SLOW_WRITE, str(wanted)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == b"begun\n"
        running.send_signal(signal.SIGTERM)
        assert running.wait(timeout=10) == signals.TERMINATED
    assert [path.name for path in tmp_path.rglob("*")] == (["a", "b"] if inside else [])


def test_a_full_disk_is_reported_and_leaves_nothing(tmp_path: Path) -> None:
    def fill() -> None:
        with target.stage(tmp_path / "desk") as folder:
            (folder / "some").write_text("written")
            raise OSError(28, "No space left on device")

    with pytest.raises(TargetError, match="No space left on device"):
        fill()
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_that_is_there_keeps_its_identity(tmp_path: Path) -> None:
    wanted = tmp_path / "desk"
    wanted.mkdir(mode=0o700)
    before = wanted.stat().st_ino
    with target.stage(wanted) as folder:
        (folder / "inner").mkdir()
        (folder / "inner/file").write_text("x")
    assert wanted.stat().st_ino == before
    assert [path.name for path in sorted(wanted.rglob("*"))] == ["inner", "file"]


def test_a_link_to_an_empty_folder_is_filled(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    assert cli.run(["new", str(tmp_path / "link"), "--defaults", "--no-git"]) == 0
    assert (tmp_path / "real/fleet.toml").is_file()
    assert (tmp_path / "link").is_symlink()


def _dangling(place: Path) -> Path:
    (place / "x").symlink_to("nowhere")
    return place / "x"


def _loop(place: Path) -> Path:
    (place / "x").symlink_to("x")
    return place / "x"


def _file(place: Path) -> Path:
    (place / "x").write_text("mine")
    return place / "x"


def _under_a_file(place: Path) -> Path:
    return _file(place) / "y" / "z"


def _full(place: Path) -> Path:
    (place / "x").mkdir()
    (place / "x/.hidden").write_text("mine")
    return place / "x"


@pytest.mark.parametrize("create", [_dangling, _loop, _file, _under_a_file, _full])
def test_what_cannot_be_written_is_refused_and_kept(
    tmp_path: Path, create: Callable[[Path], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    wanted = create(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert cli.run(["new", str(wanted), "--defaults", "--no-git"]) == 1
    assert one_mistake(capsys.readouterr().err)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_parent_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        assert cli.run(["new", str(tmp_path / "desk"), "--defaults", "--no-git"]) == 1
    finally:
        tmp_path.chmod(0o700)


def test_nothing_else_is_touched_while_it_writes(tmp_path: Path) -> None:
    (tmp_path / "neighbour").write_text("mine")
    started = time.time()
    with target.stage(tmp_path / "desk") as folder:
        (folder / "f").write_text("x")
    assert (tmp_path / "neighbour").stat().st_mtime <= started
    assert sorted(path.name for path in tmp_path.iterdir()) == ["desk", "neighbour"]
