"""The wizard on a real terminal of 80x24: keys in, screen out."""

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pexpect
import pyte
import pytest
import yaml

from scaffold.catalog.catalog import load

ROOT = Path(__file__).parents[1]
SECONDS = 120  # without a word: only what hangs takes as long
ENTER, SPACE, BACK, INTERRUPT = "\r", " ", "\x02", "\x03"
DOWN, UP, CLEAR = "\x1b[B", "\x1b[A", "\x05\x15"

PATTERNS = [feature.name for feature in load(ROOT).of("pattern")]
PROMPTS = [
    "What is the project called?",
    "What does it do",
    "Which patterns?",
    "Which providers?",
    "? Sub-agents",
    "? Chain cheap",
    "? Chain expensive",
    "? Chain specialist",
    "Which extras?",
    "go to the expensive chain",
    "good enough",
    "What may a month cost",
    "Write this workspace?",
]


class Terminal:
    """A `scaffold new` in a terminal; `until` reads until a text is on its last prompt."""

    def __init__(
        self,
        folder: Path,
        *options: str,
        width: int = 80,
        height: int = 24,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.screen = pyte.Screen(width, height)
        self._stream = pyte.Stream(self.screen)
        self.child = pexpect.spawn(
            sys.executable,
            ["-m", "scaffold", "new", "desk", "--no-git", *options],
            cwd=str(folder),
            env={
                **os.environ,
                "PYTHONPATH": str(ROOT),
                "TERM": "xterm",
                "PROMPT_TOOLKIT_NO_CPR": "1",
                "OPENAI_API_KEY": "hush-hush",
                **(env or {}),
            },
            dimensions=(height, width),
            encoding="utf-8",
            timeout=SECONDS,
        )
        self.seen = ""
        self.folder = folder

    def until(self, prompt: str) -> str:
        """Wait for a last question that holds `prompt`, and return the screen."""
        self._wait(lambda: prompt in self._last_question(), prompt)
        return self.text()

    def press(self, *keys: str) -> None:
        """Send keys one by one, as a person does."""
        for key in keys:
            self.child.send(key)

    def type_over(self, text: str) -> None:
        """Replace the text of a prompt and send it."""
        self.press(CLEAR, text, ENTER)

    def read_answers(self) -> dict[str, Any]:
        """Wait for the end, and return the answers of the workspace that was written."""
        assert self.status() == 0, self.text()
        return yaml.safe_load((self.folder / "desk/.copier-answers.yml").read_text("utf-8"))

    def until_shown(self, text: str) -> None:
        """Wait until a text is anywhere on the screen."""
        self._wait(lambda: text in self.text(), text)

    def until_gone(self, text: str) -> None:
        """Wait until a text has left the screen."""
        self._wait(lambda: text not in self.text(), f"the end of {text}")

    def status(self) -> int | None:
        """Wait for the end, and return the exit status."""
        self._feed(self.child.read())
        self.child.wait()
        return self.child.exitstatus

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display).strip()

    def _wait(self, there: Callable[[], bool], wanted: str) -> None:
        while not there():
            try:
                self._feed(self.child.read_nonblocking(4096, timeout=SECONDS))
            except (pexpect.EOF, pexpect.TIMEOUT) as error:
                raise AssertionError(f"never saw {wanted!r}:\n{self.text()}") from error

    def _feed(self, text: str) -> None:
        self.seen += text
        self._stream.feed(text)

    def _last_question(self) -> str:
        lines = [line.rstrip() for line in self.screen.display]
        starts = [at for at, line in enumerate(lines) if line.startswith("? ")]
        return " ".join(lines[starts[-1] :]) if starts else ""


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    started = Terminal(tmp_path)
    yield started
    started.child.close(force=True)


def go_to(terminal: Terminal, wanted: str) -> str:
    for prompt in PROMPTS:
        text = terminal.until(prompt)
        if prompt == wanted:
            return text
        terminal.press(ENTER)
    raise AssertionError(f"{wanted} is not a prompt")


def finish(terminal: Terminal) -> dict[str, Any]:
    terminal.until("Write this workspace?")
    terminal.press(ENTER)
    return terminal.read_answers()


def test_enter_all_the_way_writes_the_default_workspace(terminal: Terminal) -> None:
    go_to(terminal, "Write this workspace?")
    answers = finish(terminal)
    assert answers["patterns"] == ["router"]
    assert answers["providers"] == ["anthropic", "openai"]
    assert "hush-hush" not in terminal.seen


def list_interrupts() -> Iterator[Any]:
    """Yield every prompt; one of several lines is quick enough."""
    for prompt in PROMPTS:
        yield pytest.param(prompt, marks=[] if prompt == "? Sub-agents" else pytest.mark.slow)


@pytest.mark.parametrize("prompt", [*list_interrupts()])
def test_ctrl_c_leaves_nothing_behind(terminal: Terminal, tmp_path: Path, prompt: str) -> None:
    go_to(terminal, prompt)
    terminal.press(INTERRUPT)
    assert terminal.status() == 130
    assert list(tmp_path.iterdir()) == []
    assert "Traceback" not in terminal.seen


@pytest.mark.slow
def test_ctrl_b_goes_back_through_every_prompt(terminal: Terminal) -> None:
    go_to(terminal, "What may a month cost")
    terminal.press(BACK)
    terminal.until("good enough")
    for prompt in ("go to the expensive chain", "Which extras?", "? Chain cheap", "? Sub-agents"):
        terminal.press(BACK)
        terminal.until(prompt)
    for prompt in ("Which providers?", "Which patterns?", "What is the project called?"):
        terminal.press(BACK)
        terminal.until(prompt)
    terminal.press(BACK)
    terminal.until("What is the project called?")


@pytest.mark.slow
def test_wrong_input_is_explained_and_can_be_corrected(terminal: Terminal) -> None:
    go_to(terminal, "What is the project called?")
    terminal.press(CLEAR, "???", ENTER)
    terminal.until_shown("no ASCII letter or digit")
    terminal.type_over("Support Desk")
    terminal.until("What does it do")
    terminal.press(ENTER)
    go_on(terminal, "Which patterns?", "Which providers?", "? Sub-agents")
    go_on(terminal, "? Chain cheap", "? Chain expensive", "? Chain specialist", "Which extras?")
    terminal.until("go to the expensive chain")
    terminal.press(CLEAR, "9", ENTER)
    terminal.until_shown("is more than 5")
    terminal.type_over("4")
    terminal.until("good enough")
    terminal.press(CLEAR, "much", ENTER)
    terminal.until_shown("should be of type float")
    terminal.type_over("0.8")
    go_on(terminal, "What may a month cost")
    answers = finish(terminal)
    assert (answers["project_name"], answers["package"]) == ("Support Desk", "support_desk")
    assert (answers["expensive_from"], answers["quality_threshold"]) == (4, 0.8)


def go_on(terminal: Terminal, *prompts: str) -> None:
    for prompt in prompts:
        terminal.until(prompt)
        terminal.press(ENTER)


@pytest.mark.parametrize(("height", "limits"), [(24, False), (60, True)])
def test_patterns_show_their_flow_and_their_limits_where_they_fit(
    tmp_path: Path, height: int, limits: bool
) -> None:
    terminal = Terminal(tmp_path, height=height)
    try:
        text = go_to(terminal, "Which patterns?")
        assert "New workspace" in text and "one good model" in text and "→" in text
        assert ("Not when" in text) == limits
    finally:
        terminal.child.close(force=True)


@pytest.mark.slow
def test_no_pattern_means_one_chain_and_no_sub_agent(terminal: Terminal) -> None:
    go_to(terminal, "Which patterns?")
    terminal.press(*[DOWN] * PATTERNS.index("router"), SPACE, ENTER)
    go_on(terminal, "Which providers?")
    assert "analyst" not in terminal.until("? Sub-agents")
    go_on(terminal, "? Sub-agents", "? Chain balanced", "Which extras?", "good enough")
    go_on(terminal, "What may a month cost")
    answers = finish(terminal)
    assert (answers["patterns"], answers["agents"]) == ([], [])
    assert list(answers["chains"]) == ["balanced"]


def test_providers_show_their_keys_and_the_rest_under_more(terminal: Terminal) -> None:
    text = go_to(terminal, "Which providers?")
    assert re.search("OpenAI +set: OPENAI_API_KEY", text)
    terminal.press(UP, SPACE, ENTER)
    terminal.until_shown("type to filter")
    terminal.press("g", "r", "o", "q")
    terminal.until_gone("Mistral")
    terminal.press(SPACE, ENTER)
    go_on(terminal, "? Sub-agents")
    assert "groq:" in terminal.until("? Chain cheap")


@pytest.mark.slow
def test_a_chain_is_reordered_shortened_and_extended(terminal: Terminal) -> None:
    text = go_to(terminal, "? Chain cheap")
    assert "per million" in text and "per 1,000 requests" in text and "1000k" in text
    terminal.press(DOWN, DOWN, ENTER)
    terminal.until("Which model?")
    terminal.press(DOWN, ENTER)
    terminal.until("To which place?")
    terminal.press(ENTER)
    terminal.until_shown("1. openai:gpt-6-luna")
    for gone in ("anthropic:claude-haiku-5-5", "anthropic:claude-sonnet-5-5"):
        terminal.until("? Chain cheap")
        terminal.press(DOWN, DOWN, DOWN, ENTER)
        terminal.until("Which model?")
        terminal.press(DOWN, ENTER)
        terminal.until("? Chain cheap")
        assert gone not in terminal.text()
    assert "One provider only" in terminal.text()
    terminal.press(DOWN, ENTER)
    terminal.until("Which model?")
    terminal.press("t", "y", "p", "e", "d", ENTER)
    terminal.until("provider:model")
    terminal.type_over("openai:ft:mine")
    terminal.until_shown("2. openai:ft:mine")
    assert "unpriced" in terminal.text()
    go_on(terminal, *PROMPTS[PROMPTS.index("? Chain cheap") : -1])
    assert finish(terminal)["chains"]["cheap"] == ["openai:gpt-6-luna", "openai:ft:mine"]


@pytest.mark.slow
def test_sub_agents_are_added_edited_and_removed(terminal: Terminal) -> None:
    go_to(terminal, "? Sub-agents")
    terminal.press(DOWN, ENTER)
    terminal.until("Its name")
    terminal.press(CLEAR, "classify", ENTER)
    terminal.until_shown("is taken")
    terminal.type_over("legal")
    terminal.until("What does it handle?")
    terminal.type_over("Contracts")
    terminal.until("Which chain")
    terminal.press(UP, UP, UP, ENTER)
    terminal.until("The new chain's name")
    terminal.type_over("lawyers")
    terminal.until_shown("legal (lawyers chain): Contracts")
    terminal.press(DOWN, DOWN, ENTER)
    terminal.until("Its name")
    terminal.type_over("numbers")
    terminal.until("What does it handle?")
    terminal.press(ENTER)
    terminal.until("Which chain")
    terminal.press(ENTER)
    terminal.until_shown("numbers (specialist chain)")
    go_on(terminal, "? Sub-agents", "? Chain cheap", "? Chain expensive", "? Chain specialist")
    go_on(terminal, "? Chain lawyers", *PROMPTS[PROMPTS.index("Which extras?") : -1])
    answers = finish(terminal)
    assert [agent["name"] for agent in answers["agents"]] == ["numbers", "legal"]
    assert "lawyers" in answers["chains"]


@pytest.mark.slow
def test_an_answer_is_changed_at_the_end_and_the_rest_follows(terminal: Terminal) -> None:
    go_to(terminal, "Write this workspace?")
    terminal.press(DOWN, ENTER)
    terminal.until("Which answer?")
    terminal.press(DOWN, DOWN, ENTER)
    terminal.until("Which providers?")
    terminal.press(SPACE, ENTER)
    text = terminal.until("Write this workspace?")
    assert "anthropic:" not in text
    terminal.press(DOWN, ENTER)
    terminal.until("Which answer?")
    terminal.press(BACK)
    answers = finish(terminal)
    assert answers["providers"] == ["openai"]
    assert {ref.split(":")[0] for refs in answers["chains"].values() for ref in refs} == {"openai"}


@pytest.mark.slow
def test_cancel_writes_nothing(terminal: Terminal, tmp_path: Path) -> None:
    go_to(terminal, "Write this workspace?")
    terminal.press(UP, ENTER)
    assert terminal.status() == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_narrow_terminal_without_colour(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, width=40, env={"NO_COLOR": "1"})
    try:
        text = go_to(terminal, "? Chain cheap")
        assert "…" in go_to_end(terminal)
        assert "anthropic:claude-haiku-5-5" in text
        assert not re.search(r"\x1b\[(?:\d+;)*(?:3[0-8]|4[0-8]|9\d)(?:;\d+)*m", terminal.seen)
        finish(terminal)
    finally:
        terminal.child.close(force=True)


def go_to_end(terminal: Terminal) -> str:
    go_on(terminal, "? Chain cheap", "? Chain expensive", "? Chain specialist")
    text = terminal.until("Which extras?")
    go_on(terminal, *PROMPTS[PROMPTS.index("Which extras?") : -1])
    return text
