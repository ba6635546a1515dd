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
from ..agents.plan import PLAN, Plan, Task, find_problems
from ..agents.review import REVIEW
from ..runtime.errors import AnswerInvalid, ChainExhausted, FleetError
from ..runtime.ledger.attempt import NANO
from ..runtime.request import Route
from ..runtime.run import Run
from ..runtime.settings import Settings
from ..runtime.tasks import OrchestratorReport, TaskResult, show_results, write_output
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


async def run(run: Run, route: Route) -> OrchestratorReport:
    """Do the request's task.

    Options: any of `[orchestrator]`, such as max_replans.

    Raises:
        AnswerInvalid: The planner gives no usable plan.
    """
    del route  # the planner and each sub-agent have a chain of their own
    settings = run.settings("orchestrator", OrchestratorSettings)
    work = Work(run, settings)
    await work.carry_out(await work.plan())
    while work.list_missing() and work.replans < settings.max_replans and not work.is_spent():
        work.replans += 1
        try:
            plan = await work.plan()
        except (AnswerInvalid, ChainExhausted):
            break  # a partial answer is worth more than none
        await work.carry_out(plan)
    return await work.report()


@dataclass
class Work:
    """One run of the orchestrator: what was done so far, by the sub-tasks' ids."""

    run: Run
    settings: OrchestratorSettings
    results: dict[str, TaskResult] = field(default_factory=dict[str, TaskResult])
    replans: int = 0

    async def plan(self) -> Plan:
        """Return a plan that can be carried out; an unusable one is sent back once.

        Raises:
            AnswerInvalid: The second plan is unusable as well.
        """
        request = self._write_request()
        plan = await self.run.ask(PLAN, request)
        if wrong := self._find_problems(plan):
            listed = "\n".join(f"- {problem}" for problem in wrong)
            plan = await self.run.ask(PLAN, f"{request}\n\nYour last plan was unusable:\n{listed}")
            if wrong := self._find_problems(plan):
                raise AnswerInvalid(f"The plan is unusable: {'; '.join(wrong)}")
        # A sub-task that the new plan repeats no longer counts as failed.
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

    async def report(self) -> OrchestratorReport:
        """Combine all that was done into one answer; what was not done is named under it."""
        done, missing = self._find_done(), self.list_missing()
        answer = "Nothing was done."
        if done:
            task = delimit(self.run.request.text, "task")
            answer = await self.run.ask(COMBINE, f"{task}\n\n{show_results(done)}")
        if missing:
            answer += "\n\nNot done:\n" + "\n".join(f"- {one}" for one in missing)
        return OrchestratorReport(
            task=self.run.request.text,
            status="failed" if not done else "degraded" if missing else "complete",
            answer=answer,
            missing=missing,
            replans=self.replans,
            results=list(self.results.values()),
        )

    def list_missing(self) -> list[str]:
        """List the sub-tasks without a usable result, with the reason."""
        return [
            f"{result.id} ({result.agent}): {result.reason}"
            for result in self.results.values()
            if result.status != "done"
        ]

    def is_spent(self) -> bool:
        """Whether the run has used up its budget; calls without a known price count nothing."""
        return self.run.spent_nano() >= self.settings.budget_usd * NANO

    async def _delegate(self, task: Task, needed: Sequence[TaskResult]) -> TaskResult:
        result = TaskResult(
            id=task.id, agent=task.agent, instruction=task.instruction, status="skipped"
        )
        if lacking := [other.id for other in needed if other.status != "done"]:
            result.reason = f"needs {', '.join(lacking)}, which is not there"
        elif self.is_spent():
            result.reason = f"the run's ${self.settings.budget_usd} are spent"
        else:
            request = "\n\n".join(filter(None, [task.instruction, show_results(needed)]))
            try:
                result.output = await self.run.ask(self.run.agents[task.agent], request)
                result.status = "done"
                await self._review(task, request, result)
            except FleetError as error:
                result.status, result.reason = "failed", str(error)
        return result

    async def _review(self, task: Task, request: str, result: TaskResult) -> None:
        """Reject a result that a cheap model finds wanting; without a reviewer it stands."""
        if not self.settings.review:
            return
        output = delimit(write_output(result.output), "result")
        try:
            review = await self.run.ask(
                REVIEW, f"Asked:\n{request}\n\nExpected:\n{task.expects}\n\n{output}"
            )
        except FleetError as error:
            result.reason = f"not reviewed: {error}"
            return
        result.reason = review.reason
        result.status = "done" if review.ok else "rejected"

    def _write_request(self) -> str:
        named = self.run.fleet.agents
        agents = [
            f"- {name}: {named[name].description if name in named else ANYTHING}"
            for name in self.run.agents
        ]
        limits = f"At most {self.settings.max_tasks} sub-tasks, {self.settings.max_depth} in a row."
        parts = ["Sub-agents:", *agents, "", limits, "", delimit(self.run.request.text, "task")]
        if missing := self.list_missing():
            parts += [
                "",
                "Failed:",
                *(f"- {one}" for one in missing),
                "",
                show_results(self._find_done()),
            ]
        return "\n".join(parts)

    def _find_problems(self, plan: Plan) -> list[str]:
        return find_problems(
            plan,
            self.run.agents,
            [result.id for result in self._find_done()],
            max_tasks=self.settings.max_tasks,
            max_depth=self.settings.max_depth,
        )

    def _find_done(self) -> list[TaskResult]:
        return [result for result in self.results.values() if result.status == "done"]
