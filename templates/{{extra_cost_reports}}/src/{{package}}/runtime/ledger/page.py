"""The cost report as one HTML page: no script, no network, every text escaped.

Amounts are `<data value="NANO-DOLLARS">`, so that the page can be read back by a program. The frame
and the style are in page.html.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from math import sqrt
from pathlib import Path
from string import Template

from ..errors import FleetError
from .attempt import DEMO
from .findings import Finding, Question
from .queries import Totals, day_of, sums, total
from .report_text import HEADS, Report, cells, dollars, lacking, money, per_success, percent
from .saving import Saving

WEEKS = 12


class Html(str):
    """Markup. Any other string is escaped where it becomes a part of one."""


def tag(name: str, *children: str, **attributes: str) -> Html:
    """Write an element; an attribute's last `_` is dropped, and its other ones become `-`."""
    written = "".join(
        f' {key.removesuffix("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
    )
    inner = "".join(child if isinstance(child, Html) else escape(child) for child in children)
    return Html(f"<{name}{written}>{inner}</{name}>")


def write(path: Path, page: str) -> str:
    """Write a page; returns what to tell. Raises FleetError."""
    try:
        path.write_text(page, "utf-8")
    except OSError as error:
        raise FleetError(f"{path} cannot be written: {error.strerror}") from None
    return f"Wrote {path}: open it in a browser."


def html(
    asked: Report,
    found: Sequence[Finding],
    month: str,
    question: Question,
    saving: Saving | None = None,
) -> str:
    """Write the whole page. Raises LedgerError."""
    frame = Template(Path(__file__).with_name("page.html").read_text("utf-8"))
    return frame.substitute(
        title=f"Costs, {day_of(asked.since)} to {day_of(asked.today)}",
        period=_period(asked),
        figures=_figures(asked, saving),
        saving=tag("p", str(saving), class_="month") if saving else "",
        month=escape(month),
        findings=_findings(found, asked),
        heat=_heat(asked, question),
        weeks=_weeks(asked, question),
        detail=_detail(asked),
        unpriced=_list_unpriced(asked),
        made=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )


def _period(asked: Report) -> str:
    first, last = (tag("time", str(day_of(day))) for day in (asked.since, asked.today))
    if asked.environment == DEMO:
        return f"{first} to {last}, recorded answers of the demo: nothing of this was billed."
    return f"{first} to {last}, environment: {escape(asked.environment or 'all live')}."


def _figures(asked: Report, saving: Saving | None) -> Html:
    now, before = total(asked.rows), total(asked.before.values())
    grown = now.cost_nano_usd - before.cost_nano_usd
    change = f", {100 * grown / before.cost_nano_usd:+.0f} %" if before.cost_nano_usd else ""
    billed = f"{now.unpriced:,} of {now.priced + now.unpriced:,} billed"
    facts = [
        (f"Cost in {asked.days} days", _amount(now), f"before: {money(before)}{change}"),
        ("Calls", f"{now.calls:,}", f"before: {before.calls:,}"),
        ("Cost per success", per_success(now), f"before: {per_success(before)}"),
        ("Failed", percent(now.failure_rate), f"before: {percent(before.failure_rate)}"),
        ("Without a price", percent(now.unpriced_share), billed),
        ("Without usage", f"{now.unmeasured:,}", f"before: {before.unmeasured:,}"),
    ]
    saved = saving.saved_nano_usd if saving else None
    if saving and saved is not None and (saved or saving.cost_nano_usd):
        value = tag("data", dollars(abs(saved)), value=str(saved))
        beside = f"one call of {saving.model} each: {dollars(saving.baseline_nano_usd)}"
        facts.insert(1, ("Saved" if saved >= 0 else "Cost more", value, beside))
    tiles = [
        tag("div", tag("dt", name), tag("dd", value), tag("dd", note, class_="quiet"))
        for name, value, note in facts
    ]
    return tag("dl", *tiles)


def _findings(found: Sequence[Finding], asked: Report) -> Html:
    if not found:
        empty = f"No calls in these {asked.days} days."
        return tag("p", "Nothing stands out." if asked.rows else empty)
    return tag("ol", *map(_finding, found), class_="findings")


def _finding(finding: Finding) -> Html:
    badge = tag("span", finding.basis, class_=f"badge {finding.basis}")
    usd = finding.nano_usd_per_month
    dear = [tag("data", dollars(usd), value=str(usd)), tag("span", "a month")]
    return tag(
        "li",
        tag("p", *([tag("span", "urgent")] if finding.urgent else dear), class_="worth"),
        tag(
            "div",
            tag("p", finding.text),
            tag("p", finding.action, class_="action"),
            tag("p", badge, finding.kind.replace("_", " "), class_="quiet"),
        ),
    )


def _heat(asked: Report, question: Question) -> Html:
    """Set tasks down, models across, the dearest first; the warmer a cell, the more it cost."""
    by = ("task_type", "request_model")
    pairs = sums(question.location, by, asked.since, environment=asked.environment)
    found = {row.key: row for row in pairs}
    tasks, models = _by_cost(pairs, 0), _by_cost(pairs, 1)
    most = max((row.cost_nano_usd for row in pairs), default=0)
    rows = [
        _row(task, [*(_warm(found.get((task, model)), most) for model in models), _sum(row)])
        for task, row in tasks.items()
    ]
    caption = "Cost by task and model, with attempts and cost per success; warmer is dearer"
    foot = _row("All tasks", map(_sum, [*models.values(), total(pairs)]))
    return _table(caption, ["Task"], [*models, "All models"], rows, foot)


def _warm(row: Totals | None, most: int) -> Html:
    if row is None:
        return tag("td", tag("span", "-", aria_label="not asked"), class_="none")
    heat = sqrt(row.cost_nano_usd / most) if most else 0
    notes = [f"{row.attempts:,} attempts{lacking(row)}"]
    if row.nano_usd_per_success is not None:
        notes.append(f"{per_success(row)} per success")
    small = [tag("small", note) for note in notes]
    return tag("td", _amount(row), *small, class_="warm", style=f"--heat:{heat:.3f}")


def _weeks(asked: Report, question: Question) -> Html:
    """Set a line for each week since the first call, at least the report's own, 26 at most."""
    shown = min(26, max(WEEKS, -(-asked.days // 7)))
    first, end = asked.today + 1 - 7 * shown, asked.today + 1
    weeks = sums(question.location, ("week",), first, end, asked.environment)
    found = {row.key[0]: row for row in weeks}
    most = max((row.cost_nano_usd for row in weeks), default=0)
    rows: list[Html] = []
    for day in range(min(found, default=end), end, 7):
        row = found.get(day) or total([])
        share = row.cost_nano_usd / most if most else 0
        bar = tag("span", style=f"--share:{100 * share:.1f}%", aria_hidden="true")
        cells = [tag("td", _amount(row)), tag("td", bar, class_="bar")]
        cells += [tag("td", f"{row.calls:,}{lacking(row)}")]
        cells += [tag("td", per_success(row)), tag("td", percent(row.failure_rate))]
        rows.append(_row(str(day_of(day)), cells))
    caption = "Cost in weeks of seven days, the last one ending today"
    heads = ["Cost", "", "Calls", "Per success", "Failed"]
    return _table(caption, ["Seven days from"], heads, rows)


def _detail(asked: Report) -> Html:
    names = [name.removeprefix("request_").replace("_type", "").capitalize() for name in asked.by]
    rows: list[Html] = []
    for name, row, before in asked.groups():
        named = [tag("th", part or "-", scope="row") for part in name]
        figures = [tag("td", cell) for cell in cells(row, before)]
        rows.append(tag("tr", *named, *figures))
    caption = f"The last {asked.days} days beside the {asked.days} before"
    return _table(caption, names, [f"{head[0].upper()}{head[1:]}" for head in HEADS], rows)


def _list_unpriced(asked: Report) -> str:
    parts = "" if asked.unpriced else tag("p", "Every attempt that was billed has a price.")
    for what, models, hint in (
        (
            "a price",
            asked.unpriced,
            "Add their prices to prices.toml (`scaffold add extra prices`).",
        ),
        ("usage", asked.unmeasured, "Their provider did not say how many tokens they took."),
    ):
        rows = [_row(model, [tag("td", f"{count:,}")]) for model, count in models.items()]
        if rows:
            parts += tag("p", f"Their cost is in no figure on this page. {hint}")
            parts += _table(f"Models without {what}", ["Model"], ["Attempts"], rows)
    return parts


def _table(
    caption: str,
    names: Iterable[str],
    heads: Iterable[str],
    rows: Iterable[Html],
    foot: Html | None = None,
) -> Html:
    head = [tag("th", name, scope="col", class_="name") for name in names]
    head += [tag("th", one, scope="col") if one else tag("td") for one in heads]
    parts = [tag("thead", tag("tr", *head)), tag("tbody", *rows)]
    parts += [tag("tfoot", foot)] if foot else []
    table = tag("table", tag("caption", caption), *parts)
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _row(name: str, cells: Iterable[Html]) -> Html:
    return tag("tr", tag("th", name, scope="row"), *cells)


def _sum(row: Totals) -> Html:
    small = [tag("small", lacking(row))] if lacking(row) else []
    return tag("td", _amount(row), *small, class_="sum")


def _amount(row: Totals) -> Html:
    return tag("data", money(row), value=str(row.cost_nano_usd) if row.priced else "")


def _by_cost(pairs: Sequence[Totals], at: int) -> dict[str, Totals]:
    names = dict.fromkeys(row.key[at] for row in pairs)
    sums_ = {name: total(row for row in pairs if row.key[at] == name) for name in names}
    return dict(sorted(sums_.items(), key=lambda item: -item[1].cost_nano_usd))
