"""The baselines of growth by hand."""

from __future__ import annotations

import numpy as np
from scipy import sparse

from analytics.features import baselines
from analytics.rules import protocol
from tests.analytics.rules.recovery.simulated import history

BOUGHT = sparse.csr_matrix(np.array([[1, 1, 0], [1, 1, 0], [1, 0, 0], [0, 0, 1]], dtype=np.float32))


def test_cosine_by_hand() -> None:
    """Three bought the first, two the second, two both: 2 / √6. Nobody bought the third beside another."""
    near = 2 / np.sqrt(6)
    assert np.allclose(baselines._cosine(BOUGHT), [[0, near, 0], [near, 0, 0], [0, 0, 0]])


def test_ease_by_hand() -> None:
    """G + 300·I is [[303, 2], [2, 302]] for the first two: B = 2/303 towards the second, 2/302 towards the first."""
    weights = baselines._ease(BOUGHT)
    assert np.allclose(weights, [[0, 2 / 303, 0], [2 / 302, 0, 0], [0, 0, 0]])


def test_lists_leave_out_what_is_bought_and_put_near_things_first() -> None:
    # Accounts 0 and 1 buy categories 0 and 1, account 2 buys 0 alone, account 3 buys 2, each on two days.
    account = np.array([0, 0, 1, 1, 2, 3] * 2)
    category = np.array([0, 1, 0, 1, 0, 2] * 2)
    day = np.repeat([80, 100], 6)
    bought = history(account, day, category=category)
    case = protocol.growth_case(bought, 100, of="categories")
    lists = baselines.of_growth(bought, 100, case, of="categories", horizon=90)
    assert len(lists) == 4
    for name in ("kNN by cosine", "EASE^R (λ = 300)"):
        account, code, rank = (column.tolist() for column in lists[name])
        assert [(c, r) for a, c, r in zip(account, code, rank, strict=True) if a == 2] == [(1, 1), (2, 2)]
        assert [c for a, c in zip(account, code, strict=True) if a == 0] == [2]
