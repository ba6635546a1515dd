"""Hold what a check says of a completion."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CheckResult:
    """Why a completion is rejected, if it is, and how good it is."""

    reason: str | None = None
    """Short snake case: the ledger's `error_type`."""
    quality: float | None = None
    """From 0 to 1."""
    source: str | None = None
    """The ledger's `quality_source`: "check", "agreement", "judge" or "human"."""


PASSED = CheckResult()
ALWAYS = ("not_empty", "not_truncated", "not_refusal", "schema")
"""Checks that every completion gets, whether its stage names them or not."""
