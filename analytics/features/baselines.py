"""What the product has to beat: the rankings that anybody can make in an afternoon, by the same protocol."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from analytics.rules import protocol
from analytics.rules.growth.ease import gram
from analytics.rules.history import NONE, FloatArray, History, IntArray
from analytics.rules.protocol import Eligible, GrowthCase

HALF = 45
EASE_PENALTY = 300.0
MOST_DENSE = 8_000
"""Things beyond which no dense matrix of them is made for a baseline's sake."""
_AT_ONCE = 2_000


class Silence:
    """Simple facts of eligible accounts, or accounts × categories, at a cut-off."""

    def __init__(self, history: History, cutoff: int, eligible: Eligible, *, by_category: bool) -> None:
        past = history.until(cutoff)
        days = past.pair_days() if by_category else past.account_days()
        keys = protocol.pair_keys(history, days.account[days.starts], days.category[days.starts])
        at = np.searchsorted(keys, protocol.pair_keys(history, eligible.account, eligible.category))
        group = np.repeat(np.arange(len(days.starts)), days.counts)

        def spent(after: int, last: int) -> FloatArray:
            rows = (days.day > after) & (days.day <= last)
            sums = np.bincount(group[rows], weights=days.amount[rows], minlength=len(days.starts))
            return np.asarray(sums[at], dtype=np.float64)

        self.recency: FloatArray = (cutoff - days.day[days.starts + days.counts - 1])[at].astype(np.float64)
        self.tenure: FloatArray = (cutoff - days.day[days.starts])[at].astype(np.float64)
        self.orders: FloatArray = days.counts[at].astype(np.float64)
        self.spend: FloatArray = spent(-1, cutoff)
        self.drop: FloatArray = spent(cutoff - 180, cutoff - 90) - spent(cutoff - 90, cutoff)

    def rfm(self) -> FloatArray:
        return np.log1p(np.column_stack([self.recency, self.orders, self.spend, self.tenure]))


def of_accounts(history: History, cutoff: int, eligible: Eligible, horizon: int) -> dict[str, FloatArray]:
    """Score by name of the baseline; the higher, the likelier lost."""
    facts = Silence(history, cutoff, eligible, by_category=False)
    scores = {"recency": facts.recency, "revenue drop, 90 d against the 90 before": facts.drop}
    rows, lost = [], []
    for past in protocol.training_cutoffs(cutoff, horizon=horizon):
        judged = protocol.eligible_accounts(history, past)
        rows.append(Silence(history, past, judged, by_category=False).rfm())
        lost.append(protocol.churned(history, past, judged, horizon=horizon))
    if lost and 0 < np.concatenate(lost).mean() < 1:
        model = make_pipeline(StandardScaler(), LogisticRegression())
        model.fit(np.concatenate(rows), np.concatenate(lost))
        scores["RFM logistic (logs)"] = model.predict_proba(facts.rfm())[:, 1]
    return scores


def of_pairs(history: History, cutoff: int, eligible: Eligible) -> dict[str, FloatArray]:
    facts = Silence(history, cutoff, eligible, by_category=True)
    return {
        "revenue drop, by money": facts.drop,
        "silent for more than 45 days, by money": np.where(facts.recency > HALF, facts.spend, 0.0),
    }


def of_growth(history: History, cutoff: int, case: GrowthCase, *, of: str, horizon: int) -> Mapping[str, Ranking]:
    """Ranked lists by name of the baseline: accounts, codes, ranks, ten each."""
    column = history.item if of == "items" else history.category
    rows = (column != NONE) & (history.day <= cutoff)
    shape = (len(history.accounts), case.codes)
    bought = sparse.csr_matrix((np.ones(int(rows.sum()), np.float32), (history.account[rows], column[rows])), shape)
    bought.data[:] = 1.0
    recent = (column != NONE) & (history.day <= cutoff) & (history.day > cutoff - horizon)
    buyers = sparse.csr_matrix((np.ones(int(recent.sum())), (history.account[recent], column[recent])), shape)
    popular = np.diff(buyers.tocsc().indptr).astype(np.float64)
    before = _keys(history, column, (column != NONE) & (history.day <= cutoff - horizon), case.codes)
    new = np.setdiff1d(_keys(history, column, recent, case.codes), before)
    first = np.bincount(new % case.codes, minlength=case.codes).astype(np.float64)
    found = {
        "popularity": _ranked(lambda accounts: np.tile(popular, (len(accounts), 1)), bought, case),
        "first-buy popularity": _ranked(lambda accounts: np.tile(first, (len(accounts), 1)), bought, case),
    }
    if case.codes <= MOST_DENSE:
        # One after the other: each is a dense square of things.
        found["kNN by cosine"] = _ranked(_weighted(bought, _cosine(bought)), bought, case)
        found[f"EASE^R (λ = {EASE_PENALTY:.0f})"] = _ranked(_weighted(bought, _ease(bought)), bought, case)
    return found


def _weighted(bought: sparse.csr_matrix, weights: FloatArray) -> Callable[[IntArray], FloatArray]:
    return lambda accounts: np.asarray(bought[accounts] @ weights)


def _cosine(bought: sparse.csr_matrix) -> FloatArray:
    cosine = gram(bought).astype(np.float64)
    norm = np.sqrt(np.maximum(np.diag(cosine), 1.0))
    cosine /= norm[:, None]
    cosine /= norm[None, :]
    np.fill_diagonal(cosine, 0.0)
    return cosine


def _ease(bought: sparse.csr_matrix) -> FloatArray:
    weights = gram(bought).astype(np.float64)
    weights[np.diag_indices_from(weights)] += EASE_PENALTY
    weights = np.asarray(linalg.inv(weights, overwrite_a=True, check_finite=False))
    weights /= -np.diag(weights)[None, :]
    np.fill_diagonal(weights, 0.0)
    return weights


Ranking = tuple[IntArray, IntArray, IntArray]


def _keys(history: History, column: IntArray, rows: NDArray[np.bool_], codes: int) -> NDArray[np.int64]:
    return np.unique(history.account[rows].astype(np.int64) * codes + column[rows])


def _ranked(
    score: Callable[[IntArray], FloatArray], bought: sparse.csr_matrix, case: GrowthCase, *, top: int = 10
) -> Ranking:
    top = min(top, case.codes)
    known = np.diff(bought.tocsc().indptr) > 0
    found: list[Ranking] = []
    for begin in range(0, len(case.accounts), _AT_ONCE):
        accounts = case.accounts[begin : begin + _AT_ONCE]
        scores = np.where(np.asarray(bought[accounts].todense()) > 0, -np.inf, score(accounts))
        scores[:, ~known] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")[:, :top]
        real = np.isfinite(np.take_along_axis(scores, order, axis=1))
        rank = np.broadcast_to(np.arange(1, top + 1, dtype=np.int32), order.shape)
        account = np.broadcast_to(accounts[:, None], order.shape)
        found.append((account[real], order[real].astype(np.int32), rank[real]))
    empty = np.empty(0, dtype=np.int32)
    accounts, codes, ranks = (np.concatenate(part) for part in zip((empty, empty, empty), *found, strict=True))
    return accounts, codes, ranks
