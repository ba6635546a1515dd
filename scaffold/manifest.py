"""The manifest of a feature folder: its feature.yml, read and held against the folder's name."""

import re
from pathlib import Path

import yaml
from pydantic import ValidationError

from scaffold import yaml_text
from scaffold.errors import ManifestError
from scaffold.feature import Feature

MANIFEST = "feature.yml"
CORE_FOLDER = "{{'.'}}"


def read(path: Path) -> Feature:
    """Read one feature.yml. Raises ManifestError that names the file, the field and the fix."""
    where = f"{path.parent.name}/{path.name}"
    try:
        table: object = yaml_text.load_trusted(path.read_text("utf-8"))
        feature = Feature.model_validate(table).model_copy(update={"folder": path.parent})
    except yaml_text.KeyTwiceError as error:
        raise ManifestError(f"{where} {error}; keep one of them.") from None
    except yaml.YAMLError as error:
        first = " ".join(str(error).split())
        raise ManifestError(
            f"{where} is not YAML: {first}; quote text that holds a colon."
        ) from None
    except ValidationError as error:
        told = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg']}" for one in error.errors()
        )
        raise ManifestError(f"{where}: {told}; see docs/adding-a-feature.md.") from None
    _check_folder(feature, where)
    return feature


def _check_folder(feature: Feature, where: str) -> None:
    expected = CORE_FOLDER if feature.kind == "core" else "{{" + feature.id + "}}"
    if re.sub(r"\s", "", feature.folder.name) != expected:
        raise ManifestError(
            f"{where}: kind and name ask for a folder called {expected}; rename it."
        )
