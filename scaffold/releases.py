"""Where templates come from: this installation, a release in the bundle, or a team's own.

`data/templates.bundle` is a git bundle with one commit and tag per released version;
`data/releases.json` pins each commit, tree and fingerprint.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from scaffold import template as templates
from scaffold.catalogue import template_root
from scaffold.clones import clone, local_place
from scaffold.errors import TemplateError
from scaffold.pins import DAMAGED, Pin, fingerprint, is_sound, read_pins
from scaffold.problems.wording import shown
from scaffold.template import Source, Template
from scaffold.temporary import work_folder
from scaffold.versions import is_newer

URL = "https://fleet-scaffold.invalid/templates.git"
"""The template's canonical address: a name that nobody can register."""

DATA = Path(__file__).parent / "data"
BUNDLE = DATA / "templates.bundle"
PINS = DATA / "releases.json"


@dataclass(frozen=True, slots=True)
class Releases(Template):
    """The released versions: the bundle, held to its pins."""

    def versions(self) -> list[str]:
        return list(releases())

    def newest(self, recorded: str | None = None) -> str:
        del recorded
        if not (versions := self.versions()):
            raise TemplateError("This scaffold carries no release; give a template (--template).")
        return versions[-1]

    def newer(self, recorded: str) -> list[str]:
        """Those after the recorded one; unreleased templates follow the release they are named by."""
        released, local, _ = recorded.partition("+local.")
        if local and released not in self.versions():
            return self.versions()
        return Template.newer(self, released)

    def named(self, ref: str) -> str:
        version = ref if ref.startswith("v") else f"v{ref}"
        known = self.versions()
        if version in known:
            return version
        if known and is_newer(version, known[-1]):
            raise TemplateError(
                f"There is no release {shown(version)} here, {known[-1]} is the newest; upgrade scaffold."
            )
        raise TemplateError(
            f"There is no release {shown(ref)}; there are: {', '.join(known) or 'none'}."
        )

    def at(self, ref: str) -> Source:
        """One release or, by its fingerprint, the unreleased templates of this installation."""
        here = installed()
        if ref == here.commit:
            return here
        if "+local." in ref:
            raise TemplateError(
                f"The unreleased templates {shown(ref)} are not here any more; to update from the nearest"
                f" release, set `_commit: {shown(ref.partition('+')[0])}` in .copier-answers.yml and"
                " commit that."
            )
        pin = releases()[self.named(ref)]
        if self._commit_of(self.named(ref)) != pin.commit:
            raise TemplateError(DAMAGED.format("bundle"))
        source = Template.at(self, self.named(ref))
        if fingerprint(source.root) != pin.fingerprint:
            raise TemplateError(DAMAGED.format("bundle"))
        return replace(source, trusted=True)


def releases() -> dict[str, Pin]:
    """Version → its pin, oldest first. Raises TemplateError."""
    return read_pins(PINS)


@contextmanager
def opened(src: str = URL) -> Generator[Template]:
    """A template with all its versions: the released ones, or a team's. Raises TemplateError."""
    if src != URL:
        with templates.opened(src) as template:
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
def source(template: str | None = None, ref: str | None = None) -> Generator[Source]:
    """The template to render, there until the block ends. Raises TemplateError."""
    if template is None and ref is None:
        yield installed()
        return
    place = local_place(template) if template and ref is None else None
    if template and place and place.is_dir() and not (place / "HEAD").is_file():
        yield templates.folder_source(place, template)
        return
    with opened(template or URL) as repository:
        yield repository.at(ref or repository.newest())


def installed() -> Source:
    """The template this installation carries: a release, or marked as a local one."""
    root = template_root()
    known = releases()
    mark = fingerprint(root)
    for version, pin in reversed(known.items()):
        if pin.fingerprint == mark:
            return Source(root, URL, version, released=True, trusted=True)
    newest = next(reversed(known), "v0.0.0")
    return Source(root, URL, f"{newest}+local.{mark[:8]}", released=False, trusted=True)
