"""The team's named sub-agents: add, edit, remove."""

from questionary import Choice

from scaffold.catalog import names
from scaffold.wizard.prompts import Back, in_order, one, say, text, title
from scaffold.wizard.state import State

Agent = dict[str, str]
OWN = "…"


def ask(state: State) -> None:
    while True:
        agents: list[Agent] = list(state.answers.get("agents") or [])
        title(state.heading())
        say("Named roles that requests can be sent to, each with its prompt and its chain.\n")
        for agent in agents:
            say(f"  {agent['name']} ({agent['chain']} chain): {agent['description']}")
        say()
        action = one("Sub-agents", _actions(agents))
        if action == "keep":
            break
        state.own_agents = True
        state.answers["agents"] = _changed(state, agents, action)
    state.settle()


def _actions(agents: list[Agent]) -> list[Choice]:
    return [
        Choice("go on with these" if agents else "go on with none", "keep"),
        Choice("add a sub-agent", "add"),
        *(Choice(f"edit {agent['name']}", f"edit {agent['name']}") for agent in agents),
        *(Choice(f"remove {agent['name']}", f"remove {agent['name']}") for agent in agents),
    ]


def _changed(state: State, agents: list[Agent], action: str) -> list[Agent]:
    verb, _, name = action.partition(" ")
    if verb == "remove":
        return [agent for agent in agents if agent["name"] != name]
    before = next((agent for agent in agents if agent["name"] == name), None)
    try:
        made = _edited(state, before or {"name": "", "description": "", "chain": "specialist"})
    except Back:
        return agents
    if before is None:
        return [*agents, made]
    return [made if agent is before else agent for agent in agents]


def _edited(state: State, agent: Agent) -> Agent:
    stages = {stage.name for feature in state.catalogue.features for stage in feature.stages}
    agents: list[Agent] = state.answers.get("agents") or []
    taken = stages | {other["name"] for other in agents}
    made = dict(agent)

    def problem(name: str) -> str | None:
        return "is taken" if name in taken - {agent["name"]} else names.agent_problem(name)

    def name() -> None:
        made["name"] = text("Its name, such as billing", made["name"], problem)

    def handles() -> None:
        made["description"] = text("What does it handle?", made["description"], names.text_problem)

    def chain() -> None:
        made["chain"] = _chain(state, made["chain"])

    in_order([name, handles, chain])
    return made


def _chain(state: State, default: str) -> str:
    known = dict.fromkeys([*state.chains(), "specialist", default])
    choices = [Choice(name, name) for name in known]
    chosen = one("Which chain does it ask?", [*choices, Choice("a new one", OWN)], default)
    if chosen != OWN:
        return chosen
    return text("The new chain's name, such as legal", "", names.agent_problem)
