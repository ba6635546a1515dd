"""Random histories: a team and a template change, update, add and remove in any order.

What must be true after every merge is in `Histories.check`.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from hypothesis.stateful import run_state_machine_as_test as run

from scaffold import merge
from tests.merge.history import (
    Files,
    Template,
    Text,
    contents,
    find_independent,
    move_files,
    read,
    rename_path,
    team_lines,
    without,
    write_renders,
)
from tests.merge.repo import ANSWERS, Repo, fill, git, locate

FEATURES = ("core", "groq", "mistral", "research")
OWNED = ["prompts"]
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
AT = st.integers(0, 40)
# Without shrinking: it takes minutes here, and the steps of a failure are printed anyhow.
QUIET = {
    "suppress_health_check": list(HealthCheck),
    "deadline": None,
    "database": None,
    "phases": (Phase.generate,),
}


LINES = ["insert", "change", "delete"]
KINDS = {
    "template_edits": LINES,
    "template_restructures": ["add", "drop", "rename", "binary", "replace"],
    "template_renames_the_package": ["rename"],
    "team_edits": LINES,
    "team_restructures": ["move", "delete", "add", "add alike", "binary", "take the place"],
}
WORK = st.lists(
    st.one_of(
        [
            st.tuples(
                st.just(what),
                st.sampled_from(kinds),
                st.sampled_from(FEATURES),
                AT,
                AT,
                st.integers(1, 3),
            )
            for what, kinds in KINDS.items()
        ]
    ),
    min_size=1,
    max_size=6,
)


class Histories(RuleBasedStateMachine):
    """A template, a workspace of it in a monorepo, and what either side did to its files."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="history-", dir=MEMORY))
        self.count = 0

    def teardown(self) -> None:
        shutil.rmtree(self.place, ignore_errors=True)

    # The template

    def fresh(self, who: str, count: int) -> Text:
        self.count += count
        return tuple(f"{who}{at}" for at in range(self.count - count, self.count))

    def file(self, size: int = 9) -> Text:
        """Return a new file's lines: every second is in each file, which makes files look alike."""
        own = self.fresh("t", size)
        return tuple(x for at, line in enumerate(own) for x in (line, f"shared {at}"))

    @initialize(chosen=st.sets(st.sampled_from(FEATURES[1:])), prefix=st.sampled_from(["", "ws"]))
    def begin(self, chosen: set[str], prefix: str) -> None:
        features: dict[str, Files] = {
            "core": {
                "README": self.file(), "src/desk/a.py": self.file(), "src/desk/b.py": self.file(),
                "prompts/p.md": self.file(4), "logo": b"\0t",
            }
        }  # fmt: skip
        for name in FEATURES[1:]:
            features[name] = {f"src/{name}.py": self.file(), f"prompts/{name}.md": self.file(3)}
        self.template = self.recorded = Template(features)
        self.chosen = frozenset(chosen)
        self.repo = Repo(self.place / "desk", {}, prefix=prefix)
        fill(self.repo.folder, contents(self.render(), self.note()))
        if prefix:
            other = {f"other/{k}": v for k, v in contents(self.render(), "neighbour").items()}
            fill(self.repo.top, other)
        (self.repo.top / ".git/info/exclude").write_text("secret\n")
        (self.repo.folder / "secret").write_text("untouched")
        self.repo.commit()

    def render(self) -> Files:
        return self.recorded.render(self.chosen)

    def note(self, template: Template | None = None, chosen: frozenset[str] | None = None) -> str:
        version = (template or self.recorded).version
        return f"v{version} {sorted(self.chosen if chosen is None else chosen)}"

    def pick(self, files: Files, at: int, *, text: bool = True) -> str | None:
        names = sorted(p for p, c in files.items() if not text or (isinstance(c, tuple) and c))
        return names[at % len(names)] if names else None

    def edit_text(self, text: Text, who: str, kind: str, at: int, size: int) -> Text:
        at %= len(text) + (kind == "insert")
        new = self.fresh(who, size)
        if kind == "insert":
            return text[:at] + new + text[at:]
        return text[:at] + (new if kind == "change" else ()) + text[at + size :]

    def template_edits(self, kind: str, feature: str, which: int, at: int, size: int) -> None:
        files = self.template.features[feature]
        if path := self.pick(files, which):
            text = files[path]
            assert isinstance(text, tuple)
            new = self.edit_text(text, "t", kind, at, size)
            self.template = self.template.with_changes(feature, {**files, path: new})

    def template_restructures(self, kind: str, feature: str, which: int, *_: int) -> None:
        files = self.template.features[feature]
        path = self.pick(files, which, text=False)
        name = f"src/{feature}_{self.count}.py"
        if kind == "add":
            self.template = self.template.with_changes(feature, {**files, name: self.file()})
        elif path is None:
            return
        elif kind == "binary":
            self.count += 1
            self.template = self.template.with_changes(
                feature, {**files, path: b"\0t%d" % self.count}
            )
        elif kind == "rename":
            to = {path: f"{path}.{self.count}"}
            self.count += 1
            self.template = self.template.with_changes(feature, move_files(files, to), **to)
        else:
            left = without(files, path)
            added: Files = {name: self.file()} if kind == "replace" else {}
            self.template = self.template.with_changes(feature, {**left, **added})

    def template_renames_the_package(self, *_: object) -> None:
        core = self.template.features["core"]
        old = next(
            (p.split("/")[1] for p in core if p.startswith("src/d") and p.count("/") == 2), None
        )
        if old:
            self.count += 1
            to = {f"src/{old}": f"src/d{self.count}"}
            self.template = self.template.with_changes("core", move_files(core, to), **to)

    # The team

    def team_edits(self, kind: str, _: str, which: int, at: int, size: int) -> None:
        files = read(self.repo.folder)
        if path := self.pick(files, which):
            text = files[path]
            assert isinstance(text, tuple)
            if kind != "insert" and any(
                line.startswith("m") for line in text[at % len(text) :][:size]
            ):
                return
            self.put(path, self.edit_text(text, "m", kind, at, size))

    def team_restructures(self, kind: str, _: str, which: int, *__: int) -> None:
        files = read(self.repo.folder)
        path = self.pick(files, which, text=False)
        self.count += 1
        if kind == "add":
            self.put(f"src/desk/mine{self.count}.py", self.fresh("m", 6))
        elif kind == "take the place":
            new = self.template.render(frozenset(FEATURES[1:]))
            taken = self.pick({p: t for p, t in new.items() if p not in files}, which, text=False)
            if taken and not (self.repo.folder / taken).exists():
                self.put(taken, self.fresh("m", 4))
        elif path is None:
            return
        elif kind == "move":
            target = self.repo.folder / f"moved/{self.count}-{Path(path).name}"
            target.parent.mkdir(exist_ok=True)
            (self.repo.folder / path).rename(target)
        elif kind == "delete":
            (self.repo.folder / path).unlink()
        elif kind == "add alike" and isinstance(text := files[path], tuple):
            self.put(f"src/desk/mine{self.count}.py", self.fresh("m", 4) + tuple(
                line for line in text if not line.startswith("m")))  # fmt: skip
        elif kind == "binary":
            self.put(path, b"\0m%d" % self.count)

    def put(self, path: str, text: Text | bytes) -> None:
        fill(self.repo.folder, {path: contents({path: text}, "")[path]})

    # Merges

    @rule(work=WORK, kind=st.sampled_from(["update", "toggle", "both", "add then remove"]),
          feature=st.sampled_from(FEATURES[1:]))  # fmt: skip
    def step(
        self, work: list[tuple[str, str, str, int, int, int]], kind: str, feature: str
    ) -> None:
        for what, *details in work:
            getattr(self, what)(*details)
        if kind == "add then remove" and feature not in self.chosen:
            self.add_then_remove(feature)
        else:
            template = self.recorded if kind == "toggle" else self.template
            self.merge_and_check(template, self.chosen ^ ({feature} if kind != "update" else set()))

    def add_then_remove(self, feature: str) -> None:
        self.repo.commit()
        there = read(self.repo.folder)
        clean = self.merge_and_check(self.recorded, self.chosen | {feature})
        clean &= self.merge_and_check(self.recorded, self.chosen - {feature})
        if clean:
            assert read(self.repo.folder) == there

    def merge_and_check(self, template: Template, chosen: frozenset[str]) -> bool:
        """Merge, check every invariant, resolve and commit; return whether it merged cleanly."""
        self.repo.commit()
        before, after = self.render(), template.render(chosen)
        there = read(self.repo.folder)
        outside = self.outside()
        folders = write_renders(
            self.repo, before, after, (self.note(), self.note(template, chosen))
        )
        where = locate(self.repo.folder)
        trace = self.trace()
        with merge.plan(where, *folders, team_owned=OWNED, renames=template.renames) as plan:
            diff = plan.diff()
            assert self.trace() == trace
            assert read(self.repo.folder) == there
            merge.apply(plan)
        assert self.outside() == outside
        assert (
            self.repo.folder / ANSWERS
        ).read_text() == f"_commit: {self.note(template, chosen)}\n"
        self.check(plan, there, before, after, template.renames)
        self.resolve(plan)
        if not plan.conflicts:
            within = [f"--relative={where.prefix}"] if where.prefix else []
            assert git(self.repo.top, "diff", "-M", *within, "HEAD~1", "HEAD") == diff
        self.recorded, self.chosen = template, chosen
        return not plan.conflicts

    def check(
        self, plan: merge.Plan, there: Files, before: Files, after: Files, renames: dict[str, str]
    ) -> None:
        now = read(self.repo.folder)
        went = {one.was: one.path for one in plan.changes if one.was}
        conflicts = {one.path for one in plan.conflicts}
        self.no_line_lost_or_misplaced(there, now, went, conflicts)
        to = {path: rename_path(path, renames) for path in before if path not in after}
        to = {
            path: new
            for path, new in to.items()
            if new in after and new not in before and new not in there
        }
        was = {went.get(path, to.get(path, path)): text for path, text in before.items()}
        for path, text in ((went.get(path, path), text) for path, text in there.items()):
            owned = path.startswith("prompts/")
            if owned and path in after:
                assert now[path] == text, f"{path} is the team's"
            elif path in was and path in after and path not in conflicts:
                self.template_changes_applied(path, was[path], text, after[path], now[path])
            elif path not in was and path not in after and path not in conflicts:
                self.follow_moved_files(path, text, was, after, there, now[path])
            if path in was and path not in after and path not in conflicts:
                assert text == was[path] and path not in now
        for path in after.keys() - was.keys() - there.keys() - conflicts:
            assert after[path] in now.values(), f"{path} was not added"

    def no_line_lost_or_misplaced(
        self, there: Files, now: Files, went: dict[str, str], conflicts: set[str]
    ) -> None:
        owners = {
            line: went.get(path, path) for path, text in there.items() for line in team_lines(text)
        }
        found: dict[str, set[str]] = {}
        for path, text in now.items():
            for line in team_lines(text):
                found.setdefault(line, set()).add(path)
        for line, owner in owners.items():
            places = found.get(line, set())
            assert owner in places or (places and places <= conflicts), f"{line} of {owner} is lost"
            assert places - {owner} <= conflicts, f"{line} of {owner} is in {places}"
        binaries = {
            went.get(p, p): t for p, t in there.items() if isinstance(t, bytes) and b"m" in t
        }
        for path, text in binaries.items():
            assert now.get(path) == text, f"the team's {path} is gone"

    def template_changes_applied(
        self,
        path: str,
        was: Text | bytes,
        ours: Text | bytes,
        after: Text | bytes,
        now: Text | bytes,
    ) -> None:
        if ours == was:
            assert now == after, f"{path} is not the template's, though the team left it alone"
        elif isinstance(was, tuple) and isinstance(ours, tuple) and isinstance(after, tuple):
            assert isinstance(now, tuple)
            for dropped, added in find_independent(was, ours, after):
                assert added <= {*now}, f"{path} lacks {added - {*now}}"
                kept = {line for line in dropped if line[0] == "t" and line not in after}
                assert not kept & {*now}, f"{path} still has {dropped}"

    def follow_moved_files(
        self, path: str, text: Text | bytes, was: Files, after: Files, there: Files, now: Any
    ) -> None:
        sources = [name for name, other in was.items() if other == text]
        if len(sources) == 1 and sources[0] in after and sources[0] not in there and len(text) > 8:
            if sources[0].startswith("prompts/"):
                assert now == text
            elif list(there.values()).count(text) == 1:
                assert now == after[sources[0]], f"{path}, moved by the team, was left behind"

    def trace(self) -> set[str]:
        return {
            f"{folder}/{name}"
            for folder, _, names in os.walk(self.repo.top / ".git")
            for name in names
        }

    def outside(self) -> dict[str, Any]:
        prefix = f"{self.repo.prefix}/" if self.repo.prefix else "\0"
        return {
            path: content
            for path, content in self.repo.files().items()
            if not path.startswith(prefix) and (self.repo.prefix or path == "secret")
        } | {"secret": (self.repo.folder / "secret").read_text()}

    def resolve(self, plan: merge.Plan) -> None:
        """Resolve as a team would: markers go, both versions stay."""
        unmerged = git(self.repo.top, "diff", "--name-only", "--diff-filter=U", "-z")
        assert {*filter(None, unmerged.split("\0"))} <= {
            self.repo.prefix + "/" * bool(self.repo.prefix) + one.path for one in plan.conflicts
        }
        for path, text in read(self.repo.folder).items():
            if isinstance(text, tuple) and any(line.startswith("<<<<<<<") for line in text):
                kept = (x for x in text if x[:7] not in ("<<<<<<<", "=======", ">>>>>>>"))
                self.put(path, tuple(dict.fromkeys(kept)))
        self.repo.commit()


def histories(count: int, steps: int, number: int) -> None:
    machine = seed(number)(Histories)
    run(machine, settings=settings(max_examples=count, stateful_step_count=steps, **QUIET))


def test_some_histories() -> None:
    histories(6, 3, 0)


FULL = [pytest.param(part, marks=pytest.mark.full) for part in range(2, 16)]


@pytest.mark.slow
@pytest.mark.parametrize("part", [0, 1, *FULL])
def test_two_thousand_histories(part: int) -> None:
    histories(125, 2 + part % 2, part + 1)
