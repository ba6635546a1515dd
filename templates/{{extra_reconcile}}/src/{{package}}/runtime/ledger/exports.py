"""A provider's usage or cost export, read row by row: what is broken is named, the rest goes on.

Known: OpenAI's and Anthropic's usage and cost APIs as JSON (one answer, a list, or one a line;
of Anthropic both the reports and the newer analytics) and their dashboards' CSV. Any other CSV is
read with a map from our fields to its columns.
"""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any, cast

from ..errors import FleetError
from .attempt import DAY_S
from .export_formats import FORMATS, KINDS, LABELS, Columns, Format

COUNTED = {*KINDS, "total_input"}


@dataclass(slots=True)
class Billed:
    """What a provider says of one model on one day; `slack` is what its rounding may hide."""

    tokens: dict[str, int] = field(default_factory=dict[str, int])
    usd: Decimal | None = None
    slack: Decimal = Decimal(0)


@dataclass(slots=True)
class Export:
    """An export by (day, model), what could not be read of it, and columns nobody asked for.

    `days` are those that it covers, also where nothing was asked. A dashboard's CSV is `rounded` to
    the digits it shows; an API's JSON is not.
    """

    name: str
    provider: str | None = None
    rounded: bool = False
    days: set[int] = field(default_factory=set[int])
    billed: dict[tuple[int, str], Billed] = field(default_factory=dict[tuple[int, str], Billed])
    broken: list[str] = field(default_factory=list[str])
    unread: list[str] = field(default_factory=list[str])

    @property
    def kinds(self) -> set[str]:
        """The kinds of figures it has: "usd", or some of KINDS."""
        counted = {kind for one in self.billed.values() for kind in one.tokens}
        return counted | {"usd" for one in self.billed.values() if one.usd is not None}


def read(path: Path, columns: Columns | None = None) -> Export:
    """Read a file in a known format, or with the given columns. Raises FleetError."""
    try:
        text = path.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise FleetError(f"{path} cannot be read as UTF-8 text: {error}") from None
    export = Export(path.name, rounded=text.lstrip()[:1] not in {"[", "{"})
    try:
        heads, rows = _csv_rows(text) if export.rounded else _json_rows(text, export)
    except csv.Error as error:
        raise FleetError(f"{path} cannot be read as CSV: {error}") from None
    format_ = Format("map", None, (), columns) if columns else _recognise(path, heads)
    export.name, export.provider = f"{path.name} ({format_.name})", format_.provider
    used = {name for names in format_.columns.values() for name in names}
    if missing := sorted(used - {*heads}) if columns else []:
        raise FleetError(f"{path} has no column '{missing[0]}'", f"it has {', '.join(heads)}")
    export.unread = [name for name in heads if name not in used]
    for where, row in rows:
        try:
            _add(row, format_.columns, export)
        except (ValueError, InvalidOperation, OverflowError) as error:
            export.broken.append(f"{where}: {error}")
    return export


def plain_name(model: str) -> str:
    """Strip a model's name of its date, as different exports and price lists write it."""
    name = re.sub(r"[ ._]+", "-", model.strip().lower())
    return re.sub(r"-(\d{8}|\d{4}-\d{2}-\d{2}|latest)$", "", name)


def _add(row: Mapping[str, Any], columns: Columns, export: Export) -> None:
    values = {
        name: [row[one] for one in names if row.get(one) not in (None, "")]
        for name, names in columns.items()
    }
    measures = [name for name in values if name not in LABELS and values[name]]
    if "end" in values and values["day"] and not measures:
        export.days.add(_day(values))  # nothing was asked on that day
    if not measures:
        return
    day = _day(values)
    if currency := [text for text in values.get("currency", []) if str(text).lower() != "usd"]:
        raise ValueError(f"in {currency[0]}, not in USD")
    model = str((values.get("model") or values.get("item") or [""])[0]).partition(",")[0]
    tokens = {name: sum(map(_count, values[name])) for name in measures if name in COUNTED}
    if "total_input" in tokens:
        apart = tokens.get("cached", 0) + tokens.get("cache_write", 0)
        tokens["input"] = tokens.pop("total_input") - apart
    usd = [_usd(value, 1) for value in values.get("usd", [])]
    usd += [_usd(value, 100) for value in values.get("cents", [])]
    export.days.add(day)
    billed = export.billed.setdefault((day, plain_name(model)), Billed())
    for kind, count in tokens.items():
        billed.tokens[kind] = billed.tokens.get(kind, 0) + count
    for amount, slack in usd:
        billed.usd = (billed.usd or Decimal(0)) + amount
        billed.slack += slack if export.rounded else 0


def _day(values: Mapping[str, list[Any]]) -> int:
    if not values["day"]:
        raise ValueError("no day")
    begin = _seconds(values["day"][0])
    end = _seconds(values["end"][0]) if values.get("end") else begin
    if end - begin > DAY_S:
        raise ValueError("it covers more than a day: ask for buckets of one day")
    return int(begin // DAY_S)


def _seconds(value: object) -> float:
    """Return seconds since 1970 of a time in seconds or ISO 8601; UTC where it names no zone."""
    text = str(value).strip()
    if re.fullmatch(r"\d{9,11}(\.0*)?", text):
        return float(text)
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    return moment.replace(tzinfo=moment.tzinfo or UTC).timestamp()


def _count(value: object) -> int:
    number = _number(value)
    if number < 0 or number != int(number):
        raise ValueError(f"'{value}' is not a count")
    return int(number)


def _usd(value: object, parts: int) -> tuple[Decimal, Decimal]:
    """Return an amount, and half of its last digit."""
    number = _number(value)
    exponent = number.as_tuple().exponent
    digits = exponent if isinstance(exponent, int) else 0
    return number / parts, Decimal(5).scaleb(min(0, digits) - 1) / parts


def _number(value: object) -> Decimal:
    text = str(value).strip().removeprefix("$")
    if re.fullmatch(r"[1-9]\d{0,2}(,\d{3})+(\.\d+)?", text):
        text = text.replace(",", "")
    try:
        number = Decimal(text)
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise ValueError(f"'{value}' is not a number")
    return number


def _recognise(path: Path, heads: Iterable[str]) -> Format:
    names = {*heads}
    for format_ in FORMATS:
        if names.issuperset(format_.mark):
            return format_
    raise FleetError(
        f"{path} is in no known format (columns: {', '.join(sorted(names)) or 'none'})",
        "say which column is which: "
        "--map day=COLUMN,model=COLUMN,input=COLUMN,output=COLUMN,usd=COLUMN",
    )


Rows = tuple[list[str], list[tuple[str, dict[str, Any]]]]
"""The names of the columns, and every row with its place in the file."""


def _csv_rows(text: str) -> Rows:
    reader = csv.DictReader(io.StringIO(text))
    reader.fieldnames = heads = [name.strip() for name in reader.fieldnames or []]
    return heads, [(f"line {reader.line_num}", dict(row)) for row in reader]


def _json_rows(text: str, export: Export) -> Rows:
    """Return the results of every page's buckets, each with its bucket's times; or flat rows."""
    rows: list[tuple[str, dict[str, Any]]] = []
    for page in _pages(text, export):
        if page.get("has_more"):
            export.broken.append("a page that has more after it: fetch the next one too")
        for at, bucket in enumerate(_objects(page.get("data"), "data", export)):
            times = {key: value for key, value in bucket.items() if key != "results"}
            where = f"data[{at}]"
            results = list(_objects(bucket.get("results"), f"{where}.results", export))
            rows += [
                (f"{where}.results[{number}]", _flat({**times, **result}))
                for number, result in enumerate(results)
            ] or [(where, _flat(times))]
    return list(dict.fromkeys(name for _, row in rows for name in row)), rows


def _pages(text: str, export: Export) -> Iterator[dict[str, Any]]:
    try:
        whole = cast("object", json.loads(text, parse_float=Decimal))
        pages = cast("list[object]", whole) if isinstance(whole, list) else [whole]
        yield from _objects(pages, "page", export)
    except ValueError:
        for number, line in enumerate(text.splitlines(), 1):
            try:
                one: list[object] = [json.loads(line, parse_float=Decimal)] if line.strip() else []
            except ValueError as error:
                export.broken.append(f"line {number}: no JSON ({error})")
                continue
            yield from _objects(one, f"line {number}", export)


def _objects(values: object, where: str, export: Export) -> Iterator[dict[str, Any]]:
    items = cast("list[object]", values) if isinstance(values, list) else []
    for at, value in enumerate(items):
        if isinstance(value, dict):
            yield cast("dict[str, Any]", value)
        else:
            export.broken.append(f"{where}[{at}]: not an object")


def _flat(row: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, dict):
            flat |= _flat(cast("dict[str, Any]", value), f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat
