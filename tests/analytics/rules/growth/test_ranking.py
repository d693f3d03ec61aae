"""The regression of the ranking against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from analytics.rules.growth import ranking
from analytics.rules.growth.ledger import Float32Array
from analytics.rules.growth.ranking import Window
from analytics.rules.history import BoolArray


def window(weights: list[float], *, seed: int = 0, accounts: int = 300, candidates: int = 20) -> Window:
    random = np.random.default_rng(seed)
    signals = random.normal(5, 3, (accounts, candidates, len(weights))).astype(np.float32)
    chance = 1 / (1 + np.exp(2 - ((signals - 5) / 3) @ np.array(weights)))
    bought = random.random(chance.shape) < chance
    real = np.ones(bought.shape, dtype=bool)
    return made(signals, real, bought, bought.sum(axis=1))


def made(signals: Float32Array, real: BoolArray, bought: BoolArray, relevant: NDArray[np.int64]) -> Window:
    accounts, things = real.shape
    return Window(
        cutoff=100,
        accounts=np.arange(accounts, dtype=np.int32),
        thing=np.broadcast_to(np.arange(things, dtype=np.int32), real.shape),
        signals=signals,
        real=real,
        bought=bought,
        relevant=relevant,
        present=np.ones(accounts),
        base=np.full(things, 0.1),
    )


def test_weights_are_found_again_and_probabilities_add_up() -> None:
    past = window([1.0, -0.5, 0.0])
    design = ranking.design([past])
    found = design.weights(ranking.fitted(design, 1.0))
    assert found.weight.tolist() == pytest.approx([1.0, -0.5, 0.0], abs=0.12)
    assert found.probability(past.signals).sum() == pytest.approx(past.bought.sum(), rel=1e-4)


def test_a_flat_signal_has_no_weight() -> None:
    past = window([1.0, 0.0])
    past.signals[..., 1] = 7
    design = ranking.design([past])
    assert design.weights(ranking.fitted(design, 1.0)).weight[1] == 0


def test_a_clear_cut_does_not_run_away() -> None:
    past = window([1.0])
    cut = made(past.signals, past.real, past.signals[..., 0] > 6, past.relevant)
    design = ranking.design([cut])
    found = design.weights(ranking.fitted(design, 1.0)).probability(cut.signals)
    assert np.isfinite(found).all()
    assert ((found > 0.5) == cut.bought).mean() > 0.99


def test_ndcg_by_hand() -> None:
    """The second of two relevant ones is not among the candidates: 1/log₂3 found of 1 + 1/log₂3."""
    none = np.zeros((2, 3, 1), dtype=np.float32)
    bought = np.array([[False, True, False], [False, False, False]])
    judged = made(none, np.ones((2, 3), dtype=bool), bought, np.array([2, 0]))
    score = np.array([[3.0, 2.0, 1.0], [1.0, 2.0, 3.0]])
    second = 1 / np.log2(3)
    assert ranking.ndcg(score, judged) == pytest.approx(second / (1 + second))


def test_the_smallest_penalty_is_taken_where_the_latest_window_hardly_tells() -> None:
    windows = [window([1.0, -0.5], seed=seed) for seed in (1, 2)]
    assert ranking.best_penalty(windows) == ranking.PENALTIES[0]
    assert ranking.best_penalty(windows[:1]) == ranking.PENALTY
