"""Do once what is the same each time while tests run."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any


class ParseOnce:
    """Stands in for copier's `load_template_config`: the same file has the same questions."""

    def __init__(self, load: Callable[..., Any]) -> None:
        self.load = load
        self.parsed: dict[bytes, Any] = {}

    def __call__(self, path: Path, *options: Any, **named: Any) -> Any:
        content = path.read_bytes() if path.is_file() else b"!include"
        if b"!include" in content:
            return self.load(path, *options, **named)
        if content not in self.parsed:
            self.parsed[content] = self.load(path, *options, **named)
        return copy.deepcopy(self.parsed[content])
