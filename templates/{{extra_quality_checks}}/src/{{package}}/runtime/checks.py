"""Tests of an answer that a stage names in fleet.toml: `checks = ["length:20-2000", "grounded"]`.

A check takes a completion and the call it belongs to, and says why it is rejected, or None. What
follows the first `:` is its argument. A rejected answer is paid for and booked; the next model
is asked. A check of your own is a function of the same form: name it in `wiring.CHECKS`.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

from pydantic import BaseModel, Field
from pydantic_ai.direct import model_request
from pydantic_ai.messages import ModelResponse

from .attempt import Call, Check, Finding, MakeCheck
from .errors import FleetError, SettingsError
from .matching import missing, same
from .run import OUTPUT_TOOL, SubAgent, current


class Score(BaseModel):
    """A judge's verdict: how good an answer is, from 0 to 1, and its worst flaw."""

    score: float = Field(ge=0, le=1)
    reason: str = Field(max_length=500)


JUDGE = SubAgent("judge", Score)


def text_of(completion: ModelResponse) -> str:
    """The answer as text; a typed one as its JSON."""
    for call in completion.tool_calls:
        if call.tool_name == OUTPUT_TOOL:
            return call.args_as_json_str()
    return completion.text or ""


def length(argument: str) -> Check:
    """`length:20-2000`, `length:20-`, `length:-2000`: how many characters an answer has."""
    found = re.fullmatch(r"(\d*)-(\d*)", argument)
    if not found or argument == "-":
        raise ValueError("length takes two numbers of characters, such as length:20-2000")
    least, most = int(found[1] or 0), int(found[2] or 10**9)

    def check(completion: ModelResponse, _: Call) -> str | None:
        size = len(text_of(completion).strip())
        return "too_short" if size < least else "too_long" if size > most else None

    return check


def pattern(argument: str) -> Check:
    """`pattern:^Dear `: a regular expression that has to be found in the answer."""
    try:
        wanted = re.compile(argument, re.MULTILINE)
    except re.error as error:
        raise ValueError(f"pattern takes a regular expression; {error}") from None
    return lambda completion, _: None if wanted.search(text_of(completion)) else "no_match"


def grounded(argument: str) -> Check:
    """`grounded` or `grounded:0.9`: the share of quotes and numbers that the source has."""
    least = _share(argument, "grounded", default=1.0)

    def check(completion: ModelResponse, call: Call) -> Finding:
        source = call.stage.source or _prompt(call)
        absent, of = missing(text_of(completion), source)
        quality = 1 - len(absent) / of if of else 1.0
        return Finding("ungrounded" if quality < least else None, quality, "check")

    return check


def agreement(argument: str) -> Check:
    """`agreement:other` or `agreement:other,intent`: a model of another chain says the same.

    It gets the same request. Compared are the final answers (a number, a choice, a short text),
    or one field of typed ones. No opinion, or one of the same model, rejects nothing.
    """
    chain, _, field = argument.partition(",")
    if not chain:
        raise ValueError("agreement takes a chain, such as agreement:cheap")

    async def check(completion: ModelResponse, call: Call) -> Finding | None:
        if call.stage.run is None:
            return None
        if chain not in call.stage.run.chains:
            raise SettingsError(f"fleet.toml: checks: there is no [chains.{chain}] to agree with.")
        # The same question word for word, billed to the same task, and not checked itself.
        stage = replace(
            call.stage, name="second_opinion", parent=call, parse=None, checks=(), human=False
        )
        token = current.set(stage)
        try:
            other = await model_request(
                call.stage.run.chains[chain],
                call.messages,
                model_request_parameters=call.parameters,
            )
        except FleetError:
            return None
        finally:
            current.reset(token)
        if other.model_name == completion.model_name:
            return None
        agrees = same(text_of(completion), text_of(other), field)
        return Finding(None if agrees else "disagrees", float(agrees), "agreement")

    return check


def judge(argument: str) -> Check:
    """`judge:0.7`: a model scores the answer; alone, `judge` takes the threshold of `[quality]`.

    It asks the chain of `[stages.judge]`, else the one that answered. A judge that cannot be
    asked rejects nothing.
    """
    least = _share(argument, "judge", default=-1.0)

    async def check(completion: ModelResponse, call: Call) -> Finding | None:
        run = call.stage.run
        if run is None:
            return None
        chain = None if "judge" in run.fleet.stages else call.chain
        text = _case(_prompt(call), call.stage.source, text_of(completion))
        try:
            verdict = await run.ask(JUDGE, text, chain=chain, parent=call)
        except FleetError:
            return None
        threshold = run.fleet.quality.threshold if least < 0 else least
        low = verdict.score < threshold
        return Finding("low_score" if low else None, verdict.score, "judge")

    return check


CHECKS: Mapping[str, MakeCheck] = {
    "length": length,
    "pattern": pattern,
    "grounded": grounded,
    "agreement": agreement,
    "judge": judge,
}


def _share(argument: str, name: str, default: float) -> float:
    try:
        share = float(argument) if argument else default
    except ValueError:
        share = 2.0
    if share > 1 or (argument and share < 0):
        raise ValueError(f"{name} takes a number from 0 to 1, such as {name}:0.7")
    return share


def _prompt(call: Call) -> str:
    asked = [p.content for m in call.messages for p in m.parts if p.part_kind == "user-prompt"]
    last = asked[-1] if asked else ""
    return last if isinstance(last, str) else "\n".join(t for t in last if isinstance(t, str))


def _case(task: str, source: str | None, answer: str) -> str:
    given = f"<source>\n{source}\n</source>\n\n" if source else ""
    return f"<task>\n{task}\n</task>\n\n{given}<answer>\n{answer}\n</answer>"
