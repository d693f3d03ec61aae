"""EASE^R by hand, and what is kept of it."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from analytics.rules.growth import ease

BOUGHT = sparse.csr_matrix(np.array([[1, 1, 0], [1, 1, 0], [0, 0, 1]], dtype=np.float32))


def test_gram_counts_accounts_that_bought_both() -> None:
    assert ease.gram(BOUGHT).tolist() == [[2, 2, 0], [2, 2, 0], [0, 0, 1]]


def test_weights_by_hand() -> None:
    """G + I is [[3, 2], [2, 3]] for the first two, so P = [[3, -2], [-2, 3]] / 5 and B = 2/3 both ways."""
    weights = ease.learn(BOUGHT, 1.0).matrix().toarray()
    assert np.allclose(weights, [[0, 2 / 3, 0], [2 / 3, 0, 0], [0, 0, 0]], atol=1e-6)


def test_weights_are_those_of_the_closed_form() -> None:
    random = np.random.default_rng(0)
    bought = sparse.csr_matrix((random.random((40, 12)) < 0.3).astype(np.float32))
    inverse = np.linalg.inv(bought.toarray().T @ bought.toarray() + 5 * np.eye(12))
    closed = -inverse / np.diag(inverse)
    np.fill_diagonal(closed, 0)
    assert np.allclose(ease.learn(bought, 5.0).matrix().toarray(), closed, atol=1e-5)


def test_only_the_strongest_weights_towards_a_thing_are_kept() -> None:
    random = np.random.default_rng(1)
    bought = sparse.csr_matrix((random.random((60, 9)) < 0.4).astype(np.float32))
    whole = ease.learn(bought, 5.0).matrix().toarray()
    kept = ease.learn(bought, 5.0, kept=3)
    assert kept.things.shape == (9, 3)
    for thing in range(9):
        strongest = np.argsort(-np.abs(whole[:, thing]))[:3]
        assert kept.things[thing].tolist() == strongest.tolist()
        assert np.allclose(kept.weights[thing], whole[strongest, thing], atol=1e-6)


def test_one_thing_or_none_has_no_neighbours() -> None:
    for count in (0, 1):
        found = ease.learn(sparse.csr_matrix((3, count), dtype=np.float32), 1.0)
        assert found.matrix().shape == (count, count)
        assert found.matrix().nnz == 0
