from datetime import date

import numpy as np

from analytics.rules.history import NONE, History, collapse


def codes(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int32)


def a_history(**changes: object) -> History:
    lines = {
        "account": codes(1, 0, 0, 0, 0),
        "category": codes(0, 1, 0, 0, 0),
        "item": codes(0, 1, 0, 0, 0),
        "day": codes(7, 3, 9, 9, 3),
        "quantity": np.array([1.0, 2.0, 3.0, 4.0, -4.0]),
        "amount": np.array([10.0, 20.0, 30.0, 40.0, -40.0]),
    }
    return collapse(
        **{**lines, **changes}, accounts=("a", "b"), categories=("x", "y"), items=("p", "q"), first_day=date(2024, 1, 1)
    )


def test_lines_of_a_day_are_added_up_and_cancellations_dropped() -> None:
    history = a_history()
    assert history.account.tolist() == [0, 0, 1]
    assert history.category.tolist() == [0, 1, 0]
    assert history.day.tolist() == [9, 3, 7]
    assert history.quantity.tolist() == [7.0, 2.0, 1.0]
    assert history.amount.tolist() == [70.0, 20.0, 10.0]
    assert history.item_category.tolist() == [0, 1]


def test_the_order_of_the_lines_changes_nothing() -> None:
    history, turn = a_history(), np.array([3, 1, 4, 0, 2])
    fields = ("account", "category", "item", "day", "quantity", "amount")
    turned = a_history(
        account=codes(1, 0, 0, 0, 0)[turn],
        category=codes(0, 1, 0, 0, 0)[turn],
        item=codes(0, 1, 0, 0, 0)[turn],
        day=codes(7, 3, 9, 9, 3)[turn],
        quantity=np.array([1.0, 2.0, 3.0, 4.0, -4.0])[turn],
        amount=np.array([10.0, 20.0, 30.0, 40.0, -40.0])[turn],
    )
    for field in fields:
        assert getattr(turned, field).tolist() == getattr(history, field).tolist()


def test_the_cut_off_day_is_known_and_the_named_date_is_not() -> None:
    history = a_history()
    assert history.until(7).day.tolist() == [3, 7]
    assert history.between(3, 7).day.tolist() == [7]
    assert history.day_before(date(2024, 1, 8)) == 6  # the 8th is day 7: not known


def test_a_partition_keeps_its_codes() -> None:
    part = a_history().of_accounts(codes(1))
    assert part.account.tolist() == [1]
    assert part.accounts == ("a", "b")


def test_order_days_are_counted_by_account_and_by_account_and_category() -> None:
    history = a_history()
    days = history.account_days()
    assert days.day.tolist() == [3, 9, 7]
    assert days.starts.tolist() == [0, 2]
    assert days.counts.tolist() == [2, 1]
    pairs = history.pair_days()
    assert list(zip(pairs.account.tolist(), pairs.category.tolist(), pairs.day.tolist(), strict=True)) == [
        (0, 0, 9),
        (0, 1, 3),
        (1, 0, 7),
    ]


def test_data_without_categories_or_items_says_so() -> None:
    history = collapse(
        account=codes(0),
        day=codes(0),
        quantity=np.array([1.0]),
        amount=np.array([1.0]),
        accounts=("a",),
        first_day=date(2024, 1, 1),
    )
    assert (history.has_categories, history.has_items) == (False, False)
    assert history.category.tolist() == [NONE]
    assert len(history.pair_days()) == 0


def test_an_empty_history_is_no_error() -> None:
    nothing = a_history().until(0)
    assert len(nothing) == 0
    assert nothing.last_day == -1
    assert len(nothing.account_days()) == 0
    assert len(nothing.until(-5)) == 0
