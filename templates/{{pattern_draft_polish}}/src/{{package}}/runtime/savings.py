"""How many drafts of a batch shipped as they were, and what that saved or cost."""

from collections.abc import Mapping, Sequence
from typing import Any

from .ledger.saving import Saving


def drafts_text(lines: Sequence[Mapping[str, Any]], saving: Saving | None) -> str:
    """Describe the lines of a results file, and the saving as `costs` computes it."""
    outputs = [line["output"] for line in lines]
    unpolished = sum(output["shipped"] == "draft" for output in outputs)
    report = [f"Shipped unpolished: {unpolished} of {len(lines)} ({unpolished / len(lines):.1%})."]
    if poor := sum(output["passed"] is False for output in outputs):
        report.append(f"Below the threshold even so: {poor}; passed is false.")
    return "\n".join([*report, *([str(saving)] if saving else [])])
