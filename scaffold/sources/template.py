"""A template with its versions: a git repository, folder or bundle, cloned while it is used.

A version is a tag such as v1.2.0 or 1.2.0; any other commit is named as `git describe` does.
"""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from scaffold.errors import TemplateError, printable
from scaffold.sources.clones import canonical, clone, require_modest_tree, run_git
from scaffold.sources.safety import require_safe_template
from scaffold.system.git import GitError
from scaffold.system.paths import ANSWERS_FILE
from scaffold.system.signals import work_folder
from scaffold.system.versions import list_finished, parse_version

UNCOMMITTED = "+uncommitted"
"""Ends the name of a template folder that differs from the commit it is at."""
_RENDERED = ("copier.yml", "templates")
_REWRITTEN = (
    " If its history was rewritten, restore the tag or name a version to update from as `_commit`."
)
_SHALLOW = " It is a shallow clone: run `git fetch --unshallow --tags` there."


@dataclass(frozen=True, slots=True)
class Source:
    """A template folder to render.

    Attributes:
        root: The folder.
        src_path: What is recorded as the template's address.
        commit: What is recorded as its version; None for a folder without git.
        released: Whether it is a version that others can have.
        changed: The files of the folder that differ from the commit it is at.
        trusted: Whether it is this installation's own, or a release with the right hashes.
    """

    root: Path
    src_path: str
    commit: str | None
    released: bool
    changed: Sequence[str] = ()
    trusted: bool = False


@dataclass(frozen=True, slots=True)
class Template:
    """A template's repository, cloned bare into `folder`, where its versions are checked out."""

    src_path: str
    folder: Path

    def list_versions(self) -> list[str]:
        """Return its tagged versions, oldest first, without pre-releases."""
        return list_finished(self._tags())

    def find_newest(self, recorded: str | None = None) -> str:
        """Return the newest version; after a branch's commit, that branch's last one."""
        if recorded is not None:
            return next(reversed(self.list_newer(recorded)), None) or self.resolve(recorded)
        versions = self.list_versions()
        return versions[-1] if versions else self.resolve("HEAD")

    def list_newer(self, recorded: str) -> list[str]:
        """Return the versions that an update would bring, oldest first.

        After a version those with a higher number; after any other commit the last one of a
        branch that contains it, so that an update never goes back.
        """
        name = self.resolve(recorded)
        known = parse_version(name) if self._is_tag(name) else None
        if known is None:
            last = self.resolve(self._find_last_after(self._commit_of(name)))
            return [last] if last != name else []
        numbered = ((parse_version(tag), tag) for tag in self.list_versions())
        return [tag for version, tag in numbered if version and version > known]

    def resolve(self, ref: str) -> str:
        """Return what a branch, tag or commit is called. Raises TemplateError for any other name."""
        name = ref if self._commit_of(ref) else self._find_alike(ref)
        if not name:
            raise self._describe_unknown(ref)
        if self._is_tag(name):
            return name
        commit = self._commit_of(name)
        here = list_finished(self._git("tag", "--list", "--points-at", commit).splitlines())
        return here[-1] if here else self._git("describe", "--tags", "--always", commit)

    def check_out(self, ref: str) -> Source:
        """Check out one version. Raises TemplateError, also for one that is not safe to render."""
        name = self.resolve(ref)
        commit = self._commit_of(name)
        # Not the name: two tags may differ in a character that no folder may have.
        root = self.folder / "checked-out" / commit
        if not root.is_dir():
            require_modest_tree(self.folder, commit, self.src_path)
            self._require_no_submodule(name)
            root.mkdir(parents=True)
            index = {"GIT_INDEX_FILE": f"{root}.index"}
            self._git(f"--work-tree={root}", "checkout", commit, "--", ".", env=index)
        require_safe_template(root, self.src_path)
        return Source(root, self.src_path, name, released=True)

    def list_changes(self, root: Path) -> list[str]:
        """Return the files that a render of a folder reads and that differ from the last commit."""
        index = {"GIT_INDEX_FILE": str(self.folder / "compared.index")}
        tree = (f"--work-tree={root}", "-c", "core.fileMode=false")
        self._git(*tree, "read-tree", "HEAD", env=index)
        # Its exit status only says that there are differences.
        _try_git(self.folder, *tree, "update-index", "-q", "--refresh", env=index)
        changed = self._git(*tree, "diff-files", "--name-only", "-z", "--", *_RENDERED, env=index)
        others = ("ls-files", "--others", "--exclude-standard", "-z", "--", *_RENDERED)
        # What the user's own ignore file hides, such as an editor's files, is not a change.
        added = self._git(*tree, *others, env=index, as_user=True)
        found = f"{changed}\0{added}".split("\0")
        return sorted(path for path in found if path)

    def _tags(self) -> list[str]:
        """Return the tags of commits; one of a file or a folder is not a version."""
        listed = self._git(
            "for-each-ref", "--format=%(objecttype)%(*objecttype) %(refname:strip=2)", "refs/tags"
        )
        found = (line.split(" ", 1) for line in listed.splitlines())
        return [tag for kind, tag in found if not kind.endswith(("tree", "blob"))]

    def _is_tag(self, name: str) -> bool:
        return bool(self._git("for-each-ref", f"refs/tags/{name}"))

    def _find_alike(self, ref: str) -> str:
        """Return the tag of the same version, written with or without its `v`, or an empty text."""
        wanted = parse_version(ref)
        return next((tag for tag in self._tags() if wanted and parse_version(tag) == wanted), "")

    def _find_last_after(self, commit: str) -> str:
        """Return the last commit of a branch that contains this one: the main branch if it does."""
        containing = self._git(
            "for-each-ref", f"--contains={commit}", "--sort=-committerdate",
            "--format=%(objectname)", "refs/heads",
        ).splitlines()  # fmt: skip
        main = self._commit_of("HEAD")
        return main if main in containing else next(iter(containing), commit)

    def _commit_of(self, ref: str) -> str:
        if ref.startswith("-") or not ref.isprintable() or len(ref) > 250:
            return ""
        asked = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        try:
            # Below git 2.40 `rev-parse` repeats `--end-of-options`.
            found = run_git(self.folder, *asked).splitlines()[-1]
        except GitError:
            return ""
        # `^v1` is a commit to leave out.
        return found if found.isalnum() else ""

    def _require_no_submodule(self, name: str) -> None:
        listed = self._git("ls-tree", "-r", "-z", name, "--", *_RENDERED).split("\0")
        for entry in listed:
            if entry.startswith("160000 "):
                path = entry.partition("\t")[2]
                raise TemplateError(
                    f"{self.src_path} keeps {path} as a git submodule, which scaffold does not"
                    " fetch; commit its files to the template itself."
                )

    def _describe_unknown(self, ref: str) -> TemplateError:
        plain, mark, _ = ref.partition(UNCOMMITTED)
        plain = plain if mark else ref.removesuffix("-dirty")
        if plain != ref:
            return TemplateError(
                f"The workspace was made from uncommitted changes of {self.src_path}, which no"
                f" version has; to update from the nearest, write `_commit: {printable(plain)}` in"
                f" {ANSWERS_FILE} and commit that."
            )
        if ref == "HEAD":
            return TemplateError(
                f"{self.src_path} has no commit on its main branch; name a version or a branch with"
                " --ref, or commit there first."
            )
        shallow = (self.folder / "shallow").is_file()
        return TemplateError(
            f"{self.src_path} has no {printable(ref)}; {self._describe_versions()}."
            f"{_SHALLOW if shallow else _REWRITTEN}"
        )

    def _describe_versions(self) -> str:
        versions = self.list_versions()
        listed = ", ".join([*(["…"] if len(versions) > 12 else []), *versions[-12:]])
        return f"its versions are {listed}" if versions else "it has no version tags"

    def _git(self, *words: str, env: dict[str, str] | None = None, as_user: bool = False) -> str:
        try:
            return run_git(self.folder, *words, env=env, as_user=as_user)
        except GitError as error:
            raise TemplateError(
                f"{self.src_path} cannot be read: {printable(str(error), 300)}; see `git fsck` there."
            ) from None


@contextmanager
def open_template(src: str) -> Generator[Template]:
    """Clone the template at a git URL, folder or bundle for the block. Raises TemplateError."""
    src_path = canonical(src)
    with work_folder() as folder:
        clone(src_path, folder)
        yield Template(src_path, folder)


def open_folder(root: Path, name: str) -> Source:
    """Return a folder as it is, with uncommitted changes. Raises TemplateError."""
    require_safe_template(root, name)
    commit, changed = _describe_commit(root)
    return Source(root, str(root), commit, released=True, changed=changed)


def _describe_commit(root: Path) -> tuple[str | None, list[str]]:
    """Return what the folder's commit is called, None without one, and what differs from it."""
    if not (root / ".git").exists():
        return None, []
    try:
        with open_template(str(root)) as template:
            name = template.resolve("HEAD")
            changed = template.list_changes(root)
    except TemplateError:
        return None, []
    return (f"{name}{UNCOMMITTED}" if changed else name), changed


def _try_git(folder: Path, *words: str, env: dict[str, str]) -> None:
    try:
        run_git(folder, *words, env=env)
    except GitError:
        return
