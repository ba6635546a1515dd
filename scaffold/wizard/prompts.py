"""Prompts of the screens: a text, one of a list, several of a list; Ctrl-B raises Back."""

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


def ask_in_order(steps: Sequence[Callable[[], None]]) -> None:
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


def print_title(text: str) -> None:
    """Clear the screen and print a title and the keys; the scrollback keeps what was above."""
    questionary.print("\n" * (_measure().lines - 1))
    print("\x1b[H\x1b[J", end="", flush=True)
    say(text)
    say(f"{KEYS}\n")


def say(text: str = "") -> None:
    """Print, wrapped to the terminal with its indent kept."""
    questionary.print(_wrap(text))


def fits(text: str, rest: int) -> bool:
    """Tell whether a text and `rest` more lines fit on the screen at once."""
    return _wrap(text).count("\n") + rest < _measure().lines


def _wrap(text: str) -> str:
    width = max(20, _measure().columns - 1)
    lines: list[str] = []
    for line in text.split("\n"):
        indent = " " * (len(line) - len(line.lstrip()))
        lines.append(textwrap.fill(line, width, subsequent_indent=indent + "  "))
    return "\n".join(lines)


def ask_text(message: str, default: str, problem: Callable[[str], str | None]) -> str:
    """Ask for one line; `problem` says what is wrong with it, or None."""

    def validate(answer: str) -> bool | str:
        what = problem(answer.strip())
        return True if what is None else f"This {what}."

    asked = questionary.text(message, default=default, validate=validate)
    return str(_answer(asked)).strip()


def ask_one(message: str, choices: Sequence[Choice], default: str | None = None) -> str:
    """Ask for one choice and return its value; a long list is filtered by typing."""
    long = len(choices) >= LONG
    return _answer(
        questionary.select(
            message,
            choices=[_fit(choice) for choice in choices],
            default=default,
            instruction=f"({FILTER})" if long else " ",
            use_search_filter=long,
            use_jk_keys=False,
        )
    )


def ask_many(message: str, choices: Sequence[Choice]) -> list[str]:
    """Ask for any choices and return their values, in the order they are listed."""
    if not choices:
        return []
    long = len(choices) >= LONG
    return _answer(
        questionary.checkbox(
            message,
            choices=[_fit(choice) for choice in choices],
            instruction=_fit_instruction(message, f"({PICK}{f', {FILTER}' if long else ''})"),
            use_search_filter=long,
            use_jk_keys=False,
        )
    )


def _fit_instruction(message: str, whole: str) -> str:
    # A prompt breaks in the middle of a word where it does not fit.
    return whole if len(f"? {message} {whole}") < _measure().columns else f"({SHORT})"


def _measure() -> os.terminal_size:
    # Ask the terminal, as the prompts do; the variable COLUMNS may be stale.
    return os.get_terminal_size(sys.stdout.fileno())


def _fit(choice: Choice) -> Choice:
    # A list does not wrap: what is wider than the terminal would vanish without a sign.
    room = max(20, _measure().columns - 7)
    line = str(choice.title)
    short = line if len(line) <= room else line[: room - 1] + "…"
    return Choice(short, choice.value, checked=choice.checked)


def _answer(question: Question) -> Any:
    keys = KeyBindings()

    @keys.add("c-b", eager=True)
    def back(event: KeyPressEvent) -> None:
        event.app.exit(exception=Back)

    bound = question.application.key_bindings
    question.application.key_bindings = merge_key_bindings([bound, keys] if bound else [keys])
    return question.unsafe_ask()
