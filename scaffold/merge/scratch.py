"""A throwaway repository that sees the team's objects: a merge is computed in here.

Nothing in it survives, so a dry run leaves nothing behind.
"""

import re
from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from scaffold.merge.repository import Git, Workspace, split_records
from scaffold.system.signals import work_folder


class Blob(NamedTuple):
    """A file as git has it: its mode in octal and the object's name."""

    mode: str
    oid: str


Files = Mapping[str, Blob]
"""The workspace's files: path in the workspace, with `/` between its parts, to blob."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScratchRepository:
    """A bare repository in a temporary folder, beside the team's.

    Objects written by `git` and `team` land in `folder`, never in the team's repository. `git`
    ignores the user's settings, so that merges are the same everywhere; `team` has the team's
    settings and attributes.
    """

    folder: Path
    workspace: Workspace
    git: Git
    team: Git

    def list_files(self, tree: str) -> dict[str, Blob]:
        """Return the workspace's files in a tree of the whole repository."""
        path = self.workspace.prefix.rstrip("/")
        folder = f"{tree}:{path}" if path else tree
        return parse_tree(self.git("ls-tree", "-r", "-z", "--full-tree", folder))

    def read_blobs(self, oids: Iterable[str]) -> dict[str, str]:
        """Return the contents of blobs by name, decoded so that encoding them again is exact.

        What this repository does not have, such as a submodule's commit, is left out.
        """
        # One process for all of them: to start git takes longer than to read a file.
        asked = list(dict.fromkeys(oids))
        printed = self.git("cat-file", "--batch", feed="".join(f"{oid}\n" for oid in asked))
        rest = printed.encode("utf-8", "surrogateescape")
        contents: dict[str, str] = {}
        for oid in asked:
            header, _, rest = rest.partition(b"\n")
            if header.endswith(b" missing"):
                continue
            size = int(header.split()[2])
            contents[oid] = rest[:size].decode("utf-8", "surrogateescape")
            rest = rest[size + 1 :]
        return contents

    def write_blob(self, content: str) -> str:
        """Write a blob with this content, byte for byte, and return its name."""
        return self.git("hash-object", "-w", "--stdin", "--no-filters", feed=content)

    def write_commits(self, around: str, commits: Mapping[str, Files]) -> None:
        """Write a commit per branch name, the first one the parent of all others.

        Each is the tree `around`, with the workspace's folder replaced by these files.
        """
        parts: list[str] = []
        prefix = self.workspace.prefix
        for number, (name, files) in enumerate(commits.items()):
            parts += [f"commit refs/heads/{name}", *(["mark :1"] if number == 0 else [])]
            # fast-import wants a committer and a date; nobody gets to see these commits.
            parts += ["committer scaffold <scaffold@localhost> 0 +0000", "data 0"]
            parts += ["from :1"] if number else []
            parts += [f'M 040000 {around} ""', f"D {_quote(prefix)}"] if prefix else ["deleteall"]
            parts += [
                f"M {blob.mode} {blob.oid} {_quote(prefix + path)}" for path, blob in files.items()
            ]
        # Objects stay loose, so that an applied plan can copy the few it needs.
        self.git(
            "fast-import", "--quiet", "--force",
            config=["fastimport.unpackLimit=1000000000", "core.fsync=none"],
            feed="\n".join([*parts, ""]),
        )  # fmt: skip

    def write_tree(self, around: str, files: Files) -> str:
        """Return the whole repository's tree: `around`, with these files as the workspace's."""
        self.write_commits(around, {"scaffold-tree": files})
        return self.git("rev-parse", "refs/heads/scaffold-tree^{tree}")

    def read_committed_tree(self) -> str:
        """Return the tree of the last commit, or before the first one of what is staged."""
        if head := self.workspace.head:
            return self.git("rev-parse", f"{head}^{{tree}}")
        return self.team("write-tree")

    def diff(self, before: str, after: str, *options: str) -> str:
        """Return `git diff` of the workspace's folder in two trees of the whole repository."""
        prefix = self.workspace.prefix
        within = [f"--relative={prefix}"] if prefix else []
        fixed = ("--no-ext-diff", "--no-textconv", "--find-renames")
        text = self.git("diff", *fixed, *within, *options, before, after)
        return f"{text}\n" if text else ""


def parse_tree(printed: str) -> dict[str, Blob]:
    """Return what `git ls-tree -r -z` lists, by path."""
    lines = (line.split("\t", 1) for line in split_records(printed))
    # Each is "MODE TYPE OBJECT", a tab, and the path.
    return {path: Blob(*details.split()[::2]) for details, path in lines}


def parse_index(printed: str) -> dict[str, dict[int, Blob]]:
    """Return what `git ls-files --stage -z` lists: path to stage to blob."""
    entries: dict[str, dict[int, Blob]] = {}
    for line in split_records(printed):
        details, path = line.split("\t", 1)
        mode, oid, stage = details.split()
        entries.setdefault(path, {})[int(stage)] = Blob(mode, oid)
    return entries


@contextmanager
def open_scratch(workspace: Workspace) -> Generator[ScratchRepository]:
    """Create a scratch repository for a workspace, and delete it when the block ends."""
    with work_folder() as place:
        folder = place.resolve()
        bare = folder / "scratch.git"
        _create(bare, workspace)
        variables = {
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_CONFIG_COUNT": "0",
            "GIT_CONFIG_PARAMETERS": "",
            "GIT_ATTR_NOSYSTEM": "1",
            "GIT_DIR": str(bare),
            # The work tree is the team's: its attributes say how to merge a file.
            "GIT_WORK_TREE": str(workspace.top),
        }
        yield ScratchRepository(
            folder=folder,
            workspace=workspace,
            git=Git(workspace.top, variables),
            team=workspace.git.with_variables(GIT_OBJECT_DIRECTORY=bare / "objects"),
        )


def _create(bare: Path, workspace: Workspace) -> None:
    # Not `git init`: it would copy the user's template of a repository, hooks included.
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


def to_branch_name(text: str) -> str:
    """Return a text as a branch name: git labels the sides of a conflict with these."""
    word = re.sub(r"\.{2,}|[^A-Za-z0-9._+-]+", "-", text).strip("-.").removesuffix(".lock")
    return word or "template"


def _quote(path: str) -> str:
    """Return a path as fast-import takes it."""
    inner = path.rstrip("/").replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{inner}"'
