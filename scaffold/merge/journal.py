"""What an update has in hand, written down before it touches a file."""

from enum import StrEnum

from scaffold.merge.workspace import Workspace


class Progress(StrEnum):
    """How far an update of ours has come."""

    APPLYING = "applying"  # killed on the way: `resume` finishes, `abort` goes back
    APPLIED = "applied"  # all there, not committed yet: `abort` goes back
    ABORTING = "aborting"  # killed on the way back: `resume` and `abort` finish going back


def progress(workspace: Workspace) -> Progress | None:
    """The state of an update here, or None when there is none (or it has been committed)."""
    raise NotImplementedError
