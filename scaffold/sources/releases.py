"""Open a template: this installation's, a release in the bundle, or a team's own.

`data/templates.bundle` is a git bundle with one commit and tag per released version;
`data/releases.json` has the hashes of each.
"""

import hashlib
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from scaffold.catalog.catalog import template_root
from scaffold.errors import TemplateError, printable
from scaffold.sources import template as templates
from scaffold.sources.clones import clone, local_place
from scaffold.sources.template import Source, Template
from scaffold.system.paths import ANSWERS_FILE
from scaffold.system.signals import work_folder
from scaffold.system.versions import is_newer

DAMAGED = "The {} of released templates is damaged or missing; install scaffold again."
# Left by tools in a checkout's templates; no render reads them.
_SKIPPED = {"__pycache__", ".ruff_cache", ".DS_Store"}


class ReleaseHashes(BaseModel):
    """What a released version must have: its commit, its tree, and a hash of its files."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    commit: str
    tree: str
    fingerprint: str


_LIST = TypeAdapter(dict[str, ReleaseHashes])


def read_hashes(path: Path) -> dict[str, ReleaseHashes]:
    """Return version → hashes as a file has them; empty without the file. Raises TemplateError."""
    if not path.is_file():
        return {}
    try:
        return _LIST.validate_json(path.read_bytes())
    except (OSError, ValidationError):
        raise TemplateError(DAMAGED.format("list")) from None


def format_hashes(known: dict[str, ReleaseHashes]) -> str:
    """Return the text that `read_hashes` reads."""
    return _LIST.dump_json(known, indent=2).decode() + "\n"


def is_sound(bundle: Path) -> bool:
    """Tell whether a git bundle is whole: its pack ends with the SHA-1 of what is before."""
    data = bundle.read_bytes()
    # A bundle is a header in text, an empty line, and a pack.
    pack = data[data.find(b"\n\nPACK") + 2 :]
    return hashlib.sha1(pack[:-20], usedforsecurity=False).digest() == pack[-20:]


def fingerprint(root: Path) -> str:
    """Hash a template folder: paths, run bits and bytes of copier.yml and templates/."""
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


URL = "https://fleet-scaffold.invalid/templates.git"
"""The template's canonical address: a name that nobody can register."""

DATA = Path(__file__).parents[1] / "data"
BUNDLE = DATA / "templates.bundle"
HASHES = DATA / "releases.json"


@dataclass(frozen=True, slots=True)
class Releases(Template):
    """The released versions: the bundle, checked against the list of hashes."""

    def list_versions(self) -> list[str]:
        """Return the released versions, oldest first."""
        return list(list_releases())

    def find_newest(self, recorded: str | None = None) -> str:
        """Return the newest release, whatever is recorded."""
        del recorded
        if not (versions := self.list_versions()):
            raise TemplateError("This scaffold carries no release; give a template (--template).")
        return versions[-1]

    def list_newer(self, recorded: str) -> list[str]:
        """Return those after the recorded one; a local version counts as the release in its name."""
        released, local, _ = recorded.partition("+local.")
        if local and released not in self.list_versions():
            return self.list_versions()
        return Template.list_newer(self, released)

    def resolve(self, ref: str) -> str:
        """Return the release of that name, written with or without its `v`. Raises TemplateError."""
        version = ref if ref.startswith("v") else f"v{ref}"
        known = self.list_versions()
        if version in known:
            return version
        if known and is_newer(version, known[-1]):
            raise TemplateError(
                f"Release {printable(version)} is newer than this scaffold, which has {known[-1]};"
                " upgrade scaffold."
            )
        raise TemplateError(
            f"Release {printable(ref)} does not exist; choose from {', '.join(known) or 'none'}."
        )

    def check_out(self, ref: str) -> Source:
        """Return a release or, by its hash, the unreleased templates of this installation."""
        here = find_installed()
        if ref == here.commit:
            return here
        if "+local." in ref:
            raise TemplateError(
                f"The unreleased templates {printable(ref)} are not here any more; to update from"
                f" the nearest release, set `_commit: {printable(ref.partition('+')[0])}` in"
                f" {ANSWERS_FILE} and commit that."
            )
        version = self.resolve(ref)
        hashes = list_releases()[version]
        # A commit's name is SHA-1; the fingerprint below is SHA-256 of what is rendered.
        if self._commit_of(version) != hashes.commit:
            raise TemplateError(DAMAGED.format("bundle"))
        source = Template.check_out(self, version)
        if fingerprint(source.root) != hashes.fingerprint:
            raise TemplateError(DAMAGED.format("bundle"))
        return replace(source, trusted=True)


def list_releases() -> dict[str, ReleaseHashes]:
    """Return version → its hashes, oldest first. Raises TemplateError."""
    return read_hashes(HASHES)


@contextmanager
def open_template(src: str = URL) -> Generator[Template]:
    """Open a template with all its versions: the released ones, or a team's. Raises TemplateError."""
    if src != URL:
        with templates.open_template(src) as template:
            yield template
        return
    if not BUNDLE.is_file():
        raise TemplateError(DAMAGED.format("bundle"))
    with work_folder() as folder:
        try:
            clone(str(BUNDLE), folder)
        except TemplateError:
            if is_sound(BUNDLE):
                raise
            raise TemplateError(DAMAGED.format("bundle")) from None
        yield Releases(URL, folder)


@contextmanager
def open_source(template: str | None = None, ref: str | None = None) -> Generator[Source]:
    """Open the template to render for the block: ours, or one named. Raises TemplateError."""
    if template is None and ref is None:
        yield find_installed()
        return
    place = local_place(template) if template and ref is None else None
    # A work tree is rendered as it is, committed or not; a bare repository has commits alone.
    if template and place and place.is_dir() and not (place / "HEAD").is_file():
        yield templates.open_folder(place, template)
        return
    with open_template(template or URL) as repository:
        yield repository.check_out(ref or repository.find_newest())


def find_installed() -> Source:
    """Return the template that this installation has: a release, or named as a local version."""
    root = template_root()
    known = list_releases()
    mark = fingerprint(root)
    # From the newest: two releases may have the same files.
    for version, hashes in reversed(known.items()):
        if hashes.fingerprint == mark:
            return Source(root, URL, version, released=True, trusted=True)
    newest = next(reversed(known), "v0.0.0")
    return Source(root, URL, f"{newest}+local.{mark[:8]}", released=False, trusted=True)
