"""Splits a task into sub-tasks for the sub-agents, and finds what makes a plan unusable."""

from collections.abc import Container, Sequence
from graphlib import CycleError, TopologicalSorter

from pydantic import BaseModel, Field

from ..runtime.subagent import SubAgent


class Task(BaseModel):
    """One sub-task: who does it, from which other results, and what a good result holds."""

    id: str = Field(pattern=r"^[a-z][a-z0-9_]{0,29}$")
    agent: str
    instruction: str = Field(min_length=1)
    expects: str
    needs: list[str] = []


class Plan(BaseModel):
    """The sub-tasks; they run as soon as what they need is there, several at a time."""

    tasks: list[Task] = Field(min_length=1)


PLAN = SubAgent("plan", Plan)


def find_problems(
    plan: Plan, agents: Container[str], done: Container[str], *, max_tasks: int, max_depth: int
) -> list[str]:
    """Return why a plan cannot be carried out: unknown names, cycles, too many or too deep.

    `done` are the ids of sub-tasks that already have a result.
    """
    ids = [task.id for task in plan.tasks]
    found = [
        f"{task.id}: unknown sub-agent '{task.agent}'"
        for task in plan.tasks
        if task.agent not in agents
    ]
    found += [
        f"{task.id} needs '{need}', which is not a sub-task"
        for task in plan.tasks
        for need in task.needs
        if need not in ids and need not in done
    ]
    found += [f"the id {id_} is taken" for id_ in dict.fromkeys(ids) if is_taken(id_, ids, done)]
    if len(ids) > max_tasks:
        found.append(f"{len(ids)} sub-tasks are more than {max_tasks}")
    levels = _count_levels(plan.tasks)
    if levels is None:
        found.append("sub-tasks need each other in a circle")
    elif levels > max_depth:
        found.append(f"{levels} sub-tasks wait for each other in a row, {max_depth} may")
    return found


def is_taken(id_: str, ids: Sequence[str], done: Container[str]) -> bool:
    """Whether an id stands for more than one sub-task."""
    return ids.count(id_) > 1 or id_ in done


def _count_levels(tasks: Sequence[Task]) -> int | None:
    """Count the sub-tasks that wait for each other in the longest row; None for a circle."""
    ids = {task.id for task in tasks}
    sorter = TopologicalSorter({task.id: ids & set(task.needs) for task in tasks})
    try:
        sorter.prepare()
    except CycleError:
        return None
    levels = 0
    while sorter.is_active():
        sorter.done(*sorter.get_ready())
        levels += 1
    return levels
