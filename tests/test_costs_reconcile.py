"""`costs reconcile` on exports as the providers write them: what differs is named, the rest agrees."""

import json
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.costs_ledger import NOON_US, today, write
from tests.ledger_package import importable, module, row

DAY = today() - 3
DATE_S = DAY * 86_400


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("reconcile") / "w"
    with importable(folder, "reconcile_desk", extras=["reconcile"]) as name:
        yield name


@pytest.fixture(scope="module")
def exports(package: str) -> Any:
    return module(package, "exports")


@pytest.fixture
def costs(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> Any:
    """Reconcile this text with a ledger of these rows: the exit status, figures, warnings."""
    cli = __import__(f"{package}.cli", fromlist=["main"])
    monkeypatch.setenv("FLEET_ROOT", str(Path(cli.__file__).parents[2]))
    monkeypatch.setenv("FLEET_LEDGER_URL", f"sqlite:///{tmp_path}/ledger.sqlite3")

    def run(rows: list[Any], *texts: str, words: tuple[str, ...] = ()) -> tuple[Any, Any, str]:
        write(module(package, "store"), tmp_path / "ledger.sqlite3", rows)
        files: list[str] = []
        for at, text in enumerate(texts):
            files.append(str(tmp_path / f"export{at}"))
            Path(files[-1]).write_text(text, "utf-8")
        monkeypatch.setattr("sys.argv", ["desk", "costs", "reconcile", *files, "--json", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        figures = json.loads(printed.out)["figures"] if printed.out else []
        return ended.value.code, {f"{f['model']} {f['kind']}": f for f in figures}, printed.err

    return run


def make_calls(package: str, count: int = 4, **columns: Any) -> list[Any]:
    """Make calls of gpt-5-nano: 1000 tokens in, 400 of them cached, 200 out, $0.001 each."""
    usual = {
        **{"input_tokens": 1000, "cache_read_input_tokens": 400, "output_tokens": 200},
        **{"cost_nano_usd": 1_000_000, "request_model": "gpt-5-nano", "provider": "openai"},
    }
    store = module(package, "store")
    start = DAY * NOON_US * 2 + NOON_US
    return [row(store, ts_us=start + at, **{**usual, **columns}) for at in range(count)]


def openai_usage(**columns: Any) -> str:
    result = {
        "object": "organization.usage.completions.result",
        **{"input_tokens": 4000, "input_cached_tokens": 1600, "output_tokens": 800},
        **{"num_model_requests": 4, "project_id": None, "model": "gpt-5-nano-2025-08-07"},
    }
    bucket = {
        **{"object": "bucket", "start_time": DATE_S, "end_time": DATE_S + 86_400},
        "results": [{**result, **columns}],
    }
    return json.dumps({"object": "page", "data": [bucket], "has_more": False})


def test_openai_cache_writes_are_apart_from_the_other_input(package: str, costs: Any) -> None:
    rows = make_calls(package, cache_creation_input_tokens=100)
    _, figures, printed = costs(
        rows, openai_usage(input_cache_write_tokens=400, input_uncached_tokens=2000)
    )
    assert figures["gpt-5-nano input"]["provider"] == "2000"
    assert figures["gpt-5-nano cache_write"]["provider"] == "400"
    assert set(whys(figures).values()) == {None}
    assert "input_uncached_tokens" in printed


def test_a_day_of_which_the_provider_knows_nothing(package: str, costs: Any) -> None:
    """An empty bucket is a statement: what the ledger has on that day is missing there."""
    page = json.loads(openai_usage())
    empty = {"object": "bucket", "start_time": DATE_S + 86_400, "end_time": DATE_S + 172_800}
    page["data"].append({**empty, "results": []})
    next_us = DAY * NOON_US * 2 + 3 * NOON_US
    lost = [
        replace(attempt, ts_us=next_us, attempt=at)
        for at, attempt in enumerate(make_calls(package, call_id="lost"), 1)
    ]
    bill = openai_costs(("gpt-5-nano, Input", "0.004"))
    _, figures, _ = costs([*make_calls(package), *lost], json.dumps(page), bill)
    assert figures["gpt-5-nano output"] == {
        **{"day": str(module(package, "queries").day_of(DAY + 1)), "model": "gpt-5-nano"},
        **{"kind": "output", "provider": "0", "ledger": "800"},
        "why": "rows missing in the export",
    }
    assert figures["gpt-5-nano usd"]["why"] is None, "the bill is of the first day only"


def test_an_alias_and_the_version_it_stands_for_are_one_model(package: str, costs: Any) -> None:
    _, figures, _ = costs(make_calls(package, request_model="gpt-5-nano-latest"), openai_usage())
    assert set(whys(figures).values()) == {None}


def test_a_bill_in_another_currency_is_left_out(package: str, costs: Any) -> None:
    bill = openai_costs(("gpt-5-nano, Input", "0.004"), ("gpt-5-nano, Output", "0.001"))
    page = json.loads(bill)
    page["data"][0]["results"][1]["amount"]["currency"] = "eur"
    _, figures, printed = costs(make_calls(package), json.dumps(page))
    assert figures["gpt-5-nano usd"]["why"] is None
    assert "in eur, not in USD" in printed


def openai_costs(*amounts: tuple[str, object]) -> str:
    results = [
        {"object": "organization.costs.result", "line_item": item}
        | {"amount": {"value": value, "currency": "usd"}}
        for item, value in amounts
    ]
    bucket = {"object": "bucket", "start_time": DATE_S, "results": results}
    return json.dumps({"object": "page", "data": [bucket], "has_more": False})


def whys(figures: dict[str, Any]) -> dict[str, str | None]:
    return {name: figure["why"] for name, figure in figures.items()}


def test_openai_usage_that_agrees(package: str, costs: Any) -> None:
    status, figures, _ = costs(make_calls(package), openai_usage())
    assert status == 0
    assert {name: figure["provider"] for name, figure in figures.items()} == {
        **{"gpt-5-nano requests": "4", "gpt-5-nano input": "2400"},
        **{"gpt-5-nano cached": "1600", "gpt-5-nano output": "800"},
    }
    assert set(whys(figures).values()) == {None}


def test_usage_and_costs_together_tell_a_wrong_price(package: str, costs: Any) -> None:
    bill = openai_costs(("gpt-5-nano-2025-08-07, Input", 0.002), ("gpt-5-nano, Output", "0.003"))
    _, figures, _ = costs(make_calls(package), openai_usage(), bill)
    assert figures["gpt-5-nano usd"]["provider"] == "0.005"
    assert figures["gpt-5-nano usd"]["why"] == "price: 1.2500 of the ledger's"
    assert figures["gpt-5-nano output"]["why"] is None


@pytest.mark.parametrize(("shown", "why"), [("0.00", "rounding"), ("0.02", "price, or")])
def test_what_a_dashboard_rounds_to_cents_is_rounding(
    package: str, costs: Any, shown: str, why: str
) -> None:
    bill = f"start_time,amount_value,line_item\n{DATE_S},{shown},gpt-5-nano\n"
    _, figures, _ = costs(make_calls(package), bill)
    assert figures["gpt-5-nano usd"]["why"].startswith(why)


@pytest.mark.parametrize(
    ("columns", "kind", "why"),
    [
        ({"output_tokens": 900, "num_model_requests": 5}, "output", "other traffic on the key"),
        ({"output_tokens": 700}, "output", "rows missing in the export"),
        ({"model": "gpt-6-luna"}, "requests", "rows missing in the export"),
    ],
)
def test_differences_in_usage_are_named(
    package: str, costs: Any, columns: dict[str, Any], kind: str, why: str
) -> None:
    _, figures, _ = costs(make_calls(package), openai_usage(**columns))
    assert figures[f"gpt-5-nano {kind}"]["why"].startswith(why)


def test_a_model_the_ledger_never_asked_is_other_traffic(package: str, costs: Any) -> None:
    _, figures, _ = costs(make_calls(package), openai_usage(model="gpt-6-luna"))
    assert figures["gpt-6-luna output"]["why"] == "other traffic on the key"


def test_what_was_never_measured_explains_more_tokens(package: str, costs: Any) -> None:
    cut = {"input_tokens": None, "output_tokens": None, "cache_read_input_tokens": None}
    cut |= {"cost_nano_usd": None, "cost_source": "none", "outcome": "failed"}
    rows = [*make_calls(package), *make_calls(package, 1, call_id="cut", **cut)]
    _, figures, _ = costs(rows, openai_usage(output_tokens=850, num_model_requests=5))
    assert figures["gpt-5-nano output"]["why"] == "1 attempts reported no usage here"
    assert figures["gpt-5-nano requests"]["why"] == "failed or aborted here, counted there"


def test_unpriced_rows_are_the_reason_of_missing_dollars(package: str, costs: Any) -> None:
    unpriced = {"cost_nano_usd": None, "cost_source": "unpriced"}
    _, figures, _ = costs(make_calls(package, **unpriced), openai_costs(("gpt-5-nano", "0.5")))
    assert "4 attempts are unpriced" in figures["gpt-5-nano usd"]["why"]


def test_an_export_without_models_is_held_against_the_day(package: str, costs: Any) -> None:
    rows = [*make_calls(package), *make_calls(package, 1, request_model="gpt-6-luna", call_id="x")]
    _, figures, _ = costs(rows, openai_costs(("", "0.005")))
    assert figures[" usd"]["why"] is None


def anthropic_rows(package: str) -> list[Any]:
    columns: dict[str, Any] = {"provider": "anthropic", "request_model": "claude-haiku-4-5"}
    return make_calls(package, cache_creation_input_tokens=100, **columns)


def test_anthropic_usage_and_cost_reports(package: str, costs: Any) -> None:
    def report(**result: Any) -> str:
        date = f"{module(package, 'queries').day_of(DAY)}T00:00:00Z"
        return json.dumps({"data": [{"starting_at": date, "results": [result]}]})

    model = "claude-haiku-4-5-20251001"
    usage = report(
        model=model,
        uncached_input_tokens=2000,
        cache_read_input_tokens=1600,
        output_tokens=800,
        cache_creation={"ephemeral_1h_input_tokens": 100, "ephemeral_5m_input_tokens": 300},
        server_tool_use={"web_search_requests": 0},
    )
    cost = report(model=model, amount="0.4", currency="USD", token_type="output_tokens")
    status, figures, printed = costs(anthropic_rows(package), usage, cost)
    assert status == 0
    assert set(whys(figures).values()) == {None}
    assert len(figures) == 5
    assert "server_tool_use.web_search_requests" in printed


def test_exports_of_two_providers_at_once(package: str, costs: Any) -> None:
    date = module(package, "queries").day_of(DAY)
    bill = f"usage_date_utc,model,cost_usd\n{date},Claude Haiku 4.5,0.004\n"
    rows = [
        *make_calls(package),
        *anthropic_rows(package),
        *make_calls(package, provider="mistral"),
    ]
    _, figures, _ = costs(rows, openai_costs(("gpt-5-nano, Input", "0.004")), bill)
    assert whys(figures) == {"claude-haiku-4-5 usd": None, "gpt-5-nano usd": None}


def analytics(package: str, days: int = 1, **row: Any) -> str:
    """Rows of Anthropic's newer API: no buckets, the model in a group of its own."""
    day_of = module(package, "queries").day_of
    times = {
        "starting_at": f"{day_of(DAY)}T00:00:00Z",
        "ending_at": f"{day_of(DAY + days)}T00:00:00Z",
    }
    group = {"model": "claude-haiku-4-5-20251001", "workspace_id": None}
    return json.dumps({"data": [{**times, "group": group, **row}], "has_more": False})


def test_anthropic_usage_and_cost_analytics(package: str, costs: Any) -> None:
    counts = {
        **{"uncached_input_tokens": 2000, "cache_read_input_tokens": 1600, "output_tokens": 800},
        **{"total_tokens": 4800, "requests": 4},
        "cache_creation": {"ephemeral_1h_input_tokens": 100, "ephemeral_5m_input_tokens": 300},
    }
    amounts = {"amount": "0.4", "list_amount": "0.5", "currency": "USD"}
    usage, cost = analytics(package, usage=counts), analytics(package, cost=amounts)
    status, figures, printed = costs(anthropic_rows(package), usage, cost)
    assert status == 0
    assert set(whys(figures).values()) == {None}
    assert len(figures) == 6
    assert "usage.total_tokens" in printed and "cost.list_amount" in printed


def test_a_row_of_a_whole_week_is_of_no_day(package: str, costs: Any) -> None:
    week = analytics(package, days=7, usage={"uncached_input_tokens": 9, "output_tokens": 1})
    status, figures, printed = costs(anthropic_rows(package), week)
    assert (status, figures) == (0, {})
    assert "covers more than a day: ask for buckets of one day" in printed


def test_anthropic_csv_with_a_broken_row_and_more_columns(package: str, costs: Any) -> None:
    date = module(package, "queries").day_of(DAY)
    usage = (
        "usage_date_utc,model_version,api_key,usage_input_tokens_no_cache,"
        "usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,"
        "usage_input_tokens_cache_read,usage_output_tokens,brand_new\n"
        f"{date},claude-haiku-4-5-20251001,key,2000,400,0,1600,800,x\n"
        f"{date},claude-haiku-4-5-20251001,key,many,0,0,0,-5,x\n"
        "the 3rd of May,claude-haiku-4-5,key,1,0,0,0,5,x\n"
    )
    status, figures, printed = costs(anthropic_rows(package), usage)
    assert status == 0
    assert set(whys(figures).values()) == {None}
    assert "line 3: 'many' is not a number" in printed and "line 4" in printed
    assert "columns not read: api_key, brand_new" in printed


def test_anthropic_cost_csv_names_models_for_people(package: str, costs: Any) -> None:
    date = module(package, "queries").day_of(DAY)
    bill = (
        "usage_date_utc,model,workspace,token_type,cost_usd\n"
        f"{date},Claude Haiku 4.5,Default,input_no_cache,0.001\n"
        f"{date},Claude Haiku 4.5,Default,output,0.003\n"
    )
    _, figures, _ = costs(anthropic_rows(package), bill)
    assert figures["claude-haiku-4-5 usd"]["why"] is None


def test_a_comma_is_no_decimal_point_to_guess_at(package: str, costs: Any) -> None:
    date = module(package, "queries").day_of(DAY)
    text = (
        f'day,model,in,usd\n{date},gpt-5-nano,"4,000","0,004"\n'
        f'{date},gpt-5-nano,"1,600","$0.004"\n{date},gpt-5-nano,"2,400",0\n'
    )
    map_ = "day=day,model=model,total_input=in,usd=usd"
    rows = make_calls(package, cache_read_input_tokens=None)
    _, figures, printed = costs(rows, text, words=("--map", map_))
    assert "line 2: '0,004' is not a number" in printed
    assert figures["gpt-5-nano usd"]["provider"] == "0.004"
    assert figures["gpt-5-nano input"]["provider"] == "4000"


def test_any_csv_with_a_map(package: str, costs: Any) -> None:
    date = module(package, "queries").day_of(DAY)
    text = f"Date,Model,Prompt,Completion,Cost\n{date},gpt-5-nano,4000,800,$0.004\n"
    map_ = "day=Date,model=Model,total_input=Prompt,output=Completion,usd=Cost"
    _, figures, _ = costs(
        make_calls(package, cache_read_input_tokens=None), text, words=("--map", map_)
    )
    assert whys(figures) == {
        **{"gpt-5-nano input": None, "gpt-5-nano output": None, "gpt-5-nano usd": None}
    }


@pytest.mark.parametrize(
    ("text", "words", "advice"),
    [
        ("a,b\n1,2\n", (), "--map day=COLUMN"),
        ("", (), "in no known format"),
        ("{", (), "in no known format"),
        ("[1, 2]", (), "in no known format"),
        (
            "Date,Cost\n",
            ("--map", "day=Date,usd=Price"),
            "no column 'Price'\nhint: it has Date, Cost",
        ),
        (f"Date,Cost\n{'9' * 140_000},1\n", (), "cannot be read as CSV"),
    ],
)
def test_a_file_nobody_knows_is_advice(
    package: str, costs: Any, text: str, words: tuple[str, ...], advice: str
) -> None:
    status, _, _ = costs(make_calls(package), text, words=words)
    assert advice in str(status)
    assert len(str(status).splitlines()) <= 2 and "Traceback" not in str(status)


@pytest.mark.parametrize("map_", ["day", "hour=x,usd=y", "model=x,usd=y", "day=x", "usd=y"])
def test_a_wrong_map_is_usage(package: str, costs: Any, map_: str) -> None:
    status, _, printed = costs(make_calls(package), "a\n", words=("--map", map_))
    assert status == 2 and "Traceback" not in printed


def test_pages_one_a_line_add_up_and_a_cut_one_is_told(package: str, costs: Any) -> None:
    page = openai_usage(
        input_tokens=2000, input_cached_tokens=800, output_tokens=400, num_model_requests=2
    )
    more = page.replace('"has_more": false', '"has_more": true')
    _, figures, printed = costs(make_calls(package), f"{page}\n{more}\n{page[:40]}\n")
    assert set(whys(figures).values()) == {None}
    assert "line 3: no JSON" in printed and "fetch the next one" in printed


@given(value=st.one_of(st.text(max_size=12), st.integers(), st.floats(), st.none()))
def test_no_value_breaks_the_reading(exports: Any, value: Any) -> None:
    try:
        count = exports._count(value)
    except ValueError:
        return
    assert count >= 0 and Decimal(str(value).strip().removeprefix("$").replace(",", "")) == count
