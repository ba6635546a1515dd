"""What a template must be to be rendered: it runs no code, and suits this scaffold."""

import re
from importlib.metadata import version as version_of
from pathlib import Path
from typing import Any, cast

from scaffold import yaml_text
from scaffold.errors import TemplateError

OLDEST_KEY = "_scaffold_min"
"""The key of copier.yml that states the oldest scaffold a template works with."""

_UNTRUSTED = ("_tasks", "_migrations", "_jinja_extensions")


def check_trust(root: Path, name: str) -> None:
    """Raise TemplateError unless it is a template that runs no code and suits this scaffold."""
    settings = _settings(root / "copier.yml", name)
    wanted = [key for key in _UNTRUSTED if settings.get(key)]
    if wanted:
        raise TemplateError(
            f"{name} asks for {', '.join(wanted)}; scaffold runs no template's code."
        )
    oldest, ours = str(settings.get(OLDEST_KEY, "0")), version_of("fleet-scaffold")
    if _numbers(oldest) > _numbers(ours):
        raise TemplateError(f"{name} needs scaffold {oldest}, this is {ours}; upgrade scaffold.")


def _settings(path: Path, name: str) -> dict[str, Any]:
    if not path.is_file():
        raise TemplateError(f"{name} has no copier.yml; name a template folder or repository.")
    try:
        settings: Any = yaml_text.load_trusted(path.read_text("utf-8")) or {}
    except yaml_text.UNREADABLE:
        raise TemplateError(f"The copier.yml of {name} is not YAML.") from None
    if not isinstance(settings, dict):
        raise TemplateError(f"The copier.yml of {name} is no mapping.")
    return cast(dict[str, Any], settings)


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]
