"""Cut a release of the templates: `python -m scaffold.release X.Y.Z`, for maintainers.

Appends a commit and the tag vX.Y.Z to the bundle. Author and date are fixed (the date is the
CHANGELOG heading's), so that the same templates give the same commit everywhere.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from scaffold.catalogue import load, template_root
from scaffold.errors import ScaffoldError, TemplateError
from scaffold.questionnaire import copier_yml
from scaffold.releases import BUNDLE, PINS, fingerprint, releases

_WHO = "scaffold"
_MAIL = "scaffold@fleet-scaffold.invalid"


def release(version: str, root: Path, bundle: Path = BUNDLE, pins: Path = PINS) -> None:
    """Add one version. Raises TemplateError for a wrong or known version or a stale copier.yml."""
    date = _date_of(version, root / "CHANGELOG.md")
    tag = f"v{version}"
    known: dict[str, dict[str, str]] = json.loads(pins.read_text()) if pins.is_file() else {}
    if tag in known:
        raise TemplateError(f"{tag} is released already; choose the next version.")
    if (root / "copier.yml").read_text("utf-8") != copier_yml(load(root)):
        raise TemplateError("copier.yml is stale; run `python -m scaffold.questionnaire`.")
    with tempfile.TemporaryDirectory() as folder:
        commit, tree = _commit(root, bundle, Path(folder), tag, date)
    known[tag] = {"commit": commit, "tree": tree, "fingerprint": fingerprint(root)}
    pins.write_text(json.dumps(known, indent=2) + "\n", encoding="utf-8")


def _date_of(version: str, changelog: Path) -> str:
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise TemplateError(f"'{version}' is no version; write X.Y.Z.")
    heading = rf"^## \[?{re.escape(version)}\]? - (\d{{4}}-\d\d-\d\d)$"
    found = re.search(heading, changelog.read_text("utf-8"), re.MULTILINE)
    if not found:
        raise TemplateError(f"CHANGELOG.md has no heading `## {version} - YYYY-MM-DD`; write it.")
    return f"{found[1]}T00:00:00+0000"


def _commit(root: Path, bundle: Path, work: Path, tag: str, date: str) -> tuple[str, str]:
    if bundle.is_file():
        _git("clone", "--quiet", str(bundle), ".", cwd=work, date=date)
        _git("rm", "-rq", "--ignore-unmatch", ".", cwd=work, date=date)
    else:
        _git("init", "--quiet", "--initial-branch=main", cwd=work, date=date)
    shutil.copy(root / "copier.yml", work)
    unwanted = shutil.ignore_patterns("__pycache__", ".ruff_cache", "*.pyc", ".DS_Store")
    shutil.copytree(root / "templates", work / "templates", ignore=unwanted, symlinks=True)
    _git("add", "--all", "--force", cwd=work, date=date)
    _git("commit", "--quiet", "--allow-empty", "--message", f"Templates {tag}", cwd=work, date=date)
    _git("tag", tag, cwd=work, date=date)
    made = work / "made.bundle"
    _git("bundle", "create", "--quiet", str(made), "HEAD", "main", "--tags", cwd=work, date=date)
    shutil.copy(made, bundle)
    commit = _git("rev-parse", "HEAD", cwd=work, date=date)
    return commit, _git("rev-parse", "HEAD^{tree}", cwd=work, date=date)


def _git(*words: str, cwd: Path, date: str) -> str:
    fixed = {
        f"GIT_{role}_{field}": value
        for role in ("AUTHOR", "COMMITTER")
        for field, value in (("NAME", _WHO), ("EMAIL", _MAIL), ("DATE", date))
    }
    plain = (
        "-c",
        "core.autocrlf=false",
        "-c",
        "commit.gpgSign=false",
        "-c",
        "core.hooksPath=/dev/null",
    )
    done = subprocess.run(
        ["git", *plain, *words], cwd=cwd, env=os.environ | fixed, capture_output=True, text=True
    )
    if done.returncode:
        raise TemplateError(f"git {words[0]} failed: {' '.join(done.stderr.split())}.")
    return done.stdout.strip()


def main() -> None:
    """`python -m scaffold.release X.Y.Z`."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m scaffold.release X.Y.Z")
    try:
        release(sys.argv[1], template_root())
    except ScaffoldError as error:
        sys.exit(str(error))
    print(f"Released v{sys.argv[1]}; {len(releases())} versions in the bundle.")


if __name__ == "__main__":
    main()
