"""What is changed inside jinja2 while copier renders a template; undone afterwards.

Copier compiles the parts of every path anew, most of them dozens of times, and takes no environment
from outside. Compiling each text once halves a render of the default workspace (1.41 to 0.83 s of
processor time); without it `scaffold new` would take as long as `copier copy`, see
docs/decisions/0005. The filters that read this machine are taken away at the same place.
"""

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any
from weakref import WeakSet

from jinja2 import Environment

from scaffold.errors import TemplateError

_OUTWARD = ("expanduser", "expandvars", "fileglob", "realpath", "relpath")
"""Filters of copier's that read this machine: its files, its variables, where it is."""


@contextmanager
def patch_jinja() -> Generator[None]:
    """Let jinja2 compile each text once within the block, and take the outward filters away."""
    patched: Any = Environment
    compiled: dict[Any, Any] = {}
    disarmed: WeakSet[Environment] = WeakSet()
    original = patched.compile

    def compile_once(self: Environment, source: Any, *args: Any, **options: Any) -> Any:
        if self not in disarmed:
            # Copier makes its environments itself: this is the first moment that one is seen.
            untyped: Any = self
            untyped.filters.update(dict.fromkeys(_OUTWARD, _refuse))
            disarmed.add(self)
        key = (self, source, args, tuple(options.items()))
        if key not in compiled:
            compiled[key] = original(self, source, *args, **options)
        elif isinstance(source, str):
            # Copier's yield tag resets itself whenever a source passes through here.
            self.preprocess(source)
        return compiled[key]

    patched.compile = compile_once
    try:
        yield
    finally:
        patched.compile = original


def _refuse(*_: object, **__: object) -> str:
    filters = ", ".join(_OUTWARD)
    raise TemplateError(
        f"The template uses a filter that reads this machine ({filters}); take it out."
    )
