"""Tests of an answer that a stage names in fleet.toml: `checks = ["length:20-2000", "grounded"]`.

A check takes a completion and the call it belongs to, and says why it is rejected, or None. What
follows the first `:` is its argument. A rejected answer is paid for and booked; the next model
is asked. A check of your own is a function of the same form: name it in `wiring.CHECKS`.
"""

import json
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

from pydantic import BaseModel, Field
from pydantic_ai.direct import model_request
from pydantic_ai.messages import ModelResponse

from .attempt import Call, Check, Finding, MakeCheck
from .errors import FleetError, SettingsError
from .run import OUTPUT_TOOL, SubAgent, current

# Typographic quotation marks, apostrophes and dashes, by their code points.
_DOUBLE = "\u201c\u201d\u201e\u00ab\u00bb\u2033"
_SINGLE = "\u2019\u2018\u201a\u2032"
_SIGNS = str.maketrans({**dict.fromkeys(_DOUBLE, '"'), **dict.fromkeys(_SINGLE, "'")})
_DASHES = re.compile("[\u2010-\u2015\u2212]")
_NUMBER = re.compile(
    r"(\d{1,3}(?:[.,' ]\d{3})+(?:[.,]\d+)?|\d+(?:[.,]\d+)?)"
    r"(?:\s?(thousand|million|billion|trillion|bn|k|m)\b)?"
)
_SCALE = {"thousand": 3, "k": 3, "million": 6, "m": 6, "billion": 9, "bn": 9, "trillion": 12}
_WORDS = {
    word: Decimal(at if at <= 20 else 10 * (at - 18))
    for at, word in enumerate(
        (
            *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen"),
            *("seventeen", "eighteen", "nineteen", "twenty", "thirty", "forty", "fifty"),
            *("sixty", "seventy", "eighty", "ninety", "hundred"),
        ),
        start=10,
    )
}
_ISO_DATE = re.compile(r"\b(\d{4})-\d{2}-(\d{2})\b")
_DATE = re.compile(r"\b(\d{1,2})[./](\d{1,2})[./](\d{4})\b")
_QUOTED = re.compile(r'"([^"]+)"')
_FINAL = re.compile(
    r"(?:answer(?: is)?|result(?: is)?|####)\s*:?\s*(.+)|boxed\{(.+)\}", re.IGNORECASE
)
_CHOICE = re.compile(r"\W*([a-z])\W*")


class Score(BaseModel):
    """A judge's verdict: how good an answer is, from 0 to 1, and its worst flaw."""

    score: float = Field(ge=0, le=1)
    reason: str = Field(max_length=500)


JUDGE = SubAgent("judge", Score)


def text_of(completion: ModelResponse) -> str:
    """The answer as text; a typed one as its JSON."""
    for call in completion.tool_calls:
        if call.tool_name == OUTPUT_TOOL:
            return call.args_as_json_str()
    return completion.text or ""


def length(argument: str) -> Check:
    """`length:20-2000`, `length:20-`, `length:-2000`: how many characters an answer has."""
    found = re.fullmatch(r"(\d*)-(\d*)", argument)
    if not found or argument == "-":
        raise ValueError("length takes two numbers of characters, such as length:20-2000")
    least, most = int(found[1] or 0), int(found[2] or 10**9)

    def check(completion: ModelResponse, _: Call) -> str | None:
        size = len(text_of(completion).strip())
        return "too_short" if size < least else "too_long" if size > most else None

    return check


def pattern(argument: str) -> Check:
    """`pattern:^Dear `: a regular expression that has to be found in the answer."""
    try:
        wanted = re.compile(argument, re.MULTILINE)
    except re.error as error:
        raise ValueError(f"pattern takes a regular expression; {error}") from None
    return lambda completion, _: None if wanted.search(text_of(completion)) else "no_match"


def grounded(argument: str) -> Check:
    """`grounded` or `grounded:0.9`: the share of quotes and numbers that the source has."""
    least = _share(argument, "grounded", default=1.0)

    def check(completion: ModelResponse, call: Call) -> Finding:
        source = call.stage.source or _prompt(call)
        absent, of = missing(text_of(completion), source)
        quality = 1 - len(absent) / of if of else 1.0
        return Finding("ungrounded" if quality < least else None, quality, "check")

    return check


def agreement(argument: str) -> Check:
    """`agreement:other` or `agreement:other,intent`: a model of another chain says the same.

    It gets the same request. Compared are the final answers (a number, a choice, a short text),
    or one field of typed ones. No opinion, or one of the same model, rejects nothing.
    """
    chain, _, field = argument.partition(",")
    if not chain:
        raise ValueError("agreement takes a chain, such as agreement:cheap")

    async def check(completion: ModelResponse, call: Call) -> Finding | None:
        chains = call.stage.run.chains
        if chain not in chains:
            raise SettingsError(f"fleet.toml: checks: there is no [chains.{chain}] to agree with.")
        # The same question word for word, billed to the same task, and not checked itself.
        stage = replace(call.stage, agent=SubAgent("second_opinion", str), parent=call)
        token = current.set(stage)
        try:
            other = await model_request(
                chains[chain], call.messages, model_request_parameters=call.parameters
            )
        except FleetError:
            return None
        finally:
            current.reset(token)
        if other.model_name == completion.model_name:
            return None
        agrees = same(text_of(completion), text_of(other), field)
        return Finding(None if agrees else "disagrees", float(agrees), "agreement")

    return check


def judge(argument: str) -> Check:
    """`judge:0.7`: a model scores the answer; alone, `judge` takes the threshold of `[quality]`.

    It asks the chain of `[stages.judge]`, else the one that answered. A judge that cannot be
    asked rejects nothing.
    """
    least = _share(argument, "judge", default=-1.0)

    async def check(completion: ModelResponse, call: Call) -> Finding | None:
        run = call.stage.run
        chain = None if "judge" in run.fleet.stages else call.chain
        text = _case(_prompt(call), call.stage.source, text_of(completion))
        try:
            verdict = await run.ask(JUDGE, text, chain=chain, parent=call)
        except FleetError:
            return None
        threshold = run.fleet.quality.threshold if least < 0 else least
        low = verdict.score < threshold
        return Finding("low_score" if low else None, verdict.score, "judge")

    return check


CHECKS: Mapping[str, MakeCheck] = {
    "length": length,
    "pattern": pattern,
    "grounded": grounded,
    "agreement": agreement,
    "judge": judge,
}


def _share(argument: str, name: str, default: float) -> float:
    try:
        share = float(argument) if argument else default
    except ValueError:
        share = 2.0
    if share > 1 or (argument and share < 0):
        raise ValueError(f"{name} takes a number from 0 to 1, such as {name}:0.7")
    return share


def _prompt(call: Call) -> str:
    asked = [p.content for m in call.messages for p in m.parts if p.part_kind == "user-prompt"]
    last = asked[-1] if asked else ""
    return last if isinstance(last, str) else "\n".join(t for t in last if isinstance(t, str))


def _case(task: str, source: str | None, answer: str) -> str:
    given = f"<source>\n{source}\n</source>\n\n" if source else ""
    return f"<task>\n{task}\n</task>\n\n{given}<answer>\n{answer}\n</answer>"


def plain(text: str) -> str:
    """A text without what is only spelling: case, white space, typographic signs."""
    text = _DASHES.sub("-", unicodedata.normalize("NFKC", text).translate(_SIGNS))
    return " ".join(text.casefold().split())


def missing(answer: str, source: str) -> tuple[list[str], int]:
    """The quotes and numbers of an answer that its source does not have, and of how many.

    A quote is a passage of three words or more in quotation marks, and every `quote` or `quotes`
    of a typed answer. Whole numbers under 10, and scores from 0 to 1 in a typed answer, are taken
    for the model's own.
    """
    known, have = plain(source), set(_values(source))
    absent: list[str] = []
    claims = 0
    for key, leaf in _leaves(_typed(answer)):
        quotes, numbers = _claims(key, leaf)
        claims += len(quotes) + len(numbers)
        absent += [quote for quote in quotes if not _occurs(quote, known)]
        absent += [shown for shown, readings in numbers if not readings & have]
    return absent, claims


def same(one: str, other: str, field: str = "") -> bool:
    """Whether two answers agree: on a field of theirs, on every field, or on how they end.

    Of a text counts what follows "answer:", else its last line; of that its last number, a
    choice such as "(B)", or the words.
    """
    left, right = (
        sorted(
            (key, _final(str(leaf))) for key, leaf in _leaves(_typed(text)) if field in ("", key)
        )
        for text in (one, other)
    )
    return len(left) == len(right) and all(
        a[0] == b[0] and _equal(a[1], b[1]) for a, b in zip(left, right, strict=True)
    )


def _equal(one: str, other: str) -> bool:
    numbers = [list(_readings(text)) for text in (one, other)]
    if numbers[0] and numbers[1]:
        return bool(numbers[0][-1][1] & numbers[1][-1][1])
    choices = [_CHOICE.fullmatch(text) for text in (one, other)]
    if choices[0] and choices[1]:
        return choices[0][1] == choices[1][1]
    words = [
        [w for w in re.findall(r"\w+", t) if w not in ("the", "a", "an")] for t in (one, other)
    ]
    return words[0] == words[1]


def _final(text: str) -> str:
    text = plain("\n".join(text.strip().splitlines()[-1:])) if "\n" in text else plain(text)
    found = list(_FINAL.finditer(text))
    return (found[-1][1] or found[-1][2]) if found else text


def _typed(answer: str) -> Any:
    try:
        value: Any = json.loads(answer)
    except ValueError:
        return answer
    return cast(Any, value) if isinstance(value, dict | list) else answer


def _leaves(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, inner in cast(dict[str, Any], value).items():
            yield from _leaves(inner, name)
    elif isinstance(value, list):
        for inner in cast(list[Any], value):
            yield from _leaves(inner, key)
    elif value is not None and not isinstance(value, bool):
        yield key, value


def _claims(key: str, leaf: Any) -> tuple[list[str], list[tuple[str, set[Decimal]]]]:
    if isinstance(leaf, int | float):
        own = 0 <= leaf <= 1 or (leaf == int(leaf) and abs(leaf) < 10)
        return [], [] if own else [(str(leaf), {abs(Decimal(str(leaf)))})]
    text = plain(str(leaf))
    quotes = [quote for quote in _QUOTED.findall(text) if len(quote.split()) >= 3]
    if key in ("quote", "quotes"):
        quotes = [text]
    for quote in quotes:
        text = text.replace(quote, " ")  # its numbers stand or fall with it
    dated = _ISO_DATE.sub(r"\1 \2", text)
    dated = _DATE.sub(lambda d: f"{d[3]} {max(int(d[1]), int(d[2]))}", dated)
    numbers = [(shown, found) for shown, found in _readings(dated) if not _own(found)]
    return quotes, numbers


def _own(readings: set[Decimal]) -> bool:
    return all(value < 10 and value == int(value) for value in readings)


def _occurs(quote: str, source: str) -> bool:
    parts = re.split(r"\[?(?:\.\.\.|…)\]?", quote)
    return all(part.strip(" .,;:!?") in source for part in parts)


def _values(text: str) -> Iterator[Decimal]:
    text = plain(text)
    for _, readings in _readings(text):
        yield from readings
    yield from (_WORDS[word] for word in re.findall(r"[a-z]+", text) if word in _WORDS)


def _readings(text: str) -> Iterator[tuple[str, set[Decimal]]]:
    """Each number of a text, with what it may mean: "1.234" is 1234 to some."""
    for found in _NUMBER.finditer(text):
        digits = found[1].replace("'", "").replace(" ", "")
        head, mark, tail = digits.rpartition("," if digits.rfind(",") > digits.rfind(".") else ".")
        values = set[Decimal]()
        if not mark or len(tail) == 3:
            values.add(Decimal(re.sub(r"[.,]", "", digits)))
        if mark and mark not in head:
            values.add(Decimal(f"{re.sub(r'[.,]', '', head)}.{tail}"))
        scale = Decimal(10) ** _SCALE.get(found[2] or "", 0)
        yield found[0], {value * factor for value in values for factor in (Decimal(1), scale)}
