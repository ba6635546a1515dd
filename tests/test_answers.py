"""What is refused, what is allowed with a warning, and that all problems come together."""

from typing import Any

import pytest

from scaffold.answers.warnings import list_warnings
from scaffold.catalog.catalog import Catalog
from scaffold.catalog.names import (
    default_package,
    default_project,
    list_installed,
    package_problem,
    project_problem,
)
from scaffold.errors import AnswersError
from tests.specs import complete, select
from tests.taken_names import names as names_taken

AGENT = {"name": "billing", "description": "Bills", "chain": "cheap"}


def problems(catalog: Catalog, given: dict[str, Any]) -> str:
    with pytest.raises(AnswersError) as caught:
        complete(catalog, given, folder_name="desk")
    return str(caught.value)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"package": "2fast"}, "package: '2fast' is not a lower-case Python identifier"),
        ({"package": "json"}, "would hide a standard module"),
        ({"package": "openai"}, "would hide"),
        ({"package": "class"}, "would hide"),
        ({"package": "anyio"}, "would hide"),
        ({"package": "nul"}, "would hide"),
        ({"project_name": "Typing Extensions"}, "something the workspace installs"),
        ({"project_name": "🚀"}, "no ASCII letter"),
        ({"project_name": "x" * 300}, "300 characters, 60 are allowed"),
        ({"project_name": "a\nb"}, "U+000A"),
        ({"description": "a\u202eb"}, "U+202E"),
        ({"description": 7}, "should be text; write it in quotes"),
        ({"patern": []}, "patern: is not an answer key; did you mean patterns?"),
        ({"patterns": ["ruoter"]}, "did you mean router?"),
        ({"patterns": 3}, "patterns"),
        ({"patterns": "router,research"}, "write a list: [router, research]"),
        ({"providers": ["antropic"]}, "did you mean anthropic?"),
        ({"providers": []}, "providers: is empty"),
        ({"providers": ["openai"], "chains": {"cheap": ["groq:x"]}}, "needs groq; add it"),
        ({"chains": {"cheap": []}}, "chains.cheap: is empty"),
        ({"chains": {"cheap": ["gpt"]}}, "is not a provider:model"),
        ({"chains": {"cheap": ["openai:a", "openai:a"]}}, "names a model twice"),
        ({"chains": {"cheap": ["openai:a@"]}}, "names no deployment after @"),
        ({"chains": {"cheap": ["openai:a@../x"]}}, "names no deployment after @"),
        ({"chains": {"cheap": ["openai:a b"]}}, "is not a provider:model"),
        ({"chains": {"cheap": None}}, "chains.cheap: should be a list"),
        ({"chains": []}, "should be a mapping; write a mapping such as {cheap:"),
        ({"agents": [AGENT, AGENT]}, "is listed twice"),
        ({"agents": [{**AGENT, "name": "../../evil"}]}, "not a lower-case Python identifier"),
        ({"agents": [{**AGENT, "name": "classify"}]}, "is a name that Router gives to a stage"),
        ({"agents": [{**AGENT, "name": "com1"}]}, "is a device on Windows"),
        ({"agents": [{**AGENT, "tools": []}]}, "agents.0.tools: is not a key of a sub-agent"),
        ({"agents": [{"name": "a"}]}, "agents.0.description: is missing"),
        ({"agents": ["a"]}, "agents.0: should be a mapping"),
        ({"quality_threshold": 2}, "quality_threshold: should be at most 1"),
        ({"quality_threshold": float("nan")}, "quality_threshold: should be at most 1"),
        ({"monthly_budget_usd": -1}, "monthly_budget_usd: should be at least 0"),
        ({"monthly_budget_usd": float("nan")}, "monthly_budget_usd"),
        ({"monthly_budget_usd": float("inf")}, "monthly_budget_usd: should be at most"),
        ({"monthly_budget_usd": True}, "monthly_budget_usd: should be a number"),
        ({"expensive_from": 9}, "expensive_from: is more than 5"),
        ({"expensive_from": "high"}, "should be of type int"),
        ({"framework": "langgraf"}, "unknown framework"),
        ({"patterns": ["research"], "search": []}, "search: research needs one"),
        ({"extras": ["sources"]}, "unknown extra 'sources'"),
    ],
)
def test_wrong_answers_are_refused_with_a_way_out(
    catalog: Catalog, given: dict[str, Any], expected: str
) -> None:
    assert expected in problems(catalog, given)


@pytest.mark.parametrize("providers", [["foo"], ["foo", "openai"]])
def test_of_an_unknown_provider_the_cause_alone_is_shown(
    catalog: Catalog, providers: list[str]
) -> None:
    def list_keys(**given: object) -> list[str]:
        with pytest.raises(AnswersError) as caught:
            complete(catalog, given, folder_name="desk")
        return [problem.key for problem in caught.value.problems]

    assert list_keys(providers=providers) == ["providers"]
    # A chain that the team left empty itself is a mistake of its own.
    assert list_keys(providers=providers, chains={"cheap": []}) == ["providers", "chains.cheap"]


def test_a_default_follows_the_patterns_and_may_be_left(catalog: Catalog) -> None:
    def search(given: dict[str, Any]) -> list[str]:
        return complete(catalog, given, folder_name="desk").search

    assert search({"patterns": ["router"]}) == []
    assert search({"patterns": ["research"]}) == ["local_folder"]
    assert search({"patterns": ["research"], "search": ["tavily"]}) == ["tavily"]


def test_a_hidden_feature_is_on_while_another_requires_it(catalog: Catalog) -> None:
    def extras(patterns: list[str]) -> set[str]:
        chosen = select(pattern=patterns, search=["local_folder"] if patterns else [])
        return {feature.id for feature in catalog.list_enabled(chosen)}

    assert "extra_sources" not in extras([])
    assert {"extra_sources", "extra_search"} <= extras(["research"])
    assert all(not feature.hidden for feature in catalog.of("extra"))


def test_a_recorded_name_stays_good_when_a_dependency_takes_it(catalog: Catalog) -> None:
    names = {"package": "anyio", "project_name": "httpx"}
    spec = complete(catalog, names, folder_name="desk", recorded=names)
    assert (spec.package, spec.project_name) == ("anyio", "httpx")
    for recorded in ({"package": "httpx"}, {}):
        with pytest.raises(AnswersError, match="would hide"):
            complete(catalog, {"package": "anyio"}, folder_name="desk", recorded=recorded)
    with pytest.raises(AnswersError, match="not a lower-case"):
        bad = {"package": "../x"}
        complete(catalog, bad, folder_name="desk", recorded=bad)


def test_what_workspaces_install_is_taken(catalog: Catalog) -> None:
    assert names_taken(catalog) <= list_installed()


def test_a_chain_that_only_a_sub_agent_names_is_warned_about(catalog: Catalog) -> None:
    def warn(chains: dict[str, list[str]], asked: str) -> str:
        answers = {"agents": [{**AGENT, "chain": asked}], "chains": chains}
        return " ".join(list_warnings(catalog, complete(catalog, answers, folder_name="desk")))

    assert "Chain lawyers of sub-agent billing is new: it asks anthropic:" in warn({}, "lawyers")
    models = ["openai:gpt-6-luna", "anthropic:claude-haiku-5-5"]
    assert warn({"lawyers": models}, "lawyers") == ""
    assert "Chain chepa is asked by no stage and no sub-agent; did you mean cheap?" in warn(
        {"chepa": models}, "specialist"
    )


def test_a_wrong_type_hides_no_other_problem(catalog: Catalog) -> None:
    reported = problems(
        catalog, {"quality_threshold": 2, "package": "class", "patterns": ["ruoter"]}
    )
    assert len(reported.splitlines()) == 3


def test_a_problem_is_reported_once(catalog: Catalog) -> None:
    assert len(problems(catalog, {"providers": []}).splitlines()) == 1
    assert len(problems(catalog, {"patterns": 3}).splitlines()) == 1


def test_all_problems_come_together(catalog: Catalog) -> None:
    reported = problems(catalog, {"package": "json", "patterns": ["x"], "nonsense": 1})
    assert len(reported.splitlines()) == 3


@pytest.mark.parametrize(
    "folder", ["test", "3d", "json", "🚀", "a b", "x" * 200, "openai", "-", "con", "anyio"]
)
def test_a_default_name_always_does(folder: str) -> None:
    project = default_project(folder)
    assert project_problem(project) is None
    assert package_problem(default_package(project)) is None


def test_unknown_and_nearly_known_models_are_warned_about(catalog: Catalog) -> None:
    chain = ["openai:my-own-tune", "openai:gpt-5-nano-2099-01-01"]
    spec = complete(catalog, {"chains": {"cheap": chain}}, folder_name="desk")
    reported = " ".join(list_warnings(catalog, spec))
    assert "openai:my-own-tune is unknown and unpriced" in reported
    assert "priced as gpt-5-nano" in reported
    assert "Chain cheap has one provider" in reported


def test_a_chain_that_is_not_given_takes_its_default(catalog: Catalog) -> None:
    spec = complete(catalog, {"providers": ["groq"], "agents": []}, folder_name="desk")
    assert spec.chains["cheap"] == ["groq:openai/gpt-oss-20b", "groq:openai/gpt-oss-120b"]
    assert set(spec.chains) == {"cheap", "expensive"}
