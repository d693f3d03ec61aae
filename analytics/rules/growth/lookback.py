"""The lists of past windows as they would have been shown, and what became of them.

What was learnt from a window fits it too well. So its lists are made by weights from the other windows and the other
half of the accounts; only with a single window from the same one, and still the other half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analytics.rules.growth.ranking import Design, Window, fitted
from analytics.rules.history import BoolArray, FloatArray, IntArray

LISTED = 10
"""Suggestions of an account that are looked back at: as many as are shown."""


@dataclass(frozen=True, slots=True)
class Suggested:
    """The lists of a past window, one row a suggestion, and what became of them."""

    cutoff: int
    account: IntArray
    thing: IntArray
    chance: FloatArray
    present: FloatArray  # the chance that the account orders at all
    bought: BoolArray


def looked_back(windows: Sequence[Window], penalty: float, solution: FloatArray, design: Design) -> list[Suggested]:
    """`solution` and `penalty` are those of the whole `design`, which is made of these windows."""
    own = np.concatenate([np.full(int(one.real.sum()), number) for number, one in enumerate(windows)])
    half = np.concatenate([np.broadcast_to((one.accounts % 2)[:, None], one.real.shape)[one.real] for one in windows])
    found = []
    for number, window in enumerate(windows):
        chance = np.zeros(window.real.shape)
        for side in (0, 1):
            other = half != side
            if len(windows) > 1:
                other &= own != number
            if not design.labels[other].any():
                weights = design.weights(solution)
            else:
                weights = design.weights(fitted(design.where(other), penalty, solution))
            mine = window.accounts % 2 == side
            chance[mine] = weights.probability(window.signals[mine])
        found.append(listed(window, chance))
    return found


def listed(window: Window, chance: FloatArray) -> Suggested:
    """The best candidates of each account by `chance`."""
    ranked = np.where(window.real, chance, -1.0)
    order = np.argsort(-ranked, axis=1, kind="stable")[:, :LISTED]
    ranked = np.take_along_axis(ranked, order, 1)
    kept = ranked > 0
    return Suggested(
        window.cutoff,
        np.broadcast_to(window.accounts[:, None], kept.shape)[kept],
        np.take_along_axis(window.thing, order, 1)[kept],
        ranked[kept],
        np.broadcast_to(window.present[:, None], kept.shape)[kept],
        np.take_along_axis(window.bought, order, 1)[kept],
    )
