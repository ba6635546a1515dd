"""A feature as its manifest describes it: everything the rest of the program knows about it."""

import re
from pathlib import Path
from typing import Any, Self, cast

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from scaffold.catalog.kinds import KINDS
from scaffold.catalog.manifest import (
    Baseline,
    Claim,
    EnvVar,
    Estimate,
    Models,
    ProposedAgent,
    Question,
    Rename,
    Stage,
    Tier,
    Wires,
)
from scaffold.errors import ManifestError
from scaffold.system import yaml

MANIFEST = "feature.yml"
RENAMES = "_parts/renames.yml"
"""More `renames` of a feature: a list that grows with every release would bury its manifest."""
CORE = "core"
CORE_FOLDER = "{{'.'}}"
_HINT_UNREADABLE = "make it a file that you may read"
_HINT_FIELDS = "see docs/adding-a-feature.md for the fields and their types"

# Only an update reads these, and they hold Jinja that needs all answers.
_UPDATE_FIELDS = {"team_owned", "renames", "split_from"}


class Feature(BaseModel):
    """One folder under templates/: a pattern, a provider, an extra, or the core.

    Attributes:
        requires: `kind:name` of features that are on with this one, or a kind of which one has to
            be chosen.
        hidden: Whether it is never asked for.
        proposes: What another kind's question takes by default while this feature is chosen.
        offline: Whether it works without a network.
        split_from: `core` or `kind:name`: the feature that did its work in earlier versions.
        weight: How many requests of a mix take this pattern, against those of the others.
        judged_by: The chain whose price decides from which length of answer on the pattern pays.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    summary: str
    flow: str = ""
    order: int = 50
    stages: list[Stage] = []
    chains: dict[str, Tier] = {}
    estimate: list[Estimate] = []
    baseline: Baseline | None = None
    weight: int = Field(default=30, gt=0)
    judged_by: str | None = None
    claim: Claim | None = None
    wires: Wires = Wires()
    default_agents: list[ProposedAgent] = []
    questions: dict[str, Question] = {}
    pydantic_ai_extras: list[str] = []
    dependencies: list[str] = []
    dev_dependencies: list[str] = []
    env: list[EnvVar] = []
    team_owned: list[str] = []
    requires: list[str] = []
    proposes: dict[str, list[str]] = {}
    hidden: bool = False
    offline: bool = False
    conflicts: list[str] = []
    renames: list[Rename] = []
    split_from: str | None = Field(default=None, pattern=r"^(core|[a-z]+:[a-z][a-z0-9_]*)$")
    default: bool = False
    when_not: str = ""
    prices: str | None = None
    common: bool = False
    models: Models | None = None
    also: list[str] = []
    context_windows: dict[str, int] = {}
    folder: Path = Field(default=Path(), exclude=True)

    @field_validator("kind")
    @classmethod
    def _check_kind(cls, kind: str) -> str:
        if kind not in (known := (CORE, *KINDS)):
            raise ValueError(f"'{kind}' is not one of {', '.join(known)}")
        return kind

    @model_validator(mode="after")
    def _check_models(self) -> Self:
        if self.kind == "provider" and self.models is None:
            raise ValueError("a provider needs `models` with cheap, balanced and expensive")
        return self

    @property
    def id(self) -> str:
        """`KIND_NAME`, the folder's own name without its braces; `core` for the core."""
        return CORE if self.kind == CORE else f"{self.kind}_{self.name}"

    @property
    def ref(self) -> str:
        """`KIND:NAME`, as `requires` and `conflicts` write it; `core` for the core."""
        return CORE if self.kind == CORE else f"{self.kind}:{self.name}"

    def to_facts(self) -> dict[str, object]:
        """Return what templates may loop over; `folder` is the path under the template's root."""
        fields = self.model_dump(mode="json", exclude=_UPDATE_FIELDS)
        return {**fields, "folder": f"templates/{self.folder.name}"}


def read(path: Path) -> Feature:
    """Read one feature.yml, and the renames that its folder lists in a file of their own.

    Raises:
        ManifestError: It cannot be used; the message names the file, the line and the fix.
    """
    folder = path.parent
    where = f"{folder.parent.name}/{folder.name}"
    text, table = _load(path, f"{where}/{MANIFEST}")
    if isinstance(table, dict) and (folder / RENAMES).is_file():
        manifest = cast(dict[str, Any], table)
        _, listed = _load(folder / RENAMES, f"{where}/{RENAMES}")
        if not isinstance(listed, list):
            raise ManifestError(
                f"{where}/{RENAMES} is not a list", "write - {old: PATH, new: PATH}"
            )
        own: list[Any] = manifest.get("renames") or []
        table = {**manifest, "renames": [*own, *cast(list[Any], listed)]}
    try:
        feature = Feature.model_validate(table).model_copy(update={"folder": folder})
    except ValidationError as error:
        raise ManifestError(f"{where}/{MANIFEST}:{_describe(text, error)}", _HINT_FIELDS) from None
    _check_folder(feature, f"{where}/{MANIFEST}")
    return feature


def _load(path: Path, where: str) -> tuple[str, object]:
    """Return the text of a YAML file of a feature, and what it holds."""
    try:
        text = yaml.read_text(path)
        # The C loader: a template has dozens of manifests, and every command reads all of them.
        return text, yaml.load_trusted(text)
    except yaml.KeyTwiceError as error:
        raise ManifestError(f"{where} {error}; keep one of them.") from None
    except OSError as error:
        raise ManifestError(
            f"{where} cannot be read ({error.strerror})", _HINT_UNREADABLE
        ) from None
    except UnicodeDecodeError:
        raise ManifestError(f"{where} is not UTF-8 text", "save it as UTF-8") from None
    except yaml.UNREADABLE as error:
        raise ManifestError(
            f"{where}{yaml.describe_place(error)} is not YAML: {yaml.describe_problem(error)}",
            "quote text that holds a colon or a brace",
        ) from None


def _describe(text: str, error: ValidationError) -> str:
    """Return the line of the first mistake, and up to five mistakes."""
    mistakes = error.errors()
    line = yaml.find_line(text, mistakes[0]["loc"])
    listed = [f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg']}" for one in mistakes[:5]]
    return f"{line}: {', '.join(listed)}"


def _check_folder(feature: Feature, where: str) -> None:
    expected = CORE_FOLDER if feature.kind == CORE else "{{" + feature.id + "}}"
    # Jinja allows `{{ pattern_router }}` as well.
    if re.sub(r"\s", "", feature.folder.name) != expected:
        raise ManifestError(
            f"{where}: kind and name ask for a folder called {expected}; rename it."
        )
