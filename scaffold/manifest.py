"""The manifest of a feature folder: its feature.yml, read and held against the folder's name."""

import re
from pathlib import Path

from pydantic import ValidationError

from scaffold import yaml_text
from scaffold.errors import ManifestError
from scaffold.feature import Feature

MANIFEST = "feature.yml"
_A_FILE = "make it a file that you may read"
_SEE = "see docs/adding-a-feature.md for the fields and their types"
CORE_FOLDER = "{{'.'}}"


def read(path: Path) -> Feature:
    """Read one feature.yml. Raises ManifestError that names the file, the line and the fix."""
    where = f"{path.parent.parent.name}/{path.parent.name}/{path.name}"
    text = ""
    try:
        text = yaml_text.read_text(path)
        table: object = yaml_text.load_trusted(text)
        feature = Feature.model_validate(table).model_copy(update={"folder": path.parent})
    except yaml_text.KeyTwiceError as error:
        raise ManifestError(f"{where} {error}; keep one of them.") from None
    except ValidationError as error:
        raise ManifestError(f"{where}:{_told(text, error)}", _SEE) from None
    except OSError as error:
        raise ManifestError(f"{where} cannot be read ({error.strerror})", _A_FILE) from None
    except UnicodeDecodeError:
        raise ManifestError(f"{where} is not UTF-8 text", "save it as UTF-8") from None
    except yaml_text.UNREADABLE as error:
        raise ManifestError(
            f"{where}{yaml_text.place(error)} is not YAML: {yaml_text.problem(error)}",
            "quote text that holds a colon or a brace",
        ) from None
    _check_folder(feature, where)
    return feature


def _told(text: str, error: ValidationError) -> str:
    """The line of the first mistake, and all of them."""
    found = error.errors()
    line = yaml_text.line_of(text, found[0]["loc"])
    listed = [f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg']}" for one in found[:5]]
    return f"{line}: {', '.join(listed)}"


def _check_folder(feature: Feature, where: str) -> None:
    expected = CORE_FOLDER if feature.kind == "core" else "{{" + feature.id + "}}"
    if re.sub(r"\s", "", feature.folder.name) != expected:
        raise ManifestError(
            f"{where}: kind and name ask for a folder called {expected}; rename it."
        )
