"""What a first purchase brings: money within the horizon and a quantity to suggest, for this thing and an account of
this size.

The logarithm of either is what is typical of the thing plus how much larger the account usually buys than is typical,
each with a weight learnt from first purchases of past windows. The money is scaled so that its sum over those
purchases is what was truly spent, and is never more than the account's whole spend in a horizon.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analytics.rules.history import NONE, BoolArray, FloatArray, History, IntArray, OrderDays

PRIOR = 5.0
"""Purchases' worth of doubt about what is typical of a thing or an account."""
RIDGE = 10.0
ROUNDS = 20
LARGEST_SCALE = 100.0
YEAR = 365
LISTED_PRIOR = 50.0
"""Purchases' worth of doubt whether what is suggested brings other money than what is bought at large."""
LEAST_PURCHASES = 50
"""With fewer first purchases to learn from, the weights stay at `UNLEARNT`."""
PACKS = (144, 120, 100, 96, 72, 60, 50, 48, 40, 36, 30, 25, 24, 20, 18, 16, 15, 12, 10, 9, 8, 6, 5, 4, 3, 2)
PACK_SHARE = 0.8
"""The largest pack of which so many of a thing's quantities are multiples is its pack."""
PACK_PURCHASES = 5


@dataclass(frozen=True, slots=True)
class Purchases:
    """One row an account, thing and day, sorted so; money and quantities above zero."""

    account: IntArray
    thing: IntArray
    day: IntArray
    amount: FloatArray
    quantity: FloatArray

    def __len__(self) -> int:
        return len(self.day)

    def until(self, cutoff: int) -> Purchases:
        return self.where(self.day <= cutoff)

    def where(self, rows: BoolArray | NDArray[np.int64]) -> Purchases:
        return Purchases(self.account[rows], self.thing[rows], self.day[rows], self.amount[rows], self.quantity[rows])

    def spent_on(self, account: IntArray, thing: IntArray, after: int, last: int) -> FloatArray:
        """Money of each account for each thing in (after, last]."""
        rows = (self.day > after) & (self.day <= last)
        width = max(int(thing.max(initial=0)), int(self.thing.max(initial=0))) + 1
        keys, place = np.unique(self.account[rows].astype(np.int64) * width + self.thing[rows], return_inverse=True)
        sums = np.append(np.bincount(place, weights=self.amount[rows], minlength=len(keys)), 0.0)
        wanted = account.astype(np.int64) * width + thing
        found = np.searchsorted(keys, wanted)
        there = np.append(keys, -1)[found] == wanted
        return np.where(there, sums[found], 0.0)


def purchases_of(history: History, *, of: str, places: IntArray) -> Purchases:
    """`of` is "items" or "categories"; quantities of a whole category mean nothing and are all 1."""
    if of == "items":
        rows = history.item != NONE
        code, account, day = history.item[rows], history.account[rows], history.day[rows]
        amount, quantity = history.amount[rows], history.quantity[rows]
    else:
        days = history.pair_days()
        code, account, day, amount = days.category, days.account, days.day, days.amount
        quantity = np.ones(len(days))
    thing = places[code] if len(places) else code
    kept = thing != NONE
    found = Purchases(account[kept], thing[kept], day[kept], amount[kept], quantity[kept])
    if not len(found):
        return found
    key = (found.account.astype(np.int64) * (int(thing.max()) + 1) + found.thing) * (int(day.max()) + 1) + found.day
    return found if bool((np.diff(key) >= 0).all()) else found.where(np.argsort(key, kind="stable"))


@dataclass(frozen=True, slots=True)
class Measure:
    """Typical logs by thing of money or quantity, and how a first purchase follows from them."""

    typical: FloatArray  # by thing, log
    base: float
    of_thing: float
    of_account: float
    scale: float  # multiplies exp(…)

    def foretell(self, thing: IntArray, size: FloatArray) -> FloatArray:
        """For things and the sizes of the accounts beside them."""
        exponent = self.base + self.of_thing * self.typical[thing] + self.of_account * size
        return np.asarray(self.scale * np.exp(exponent))


UNLEARNT = (0.0, 1.0, 0.5)
"""The base and the weights of thing and account where nothing could be learnt."""


@dataclass(frozen=True, slots=True)
class Firsts:
    """First purchases of a past window by eligible accounts, beside what was known before. Logs, and plain outcomes."""

    typical: FloatArray
    size: FloatArray
    outcome: FloatArray
    cap: FloatArray


@dataclass(frozen=True, slots=True)
class Brought:
    """Suggestions of a past window with their chances, which add up to what was bought, and the money they brought."""

    typical: FloatArray
    size: FloatArray
    cap: FloatArray
    chance: FloatArray
    outcome: FloatArray  # 0 where it was not bought


def typical_logs(purchases: Purchases, values: FloatArray, things: int) -> FloatArray:
    """Mean log by thing, drawn to the mean of all."""
    logs = np.log(values)
    overall = float(logs.mean()) if len(logs) else 0.0
    sums = np.bincount(purchases.thing, weights=logs, minlength=things)
    return np.asarray((sums + PRIOR * overall) / (np.bincount(purchases.thing, minlength=things) + PRIOR))


def sizes(purchases: Purchases, values: FloatArray, typical: FloatArray, accounts: int) -> FloatArray:
    """By account: how far above the typical it buys, in logs, drawn to 0 where it has bought little."""
    excess = np.log(values) - typical[purchases.thing]
    sums = np.bincount(purchases.account, weights=excess, minlength=accounts)
    return np.asarray(sums / (np.bincount(purchases.account, minlength=accounts) + PRIOR))


def spend_in_horizon(days: OrderDays, cutoff: int, horizon: int, accounts: int) -> FloatArray:
    """By account, what it spends in a horizon at its pace of the last year; at least one order of its usual size."""
    known = (days.day <= cutoff) & (days.day > cutoff - YEAR)
    account, amount = days.account[known], days.amount[known]
    total = np.bincount(account, weights=amount, minlength=accounts)
    first = np.full(accounts, cutoff)
    np.minimum.at(first, account, days.day[known])
    tenure = np.maximum(cutoff - first + 1, horizon)
    usual = total / np.maximum(np.bincount(account, minlength=accounts), 1)
    return np.asarray(np.maximum(total / tenure * horizon, usual))


def firsts_of(
    purchases: Purchases, cutoff: int, horizon: int, eligible: IntArray, caps: FloatArray, things: int
) -> tuple[Firsts, Firsts]:
    """What eligible accounts first bought in (cutoff, cutoff + horizon]: its money by then, its first quantity."""
    accounts = len(caps)
    begins = np.ones(len(purchases), dtype=bool)
    begins[1:] = (np.diff(purchases.account) != 0) | (np.diff(purchases.thing) != 0)
    starts = np.flatnonzero(begins)
    within = (purchases.day > cutoff) & (purchases.day <= cutoff + horizon)
    judged = np.zeros(accounts, dtype=bool)
    judged[eligible] = True
    first = purchases.day[starts]  # days rise within a pair
    new = within[starts] & judged[purchases.account[starts]] & (first > cutoff)
    account, thing = purchases.account[starts][new], purchases.thing[starts][new]
    past = purchases.until(cutoff)
    money = np.add.reduceat(np.where(within, purchases.amount, 0.0), starts)[new] if len(starts) else np.empty(0)
    free = np.full(len(thing), np.inf)
    outcomes = ((past.amount, money, caps[account]), (past.quantity, purchases.quantity[starts][new], free))
    found = []
    for values, outcome, cap in outcomes:
        typical = typical_logs(past, values, things)
        size = sizes(past, values, typical, accounts)
        found.append(Firsts(typical[thing], size[account], outcome, cap))
    return found[0], found[1]


def learn(typical: FloatArray, windows: Sequence[Firsts], *, to_the_sum: bool) -> Measure:
    """Least squares of the logs. `to_the_sum` scales to what was truly spent in all; else the middle is foretold."""
    outcome = np.concatenate([window.outcome for window in windows] or [np.empty(0)])
    if len(outcome) < LEAST_PURCHASES:
        return Measure(typical, *UNLEARNT, 1.0)
    known = np.concatenate([window.typical for window in windows])
    size = np.concatenate([window.size for window in windows])
    columns = np.column_stack([np.ones(len(outcome)), known, size])
    start = np.array(UNLEARNT)
    missed = np.log(outcome) - columns @ start
    ridge = np.diag([1e-9, RIDGE, RIDGE])
    base, of_thing, of_account = (start + np.linalg.solve(columns.T @ columns + ridge, columns.T @ missed)).tolist()
    scale = 1.0
    if to_the_sum:
        cap = np.concatenate([window.cap for window in windows])
        foretold = np.exp(base + of_thing * known + of_account * size)
        for _round in range(ROUNDS):  # what the cap takes away must come from elsewhere
            scale = min(scale * float(outcome.sum() / np.minimum(foretold * scale, cap).sum()), LARGEST_SCALE)
    return Measure(typical, base, of_thing, of_account, scale)


def scaled(measure: Measure, latest: Brought) -> Measure:
    """So that chance × money of what was suggested in the latest window adds up to what it brought: what stands on a
    list is not as what is bought at large. With few purchases expected of it, only in part."""
    foretold = np.exp(measure.base + measure.of_thing * latest.typical + measure.of_account * latest.size)

    def expected(scale: float) -> float:
        return float((latest.chance * np.minimum(foretold * scale, latest.cap)).sum())

    firsts = float(latest.chance.sum())
    if firsts <= 0:
        return measure
    prior = expected(measure.scale) * LISTED_PRIOR / firsts
    scale = measure.scale
    for _round in range(ROUNDS):  # what the cap takes away must come from elsewhere
        scale = min(scale * (float(latest.outcome.sum()) + prior) / (expected(scale) + prior), LARGEST_SCALE)
    return replace(measure, scale=scale)


def packs_of(purchases: Purchases, things: int) -> IntArray:
    """By thing, the pack that it is bought in: 1 without a clear one, 0 where quantities are not whole."""
    counts = np.bincount(purchases.thing, minlength=things)
    whole = np.bincount(purchases.thing, weights=purchases.quantity % 1 == 0, minlength=things)
    packs = np.where(whole == counts, 1, 0).astype(np.int32)
    units = np.minimum(purchases.quantity, 1e9).astype(np.int32)
    clear = (packs == 1) & (counts >= PACK_PURCHASES)
    for pack in reversed(PACKS):
        multiples = np.bincount(purchases.thing[units % pack == 0], minlength=things)
        packs[clear & (multiples >= PACK_SHARE * counts)] = pack
    return packs


def in_packs(quantity: FloatArray, pack: IntArray) -> FloatArray:
    """Whole packs, one at least, halves upwards. Not sold in whole units: two decimals, 0.01 at least."""
    size = np.maximum(pack, 1)
    whole = np.maximum(np.floor(quantity / size + 0.5), 1) * size
    return np.where(pack > 0, whole, np.maximum(np.round(quantity, 2), 0.01))
