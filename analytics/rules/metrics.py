"""The figures of the protocol: ranking, calibration, money caught. Ties are broken by position: no chance is left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.rules.history import BoolArray, FloatArray, IntArray
from analytics.rules.protocol import GrowthCase

BINS = 10


def auc(lost: BoolArray, score: FloatArray) -> float:
    """The chance that a lost one stands above a kept one, ties counting half; NaN if all are alike."""
    positives = int(lost.sum())
    negatives = len(lost) - positives
    if not positives or not negatives:
        return float("nan")
    _values, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    middle = np.cumsum(counts) - (counts - 1) / 2
    return float((middle[place][lost].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def average_precision(lost: BoolArray, score: FloatArray) -> float:
    """Σ (recall step × precision) over the distinct scores from the top; NaN if none is lost."""
    if not lost.any():
        return float("nan")
    order = np.argsort(-score, kind="stable")
    caught = np.cumsum(lost[order])
    last = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    precision = caught[last] / (last + 1)
    return float((np.diff(caught[last], prepend=0) * precision).sum() / caught[-1])


def precision_at(k: int, lost: BoolArray, score: FloatArray) -> float:
    """The share of lost ones among the first k; of all, if there are fewer than k."""
    return float(lost[_top(k, score)].mean()) if len(lost) else float("nan")


def lift(lost: BoolArray, score: FloatArray, *, share: float = 0.1) -> float:
    """How many times more are lost in the top tenth than in all. The tenth is rounded down, one at least."""
    if not lost.any():
        return float("nan")
    return precision_at(max(int(len(lost) * share), 1), lost, score) / float(lost.mean())


@dataclass(frozen=True, slots=True)
class CalibrationBin:
    count: int
    foretold: float  # mean probability
    happened: float  # share that was lost


def calibration(lost: BoolArray, probability: FloatArray, *, bins: int = BINS) -> tuple[CalibrationBin, ...]:
    """Bins of equal counts (to one) by rising probability; fewer bins than asked for where there are fewer rows."""
    order = np.argsort(probability, kind="stable")
    return tuple(
        CalibrationBin(len(part), float(probability[part].mean()), float(lost[part].mean()))
        for part in np.array_split(order, bins)
        if len(part)
    )


def calibration_error(lost: BoolArray, probability: FloatArray, *, bins: int = BINS) -> float:
    """Expected calibration error: mean |foretold − happened| over the bins, weighted by their counts."""
    parts = calibration(lost, probability, bins=bins)
    if not parts:
        return float("nan")
    return sum(part.count * abs(part.foretold - part.happened) for part in parts) / len(lost)


def capture(k: int, lost: BoolArray, score: FloatArray, expected: FloatArray) -> float:
    """The money expected of those lost that the first k by `score` hold, as a share of all such money.

    Beside it stands the control, whose score is `expected` itself; above both, `unbeaten`.
    """
    total = float(expected[lost].sum())
    top = _top(k, score)
    return float(expected[top][lost[top]].sum()) / total if total > 0 else float("nan")


def unbeaten(lost: BoolArray, expected: FloatArray) -> FloatArray:
    """The score that nobody can beat: the lost ones first, those with the most money before all."""
    return np.where(lost, expected, -1.0)


@dataclass(frozen=True, slots=True)
class GrowthFigures:
    accounts: int  # those with anything relevant; the others are not counted
    recall: float
    ndcg: float
    hit: float


def growth_figures(
    case: GrowthCase, account: IntArray, code: IntArray, rank: IntArray, *, k: int = 10, hit_at: int = 5
) -> GrowthFigures:
    """Mean recall@10, NDCG@10 and hit@5 of ranked lists; an account without a list scores 0. Ranks begin at 1.

    Recall is divided by all that is relevant; the ideal of NDCG puts min(10, relevant) first.
    """
    relevant = case.relevant_counts()
    judged, relevant = case.accounts[relevant > 0], relevant[relevant > 0]
    if not len(judged):
        return GrowthFigures(0, float("nan"), float("nan"), float("nan"))
    right = (rank <= k) & case.is_relevant(account, code)
    place, near = np.searchsorted(judged, account[right]), rank[right]
    gain = np.bincount(place, weights=1 / np.log2(near + 1.0), minlength=len(judged))
    found = np.bincount(place, minlength=len(judged))
    hits = np.bincount(place[near <= hit_at], minlength=len(judged)) > 0
    ideal = np.cumsum(1 / np.log2(np.arange(k) + 2.0))[np.minimum(relevant, k) - 1]
    return GrowthFigures(
        len(judged), float((found / relevant).mean()), float((gain / ideal).mean()), float(hits.mean())
    )


def _top(k: int, score: FloatArray) -> NDArray[np.int64]:
    return np.argsort(-score, kind="stable")[:k]
