"""Lists of past windows, made again by what was not learnt there."""

from __future__ import annotations

import numpy as np
import pytest

from analytics.rules.growth import lookback, ranking
from tests.analytics.rules.growth.test_ranking import window


def test_lists_hold_the_best_real_candidates_that_were_given_a_chance() -> None:
    past = window([1.0], accounts=2, candidates=4)
    past.real[0, 1] = False
    past.present[:] = [0.5, 0.9]
    chance = np.array([[0.1, 0.9, 0.3, 0.2], [0.4, 0.4, 0.0, 0.5]])
    found = lookback.listed(past, chance)
    assert found.account.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.thing.tolist() == [2, 3, 0, 3, 0, 1]
    assert found.chance.tolist() == [0.3, 0.2, 0.1, 0.5, 0.4, 0.4]
    assert found.present.tolist() == [0.5] * 3 + [0.9] * 3
    assert found.bought.tolist() == past.bought[found.account, found.thing].tolist()


@pytest.mark.parametrize("count", [1, 3])
def test_weights_that_fit_only_their_own_window_are_found_out(count: int) -> None:
    """Thirty signals that say nothing at all: by the accounts they were learnt from they seem to say something."""
    windows = [window([0.0] * 30, seed=seed, accounts=60) for seed in range(count)]
    design = ranking.design(windows)
    solution = ranking.fitted(design, 1.0)
    own = [lookback.listed(one, design.weights(solution).probability(one.signals)) for one in windows]
    honest = lookback.looked_back(windows, 1.0, solution, design)
    assert len(honest) == count
    seems, is_so = (np.mean([one.bought.mean() for one in some]) for some in (own, honest))
    assert seems > is_so + 0.02
