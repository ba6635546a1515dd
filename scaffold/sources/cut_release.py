"""Cut a release of the templates: `python -m scaffold.sources.cut_release X.Y.Z`, for maintainers.

Appends a commit and the tag vX.Y.Z to the bundle. Author and date are fixed (the date is the
CHANGELOG heading's), so that the same templates give the same commit everywhere.
"""

import re
import shutil
import sys
import tempfile
from pathlib import Path

from scaffold.catalog.catalog import load, template_root
from scaffold.catalog.copier_questions import is_current
from scaffold.errors import ScaffoldError, TemplateError
from scaffold.sources.releases import (
    BUNDLE,
    HASHES,
    ReleaseHashes,
    fingerprint,
    format_hashes,
    read_hashes,
)
from scaffold.sources.safety import require_safe_template
from scaffold.system.git import git
from scaffold.system.versions import is_newer

_WHO = "scaffold"
_MAIL = "scaffold@fleet-scaffold.invalid"
_PLAIN = ("core.autocrlf=false", "commit.gpgSign=false", "core.hooksPath=/dev/null")
_OPTIONS = [word for setting in _PLAIN for word in ("-c", setting)]


def release(version: str, root: Path, bundle: Path = BUNDLE, hashes: Path = HASHES) -> None:
    """Add one version: both files are replaced, or none. Raises TemplateError with advice."""
    date = _date_of(version, root / "CHANGELOG.md")
    tag = f"v{version}"
    known = read_hashes(hashes)
    _check(tag, root, known, bundle)
    with tempfile.TemporaryDirectory() as folder:
        new_bundle, released = _build_bundle(root, bundle, Path(folder), tag, date, known)
        text = format_hashes({**known, tag: released})
        _replace_both(bundle, new_bundle, hashes, text)


def _check(tag: str, root: Path, known: dict[str, ReleaseHashes], bundle: Path) -> None:
    if tag in known:
        raise TemplateError(f"{tag} is released already; choose the next version.")
    if newest := next(reversed(known), None):
        if not is_newer(tag, newest):
            raise TemplateError(f"{tag} is older than {newest}; choose the next version.")
        if not bundle.is_file():
            raise TemplateError(f"{bundle.name} is missing; restore it, or {newest} is lost.")
    if not is_current((root / "copier.yml").read_text("utf-8"), load(root)):
        raise TemplateError(
            "copier.yml is stale; run `python -m scaffold.catalog.copier_questions`."
        )
    require_safe_template(root, "This template")


def _date_of(version: str, changelog: Path) -> str:
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise TemplateError(f"'{version}' is not a version; write X.Y.Z.")
    heading = rf"^## \[?{re.escape(version)}\]? - (\d{{4}}-\d\d-\d\d)$"
    found = re.search(heading, changelog.read_text("utf-8"), re.MULTILINE)
    if not found:
        raise TemplateError(f"CHANGELOG.md has no heading `## {version} - YYYY-MM-DD`; write it.")
    return f"{found[1]}T00:00:00+0000"


def _build_bundle(
    root: Path, bundle: Path, work: Path, tag: str, date: str, known: dict[str, ReleaseHashes]
) -> tuple[Path, ReleaseHashes]:
    """Build a bundle in `work` with every known version and the new one. Return its hashes, too."""

    def run(*words: str) -> str:
        return git(*_OPTIONS, *words, cwd=work, env=_author_and_date(date))

    if newest := next(reversed(known), None):
        run("clone", "--quiet", str(bundle), ".")
        # A release that was interrupted may have left a version that is not listed.
        for unlisted in set(run("tag").split()) - set(known):
            run("tag", "--delete", unlisted)
        run("reset", "--quiet", "--hard", newest)
        run("rm", "-rq", "--ignore-unmatch", ".")
    else:
        run("init", "--quiet", "--initial-branch=main")
    shutil.copy(root / "copier.yml", work)
    unwanted = shutil.ignore_patterns("__pycache__", ".ruff_cache", "*.pyc", ".DS_Store")
    shutil.copytree(root / "templates", work / "templates", ignore=unwanted, symlinks=True)
    run("add", "--all", "--force")
    run("commit", "--quiet", "--allow-empty", "--message", f"Templates {tag}")
    run("tag", tag)
    new_bundle = work / "new.bundle"
    run("bundle", "create", "--quiet", str(new_bundle), "HEAD", "main", "--tags")
    commit, tree = run("rev-parse", "HEAD"), run("rev-parse", "HEAD^{tree}")
    return new_bundle, ReleaseHashes(commit=commit, tree=tree, fingerprint=fingerprint(root))


def _replace_both(bundle: Path, new_bundle: Path, hashes: Path, text: str) -> None:
    # A bundle may have a version that is not listed, so it is replaced first.
    beside = bundle.with_name(f".{bundle.name}.new")
    shutil.copy(new_bundle, beside)
    listed = hashes.with_name(f".{hashes.name}.new")
    listed.write_text(text, encoding="utf-8")
    beside.replace(bundle)
    listed.replace(hashes)


def _author_and_date(date: str) -> dict[str, str]:
    return {
        f"GIT_{role}_{field}": value
        for role in ("AUTHOR", "COMMITTER")
        for field, value in (("NAME", _WHO), ("EMAIL", _MAIL), ("DATE", date))
    }


def main() -> None:
    """Cut the release that the command line names."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m scaffold.sources.cut_release X.Y.Z")
    try:
        release(sys.argv[1], template_root())
    except ScaffoldError as error:
        sys.exit(str(error))
    print(f"Released v{sys.argv[1]}; {len(read_hashes(HASHES))} versions in the bundle.")


if __name__ == "__main__":
    main()
