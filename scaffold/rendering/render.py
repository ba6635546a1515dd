"""The one place that calls copier: a template folder and answers become files."""

import re
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from scaffold.errors import ScaffoldError, TemplateError, is_system_error, printable
from scaffold.system.paths import ANSWERS_FILE, find_unfit

_RECORDED = re.compile(r"^(?:_commit|_src_path):.*\n(?:[ \t].*\n)*", re.MULTILINE)


def render(
    root: Path, target: Path, answers: Mapping[str, Any], *, source: str, commit: str | None
) -> None:
    """Render the template in `root` into `target`, a new or empty folder.

    Never runs a template's own code.

    Args:
        root: A folder with `copier.yml` and `templates/`.
        target: The folder to fill.
        answers: An answer for each question; the rest take their defaults.
        source: What to record as the template's address in the answers file.
        commit: What to record as its version.

    Raises:
        TemplateError: The template cannot be rendered, or renders a link or a device.
    """
    if error := _run_copier(root, target, answers):
        raise error
    _require_plain(target)
    _record(target / ANSWERS_FILE, source, commit)


def _run_copier(root: Path, target: Path, answers: Mapping[str, Any]) -> ScaffoldError | None:
    """Let copier render. Return what is wrong with the template, without copier's frames."""
    # Imported here: copier takes longer than everything else together.
    import copier
    from plumbum import local

    from scaffold.rendering.patches import patch_jinja

    # Without git copier takes the folder as it is, instead of its latest tag. What it leaves open
    # when it stops is closed with its frames.
    with warnings.catch_warnings(), local.env(PATH=""), patch_jinja():
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            copier.run_copy(
                str(root.resolve()),
                target.resolve(),
                data=dict(answers),
                settings=copier.Settings(),
                defaults=True,
                overwrite=True,
                quiet=True,
            )
        except ScaffoldError as error:
            return TemplateError(*error.pairs[0])
        except Exception as error:
            if is_system_error(error):
                raise
            # Most templates have no mistake.
            from scaffold.rendering.mistakes import explain

            return explain(error, root)
    return None


def list_files(folder: Path) -> list[str]:
    """Return the files of a folder, sorted, as relative POSIX paths."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if not p.is_dir())


def _require_plain(target: Path) -> None:
    """Refuse what git would take for its own, and links and devices: before any git runs there."""
    if found := find_unfit(target):
        path, what = found
        name = printable(str(path), 200)
        raise TemplateError(
            f"The template renders {name}, which {what}; take it out of the template."
        )


def _record(path: Path, source: str, commit: str | None) -> None:
    # Copier records no commit of a template that is not a git clone.
    if not path.is_file():
        return
    import yaml

    facts = {"_commit": commit, "_src_path": source} if commit else {"_src_path": source}
    lines = yaml.safe_dump(facts, allow_unicode=True, width=10_000)
    text, places = _RECORDED.subn("\0", path.read_text("utf-8"))
    if places:
        path.write_text(text.replace("\0", lines, 1).replace("\0", ""), "utf-8", newline="\n")
