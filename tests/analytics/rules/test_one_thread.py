"""Learning takes sums in one order, whatever the machine has."""

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from analytics.rules import growth, recovery
from analytics.rules.growth import learning
from analytics.rules.recovery import training
from tests.analytics.rules.recovery.simulated import history


def threads() -> set[int]:
    return {library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"}


def test_both_models_are_learnt_on_one_thread_and_leave_the_rest_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    bought = history(np.zeros(3, dtype=np.int32), np.array([0, 20, 40]), category=np.zeros(3, dtype=np.int32))
    seen = []
    for module, name in ((training, "survey"), (learning, "ledger_of")):
        then = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *args, then=then: (seen.append(threads()), then(*args))[1])
    with threadpool_limits(limits=2, user_api="blas"):
        before = threads()
        recovery.fit(bought, 60)
        growth.fit(bought, 60)
        after = threads()
    assert seen
    assert set().union(*seen) == {1}
    assert before == after
