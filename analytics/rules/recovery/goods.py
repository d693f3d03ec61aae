"""How the items that a pair buys fare with everybody: who bought what is sold no more, or what nobody comes back for,
has less reason to come back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analytics.rules.clock import Clock
from analytics.rules.history import NONE, BoolArray, FloatArray, History, IntArray
from analytics.rules.recovery.visits import IndexArray, Visits, changes

SPAN = 45
"""Days. Of the accounts that bought an item in the span before the last one, the share that bought it again in the last
is `kept`."""
SMOOTHING = 10.0
"""Accounts that are added to each item, with the share of all items."""
HALF_LIFE = 60.0
"""Days after which what a pair bought counts half."""
MOST_ITEMS = 50_000
"""Kept in a model, those with the most lines; the others count as the mean of them."""
DIGITS = 4


@dataclass(frozen=True, slots=True)
class Goods:
    """By item code, and last for an item that is not known: the log of 1 + days since anybody bought it, and the
    log-odds that who bought it some time ago did so again.
    """

    gone: tuple[float, ...]
    kept: tuple[float, ...]

    def reordered(self, codes: Sequence[int]) -> Goods:
        """For a history that has item `codes[i]` under the code i, NONE where it is not known."""
        return Goods(*((*(values[c] for c in codes), values[NONE]) for values in (self.gone, self.kept)))

    def most_sold(self, lines: IndexArray) -> tuple[IndexArray, Goods]:
        """The codes of the items that a model keeps, rising, and their values; `lines` counts the lines by code."""
        if len(lines) <= MOST_ITEMS:
            return np.arange(len(lines)), self
        by_lines = np.argsort(-lines, kind="stable")
        codes, rare = np.sort(by_lines[:MOST_ITEMS]), by_lines[MOST_ITEMS:]
        gone, kept = (
            (*values[codes].tolist(), round(float(values[rare].mean()), DIGITS))
            for values in (np.array(self.gone), np.array(self.kept))
        )
        return codes, Goods(gone, kept)


@dataclass(frozen=True, slots=True)
class Sold:
    """What anybody bought, by day."""

    account: IntArray
    item: IntArray
    day: IntArray
    items: int

    def goods(self, cutoff: int) -> Goods:
        """As known by the end of day `cutoff`."""
        known = int(np.searchsorted(self.day, cutoff, side="right"))
        last = np.full(self.items, NONE, dtype=np.int64)
        last[self.item[:known]] = self.day[:known]  # of several days of an item the latest stays
        sold = last != NONE
        gone = np.log1p(cutoff - last).astype(np.float64)
        usual = float(gone[sold].mean()) if sold.any() else 0.0
        buyers, again = self._bought(cutoff - 2 * SPAN, cutoff - SPAN), self._bought(cutoff - SPAN, cutoff)
        item = buyers % max(self.items, 1)
        all_of = np.bincount(item, minlength=self.items).astype(np.float64)
        hits = np.bincount(item[np.isin(buyers, again)], minlength=self.items).astype(np.float64)
        share = (hits.sum() + 0.5) / (all_of.sum() + 1)
        kept = np.append((hits + SMOOTHING * share) / (all_of + SMOOTHING), share)
        return Goods(
            (*np.where(sold, gone, usual).round(DIGITS).tolist(), round(usual, DIGITS)),
            tuple(np.log(kept / (1 - kept)).round(DIGITS).tolist()),
        )

    def lines(self) -> IndexArray:
        return np.bincount(self.item, minlength=self.items)

    def _bought(self, after: int, last: int) -> IndexArray:
        """Account and item of the days (after, last], each pair once, as one number."""
        rows = slice(*np.searchsorted(self.day, (after, last), side="right"))
        return np.unique(self.account[rows].astype(np.int64) * self.items + self.item[rows])


@dataclass(frozen=True, slots=True)
class Lines:
    """What each account × category bought when; they are sorted as the history is, `starts` is where each begins."""

    account: IntArray
    category: IntArray
    starts: IndexArray
    item: IntArray
    day: IntArray

    def of(self, pairs: Visits, cutoff: int) -> tuple[IndexArray, IntArray, IntArray]:
        """Of what `pairs` had bought by the end of day `cutoff`: the place of the pair, item and day, sorted by pair.

        Every pair has bought something by then.
        """
        width = int(self.category.max(initial=0)) + 1
        key = self.account.astype(np.int64) * width + self.category
        at = np.searchsorted(key, pairs.account.astype(np.int64) * width + pairs.category)
        counts = np.diff(self.starts, append=len(self.day))[at]
        begins = np.cumsum(counts) - counts
        rows = np.arange(int(counts.sum())) + np.repeat(self.starts[at] - begins, counts)
        owner = np.repeat(np.arange(len(pairs)), counts)
        known = self.day[rows] <= cutoff
        rows = rows[known]
        return owner[known], self.item[rows], self.day[rows]


def collect_lines(history: History, clock: Clock) -> Lines | None:
    """None where the data has no items, or no categories."""
    if not (history.has_items and history.has_categories):
        return None
    rows = history.where(history.category != NONE)
    starts = np.flatnonzero(changes(rows.account, rows.category))
    return Lines(rows.account[starts], rows.category[starts], starts, rows.item, clock.running(rows.day))


def collect_sold(history: History, clock: Clock) -> Sold | None:
    """None where the data has no items, or no categories: then nobody asks."""
    if not (history.has_items and history.has_categories):
        return None
    rows: BoolArray = history.item != NONE
    day = clock.running(history.day)[rows]
    order = np.argsort(day, kind="stable")
    return Sold(history.account[rows][order], history.item[rows][order], day[order], len(history.items))


def columns(lines: Lines | None, pairs: Visits, goods: Goods, cutoff: int) -> dict[str, FloatArray]:
    """Means over what a pair bought, each line halved every 60 days, and over its last order day alone; without lines
    what is not known of an item.
    """
    names = ("item_gone", "item_kept", "item_gone_last", "item_kept_last")
    if lines is None or not len(pairs):
        unknown = (goods.gone[NONE], goods.kept[NONE]) * 2
        return {name: np.full(len(pairs), value) for name, value in zip(names, unknown, strict=True)}
    owner, item, day = lines.of(pairs, cutoff)
    starts = np.flatnonzero(changes(owner))
    last_day = pairs.day[pairs.starts + pairs.counts - 1]
    recent = 0.5 ** ((last_day[owner] - day) / HALF_LIFE)  # counted from the last order: a factor that cancels out
    last = (day == last_day[owner]).astype(np.float64)
    values = [
        np.add.reduceat(weight * np.array(of)[item], starts) / np.add.reduceat(weight, starts)
        for weight in (recent, last)
        for of in (goods.gone, goods.kept)
    ]
    return dict(zip(names, values, strict=True))
