"""Chooses a route: the cheapest model reads the request, a few plain rules do the rest."""

from pydantic import Field

from .agents.classify import CLASSIFY, Verdict
from .runtime.errors import AnswerInvalid, BudgetReached, ChainExhausted, MissingKey
from .runtime.fleet import Fleet
from .runtime.request import Route
from .runtime.run import Run
from .runtime.settings import Settings


class RouterSettings(Settings):
    """The table `[router]` of fleet.toml."""

    expensive_from: int = Field(default=3, ge=1, le=5)


class Router:
    """Low complexity takes the cheap chain, high the expensive one; a named intent goes there."""

    CHAINS = ("cheap", "expensive")

    async def choose(self, run: Run) -> Route:
        """Return the route of a request; the expensive chain's where the classifier fails.

        At 600 characters, the length of a request says no more than chance about how hard it is.
        """
        settings = run.fleet.section("router", RouterSettings)
        try:
            verdict = await run.ask(CLASSIFY, _question(run.fleet, run.request.text))
        except (ChainExhausted, AnswerInvalid, MissingKey, BudgetReached) as error:
            return Route("expensive", f"the classifier failed ({error})", "rule")
        return _by_verdict(run.fleet, verdict, settings.expensive_from)


def _by_verdict(fleet: Fleet, verdict: Verdict, expensive_from: int) -> Route:
    """Return where a verdict leads; an unsure one to the expensive chain's plain answer."""
    reason = f"complexity {verdict.complexity}, {verdict.reason}"
    chain = "expensive" if verdict.complexity >= expensive_from else "cheap"
    pipeline = agent = "answer"
    if verdict.confidence < fleet.quality.threshold:
        reason = f"only {verdict.confidence:.0%} sure: {reason}"
        chain = "expensive"
    elif named := fleet.agents.get(verdict.intent):
        chain, agent = named.chain, verdict.intent
    elif verdict.intent in fleet.pipelines:
        pipeline = verdict.intent
    return Route(chain, reason, "classifier", pipeline, agent, verdict.intent, verdict.complexity)


def _question(fleet: Fleet, text: str) -> str:
    named = {**fleet.pipelines, **fleet.agents}
    listed = [f"- {name}: {one.description}" for name, one in named.items()] or ["(none)"]
    return "\n".join(["Sub-agents and pipelines:", *listed, "", f"<request>\n{text}\n</request>"])
