"""Answers for tests: from plain data to a checked spec in one step, as `--answers` takes it."""

from collections.abc import Mapping, Sequence

from scaffold.answers import complete as completion
from scaffold.answers.parse import parse
from scaffold.answers.spec import PartialSpec, WorkspaceSpec
from scaffold.catalog.catalog import Catalog
from scaffold.catalog.kinds import Selection


def partial_spec(catalog: Catalog, answers: Mapping[str, object]) -> PartialSpec:
    """Return answers of the right shape; fail for any other."""
    parsed = parse(answers, catalog.question_keys())
    assert not parsed.problems
    return parsed.spec


def complete(
    catalog: Catalog,
    answers: Mapping[str, object],
    *,
    folder_name: str,
    recorded: Mapping[str, object] | None = None,
) -> WorkspaceSpec:
    """Parse and complete plain answers, as an answers file has them.

    Raises AnswersError with every problem.
    """
    own = {key: value for key, value in answers.items() if not key.startswith("_")}
    parsed = parse(own, catalog.question_keys())
    return completion.complete(
        catalog,
        parsed.spec,
        folder_name=folder_name,
        recorded=parse(recorded or {}, catalog.question_keys()).spec,
        problems=parsed.problems,
    )


def select(
    *,
    agent_chains: Sequence[str] = (),
    chains: Mapping[str, Sequence[str]] | None = None,
    **features: Sequence[str],
) -> Selection:
    """Return a selection of features, by kind."""
    return Selection(features=features, chains=chains or {}, agent_chains=agent_chains)
