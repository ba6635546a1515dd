"""What manifests say of single paths: which files are the team's own, and which have moved."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import StrictUndefined, TemplateError, UndefinedError, nodes
from jinja2.sandbox import SandboxedEnvironment

from scaffold.catalog.catalog import Catalogue
from scaffold.catalog.feature import Feature
from scaffold.errors import ManifestError, printable

Answers = Mapping[str, Any]
MOST_PATTERN = 1000
_PLAIN = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem,
    nodes.Const, nodes.For, nodes.If, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And,
    nodes.Or, nodes.Not, nodes.Filter,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Side:
    """One side of an update: a catalogue, the answers to it, and the folder they rendered."""

    catalogue: Catalogue
    answers: Answers
    folder: Path

    def features(self) -> list[Feature]:
        return self.catalogue.enabled(self.answers)


def team_owned(before: Side, after: Side) -> list[str]:
    """The team's own files and folders, under their names before and after, sorted."""
    features = [*before.features(), *after.features()]
    patterns = {pattern for feature in features for pattern in feature.team_owned}
    found = {
        path
        for pattern in patterns
        for side in (before, after)
        for path in filled(pattern, side.answers)
    }
    return sorted(found)


def renames(before: Side, after: Side) -> dict[str, str]:
    """Old → new path of what moved: declared in either catalogue, or with the package's name."""
    forward = [
        (old, new)
        for feature in after.features()
        for rename in feature.renames
        for old in filled(rename.old, before.answers)
        for new in filled(rename.new, after.answers)
    ]
    backward = [
        (old, new)
        for feature in before.features()
        for rename in feature.renames
        for old in filled(rename.new, before.answers)
        for new in filled(rename.old, after.answers)
    ]
    steps = dict([*backward, *forward])
    moved = {old: _last(steps, old) for old in steps}
    package = {f"src/{before.answers.get('package')}": f"src/{after.answers.get('package')}"}
    return {
        old: new
        for old, new in {**package, **moved}.items()
        if old != new and _moved(old, before, after) and _moved(new, after, before)
    }


def _moved(path: str, here: Side, there: Side) -> bool:
    return (here.folder / path).exists() and not (there.folder / path).exists()


def _last(steps: Mapping[str, str], path: str) -> str:
    seen = {path}
    while (after := steps.get(path)) is not None and after not in seen:
        seen.add(after)
        path = after
    return path


def filled(pattern: str, answers: Answers) -> Iterator[str]:
    """The paths a pattern stands for: one a line; none where it needs an answer there is not.

    Raises ManifestError. A template may be anybody's, so a pattern holds names, loops over answers
    and conditions only: nothing that could run for ever.
    """
    try:
        environment = _environment()
        _require_plain(environment.parse(pattern), pattern)
        text = environment.from_string(pattern).render(**answers)
    except UndefinedError:
        return
    except (TemplateError, TypeError, ValueError) as error:
        raise ManifestError(
            f"'{printable(pattern)}' is not a path in Jinja: {printable(str(error), 200)}; mend it in"
            " feature.yml."
        ) from None
    yield from _inside(line.strip() for line in text.splitlines())


def _require_plain(tree: nodes.Template, pattern: str) -> None:
    for node in (tree, *tree.find_all(nodes.Node)):
        if not isinstance(node, _PLAIN) or (
            isinstance(node, nodes.Filter) and node.name != "lower"
        ):
            raise ValueError(f"it may not use {type(node).__name__}")
    if len(pattern) > MOST_PATTERN or len(list(tree.find_all(nodes.For))) > 1:
        raise ValueError("it is long, or has two loops")


def _inside(paths: Iterable[str]) -> Iterator[str]:
    for path in paths:
        parts = path.split("/")
        if path and ".." not in parts and not path.startswith("/"):
            yield path


def _environment() -> SandboxedEnvironment:
    return SandboxedEnvironment(undefined=StrictUndefined)
