"""What the screens ask with: a text, one of a list, several of a list; Ctrl-B raises Back."""

import os
import sys
import textwrap
from collections.abc import Callable, Sequence
from typing import Any

import questionary
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent, merge_key_bindings
from questionary import Choice, Question

KEYS = "Enter takes what is shown, Ctrl-B goes back, Ctrl-C quits."
PICK = "Space picks, Enter goes on"
SHORT = "Space, Enter"
FILTER = "type to filter"
LONG = 10
"""From this many entries on, a list can be filtered by typing."""


class Back(Exception):
    """The user wants the question before."""


def in_order(steps: Sequence[Callable[[], None]]) -> None:
    """Ask step after step; Back goes to the one before, and out of the first of them."""
    at = 0
    while at < len(steps):
        try:
            steps[at]()
            at += 1
        except Back:
            if at == 0:
                raise
            at -= 1


def title(text: str) -> None:
    """An empty screen with a title and the keys; what was above stays in the scrollback."""
    questionary.print("\n" * (_size().lines - 1))
    print("\x1b[H\x1b[J", end="", flush=True)
    say(text)
    say(f"{KEYS}\n")


def say(text: str = "") -> None:
    """Print, wrapped to the terminal with its indent kept."""
    questionary.print(_wrapped(text))


def fits(text: str, rest: int) -> bool:
    """Whether a text and `rest` more lines are on the screen at once."""
    return _wrapped(text).count("\n") + rest < _size().lines


def _wrapped(text: str) -> str:
    width = max(20, _size().columns - 1)
    lines: list[str] = []
    for line in text.split("\n"):
        indent = " " * (len(line) - len(line.lstrip()))
        lines.append(textwrap.fill(line, width, subsequent_indent=indent + "  "))
    return "\n".join(lines)


def text(message: str, default: str, problem: Callable[[str], str | None]) -> str:
    """One line; `problem` says what is wrong with it, or None."""

    def valid(answer: str) -> bool | str:
        told = problem(answer.strip())
        return True if told is None else f"This {told}."

    asked = questionary.text(message, default=default, validate=valid)
    return str(_answer(asked)).strip()


def one(message: str, choices: Sequence[Choice], default: str | None = None) -> str:
    """The value of one choice; a long list is filtered by typing."""
    long = len(choices) >= LONG
    return _answer(
        questionary.select(
            message,
            choices=[_fitted(choice) for choice in choices],
            default=default,
            instruction=f"({FILTER})" if long else " ",
            use_search_filter=long,
            use_jk_keys=False,
        )
    )


def many(message: str, choices: Sequence[Choice]) -> list[str]:
    """The values of the picked choices, in the order they are listed."""
    if not choices:
        return []
    long = len(choices) >= LONG
    return _answer(
        questionary.checkbox(
            message,
            choices=[_fitted(choice) for choice in choices],
            instruction=_instruction(message, f"({PICK}{f', {FILTER}' if long else ''})"),
            use_search_filter=long,
            use_jk_keys=False,
        )
    )


def _instruction(message: str, whole: str) -> str:
    # A prompt breaks in the middle of a word where it does not fit.
    return whole if len(f"? {message} {whole}") < _size().columns else f"({SHORT})"


def _size() -> os.terminal_size:
    # The terminal's own word, as the prompts take it; COLUMNS may be a stale one.
    return os.get_terminal_size(sys.stdout.fileno())


def _fitted(choice: Choice) -> Choice:
    # A list does not wrap: what is wider than the terminal would vanish without a sign.
    room = max(20, _size().columns - 7)
    shown = str(choice.title)
    short = shown if len(shown) <= room else shown[: room - 1] + "…"
    return Choice(short, choice.value, checked=choice.checked)


def _answer(question: Question) -> Any:
    keys = KeyBindings()

    @keys.add("c-b", eager=True)
    def back(event: KeyPressEvent) -> None:
        event.app.exit(exception=Back)

    bound = question.application.key_bindings
    question.application.key_bindings = merge_key_bindings([bound, keys] if bound else [keys])
    return question.unsafe_ask()
