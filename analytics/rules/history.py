"""Purchases of accounts as arrays: the one form in which the models of account insights read them.

The cut-off has one reading everywhere below `analytics/`. Days are counted from the first day of the data, which is
day 0. A cut-off T is the number of the last day that is known: models learn from `day <= T` and foretell the H days
after it, (T, T + H]. So the cut-offs 192, 222, 252 and 283 of the protocol leave those days themselves among what is
known; docs/insights.md shows that the protocol's baselines come out so. Where a person names a date instead
(`score_accounts --cutoff`), only what happened before that date's first moment counts: T = `day_before(date)`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

IntArray = NDArray[np.int32]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
Names = tuple[str, ...]

NONE = -1
"""The code of a category or item where the data has none."""


@dataclass(frozen=True, slots=True)
class OrderDays:
    """One row a day on which something was bought, sorted by account, category, day.

    `category` is all NONE where days of whole accounts are meant.
    """

    account: IntArray
    category: IntArray
    day: IntArray
    amount: FloatArray
    starts: NDArray[np.int64]  # where each account's, or account and category's, days begin

    def __len__(self) -> int:
        return len(self.day)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Days of each group, in the order of `starts`."""
        return np.diff(self.starts, append=len(self.day))


@dataclass(frozen=True, slots=True)
class History:
    """Purchases collapsed to account × category × item × day, sorted so; every quantity and amount is above zero.

    `account`, `category` and `item` are codes into the names; NONE (-1) where the data has none. `day` counts from
    `first_day`. `amount` is the money of the day in the data's one currency: an estimate in floats, never a price that
    anybody pays. Orders are not kept: what is bought on one day by one account counts as one order.
    """

    account: IntArray
    category: IntArray
    item: IntArray
    day: IntArray
    quantity: FloatArray
    amount: FloatArray
    accounts: Names
    categories: Names
    items: Names
    item_category: IntArray  # by item
    first_day: date
    has_categories: bool
    has_items: bool

    def __len__(self) -> int:
        return len(self.day)

    @property
    def last_day(self) -> int:
        """The last day with a purchase; -1 if there is none."""
        return int(self.day.max()) if len(self.day) else -1

    def day_of(self, when: date) -> int:
        return (when - self.first_day).days

    def day_before(self, cutoff: date) -> int:
        """The cut-off T of a named date: the last day before it, so that T + 1 is the first day to be foretold."""
        return self.day_of(cutoff) - 1

    def dates(self) -> list[date]:
        """The days on which anybody bought, rising."""
        return [self.date_of(day) for day in np.unique(self.day)]

    def date_of(self, day: int) -> date:
        return self.first_day + timedelta(days=int(day))

    def until(self, cutoff: int) -> History:
        """What is known at the end of day `cutoff`; names and codes stay."""
        return self.where(self.day <= cutoff)

    def between(self, after: int, last: int) -> History:
        """The days (after, last]: the labels of a cut-off `after` with the horizon `last - after`."""
        return self.where((self.day > after) & (self.day <= last))

    def of_accounts(self, codes: IntArray) -> History:
        """A partition: the rows of these accounts; names and codes stay."""
        wanted = np.zeros(len(self.accounts), dtype=bool)
        wanted[codes] = True
        return self.where(wanted[self.account])

    def where(self, rows: BoolArray) -> History:
        if bool(rows.all()):
            return self
        return replace(
            self,
            account=self.account[rows],
            category=self.category[rows],
            item=self.item[rows],
            day=self.day[rows],
            quantity=self.quantity[rows],
            amount=self.amount[rows],
        )

    def account_days(self) -> OrderDays:
        """The days on which each account bought anything."""
        return _order_days(self.account, np.full(len(self), NONE, dtype=np.int32), self.day, self.amount)

    def pair_days(self) -> OrderDays:
        """The days on which each account bought in each category. Rows without a category are left out."""
        if not self.has_categories:
            none = np.empty(0, dtype=np.int32)
            return OrderDays(none, none, none, np.empty(0), np.empty(0, dtype=np.int64))
        rows = self.category != NONE
        return _order_days(self.account[rows], self.category[rows], self.day[rows], self.amount[rows])


def collapse(
    *,
    account: IntArray,
    day: IntArray,
    quantity: FloatArray,
    amount: FloatArray,
    accounts: Names,
    first_day: date,
    category: IntArray | None = None,
    item: IntArray | None = None,
    categories: Names = (),
    items: Names = (),
    item_category: IntArray | None = None,
) -> History:
    """A history of raw lines in any order.

    Lines with a quantity or amount that is not above zero are dropped, as the protocol says; lines of one account,
    category, item and day are added up. Without `item_category` an item belongs where the lines of its last day put it;
    if they disagree, in the category that comes last, so that the order of the lines does not matter.
    """
    category = np.full(len(account), NONE, dtype=np.int32) if category is None else category
    item = np.full(len(account), NONE, dtype=np.int32) if item is None else item
    kept = (quantity > 0) & (amount > 0)
    codes = [np.asarray(a, dtype=np.int32)[kept] for a in (account, category, item, day)]
    if item_category is None:
        item_category = np.full(len(items), NONE, dtype=np.int32)
        by_day = np.argsort(codes[3].astype(np.int64) * (len(categories) + 1) + codes[1] + 1, kind="stable")
        by_day = by_day[codes[2][by_day] != NONE]
        item_category[codes[2][by_day]] = codes[1][by_day]
    order, starts = _grouped(*codes)
    head = order[starts]
    return History(
        account=codes[0][head],
        category=codes[1][head],
        item=codes[2][head],
        day=codes[3][head],
        quantity=_sums(quantity[kept][order], starts),
        amount=_sums(amount[kept][order], starts),
        accounts=accounts,
        categories=categories,
        items=items,
        item_category=np.asarray(item_category, dtype=np.int32),
        first_day=first_day,
        has_categories=bool(categories),
        has_items=bool(items),
    )


def _order_days(account: IntArray, category: IntArray, day: IntArray, amount: FloatArray) -> OrderDays:
    order, starts = _grouped(account, category, day)
    head = order[starts]
    account, category = account[head], category[head]
    first = np.ones(len(head), dtype=bool)
    first[1:] = (account[1:] != account[:-1]) | (category[1:] != category[:-1])
    return OrderDays(account, category, day[head], _sums(amount[order], starts), np.flatnonzero(first))


def _grouped(*keys: IntArray) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The stable order by the keys, the first one foremost, and where each group of equal keys begins in it."""
    packed = np.zeros(len(keys[0]), dtype=np.int64)
    room = 1
    for key in keys:
        width = int(key.max(initial=NONE)) - NONE + 1
        room *= max(width, 1)
        packed = packed * max(width, 1) + (key.astype(np.int64) - NONE)
    if room < 2**63:
        order = np.argsort(packed, kind="stable")
        differs = np.diff(packed[order]) != 0
    else:
        order = np.lexsort(keys[::-1])
        differs = np.any([np.diff(key[order]) != 0 for key in keys], axis=0)
    return order, np.flatnonzero(np.concatenate([np.ones(min(len(order), 1), dtype=bool), differs]))


def _sums(values: FloatArray, starts: NDArray[np.int64]) -> FloatArray:
    return np.add.reduceat(values, starts) if len(starts) else np.empty(0)
