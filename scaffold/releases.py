"""Where templates come from: this installation, a release in the bundle, or a team's own.

`data/templates.bundle` is a git bundle with one commit and tag per released version;
`data/releases.json` pins each commit, tree and fingerprint.
"""

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import yaml

from scaffold.catalogue import template_root
from scaffold.errors import TemplateError

URL = "https://fleet-scaffold.invalid/templates.git"
"""The template's canonical address: a name that nobody can register."""

DATA = Path(__file__).parent / "data"
BUNDLE = DATA / "templates.bundle"
PINS = DATA / "releases.json"
_SKIPPED = {"__pycache__", ".ruff_cache", ".DS_Store"}
_UNTRUSTED = ("_tasks", "_migrations", "_jinja_extensions")


@dataclass(frozen=True, slots=True)
class Source:
    """A template folder to render, what is recorded of it, and whether it is a release."""

    root: Path
    src_path: str
    commit: str | None
    released: bool


def releases() -> dict[str, dict[str, str]]:
    """Version → {commit, tree, fingerprint}, oldest first. Raises TemplateError."""
    if not PINS.is_file():
        return {}
    try:
        return json.loads(PINS.read_text("utf-8"))
    except (OSError, json.JSONDecodeError):
        raise TemplateError("The release list is damaged; install scaffold again.") from None


@contextmanager
def source(template: str | None = None, ref: str | None = None) -> Generator[Source]:
    """The template to render, there until the block ends. Raises TemplateError."""
    if template is None and ref is None:
        yield installed()
        return
    with tempfile.TemporaryDirectory(prefix="scaffold-template-") as folder:
        if template is None:
            yield _released(str(ref), Path(folder))
        else:
            yield _own(template, ref, Path(folder))


def installed() -> Source:
    """The template this installation carries: a release, or marked as a local one."""
    root = template_root()
    known = releases()
    mark = fingerprint(root)
    for version, pins in reversed(known.items()):
        if pins["fingerprint"] == mark:
            return Source(root, URL, version, released=True)
    newest = next(reversed(known), "v0.0.0")
    return Source(root, URL, f"{newest}+local.{mark[:8]}", released=False)


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


def _released(ref: str, folder: Path) -> Source:
    known = releases()
    version = ref if ref.startswith("v") else f"v{ref}"
    if version not in known:
        there = ", ".join(known) or "none yet"
        raise TemplateError(f"There is no release {ref}; there are: {there}.")
    _clone(str(BUNDLE), version, folder)
    if _git("rev-parse", "HEAD^{tree}", cwd=folder) != known[version]["tree"]:
        raise TemplateError("The bundle of released templates is damaged; install scaffold again.")
    return Source(folder, URL, version, released=True)


def _own(template: str, ref: str | None, folder: Path) -> Source:
    place = Path(template).expanduser()
    if place.is_dir() and not (place / "HEAD").is_file() and ref is None:
        root = place.resolve()
        src, commit = str(root), _described(root)
    else:
        src = str(place.resolve()) if place.exists() else template
        _clone(src, ref, folder)
        root, commit = folder, _described(folder)
    _check_trust(root, template)
    return Source(root, src, commit, released=True)


def _check_trust(root: Path, name: str) -> None:
    path = root / "copier.yml"
    if not path.is_file():
        raise TemplateError(f"{name} has no copier.yml; name a template folder or repository.")
    try:
        settings: Any = yaml.safe_load(path.read_text("utf-8")) or {}
    except (yaml.YAMLError, UnicodeDecodeError):
        raise TemplateError(f"The copier.yml of {name} is not YAML.") from None
    if not isinstance(settings, dict):
        raise TemplateError(f"The copier.yml of {name} is no mapping.")
    wanted = [key for key in _UNTRUSTED if cast(dict[str, Any], settings).get(key)]
    if wanted:
        raise TemplateError(
            f"{name} asks for {', '.join(wanted)}; scaffold runs no template's code."
        )


def _described(root: Path) -> str | None:
    try:
        if Path(_git("rev-parse", "--show-toplevel", cwd=root)).resolve() != root.resolve():
            return None
        return _git("describe", "--tags", "--always", "--dirty", cwd=root)
    except TemplateError:
        return None


def _clone(src: str, ref: str | None, folder: Path) -> None:
    if src.startswith("-") or (ref or "").startswith("-"):
        raise TemplateError(f"'{src}' at '{ref}' is no template; name a folder or a git URL.")
    _git(
        "clone",
        "--quiet",
        "--config",
        "core.autocrlf=false",
        "--",
        src,
        str(folder),
        cwd=Path.cwd(),
    )
    if ref:
        _git("-c", "advice.detachedHead=false", "checkout", "--quiet", ref, "--", cwd=folder)


def _git(*words: str, cwd: Path) -> str:
    if shutil.which("git") is None:
        raise TemplateError("git is not installed; it is needed for --ref and --template URLs.")
    quiet = {
        **os.environ,
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ALLOW_PROTOCOL": "file:https:http:ssh:git",
    }
    done = subprocess.run(["git", *words], cwd=cwd, env=quiet, capture_output=True, text=True)
    if done.returncode:
        told = " ".join(done.stderr.split())
        raise TemplateError(f"The template cannot be had: {told}.")
    return done.stdout.strip()
