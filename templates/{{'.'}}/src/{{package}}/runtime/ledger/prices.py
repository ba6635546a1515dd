"""What an attempt cost, by list price or prices.toml, and what the month has cost by budget."""

import asyncio
import logging
import math
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_ai.usage import RequestUsage

from ..errors import SettingsError
from ..fleet import Budgets, ModelRef, Settings

if TYPE_CHECKING:
    from ..run import Stage
    from .store import Attempt

log = logging.getLogger(__name__)

NANO = 10**9
PER_MILLION = 10**6
WARN_AT = Decimal("0.8")
REREAD_S = 60


class Override(Settings):
    """US dollars per million tokens; a cached token costs as much as an input token if unset."""

    input_usd: Decimal = Field(ge=0)
    output_usd: Decimal = Field(ge=0)
    cache_read_usd: Decimal | None = Field(default=None, ge=0)


@dataclass(frozen=True, slots=True)
class Cost:
    """Nano-dollars, where the price came from, and its version. `nano_usd` None: unpriced."""

    nano_usd: int | None
    source: str
    version: str | None = None


UNKNOWN = Cost(None, "none")
"""An attempt that reported no usage: skipped, failed, or cut off."""


class Prices:
    """Prices by model: overrides first, then the list."""

    def __init__(self, overrides: Mapping[str, Override], list_ids: Mapping[str, str | None]):
        self._overrides = overrides
        self._list_ids = list_ids
        self._list_version = f"genai-prices {version('genai-prices')}"

    @classmethod
    def load(cls, path: Path, list_ids: Mapping[str, str | None]) -> "Prices":
        """Read prices.toml if there is one. `list_ids`: provider -> its id in genai-prices."""
        if not path.is_file():
            return cls({}, list_ids)
        try:
            table = tomllib.loads(path.read_text("utf-8"))
            overrides = TypeAdapter(dict[str, Override]).validate_python(table)
        except (tomllib.TOMLDecodeError, ValidationError) as error:
            where = str(error).splitlines()[-1 if isinstance(error, tomllib.TOMLDecodeError) else 1]
            raise SettingsError(f"{path.name}: {where.strip()}; see the example in it.") from None
        return cls(overrides, list_ids)

    def cost(self, ref: ModelRef, usage: RequestUsage | None) -> Cost:
        """The cost of one attempt, computed in Decimal and rounded once."""
        if usage is None:
            return UNKNOWN
        if override := self._overrides.get(str(ref)):
            return Cost(_nano(_own_price(override, usage)), "override", "prices.toml")
        price = self._list_price(ref, usage)
        if price is None:
            return Cost(None, "unpriced")
        return Cost(_nano(price), "list", self._list_version)

    def known(self, ref: ModelRef) -> str | None:
        """The name of the price entry a model is booked under, or None: unpriced."""
        from genai_prices import Usage, calc_price

        if str(ref) in self._overrides:
            return "prices.toml"
        provider = self._list_ids.get(ref.provider)
        if provider is None:
            return None
        try:
            return calc_price(Usage(), ref.model, provider_id=provider).model.id
        except LookupError:
            return None

    def context_window(self, ref: ModelRef) -> int | None:
        """Tokens of a model's context window, where the list of prices tells it."""
        from genai_prices import Usage, calc_price

        provider = self._list_ids.get(ref.provider)
        if provider is None:
            return None
        try:
            return calc_price(Usage(), ref.model, provider_id=provider).model.context_window
        except LookupError:
            return None

    def _list_price(self, ref: ModelRef, usage: RequestUsage) -> Decimal | None:
        from genai_prices import calc_price

        provider = self._list_ids.get(ref.provider)
        if provider is None:
            return None
        try:
            return calc_price(usage, ref.model, provider_id=provider).total_price
        except LookupError:
            return None


def _own_price(price: Override, usage: RequestUsage) -> Decimal:
    cached = usage.cache_read_tokens
    cache_price = price.input_usd if price.cache_read_usd is None else price.cache_read_usd
    tokens_usd = (
        (usage.input_tokens - cached) * price.input_usd
        + cached * cache_price
        + usage.output_tokens * price.output_usd
    )
    return tokens_usd / PER_MILLION


def _nano(usd: Decimal) -> int:
    return int((usd * NANO).to_integral_value(ROUND_HALF_EVEN))


class Spending:
    """What the calendar month (UTC) has cost so far against `[budgets]`, in nano-USD.

    `read` sums up the ledger by task type. It is asked once, then every minute for what other
    processes spend; in between, this process adds its own attempts.
    """

    def __init__(self, budgets: Budgets, read: Callable[[], Mapping[str, int]]) -> None:
        self.at_limit = budgets.at_limit
        self._budgets = budgets
        self._read = read
        self._spent: Counter[str] = Counter()
        self._month = ""
        self._read_at = -math.inf
        self._warned: set[str] = set()

    def call_nano(self, own_usd: Decimal | None) -> float:
        """The cap of one call: the chain's own or that of all calls, whichever is lower."""
        caps = [usd for usd in (own_usd, self._budgets.call_usd) if usd]
        return int(min(caps) * NANO) if caps else math.inf

    def add(self, attempts: Iterable["Attempt"]) -> None:
        for attempt in attempts:
            if attempt.cost_nano_usd and attempt.environment != "demo":
                self._spent[attempt.task_type] += attempt.cost_nano_usd

    async def reached(self, stage: "Stage") -> str | None:
        """The budget that is used up for a stage, if one is; at 80 % there is a warning, once."""
        budgets, task = self._budgets, stage.task_type
        if stage.run and 0 < budgets.run_usd * NANO <= stage.run.spent_nano():
            return "run_usd"
        if stage.environment == "demo" or not (budgets.month_usd or budgets.task_usd):
            return None
        await self._refresh()
        limits = {"month_usd": budgets.month_usd, task: budgets.task_usd.get(task, Decimal(0))}
        spent = {"month_usd": self._spent.total(), task: self._spent[task]}
        for name, limit in limits.items():
            if limit and spent[name] >= limit * NANO:
                return name
            if limit and spent[name] >= limit * NANO * WARN_AT and name not in self._warned:
                self._warned.add(name)
                log.warning("80 %% of the month's budget %s, $%s, is spent", name, limit)
        return None

    async def _refresh(self) -> None:
        month = time.strftime("%Y-%m", time.gmtime())
        if month == self._month and time.monotonic() < self._read_at + REREAD_S:
            return
        if month != self._month:
            self._month, self._spent = month, Counter()
            self._warned.clear()
        self._read_at = time.monotonic()
        # What this process has added may not be committed yet: never count less than that.
        self._spent |= Counter(await asyncio.to_thread(self._read))
