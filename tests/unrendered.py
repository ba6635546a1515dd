"""Modules of a workspace's runtime as they lie in the templates, without a render."""

import importlib
import sys
from functools import cache
from types import ModuleType

from tests.conftest import ROOT

FEATURES = (
    "{{'.'}}",
    "{{extra_grounded}}",
    "{{extra_sources}}",
    "{{extra_agreement}}",
    "{{extra_quality_checks}}",
    "{{pattern_extractor_reasoner}}",
)


@cache
def module(name: str) -> ModuleType:
    """One module of the runtime."""
    package = ModuleType("unrendered")
    package.__path__ = [
        str(ROOT / "templates" / feature / "src" / "{{package}}" / "runtime")
        for feature in FEATURES
    ]
    sys.modules.setdefault(package.__name__, package)
    return importlib.import_module(f"{package.__name__}.{name}")
