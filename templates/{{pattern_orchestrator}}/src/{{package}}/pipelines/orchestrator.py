"""Task → plan → sub-agents in dependency order → review → replan where needed → one answer.

Every bound is in `[orchestrator]`: sub-tasks, depth, how many at a time, replans, dollars. A
sub-task that fails costs its part of the answer, which says so; the others go on.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from pydantic import Field

from ..agents.combine import COMBINE
from ..agents.plan import PLAN, Plan, Task, problems
from ..agents.review import REVIEW
from ..runtime.errors import AnswerInvalid, ChainExhausted, FleetError
from ..runtime.fleet import Settings
from ..runtime.ledger.attempt import NANO
from ..runtime.run import Route, Run
from ..runtime.tasks import Outcome, TaskResult, shown, text_of
from ..runtime.untrusted import delimit

ANYTHING = "Anything that no other sub-agent is for"


class OrchestratorSettings(Settings):
    """The table `[orchestrator]` of fleet.toml."""

    max_tasks: int = Field(default=8, ge=1)
    max_depth: int = Field(default=4, ge=1)
    max_parallel: int = Field(default=4, ge=1)
    max_replans: int = Field(default=1, ge=0)
    budget_usd: Decimal = Field(default=Decimal(1), gt=0)
    review: bool = True


async def run(run: Run, route: Route) -> Outcome:
    """Do the request's task. Raises AnswerInvalid when the planner gives no usable plan.

    Options: any of `[orchestrator]`, such as max_replans.
    """
    del route  # the planner and each sub-agent have a chain of their own
    settings = run.settings("orchestrator", OrchestratorSettings)
    work = Work(run, settings)
    await work.carry_out(await work.plan())
    while work.missing() and work.replans < settings.max_replans and not work.spent():
        work.replans += 1
        try:
            plan = await work.plan()
        except (AnswerInvalid, ChainExhausted):
            break  # what is done is worth more than no answer
        await work.carry_out(plan)
    return await work.outcome()


@dataclass
class Work:
    """One run of the orchestrator: what was done so far, by the sub-tasks' ids."""

    run: Run
    settings: OrchestratorSettings
    results: dict[str, TaskResult] = field(default_factory=dict[str, TaskResult])
    replans: int = 0

    async def plan(self) -> Plan:
        """A plan that can be carried out; an unusable one is sent back once."""
        told = self._told()
        plan = await self.run.ask(PLAN, told)
        if wrong := self._problems(plan):
            listed = "\n".join(f"- {problem}" for problem in wrong)
            plan = await self.run.ask(PLAN, f"{told}\n\nYour last plan was unusable:\n{listed}")
            if wrong := self._problems(plan):
                raise AnswerInvalid(f"The plan is unusable: {'; '.join(wrong)}.")
        # What a new plan takes up again is no longer a failure.
        for task in plan.tasks:
            self.results.pop(task.id, None)
        return plan

    async def carry_out(self, plan: Plan) -> None:
        """Run the sub-tasks, each as soon as what it needs is there."""
        places = asyncio.Semaphore(self.settings.max_parallel)
        running: dict[str, asyncio.Task[TaskResult]] = {}

        async def one(task: Task) -> TaskResult:
            needed = [
                await running[need] if need in running else self.results[need]
                for need in task.needs
            ]
            async with places:
                return await self._delegate(task, needed)

        for task in plan.tasks:
            running[task.id] = asyncio.create_task(one(task))
        try:
            results = await asyncio.gather(*running.values())
        finally:
            for left in running.values():
                left.cancel()
        self.results |= {result.id: result for result in results}

    async def outcome(self) -> Outcome:
        """One answer of all that was done; what was not is named under it."""
        done, missing = self._done(), self.missing()
        answer = "Nothing was done."
        if done:
            task = delimit(self.run.request.text, "task")
            answer = await self.run.ask(COMBINE, f"{task}\n\n{shown(done)}")
        if missing:
            answer += "\n\nNot done:\n" + "\n".join(f"- {one}" for one in missing)
        return Outcome(
            task=self.run.request.text,
            status="failed" if not done else "degraded" if missing else "complete",
            answer=answer,
            missing=missing,
            replans=self.replans,
            results=list(self.results.values()),
        )

    def missing(self) -> list[str]:
        """The sub-tasks without a usable result, with the reason."""
        return [
            f"{result.id} ({result.agent}): {result.reason}"
            for result in self.results.values()
            if result.status != "done"
        ]

    def spent(self) -> bool:
        """Whether the run has used up its budget; calls without a known price count nothing."""
        return self.run.spent_nano() >= self.settings.budget_usd * NANO

    async def _delegate(self, task: Task, needed: Sequence[TaskResult]) -> TaskResult:
        result = TaskResult(
            id=task.id, agent=task.agent, instruction=task.instruction, status="skipped"
        )
        if lacking := [other.id for other in needed if other.status != "done"]:
            result.reason = f"needs {', '.join(lacking)}, which is not there"
        elif self.spent():
            result.reason = f"the run's ${self.settings.budget_usd} are spent"
        else:
            told = "\n\n".join(filter(None, [task.instruction, shown(needed)]))
            try:
                result.output = await self.run.ask(self.run.agents[task.agent], told)
                result.status = "done"
                await self._review(task, told, result)
            except FleetError as error:
                result.status, result.reason = "failed", str(error)
        return result

    async def _review(self, task: Task, told: str, result: TaskResult) -> None:
        """Reject a result that a cheap model finds wanting; without a reviewer it stands."""
        if not self.settings.review:
            return
        shown = delimit(text_of(result.output), "result")
        try:
            review = await self.run.ask(
                REVIEW, f"Asked:\n{told}\n\nExpected:\n{task.expects}\n\n{shown}"
            )
        except FleetError as error:
            result.reason = f"not reviewed: {error}"
            return
        result.reason = review.reason
        result.status = "done" if review.ok else "rejected"

    def _told(self) -> str:
        named = self.run.fleet.agents
        agents = [
            f"- {name}: {named[name].description if name in named else ANYTHING}"
            for name in self.run.agents
        ]
        limits = f"At most {self.settings.max_tasks} sub-tasks, {self.settings.max_depth} in a row."
        parts = ["Sub-agents:", *agents, "", limits, "", delimit(self.run.request.text, "task")]
        if missing := self.missing():
            parts += ["", "Failed:", *(f"- {one}" for one in missing), "", shown(self._done())]
        return "\n".join(parts)

    def _problems(self, plan: Plan) -> list[str]:
        return problems(
            plan,
            self.run.agents,
            [result.id for result in self._done()],
            max_tasks=self.settings.max_tasks,
            max_depth=self.settings.max_depth,
        )

    def _done(self) -> list[TaskResult]:
        return [result for result in self.results.values() if result.status == "done"]
