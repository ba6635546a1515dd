"""The settings that every workspace has, whatever its features, and what they are by default.

The commands, the wizard, the checks of the answers and copier's questions all read them here.
"""

from scaffold.catalog.manifest import Question

PROJECT_NAME = "My Agents"
"""Asked by copier, which does not know the name of the folder."""

DESCRIPTION = "Answers requests with a fleet of models."

AGENT_CHAIN = "specialist"
"""The chain of a sub-agent that does not name one."""

MOST_PROVIDERS = 3
"""A default chain names at most this many providers: a longer one is for the team to choose."""

QUALITY_THRESHOLD = Question(
    type="float",
    default=0.7,
    min=0,
    max=1,
    help="From which score or confidence on is an answer good enough (0 to 1)?",
)

# More than a billion dollars a month is a typing mistake.
MONTHLY_BUDGET_USD = Question(
    type="float",
    default=100,
    min=0,
    max=1_000_000_000,
    help="What may a month cost, in US dollars (0: no budget)?",
)

QUESTIONS = {
    "quality_threshold": QUALITY_THRESHOLD,
    "monthly_budget_usd": MONTHLY_BUDGET_USD,
}
"""The core settings that are asked for, by answer key."""

OLDEST_KEY = "_scaffold_min"
"""The key of copier.yml that states the oldest scaffold that can render a template."""
