"""The purchase cycle in closed form: a Normal-Inverse-Gamma prior on log gaps, Student-t survival of the present
silence, dropout.

Conjugate update and posterior predictive as in Murphy, "Conjugate Bayesian analysis of the Gaussian distribution"
(2007), section 6. With m gaps of mean log x̄ and squared deviations ss, prior mean μ₀, κ₀ = α₀ = 2 and β₀ =
α₀·(pooled variance):

    κₙ = κ₀ + m    μₙ = (κ₀μ₀ + m·x̄) / κₙ    αₙ = α₀ + m/2    βₙ = β₀ + ss/2 + κ₀·m·(x̄ - μ₀)² / (2κₙ)

the log of the next gap is Student-t with 2αₙ degrees of freedom, location μₙ and scale √(βₙ(κₙ + 1) / (αₙκₙ)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import special

from analytics.rules.history import NONE, FloatArray, IntArray
from analytics.rules.recovery.rhythm import Rhythm, log_gaps
from analytics.rules.recovery.visits import Visits

KAPPA = ALPHA = 2.0
FEWEST_PAIRS = 30
"""A category with fewer owners that have a gap takes the prior of all."""
DEFAULT_MEAN, DEFAULT_VARIANCE = float(np.log(30.0)), 0.5
"""Where nobody has two gaps: a month, give or take a factor of two."""


@dataclass(frozen=True, slots=True)
class Prior:
    """Mean and variance of log gaps (days): of all owners, and by category code where a category has enough of its
    own.
    """

    mean: float
    variance: float
    category_mean: tuple[float, ...] = ()
    category_variance: tuple[float, ...] = ()

    def of(self, category: IntArray) -> tuple[FloatArray, FloatArray]:
        if not self.category_mean:
            return np.full(len(category), self.mean), np.full(len(category), self.variance)
        means = np.array([*self.category_mean, self.mean])
        variances = np.array([*self.category_variance, self.variance])
        return means[category], variances[category]  # NONE, -1, is the last: that of all


def pool(visits: Visits, categories: int) -> Prior:
    """The prior of all owners; `categories` is how many category codes there are, 0 for accounts as wholes."""
    gaps, log_gap_mean, log_gap_squares = log_gaps(visits)
    some = gaps > 0
    if not some.any():
        return Prior(DEFAULT_MEAN, DEFAULT_VARIANCE, (DEFAULT_MEAN,) * categories, (DEFAULT_VARIANCE,) * categories)
    weighted, freedom = gaps * log_gap_mean, np.maximum(gaps - 1, 0)
    mean = float(weighted.sum() / gaps.sum())
    variance = float((log_gap_squares.sum() + DEFAULT_VARIANCE) / (freedom.sum() + 1))
    if not categories:
        return Prior(mean, variance)
    code = np.where(visits.category == NONE, categories, visits.category)

    def by_code(values: FloatArray) -> FloatArray:
        return np.asarray(np.bincount(code, weights=values, minlength=categories + 1)[:categories], dtype=np.float64)

    own = by_code(some.astype(np.float64)) >= FEWEST_PAIRS
    means = np.where(own, by_code(weighted) / np.maximum(by_code(gaps), 1), mean)
    variances = np.where(own, (by_code(log_gap_squares) + variance) / (by_code(freedom) + 1), variance)
    return Prior(mean, variance, tuple(means.tolist()), tuple(variances.tolist()))


@dataclass(frozen=True, slots=True)
class Cycle:
    """The posterior predictive of each owner's next log gap."""

    freedom: FloatArray
    location: FloatArray
    scale: FloatArray

    def survival(self, gap: FloatArray) -> FloatArray:
        """Probability that a gap is longer than `gap` days; a silence below a day counts as half a day."""
        t = (np.log(np.maximum(gap, 0.5)) - self.location) / self.scale
        return np.asarray(special.stdtr(self.freedom, -t))


def update(rhythm: Rhythm, prior: Prior) -> Cycle:
    gaps = rhythm.orders - 1
    mean, variance = prior.of(rhythm.category)
    seen = np.where(gaps > 0, rhythm.log_gap_mean, mean)
    kappa, alpha = KAPPA + gaps, ALPHA + gaps / 2
    location = (KAPPA * mean + gaps * seen) / kappa
    beta = ALPHA * variance + rhythm.log_gap_squares / 2 + KAPPA * gaps * (seen - mean) ** 2 / (2 * kappa)
    return Cycle(2 * alpha, location, np.sqrt(beta * (kappa + 1) / (alpha * kappa)))


def silent(survival: FloatArray, survival_later: FloatArray, dropout: float) -> FloatArray:
    """Probability of no order within the horizon: gone already, or alive and in a gap that lasts beyond it.

    `survival` is S(r) of the silence r, `survival_later` S(r + horizon); d = p / (p + (1 - p)·S(r)).
    """
    alive = np.maximum(survival, 1e-12)
    gone = dropout / (dropout + (1 - dropout) * alive)
    return gone + (1 - gone) * np.minimum(survival_later / alive, 1.0)


def log_odds(survival: FloatArray, survival_later: FloatArray, dropout: float) -> FloatArray:
    """Of the same; a millionth and all but a millionth are as far as they go."""
    return np.asarray(special.logit(np.clip(silent(survival, survival_later, dropout), 1e-6, 1 - 1e-6)))


DROPOUTS = np.array([0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4])
USUAL_DROPOUT, USUAL_CASES = 0.05, 20.0
"""What is taken for known before anything is: as if one in twenty had left among so many cases."""


def fit_dropout(survival: FloatArray, survival_later: FloatArray, gone: FloatArray) -> float:
    """The dropout of least log-loss on closed windows, `gone` being 1 where no order came, and on the usual cases."""
    losses = []
    for dropout in DROPOUTS:
        p = np.clip(silent(survival, survival_later, float(dropout)), 1e-6, 1 - 1e-6)
        usual = USUAL_DROPOUT * np.log(dropout) + (1 - USUAL_DROPOUT) * np.log1p(-dropout)
        losses.append(-float(np.sum(np.where(gone > 0, np.log(p), np.log1p(-p)))) - USUAL_CASES * float(usual))
    return float(DROPOUTS[int(np.argmin(losses))])
