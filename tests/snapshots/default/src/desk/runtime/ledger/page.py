"""The cost report as one HTML page: no script, no network, every text escaped.

Amounts are `<data value="NANO-DOLLARS">`, so that the page can be read back by a program.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from html import escape
from math import sqrt

from .findings import Finding, Question
from .queries import (
    DEMO,
    Report,
    Totals,
    day_of,
    dollars,
    escalation_rate,
    labels,
    money,
    per_success,
    percent,
    sums,
    total,
)

WEEKS = 12


class Html(str):
    """Markup. Any other string is escaped where it becomes a part of one."""


def tag(name: str, *children: str, **attributes: str) -> Html:
    """An element; an attribute's trailing `_` is dropped and its other ones become `-`."""
    told = "".join(
        f' {key.removesuffix("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items()
    )
    inner = "".join(child if isinstance(child, Html) else escape(child) for child in children)
    return Html(f"<{name}{told}>{inner}</{name}>")


def html(asked: Report, found: Sequence[Finding], month: str, question: Question) -> str:
    """The whole page. Raises LedgerError."""
    tasks = ("task_type", "request_model")
    pairs = sums(question.location, tasks, asked.since, environment=asked.environment)
    shown = min(26, max(WEEKS, -(-asked.days // 7)))
    first = asked.today + 1 - 7 * shown
    weeks = sums(question.location, ("week",), first, asked.today + 1, asked.environment)
    title = f"Costs, {day_of(asked.since)} to {day_of(asked.today)}"
    body = tag(
        "main",
        _head(title, asked),
        _figures(asked, month),
        _section("What to change", "findings", _findings(found)),
        _section("Where the money goes", "heat", _heat(pairs)),
        _section("Week by week", "weeks", _weeks(weeks, first, shown)),
        _section("In detail", "detail", _detail(asked)),
        _section("Without a price", "unpriced", _unpriced(asked)),
        _foot(),
    )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f"{tag('title', title)}<style>{STYLE}</style></head><body>{body}</body></html>\n"
    )


def _head(title: str, asked: Report) -> Html:
    demo = "Recorded answers of the demo: nothing of this was billed."
    told = demo if asked.environment == DEMO else f"Environment: {asked.environment or 'all live'}."
    return tag("header", tag("h1", title), tag("p", told, class_="quiet"))


def _figures(asked: Report, month: str) -> Html:
    now, before = total(asked.rows), total(asked.before.values())
    calls = f"{now.unpriced:,} of {now.priced + now.unpriced:,} billed"
    facts = [
        (f"Cost in {asked.days} days", _amount(now), f"before: {money(before)}{_change(asked)}"),
        ("Calls", Html(f"{now.calls:,}"), f"before: {before.calls:,}"),
        ("Cost per success", Html(per_success(now)), f"before: {per_success(before)}"),
        ("Failed", Html(percent(now.failure_rate)), f"before: {percent(before.failure_rate)}"),
        ("Without a price", Html(percent(now.unpriced_share)), calls),
    ]
    tiles = [
        tag("div", tag("dt", name), tag("dd", value), tag("dd", note, class_="quiet"))
        for name, value, note in facts
    ]
    return tag("section", tag("dl", *tiles), tag("p", month, class_="month"), aria_label="Figures")


def _change(asked: Report) -> str:
    now, before = total(asked.rows).cost_nano_usd, total(asked.before.values()).cost_nano_usd
    return f", {100 * (now - before) / before:+.0f} %" if before else ""


def _findings(found: Sequence[Finding]) -> Html:
    if not found:
        return tag("p", "Nothing stands out.")
    return tag("ol", *map(_finding, found), class_="findings")


def _finding(finding: Finding) -> Html:
    return tag(
        "li",
        tag("p", _nano(finding.nano_usd_per_month), tag("span", "a month"), class_="saving"),
        tag(
            "div",
            tag("p", finding.text),
            tag("p", finding.action, class_="action"),
            tag(
                "p",
                tag("span", finding.basis, class_=f"badge {finding.basis}"),
                finding.kind.replace("_", " "),
                class_="quiet",
            ),
        ),
    )


def _heat(pairs: Sequence[Totals]) -> Html:
    """Tasks down, models across, the dearest first; the warmer a cell, the more it cost."""
    tasks = _by_cost(pairs, 0)
    models = _by_cost(pairs, 1)
    cells = {row.key: row for row in pairs}
    most = max((row.cost_nano_usd for row in pairs), default=0)
    head = tag("tr", tag("th", "Task", scope="col"), *_heads([*models, "All models"]))
    rows = [
        tag(
            "tr",
            tag("th", task, scope="row"),
            *(_warm(cells.get((task, model)), most) for model in models),
            tag("td", _amount(sum_), class_="sum"),
        )
        for task, sum_ in tasks.items()
    ]
    foot = tag(
        "tr",
        tag("th", "All tasks", scope="row"),
        *(tag("td", _amount(sum_), class_="sum") for sum_ in models.values()),
        tag("td", _amount(total(pairs)), class_="sum"),
    )
    caption = "Cost by task and model, with calls and cost per success; warmer is dearer"
    return _table(caption, head, rows, foot)


def _warm(row: Totals | None, most: int) -> Html:
    if row is None:
        return tag("td", tag("span", "-", aria_label="not asked"), class_="none")
    heat = sqrt(row.cost_nano_usd / most) if most else 0
    notes = [f"{row.attempts:,} calls"]
    if row.nano_usd_per_success is not None:
        notes.append(f"{per_success(row)} per success")
    small = [tag("small", note) for note in notes]
    return tag("td", _amount(row), *small, class_="warm", style=f"--heat:{heat:.3f}")


def _weeks(weeks: Sequence[Totals], first: int, shown: int) -> Html:
    found = {row.key[0]: row for row in weeks}
    rows_of = [found.get(week) or total([], (week,)) for week in range(shown)]
    begun = min(found, default=shown)
    most = max((row.cost_nano_usd for row in weeks), default=0)
    heads = ["Cost", "", "Calls", "Per success", "Failed"]
    rows = [
        tag(
            "tr",
            tag("th", str(day_of(first + 7 * row.key[0])), scope="row"),
            tag("td", _amount(row)),
            tag("td", _bar(row.cost_nano_usd / most if most else 0), class_="bar"),
            tag("td", f"{row.calls:,}"),
            tag("td", per_success(row)),
            tag("td", percent(row.failure_rate)),
        )
        for row in rows_of[begun:]
    ]
    head = tag("tr", tag("th", "Seven days from", scope="col"), *_heads(heads))
    return _table("Cost in weeks of seven days, the last one ending today", head, rows)


def _bar(share: float) -> Html:
    return tag("span", style=f"--share:{100 * share:.1f}%", aria_hidden="true")


def _detail(asked: Report) -> Html:
    heads = ["Calls", "Tokens in", "Tokens out", "Cost", "Before", "Per success", "p50 ms"]
    heads += ["p95 ms", "Failed", "Escalated", "Unpriced"]
    names = [name.removeprefix("request_").replace("_type", "").title() for name in asked.by]
    head = tag(
        "tr", *(tag("th", name, scope="col", class_="name") for name in names), *_heads(heads)
    )
    rows: list[Html] = []
    for row in asked.rows:
        before = asked.before.get(row.key)
        told = [f"{row.attempts:,}", f"{row.input_tokens:,}", f"{row.output_tokens:,}"]
        told += [_amount(row), money(before) if before else "-"]
        told += [per_success(row), _ms(row, 0.5), _ms(row, 0.95)]
        told += [percent(row.failure_rate), percent(escalation_rate(row, asked.rows, asked.by))]
        told += [percent(row.unpriced_share)]
        own = [tag("th", label, scope="row") for label in labels(asked, row)]
        rows.append(tag("tr", *own, *(tag("td", one) for one in told)))
    caption = f"The last {asked.days} days beside the {asked.days} before"
    return _table(caption, head, rows)


def _unpriced(asked: Report) -> Html:
    if not asked.unpriced:
        return tag("p", "Every attempt that was billed has a price.")
    rows = [
        tag("tr", tag("th", model, scope="row"), tag("td", f"{count:,}"))
        for model, count in asked.unpriced.items()
    ]
    head = tag("tr", tag("th", "Model", scope="col"), *_heads(["Attempts"]))
    told = "Their cost is in no figure on this page. Add their prices to prices.toml."
    return Html(tag("p", told) + _table("Models without a price", head, rows))


def _foot() -> Html:
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    told = (
        "A call here is one request that reached a model. ≥ marks a sum that lacks a price. A month "
        "in the findings is the last 30 days. Days are UTC days; the last one is still running."
    )
    return tag("footer", tag("p", told), tag("p", f"Made {made} from the ledger."))


def _section(title: str, name: str, *content: Html) -> Html:
    return tag("section", tag("h2", title, id=name), *content, aria_labelledby=name)


def _table(caption: str, head: Html, rows: Iterable[Html], foot: Html | None = None) -> Html:
    table = tag(
        "table",
        tag("caption", caption),
        tag("thead", head),
        tag("tbody", *rows),
        *([tag("tfoot", foot)] if foot else []),
    )
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _heads(names: Iterable[str]) -> list[Html]:
    return [tag("th", name, scope="col") if name else tag("td") for name in names]


def _by_cost(pairs: Sequence[Totals], at: int) -> dict[str, Totals]:
    names = dict.fromkeys(row.key[at] for row in pairs)
    sums_ = {name: total(row for row in pairs if row.key[at] == name) for name in names}
    return dict(sorted(sums_.items(), key=lambda item: -item[1].cost_nano_usd))


def _amount(row: Totals) -> Html:
    return tag("data", money(row), value=str(row.cost_nano_usd) if row.priced else "")


def _nano(nano_usd: int) -> Html:
    return tag("data", dollars(nano_usd), value=str(nano_usd))


def _ms(row: Totals, share: float) -> str:
    found = row.percentile_ms(share)
    return "-" if found is None else f"{found:,}"


STYLE = """
:root{--paper:#f7f6f3;--card:#fff;--ink:#1c1917;--quiet:#57534e;--line:#e7e5e0;--accent:#0f766e;
--heat-color:#fbbf24;--good:#115e59;--good-paper:#ccfbf1;--maybe:#92400e;--maybe-paper:#fef3c7}
@media (prefers-color-scheme:dark){:root{--paper:#161514;--card:#211f1d;--ink:#f5f5f4;
--quiet:#b5afa8;--line:#3a3734;--accent:#5eead4;--heat-color:#a3470b;--good:#99f6e4;
--good-paper:#134e4a;--maybe:#fde68a;--maybe-paper:#57360c}}
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:16px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif;-webkit-text-size-adjust:100%}
main{max-width:72rem;margin:0 auto;padding:clamp(1rem,4vw,3rem) clamp(.9rem,4vw,2rem)}
h1{font-size:clamp(1.5rem,5vw,2.2rem);line-height:1.15;letter-spacing:-.02em;margin:0}
h2{font-size:1.2rem;margin:2.6rem 0 .8rem;letter-spacing:-.01em}
p{margin:.3rem 0}.quiet,footer,caption,small{color:var(--quiet)}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.8rem;margin:1.6rem 0 .8rem}
dl div,.findings li,.scroll{background:var(--card);border:1px solid var(--line);border-radius:12px}
dl div{padding:.9rem 1rem}dt{font-size:.85rem;color:var(--quiet)}dd{margin:0}
dd:nth-of-type(1){font-size:1.55rem;font-weight:650;letter-spacing:-.02em}
dd.quiet{font-size:.82rem}.month{font-weight:600}
.findings{list-style:none;padding:0;margin:0;display:grid;gap:.8rem}
.findings li{display:grid;grid-template-columns:8.5rem 1fr;gap:.4rem 1.4rem;padding:1rem 1.2rem;
border-left:4px solid var(--accent)}
.saving data{display:block;font-size:1.45rem;font-weight:650;color:var(--accent);letter-spacing:-.02em}
.saving span{color:var(--quiet);font-size:.85rem}.action{font-weight:600}
.badge{border-radius:99px;padding:.1rem .6rem;margin-right:.5rem;font-size:.8rem;font-weight:600}
.evidence{color:var(--good);background:var(--good-paper)}
.hypothesis{color:var(--maybe);background:var(--maybe-paper)}
.scroll{overflow-x:auto}.scroll:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:.9rem}
caption{text-align:left;padding:.8rem 1rem .3rem;font-size:.85rem}
th,td{padding:.5rem .7rem;text-align:right;border-top:1px solid var(--line);white-space:nowrap}
thead th,thead td{border-top:0;color:var(--quiet);font-weight:600;font-size:.82rem;vertical-align:bottom}
th[scope=row],thead th:first-child,.name{text-align:left}tbody th{font-weight:600}
tbody th:first-child,thead th:first-child,tfoot th{position:sticky;left:0;background:var(--card)}
.warm{background:color-mix(in srgb,var(--heat-color) calc(var(--heat)*100%),var(--card))}
.warm small{display:block;font-size:.75rem;color:inherit;opacity:.85}
.none{color:var(--quiet)}.sum,tfoot th{font-weight:650}
.bar{min-width:8rem;width:40%}
.bar span{display:block;height:.8rem;border-radius:3px;width:var(--share);min-width:2px;background:var(--accent)}
footer{margin-top:3rem;font-size:.85rem;border-top:1px solid var(--line);padding-top:1rem}
@media (max-width:34rem){.findings li{grid-template-columns:1fr}.saving data{display:inline;margin-right:.4rem}
dl{grid-template-columns:1fr 1fr}dd:nth-of-type(1){font-size:1.25rem}th,td{padding:.45rem .6rem}}
@media print{:root{color-scheme:light;--paper:#fff;--card:#fff;--ink:#000;--quiet:#444;--line:#ccc;--accent:#0f766e;
--heat-color:#fbbf24;--good:#115e59;--good-paper:#ccfbf1;--maybe:#92400e;--maybe-paper:#fef3c7}
body{font-size:10pt}main{max-width:none;padding:0}h2{margin-top:1.4rem;break-after:avoid}
.warm,.bar span,.badge{print-color-adjust:exact;-webkit-print-color-adjust:exact}
.findings li,tr,dl div{break-inside:avoid}dd:nth-of-type(1){font-size:1.1rem}.scroll{overflow:visible}table{font-size:8pt}
th,td{padding:.25rem .4rem}thead th{white-space:normal}tfoot{display:table-row-group}}
"""
