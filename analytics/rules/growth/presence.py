"""Whether an account orders anything at all within the horizon: a silent one buys nothing new either.

Learnt on all accounts that growth was asked for at past windows, from the account's own rhythm alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analytics.rules.growth import ranking
from analytics.rules.growth.ledger import Activity, Calendar, Float32Array
from analytics.rules.growth.ranking import Weights
from analytics.rules.history import BoolArray, FloatArray, IntArray

SIGNALS = ("silence", "overdue", "orders", "pace", "tenure")
PENALTY = 10.0
LEAST = 30
"""With fewer accounts that ordered, or fewer that did not, nothing is learnt."""


def signals_of(activity: Activity, accounts: IntArray) -> Float32Array:
    """Accounts × SIGNALS, all logs; the accounts have two order days or more."""
    silence = (activity.cutoff - activity.last[accounts]).astype(float)
    orders = activity.orders[accounts].astype(float)
    span = (activity.last - activity.first)[accounts].astype(float)
    gap = np.maximum(span / np.maximum(orders - 1, 1), 1)
    columns = [np.log1p(silence), np.log1p(silence / gap), np.log1p(orders), np.log(gap), np.log1p(span + silence)]
    return np.stack(columns, axis=1).astype(np.float32)


def learn(calendar: Calendar, windows: Sequence[int], horizon: int) -> Weights | None:
    """Of the accounts eligible at each window; None where too few did or did not order within the horizon."""
    rows, labels = [], []
    for cutoff in windows:
        activity = calendar.at(cutoff)
        accounts = activity.eligible()
        rows.append(signals_of(activity, accounts))
        labels.append(ordered(calendar, cutoff, horizon)[accounts])
    if not rows:
        return None
    signals, came = np.concatenate(rows), np.concatenate(labels)
    if min(int(came.sum()), int((~came).sum())) < LEAST:
        return None
    design = ranking.standardised(signals, came)
    return design.weights(ranking.fitted(design, PENALTY))


def ordered(calendar: Calendar, cutoff: int, horizon: int) -> BoolArray:
    """By account: whether it ordered in (cutoff, cutoff + horizon]."""
    return np.asarray(calendar.at(cutoff + horizon).last > cutoff)


def chance(learnt: Weights | None, activity: Activity, accounts: IntArray) -> FloatArray:
    """That the accounts order within the horizon; 1 where nothing is known of it."""
    return learnt.probability(signals_of(activity, accounts)) if learnt else np.ones(len(accounts))


def of_scores(account: IntArray, silent: FloatArray, accounts: int) -> FloatArray:
    """By account, the chance that it orders, from other scores' chance that it does not; NaN where they have none."""
    found = np.full(accounts, np.nan)
    found[account] = 1 - silent
    return found
