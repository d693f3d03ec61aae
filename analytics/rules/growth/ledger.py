"""Who bought what from when to when: purchases grouped by account × thing, where a thing is an item or a category."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from analytics.rules.history import NONE, BoolArray, History, IntArray
from analytics.rules.protocol import GROWTH_MAX_SILENCE, GROWTH_MIN_ORDER_DAYS

Float32Array = NDArray[np.float32]
NEVER = -(2**30)
"""The last day of what has not happened yet."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """Account × thing as known at the end of a day, sorted by account, thing; each was bought by then."""

    account: IntArray
    thing: IntArray
    first: IntArray  # day of the first purchase
    last: IntArray  # day of the last one
    accounts: int
    things: int

    def where(self, rows: BoolArray) -> Pairs:
        return Pairs(
            self.account[rows], self.thing[rows], self.first[rows], self.last[rows], self.accounts, self.things
        )

    def of_accounts(self, codes: IntArray) -> Pairs:
        """The pairs of these accounts, which must be sorted; `account` becomes the position among them."""
        place = np.full(self.accounts, NONE, dtype=np.int32)
        place[codes] = np.arange(len(codes), dtype=np.int32)
        rows = place[self.account] != NONE
        return Pairs(
            place[self.account[rows]], self.thing[rows], self.first[rows], self.last[rows], len(codes), self.things
        )

    def matrix(self, values: Float32Array | None = None) -> sparse.csr_matrix:
        """Accounts × things; ones unless `values` are given."""
        values = np.ones(len(self.thing), dtype=np.float32) if values is None else values
        starts = np.zeros(self.accounts + 1, dtype=np.int64)
        np.cumsum(np.bincount(self.account, minlength=self.accounts), out=starts[1:])
        return sparse.csr_matrix((values, self.thing, starts), shape=(self.accounts, self.things))


@dataclass(frozen=True, slots=True)
class Ledger:
    """All purchases of a history by account × thing, so that what was known on any past day is one pass away."""

    account: IntArray  # by pair
    thing: IntArray
    first: IntArray
    day: IntArray  # by purchase, in the order of the pairs
    starts: NDArray[np.int64]  # where each pair's purchases begin
    accounts: int
    things: int

    def at(self, cutoff: int) -> Pairs:
        """What is known at the end of day `cutoff`."""
        if not len(self.starts):
            return Pairs(self.account, self.thing, self.first, self.first, self.accounts, self.things)
        last = np.maximum.reduceat(np.where(self.day <= cutoff, self.day, NEVER), self.starts)
        known = self.first <= cutoff
        return Pairs(
            self.account[known], self.thing[known], self.first[known], last[known].astype(np.int32), self.accounts,
            self.things,
        )  # fmt: skip

    def first_bought(self, after: int, last: int) -> sparse.csr_matrix:
        """Accounts × things: what each account bought for the first time in (after, last]."""
        new = (self.first > after) & (self.first <= last)
        return Pairs(
            self.account[new], self.thing[new], self.first[new], self.first[new], self.accounts, self.things
        ).matrix()

    def purchases(self, after: int, last: int) -> NDArray[np.int64]:
        """By thing, on how many account-days it was bought in (after, last]."""
        owner = np.repeat(self.thing, np.diff(self.starts, append=len(self.day)))
        return np.bincount(owner[(self.day > after) & (self.day <= last)], minlength=self.things)


def ledger_of(history: History, column: IntArray, places: IntArray, things: int) -> Ledger:
    """`column` is history.item or history.category; `places` gives each code's thing, NONE for what is left out."""
    thing = np.where(column == NONE, NONE, places[column]) if len(places) else np.full(len(column), NONE)
    rows = np.flatnonzero(thing != NONE)
    key = history.account[rows].astype(np.int64) * max(things, 1) + thing[rows]
    if len(key) and bool((np.diff(key) < 0).any()):
        order = np.argsort(key, kind="stable")
        rows, key = rows[order], key[order]
    differs = np.ones(len(key), dtype=bool)
    differs[1:] = key[1:] != key[:-1]
    starts = np.flatnonzero(differs)
    day = history.day[rows]
    first = np.minimum.reduceat(day, starts) if len(starts) else day
    return Ledger(
        account=history.account[rows][starts],
        thing=thing[rows][starts].astype(np.int32),
        first=first.astype(np.int32),
        day=day,
        starts=starts,
        accounts=len(history.accounts),
        things=things,
    )


@dataclass(frozen=True, slots=True)
class Activity:
    """On how many days each account ordered by the cut-off, and when first and last (NEVER if it has not)."""

    orders: NDArray[np.int64]
    first: IntArray
    last: IntArray
    cutoff: int

    def active(self, days: int) -> int:
        """Accounts that bought anything in the last so many days; one at least, as a divisor."""
        return max(int((self.last > self.cutoff - days).sum()), 1)

    def eligible(self) -> IntArray:
        """The accounts that growth is asked for: `protocol.growth_accounts`."""
        fit = (self.orders >= GROWTH_MIN_ORDER_DAYS) & (self.cutoff - self.last <= GROWTH_MAX_SILENCE)
        return np.flatnonzero(fit).astype(np.int32)


@dataclass(frozen=True, slots=True)
class Calendar:
    """The order days of all accounts, from which the activity on any past day is one pass away."""

    account: IntArray
    day: IntArray
    accounts: int

    @classmethod
    def of(cls, history: History) -> Calendar:
        days = history.account_days()
        return cls(days.account, days.day, len(history.accounts))

    def at(self, cutoff: int) -> Activity:
        known: BoolArray = self.day <= cutoff
        last = np.full(self.accounts, NEVER, dtype=np.int32)
        np.maximum.at(last, self.account[known], self.day[known])
        orders = np.bincount(self.account[known], minlength=self.accounts)
        first = np.where(orders > 0, cutoff, NEVER).astype(np.int32)
        np.minimum.at(first, self.account[known], self.day[known])
        return Activity(orders, first, last, cutoff)
