"""What the chances of suggestions came to, in windows that have closed.

The ranking's chances are too high where they are highest: a list holds an account's best candidates out of hundreds,
and the best of many estimates owes its place to luck as well (the winner's curse). So the lists that would have been
shown in past windows are made again (`lookback`), and the chances are brought onto a rising curve through what came of
them. It is drawn to a straight line where there is little to see, the line to leaving the chances as they are but for
their level. What drifts from window to window is followed as far as the latest one can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, logit

from analytics.rules.growth.lookback import Suggested
from analytics.rules.history import BoolArray, FloatArray

BINS = 20
LEAST_FIRSTS = 10
"""First purchases expected of a bin; where fewer are expected in all there are fewer bins."""
LOW_BINS = 10
PRIOR = 20.0
"""Suggestions' worth of trust in the straight line beside a bin's own share."""
STEEPNESS = 5.0
"""How firmly the line's slope is held to 1, and the weight of presence to 0."""
SLOWEST = 0.05
DRIFT_FIRSTS = 100.0
"""First purchases in the latest window at which half of its difference from all windows is taken to last."""
LEAST, MOST = 0.0005, 0.95
"""Nothing is told with more certainty than this."""
ROUNDS = 30


@dataclass(frozen=True, slots=True)
class Curve:
    """Log-odds given and what they come to, both rising: straight between, flat above, falling on below."""

    given: FloatArray  # empty: nothing could be looked back at, and chances stay as they are
    came: FloatArray
    slope: float  # below the first
    presence: float  # weight of the log of the chance that the account orders at all, beside the log-odds given
    shift: float  # of the log-odds that come out, for the drift
    suggestions: int  # looked back at
    bought: int  # of them

    def apply(self, chance: FloatArray, present: FloatArray) -> FloatArray:
        """`present` is the chance that the account orders at all. Of one account the ranks stay as they are."""
        if len(self.given):
            told = _log_odds(chance) + self.presence * _log(present)
            below = self.slope * np.minimum(told - self.given[0], 0)
            chance = expit(np.interp(told, self.given, self.came) + below + self.shift)
        return np.asarray(np.clip(chance, LEAST, MOST))


NOTHING = Curve(np.empty(0), np.empty(0), 1.0, 0.0, 0.0, 0, 0)


def learn(windows: Sequence[Suggested]) -> Curve:
    """`windows` come latest first. With nothing suggested, the chances stay as they are."""
    if not sum(len(one.chance) for one in windows):
        return NOTHING
    chance, present, bought = (
        np.concatenate([getattr(one, name) for one in windows]) for name in ("chance", "present", "bought")
    )
    slope, presence, level = _line(_log_odds(chance), _log(present), bought)
    told = _log_odds(chance) + presence / slope * _log(present)
    order = np.argsort(told, kind="stable")
    given, came = _binned(told[order], bought[order].astype(float), slope, level)
    curve = Curve(given, came, slope, presence / slope, 0.0, len(chance), int(bought.sum()))
    if len(windows) < 2:
        return curve
    firsts = float(windows[0].bought.sum())
    foretold = _log_odds(curve.apply(windows[0].chance, windows[0].present))
    return replace(curve, shift=_offset(foretold, firsts) * firsts / (firsts + DRIFT_FIRSTS))


def _binned(given: FloatArray, bought: FloatArray, slope: float, level: float) -> tuple[FloatArray, FloatArray]:
    """Bins of equally many purchases expected, so that high chances are told apart by what came of enough of them; the
    lowest is wide and cut once more. Shares are drawn to the line through all, then made to rise. Where too few
    purchases are expected for two bins there is the line alone.
    """
    expected = np.cumsum(expit(slope * given + level))
    bins = int(np.clip(expected[-1] / LEAST_FIRSTS, 1, BINS))
    edges = np.searchsorted(expected, np.linspace(0, expected[-1], bins + 1)[1:-1])
    if not len(edges):
        ends = np.unique(given[[0, -1]])
        return ends, slope * ends + level
    low = np.linspace(given[0], given[edges[0]], LOW_BINS + 1)[:-1]
    starts = np.unique(np.concatenate([np.searchsorted(given, low), edges]))
    count = np.diff(starts, append=len(given)).astype(float)
    middle = np.add.reduceat(given, starts) / count
    weight = count + PRIOR
    share = (np.add.reduceat(bought, starts) + PRIOR * expit(slope * middle + level)) / weight
    return middle, _log_odds(rising(share, weight))


def _line(given: FloatArray, present: FloatArray, bought: BoolArray) -> tuple[float, float, float]:
    """Logistic regression on the log-odds given and the log of presence: slope, weight and level. The slope is held to
    1, the weight to 0."""
    columns = np.column_stack([given, present, np.ones(len(given))])
    start = np.array([1.0, 0.0, 0.0])
    ridge = np.array([STEEPNESS, STEEPNESS, 1e-3])
    solution = start
    for _round in range(ROUNDS):
        chance = expit(columns @ solution)
        curve = columns.T @ (columns * (chance * (1 - chance))[:, None]) + np.diag(ridge)
        step = np.linalg.solve(curve, columns.T @ (bought - chance) - ridge * (solution - start))
        solution = solution + np.clip(step, -1, 1)
        if np.abs(step).max() < 1e-9:
            break
    slope, weight, level = solution.tolist()
    return max(slope, SLOWEST), float(np.clip(weight, 0, 1)), level


def _offset(log_odds: FloatArray, firsts: float) -> float:
    """What must be added to the log-odds for the chances to add up to `firsts` (half of one at least)."""
    wanted, offset = max(firsts, 0.5), 0.0
    for _round in range(ROUNDS):
        chance = expit(log_odds + offset)
        slope = max(float((chance * (1 - chance)).sum()), 1e-9)
        offset += float(np.clip((wanted - chance.sum()) / slope, -1, 1))
    return offset


def rising(share: FloatArray, weight: FloatArray) -> FloatArray:
    """The closest rising sequence by least squares (pool adjacent violators)."""
    value: list[float] = []
    heavy: list[float] = []
    length: list[int] = []
    for one, its in zip(share.tolist(), weight.tolist(), strict=True):
        value.append(one)
        heavy.append(its)
        length.append(1)
        while len(value) > 1 and value[-2] >= value[-1]:
            last, of, long = value.pop(), heavy.pop(), length.pop()
            value[-1] = (value[-1] * heavy[-1] + last * of) / (heavy[-1] + of)
            heavy[-1] += of
            length[-1] += long
    return np.repeat(value, length)


def _log(chance: FloatArray) -> FloatArray:
    return np.asarray(np.log(np.maximum(chance, 1e-6)))


def _log_odds(chance: FloatArray) -> FloatArray:
    return np.asarray(logit(np.clip(chance, 1e-6, 1 - 1e-6)))
