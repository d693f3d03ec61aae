"""How much each signal counts: L2 logistic regression on the candidates of past windows whose labels have ended.

The probability that comes out is that of a first purchase within the horizon. Ranks of an account do not depend on
signals that are the same for all its candidates; the probability does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from analytics.rules.growth.ledger import Float32Array
from analytics.rules.history import BoolArray, FloatArray, IntArray

PENALTIES = (1.0, 10.0, 100.0, 1000.0)
"""Of the weights of standardised signals, rising; chosen on the latest window that has ended, else `PENALTY`."""
PENALTY = 10.0
NOISE = 0.99
"""Figures are alike from this share of the best on: a larger penalty must earn its bias."""
CHUNK = 16_384
STEPS = 30
SHORTEST = 1e-4
ENOUGH = 1e-8
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
        return np.asarray(expit(total))


@dataclass(frozen=True, slots=True)
class Window:
    """Candidates of the accounts of one past cut-off, and what became of them."""

    cutoff: int
    accounts: IntArray
    thing: IntArray  # accounts × candidates
    signals: Float32Array  # accounts × candidates × signals
    real: BoolArray  # accounts × candidates
    bought: BoolArray  # accounts × candidates: first bought within the horizon
    relevant: NDArray[np.int64]  # by account: all things first bought, candidates or not
    present: FloatArray  # by account: the chance that it orders at all within the horizon
    base: FloatArray  # by thing: the chance of a first purchase within a horizon, as of then

    def merit_of(self, signal: int) -> float:
        """NDCG@10 of ranking by one signal alone."""
        return ndcg(np.where(self.real, self.signals[..., signal], -np.inf), self)


@dataclass(frozen=True, slots=True)
class Design:
    """Candidates of some windows as standardised rows, flat signals left out, with a column of ones for the bias."""

    rows: Float32Array
    labels: BoolArray
    mean: FloatArray
    spread: FloatArray
    told: BoolArray  # by signal

    def weights(self, solution: FloatArray) -> Weights:
        weight = np.zeros(len(self.told))
        weight[self.told] = solution[:-1]
        return Weights(self.mean, np.where(self.told, self.spread, 1.0), weight, float(solution[-1]))

    def where(self, rows: BoolArray) -> Design:
        return Design(self.rows[rows], self.labels[rows], self.mean, self.spread, self.told)


def design(windows: Sequence[Window]) -> Design:
    signals = np.concatenate([window.signals[window.real] for window in windows])
    return standardised(signals, np.concatenate([window.bought[window.real] for window in windows]))


def standardised(signals: Float32Array, labels: BoolArray) -> Design:
    """`signals` is overwritten."""
    mean, spread = signals.mean(axis=0, dtype=float), signals.std(axis=0, dtype=float)
    told = spread > FLAT
    signals -= mean.astype(np.float32)
    signals /= np.where(told, spread, 1.0).astype(np.float32)
    signals = signals if told.all() else signals[:, told]
    return Design(np.column_stack([signals, np.ones(len(signals), dtype=np.float32)]), labels, mean, spread, told)


def fitted(design: Design, penalty: float, start: FloatArray | None = None) -> FloatArray:
    """The weights of the design's columns with the least penalised log-loss, by Newton's method with halved steps.

    The last one, the bias, is not penalised. `start` is a solution for another penalty.
    """
    ridge = np.full(design.rows.shape[1], float(penalty))
    ridge[-1] = 1e-9
    if start is None:
        positives = float(design.labels.sum())
        start = np.zeros(len(ridge))
        start[-1] = np.log((positives + 0.5) / (len(design.labels) - positives + 0.5))
    solution = start
    loss, slope, curve = _loss(design, solution, ridge)
    for _step in range(STEPS):
        change = np.linalg.solve(curve, slope)
        length = 1.0
        while length > SHORTEST:
            nearer = solution - length * change
            found = _loss(design, nearer, ridge)
            if found[0] <= loss:
                break
            length /= 2
        else:
            break
        gained = loss - found[0]
        solution, (loss, slope, curve) = nearer, found
        if gained <= ENOUGH * abs(loss):
            break
    return solution


def _loss(design: Design, solution: FloatArray, ridge: FloatArray) -> tuple[float, FloatArray, FloatArray]:
    """Penalised log-loss, its gradient and its Hessian, chunk by chunk."""
    loss = float((ridge * solution**2).sum() / 2)
    slope, curve = ridge * solution, np.diag(ridge)
    for start in range(0, len(design.labels), CHUNK):
        part = design.rows[start : start + CHUNK].astype(float)
        labels = design.labels[start : start + CHUNK]
        total = part @ solution
        loss += float(np.logaddexp(0, np.where(labels, -total, total)).sum())
        chance = expit(total)
        slope += part.T @ (chance - labels)
        curve += (part * (chance * (1 - chance))[:, None]).T @ part
    return loss, slope, curve


def best_penalty(windows: Sequence[Window]) -> float:
    """Learnt on the older windows, judged on the latest by NDCG@10: the smallest as good as the best but for noise."""
    if len(windows) < 2:
        return PENALTY
    latest, older = windows[0], design(windows[1:])
    solution, figures = None, []
    for penalty in reversed(PENALTIES):
        solution = fitted(older, penalty, solution)
        chance = older.weights(solution).probability(latest.signals)
        figures.append((penalty, ndcg(np.where(latest.real, chance, -1.0), latest)))
    best = max(figure for _penalty, figure in figures)
    return min(penalty for penalty, figure in figures if figure >= NOISE * best)


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
