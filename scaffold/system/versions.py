"""Versions as PEP 440 orders them: a `v` before the number makes no difference."""

from collections.abc import Iterable

from packaging.version import InvalidVersion, Version


def parse_version(text: str) -> Version | None:
    """Return the version a tag such as v1.2.0 or 1.2.0rc1 names; None for any other name."""
    try:
        return Version(text)
    except InvalidVersion:
        return None


def is_newer(version: str, known: str) -> bool:
    """Tell whether one version comes after another; any other text comes before all."""
    one, other = parse_version(version), parse_version(known)
    return one is not None and (other is None or one > other)


def list_finished(tags: Iterable[str]) -> list[str]:
    """Return the tags that name a finished version, oldest first, one of each version."""
    parsed = ((parse_version(tag), tag) for tag in sorted(tags))
    found = {version: tag for version, tag in parsed if version and not version.is_prerelease}
    return [found[version] for version in sorted(found)]
