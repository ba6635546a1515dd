"""The wizard on a real terminal of 80x24: keys in, screen out."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pexpect
import pyte
import pytest
import yaml

ROOT = Path(__file__).parents[1]
SECONDS = 20
ENTER, BACK, INTERRUPT, DOWN = "\r", "\x02", "\x03", "\x1b[B"

SCREENS = [
    "What is the project called?",
    "What does it do",
    "Which patterns?",
    "Which providers?",
    "? Chain cheap",
    "? Chain expensive",
    "? Chain specialist",
    "? Sub-agents",
    "go to the expensive chain",
    "Monthly budget",
    "What else?",
    "Write this workspace?",
]


class Terminal:
    """A `scaffold new` in a terminal; `until` reads until a text is on its last prompt."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.screen = pyte.Screen(80, 24)
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
            },
            dimensions=(24, 80),
            encoding="utf-8",
            timeout=SECONDS,
        )
        self.seen = ""

    def until(self, prompt: str) -> str:
        """The screen once its last question holds `prompt`."""
        while prompt not in self._asked():
            try:
                self._feed(self.child.read_nonblocking(4096, timeout=SECONDS))
            except (pexpect.EOF, pexpect.TIMEOUT) as error:
                raise AssertionError(f"never saw {prompt!r}:\n{self.text()}") from error
        return self.text()

    def press(self, keys: str) -> None:
        self.child.send(keys)

    def status(self) -> int | None:
        """The exit status, once the program has ended."""
        self._feed(self.child.read())
        self.child.wait()
        return self.child.exitstatus

    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self.screen.display).strip()

    def _feed(self, text: str) -> None:
        self.seen += text
        self._stream.feed(text)

    def _asked(self) -> str:
        lines = [line.rstrip() for line in self.screen.display]
        starts = [at for at, line in enumerate(lines) if line.startswith("? ")]
        return " ".join(lines[starts[-1] :]) if starts else ""


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    started = Terminal(tmp_path)
    yield started
    started.child.close(force=True)


def go_to(terminal: Terminal, screen: str) -> str:
    for prompt in SCREENS:
        text = terminal.until(prompt)
        if prompt == screen:
            return text
        terminal.press(ENTER)
    raise AssertionError(f"{screen} is no screen")


def test_enter_all_the_way_writes_the_default_workspace(terminal: Terminal, tmp_path: Path) -> None:
    go_to(terminal, "Write this workspace?")
    terminal.press(ENTER)
    assert terminal.status() == 0
    answers = yaml.safe_load((tmp_path / "desk" / ".copier-answers.yml").read_text())
    assert answers["patterns"] == ["router"]
    assert answers["providers"] == ["anthropic", "openai"]
    assert "hush-hush" not in terminal.seen


@pytest.mark.parametrize(
    "screen", ["What is the project called?", "Which providers?", "? Sub-agents"]
)
def test_ctrl_c_leaves_nothing_behind(terminal: Terminal, tmp_path: Path, screen: str) -> None:
    go_to(terminal, screen)
    terminal.press(INTERRUPT)
    assert terminal.status() == 130
    assert list(tmp_path.iterdir()) == []
    assert "Traceback" not in terminal.seen


def test_ctrl_b_goes_back_one_screen(terminal: Terminal) -> None:
    go_to(terminal, "Which providers?")
    terminal.press(BACK)
    terminal.until("Which patterns?")


def test_a_provider_shows_whether_its_key_is_set(terminal: Terminal) -> None:
    text = go_to(terminal, "Which providers?")
    assert "OPENAI_API_KEY set" in text
    assert "more …" in text


def test_a_chain_shows_prices_and_cost(terminal: Terminal) -> None:
    text = go_to(terminal, "? Chain cheap")
    assert "per million" in text
    assert "per 1,000 requests" in text


def test_cancel_writes_nothing(terminal: Terminal, tmp_path: Path) -> None:
    go_to(terminal, "Write this workspace?")
    terminal.press(DOWN + DOWN + ENTER)
    assert terminal.status() == 0
    assert list(tmp_path.iterdir()) == []
