"""What an owner's order days say by the end of a day: gaps, silence, sizes of orders, the last months. Raw numbers,
no model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from analytics.rules.history import BoolArray, FloatArray, IntArray
from analytics.rules.recovery.visits import IndexArray, Visits

HALF_LIFE_SHORT = 30.0
HALF_LIFE_LONG = 90.0
"""Days after which an order counts half in `recent_short` and `recent_long`."""


@dataclass(frozen=True, slots=True)
class Rhythm:
    """Per owner, in the order of the visits. Days are days of the clock; gaps are those between consecutive order days.

    Owners with a single order day have no gap: their gap numbers are those of one gap as long as the tenure.
    """

    account: IntArray
    category: IntArray
    orders: FloatArray  # order days
    tenure: FloatArray  # days since the first one, the last known day included: 1 if it is the first
    silence: FloatArray  # days since the last one
    last_day: IntArray
    mean_gap: FloatArray
    median_gap: FloatArray
    longest_gap: FloatArray
    last_gap: FloatArray
    gap_cv: FloatArray  # standard deviation over mean
    log_gap_mean: FloatArray  # of logs of days; 0 without a gap
    log_gap_squares: FloatArray  # sum of squared deviations from that mean
    exceeded: FloatArray  # share of gaps as long as the silence or longer, half a gap added
    amount: FloatArray
    largest: FloatArray  # money of the largest order day
    last_amount: FloatArray
    squares: FloatArray  # sum of squared amounts
    usual_amount: FloatArray  # geometric mean of an order day
    lines: FloatArray
    line_squares: FloatArray
    last_lines: FloatArray
    fresh: FloatArray
    opened: FloatArray
    recent_short: FloatArray  # orders, each halved every 30 days
    recent_long: FloatArray  # … every 90 days
    orders_30: FloatArray
    orders_90: FloatArray
    orders_180: FloatArray
    amount_90: FloatArray
    amount_180: FloatArray
    months: FloatArray  # spans of 30 days, counted back from the cut-off, with an order

    def __len__(self) -> int:
        return len(self.account)


def log_gaps(visits: Visits) -> tuple[FloatArray, FloatArray, FloatArray]:
    """How many gaps each owner has, the mean of their logs (of days) and the squared deviations from it; zeros where
    it has none.
    """
    gap = np.diff(visits.day, prepend=0).astype(np.float64)
    gap[visits.starts] = 1.0
    gaps = (visits.counts - 1).astype(np.float64)
    log_gap = np.log(gap)
    mean = visits.sums(log_gap) / np.maximum(gaps, 1)
    log_gap -= mean[visits.owner()]
    log_gap[visits.starts] = 0.0
    return gaps, mean, visits.sums(log_gap**2)


def observe(visits: Visits, cutoff: int) -> Rhythm:
    """The rhythms by the end of day `cutoff`; every order day of `visits` is known by then and every owner has one."""
    starts, counts = visits.starts, visits.counts
    last = starts + counts - 1
    day = visits.day.astype(np.float64)
    orders = counts.astype(np.float64)
    tenure = cutoff - day[starts] + 1
    silence = cutoff - day[last]
    gap = np.diff(day, prepend=0.0)
    gap[starts] = 0.0
    inner = np.ones(len(day), dtype=bool)
    inner[starts] = False
    gaps = np.maximum(orders - 1, 1)
    several = counts > 1
    span = day[last] - day[starts]
    mean_gap = np.where(several, span / gaps, tenure)
    _, log_gap_mean, log_gap_squares = log_gaps(visits)
    owner = visits.owner()
    from_mean = np.where(inner, gap - mean_gap[owner], 0.0)
    amount = visits.sums(visits.amount)
    age = cutoff - day
    month = np.floor(age / 30)
    new_month = np.ones(len(day), dtype=bool)
    new_month[1:] = (month[1:] != month[:-1]) | (owner[1:] != owner[:-1])

    def within(days: int, values: FloatArray | float = 1.0) -> FloatArray:
        return visits.sums(np.where(age < days, values, 0.0))

    return Rhythm(
        account=visits.account,
        category=visits.category,
        orders=orders,
        tenure=tenure,
        silence=silence,
        last_day=visits.day[last],
        mean_gap=mean_gap,
        median_gap=np.where(several, _medians(gap, inner, owner, counts), tenure),
        longest_gap=np.where(several, visits.most(gap), tenure),
        last_gap=np.where(several, gap[last], tenure),
        gap_cv=np.sqrt(visits.sums(from_mean**2) / gaps) / mean_gap,
        log_gap_mean=log_gap_mean,
        log_gap_squares=log_gap_squares,
        exceeded=(visits.sums((inner & (gap >= silence[owner])).astype(np.float64)) + 0.5) / orders,
        amount=amount,
        largest=visits.most(visits.amount),
        last_amount=visits.amount[last],
        squares=visits.sums(visits.amount**2),
        usual_amount=np.exp(visits.sums(np.log(visits.amount)) / orders),
        lines=visits.sums(visits.lines),
        line_squares=visits.sums(visits.lines**2),
        last_lines=visits.lines[last],
        fresh=visits.sums(visits.fresh),
        opened=visits.sums(visits.opened),
        recent_short=visits.sums(0.5 ** (age / HALF_LIFE_SHORT)),
        recent_long=visits.sums(0.5 ** (age / HALF_LIFE_LONG)),
        orders_30=within(30),
        orders_90=within(90),
        orders_180=within(180),
        amount_90=within(90, visits.amount),
        amount_180=within(180, visits.amount),
        months=visits.sums(new_month.astype(np.float64)),
    )


def _medians(gap: FloatArray, inner: BoolArray, owner: IndexArray, counts: IndexArray) -> FloatArray:
    """The median gap of each owner with two order days or more; 0 for the others."""
    gaps, owners = gap[inner].astype(np.int64), owner[inner]
    if not len(gaps):
        return np.zeros(len(counts))
    gaps = gaps[np.argsort(owners * (int(gaps.max()) + 1) + gaps, kind="stable")].astype(np.float64)
    number = counts - 1
    begin = np.cumsum(number) - number
    low = np.minimum(begin + np.maximum(number - 1, 0) // 2, len(gaps) - 1)
    high = np.minimum(begin + number // 2, len(gaps) - 1)
    return np.where(number > 0, (gaps[low] + gaps[high]) / 2, 0.0)
