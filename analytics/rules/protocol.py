"""Who is judged, and by what: eligibility and labels of the protocol, the same for training windows and for evaluation.

Cut-offs are read as `analytics.rules.history` says: T is the last known day, labels are what happens in
(T, T + horizon]. Nothing else is needed to measure a model: eligible rows and labels from here, figures from
`analytics.rules.metrics`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.rules.history import NONE, BoolArray, FloatArray, History, IntArray, OrderDays

HORIZON = 90
MIN_ORDER_DAYS = 3
MIN_TENURE = 60
MAX_SILENCE = 90
MAX_MEDIAN_GAP = 45
GROWTH_MIN_ORDER_DAYS = 2
GROWTH_MAX_SILENCE = 180
FIRST_CUTOFF = 90
"""A training window has at least so many days before its cut-off."""
STEP = 30
"""Days between the cut-offs of training windows."""


@dataclass(frozen=True, slots=True)
class Eligible:
    """Accounts, or accounts × categories, that have a label, sorted; `category` is all NONE for whole accounts."""

    account: IntArray
    category: IntArray

    def __len__(self) -> int:
        return len(self.account)


def training_cutoffs(cutoff: int, *, horizon: int = HORIZON) -> tuple[int, ...]:
    """Past cut-offs whose labels have ended by `cutoff`, latest first: T - H, T - H - 30, … down to day 90."""
    return tuple(range(cutoff - horizon, FIRST_CUTOFF - 1, -STEP))


def eligible_accounts(history: History, cutoff: int) -> Eligible:
    """Three order days or more, a first order 60 days ago or more, a last one 90 days ago or less."""
    return _eligible(history.until(cutoff).account_days(), cutoff, MAX_SILENCE, None)


def eligible_pairs(history: History, cutoff: int) -> Eligible:
    """The same of account × category, and a median gap between order days there of 45 days or less."""
    return _eligible(history.until(cutoff).pair_days(), cutoff, MAX_SILENCE, MAX_MEDIAN_GAP)


def unscored(history: History, scored: IntArray, cutoff: int) -> dict[str, int]:
    """How many accounts with a purchase by the cut-off are not among the `scored`, by the first reason that applies."""
    days = history.until(cutoff).account_days()
    account, first, last = days.account[days.starts], days.day[days.starts], days.day[days.starts + days.counts - 1]
    without = ~np.isin(account, scored)
    few = without & (days.counts < MIN_ORDER_DAYS)
    silent = without & ~few & (cutoff - last > MAX_SILENCE)
    new = without & ~few & ~silent & (cutoff - first < MIN_TENURE)
    counts = {
        "fewer_than_three_order_days": few,
        "silent_for_longer_than_ninety_days": silent,
        "first_order_less_than_sixty_days_ago": new,
        "other": without & ~few & ~silent & ~new,
    }
    return {reason: int(rows.sum()) for reason, rows in counts.items() if rows.any()}


def churned(history: History, cutoff: int, eligible: Eligible, *, horizon: int = HORIZON) -> BoolArray:
    """Which of the accounts order nothing in (T, T + horizon]."""
    orders = np.zeros(len(history.accounts), dtype=bool)
    orders[history.between(cutoff, cutoff + horizon).account] = True
    return ~orders[eligible.account]


def defected(history: History, cutoff: int, eligible: Eligible, *, horizon: int = HORIZON) -> BoolArray:
    """Which of the pairs see no order of the account in the category in (T, T + horizon]."""
    later = history.between(cutoff, cutoff + horizon)
    return ~np.isin(
        pair_keys(history, eligible.account, eligible.category), pair_keys(history, later.account, later.category)
    )


def spend_behind(history: History, cutoff: int, eligible: Eligible, *, horizon: int = HORIZON) -> FloatArray:
    """The expected spend by which capture@500 weighs, and its control ranks: all spent so far, over the days since the
    first order, times the horizon. Tenures under MIN_TENURE, which no eligible one has, count as MIN_TENURE."""
    past = history.until(cutoff)
    whole = not len(eligible) or eligible.category[0] == NONE
    days = past.account_days() if whole else past.pair_days()
    tenure = np.maximum(cutoff - days.day[days.starts], MIN_TENURE)
    rate = np.add.reduceat(days.amount, days.starts) / tenure if len(days) else np.empty(0)
    keys = pair_keys(history, days.account[days.starts], days.category[days.starts])
    return rate[np.searchsorted(keys, pair_keys(history, eligible.account, eligible.category))] * horizon


@dataclass(frozen=True, slots=True)
class GrowthCase:
    """What is asked of growth at a cut-off: the accounts, what each has bought, and what it buys first afterwards.

    `bought` and `relevant` are keys account × codes + code, sorted. Only codes known by the cut-off can be relevant.
    """

    accounts: IntArray
    bought: NDArray[np.int64]
    relevant: NDArray[np.int64]
    codes: int

    def is_bought(self, account: IntArray, code: IntArray) -> BoolArray:
        return _among(account.astype(np.int64) * self.codes + code, self.bought)

    def is_relevant(self, account: IntArray, code: IntArray) -> BoolArray:
        return _among(account.astype(np.int64) * self.codes + code, self.relevant)

    def relevant_counts(self) -> NDArray[np.int64]:
        """How much is relevant to each of `accounts`; accounts with nothing relevant are left out of the figures."""
        owners = self.relevant // self.codes
        return np.searchsorted(owners, self.accounts, "right") - np.searchsorted(owners, self.accounts, "left")


def growth_accounts(history: History, cutoff: int) -> IntArray:
    """Two order days or more, the last one 180 days ago or less."""
    days = history.until(cutoff).account_days()
    if not len(days):
        return np.empty(0, dtype=np.int32)
    last = days.day[days.starts + days.counts - 1]
    fit = (days.counts >= GROWTH_MIN_ORDER_DAYS) & (cutoff - last <= GROWTH_MAX_SILENCE)
    accounts: IntArray = days.account[days.starts][fit]
    return accounts


def growth_case(history: History, cutoff: int, *, of: str, horizon: int = HORIZON) -> GrowthCase:
    """`of` is "items" or "categories"."""
    column, codes = (history.item, len(history.items)) if of == "items" else (history.category, len(history.categories))
    codes = max(codes, 1)
    has = column != NONE
    keys = history.account.astype(np.int64) * codes + column
    past = np.unique(keys[has & (history.day <= cutoff)])
    later = np.unique(keys[has & (history.day > cutoff) & (history.day <= cutoff + horizon)])
    known = np.zeros(codes, dtype=bool)
    known[past % codes] = True
    accounts = growth_accounts(history, cutoff)
    judged = np.zeros(len(history.accounts), dtype=bool)
    judged[accounts] = True
    new = later[~_among(later, past)]
    return GrowthCase(accounts, past, new[known[new % codes] & judged[new // codes]], codes)


def pair_keys(history: History, account: IntArray, category: IntArray) -> NDArray[np.int64]:
    """One number for account and category, rising with both; NONE counts as the lowest category."""
    return account.astype(np.int64) * (len(history.categories) + 1) + (category + 1)


def _eligible(days: OrderDays, cutoff: int, silence: int, median_gap: int | None) -> Eligible:
    if not len(days):
        return Eligible(np.empty(0, dtype=np.int32), np.empty(0, dtype=np.int32))
    first, last = days.day[days.starts], days.day[days.starts + days.counts - 1]
    fit = (days.counts >= MIN_ORDER_DAYS) & (cutoff - first >= MIN_TENURE) & (cutoff - last <= silence)
    if median_gap is not None:
        fit &= median_gaps(days) <= median_gap
    return Eligible(days.account[days.starts][fit], days.category[days.starts][fit])


def median_gaps(days: OrderDays) -> FloatArray:
    """The median of the days between consecutive order days of each group; infinite with a single order day."""
    group = np.repeat(np.arange(len(days.starts)), days.counts)
    inner = np.ones(len(days), dtype=bool)
    inner[days.starts] = False
    gaps, owner = np.diff(days.day, prepend=0)[inner], group[inner]
    gaps = gaps[np.lexsort((gaps, owner))]
    counts = days.counts - 1
    begins = np.cumsum(counts) - counts
    medians = np.full(len(counts), np.inf)
    some = counts > 0
    low, high = begins + (counts - 1) // 2, begins + counts // 2
    medians[some] = (gaps[low[some]] + gaps[high[some]]) / 2
    return medians


def _among(keys: NDArray[np.int64], known: NDArray[np.int64]) -> BoolArray:
    """Which keys are among the sorted `known`."""
    if not len(known):
        return np.zeros(len(keys), dtype=bool)
    found: BoolArray = known[np.clip(np.searchsorted(known, keys), 0, len(known) - 1)] == keys
    return found
