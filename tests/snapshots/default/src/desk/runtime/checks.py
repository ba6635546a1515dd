"""Tests of an answer that a stage names in fleet.toml: `checks = ["length:20-2000", "judge"]`.

A check takes a completion and the call it belongs to, and says why it is rejected, or None. What
follows the first `:` is its argument. A rejected answer is paid for and booked; the next model
is asked. For a check of your own, name in `wiring.CHECKS` a function that makes it.
"""

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from .errors import FleetError
from .run import AskedCall, Check, CheckResult, MakeCheck
from .subagent import SubAgent, text_of

if TYPE_CHECKING:
    from pydantic_ai.messages import ModelResponse


class Score(BaseModel):
    """A judge's verdict: how good an answer is, from 0 to 1, and its worst flaw."""

    score: float = Field(ge=0, le=1)
    reason: str = Field(max_length=500)


JUDGE = SubAgent("judge", Score)


def make_length_check(argument: str) -> Check:
    """Make `length:20-2000`, `length:20-`, `length:-2000`: how many characters an answer has."""
    found = re.fullmatch(r"(\d*)-(\d*)", argument)
    if not found or argument == "-":
        raise ValueError("length takes two numbers of characters, such as length:20-2000")
    least, most = int(found[1] or 0), int(found[2] or 10**9)
    if least > most:
        raise ValueError("no answer has that length: the smaller number comes first")

    def check(completion: "ModelResponse", _: AskedCall) -> str | None:
        size = len(text_of(completion).strip())
        return "too_short" if size < least else "too_long" if size > most else None

    return check


def make_pattern_check(argument: str) -> Check:
    """Make `pattern:^Dear `: a regular expression that has to be found in the answer."""
    try:
        wanted = re.compile(argument, re.MULTILINE)
    except re.error as error:
        raise ValueError(f"pattern takes a regular expression; {error}") from None
    return lambda completion, _: None if wanted.search(text_of(completion)) else "no_match"


def make_judge_check(argument: str) -> Check:
    """Make `judge:0.7`: a model scores the answer; `judge` alone takes `threshold` of `[quality]`.

    It asks the chain of `[stages.judge]`, else the one that answered. A judge that cannot be
    asked rejects nothing.
    """
    if not re.fullmatch(r"0|1|0?\.\d+|1\.0+|", argument):
        raise ValueError("judge takes a number from 0 to 1, such as judge:0.7")

    async def check(completion: "ModelResponse", call: AskedCall) -> CheckResult | None:
        run = call.stage.run
        chain = None if "judge" in run.fleet.stages else call.chain
        given = {"task": call.question, "source": call.stage.source, "answer": text_of(completion)}
        text = "\n\n".join(f"<{name}>\n{part}\n</{name}>" for name, part in given.items() if part)
        try:
            verdict = await run.ask(JUDGE, text, chain=chain, parent=call)
        except FleetError:
            return None
        low = verdict.score < float(argument or run.fleet.quality.threshold)
        return CheckResult("low_score" if low else None, verdict.score, "judge")

    return check


CHECKS: Mapping[str, MakeCheck] = {
    "length": make_length_check,
    "pattern": make_pattern_check,
    "judge": make_judge_check,
}
