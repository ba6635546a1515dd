"""The screen for the team's named sub-agents: add, edit, remove."""

from collections.abc import Sequence

from questionary import Choice

from scaffold.answers.spec import Agent
from scaffold.answers.validate import list_owners
from scaffold.catalog import names
from scaffold.catalog.core_settings import AGENT_CHAIN
from scaffold.wizard.prompts import Back, ask_in_order, ask_one, ask_text, print_title, say
from scaffold.wizard.state import State

OWN = "…"


def ask(state: State) -> None:
    """Show the sub-agents and ask what to change, until they are right."""
    while True:
        agents = state.answers.agents or []
        print_title(state.heading())
        say("Named roles that requests can be sent to, each with its prompt and its chain.\n")
        for agent in agents:
            say(f"  {agent.name} ({agent.chain} chain): {agent.description}")
        say()
        action = ask_one("Sub-agents", _list_actions(agents))
        if action == "keep":
            break
        state.own_agents = True
        state.answer(agents=_change(state, agents, action))
    state.settle()


def _list_actions(agents: Sequence[Agent]) -> list[Choice]:
    return [
        Choice("go on with these" if agents else "go on with none", "keep"),
        Choice("add a sub-agent", "add"),
        *(Choice(f"edit {agent.name}", f"edit {agent.name}") for agent in agents),
        *(Choice(f"remove {agent.name}", f"remove {agent.name}") for agent in agents),
    ]


def _change(state: State, agents: list[Agent], action: str) -> list[Agent]:
    verb, _, name = action.partition(" ")
    if verb == "remove":
        return [agent for agent in agents if agent.name != name]
    before = next((agent for agent in agents if agent.name == name), None)
    try:
        after = _edit(state, before or Agent(name="", description="", chain=AGENT_CHAIN))
    except Back:
        return agents
    if before is None:
        return [*agents, after]
    return [after if agent is before else agent for agent in agents]


def _edit(state: State, agent: Agent) -> Agent:
    owned = list_owners(state.catalog.features).keys()
    taken = owned | {other.name for other in state.answers.agents or []}
    fields = {"name": agent.name, "description": agent.description, "chain": agent.chain}

    def find_problem(name: str) -> str | None:
        return "is taken" if name in taken - {agent.name} else names.agent_problem(name)

    def ask_name() -> None:
        fields["name"] = ask_text("Its name, such as billing", fields["name"], find_problem)

    def ask_description() -> None:
        fields["description"] = ask_text(
            "What does it handle?", fields["description"], names.text_problem
        )

    def ask_chain() -> None:
        fields["chain"] = _ask_chain(state, fields["chain"])

    ask_in_order([ask_name, ask_description, ask_chain])
    return Agent.model_validate(fields)


def _ask_chain(state: State, default: str) -> str:
    known = dict.fromkeys([*state.chains(), AGENT_CHAIN, default])
    choices = [Choice(name, name) for name in known]
    chain = ask_one("Which chain does it ask?", [*choices, Choice("a new one", OWN)], default)
    if chain != OWN:
        return chain
    return ask_text("The new chain's name, such as legal", "", names.agent_problem)
