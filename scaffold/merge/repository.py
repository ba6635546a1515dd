"""git in a workspace's repository, kept from doing more than it is asked."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from scaffold import git as program

# The date is now, whatever a variable of the user's says: git overlooks a stash from 1970.
_IDENTITY = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in (("NAME", "scaffold"), ("EMAIL", "scaffold@localhost"), ("DATE", ""))
}


@dataclass(frozen=True, slots=True)
class Git:
    """git run at one place, always with the same variables; its paths are taken literally.

    No hook runs, no daemon or garbage collection starts, and no lock is taken just to be quick.
    `held` files stay open in every git started, so that a lock on them outlives this process.
    """

    place: Path
    variables: Mapping[str, str] = field(default_factory=dict[str, str])
    held: Sequence[int] = ()

    def __call__(
        self,
        *words: str,
        config: Sequence[str] = (),
        feed: str = "",
        allowed: Collection[int] = (0,),
    ) -> str:
        """What git printed. Raises GitError."""
        settings = [word for one in config for word in ("-c", one)]
        fixed = {
            **_IDENTITY,
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_OPTIONAL_LOCKS": "0",
            "LC_ALL": "C",
        }
        return program.git(
            *settings,
            *words,
            cwd=self.place,
            env={**fixed, **self.variables},
            allowed=allowed,
            feed=feed,
            held=self.held,
        )

    def using(self, **variables: str | Path) -> "Git":
        """The same with more variables set."""
        more = {name: str(value) for name, value in variables.items()}
        return replace(self, variables={**self.variables, **more})


def records(text: str) -> list[str]:
    """The parts of an answer that git ends with NUL each (`-z`)."""
    return [part for part in text.split("\0") if part]
