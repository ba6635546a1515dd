"""What manifests say of single paths: which files are the team's own, and which have moved."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from jinja2 import StrictUndefined, TemplateError, UndefinedError, nodes
from jinja2.sandbox import SandboxedEnvironment

from scaffold.catalog.catalog import Catalog
from scaffold.catalog.feature import Feature
from scaffold.catalog.kinds import Selection
from scaffold.errors import ManifestError, printable

MOST_PATTERN = 1000
"""The longest path that a manifest may hold, in characters."""

Values = Mapping[str, object]
"""What templates are rendered with, by answer key."""

_PLAIN = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.Name, nodes.Getattr, nodes.Getitem,
    nodes.Const, nodes.For, nodes.If, nodes.CondExpr, nodes.Compare, nodes.Operand, nodes.And,
    nodes.Or, nodes.Not, nodes.Filter,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side of an update: a catalog, what is chosen of it, and the folder it rendered."""

    catalog: Catalog
    selection: Selection
    values: Values
    folder: Path

    def features(self) -> list[Feature]:
        """Return the features that are rendered on this side."""
        return self.catalog.list_enabled(self.selection)


def list_team_owned(before: Side, after: Side) -> list[str]:
    """Return the team's own files and folders, under their names before and after, sorted."""
    features = [*before.features(), *after.features()]
    patterns = {pattern for feature in features for pattern in feature.team_owned}
    paths = {
        path
        for pattern in patterns
        for side in (before, after)
        for path in fill_pattern(pattern, side.values)
    }
    return sorted(paths)


def find_renames(before: Side, after: Side) -> dict[str, str]:
    """Return old → new path of what moved: declared in either catalog, or with the package."""
    forward = [
        (old, new)
        for feature in after.features()
        for rename in feature.renames
        for old in fill_pattern(rename.old, before.values)
        for new in fill_pattern(rename.new, after.values)
    ]
    # An update to an earlier version goes the way back that the later version declares.
    backward = [
        (old, new)
        for feature in before.features()
        for rename in feature.renames
        for old in fill_pattern(rename.new, before.values)
        for new in fill_pattern(rename.old, after.values)
    ]
    steps = dict([*backward, *forward])
    renames = {old: _follow(steps, old) for old in steps}
    # A renamed package takes along the team's own files in it, which no manifest names.
    package = {f"src/{before.values.get('package')}": f"src/{after.values.get('package')}"}
    return {
        old: new
        for old, new in {**package, **renames}.items()
        if old != new and _only_in(old, before, after) and _only_in(new, after, before)
    }


def _only_in(path: str, here: Side, elsewhere: Side) -> bool:
    return (here.folder / path).exists() and not (elsewhere.folder / path).exists()


def _follow(steps: Mapping[str, str], path: str) -> str:
    """Return where a path ends up after several renames, which may go in a circle."""
    seen = {path}
    while (after := steps.get(path)) is not None and after not in seen:
        seen.add(after)
        path = after
    return path


def fill_pattern(pattern: str, values: Values) -> Iterator[str]:
    """Yield the paths of a pattern, one a line; none where it needs a value that is missing.

    A template may come from anybody, so a pattern holds names, loops over answers and conditions
    only: nothing that could run for ever.

    Raises:
        ManifestError: The pattern holds more than that, or is not Jinja.
    """
    try:
        environment = SandboxedEnvironment(undefined=StrictUndefined)
        _require_plain(environment.parse(pattern), pattern)
        text = environment.from_string(pattern).render(**values)
    except UndefinedError:
        return
    except (TemplateError, TypeError, ValueError) as error:
        raise ManifestError(
            f"'{printable(pattern)}' is not a path in Jinja: {printable(str(error), 200)}; mend it in"
            " feature.yml."
        ) from None
    yield from _keep_inside(line.strip() for line in text.splitlines())


def _require_plain(tree: nodes.Template, pattern: str) -> None:
    for node in (tree, *tree.find_all(nodes.Node)):
        if not isinstance(node, _PLAIN) or (
            isinstance(node, nodes.Filter) and node.name != "lower"
        ):
            raise ValueError(f"it may not use {type(node).__name__}")
    if len(pattern) > MOST_PATTERN or len(list(tree.find_all(nodes.For))) > 1:
        raise ValueError("it is long, or has two loops")


def _keep_inside(paths: Iterable[str]) -> Iterator[str]:
    """Yield the paths that stay in the workspace's folder."""
    for path in paths:
        parts = path.split("/")
        if path and ".." not in parts and not path.startswith("/"):
            yield path
