"""The names that what workspaces install takes: `python -m tests.taken_names` writes them down."""

import re
from collections.abc import Iterator
from importlib import metadata

from packaging.requirements import Requirement

from scaffold.catalog.catalog import Catalog, load
from scaffold.catalog.names import TAKEN_NAMES
from tests.conftest import ROOT

DEV = ("basedpyright", "pytest", "ruff")
SYSTEMS = (("linux", "Linux", "posix"), ("darwin", "Darwin", "posix"), ("win32", "Windows", "nt"))
PYTHONS = ("3.11", "3.12", "3.13", "3.14")


def names(catalog: Catalog) -> set[str]:
    """Distributions, imports and commands, as a package would be called, of all to install."""
    distributions = set(_closure([Requirement(text) for text in _read_names(catalog)]))
    imports = {
        name
        for name, owners in metadata.packages_distributions().items()
        if distributions & set(map(_plain, owners))
    }
    commands = {
        _plain(entry.name)
        for one in metadata.distributions()
        if _plain(one.name) in distributions
        for entry in one.entry_points
        if entry.group == "console_scripts"
    }
    return {
        name
        for name in distributions | imports | commands
        if re.fullmatch(r"[a-z][a-z0-9_]*", name)
    }


def _read_names(catalog: Catalog) -> Iterator[str]:
    yield from DEV
    for feature in catalog.features:
        yield from (*feature.dependencies, *feature.dev_dependencies)
        yield f"pydantic-ai-slim[{','.join(feature.pydantic_ai_extras)}]"


def _closure(wanted: list[Requirement]) -> Iterator[str]:
    seen: set[tuple[str, frozenset[str]]] = set()
    while wanted:
        one = wanted.pop()
        key = (_plain(one.name), frozenset(one.extras))
        if key in seen:
            continue
        seen.add(key)
        yield key[0]
        wanted += [needed for needed in _needs(one.name) if _applies(needed, one.extras)]


def _needs(name: str) -> list[Requirement]:
    try:
        return [Requirement(text) for text in metadata.requires(name) or []]
    except metadata.PackageNotFoundError:
        # It is for another system or another Python, and is not installed here.
        return []


def _applies(needed: Requirement, extras: set[str]) -> bool:
    """Tell whether it is installed on any system and any Python that a workspace supports."""
    marker = needed.marker
    return marker is None or any(
        marker.evaluate(environment | {"extra": extra})
        for environment in _environments()
        for extra in extras or {""}
    )


def _environments() -> Iterator[dict[str, str]]:
    for platform, system, os_name in SYSTEMS:
        for python in PYTHONS:
            yield {
                "sys_platform": platform,
                "platform_system": system,
                "os_name": os_name,
                "python_version": python,
                "python_full_version": f"{python}.0",
            }


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "_", name).lower()


if __name__ == "__main__":
    TAKEN_NAMES.write_text("\n".join(sorted(names(load(ROOT)))) + "\n", encoding="utf-8")
