"""The whole of growth on a made-up shop: what must hold whatever is learnt."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from analytics.rules import growth, metrics, protocol
from analytics.rules.growth import Fallback, GrowthList, GrowthModel, GrowthScores
from analytics.rules.history import History, collapse
from tests.analytics.rules.growth.shops import FIRST_DAY, ITEMS_PER_CATEGORY, shop

CUTOFF = 239


@pytest.fixture(scope="module")
def history() -> History:
    return shop()


@pytest.fixture(scope="module")
def model(history: History) -> GrowthModel:
    return growth.fit(history, CUTOFF)


@pytest.fixture(scope="module")
def scores(model: GrowthModel, history: History) -> GrowthScores:
    return growth.score(model, history, CUTOFF, top=10)


def same(one: GrowthList, other: GrowthList) -> bool:
    return all(
        np.array_equal(getattr(one, f.name), getattr(other, f.name), equal_nan=f.name == "quantity")
        for f in fields(one)
    )


def test_what_is_suggested_was_never_bought_and_is_ranked_from_one(scores: GrowthScores, history: History) -> None:
    for of, found in (("items", scores.items), ("categories", scores.categories)):
        case = protocol.growth_case(history, CUTOFF, of=of)
        assert found is not None
        assert len(found)
        assert not case.is_bought(found.account, found.code).any()
        assert set(found.account) <= set(case.accounts)
        starts = np.searchsorted(found.account, found.account)
        assert np.array_equal(found.rank, np.arange(len(found)) - starts + 1)
        within = np.diff(found.account) == 0
        assert (np.diff(found.score)[within] <= 0).all()


def test_ranking_beats_popularity_where_accounts_have_tastes(scores: GrowthScores, history: History) -> None:
    assert scores.items is not None
    case = protocol.growth_case(history, CUTOFF, of="items")
    found = metrics.growth_figures(case, scores.items.account, scores.items.code, scores.items.rank)
    bought = np.bincount(history.until(CUTOFF).item, minlength=60)
    account = np.repeat(case.accounts, 60)
    code = np.tile(np.argsort(-bought, kind="stable").astype(np.int32), len(case.accounts))
    new = ~case.is_bought(account, code)
    account, code = account[new], code[new]
    rank = np.arange(len(account)) - np.searchsorted(account, account) + 1
    popular = metrics.growth_figures(case, account, code, rank)
    assert found.ndcg > popular.ndcg + 0.05


def test_a_partition_scores_exactly_as_in_the_whole(model: GrowthModel, history: History, scores: GrowthScores) -> None:
    for number in range(3):
        codes = np.arange(number, len(history.accounts), 3, dtype=np.int32)
        part = growth.score(model, history.of_accounts(codes), CUTOFF, top=10)
        for found, whole in ((part.items, scores.items), (part.categories, scores.categories)):
            assert found is not None
            assert whole is not None
            rows = np.isin(whole.account, codes)
            kept = GrowthList(*(getattr(whole, f.name)[rows] for f in fields(whole)))
            assert same(found, kept)


def test_equal_seeds_give_equal_bytes_and_the_bytes_the_same_scores(
    model: GrowthModel, history: History, scores: GrowthScores
) -> None:
    stored = model.to_bytes()
    assert growth.fit(history, CUTOFF).to_bytes() == stored
    again = growth.score(GrowthModel.from_bytes(stored), history, CUTOFF, top=10)
    assert same(again.items, scores.items)  # type: ignore[arg-type]
    assert same(again.categories, scores.categories)  # type: ignore[arg-type]
    assert again.profiles == scores.profiles


def test_weeks_missing_from_the_history_are_taken_out_of_it(history: History, scores: GrowthScores) -> None:
    """Sixty days of which nothing is known, in the middle: everything is as if they had not been."""
    hole = 60
    torn = replace(history, day=history.day + np.where(history.day > 120, hole, 0).astype(np.int32))
    model = growth.fit(torn, CUTOFF + hole)
    assert model.clock.holes == ((120, hole),)
    found = growth.score(GrowthModel.from_bytes(model.to_bytes()), torn, CUTOFF + hole, top=10)
    assert same(found.items, scores.items)  # type: ignore[arg-type]
    assert same(found.categories, scores.categories)  # type: ignore[arg-type]


@pytest.mark.parametrize("stored", [b"", b"something else", b"openlot growth\ncut"])
def test_other_bytes_are_refused(stored: bytes) -> None:
    with pytest.raises(ValueError):
        GrowthModel.from_bytes(stored)


def test_codes_may_differ_between_learning_and_scoring(
    model: GrowthModel, history: History, scores: GrowthScores
) -> None:
    """A partition read by itself numbers its items anew; names decide."""
    last = len(history.items) - 1
    turned = replace(
        history,
        item=(last - history.item).astype(np.int32),
        items=history.items[::-1],
        item_category=history.item_category[::-1],
    )
    found = growth.score(model, turned, CUTOFF, top=10).items
    assert found is not None
    assert scores.items is not None
    assert [turned.items[code] for code in found.code] == [history.items[code] for code in scores.items.code]
    assert np.array_equal(found.score, scores.items.score)


def test_later_rows_change_nothing(model: GrowthModel, history: History) -> None:
    assert growth.fit(history.until(CUTOFF), CUTOFF).to_bytes() == model.to_bytes()


def test_money_stays_within_what_the_account_spends_and_quantities_in_packs(
    scores: GrowthScores, history: History
) -> None:
    assert scores.items is not None
    assert scores.categories is not None
    spent = np.bincount(history.account, weights=history.amount)
    for found in (scores.items, scores.categories):
        assert (found.expected_amount > 0).all()
        assert (found.expected_amount <= spent[found.account]).all()
        assert ((found.share >= 0) & (found.share <= 1)).all()
    assert set(scores.items.pack) == {6}
    assert (scores.items.quantity % 6 == 0).all()
    assert np.isnan(scores.categories.quantity).all()


def test_data_without_items_gives_categories_only_and_the_other_way_round() -> None:
    grouped = shop(items=False)
    scores = growth.score(growth.fit(grouped, CUTOFF), grouped, CUTOFF)
    assert scores.items is None
    assert scores.categories is not None
    assert len(scores.categories)
    named = shop(categories=False)
    scores = growth.score(growth.fit(named, CUTOFF), named, CUTOFF)
    assert scores.categories is None
    assert scores.items is not None
    assert len(scores.items)
    assert scores.profiles_of_items
    bare = shop(items=False, categories=False)
    scores = growth.score(growth.fit(bare, CUTOFF), bare, CUTOFF)
    assert scores.items is None
    assert scores.categories is None
    assert scores.fallback == Fallback.NOTHING


@pytest.mark.parametrize("cutoff", [-1, 0, 30, 150])
def test_too_little_to_learn_from_falls_back_to_popularity_in_the_open(history: History, cutoff: int) -> None:
    model = growth.fit(history, cutoff)
    scores = growth.score(model, history, cutoff)
    assert scores.fallback == (Fallback.POPULARITY if cutoff >= 0 else Fallback.NOTHING)
    if cutoff == 150:
        assert scores.items is not None
        assert model.items is not None
        assert model.items.curve.suggestions == 0  # no window has closed that could be looked back at
        bought = protocol.growth_case(history, cutoff, of="items").is_relevant(scores.items.account, scores.items.code)
        assert scores.items.score.mean() == pytest.approx(bought.mean(), abs=0.1)
        within = np.diff(scores.items.account) == 0
        assert len(scores.items)
        assert (np.diff(scores.items.score)[within] <= 0).all()


@pytest.mark.parametrize("seed", range(12))
def test_histories_of_a_few_rows_neither_break_nor_give_nonsense(seed: int) -> None:
    """One account, one thing, one day, gaps of years: lists may be empty, numbers must be numbers."""
    random = np.random.default_rng(seed)
    rows, accounts, items, categories = (int(random.choice(few)) for few in ((1, 10, 60), (1, 2, 9), (1, 2, 7), (1, 3)))
    spread = int(random.choice([1, 40, 400, 1500]))
    item = random.integers(0, items, rows).astype(np.int32)
    found = collapse(
        account=random.integers(0, accounts, rows).astype(np.int32),
        day=random.integers(0, spread, rows).astype(np.int32),
        quantity=random.choice([0.25, 1.0, 12.0, 1e6], rows),
        amount=random.choice([0.01, 5.0, 1e7], rows),
        accounts=tuple(map(str, range(accounts))),
        first_day=FIRST_DAY,
        item=item,
        category=(item % categories).astype(np.int32),
        items=tuple(map(str, range(items))),
        categories=tuple(map(str, range(categories))),
    )
    model = GrowthModel.from_bytes(growth.fit(found, spread).to_bytes())
    scores = growth.score(model, found, spread)
    for ranked in (scores.items, scores.categories):
        assert ranked is not None
        assert ((ranked.score > 0) & (ranked.score <= 1)).all()
        assert (np.isfinite(ranked.expected_amount) & (ranked.expected_amount >= 0)).all()
    assert scores.items is not None
    assert (scores.items.quantity > 0).all()


def test_chances_are_those_by_which_the_shop_was_made() -> None:
    """An account orders on a day with the chance 1/14, 2.5 lines on average; one of the thirty items of its taste is
    on a line with the chance .9/30, another with .1/30. So in 90 days an item of its taste comes with the chance
    1 - exp(-90/14 × 2.5 × .03) = .38, another with .052."""
    history = shop(400, 360, seed=11)
    cutoff = 265
    found = growth.score(growth.fit(history, cutoff), history, cutoff, top=10).items
    assert found is not None
    taste = found.code // ITEMS_PER_CATEGORY % 2 == found.account % 2
    truth = np.where(taste, 0.38, 0.052)
    assert (taste.mean() > 0.3) & (taste.mean() < 0.9)
    assert np.abs(found.score - truth).mean() < 0.05
    assert found.score[taste].mean() == pytest.approx(0.38, abs=0.05)
    assert found.score[~taste].mean() == pytest.approx(0.052, abs=0.04)
    bought = protocol.growth_case(history, cutoff, of="items").is_relevant(found.account, found.code)
    assert metrics.calibration_error(bought, found.score) < 0.04
    later = history.between(cutoff, cutoff + 90)
    money = sum(
        later.amount[(later.account == a) & (later.item == i)].sum()
        for a, i in zip(found.account, found.code, strict=True)
    )
    assert found.expected_amount.sum() == pytest.approx(money, rel=0.15)


def test_of_accounts_that_have_stopped_little_is_expected_and_never_more_than_an_order() -> None:
    """Every third account stops at some day; of those silent for six weeks at the cut-off none orders again."""
    whole = shop(360, 330, seed=5)
    stops = np.where(np.arange(360) % 3 == 0, np.random.default_rng(1).integers(60, 330, 360), 330)
    history = whole.where(whole.day < stops[whole.account])
    model = growth.fit(history, CUTOFF)
    found = growth.score(model, history, CUTOFF, top=10).items
    assert found is not None
    last = np.zeros(360, dtype=int)
    known = history.until(CUTOFF)
    np.maximum.at(last, known.account, known.day)
    silent = (CUTOFF - last > 42)[found.account]
    assert silent.sum() > 100
    assert found.score[silent].mean() < found.score[~silent].mean() / 3
    orders = np.where(np.arange(360) % 2, 0.02, np.nan)
    bounded = growth.score(model, history, CUTOFF, top=10, orders=orders).items
    assert bounded is not None
    odd = bounded.account % 2 == 1
    assert np.array_equal(bounded.code, found.code)
    assert bounded.score[odd].tolist() == np.minimum(found.score[odd], 0.02).tolist()
    assert bounded.score[~odd].tolist() == found.score[~odd].tolist()
    assert (bounded.expected_amount <= found.expected_amount).all()
