"""YAML as it is read and written here: no key stands twice, and people read what is written."""

from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager
from typing import Any

import yaml

UNREADABLE = (yaml.YAMLError, ValueError, AttributeError, RecursionError)
"""What PyYAML raises for a text that is no YAML, or no date, or nested without end."""

_LIBYAML: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""Ten times as fast, where PyYAML has it (its wheels do); endless nesting kills the process."""


class KeyTwiceError(yaml.YAMLError):
    """A mapping has a key twice; `str` goes after the name of what holds it."""

    def __init__(self, key: str, line: int | None = None) -> None:
        again = f", again in line {line}" if line else ""
        super().__init__(f"has the key {key[:40]!r} twice{again}")


def load(text: str, loader: Any = yaml.SafeLoader) -> Any:
    """What a text holds, of plain types only. Raises what UNREADABLE lists, KeyTwiceError too."""
    reader = loader(text)
    try:
        root = reader.get_single_node()
        _require_keys_once(root)
        return reader.construct_document(root) if root else None
    finally:
        reader.dispose()


def load_trusted(text: str) -> Any:
    """The same by libyaml, for a template's own files."""
    return load(text, _LIBYAML)


def pairs_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object, as `object_pairs_hook` of json.loads. Raises KeyTwiceError."""
    table: dict[str, Any] = {}
    for key, value in pairs:
        if key in table:
            raise KeyTwiceError(key)
        table[key] = value
    return table


def _require_keys_once(root: yaml.Node | None) -> None:
    """Before `<<` merges anything: a key that stands there and here as well is no mistake."""
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


@contextmanager
def for_copier() -> Generator[None]:
    """Copier reads copier.yml with yaml.SafeLoader, which takes a third of a render."""
    patched: Any = yaml
    original = patched.SafeLoader
    patched.SafeLoader = _LIBYAML
    try:
        yield
    finally:
        patched.SafeLoader = original


def dumped(table: object) -> str:
    """For people: multi-line text as a literal block, no anchors, keys in their order."""
    return yaml.dump(table, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def _text(_dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return yaml.ScalarNode("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
