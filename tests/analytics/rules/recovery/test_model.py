"""What holds of the fitted model whatever it has learnt."""

from dataclasses import fields, replace
from datetime import date, timedelta

import numpy as np
import pytest

from analytics.rules import protocol, recovery
from analytics.rules.clock import Clock, find
from analytics.rules.history import History, collapse
from analytics.rules.recovery import scoring, training
from analytics.rules.recovery.features import Bought, observe_accounts, observe_pairs
from analytics.rules.recovery.goods import collect_lines, collect_sold
from analytics.rules.recovery.logistic import Recalibration
from analytics.rules.recovery.market import survey
from analytics.rules.recovery.visits import Visits, collect
from tests.analytics.rules.recovery import simulated

CUTOFF = 300


@pytest.fixture(scope="module")
def shop() -> History:
    return simulated.households()


@pytest.fixture(scope="module")
def model(shop: History) -> recovery.RecoveryModel:
    return recovery.fit(shop, CUTOFF)


def rows(scores: recovery.Scores) -> list[tuple[object, ...]]:
    return list(zip(*(getattr(scores, field.name).tolist() for field in fields(scores)), strict=True))


def test_past_day_is_seen_without_what_came_after_it(shop: History) -> None:
    whole, pairs = (visits.until(200) for visits in collect(shop, Clock()))
    then, pairs_then = collect(shop.until(200), Clock())
    for seen, known in ((whole, then), (pairs, pairs_then)):
        for field in fields(Visits):
            assert getattr(seen, field.name).tolist() == getattr(known, field.name).tolist(), field.name
    columns = []
    for accounts, beside, past in ((whole, pairs, shop), (then, pairs_then, shop.until(200))):
        sold = collect_sold(past, Clock())
        assert sold
        market = survey(accounts, beside, len(shop.categories), sold.goods(200), 200, 90)
        observed = observe_accounts(accounts, market, 200, 90)
        bought = Bought(beside, collect_lines(past, Clock()))
        columns.append(observed.columns | observe_pairs(beside, accounts, observed, bought, market, 200, 90).columns)
    assert columns[0].keys() == columns[1].keys()
    assert all(np.array_equal(columns[0][name], columns[1][name]) for name in columns[0])


def test_later_rows_change_neither_model_nor_scores(shop: History, model: recovery.RecoveryModel) -> None:
    earlier = shop.until(CUTOFF)
    assert recovery.fit(earlier, CUTOFF) == model
    assert rows(recovery.score(model, earlier, CUTOFF).pairs) == rows(recovery.score(model, shop, CUTOFF).pairs)


def test_model_survives_json_and_another_version_is_refused(model: recovery.RecoveryModel) -> None:
    assert recovery.RecoveryModel.from_json(model.to_json()) == model
    with pytest.raises(ValueError, match="another version"):
        recovery.RecoveryModel.from_json(model.to_json().replace('"version": 3', '"version": 2'))


@pytest.mark.parametrize(("hole", "scored"), [(150, 30), (400, 3)])
def test_a_hole_of_years_forgives_nobody_who_has_not_come_back(hole: int, scored: int) -> None:
    weekly = [(account, day) for account in range(30) for day in range(account % 7, 300, 7)]
    back = [(account, 300 + hole + day) for account in range(3) for day in range(12)]
    account, day = (np.array(column, dtype=np.int32) for column in zip(*weekly, *back, strict=True))
    ones, names = np.ones(len(day)), tuple(f"A{number:02}" for number in range(30))
    history = collapse(
        account=account, day=day, quantity=ones, amount=10 * ones, accounts=names, first_day=date(2024, 1, 1)
    )
    cutoff = history.last_day
    assert len(recovery.score(recovery.fit(history, cutoff), history, cutoff).accounts) == scored


def test_partition_is_scored_exactly_as_within_the_whole(shop: History, model: recovery.RecoveryModel) -> None:
    whole = recovery.score(model, shop, CUTOFF)
    assert not model.pairs.fallback
    parts = []
    for part in range(7):
        codes = np.arange(part, len(shop.accounts), 7, dtype=np.int32)
        parts.append(recovery.score(model, shop.of_accounts(codes), CUTOFF))
    assert sorted(row for part in parts for row in rows(part.accounts)) == rows(whole.accounts)
    assert sorted(row for part in parts for row in rows(part.pairs)) == rows(whole.pairs)


def test_large_history_is_scored_in_runs_of_accounts_with_the_same_result(
    shop: History, model: recovery.RecoveryModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = recovery.score(model, shop, CUTOFF)
    monkeypatch.setattr(scoring, "AT_ONCE", 500)
    assert rows(recovery.score(model, shop, CUTOFF).pairs) == rows(whole.pairs)


def test_history_that_numbers_days_categories_and_items_otherwise_is_scored_the_same(
    shop: History, model: recovery.RecoveryModel
) -> None:
    count = len(shop.categories)
    turned = simulated.history(
        shop.account, shop.day + 50, shop.amount, count - 1 - shop.category,
        first_day=shop.first_day - timedelta(days=50),
    )  # fmt: skip
    categories, items = tuple(reversed(shop.categories)), tuple(reversed(shop.items))
    turned = replace(turned, accounts=shop.accounts, categories=categories, items=items)
    here = recovery.score(model, shop, CUTOFF).pairs
    there = recovery.score(model, turned, CUTOFF + 50).pairs
    order = np.lexsort((count - 1 - there.category, there.account))
    assert there.p[order] == pytest.approx(here.p)  # items of a day are added up in another order
    assert there.expected_amount[order] == pytest.approx(here.expected_amount)


def test_data_without_items_is_learnt_from_without_them(shop: History) -> None:
    nothing = np.full(len(shop), -1, dtype=np.int32)
    without = replace(shop, item=nothing, items=(), item_category=np.empty(0, dtype=np.int32), has_items=False)
    fitted = recovery.fit(without, CUTOFF)
    assert (fitted.items, fitted.market.goods, fitted.fallback) == ((), None, "accounts:too_few_cases")
    assert not [name for one in fitted.pairs.logistics for name in one.names if name.startswith("item_")]
    assert len(recovery.score(fitted, without, CUTOFF).pairs) > 0


def test_data_without_categories_has_no_fallback_of_pairs() -> None:
    assert recovery.fit(simulated.cohort(accounts=1000), 400).fallback == ""
    assert recovery.fit(simulated.cohort(accounts=1000), 100).fallback == "accounts:no_closed_window"


def test_cycle_says_how_many_fall_silent_where_closed_windows_say_little(
    shop: History, model: recovery.RecoveryModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "ANCHOR", 1e12)
    anchored = recovery.fit(shop, CUTOFF)
    cycle = replace(anchored, pairs=replace(anchored.pairs, logistics=()))
    there, of_cycle, here = (recovery.score(one, shop, CUTOFF).pairs for one in (anchored, cycle, model))
    judged = there.judged
    assert there.p[judged].mean() == pytest.approx(of_cycle.p[judged].mean())
    assert abs(here.p[judged].mean() - there.p[judged].mean()) > 0.005
    assert np.array_equal(np.argsort(there.p), np.argsort(here.p))


def test_cycle_has_its_say_where_it_tells_the_lost_apart_and_few_are_known() -> None:
    silent = np.array([1.0] * 4 + [0.0] * 10)
    kept = np.arange(10.0)
    for above, told in ((10, 1.0), (8.25, 0.5), (7.5, 0.0), (5, 0.0)):  # of the ten kept ones, each of the lost
        whole, rest = divmod(4 * above, 4)
        lost = np.array([whole - 0.5] * 4) + (np.arange(4) < rest)
        assert training._share(silent, np.concatenate([lost, kept])) == pytest.approx(told * 100 / 104)


def test_share_of_the_cycle_leads_from_what_was_learnt_to_the_cycle(
    shop: History, model: recovery.RecoveryModel
) -> None:
    of_cycle = recovery.score(replace(model, pairs=replace(model.pairs, logistics=())), shop, CUTOFF).pairs.p

    def log_odds(share: float) -> np.ndarray:
        pairs = replace(model.pairs, cycle=share, recalibration=Recalibration())
        p = recovery.score(replace(model, pairs=pairs), shop, CUTOFF).pairs.p
        return np.log(p / (1 - p))

    cycle = np.clip(np.log(of_cycle / (1 - of_cycle)), -np.log(999_999), np.log(999_999))
    assert log_odds(1.0) == pytest.approx(cycle)
    assert log_odds(0.25) == pytest.approx(0.75 * log_odds(0.0) + 0.25 * cycle)


def test_hole_in_the_data_is_no_silence_of_the_accounts() -> None:
    whole = simulated.households()
    torn = replace(whole, day=np.where(whole.day > 150, whole.day + 80, whole.day).astype(np.int32))
    clock = find(torn.day)
    assert len(clock.holes) == 1
    assert 75 <= clock.holes[0][1] <= 81
    assert clock.calendar(clock.running(torn.day)).tolist() == torn.day.tolist()
    assert find(whole.day) == Clock()
    scores = recovery.score(recovery.fit(torn, CUTOFF + 80), torn, CUTOFF + 80).accounts
    alike = recovery.score(recovery.fit(whole, CUTOFF), whole, CUTOFF).accounts
    assert scores.account.tolist() == alike.account.tolist()
    assert np.abs(scores.p - alike.p).max() < 0.02
    assert (scores.last_day - 80).tolist() == alike.last_day.tolist()


def test_account_that_came_before_a_hole_is_scored_as_the_protocol_counts() -> None:
    # Sixty days are lost, 201 … 261. Of the 74 days since the newcomer's first order the clock counts 15.
    day = np.concatenate([np.arange(0, 201, 2), np.arange(262, 281, 2)])
    joined = day[day >= 200]
    account = np.repeat(np.arange(9, dtype=np.int32), [len(day)] * 8 + [len(joined)])
    torn = simulated.history(account, np.concatenate([np.tile(day, 8), joined]), category=account % 2)
    model = recovery.fit(torn, 274)
    assert model.clock == Clock(((200, 60),))
    scores = recovery.score(model, torn, 274)
    for found, eligible in (
        (scores.accounts, protocol.eligible_accounts(torn, 274)),
        (scores.pairs, protocol.eligible_pairs(torn, 274)),
    ):
        assert eligible.account.tolist() == list(range(9))
        assert found.account[found.judged].tolist() == list(range(9))
        assert np.isfinite(found.p).all()


def test_expected_amount_is_the_spend_of_a_horizon_at_the_pace_so_far() -> None:
    # 6 orders of 10 in the 101 days 0 … 100: 60 / 101 · 90. Of the other's 81 days a horizon is made: 30 / 90 · 90.
    bought = simulated.history([0] * 6 + [1] * 3, [0, 20, 40, 60, 80, 95, 20, 60, 90])
    scores = recovery.score(recovery.fit(bought, 100), bought, 100).accounts
    assert scores.expected_amount.tolist() == pytest.approx([60 / 101 * 90, 30.0])
    assert scores.usual_gap.tolist() == [20, 35]
    assert scores.silence.tolist() == [5, 10]


@pytest.mark.parametrize(
    ("account", "day", "scored"),
    [
        ([0], [0], 0),
        ([0, 0, 0, 0], [0, 30, 60, 80], 1),
        ([0, 1, 2, 3], [5, 5, 5, 5], 0),
        ([0, 0, 0], [0, 0, 0], 0),
        ([0, 0, 0], [200, 210, 220], 0),
    ],
    ids=["one row", "one account", "all on one day", "one day of one account", "nothing before the cut-off"],
)
def test_too_little_to_learn_from_is_said_and_does_no_harm(account: list[int], day: list[int], scored: int) -> None:
    bought = simulated.history(account, day, category=[0] * len(day))
    fitted = recovery.fit(bought, 100)
    assert fitted.fallback == "accounts:no_closed_window;pairs:no_closed_window"
    scores = recovery.score(fitted, bought, 100)
    assert (len(scores.accounts), len(scores.pairs)) == (scored, scored)
    assert np.all((scores.accounts.p > 0) & (scores.accounts.p < 1))


def test_empty_history_is_scored_as_nothing() -> None:
    nothing = simulated.history([0], [0], category=[0]).until(-1)
    scores = recovery.score(recovery.fit(nothing, 100), nothing, 100)
    assert (len(scores.accounts), len(scores.pairs)) == (0, 0)


def test_horizon_of_a_single_day_has_no_shorter_part_to_learn_from(shop: History) -> None:
    model = recovery.fit(shop, shop.last_day, horizon=1)
    assert {window.horizon for window in model.accounts.windows} == {1}
    assert np.isfinite(recovery.score(model, shop, shop.last_day).accounts.p).all()
