"""`scaffold update` beside `copier update`: the same workspace, template, change and run.

`python -m benchmarks.bench_update [ROUNDS]` prints medians, their ratio, and whether both came to
the same files. The change edits six files and adds one; the team has edited another.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.bench_new import BIN, ROOT, seconds

CORE = "templates/{{'.'}}"
PACKAGE = f"{CORE}/src/{{{{package}}}}"
WHO = {
    f"GIT_{role}_{what}": value
    for role in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "b"), ("EMAIL", "b@localhost"))
}


def git(place: Path, *words: str) -> None:
    """Run git, loudly."""
    subprocess.run(["git", *words], cwd=place, env={**os.environ, **WHO}, check=True)


def commit(place: Path) -> None:
    """Commit everything there is."""
    git(place, "add", "--all")
    git(place, "commit", "--quiet", "--allow-empty", "--message", "benchmark")


def template(place: Path) -> Path:
    """Make a repository with these templates as v1.0.0, and changed as v1.1.0."""
    place.mkdir()
    shutil.copytree(ROOT / "templates", place / "templates")
    shutil.copy(ROOT / "copier.yml", place)
    git(place, "init", "--quiet", "--initial-branch=main")
    commit(place)
    git(place, "tag", "v1.0.0")
    edited = sorted((place / PACKAGE).rglob("*.py"))[:6]
    for path in edited:
        path.write_text(path.read_text("utf-8") + "\n\n# A change of the template's.\n", "utf-8")
    (place / CORE / "NEW.md").write_text("New in this version.\n", "utf-8")
    commit(place)
    git(place, "tag", "v1.1.0")
    return place


def workspace(place: Path, source: Path) -> Path:
    """Make a default workspace of v1.0.0 in its own repository, with an edit of the team's."""
    words = ["new", str(place), "--defaults", "--no-git", "--template", str(source)]
    subprocess.run(
        [str(BIN / "scaffold"), *words, "--ref", "v1.0.0"], check=True, capture_output=True
    )
    git(place, "init", "--quiet", "--initial-branch=main")
    readme = place / "README.md"
    readme.write_text(readme.read_text("utf-8") + "\nA line of the team's.\n", "utf-8")
    commit(place)
    return place


def contents(folder: Path) -> dict[str, bytes]:
    """Return the files of a workspace but git's own and the answers, whose order differs."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".git" not in path.parts and path.name != ".copier-answers.yml"
    }


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        source = template(work / "template")
        start = workspace(work / "desk", source)
        commands = {
            "copier update": [str(BIN / "copier"), "update", "-q", "--defaults"],
            "scaffold update": [str(BIN / "scaffold"), "update"],
        }
        times: dict[str, list[float]] = {}
        results: dict[str, dict[str, bytes]] = {}
        for turn in range(rounds + 1):
            for name, words in commands.items():
                place = work / f"{name}-{turn}"
                shutil.copytree(start, place, symlinks=True)
                took = seconds(*words, cwd=place)
                results[name] = contents(place)
                # The first turn writes bytecode and fills caches.
                if turn:
                    times.setdefault(name, []).append(took)
        medians = {name: statistics.median(values) for name, values in times.items()}
        for name, value in medians.items():
            print(f"{name:<16} {value:6.3f} s")
        one, other = medians
        print(f"{one} / {other} = {medians[one] / medians[other]:.2f}")
        print("same files" if results[one] == results[other] else "the files differ")


if __name__ == "__main__":
    main()
