"""A feature as its manifest tells it: everything the rest of the program knows about it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from scaffold.catalog.manifest import (
    AgentFact,
    Baseline,
    Claim,
    EnvVar,
    Estimate,
    Models,
    Question,
    Rename,
    StageFact,
    Tier,
    Wires,
)
from scaffold.errors import ManifestError
from scaffold.system import yaml as yaml_text


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of feature: the answer key that chooses among it, and what is always there."""

    name: str
    answer_key: str
    many: bool = True
    builtin: str | None = None


KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind("pattern", "patterns"),
        Kind("provider", "providers"),
        Kind("search", "search"),
        Kind("engine", "engine", many=False, builtin="in_process"),
        Kind("framework", "framework", many=False, builtin="plain"),
        Kind("surface", "surfaces", builtin="cli"),
        Kind("extra", "extras"),
    )
}


_OF_UPDATES = {"team_owned", "renames", "split_from"}
"""What only an update reads: these hold Jinja that needs all answers."""


class Feature(BaseModel):
    """One folder under templates/: a pattern, a provider, an extra, or the core.

    `requires` names `kind:name`, which is on then, or a kind of which one has to be chosen. A
    `hidden` feature is never asked for. `proposes` is what another kind's question takes by
    default while this one is chosen. `offline`: it works without a network.
    `split_from`, `core` or `kind:name`: the feature that did its work in earlier versions.
    `weight`: how many of a mix's requests take this pattern, against those of the others.
    `judged_by`: the chain whose price decides from which length of answer on the pattern pays.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal[
        "core", "pattern", "provider", "search", "engine", "framework", "surface", "extra"
    ]
    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    title: str
    summary: str
    flow: str = ""
    order: int = 50
    stages: list[StageFact] = []
    chains: dict[str, Tier] = {}
    estimate: list[Estimate] = []
    baseline: Baseline | None = None
    weight: int = Field(default=30, gt=0)
    judged_by: str | None = None
    claim: Claim | None = None
    wires: Wires = Wires()
    default_agents: list[AgentFact] = []
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

    @model_validator(mode="after")
    def _complete(self) -> Self:
        if self.kind == "provider" and self.models is None:
            raise ValueError("a provider needs `models` with cheap, balanced and expensive")
        return self

    @property
    def id(self) -> str:
        """`KIND_NAME`, the folder's own name without its braces; `core` for the core."""
        return "core" if self.kind == "core" else f"{self.kind}_{self.name}"

    @property
    def ref(self) -> str:
        """`KIND:NAME`, as `requires` and `conflicts` write it; `core` for the core."""
        return "core" if self.kind == "core" else f"{self.kind}:{self.name}"

    def facts(self) -> dict[str, object]:
        """What templates may loop over; `folder` is the path under the template's root."""
        told = self.model_dump(mode="json", exclude=_OF_UPDATES)
        return {**told, "folder": f"templates/{self.folder.name}"}


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
            f"{where}{yaml_text.describe_place(error)} is not YAML: {yaml_text.describe_problem(error)}",
            "quote text that holds a colon or a brace",
        ) from None
    _check_folder(feature, where)
    return feature


def _told(text: str, error: ValidationError) -> str:
    """The line of the first mistake, and all of them."""
    found = error.errors()
    line = yaml_text.find_line(text, found[0]["loc"])
    listed = [f"{'.'.join(map(str, one['loc'])) or 'it'}: {one['msg']}" for one in found[:5]]
    return f"{line}: {', '.join(listed)}"


def _check_folder(feature: Feature, where: str) -> None:
    expected = CORE_FOLDER if feature.kind == "core" else "{{" + feature.id + "}}"
    if re.sub(r"\s", "", feature.folder.name) != expected:
        raise ManifestError(
            f"{where}: kind and name ask for a folder called {expected}; rename it."
        )
