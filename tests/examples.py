"""How many examples a property is tried with: a third while people wait, all in `.ci/full`."""

import os

EVERY = "EVERY_EXAMPLE"
"""With this variable set, a property is tried with as many examples as it asks for."""
SHARE = 3


def examples(most: int) -> int:
    """Return how many of a property's examples are tried in this run."""
    return most if os.environ.get(EVERY) else -(-most // SHARE)
