"""Logistic regression with an L2 penalty on standardised columns, by Newton's method; Platt's recalibration held to
identity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import linalg, special

from analytics.rules.history import FloatArray

CLIP = 4.0
"""Standard deviations beyond which a column says no more: what lies outside everything learnt from must not run away.
"""
STEPS = 30
TOLERANCE = 1e-8
HALVINGS = 50


@dataclass(frozen=True, slots=True)
class Logistic:
    """log-odds = intercept + Σ weight · clip((column - mean) / scale, ±4)."""

    names: tuple[str, ...]
    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    penalty: float

    def log_odds(self, columns: Mapping[str, FloatArray]) -> FloatArray:
        """Column by column, so that a row's value does not depend on the rows beside it."""
        total = np.full(len(columns[self.names[0]]), self.intercept)
        for name, mean, scale, weight in zip(self.names, self.means, self.scales, self.weights, strict=True):
            if weight:
                total += weight * np.clip((columns[name] - mean) / scale, -CLIP, CLIP)
        return total


@dataclass(frozen=True, slots=True)
class Scaling:
    """Means and standard deviations of columns; a column without spread is made 0 by an endless scale."""

    means: FloatArray
    scales: FloatArray

    def apply(self, rows: FloatArray) -> FloatArray:
        return np.asarray(np.clip((rows - self.means) / self.scales, -CLIP, CLIP))

    def after(self, first: Scaling) -> Scaling:
        """Both in one, `first` coming first (its own clipping left out)."""
        return Scaling(first.means + first.scales * self.means, first.scales * self.scales)


def scaling(rows: FloatArray) -> Scaling:
    if not len(rows):
        return Scaling(np.zeros(rows.shape[1]), np.ones(rows.shape[1]))
    means, scales = rows.mean(axis=0), rows.std(axis=0)
    return Scaling(means, np.where(scales > 1e-9, scales, 1e18))


def fit(
    rows: FloatArray, labels: FloatArray, weights: FloatArray, penalty: float, start: FloatArray | None = None
) -> FloatArray:
    """Coefficients, the intercept last, of least mean log-loss + penalty/2 · |β|² (without the intercept); `rows` are
    standardised.

    The penalty does not depend on the number of rows: 1 row in 1,000 and 1 in 1,000,000 weigh the same.
    """
    design = np.column_stack([rows, np.ones(len(rows))])
    share = weights / weights.sum()
    ridge = np.full(design.shape[1], penalty)
    ridge[-1] = 1e-6
    beta = np.zeros(design.shape[1]) if start is None else start.copy()

    def loss(beta: FloatArray) -> float:
        score = design @ beta
        return float(share @ (np.logaddexp(0, score) - labels * score) + ridge @ beta**2 / 2)

    now = loss(beta)
    for _ in range(STEPS):
        p = special.expit(design @ beta)
        slope = design.T @ (share * (p - labels)) + ridge * beta
        bend = (design * (share * p * (1 - p))[:, None]).T @ design
        bend[np.diag_indices_from(bend)] += ridge + 1e-12
        step = linalg.solve(bend, slope, assume_a="pos")
        size = 1.0
        while (then := loss(beta - size * step)) > now and size > 1e-4:
            size /= 2
        if then > now:
            break
        beta, gain, now = beta - size * step, now - then, then
        if gain < TOLERANCE:
            break
    return beta


def losses(labels: FloatArray, log_odds: FloatArray) -> FloatArray:
    """The log-loss of each row."""
    return np.asarray(np.logaddexp(0, log_odds) - labels * log_odds)


@dataclass(frozen=True, slots=True)
class Recalibration:
    """Platt: log-odds → shift + slope · log-odds."""

    shift: float = 0.0
    slope: float = 1.0

    def apply(self, log_odds: FloatArray) -> FloatArray:
        return self.shift + self.slope * log_odds


def recalibrate(labels: FloatArray, log_odds: FloatArray, held: tuple[float, float]) -> Recalibration:
    """Shift and slope of least log-loss + held[0]/2 · shift² + held[1]/2 · (slope - 1)²: few labels move it little.

    Platt, "Probabilistic outputs for support vector machines" (1999), with a Gaussian prior around "no change" in
    place of his targets.
    """
    shift, slope = 0.0, 1.0
    for _ in range(STEPS):
        p = special.expit(shift + slope * log_odds)
        w = p * (1 - p)
        gradient = np.array(
            [np.sum(p - labels) + held[0] * shift, np.sum((p - labels) * log_odds) + held[1] * (slope - 1)]
        )
        bend = np.array(
            [[np.sum(w) + held[0], np.sum(w * log_odds)], [np.sum(w * log_odds), np.sum(w * log_odds**2) + held[1]]]
        )
        step = np.linalg.solve(bend, gradient)
        shift, slope = shift - float(step[0]), slope - float(step[1])
        if float(np.abs(step).max()) < 1e-9:
            break
    return Recalibration(shift, min(max(slope, 0.5), 1.5))


def shift_to(log_odds: FloatArray, mean: float) -> float:
    """What has to be added to the log-odds for the chances to have this mean, between 0 and 1; 20 at most."""
    low, high = -20.0, 20.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if float(special.expit(log_odds + middle).mean()) < mean else (low, middle)
    return (low + high) / 2


def named(names: Sequence[str], scale: Scaling, beta: FloatArray, penalty: float) -> Logistic:
    """The weights of the named columns: `beta` ends with that of the horizon, which is 0 from now on, and the
    intercept.
    """
    weights = _floats(beta[: len(names)])
    return Logistic(tuple(names), _floats(scale.means), _floats(scale.scales), weights, float(beta[-1]), penalty)


def _floats(values: FloatArray) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
