"""Every text can be made fit to be sent and stored; JSON is found in whatever wraps it."""

import importlib
import json
import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from tests.examples import examples

anything = st.text(st.characters(exclude_categories=()), max_size=40)
scalars = st.none() | st.booleans() | st.integers(-(10**6), 10**6) | st.text(max_size=8)
objects = st.dictionaries(st.text(max_size=8), scalars | st.lists(scalars, max_size=3), min_size=1)
quick = settings(
    max_examples=examples(150),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
WRAPS = (
    "{}",
    "```json\n{}\n```",
    "```\n{}\n```\nLet me know!",
    "Here it is:\n```JSON\n{}\n```",
    "Sure, here you are: {} as you asked",
    "so I think\n</think>\n{}",
    "<think>hm</think>{}",
    "\ufeff {}\n",
)


@quick
@given(text=anything)
def test_every_text_becomes_one_that_all_take(every_provider: str, text: str) -> None:
    sanitize = importlib.import_module(f"{every_provider}.runtime.text").sanitize
    clean = sanitize({"a": [text, (text,)]})["a"]
    assert clean == [sanitize(text), (sanitize(text),)]
    assert sanitize(sanitize(text)) == sanitize(text)
    sanitize(text).encode()
    controls = {one for one in sanitize(text) if unicodedata.category(one) in ("Cc", "Cs")}
    assert controls <= {"\n", "\t", "\r"}
    if not {unicodedata.category(one) for one in text} & {"Cc", "Cs"}:
        assert sanitize(text) == text


def test_what_a_tool_says_of_itself_is_made_harmless(every_provider: str) -> None:
    sanitize = importlib.import_module(f"{every_provider}.runtime.text").sanitize
    schema = {"properties": {"q": {"description": "half \ud83d"}}}
    tool = ToolDefinition(name="look", parameters_json_schema=schema, description="nul \0")
    asked = ModelRequestParameters(function_tools=[tool])
    found = sanitize(asked).function_tools[0]
    assert (found.name, found.description) == ("look", "nul \ufffd")
    assert found.parameters_json_schema == {"properties": {"q": {"description": "half \ufffd"}}}
    plain = ModelRequestParameters(function_tools=[ToolDefinition(name="look")])
    assert sanitize(plain) is plain


@pytest.mark.parametrize("wrap", WRAPS)
@quick
@given(value=objects)
def test_every_object_is_found_in_what_wraps_it(
    every_provider: str, wrap: str, value: dict[str, object]
) -> None:
    extract_json = importlib.import_module(f"{every_provider}.runtime.text").extract_json
    text = json.dumps(value, ensure_ascii=False)
    if "```" in text or "think>" in text:
        return
    assert json.loads(extract_json(wrap.replace("{}", text))) == value
    assert json.loads(extract_json(json.dumps(text))) == value


@quick
@given(text=anything)
def test_no_text_breaks_the_reading(every_provider: str, text: str) -> None:
    extract_json = importlib.import_module(f"{every_provider}.runtime.text").extract_json
    for wrapped in (text, "{" + text + "}", f"```{text}```", "[" * 5_000 + text):
        assert isinstance(extract_json(wrapped), str)


@pytest.mark.parametrize(
    ("text", "json_of_it"),
    [
        ('```json\n{"sum": 0.12345678901234567890123}\n```', '{"sum": 0.12345678901234567890123}'),
        ('<think>hm</think>and more</think>{"a": 1}', '{"a": 1}'),
        ('<think>{"a": 0}</think>{"a": 1}<think>right?</think>', '{"a": 1}'),
        ('{"a": 1}\n{"a": 1}', '{"a": 1}'),
        ('{"a": 1}\n{"a": 2}', '{"a": 1}\n{"a": 2}'),
    ],
)
def test_what_is_read_is_what_was_sent(every_provider: str, text: str, json_of_it: str) -> None:
    extract_json = importlib.import_module(f"{every_provider}.runtime.text").extract_json
    assert extract_json(text) == json_of_it


@pytest.mark.parametrize(
    "text",
    [
        '"{' + '\\"a\\": 1, ' * 90_000,  # quoted twice, and cut off
        "</think>" + "<think>" * 130_000,
        "\n".join(f'{{"line": {n}}}' for n in range(60_000)),
    ],
    ids=["cut", "thoughts", "lines"],
)
def test_a_long_answer_is_read_in_one_pass(every_provider: str, text: str) -> None:
    """Each of these takes many minutes where the rest is read again from each place in it."""
    extract_json = importlib.import_module(f"{every_provider}.runtime.text").extract_json
    assert extract_json(text) == text.strip()
