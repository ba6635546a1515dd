"""What becomes of a team's work in the cases updaters are said to lose it: three updaters, one table.

`python -m benchmarks.edge_cases` prints Markdown. The same two versions of a template are given to
copier, to cruft (in an environment of uv's own) and to scaffold's merge of two renders.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.bench_new import BIN
from benchmarks.bench_update import WHO, commit, git

Files = Mapping[str, str | bytes]
Team = Callable[[Path], object]
Judge = Callable[[Path], str]
ANSWERS = ".copier-answers.yml"
MERGE = """
import sys
from pathlib import Path
from scaffold import merge
place, old, new, renames, owned = Path(sys.argv[1]), *map(Path, sys.argv[2:4]), *sys.argv[4:6]
workspace = merge.locate(place)
merge.require_ready(workspace)
pairs = dict(pair.split("=") for pair in renames.split(",") if pair)
with merge.plan(workspace, old, new, renames=pairs, team_owned=owned.split(",")) as plan:
    sys.exit(3 if merge.apply(plan).conflicts else 0)
"""


def text(name: str, **other: str) -> str:
    """Twelve lines that no other file has, some of them given."""
    return "".join(f"{other.get(f'_{at}', f'{name} line {at}')}\n" for at in range(12))


def put(path: str, content: str | bytes) -> Team:
    """Write one file."""

    def team(place: Path) -> None:
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(content.encode() if isinstance(content, str) else content)

    return team


def has(path: str, *words: str) -> Judge:
    """Nothing when the file holds all words; else what is missing."""

    def judge(place: Path) -> str:
        found = (place / path).read_bytes() if (place / path).is_file() else b""
        gone = [word for word in words if word.encode() not in found]
        return "" if not gone else f"`{'`, `'.join(map(str.strip, gone))}` not in `{path}`"

    return judge


@dataclass(frozen=True)
class Case:
    """What the template and the team changed, and what has to be there afterwards."""

    title: str
    new: Files
    team: Team
    must: tuple[Judge, ...]
    conflict: bool = False
    uncommitted: Team | None = None
    renames: str = ""
    owned: str = ""
    old: Files = field(default_factory=dict[str, str | bytes])
    prefix: str = ""


A, B = text("a"), text("b")
PYPROJECT = '[project]\nname = "x"\nversion = "1"\ndependencies = [\n    "pydantic",\n]\n'


def depends(*names: str) -> str:
    return PYPROJECT.replace('"pydantic"', ",\n    ".join(f'"{name}"' for name in names))


def move(old: str, new: str) -> Team:
    return lambda place: (place / old).rename(place / new)


def crlf(place: Path) -> None:
    for path in ("a.txt", "b.txt"):
        put(path, text(path[0], _9="TEAM").replace("\n", "\r\n"))(place)


TEAM_A = put("a.txt", text("a", _9="TEAM"))
NEW_A = text("a", _2="TEMPLATE")
CASES = (
    Case("Both change other lines of a file", {"a.txt": NEW_A}, TEAM_A, (has("a.txt", "TEAM", "TEMPLATE"),)),
    Case("Both change the same line", {"a.txt": text("a", _9="TEMPLATE")}, TEAM_A, (has("a.txt", "TEAM"),), conflict=True),
    Case("Template drops a file the team edited", {"a.txt": ""}, TEAM_A, (has("a.txt", "TEAM"),), conflict=True),
    Case("Template drops it and adds a similar one", {"a.txt": "", "c.txt": text("a", _3="TEMPLATE")}, TEAM_A, (has("a.txt", "TEAM"), has("c.txt", "TEMPLATE"), lambda p: "`TEAM` moved to `c.txt`" if b"TEAM" in (p / "c.txt").read_bytes() else ""), conflict=True),
    Case("Template renames a file the team edited", {"a.txt": "", "z.txt": NEW_A}, TEAM_A, (has("z.txt", "TEAM", "TEMPLATE"),), renames="a.txt=z.txt"),
    Case("Team moved a file the template changes", {"a.txt": NEW_A}, move("a.txt", "mine.txt"), (has("mine.txt", "TEMPLATE"),)),
    Case("Team deleted a file the template changes", {"a.txt": NEW_A}, lambda p: (p / "a.txt").unlink(), (), conflict=True),
    Case("Both add a file", {"n.txt": "TEMPLATE\n"}, put("n.txt", "TEAM\n"), (has("n.txt", "TEAM"),), conflict=True),
    Case("An untracked file where the template adds one", {"n.txt": "TEMPLATE\n"}, lambda _: None, (has("n.txt", "TEAM"),), conflict=True, uncommitted=put("n.txt", "TEAM\n")),
    Case("A git-ignored `.env` where the template adds one", {".env": "TEMPLATE\n"}, put(".gitignore", ".env\n"), (has(".env", "TEAM"),), conflict=True, uncommitted=put(".env", "TEAM\n")),
    Case("Both change a binary file", {"x.bin": b"\0TEMPLATE"}, put("x.bin", b"\0TEAM"), (has("x.bin", "TEAM"),), conflict=True, old={"x.bin": b"\0old"}),
    Case("The team committed CRLF line ends", {"a.txt": NEW_A}, crlf, (has("a.txt", "TEAM\r\n", "TEMPLATE\r\n"), lambda p: "whole file in conflict" if b"<<<<" in (p / "a.txt").read_bytes() else "")),
    Case("Own dependency beside the template's", {"pyproject.toml": depends("pydantic", "theirs")}, put("pyproject.toml", depends("pydantic", "mine")), (has("pyproject.toml", "mine", "theirs"), lambda p: "conflict" if b"<<<<" in (p / "pyproject.toml").read_bytes() else ""), old={"pyproject.toml": PYPROJECT}),
    Case("A prompt the team owns, with a newer seed", {"a.txt": NEW_A}, lambda _: None, (lambda p: "changed" if b"TEMPLATE" in (p / "a.txt").read_bytes() else "",), owned="a.txt"),
    Case("A subfolder of a monorepo", {"a.txt": NEW_A}, TEAM_A, (has("a.txt", "TEAM", "TEMPLATE"), lambda p: "" if (p.parent / "other.txt").read_text() == A else "neighbour changed"), prefix="apps/ws"),
)  # fmt: skip


def filled(place: Path, files: Files) -> None:
    for path, content in files.items():
        if content:
            put(path, content)(place)


def run(words: list[str], place: Path) -> int:
    done = subprocess.run(
        words, cwd=place, env={**os.environ, **WHO}, stdin=subprocess.DEVNULL, capture_output=True, timeout=120
    )  # fmt: skip
    return done.returncode


def repository(
    place: Path, inner: str, settings: Mapping[str, str], versions: tuple[Files, Files]
) -> Path:
    """Make a template's repository with the tags v1.0.0 and v2.0.0."""
    place.mkdir()
    git(place, "init", "--quiet", "--initial-branch=main")
    filled(place, settings)
    for tag, files in zip(("v1.0.0", "v2.0.0"), versions, strict=True):
        for path in sorted((place / inner).rglob("*")) if inner else []:
            if path.is_file() and path.name != "{{_copier_conf.answers_file}}.jinja":
                path.unlink()
        filled(place / inner, files)
        commit(place)
        git(place, "tag", tag)
    return place


def copier(work: Path, versions: tuple[Files, Files], home: Path) -> list[str]:
    answers = {"src/{{_copier_conf.answers_file}}.jinja": "{{ _copier_answers | to_nice_yaml }}"}
    source = repository(
        work / "template", "src", {"copier.yml": "_subdirectory: src\n", **answers}, versions
    )
    first = [
        str(BIN / "copier"),
        "copy",
        "-q",
        "--defaults",
        "--vcs-ref",
        "v1.0.0",
        str(source),
        str(home),
    ]
    assert run(first, work) == 0
    return [str(BIN / "copier"), "update", "-q", "--defaults", "--vcs-ref", "v2.0.0"]


def cruft(work: Path, versions: tuple[Files, Files], home: Path) -> list[str]:
    program = [str(BIN / "uv"), "tool", "run", "--quiet", "cruft"]
    settings = {"cookiecutter.json": json.dumps({"name": home.name})}
    source = repository(work / "template", "{{cookiecutter.name}}", settings, versions)
    home.rmdir()
    first = [
        "create",
        "--no-input",
        "--checkout",
        "v1.0.0",
        "--output-dir",
        str(home.parent),
        str(source),
    ]
    assert run([*program, *first], work) == 0
    return [
        *program,
        "update",
        "--skip-apply-ask",
        "--allow-untracked-files",
        "--checkout",
        "v2.0.0",
    ]


def scaffold(work: Path, versions: tuple[Files, Files], home: Path) -> list[str]:
    for name, files in zip(("before", "after"), versions, strict=True):
        filled(work / name, {**files, ANSWERS: f"_commit: {name}\n"})
    filled(home, {**versions[0], ANSWERS: "_commit: before\n"})
    return [sys.executable, "-c", MERGE, str(home), str(work / "before"), str(work / "after")]


def outcome(case: Case, start: Callable[[Path, tuple[Files, Files], Path], list[str]]) -> str:
    """One cell: ✓, or what is wrong."""
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        repo = work / "repo"
        home = repo / (case.prefix or "ws")
        home.mkdir(parents=True)
        top = repo if case.prefix else home
        old = {"a.txt": A, "b.txt": B, **case.old}
        words = start(work, (old, {**old, **case.new}), home)
        (home.parent / "other.txt").write_text(A)
        git(top, "init", "--quiet", "--initial-branch=main")
        commit(top)
        case.team(home)
        commit(top)
        (case.uncommitted or (lambda _: None))(home)
        if start is scaffold:
            words = [*words, case.renames, case.owned]
        code = run(words, home)
        return verdict(case, home, code)


def verdict(case: Case, home: Path, code: int) -> str:
    wrong = "; ".join(filter(None, (judge(home) for judge in case.must if _there(judge, home))))
    shown = run_output(home, "status", "--porcelain", "-uall")
    marked = any(
        line[:2] in ("UU", "UD", "DU", "AA", "AU", "UA", "UU") for line in shown.splitlines()
    )
    rejected = ".rej" in shown
    told = f"exit {code}" + (", in the index" if marked else ", `.rej`" if rejected else "")
    if wrong:
        return f"✗ {wrong} ({told})"
    if case.conflict and code == 0 and not marked and not rejected:
        return f"✗ nothing said ({told})"
    return f"✓ ({told})" if case.conflict else "✓"


def _there(judge: Judge, home: Path) -> bool:
    try:
        judge(home)
    except OSError:
        return False
    return True


def run_output(place: Path, *words: str) -> str:
    return subprocess.run(["git", *words], cwd=place, capture_output=True, text=True).stdout


def main() -> None:
    tools = (copier, cruft, scaffold)
    print("| Case | " + " | ".join(tool.__name__ for tool in tools) + " |")
    print("|" + "---|" * (len(tools) + 1))
    for case in CASES:
        cells = [outcome(case, tool) for tool in tools]
        print(f"| {case.title} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
