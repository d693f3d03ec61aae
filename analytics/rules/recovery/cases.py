"""Past windows of the data at hand: who was there, what could be seen of them then, and who fell silent afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from analytics.rules.history import BoolArray, FloatArray
from analytics.rules.protocol import FIRST_CUTOFF, STEP
from analytics.rules.recovery.features import Bought, Columns, Observed, observe_accounts, observe_pairs
from analytics.rules.recovery.goods import Lines, Sold
from analytics.rules.recovery.logistic import Scaling, scaling
from analytics.rules.recovery.market import survey
from analytics.rules.recovery.model import Window
from analytics.rules.recovery.population import JUDGED_ACCOUNTS, JUDGED_PAIRS, LEARNT_PAIRS, THEIR_ACCOUNTS, Limits
from analytics.rules.recovery.visits import IndexArray, Visits

MOST_WINDOWS = 18
"""Of the whole horizon: a year and a half, so that every season is among them where the data has it."""
SHORTER = (1 / 2, 2 / 3, 5 / 6)
"""Parts of the horizon whose labels reach where those of the whole one are not closed yet."""
MOST_ROWS = 12_000
"""Of one past day; beyond, a random sample."""


@dataclass(slots=True)
class Cases:
    """Rows of past windows: columns as they are, and relative to the others of their day; labels; whose they are."""

    names: tuple[str, ...] = ()
    rows: list[FloatArray] = field(default_factory=list)
    relative: list[FloatArray] = field(default_factory=list)
    silent: list[FloatArray] = field(default_factory=list)
    account: list[IndexArray] = field(default_factory=list)
    survival: list[FloatArray] = field(default_factory=list)
    survival_later: list[FloatArray] = field(default_factory=list)
    judged: list[BoolArray] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)

    def add(self, seen: Seen, wait: FloatArray, cutoff: int, horizons: tuple[int, ...]) -> None:
        """The rows of one past day, once for each horizon; `wait` is how long each waits for its next order."""
        self.names = seen.names
        relative = seen.scaling.apply(seen.rows)
        for horizon in horizons:
            silent = (wait > horizon).astype(np.float64)
            self.rows.append(seen.rows)
            self.relative.append(relative)
            self.silent.append(silent)
            self.account.append(seen.account)
            self.survival.append(seen.survival)
            self.survival_later.append(seen.survival_later)
            self.judged.append(seen.judged)
            self.windows.append(Window(cutoff, horizon, len(silent), int(silent.sum())))


@dataclass(frozen=True, slots=True)
class Past:
    """What windows are made of: order days, and where the data has items, what they were of."""

    accounts: Visits
    pairs: Visits
    lines: Lines | None
    sold: Sold | None
    categories: int  # how many codes there are


@dataclass(frozen=True, slots=True)
class Seen:
    """Those learnt from on a day, as they could be seen at its end; `kept` marks them among all looked at."""

    names: tuple[str, ...]
    rows: FloatArray
    scaling: Scaling  # of this day's rows
    account: IndexArray
    survival: FloatArray
    survival_later: FloatArray
    judged: BoolArray
    kept: BoolArray


def look(past: Past, day: int, horizon: int, random: np.random.Generator) -> tuple[Seen, FloatArray, Seen, FloatArray]:
    """The judged accounts and pairs of the end of `day` with their waits for the next order; at most `MOST_ROWS`
    each.
    """
    then, pairs_then = past.accounts.until(day), past.pairs.until(day)
    wait, pairs_wait = past.accounts.next_order(day), past.pairs.next_order(day)
    goods = past.sold.goods(day) if past.sold else None
    market = survey(then, pairs_then, past.categories, goods, day, horizon)
    bought = Bought(pairs_then, past.lines)
    some = THEIR_ACCOUNTS.may_hold(then, day)
    then, wait = then.of(some), wait[some]
    some = _thinned(LEARNT_PAIRS.may_hold(pairs_then, day), random)
    pairs_then, pairs_wait = pairs_then.of(some), pairs_wait[some]
    observed = observe_accounts(then, market, day, horizon)
    beside = observe_pairs(pairs_then, then, observed, bought, market, day, horizon)
    some = _thinned(JUDGED_ACCOUNTS.hold(observed.rhythm), random)
    seen = _seen(observed, some, JUDGED_ACCOUNTS)
    seen_pairs = _seen(beside, LEARNT_PAIRS.hold(beside.rhythm), JUDGED_PAIRS)
    return seen, wait[seen.kept], seen_pairs, pairs_wait[seen_pairs.kept]


def windows(first: int, cutoff: int, horizon: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Past cut-offs, latest first, each with the horizons that have closed and are learnt from there.

    Those of the whole horizon lie as the protocol says; shorter ones only where the whole one has not closed.
    """
    horizons: dict[int, list[int]] = {}
    for part in SHORTER:
        ahead = round(horizon * part)
        if not 0 < ahead < horizon:
            continue  # a horizon of days has no such part
        for day in range(cutoff - ahead, cutoff - horizon, -STEP):
            horizons.setdefault(day, []).append(ahead)
    for day in range(cutoff - horizon, cutoff - horizon - MOST_WINDOWS * STEP, -STEP):
        horizons.setdefault(day, []).append(horizon)
    for day in sorted(horizons, reverse=True):
        if day - first >= FIRST_CUTOFF:
            yield day, tuple(horizons[day])


def _thinned(some: BoolArray, random: np.random.Generator) -> BoolArray:
    count = int(some.sum())
    if count <= MOST_ROWS:
        return some
    return some & (random.random(len(some)) < MOST_ROWS / count)


def _seen(observed: Observed, kept: BoolArray, judged: Limits) -> Seen:
    rows = matrix(observed.columns, kept)
    return Seen(
        names=tuple(observed.columns),
        rows=rows,
        scaling=scaling(rows),
        account=observed.rhythm.account[kept].astype(np.int64),
        survival=observed.survival[kept],
        survival_later=observed.survival_later[kept],
        judged=judged.hold(observed.rhythm)[kept],
        kept=kept,
    )


def matrix(columns: Columns, kept: BoolArray) -> FloatArray:
    return np.column_stack([values[kept] for values in columns.values()])
