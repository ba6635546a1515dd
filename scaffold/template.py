"""A template with its versions: any git repository, folder or bundle, cloned for as long as needed.

A version is a tag such as v1.2.0; what is tagged otherwise is named as `git describe` does.
"""

import re
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scaffold.errors import TemplateError
from scaffold.git import GitError, git
from scaffold.temporary import work_folder
from scaffold.trust import check_trust

_VERSION = re.compile(r"v?\d+(\.\d+)*")
_SHORT = {"gh:": "https://github.com/", "gl:": "https://gitlab.com/"}
_PROTOCOLS = {"GIT_ALLOW_PROTOCOL": "file:https:http:ssh:git"}
_PLAIN = ("-c", "core.autocrlf=false", "-c", "core.hooksPath=/dev/null")


@dataclass(frozen=True, slots=True)
class Source:
    """A template folder to render, what is recorded of it, and whether it is a release."""

    root: Path
    src_path: str
    commit: str | None
    released: bool


@dataclass(frozen=True, slots=True)
class Template:
    """A template's repository, cloned bare into `folder`, where its versions are checked out."""

    src_path: str
    folder: Path

    def versions(self) -> list[str]:
        """Its tagged versions, oldest first; pre-releases are left out."""
        tags = self._git("tag", "--list", "--sort=version:refname").splitlines()
        return [tag for tag in tags if _VERSION.fullmatch(tag)]

    def newest(self, recorded: str | None = None) -> str:
        """The newest version; the branch's last commit where `recorded` is no tagged version."""
        versions = self.versions()
        tagged = recorded is None or recorded in versions
        return versions[-1] if versions and tagged else self.named("HEAD")

    def newer(self, recorded: str) -> list[str]:
        """The versions an update would bring, oldest first; empty when there is none."""
        versions, name = self.versions(), self.named(recorded)
        if name in versions:
            return versions[versions.index(name) + 1 :]
        newest = self.newest(recorded)
        return [newest] if newest != name else []

    def named(self, ref: str) -> str:
        """What a branch, tag or commit is called. Raises TemplateError where there is none."""
        if ref.startswith("-") or not self._commit_of(ref):
            raise TemplateError(
                f"{self.src_path} has no {ref}; {self._what_there_is()}. If its history was"
                " rewritten, restore the tag or name a version to update from as `_commit`."
            )
        tagged = self._git("tag", "--list", ref)
        return tagged or self._git("describe", "--tags", "--always", ref)

    def at(self, ref: str) -> Source:
        """One version, checked out. Raises TemplateError, also for a template that wants trust."""
        name = self.named(ref)
        root = self.folder / "checked-out" / re.sub(r"[^\w.+-]", "-", name)
        if not root.is_dir():
            root.mkdir(parents=True)
            index = {"GIT_INDEX_FILE": f"{root}.index"}
            self._git(*_PLAIN, f"--work-tree={root}", "checkout", ref, "--", ".", env=index)
        check_trust(root, self.src_path)
        return Source(root, self.src_path, name, released=True)

    def _commit_of(self, ref: str) -> str:
        asked = ("--git-dir=.", "rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")
        return git(*asked, cwd=self.folder, allowed=(0, 1, 128))

    def _what_there_is(self) -> str:
        versions = self.versions()
        return f"its versions are {', '.join(versions)}" if versions else "it has no version tags"

    def _git(self, *words: str, env: dict[str, str] | None = None) -> str:
        try:
            return git("--git-dir=.", *words, cwd=self.folder, env=env)
        except GitError as error:
            raise TemplateError(f"{self.src_path} cannot be read: {error}.") from None


@contextmanager
def opened(src: str) -> Generator[Template]:
    """The template at a git URL, folder or bundle. Raises TemplateError."""
    src_path = canonical(src)
    with work_folder() as folder:
        clone(src_path, folder)
        yield Template(src_path, folder)


def clone(src: str, folder: Path) -> None:
    """A bare clone with every branch and tag. Raises TemplateError."""
    try:
        git("clone", "--quiet", "--bare", "--", src, ".", cwd=folder, env=_PROTOCOLS)
    except GitError as error:
        raise TemplateError(
            f"The template cannot be had: {error}; if it has moved, name it with --template."
        ) from None


def canonical(src: str) -> str:
    """What is recorded of a template's address: an absolute path or a git URL, never a password."""
    place = Path(src).expanduser()
    if place.exists():
        return str(place.resolve())
    for short, host in _SHORT.items():
        if src.startswith(short):
            return f"{host}{src.removeprefix(short).removesuffix('.git')}.git"
    if re.match(r"[\w+.-]+://[^/@]*:[^/@]+@", src):
        raise TemplateError("A template's URL must hold no password; use a git credential helper.")
    if src.startswith("-"):
        raise TemplateError(f"'{src}' is no template; name a folder or a git URL.")
    return src.removeprefix("git+")


def folder_source(root: Path, name: str) -> Source:
    """A folder as it lies there, with uncommitted changes. Raises TemplateError."""
    check_trust(root, name)
    return Source(root, str(root), _described(root), released=True)


def _described(root: Path) -> str | None:
    try:
        if Path(git("rev-parse", "--show-toplevel", cwd=root)).resolve() != root.resolve():
            return None
        return git("describe", "--tags", "--always", "--dirty", cwd=root)
    except GitError:
        return None
