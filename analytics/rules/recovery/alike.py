"""What accounts alike buy of a category: an interest that the rest of the account's purchases bears out lasts longer.

EASE^R (Steck, "Embarrassingly shallow autoencoders for sparse data", 2019) on log(1 + order days of the last 90 days)
by account × category: with P = (XᵀX + λI)⁻¹ the weights are B = -P / diag(P), zero on the diagonal, so that what is
expected of a category follows from the account's other categories alone.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from analytics.rules.history import FloatArray, IntArray
from analytics.rules.recovery.visits import Visits

RECENT = 90
"""Days, the last known one included."""
LEAST_PENALTY, PENALTY_SHARE = 20.0, 0.02
"""λ: 2% of the mean of XᵀX's diagonal, or 20 where that is less."""
MOST_CATEGORIES = 400
"""Beyond, those with the least recent orders say nothing of others, and nothing is expected of them."""
AT_ONCE = 4_096
"""Accounts whose expectations are in memory together."""
DIGITS = 6


def learn(pairs: Visits, categories: int, cutoff: int) -> FloatArray:
    """The weights by category codes, from and to; a last row and column of zeros stand for an unknown category."""
    weights = np.zeros((categories + 1, categories + 1))
    if not len(pairs):
        return weights
    recent, _ = _recent(pairs, categories, cutoff)
    together = np.asarray((recent.T @ recent).todense(), dtype=np.float64)[:categories, :categories]
    some = np.sort(np.argsort(-np.diag(together), kind="stable")[:MOST_CATEGORIES])
    together = together[np.ix_(some, some)]
    penalty = max(LEAST_PENALTY, PENALTY_SHARE * float(np.diag(together).mean()))
    inverse = np.linalg.inv(together + penalty * np.eye(len(some)))
    learnt = -inverse / np.diag(inverse)[None, :]
    np.fill_diagonal(learnt, 0.0)
    weights[np.ix_(some, some)] = learnt.round(DIGITS)
    return weights


def columns(everything: Visits, pairs: Visits, weights: FloatArray, cutoff: int) -> dict[str, FloatArray]:
    """For each of `pairs`; `everything` has all pairs of their accounts, as known by the end of day `cutoff`."""
    if not len(pairs):
        return {"alike": np.empty(0), "beyond_alike": np.empty(0)}
    recent, accounts = _recent(everything, len(weights) - 1, cutoff)
    place = np.searchsorted(accounts, pairs.account)
    expected = np.zeros(len(pairs))
    for begin in range(0, int(place[-1]) + 1, AT_ONCE):
        first, last = np.searchsorted(place, (begin, begin + AT_ONCE))
        if first < last:
            block = recent[begin : begin + AT_ONCE] @ weights
            expected[first:last] = block[place[first:last] - begin, pairs.category[first:last]]
    own = np.log1p(pairs.sums((cutoff - pairs.day < RECENT).astype(np.float64)))
    return {"alike": expected, "beyond_alike": own - expected}


def _recent(pairs: Visits, categories: int, cutoff: int) -> tuple[sparse.csr_matrix, IntArray]:
    """Accounts × categories, the last column for unknown ones, and the account codes of the rows."""
    accounts, row = np.unique(pairs.account, return_inverse=True)
    counts = pairs.sums((cutoff - pairs.day < RECENT).astype(np.float64))
    column = np.where(pairs.category < 0, categories, pairs.category)
    some = counts > 0
    shape = (len(accounts), categories + 1)
    return sparse.csr_matrix((np.log1p(counts[some]), (row[some], column[some])), shape), accounts
