"""Read and write YAML: within limits, every key once, and written for people."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

import yaml

UNREADABLE = (yaml.YAMLError, ValueError, AttributeError, RecursionError)
"""What PyYAML raises for a text that is not YAML, or not a date, or nested without end."""

_LIBYAML: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times as fast as yaml.SafeLoader, where PyYAML has it (its wheels do).

Endless nesting would kill the process.
"""

MOST_BYTES = 1_000_000
"""The longest text that is read."""
DEEPEST = 100
MOST_NODES = 100_000
"""The most values a text may hold, with each alias counted as what it stands for."""
MOST_ANSWERS = 10_000
"""The same for a set of answers, each of which is checked against others."""
LONGEST_NUMBER = 1000
"""The most characters of a number: one in base 60 takes a time that grows with their square."""
_NOT_PLAIN = tuple(f"tag:yaml.org,2002:{name}" for name in ("binary", "omap", "pairs", "set"))
_NUMBERS = ("tag:yaml.org,2002:int", "tag:yaml.org,2002:float")


class TagError(yaml.YAMLError):
    """A tag stands for a type that no file of ours holds, or for another than its value's."""


class TooMuchError(yaml.YAMLError):
    """A text nests deeper, or holds more, than any file of ours."""


class KeyTwiceError(yaml.YAMLError):
    """A mapping has a key twice; `str` goes after the name of what holds it."""

    def __init__(self, key: str, line: int | None = None) -> None:
        again = f", again in line {line}" if line else ""
        super().__init__(f"has the key {key[:40]!r} twice{again}")


def read_text(path: Path) -> str:
    """Return the text of a file in UTF-8. Raises OSError, ValueError for any other file."""
    with path.open("rb") as file:
        data = file.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise ValueError("it is larger than 1 MB")
    return data.decode("utf-8-sig")


def load(text: str, loader: Any = yaml.SafeLoader, most: int = MOST_ANSWERS) -> Any:
    """Return what a text holds, of plain types only.

    Raises what UNREADABLE lists, or KeyTwiceError.
    """
    _require_modest(text, most)
    reader = loader(text)
    try:
        root = reader.get_single_node()
        _require_keys_once(root)
        return reader.construct_document(root) if root else None
    except (ArithmeticError, LookupError):
        # PyYAML lets these out for `!!bool x`, `!!int ""` and a number that no float can hold.
        raise TagError("a value is not what its tag or its form says") from None
    finally:
        reader.dispose()


def load_trusted(text: str) -> Any:
    """Return what a template's own file holds, read by libyaml."""
    return load(text, _LIBYAML, MOST_NODES)


def describe_place(error: Exception) -> str:
    """Return `:LINE` of what was wrong in a text, or "" where that is not known."""
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    return f":{mark.line + 1}" if mark else ""


def describe_problem(error: Exception) -> str:
    """Return what was wrong in a text, in one short line without its place."""
    problem = getattr(error, "problem", None) or str(error) or type(error).__name__
    return " ".join(str(problem).split())[:160]


def find_line(text: str, keys: Sequence[int | str]) -> int:
    """Return the line of the value under these keys, or of the nearest that is there."""
    library: Any = yaml  # the stub of `compose` is untyped
    node = library.compose(text, _LIBYAML)
    line = 1
    for key in keys:
        entries: list[tuple[object, Any]] = []
        if isinstance(node, yaml.MappingNode):
            entries = [(name.value, value) for name, value in node.value]
        elif isinstance(node, yaml.SequenceNode):
            values: list[Any] = node.value
            entries = list(enumerate(values))
        node = next((value for name, value in entries if name == key), None)
        if node is None:
            break
        line = node.start_mark.line + 1
    return line


def pairs_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """Build a JSON object, as `object_pairs_hook` of json.loads. Raises KeyTwiceError."""
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise KeyTwiceError(key)
        table[key] = value
    return table


def require_modest_value(value: object) -> None:
    """Apply the limits of YAML to what was read as JSON. Raises TooMuchError."""
    waiting: list[tuple[Any, int]] = [(value, 1)]
    count = 0
    while waiting:
        one, depth = waiting.pop()
        inner: list[Any] = []
        if isinstance(one, dict):
            inner = [*cast(dict[str, Any], one).values()]
        elif isinstance(one, list):
            inner = cast(list[Any], one)
        count += 1
        if depth > DEEPEST or count > MOST_ANSWERS:
            raise TooMuchError(
                f"deeper than {DEEPEST} levels, or more than {MOST_ANSWERS:,} values"
            )
        waiting += [(part, depth + 1) for part in inner]


def _events(text: str) -> Iterable[yaml.Event]:
    library: Any = yaml  # the stub of `parse` is untyped
    return library.parse(text, Loader=_LIBYAML)


def _require_modest(text: str, most: int) -> None:
    """Refuse deep nesting, and aliases that stand for more than fits, before anything is built."""
    sizes: dict[str, int] = {}
    holders: list[str | None] = [None]
    counts = [0]
    for event in _events(text):
        _require_plain(event)
        if isinstance(event, yaml.CollectionStartEvent):
            holders.append(event.anchor)
            counts.append(1)
            if len(holders) > DEEPEST:
                raise TooMuchError(f"nested deeper than {DEEPEST} levels")
            continue
        if isinstance(event, yaml.AliasEvent):
            name = str(event.anchor)
            if name in holders:
                raise TooMuchError(f"the alias {name[:40]} stands for what it is in")
            size, anchor = sizes.get(name, 1), None
        elif isinstance(event, yaml.CollectionEndEvent):
            size, anchor = counts.pop(), holders.pop()
        elif isinstance(event, yaml.ScalarEvent):
            size, anchor = 1, event.anchor
        else:
            continue
        if anchor:
            sizes[anchor] = size
        counts[-1] += size
        if counts[-1] > most:
            raise TooMuchError(f"more than {most:,} values")


def _require_plain(event: yaml.Event) -> None:
    """Refuse bytes, sets and lists of pairs, and numbers without end."""
    tag = str(getattr(event, "tag", None))
    if tag in _NOT_PLAIN:
        raise TagError(f"the tag !!{tag.rpartition(':')[2]} is not taken")
    if not isinstance(event, yaml.ScalarEvent) or len(event.value) <= LONGEST_NUMBER:
        return
    if tag in _NUMBERS or (event.implicit[0] and event.value[0] in "+-.0123456789"):
        raise TooMuchError(f"a number of more than {LONGEST_NUMBER:,} characters")


def _require_keys_once(root: yaml.Node | None) -> None:
    # Before `<<` is expanded, because overriding a merged key is legal.
    waiting, seen = [root], set[int]()
    while waiting:
        node = waiting.pop()
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting += node.value
        elif isinstance(node, yaml.MappingNode):
            waiting += [value for _, value in node.value]
            _require_once(key for key, _ in node.value if isinstance(key, yaml.ScalarNode))


def _require_once(keys: Iterable[yaml.ScalarNode]) -> None:
    names = set[str]()
    for key in keys:
        if key.value in names:
            raise KeyTwiceError(key.value, key.start_mark.line + 1)
        names.add(key.value)


def dump(table: object) -> str:
    """Return YAML for people: multi-line text as a literal block, no anchors, keys in their order."""
    return yaml.dump(table, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def _text(_dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return yaml.ScalarNode("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
