"""What a released version has to be: hashes that are written down and held to."""

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from scaffold.errors import TemplateError

DAMAGED = "The {} of released templates is damaged or missing; install scaffold again."
_SKIPPED = {"__pycache__", ".ruff_cache", ".DS_Store"}


class Pin(BaseModel):
    """What a released version has to be: hashes of its commit, its tree and its files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    commit: str
    tree: str
    fingerprint: str


_LIST = TypeAdapter(dict[str, Pin])


def read_pins(path: Path) -> dict[str, Pin]:
    """The pins in a file; none where there is no file. Raises TemplateError."""
    if not path.is_file():
        return {}
    try:
        return _LIST.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        raise TemplateError(DAMAGED.format("list")) from None


def written_pins(pins: dict[str, Pin]) -> str:
    """The text that `read_pins` reads."""
    return _LIST.dump_json(pins, indent=2).decode() + "\n"


def is_sound(bundle: Path) -> bool:
    """Tell whether a git bundle is whole: its pack ends with the SHA-1 of what is before."""
    data = bundle.read_bytes()
    pack = data[data.find(b"\n\nPACK") + 2 :]
    return hashlib.sha1(pack[:-20], usedforsecurity=False).digest() == pack[-20:]


def fingerprint(root: Path) -> str:
    """A hash of a template folder: paths, run bits and bytes of copier.yml and templates/."""
    digest = hashlib.sha256()
    for path in _files(root):
        run_bit = b"x" if os.access(path, os.X_OK) else b"-"
        name = path.relative_to(root).as_posix().encode()
        digest.update(hashlib.sha256(path.read_bytes()).digest() + run_bit + name + b"\0")
    return digest.hexdigest()


def _files(root: Path) -> Iterator[Path]:
    yield root / "copier.yml"
    for path in sorted((root / "templates").rglob("*")):
        inside = set(path.relative_to(root).parts)
        if path.is_file() and not _SKIPPED & inside and path.suffix != ".pyc":
            yield path
