"""Cycles worked out by hand."""

from datetime import date

import numpy as np
import pytest
from scipy import stats

from analytics.rules.clock import Clock
from analytics.rules.history import History, collapse
from analytics.rules.recovery import cycles
from analytics.rules.recovery.rhythm import observe
from analytics.rules.recovery.visits import collect


def bought(*days_of_accounts: list[int]) -> History:
    """A history without categories and items: accounts by the days on which they spend 10."""
    account = np.concatenate([np.full(len(days), code) for code, days in enumerate(days_of_accounts)])
    day = np.concatenate([np.array(days) for days in days_of_accounts])
    return collapse(
        account=account.astype(np.int32),
        day=day.astype(np.int32),
        quantity=np.ones(len(day)),
        amount=np.full(len(day), 10.0),
        accounts=tuple(f"A{code}" for code in range(len(days_of_accounts))),
        first_day=date(2024, 1, 1),
    )


def test_posterior_of_gaps_10_20_40_is_that_worked_out_by_hand() -> None:
    # Log gaps ln 10, ln 20, ln 40: mean ln 20, squared deviations 2·(ln 2)² = 0.960906.
    # With prior mean ln 30 and variance 0.5: κ = 5, α = 3.5, μ = (2 ln 30 + 3 ln 20) / 5 = 3.157918,
    # β = 1 + 0.480453 + 2·3·(ln 20 - ln 30)² / (2·5) = 1.480453 + 0.6·0.164402 = 1.579094.
    accounts, _ = collect(bought([0, 10, 30, 70]), Clock())
    cycle = cycles.update(observe(accounts, 80), cycles.Prior(np.log(30), 0.5))
    assert cycle.freedom.tolist() == [7.0]
    assert cycle.location[0] == pytest.approx(3.157918, abs=1e-6)
    assert cycle.scale[0] == pytest.approx(np.sqrt(1.579094 * 6 / (3.5 * 5)), abs=1e-6)
    # S(20): t = (ln 20 - 3.157918) / 0.735796 = -0.220421 with 7 degrees of freedom.
    assert cycle.survival(np.array([20.0]))[0] == pytest.approx(stats.t.sf(-0.220421, 7), abs=1e-5)


def test_rhythm_counts_days_from_the_first_order_to_the_cutoff() -> None:
    accounts, _ = collect(bought([0, 10, 30, 70]), Clock())
    rhythm = observe(accounts, 80)
    assert (rhythm.orders[0], rhythm.tenure[0], rhythm.silence[0], rhythm.last_day[0]) == (4, 81, 10, 70)
    assert (rhythm.median_gap[0], rhythm.longest_gap[0], rhythm.last_gap[0]) == (20, 40, 40)
    assert rhythm.mean_gap[0] == pytest.approx(70 / 3)
    # Deviations -40/3, -10/3, 50/3: mean square 4200/27 = 155.56, root 12.4722, over 70/3.
    assert rhythm.gap_cv[0] == pytest.approx(12.4722 / (70 / 3), abs=1e-5)
    assert rhythm.exceeded[0] == pytest.approx(3.5 / 4)  # all three gaps last 10 days or more


def test_regular_buyer_is_overdue_sooner_than_an_erratic_one() -> None:
    accounts, _ = collect(bought([0, 10, 20, 30, 40, 50, 60], [0, 2, 5, 30, 33, 58, 60]), Clock())
    rhythm = observe(accounts, 90)
    cycle = cycles.update(rhythm, cycles.pool(accounts, 0))
    regular, erratic = cycle.survival(rhythm.silence)
    assert 2 * regular < erratic


def test_silence_is_certain_for_the_gone_and_follows_the_cycle_for_the_living() -> None:
    survival, later = np.array([1.0, 0.001]), np.array([0.2, 0.0001])
    # No dropout: S(r + H) / S(r). With p = .05 and S = .001: d = .05 / (.05 + .95·.001) = .981354, and d + (1 - d)·.1
    # = .983218.
    assert cycles.silent(survival, later, 0.0).tolist() == pytest.approx([0.2, 0.1])
    assert cycles.silent(survival, later, 0.05)[1] == pytest.approx(0.983218, abs=1e-6)


def test_dropout_is_the_share_that_left_where_cycles_say_nothing_else() -> None:
    gone = np.zeros(200)
    gone[:20] = 1
    # S(r) = 1 and S(r + H) = 0: silent only if gone, d = p, so the likeliest p is 20 of 200.
    assert cycles.fit_dropout(np.ones(200), np.zeros(200), gone) == 0.1
    assert cycles.fit_dropout(np.empty(0), np.empty(0), np.empty(0)) == cycles.USUAL_DROPOUT


def test_category_with_few_pairs_takes_the_prior_of_all() -> None:
    pairs = [(account, category) for category, count in ((0, 40), (1, 5)) for account in range(count)]
    account = np.repeat([a for a, _ in pairs], 3).astype(np.int32)
    category = np.repeat([c for _, c in pairs], 3).astype(np.int32)
    gap = np.where(category == 0, 7, 70)
    day = (np.tile([0, 1, 2], len(pairs)) * gap).astype(np.int32)
    history = collapse(
        account=account, category=category, day=day, quantity=np.ones(len(day)), amount=np.ones(len(day)),
        accounts=tuple(map(str, range(40))), categories=("weekly", "rare"), first_day=date(2024, 1, 1),
    )  # fmt: skip
    _, visits = collect(history, Clock())
    prior = cycles.pool(visits, 2)
    assert prior.category_mean[0] == pytest.approx(np.log(7))
    assert prior.category_mean[1] == prior.mean == pytest.approx((80 * np.log(7) + 10 * np.log(70)) / 90)
