"""The exports that providers offer, as maps from our fields to their columns.

JSON is flattened first: `cache_creation.ephemeral_5m_input_tokens` is a column like any other.
"""

from collections.abc import Mapping
from dataclasses import dataclass

KINDS = ("requests", "input", "cached", "cache_write", "output")
FIELDS = ("day", "end", "model", "item", *KINDS, "total_input", "usd", "cents", "currency")
"""`input` is what was not cached, `total_input` all of it; `item` holds `model, kind`."""
LABELS = {"day", "end", "model", "item", "currency"}
Columns = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Format:
    """Which columns of an export hold which field; several columns of a field are added up.

    A file that has the columns `mark` is in this format; the others may be missing.
    """

    name: str
    provider: str | None
    mark: tuple[str, ...]
    columns: Columns


def _claude_usage(under: str = "") -> Columns:
    """Anthropic's counts, in the object of this name."""
    writes = ("ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens")
    return {
        "day": ("starting_at",),
        "end": ("ending_at",),
        "input": (f"{under}uncached_input_tokens",),
        "cached": (f"{under}cache_read_input_tokens",),
        "cache_write": tuple(f"{under}cache_creation.{name}" for name in writes),
        "output": (f"{under}output_tokens",),
    }


def _claude_costs(model: str, amount: str, currency: str) -> Columns:
    return {
        **{"day": ("starting_at",), "end": ("ending_at",)},
        **{"model": (model,), "cents": (amount,), "currency": (currency,)},
    }


FORMATS = (
    Format(
        "OpenAI usage",
        "openai",
        ("start_time", "num_model_requests"),
        {
            "day": ("start_time",),
            "end": ("end_time",),
            "model": ("model",),
            "total_input": ("input_tokens",),
            "cached": ("input_cached_tokens",),
            "cache_write": ("input_cache_write_tokens",),
            "output": ("output_tokens",),
            "requests": ("num_model_requests",),
        },
    ),
    Format(
        "OpenAI costs",
        "openai",
        ("start_time", "amount.value"),
        {
            "day": ("start_time",),
            "end": ("end_time",),
            "item": ("line_item",),
            "usd": ("amount.value",),
            "currency": ("amount.currency",),
        },
    ),
    Format(
        "OpenAI costs CSV",
        "openai",
        ("start_time", "amount_value"),
        {
            "day": ("start_time",),
            "end": ("end_time",),
            "item": ("line_item",),
            "usd": ("amount_value",),
            "currency": ("amount_currency",),
        },
    ),
    Format(
        "Anthropic usage report",
        "anthropic",
        ("starting_at", "uncached_input_tokens"),
        {**_claude_usage(), "model": ("model",)},
    ),
    Format(
        "Anthropic cost report",
        "anthropic",
        ("starting_at", "amount"),
        _claude_costs("model", "amount", "currency"),
    ),
    Format(
        "Anthropic usage analytics",
        "anthropic",
        ("starting_at", "usage.uncached_input_tokens"),
        {**_claude_usage("usage."), "model": ("group.model",), "requests": ("usage.requests",)},
    ),
    Format(
        "Anthropic cost analytics",
        "anthropic",
        ("starting_at", "cost.amount"),
        _claude_costs("group.model", "cost.amount", "cost.currency"),
    ),
    Format(
        "Anthropic usage CSV",
        "anthropic",
        ("usage_date_utc", "usage_output_tokens"),
        {
            "day": ("usage_date_utc",),
            "model": ("model_version",),
            "input": ("usage_input_tokens_no_cache",),
            "cached": ("usage_input_tokens_cache_read",),
            "cache_write": (
                "usage_input_tokens_cache_write_5m",
                "usage_input_tokens_cache_write_1h",
            ),
            "output": ("usage_output_tokens",),
        },
    ),
    Format(
        "Anthropic costs CSV",
        "anthropic",
        ("usage_date_utc", "cost_usd"),
        {"day": ("usage_date_utc",), "model": ("model",), "usd": ("cost_usd",)},
    ),
)
