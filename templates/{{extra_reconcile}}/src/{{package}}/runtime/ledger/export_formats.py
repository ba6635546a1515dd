"""The exports that providers offer, as maps from our fields to their columns.

JSON is flattened first: `cache_creation.ephemeral_5m_input_tokens` is a column like any other.
"""

from collections.abc import Mapping
from dataclasses import dataclass

KINDS = ("requests", "input", "cached", "cache_write", "output")
FIELDS = ("day", "model", "item", *KINDS, "total_input", "usd", "cents")
"""`input` is what was not cached, `total_input` all of it; `item` holds `model, kind`."""
Columns = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class Format:
    """Which columns of an export hold which field; several columns of a field are added up."""

    name: str
    provider: str | None
    columns: Columns


FORMATS = (
    Format(
        "OpenAI usage",
        "openai",
        {
            "day": ("start_time",),
            "model": ("model",),
            "total_input": ("input_tokens",),
            "cached": ("input_cached_tokens",),
            "output": ("output_tokens",),
            "requests": ("num_model_requests",),
        },
    ),
    Format(
        "OpenAI costs",
        "openai",
        {"day": ("start_time",), "item": ("line_item",), "usd": ("amount.value",)},
    ),
    Format(
        "OpenAI costs CSV",
        "openai",
        {"day": ("start_time",), "item": ("line_item",), "usd": ("amount_value",)},
    ),
    Format(
        "Anthropic usage",
        "anthropic",
        {
            "day": ("starting_at",),
            "model": ("model",),
            "input": ("uncached_input_tokens",),
            "cached": ("cache_read_input_tokens",),
            "cache_write": (
                "cache_creation.ephemeral_5m_input_tokens",
                "cache_creation.ephemeral_1h_input_tokens",
            ),
            "output": ("output_tokens",),
        },
    ),
    Format(
        "Anthropic costs",
        "anthropic",
        {"day": ("starting_at",), "model": ("model",), "cents": ("amount",)},
    ),
    Format(
        "Anthropic usage CSV",
        "anthropic",
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
        {"day": ("usage_date_utc",), "model": ("model",), "usd": ("cost_usd",)},
    ),
)
