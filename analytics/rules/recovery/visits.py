"""Order days of accounts and of account × category, with what the features of a day need; segments instead of loops."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.rules.clock import Clock
from analytics.rules.history import NONE, FloatArray, History, IntArray

IndexArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Visits:
    """Order days sorted by owner and day. An owner is an account, or an account × category (`category` is NONE for
    accounts).

    `account`, `category` and `starts` have a place for each owner, the rest one for each of its order days. `lines`
    counts what was bought on the day (items; one where the data has none), `fresh` how much of it for the first time,
    `opened` the categories bought in for the first time.
    """

    account: IntArray
    category: IntArray
    starts: IndexArray
    day: IntArray
    amount: FloatArray
    lines: FloatArray
    fresh: FloatArray
    opened: FloatArray

    def __len__(self) -> int:
        return len(self.starts)

    @property
    def counts(self) -> IndexArray:
        return np.diff(self.starts, append=len(self.day))

    def owner(self) -> IndexArray:
        """The place of each order day's owner."""
        return np.repeat(np.arange(len(self.starts)), self.counts)

    def sums(self, values: FloatArray) -> FloatArray:
        """The sum over each owner's order days. It depends on that owner's values alone, to the last bit."""
        return np.add.reduceat(values, self.starts) if len(self.starts) else np.empty(0)

    def most(self, values: FloatArray) -> FloatArray:
        return np.maximum.reduceat(values, self.starts) if len(self.starts) else np.empty(0)

    def until(self, day: int) -> Visits:
        """What is known at the end of `day`; owners that had not bought by then are left out."""
        known = self.day <= day
        if bool(known.all()):
            return self
        return self._narrowed(known, self.known(day))

    def known(self, day: int) -> IndexArray:
        """How many of each owner's order days are known at the end of `day`."""
        return self.sums((self.day <= day).astype(np.float64)).astype(np.int64)

    def next_order(self, day: int) -> FloatArray:
        """Days from `day` to the first order after it, endless where none is known: for each owner that `until(day)`
        has.
        """
        known = self.known(day)
        after = np.minimum(self.starts + known, max(len(self.day) - 1, 0))
        wait = np.where(known < self.counts, self.day[after] - float(day), np.inf)
        return wait[known > 0]

    def of(self, owners: NDArray[np.bool_]) -> Visits:
        """Only the owners that are marked."""
        if bool(owners.all()):
            return self
        counts = np.where(owners, self.counts, 0)
        return self._narrowed(np.repeat(owners, self.counts), counts)

    def _narrowed(self, rows: NDArray[np.bool_], counts: IndexArray) -> Visits:
        some = counts > 0
        left = counts[some]
        return Visits(
            account=self.account[some],
            category=self.category[some],
            starts=np.cumsum(left) - left,
            day=self.day[rows],
            amount=self.amount[rows],
            lines=self.lines[rows],
            fresh=self.fresh[rows],
            opened=self.opened[rows],
        )


def collect(history: History, clock: Clock) -> tuple[Visits, Visits]:
    """The order days, on the clock's days, of accounts, and of account × category (none where the data has no
    categories).
    """
    accounts = _collapse(history, clock, by_category=False)
    if not history.has_categories:
        return accounts, accounts.of(np.zeros(len(accounts), dtype=bool))
    return accounts, _collapse(history.where(history.category != NONE), clock, by_category=True)


def _collapse(history: History, clock: Clock, *, by_category: bool) -> Visits:
    account, category, day = history.account, history.category, clock.running(history.day)
    differs = changes(account, category) if by_category else changes(account)
    owner = np.cumsum(differs) - 1
    key = owner * (int(day.max(initial=0)) + 1) + day
    order = np.argsort(key, kind="stable")
    starts = np.flatnonzero(changes(key[order]))
    head = order[starts]
    owners = np.flatnonzero(differs)

    def summed(values: NDArray[np.generic]) -> FloatArray:
        return np.add.reduceat(values[order].astype(np.float64), starts) if len(starts) else np.empty(0)

    return Visits(
        account=account[owners],
        category=category[owners] if by_category else np.full(len(owners), NONE, dtype=np.int32),
        starts=np.flatnonzero(changes(owner[head])),
        day=day[head],
        amount=summed(history.amount),
        lines=summed(np.ones(len(history))),
        fresh=summed(changes(account, category, history.item)),
        opened=summed(_first_days(history, day)),
    )


def _first_days(history: History, day: IntArray) -> NDArray[np.bool_]:
    """Marks one row of each account × category: one of its first day, whatever item stands first."""
    begins = np.flatnonzero(changes(history.account, history.category))
    if not len(begins):
        return np.zeros(0, dtype=bool)
    first = np.minimum.reduceat(day, begins)
    pair = np.repeat(np.arange(len(begins)), np.diff(begins, append=len(day)))
    on_first = np.flatnonzero(day == first[pair])
    marked = np.zeros(len(day), dtype=bool)
    marked[on_first[changes(pair[on_first])]] = True
    return marked


def changes(*columns: NDArray[np.generic]) -> NDArray[np.bool_]:
    """Where one of the sorted columns differs from the row before; the first row does."""
    differs = np.zeros(len(columns[0]), dtype=bool)
    differs[:1] = True
    for column in columns:
        differs[1:] |= column[1:] != column[:-1]
    return differs
