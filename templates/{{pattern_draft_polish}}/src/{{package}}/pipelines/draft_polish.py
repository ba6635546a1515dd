"""A cheap draft, marked by the scorer chain and rewritten only when it is not good enough.

draft → score → ship | polish (→ score) → ship
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, StringConstraints, model_validator

from ..agents.draft import DRAFT
from ..agents.polish import POLISH
from ..agents.score import Mark, make_scorer, read_marks
from ..runtime.ledger.attempt import NOT_DELIVERED, Attempt
from ..runtime.request import Route
from ..runtime.run import Run
from ..runtime.settings import Settings

Criterion = Annotated[str, StringConstraints(pattern="^[a-z][a-z0-9_]*$")]
CRITERIA = {
    "correct": "Every statement is true or follows from the task; nothing is made up",
    "complete": "Everything the task asks for is there",
    "clear": "Readers it is meant for understand it at once; tone and length fit",
}
POOR = "It is below the threshold: read it before you send it."


class DraftPolishSettings(Settings):
    """The table `[draft_polish]` of fleet.toml."""

    threshold: float = Field(default=0.7, ge=0, le=1)
    max_rounds: int = Field(default=1, ge=0)
    score_rewrites: bool = False
    criteria: dict[Criterion, str] = Field(default=CRITERIA, min_length=1)

    @model_validator(mode="after")
    def _rounds_need_scores(self) -> Self:
        if self.max_rounds > 1 and not self.score_rewrites:
            raise ValueError("max_rounds above 1 needs score_rewrites = true")
        return self


class Polished(BaseModel):
    """What ships. `score` is that of `text`, None where a rewrite was not scored.

    A score is the lowest mark of all criteria. `marks` are those of `text`, or of the draft where
    a rewrite was not scored. The draft's tokens are as its provider reported them.
    """

    text: str
    shipped: Literal["draft", "rewrite"]
    score: float | None
    draft_score: float
    passed: bool | None
    rounds: int
    marks: dict[str, Mark]
    draft_input_tokens: int | None
    draft_output_tokens: int | None

    def __str__(self) -> str:
        score = "not scored" if self.score is None else f"score {self.score:g}"
        verdict = f"The {self.shipped} ships ({score}; the draft had {self.draft_score:g})."
        return "\n".join([self.text, "", verdict, *([POOR] if self.passed is False else [])])


@dataclass(frozen=True, slots=True)
class _Version:
    text: str
    marks: dict[str, Mark]
    row: Attempt | None = None

    @property
    def score(self) -> float:
        return min(mark.score for mark in self.marks.values())


async def run(run: Run, route: Route) -> Polished:
    """Write what the request asks for.

    Raises:
        ChainExhausted: No model of a stage answered.
    """
    del route  # each stage has a chain of its own
    settings = run.settings("draft_polish", DraftPolishSettings)
    text = await run.ask(DRAFT, run.request.text)
    draft = best = await _score(run, text, settings, _find_answer(run, DRAFT.name))
    versions, rounds = [draft], 0
    while best.score < settings.threshold and rounds < settings.max_rounds:
        rounds += 1
        rewrite = await run.ask(POLISH, _write_request(run, best.text, best.marks))
        if not settings.score_rewrites:
            return _report(run, _Version(rewrite, draft.marks), draft, rounds, None)
        versions.append(await _score(run, rewrite, settings, _find_answer(run, POLISH.name)))
        best = max(versions, key=lambda version: version.score)
    # The ledger takes the last version for the delivered one, unless later ones are put back.
    later = versions[next(at for at, one in enumerate(versions) if one is best) + 1 :]
    await _put_back(run, [one.row for one in later if one.row])
    return _report(run, best, draft, rounds, best.score >= settings.threshold)


def _find_answer(run: Run, stage: str) -> Attempt | None:
    """Return the attempt that gave a stage its last answer; None where a person gave it."""
    rows = [row for row in run.attempts if row.stage == stage and not row.parent_id]
    return rows[-1] if rows and rows[-1].outcome == "ok" else None


async def _put_back(run: Run, rows: Sequence[Attempt]) -> None:
    """Note in the ledger that these answers were good, and another one was delivered."""
    for row in rows:
        row.error_type = NOT_DELIVERED
    if rows and run.ledger:
        await run.ledger.write((), judged=rows)


async def _score(
    run: Run, text: str, settings: DraftPolishSettings, row: Attempt | None
) -> _Version:
    agent = make_scorer(tuple(settings.criteria.items()))
    return _Version(text, read_marks(await run.ask(agent, _write_request(run, text))), row)


def _write_request(run: Run, draft: str, marked: dict[str, Mark] | None = None) -> str:
    """Write a request as JSON, so that whatever the texts contain stays inside a string."""
    request: dict[str, object] = {"task": run.request.text, "draft": draft}
    if marked:
        request["marks"] = {name: mark.model_dump() for name, mark in marked.items()}
    return json.dumps(request, ensure_ascii=False)


def _report(
    run: Run, ships: _Version, draft: _Version, rounds: int, passed: bool | None
) -> Polished:
    drafted = [row for row in run.attempts if row.stage == DRAFT.name and row.outcome == "ok"]
    row = drafted[-1] if drafted else None
    return Polished(
        text=ships.text,
        shipped="draft" if ships is draft else "rewrite",
        score=None if passed is None else ships.score,
        draft_score=draft.score,
        passed=passed,
        rounds=rounds,
        marks=ships.marks,
        draft_input_tokens=row and row.input_tokens,
        draft_output_tokens=row and row.output_tokens,
    )
