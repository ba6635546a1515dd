"""Shared by all tests: the catalogue, and one rendered default workspace per session."""

from pathlib import Path

import pytest

from scaffold.answers import complete
from scaffold.catalogue import Catalogue, load
from scaffold.render import render

ROOT = Path(__file__).parents[1]
collect_ignore = ["snapshots"]


@pytest.fixture(scope="session")
def catalogue() -> Catalogue:
    return load(ROOT)


@pytest.fixture(scope="session")
def workspace(catalogue: Catalogue, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("default") / "desk"
    spec = complete(catalogue, {}, folder_name="desk")
    render(ROOT, folder, spec.answers(), source="somewhere", commit="v1")
    return folder
