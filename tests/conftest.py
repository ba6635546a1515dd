"""Shared by all tests: the catalogue, and workspaces that are rendered once per session."""

import importlib
import shutil
import ssl
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import hypothesis
import pytest

from scaffold.catalog.catalog import Catalogue, load
from scaffold.rendering.render import render
from tests.specs import complete

ROOT = Path(__file__).parents[1]
collect_ignore = ["snapshots"]
# How long one example takes says more about the machine than about the code.
hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")


@pytest.fixture(scope="session", autouse=True)
def one_trust_store() -> Iterator[None]:
    """Clients share the certificates they trust: reading them is most of what a client costs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ssl, "create_default_context", cache(ssl.create_default_context))
        yield


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return load(ROOT)


@pytest.fixture(scope="session")
def workspace(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("default") / "desk"
    spec = complete(catalogue, {}, folder_name="desk")
    render(ROOT, folder, spec.answers(), source="somewhere", commit="v1")
    return folder


@pytest.fixture(scope="session")
def every_provider(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Render a workspace with all providers, the default extras and some more; return its package."""
    name = "every_provider"
    answers = {
        "providers": [feature.name for feature in catalogue.of("provider")],
        "patterns": [],
        "agents": [],
        "extras": [
            f.name
            for f in catalogue.of("extra")
            if f.default or f.name in ("streaming", "grounded", "agreement", "content", "saving")
        ],
        "package": name,
    }
    folder = tmp_path_factory.mktemp("providers") / "desk"
    spec = complete(catalogue, answers, folder_name="desk")
    render(ROOT, folder, spec.answers(), source="somewhere", commit="v1")
    sys.path.insert(0, str(folder / "src"))
    yield name
    sys.path.remove(str(folder / "src"))


@pytest.fixture
def every_key(catalogue: Catalogue, every_provider: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every provider's variables are set, to nothing that works."""
    fleet = importlib.import_module(f"{every_provider}.runtime.fleet")
    for provider in catalogue.of("provider"):
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


@pytest.fixture
def desk(first_desk: Path, tmp_path: Path) -> Path:
    """Return a copy of that workspace to work in."""
    return Path(shutil.copytree(first_desk, tmp_path / "desk", symlinks=True))
