"""The evaluation data, which lies beside the project and is not a part of it."""

from pathlib import Path

import pytest

from benchmarks import duplicate_pairs

DATA = duplicate_pairs.DATA.parent


def needs(path: Path) -> pytest.MarkDecorator:
    """Skip a test where this file or folder of the evaluation data is missing."""
    place = Path("shared", "data", *path.relative_to(DATA).parts)
    return pytest.mark.skipif(
        not path.exists(),
        reason=f"the evaluation data {place} is missing; it has to be beside the project's folder",
    )
