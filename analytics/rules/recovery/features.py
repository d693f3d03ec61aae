"""Columns of the logistic model: logs of counts, days and money of accounts, and of account × category beside its
account.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analytics.rules.history import FloatArray
from analytics.rules.recovery import alike, goods
from analytics.rules.recovery.cycles import Cycle, update
from analytics.rules.recovery.goods import Lines
from analytics.rules.recovery.market import YEAR, Market
from analytics.rules.recovery.rhythm import Rhythm, observe
from analytics.rules.recovery.visits import Visits

Columns = dict[str, FloatArray]

SHARED = (
    "orders", "silence", "median_gap", "amount", "lasts", "survival", "spike", "orders_90", "recent_long", "lines",
    "gap_cv", "again", "even_amount", "even_lines", "months", "opened",
)  # fmt: skip
"""Of the account's columns, those that its pairs see too."""


CURVED = ("orders", "silence", "survival", "lasts", "rate", "recent_long")
"""Columns that come squared too: their first steps say more than the later ones."""


@dataclass(frozen=True, slots=True)
class Observed:
    """Owners by the end of a day: raw numbers, posterior cycles, columns."""

    rhythm: Rhythm
    cycle: Cycle
    survival: FloatArray  # S(r)
    survival_later: FloatArray  # S(r + horizon)
    columns: Columns


def observe_accounts(visits: Visits, market: Market, cutoff: int, horizon: int) -> Observed:
    rhythm = observe(visits, cutoff)
    return _observed(rhythm, update(rhythm, market.account_prior), visits, cutoff, horizon)


@dataclass(frozen=True, slots=True)
class Bought:
    """All that accounts bought in any category, as known by the day that is looked at: pairs, and lines where the data
    has items. Lines may be later too.
    """

    pairs: Visits
    lines: Lines | None


def observe_pairs(
    visits: Visits,
    accounts: Visits,
    of_accounts: Observed,
    bought: Bought,
    market: Market,
    cutoff: int,
    horizon: int,
) -> Observed:
    """Columns of pairs. `accounts` and `of_accounts` have to contain every account of `visits`, and `bought` all that
    these bought.
    """
    rhythm = observe(visits, cutoff)
    observed = _observed(rhythm, update(rhythm, market.pair_prior), visits, cutoff, horizon)
    place = np.searchsorted(accounts.account, visits.account)
    columns = observed.columns
    for name in SHARED:
        columns[f"account_{name}"] = of_accounts.columns[name][place]
    columns |= _of_account(rhythm, of_accounts.rhythm, accounts, place, cutoff, horizon)
    for name in market.columns:
        columns[f"category_{name}"] = market.of(name, visits.category)
    columns |= alike.columns(bought.pairs, visits, np.array(market.alike), cutoff)
    if market.goods is not None:
        columns |= goods.columns(bought.lines, visits, market.goods, cutoff)
    return observed


def _observed(rhythm: Rhythm, cycle: Cycle, visits: Visits, cutoff: int, horizon: int) -> Observed:
    survival = np.maximum(cycle.survival(rhythm.silence), 1e-9)
    later = cycle.survival(rhythm.silence + horizon)
    r, orders, tenure = rhythm, rhythm.orders, rhythm.tenure
    half = horizon / 2
    columns = {
        "survival": np.log(survival),
        "lasts": np.log(np.clip(later / survival, 1e-9, 1.0)),
        "location": cycle.location,
        "scale": np.log(cycle.scale),
        "orders": np.log(orders),
        "rate": np.log(orders / tenure),
        "poisson_silent": -orders * np.log1p(horizon / (tenure + half)),
        "silence": np.log1p(r.silence),
        "silence_by_orders": np.log1p(r.silence) * np.log(orders),
        "missed": np.log1p(orders * np.log((tenure + half) / (tenure - r.silence + half))),
        "mean_gap": np.log(r.mean_gap),
        "median_gap": np.log(r.median_gap),
        "longest_gap": np.log1p(r.longest_gap),
        "last_gap": np.log(r.last_gap),
        "gap_cv": r.gap_cv,
        "overdue": np.log((r.silence + 1) / (r.median_gap + 1)),
        "beyond_longest": np.log((r.silence + 1) / (r.longest_gap + 1)),
        "exceeded": np.log(r.exceeded),
        "recent_short": np.log(r.recent_short + 1e-3),
        "recent_long": np.log(r.recent_long + 1e-3),
        "orders_30": np.log1p(r.orders_30),
        "orders_90": np.log1p(r.orders_90),
        "months": np.log(r.months),
        "trend": np.log((r.orders_90 + 0.5) / (r.orders_180 - r.orders_90 + 0.5)),
        "amount": np.log(r.amount),
        "usual_amount": np.log(r.usual_amount),
        "spike": r.largest / r.amount,
        "last_amount": np.log(r.last_amount / r.usual_amount),
        "amount_trend": np.log((r.amount_90 + r.usual_amount / 2) / (r.amount_180 - r.amount_90 + r.usual_amount / 2)),
        "even_amount": np.log(r.amount**2 / r.squares),
        "even_lines": np.log(r.lines**2 / r.line_squares),
        "lines": np.log(r.lines / orders),
        "last_lines": np.log(r.last_lines * orders / r.lines),
        "items": np.log(r.fresh),
        "again": 1 - r.fresh / r.lines,
        "opened": np.log(np.maximum(r.opened, 1)),
    }
    columns |= _last_year(rhythm, visits, cutoff, horizon)
    columns |= {f"{name}_squared": columns[name] ** 2 for name in CURVED}
    return Observed(rhythm, cycle, survival, later, columns)


def _last_year(rhythm: Rhythm, visits: Visits, cutoff: int, horizon: int) -> Columns:
    """Orders of a year ago, in the same days that are to come, against the usual of the time since; 0 before a year
    of history.
    """
    age = cutoff - visits.day
    ahead = visits.sums(((age > YEAR - horizon - 1) & (age < YEAR)).astype(np.float64))
    usual = rhythm.orders * horizon / rhythm.tenure
    whole_year = rhythm.tenure > YEAR
    return {"last_year": np.where(whole_year, np.log((ahead + 0.5) / (usual + 0.5)), 0.0)}


def _of_account(pair: Rhythm, account: Rhythm, days: Visits, place: np.ndarray, cutoff: int, horizon: int) -> Columns:
    """What the account did without this category: orders since the last one here, the share of its orders that come
    here.
    """
    width = int(cutoff) + 2
    key = np.repeat(np.arange(len(days), dtype=np.int64), days.counts) * width + days.day
    ends = (days.starts + days.counts)[place]
    here = place.astype(np.int64) * width
    since = (ends - np.searchsorted(key, here + pair.last_day, side="right")).astype(np.float64)
    first_day = cutoff + 1 - pair.tenure.astype(np.int64)
    while_here = (ends - np.searchsorted(key, here + first_day, side="left")).astype(np.float64)
    share = np.minimum((pair.orders + 0.5) / (while_here + 1), 0.999)
    to_come = (account.orders / (account.tenure + horizon / 2) * horizon)[place]
    return {
        "since": np.log1p(since),
        "share": np.log(share / (1 - share)),
        "skipped": since * np.log1p(-share),
        "share_90": np.log((pair.orders_90 + 0.5) / (account.orders_90[place] + 1)),
        "to_come": -to_come * share,
        "money_share": np.log(pair.amount / account.amount[place]),
    }
