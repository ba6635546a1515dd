"""What a command prints about mistakes: `error: …` and, on a line of its own, `hint: …`."""


def mistakes(shown: str) -> list[str]:
    """Return each error with its hint, joined by a semicolon; fail on any other line."""
    lines = shown.splitlines()
    errors, hints = lines[::2], lines[1::2]
    assert len(errors) == len(hints), shown
    assert all(line.startswith("error: ") for line in errors), shown
    assert all(line.startswith("hint: ") for line in hints), shown
    return [
        f"{error.removeprefix('error: ')}; {hint.removeprefix('hint: ')}"
        for error, hint in zip(errors, hints, strict=True)
    ]


def one_mistake(shown: str) -> str:
    """Return the one error with its hint; fail where there is none or another line."""
    [only] = mistakes(shown)
    return only
