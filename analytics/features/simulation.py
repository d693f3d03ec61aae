"""Purchases of accounts whose habits are known: for benchmarks, and to see that no habit is taken for leaving.

Everything is drawn from one seed. Steady buyers keep their own rhythm, leavers do so until a day on which they stop,
seasonal ones buy in the same weeks of every year, one-off ones once or twice and much, erratic ones after gaps of any
length.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from analytics.rules.history import FloatArray, History, IntArray, Names, collapse

FIRST_DAY = date(2021, 1, 1)
_YEAR = 365.25
_FAVOURITES = 6


class Habit(IntEnum):
    STEADY = 0
    LEAVER = 1
    SEASONAL = 2
    ONE_OFF = 3
    ERRATIC = 4


@dataclass(frozen=True, slots=True)
class Shop:
    """How large the simulated seller is. `orders` a year of a steady buyer and `lines` of an order are means."""

    accounts: int
    days: int
    categories: int = 40
    items: int = 400
    orders: float = 14.0
    lines: float = 4.0
    habits: Mapping[Habit, float] | None = None  # shares; two steady ones for each leaver and erratic one, by default

    @property
    def account_names(self) -> Names:
        return tuple(f"A{number:07d}" for number in range(self.accounts))

    @property
    def category_names(self) -> Names:
        return tuple(f"c{number:04d}" for number in range(self.categories))

    @property
    def item_names(self) -> Names:
        return tuple(f"i{number:06d}" for number in range(self.items))


@dataclass(frozen=True, slots=True)
class Purchases:
    """Lines by account and day. `stopped` is the day from which an account buys no more, -1 if it goes on."""

    shop: Shop
    account: IntArray
    day: IntArray
    item: IntArray
    quantity: FloatArray
    price: FloatArray
    habit: NDArray[np.int8]
    stopped: IntArray

    @property
    def category(self) -> IntArray:
        return self.item % np.int32(self.shop.categories)

    def history(self) -> History:
        return collapse(
            account=self.account,
            category=self.category,
            item=self.item,
            day=self.day,
            quantity=self.quantity,
            amount=self.quantity * self.price,
            accounts=self.shop.account_names,
            categories=self.shop.category_names,
            items=self.shop.item_names,
            item_category=np.arange(self.shop.items, dtype=np.int32) % np.int32(self.shop.categories),
            first_day=FIRST_DAY,
        )

    def frame(self, *, first_account: int = 0) -> pl.DataFrame:
        """In the columns of a purchase file. Accounts count from `first_account`: files are made in parts."""
        account = self.account + first_account
        return pl.DataFrame(
            {
                "account": pl.Series(account).cast(pl.String).str.zfill(7).str.replace("^", "A"),
                "order_id": pl.Series(account.astype(np.int64) * 10_000 + self.day),
                "sku": pl.Series(self.shop.item_names).gather(self.item),
                "category": pl.Series(self.shop.category_names).gather(self.category),
                "ts": (pl.Series(self.day) + (FIRST_DAY - date(1970, 1, 1)).days).cast(pl.Date),
                "qty": self.quantity.astype(np.int64),
                "unit_price": self.price.round(2),
            }
        )

    def write(self, path: Path) -> None:
        self.frame().write_csv(path)


def simulate(shop: Shop, seed: int = 0) -> Purchases:
    """Equal shops and seeds give equal purchases."""
    draw = np.random.default_rng(seed)
    habit = _habits(shop, draw)
    order_account, order_day, stopped = _orders(shop, habit, draw)
    lines = 1 + draw.poisson(shop.lines - 1, len(order_account))
    lines[habit[order_account] == Habit.ONE_OFF] *= 5
    account, day = np.repeat(order_account, lines), np.repeat(order_day, lines)
    item = _items(shop, account, draw)
    price = np.exp(draw.normal(1.5, 0.8, shop.items))[item]
    size = np.exp(draw.normal(0.0, 0.7, shop.accounts))[account]
    quantity = np.ceil(draw.gamma(2.0, 2.0, len(account)) * size)
    return Purchases(shop, account, day, item, quantity, price, habit, stopped)


def _habits(shop: Shop, draw: np.random.Generator) -> NDArray[np.int8]:
    shares = shop.habits or dict(zip(Habit, (0.5, 0.2, 0.05, 0.05, 0.2), strict=True))
    weights = np.array([shares.get(habit, 0.0) for habit in Habit])
    return draw.choice(len(Habit), shop.accounts, p=weights / weights.sum()).astype(np.int8)


def _orders(shop: Shop, habit: NDArray[np.int8], draw: np.random.Generator) -> tuple[IntArray, IntArray, IntArray]:
    """Account and day of each order, and the day on which each account stopped."""
    gap = np.clip(_YEAR / shop.orders * np.exp(draw.normal(0.0, 0.5, shop.accounts)), 3.0, 60.0)
    gap[habit == Habit.SEASONAL] = 10.0
    joined = draw.integers(0, max(shop.days // 2, 1), shop.accounts)
    joined[habit == Habit.SEASONAL] = 0
    ends = np.full(shop.accounts, shop.days)
    leavers = habit == Habit.LEAVER
    ends[leavers] = joined[leavers] + (draw.uniform(0.3, 1.0, leavers.sum()) * (shop.days - joined[leavers])).astype(
        int
    )
    counts = np.maximum(((ends - joined) / gap * 1.5).astype(int) + 5, 1)
    counts[habit == Habit.ONE_OFF] = draw.integers(1, 3, int((habit == Habit.ONE_OFF).sum()))
    account = np.repeat(np.arange(shop.accounts, dtype=np.int32), counts)
    erratic = habit[account] == Habit.ERRATIC
    steady_gaps = draw.gamma(6.0, 1 / 6.0, len(account))
    wild_gaps = np.exp(draw.normal(-0.6, 1.1, len(account)))
    gaps = np.maximum(np.where(erratic, wild_gaps, steady_gaps) * gap[account], 1.0)
    begins = np.cumsum(counts) - counts
    passed = np.cumsum(gaps)
    day = (joined[account] + passed - np.repeat(passed[begins], counts)).astype(np.int32)
    season = draw.integers(0, 365, shop.accounts)
    off = (habit[account] == Habit.SEASONAL) & ((day - season[account]) % _YEAR > 75)
    kept = (day < ends[account]) & ~off
    stopped = np.where(leavers, ends, -1).astype(np.int32)
    return account[kept], day[kept], stopped


def _items(shop: Shop, account: IntArray, draw: np.random.Generator) -> IntArray:
    """Mostly of the account's few favourite categories; within a category few items are bought much."""
    favourites = (shop.categories * draw.beta(1.0, 2.0, (shop.accounts, _FAVOURITES))).astype(np.int32)
    of_favourite = favourites[account, (draw.beta(1.0, 2.0, len(account)) * _FAVOURITES).astype(int)]
    of_any = (shop.categories * draw.beta(1.0, 2.0, len(account))).astype(np.int32)
    category = np.where(draw.random(len(account)) < 0.85, of_favourite, of_any)
    deep = max(shop.items // shop.categories, 1)
    place = (deep * draw.beta(0.7, 3.0, len(account))).astype(np.int32)
    item = (place * shop.categories + category).astype(np.int32)
    return np.minimum(item, shop.items - 1).astype(np.int32)
