"""What speaks for a first purchase of a thing by an account: the columns that the ranking weighs.

Everything pooled over accounts is in a `Snapshot`, everything else comes from the account's own purchases, so that an
account has the same signals whoever else is scored with it. For the same reason nothing here goes through a BLAS
product over accounts, whose rounding depends on the number of rows: sparse products and sums along a row do not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from analytics.rules.clock import STEADY, Clock
from analytics.rules.growth.ease import Neighbours
from analytics.rules.growth.ledger import Activity, Float32Array, Ledger, Pairs
from analytics.rules.history import NONE, BoolArray, IntArray

WINDOWS = (7, 15, 30, 90)
"""Days back over which first purchases and buyers are counted."""
YEAR = 365
CANDIDATES = 200
"""Things per account that the ranking looks at."""
ALL_THINGS = 400
"""With no more things than this, all of them are candidates."""
POPULARITY_SHARE = 0.7
"""Weight of popularity beside EASE^R in the choice of candidates; the ranking then learns its own."""
GROUP_PRIOR = 30.0
"""Things' worth of doubt about how much an account cares for a category."""
SEASON_PRIOR = 5.0
"""Purchases' worth of doubt about a thing's season."""
BLOCK = 512
"""Accounts looked at together: 20 MB for each dense signal at 10,000 things."""

OF_THINGS = (
    *(f"first_{days}" for days in WINDOWS),
    *(f"buyers_{days}" for days in WINDOWS),
    "buyers_ever",
    "silent",
    "season",
)
OF_PAIRS = ("ease", "ease_recent", "ease_standing", "category_affinity")
OF_ACCOUNTS = ("breadth", "novelty", "recency", "orders")
SIGNALS = (*OF_THINGS, *OF_PAIRS, *OF_ACCOUNTS)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known of all things at the end of a day."""

    cutoff: int
    horizon: int
    neighbours: Neighbours
    traits: Float32Array  # things × OF_THINGS
    sold: BoolArray  # by thing: anybody has bought it by then
    group: IntArray  # category of each thing, NONE without

    @property
    def things(self) -> int:
        return len(self.traits)


@dataclass(frozen=True, slots=True)
class Candidates:
    """A block of accounts, each with its candidate things in rising order."""

    accounts: slice  # which of the eligible ones
    thing: IntArray  # accounts × candidates
    real: BoolArray  # False: bought already, or never sold; it only fills the row up
    signals: Float32Array  # accounts × candidates × SIGNALS
    bought: BoolArray  # accounts × things


def traits_of(ledger: Ledger, pairs: Pairs, activity: Activity, horizon: int, clock: Clock = STEADY) -> Float32Array:
    """Logs of first buyers and of buyers per active account over the windows, days without a sale, and the season."""
    cutoff, things = activity.cutoff, pairs.things
    columns = [
        np.log((np.bincount(pairs.thing[days > cutoff - window], minlength=things) + 0.5) / activity.active(window))
        for days in (pairs.first, pairs.last)
        for window in WINDOWS
    ]
    ever = np.bincount(pairs.thing, minlength=things)
    columns.append(np.log((ever + 0.5) / activity.active(cutoff + 1)))
    last = np.full(things, cutoff - YEAR, dtype=np.int64)
    np.maximum.at(last, pairs.thing, pairs.last)
    columns.append(np.log1p(np.minimum(cutoff - last, YEAR)))
    columns.append(_season(ledger, cutoff, horizon, clock))
    return np.stack(columns, axis=1).astype(np.float32)


def _season(ledger: Ledger, cutoff: int, horizon: int, clock: Clock) -> NDArray[np.float64]:
    """Log of how a thing sold in the same season a year ago against that whole year; 0 with less than a year behind, or
    where a hole took the season. Seasons are the calendar's, whatever days the clock has left out.
    """
    today = int(clock.calendar(np.array([cutoff], dtype=np.int32))[0])
    if today < YEAR:
        return np.zeros(ledger.things)
    ends = np.array([today - YEAR, today - YEAR + min(horizon, YEAR)], dtype=np.int32)
    begin, end = (int(day) for day in clock.running(ends))
    if begin == end:
        return np.zeros(ledger.things)
    share = (end - begin) / (cutoff - begin)
    season = ledger.purchases(begin, end)
    year = ledger.purchases(begin, cutoff)
    return np.asarray(np.log((season + SEASON_PRIOR * share) / ((year + SEASON_PRIOR) * share)))


def candidates(snapshot: Snapshot, pairs: Pairs, activity: Activity, accounts: IntArray) -> Iterator[Candidates]:
    """The candidates of `accounts` (sorted), block by block. `pairs` and `activity` are of the snapshot's cut-off."""
    own = pairs.of_accounts(accounts)
    bought = own.matrix()
    age = (snapshot.cutoff - own.last).astype(np.float32)
    recent = own.matrix(np.exp(-age / np.float32(snapshot.horizon)))
    weights = snapshot.neighbours.matrix()
    breadth = np.log1p(np.diff(bought.indptr)).astype(np.float32)
    new = own.first > snapshot.cutoff - snapshot.horizon
    novelty = np.log1p(np.bincount(own.account[new], minlength=len(accounts))).astype(np.float32)
    recency = np.log1p(activity.cutoff - activity.last[accounts]).astype(np.float32)
    orders = np.log1p(activity.orders[accounts]).astype(np.float32)
    for start in range(0, len(accounts), BLOCK):
        rows = slice(start, min(start + BLOCK, len(accounts)))
        yield _block(
            snapshot,
            rows,
            bought[rows],
            recent[rows],
            weights,
            np.stack([breadth[rows], novelty[rows], recency[rows], orders[rows]], 1),
        )


def _block(
    snapshot: Snapshot,
    rows: slice,
    bought: sparse.csr_matrix,
    recent: sparse.csr_matrix,
    weights: sparse.csr_matrix,
    of_accounts: Float32Array,
) -> Candidates:
    has = np.zeros(bought.shape, dtype=bool)
    has[np.repeat(np.arange(bought.shape[0]), np.diff(bought.indptr)), bought.indices] = True
    score = (bought @ weights).toarray()
    standing = _standardised(score)
    popular = snapshot.traits[:, OF_THINGS.index("first_30")]
    merit = standing + np.float32(POPULARITY_SHARE) * _standardised(popular[None, :])
    merit[has | ~snapshot.sold] = -np.inf
    thing = _best(merit, snapshot.things if snapshot.things <= ALL_THINGS else CANDIDATES)
    wide = np.broadcast_to(of_accounts[:, None, :], (*thing.shape, len(OF_ACCOUNTS)))
    of_pairs = np.stack(
        [
            np.take_along_axis(score, thing, 1),
            np.take_along_axis((recent @ weights).toarray(), thing, 1),
            np.take_along_axis(standing, thing, 1),
            _affinity(snapshot, bought, thing),
        ],
        axis=2,
    )
    signals = np.concatenate([snapshot.traits[thing], of_pairs, wide], axis=2, dtype=np.float32)
    return Candidates(rows, thing, np.isfinite(np.take_along_axis(merit, thing, 1)), signals, has)


def _standardised(values: Float32Array) -> Float32Array:
    """By row. In float32 throughout: a conversion would sum in buffers that straddle rows."""
    spread = values.std(axis=1, keepdims=True)
    return np.asarray((values - values.mean(axis=1, keepdims=True)) / (spread + np.float32(1e-9)))


def _best(merit: Float32Array, count: int) -> IntArray:
    if count >= merit.shape[1]:
        return np.broadcast_to(np.arange(merit.shape[1], dtype=np.int32), merit.shape)
    chosen = np.argpartition(-merit, count - 1, axis=1)[:, :count]
    return np.sort(chosen, axis=1).astype(np.int32)


def _affinity(snapshot: Snapshot, bought: sparse.csr_matrix, thing: IntArray) -> Float32Array:
    """Log of the share that the candidate's category has among the things the account buys."""
    groups = int(snapshot.group.max(initial=NONE)) + 1
    if not groups:
        return np.zeros(thing.shape, dtype=np.float32)
    grouped = snapshot.group[bought.indices]
    owner = np.repeat(np.arange(bought.shape[0]), np.diff(bought.indptr))[grouped != NONE]
    counts = np.bincount(owner * groups + grouped[grouped != NONE], minlength=bought.shape[0] * groups)
    counts = counts.reshape(-1, groups)
    share = np.log((counts + 0.5) / (counts.sum(axis=1, keepdims=True) + GROUP_PRIOR))
    group = snapshot.group[thing]
    return np.where(group == NONE, share.min(axis=1, keepdims=True), np.take_along_axis(share, group, 1)).astype(
        np.float32
    )
