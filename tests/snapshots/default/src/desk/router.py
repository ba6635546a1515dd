"""Chooses a route: the cheapest model reads the request, a few plain rules do the rest."""

from pydantic import Field

from .agents.classify import CLASSIFY, Verdict
from .runtime.errors import AnswerInvalid, ChainExhausted
from .runtime.fleet import Fleet, Settings
from .runtime.run import Route, Run


class RouterSettings(Settings):
    """The table `[router]` of fleet.toml."""

    expensive_from: int = Field(default=3, ge=1, le=5)
    long_from_chars: int = Field(default=600, ge=1)


class Router:
    """Low complexity takes the cheap chain, high the expensive one; a named intent goes there."""

    async def choose(self, run: Run) -> Route:
        """The route of a run's request; when the classifier fails, its length decides."""
        try:
            verdict = await run.ask(CLASSIFY, _question(run.fleet, run.request.text))
        except (ChainExhausted, AnswerInvalid) as error:
            return _by_length(run, error)
        return _by_verdict(run.fleet, verdict)


def _by_verdict(fleet: Fleet, verdict: Verdict) -> Route:
    agent = fleet.agents.get(verdict.intent)
    pipeline = verdict.intent if verdict.intent in fleet.pipelines else "answer"
    unsure = verdict.confidence < fleet.quality.threshold
    hard = verdict.complexity >= fleet.section("router", RouterSettings).expensive_from
    reason = f"complexity {verdict.complexity}, {verdict.reason}"
    if agent and not unsure:
        chain = agent.chain
    elif unsure:
        chain = "expensive"
        reason = f"only {verdict.confidence:.0%} sure: {reason}"
    else:
        chain = "expensive" if hard else "cheap"
    return Route(
        chain=chain,
        reason=reason,
        decided_by="classifier",
        pipeline="answer" if unsure or agent else pipeline,
        agent=verdict.intent if agent and not unsure else "answer",
        intent=verdict.intent,
        complexity=verdict.complexity,
    )


def _by_length(run: Run, error: Exception) -> Route:
    limit = run.fleet.section("router", RouterSettings).long_from_chars
    length = len(run.request.text)
    return Route(
        chain="expensive" if length >= limit else "cheap",
        reason=f"the classifier failed ({error}); {length} characters against {limit}",
        decided_by="rule",
    )


def _question(fleet: Fleet, text: str) -> str:
    named = {**fleet.pipelines, **fleet.agents}
    told = [f"- {name}: {one.description}" for name, one in named.items()] or ["(none)"]
    return "\n".join(["Sub-agents and pipelines:", *told, "", f"<request>\n{text}\n</request>"])
