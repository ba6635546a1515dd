"""A throwaway repository that sees the team's objects: everything is worked out in here."""

import re
import tempfile
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from scaffold.merge.repository import Git, Workspace, records


class Blob(NamedTuple):
    """A file as git has it: its mode in octal and the object's name."""

    mode: str
    oid: str


Files = Mapping[str, Blob]
"""The workspace's files: relative path, with `/` between its parts, to blob."""


@dataclass(frozen=True, slots=True)
class Lab:
    """Objects written by `git` and `team` land in `folder`, never in the team's repository.

    `git` is deaf to the user's settings, so that merges are the same everywhere; `team` has the
    team's settings and attributes.
    """

    folder: Path
    workspace: Workspace
    git: Git
    team: Git

    def listed(self, tree: str) -> dict[str, Blob]:
        """The files of a folder's tree."""
        told = self.git("ls-tree", "-r", "-z", "--full-tree", tree)
        lines = (line.split("\t", 1) for line in records(told))
        return {path: Blob(*facts.split()[::2]) for facts, path in lines}

    def workspace_files(self, tree: str) -> dict[str, Blob]:
        """The workspace's files in a tree of the whole repository."""
        path = self.workspace.prefix.rstrip("/")
        return self.listed(f"{tree}:{path}" if path else tree)

    def contents(self, oids: Iterable[str]) -> dict[str, str]:
        """The bytes of blobs by name, decoded so that encoding them again is exact.

        What this repository does not have, such as a submodule's commit, is left out.
        """
        asked = list(dict.fromkeys(oids))
        told = self.git("cat-file", "--batch", feed="".join(f"{oid}\n" for oid in asked))
        rest = told.encode("utf-8", "surrogateescape")
        result: dict[str, str] = {}
        for oid in asked:
            facts, _, rest = rest.partition(b"\n")
            if facts.endswith(b" missing"):
                continue
            size = int(facts.split()[2])
            result[oid] = rest[:size].decode("utf-8", "surrogateescape")
            rest = rest[size + 1 :]
        return result

    def blob(self, content: str) -> str:
        """The name of a new blob with this content, byte for byte."""
        return self.git("hash-object", "-w", "--stdin", "--no-filters", feed=content)

    def commit(self, around: str, commits: Mapping[str, Files]) -> None:
        """Make a commit per name, the first one the parent of all others.

        Each is the tree `around`, with the workspace's folder replaced by these files.
        """
        parts: list[str] = []
        prefix = self.workspace.prefix
        for at, (name, files) in enumerate(commits.items()):
            parts += [f"commit refs/heads/{name}", *(["mark :1"] if at == 0 else [])]
            parts += ["committer scaffold <scaffold@localhost> 0 +0000", "data 0"]
            parts += ["from :1"] if at else []
            parts += [f'M 040000 {around} ""', f"D {quoted(prefix)}"] if prefix else ["deleteall"]
            parts += [
                f"M {blob.mode} {blob.oid} {quoted(prefix + path)}" for path, blob in files.items()
            ]
        # Objects stay loose, so that an applied plan can copy the few it needs.
        self.git(
            "fast-import", "--quiet", "--force",
            config=["fastimport.unpackLimit=1000000000", "core.fsync=none"],
            feed="\n".join([*parts, ""]),
        )  # fmt: skip

    def tree(self, around: str, files: Files) -> str:
        """The whole repository's tree: `around`, with the workspace's folder as these files."""
        self.commit(around, {"scaffold-tree": files})
        return self.git("rev-parse", "refs/heads/scaffold-tree^{tree}")


@contextmanager
def lab(workspace: Workspace) -> Generator[Lab]:
    """A lab for a workspace, gone when the block ends."""
    with tempfile.TemporaryDirectory(prefix="scaffold-merge-") as name:
        folder = Path(name).resolve()
        bare = folder / "lab.git"
        _make(bare, workspace)
        own = {
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_COUNT": "0",
            "GIT_CONFIG_PARAMETERS": "",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_DIR": str(bare),
            # The work tree is the team's: its attributes say how to merge a file.
            "GIT_WORK_TREE": str(workspace.top),
        }
        yield Lab(
            folder=folder,
            workspace=workspace,
            git=Git(workspace.top, own),
            team=workspace.git.using(GIT_OBJECT_DIRECTORY=bare / "objects"),
        )


def _make(bare: Path, workspace: Workspace) -> None:
    for name in ("objects/info", "refs/heads"):
        (bare / name).mkdir(parents=True)
    (bare / "HEAD").write_text("ref: refs/heads/none\n", "utf-8")
    (bare / "objects/info/alternates").write_text(f"{workspace.objects}\n", "utf-8")
    (bare / "config").write_text(
        "[core]\nrepositoryFormatVersion = 1\nbare = true\n"
        # Their defaults are files in the user's home, even where no setting names one.
        "attributesFile = /dev/null\nexcludesFile = /dev/null\n"
        f"[extensions]\nobjectFormat = {workspace.hashes}\n",
        "utf-8",
    )


def label(text: str) -> str:
    """Text as a branch name, and so as a conflict marker's label."""
    word = re.sub(r"\.{2,}|[^A-Za-z0-9._+-]+", "-", text).strip("-.").removesuffix(".lock")
    return word or "template"


def quoted(path: str) -> str:
    """A path as fast-import takes it."""
    inner = path.rstrip("/").replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{inner}"'
