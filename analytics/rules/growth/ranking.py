"""How much each signal counts: L2 logistic regression on the candidates of past windows whose labels have ended.

The probability that comes out is that of a first purchase within the horizon. Ranks of an account do not depend on
signals that are the same for all its candidates; the probability does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from analytics.rules.growth.ledger import Float32Array
from analytics.rules.history import BoolArray, FloatArray

PENALTIES = (1.0, 10.0, 100.0, 1000.0)
"""Of the weights of standardised signals, chosen on the latest window that has ended; else `PENALTY`."""
PENALTY = 30.0
CHUNK = 200_000
STEPS = 25
FLAT = 1e-5
"""A signal whose spread is below this says nothing and gets no weight."""


@dataclass(frozen=True, slots=True)
class Weights:
    mean: FloatArray  # by signal
    spread: FloatArray
    weight: FloatArray
    bias: float

    def probability(self, signals: Float32Array) -> FloatArray:
        """Signal by signal rather than as a product, whose rounding would depend on the number of rows."""
        total = np.full(signals.shape[:-1], self.bias)
        for number, (mean, spread, weight) in enumerate(zip(self.mean, self.spread, self.weight, strict=True)):
            if weight:
                total += weight * ((signals[..., number] - mean) / spread)
        return np.asarray(1 / (1 + np.exp(-total)))


@dataclass(frozen=True, slots=True)
class Window:
    """Candidates of the accounts of one past cut-off, and what became of them."""

    cutoff: int
    signals: Float32Array  # accounts × candidates × signals
    real: BoolArray  # accounts × candidates
    bought: BoolArray  # accounts × candidates: first bought within the horizon
    relevant: NDArray[np.int64]  # by account: all things first bought, candidates or not

    def merit_of(self, signal: int) -> float:
        """NDCG@10 of ranking by one signal alone."""
        return ndcg(np.where(self.real, self.signals[..., signal], -np.inf), self)


def fitted(windows: Sequence[Window], penalty: float) -> Weights:
    """Newton's method on the penalised log-loss, chunk by chunk; the bias is not penalised."""
    rows = [(window.signals[window.real], window.bought[window.real].astype(float)) for window in windows]
    count = sum(len(labels) for _signals, labels in rows)
    mean = sum(signals.sum(axis=0, dtype=float) for signals, _labels in rows) / count
    spread = np.sqrt(sum(((signals - mean) ** 2).sum(axis=0) for signals, _labels in rows) / count)
    told = spread > FLAT
    spread = np.where(told, spread, 1.0)
    positives = sum(labels.sum() for _signals, labels in rows)
    solution = np.zeros(int(told.sum()) + 1)
    solution[-1] = np.log((positives + 0.5) / (count - positives + 0.5))
    ridge = np.full(len(solution), penalty)
    ridge[-1] = 1e-9
    for _step in range(STEPS):
        slope, curve = ridge * solution, np.diag(ridge)
        for signals, labels in rows:
            for start in range(0, len(labels), CHUNK):
                part = ((signals[start : start + CHUNK] - mean) / spread)[:, told]
                part = np.column_stack([part, np.ones(len(part))])
                chance = 1 / (1 + np.exp(-(part @ solution)))
                slope += part.T @ (chance - labels[start : start + CHUNK])
                curve += (part * (chance * (1 - chance))[:, None]).T @ part
        change = np.linalg.solve(curve, slope)
        solution = solution - change
        if float(np.abs(change).max()) < 1e-6:
            break
    weight = np.zeros(len(told))
    weight[told] = solution[:-1]
    return Weights(mean, spread, weight, float(solution[-1]))


def best_penalty(windows: Sequence[Window]) -> float:
    """Learnt on the older windows, judged on the latest by NDCG@10; the larger one of equals."""
    if len(windows) < 2:
        return PENALTY
    latest = windows[0]
    figures = [
        ndcg(np.where(latest.real, fitted(windows[1:], penalty).probability(latest.signals), -1.0), latest)
        for penalty in PENALTIES
    ]
    return max(zip(figures, PENALTIES, strict=True))[1]


def ndcg(score: FloatArray | Float32Array, window: Window, *, k: int = 10) -> float:
    """Mean NDCG@k over the accounts with anything relevant; 0 if there are none."""
    judged = window.relevant > 0
    if not judged.any():
        return 0.0
    k = min(k, score.shape[1])
    order = np.argsort(-score[judged], axis=1, kind="stable")[:, :k]
    gain = 1 / np.log2(np.arange(k) + 2.0)
    found = (np.take_along_axis(window.bought[judged], order, 1) * gain).sum(axis=1)
    return float((found / np.cumsum(gain)[np.minimum(window.relevant[judged], k) - 1]).mean())
