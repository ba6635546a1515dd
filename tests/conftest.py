"""Shared by all tests: the catalog, and workspaces that are rendered once per session."""

import gc
import importlib
import json
import shutil
import ssl
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import copier
import copier._template
import hypothesis
import pytest

from scaffold.catalog import catalog as catalog_module
from scaffold.catalog.catalog import Catalog, load
from scaffold.rendering.render import render
from scaffold.sources import releases
from scaffold.workspace import update
from tests.examples import examples
from tests.once import ParseOnce
from tests.specs import complete

if TYPE_CHECKING:
    from tests.fork import SharedRenders

ROOT = Path(__file__).parents[1]
Result = TypeVar("Result")
collect_ignore = ["snapshots"]
# How long one example takes says more about the machine than about the code.
hypothesis.settings.register_profile("unhurried", deadline=None, max_examples=examples(100))
hypothesis.settings.load_profile("unhurried")
# The clients' modules are a million objects: with the usual threshold of 700, looking through them
# again and again is a tenth of what the tests cost. What needs a collection asks for one.
gc.set_threshold(20_000, 10, 10)

MORE_EXTRAS = (
    "streaming",
    "grounded",
    "agreement",
    "content",
    "saving",
    "prices",
    "escalation_tools",
)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Give each worker a stretch of whole files, and the rest of another's when it has done.

    Small portions, which are xdist's default, make every worker render what a file shares.
    """
    if config.getvalue("dist") != "load":
        return None  # somebody asked for another one
    from xdist.scheduler.worksteal import WorkStealingScheduling

    return WorkStealingScheduling(config, log)


@pytest.fixture(scope="session", autouse=True)
def one_trust_store() -> Iterator[None]:
    """Clients share the certificates they trust: reading them is most of what a client costs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", cache(ssl.create_default_context))
        yield


@pytest.fixture(scope="session", autouse=True)
def templates_are_read_once(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[dict[tuple[Any, str], Any]]:
    """Read, hash and render these templates once: they do not change while the tests run.

    A render that comes again is a copy of the first with the same answers. Reading and hashing
    takes every command 0.1 s of processor time, a render 0.9 s, of which copier's questions take
    a third. Programs that a test starts are as slow as ever.
    """
    anew: dict[tuple[Any, str], Any] = {
        (copier, "run_copy"): copier.run_copy,
        (copier._template, "load_template_config"): copier._template.load_template_config,
        (catalog_module, "read"): catalog_module.read,
        (releases, "fingerprint"): releases.fingerprint,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(copier, "run_copy", RenderOnce(copier.run_copy, tmp_path_factory))
        load_config = ParseOnce(copier._template.load_template_config)
        patch.setattr(copier._template, "load_template_config", load_config)
        patch.setattr(catalog_module, "read", once_here(catalog_module.read))
        patch.setattr(releases, "fingerprint", once_here(releases.fingerprint))
        yield anew


@pytest.fixture
def templates_anew(
    templates_are_read_once: dict[tuple[Any, str], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read, hash and render the templates as a program does that has just started."""
    for (module, name), function in templates_are_read_once.items():
        monkeypatch.setattr(module, name, function)


class RenderOnce:
    """Stands in for `copier.run_copy`."""

    def __init__(self, render: Callable[..., object], folders: pytest.TempPathFactory) -> None:
        self.render = render
        self.folders = folders
        self.renders: dict[str, Path] = {}

    def __call__(self, source: str, target: Path, *, data: dict[str, Any], **options: Any) -> None:
        if Path(source) != ROOT:
            self.render(source, target, data=data, **options)
            return
        key = json.dumps(data, default=str) + repr(options)
        if key not in self.renders:
            folder = self.folders.mktemp("render")
            self.render(source, folder, data=data, **options)
            self.renders[key] = folder
        shutil.copytree(self.renders[key], target, symlinks=True, dirs_exist_ok=True)


def once_here(read: Callable[[Path], Result]) -> Callable[[Path], Result]:
    """Return a function of a path that remembers what it returned for paths of this repository."""
    known = cache(read)
    return lambda path: known(path) if path.is_relative_to(ROOT) else read(path)


@pytest.fixture(scope="session")
def catalog() -> Catalog:
    return load(ROOT)


@pytest.fixture(scope="session")
def workspace(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("default") / "desk"
    spec = complete(catalog, {}, folder_name="desk")
    render(ROOT, folder, spec.answers(), source="somewhere", commit="v1")
    return folder


@pytest.fixture(scope="session")
def every_provider(catalog: Catalog, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Render a workspace with all providers, the default extras and some more; return its package."""
    name = "every_provider"
    answers = {
        "providers": [feature.name for feature in catalog.of("provider")],
        "patterns": [],
        "agents": [],
        "extras": [f.name for f in catalog.of("extra") if f.default or f.name in MORE_EXTRAS],
        "package": name,
    }
    folder = tmp_path_factory.mktemp("providers") / "desk"
    spec = complete(catalog, answers, folder_name="desk")
    render(ROOT, folder, spec.answers(), source="somewhere", commit="v1")
    sys.path.insert(0, str(folder / "src"))
    yield name
    sys.path.remove(str(folder / "src"))


@pytest.fixture
def every_key(catalog: Catalog, every_provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every provider's variables are set, to nothing that works."""
    fleet = importlib.import_module(f"{every_provider}.runtime.fleet")
    for provider in catalog.of("provider"):
        module = importlib.import_module(f"{every_provider}.runtime.providers.{provider.name}")
        for key in module.keys(fleet.Deployment()):
            monkeypatch.setenv(key, "http://127.0.0.1:9" if key.endswith("ENDPOINT") else "x")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")


@pytest.fixture(scope="session")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a team's own template with two versions; do not change it."""
    from tests.fork import make_fork

    return make_fork(tmp_path_factory.mktemp("own") / "fork")


@pytest.fixture(scope="session")
def first_desk(fork: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a workspace of the fork's first version, in a repository; do not change it."""
    from tests.fork import new

    place = tmp_path_factory.mktemp("first") / "desk"
    return new(place, "--template", str(fork), "--ref", "v1.0.0")


@pytest.fixture(scope="session")
def shared_renders(tmp_path_factory: pytest.TempPathFactory) -> "SharedRenders":
    from tests.fork import SharedRenders

    return SharedRenders(tmp_path_factory.mktemp("renders"))


@pytest.fixture
def updates_render_once(shared_renders: "SharedRenders", monkeypatch: pytest.MonkeyPatch) -> None:
    """Let updates render each version of a team's template once for the same answers."""
    monkeypatch.setattr(update, "render_both", shared_renders.render_both)


@pytest.fixture
def desk(first_desk: Path, tmp_path: Path) -> Path:
    """Return a copy of that workspace to work in."""
    return Path(shutil.copytree(first_desk, tmp_path / "desk", symlinks=True))
