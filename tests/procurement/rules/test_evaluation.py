from datetime import UTC, datetime, timedelta
from decimal import Decimal as D

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procurement.rules.evaluation import (
    AbnormallyLow,
    PricedBid,
    PricedItem,
    abnormally_low,
    compare,
    line_amount,
    table_total,
)
from procurement.rules.ranking import Direction

CENT = D("0.01")
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
ITEMS = [PricedItem(1, D(10)), PricedItem(2, D("2.5"))]


def bid(bidder, *prices, minutes=0, final=None):
    table = dict(enumerate(map(D, prices), start=1))
    total = table_total(ITEMS, table, CENT)
    received = NOON + timedelta(minutes=minutes)
    return PricedBid(bidder, table, D(final) if final else total, received, initial_total=total)


def totals(*amounts):
    return [PricedBid(str(n), {}, D(a), NOON + timedelta(minutes=n), D(a)) for n, a in enumerate(amounts)]


@pytest.mark.parametrize(
    ("quantity", "price", "unit", "amount"),
    [
        ("3", "0.335", "0.01", "1.01"),
        ("1", "0.005", "0.01", "0.01"),
        ("7", "1.5", "1", "11"),
        ("2", "1.2345", "0.001", "2.469"),
    ],
)
def test_a_line_is_rounded_half_up_to_the_minor_unit(quantity, price, unit, amount):
    assert str(line_amount(D(quantity), D(price), D(unit))) == amount


def test_the_total_is_the_sum_of_the_rounded_lines():
    items = [PricedItem(n, D(1)) for n in range(3)]
    assert table_total(items, dict.fromkeys(range(3), D("0.005")), CENT) == D("0.03")


def test_the_comparison_marks_the_best_and_the_distance_of_the_others():
    comparison = compare(ITEMS, [bid("B", "11", "4"), bid("A", "10", "5")], minor_unit=CENT, limit=D(120))
    first, second = comparison.columns
    assert [(c.bidder, c.rank, c.total, c.best, c.above_best) for c in comparison.columns] == [
        ("A", 1, D("112.50"), True, D("0.0")),
        ("B", 2, D("120.00"), False, D("6.7")),
    ]
    assert (first.saving, first.saving_percent, second.saving) == (D("7.50"), D("6.3"), D("0.00"))
    assert [(c.unit_price, c.amount, c.best, c.above_best) for c in comparison.cells[2]] == [
        (D(5), D("12.50"), False, D("25.0")),
        (D(4), D("10.00"), True, D("0.0")),
    ]


def test_of_equal_totals_the_earlier_bid_stands_first():
    comparison = compare(ITEMS, [bid("late", "10", "5", minutes=9), bid("early", "10", "5")], minor_unit=CENT)
    assert [column.bidder for column in comparison.columns] == ["early", "late"]


def test_a_total_beyond_the_limit_is_marked():
    (column,) = compare(ITEMS, [bid("A", "10", "5")], minor_unit=CENT, limit=D("112.49")).columns
    assert (column.within_limit, column.saving) == (False, D("-0.01"))


def test_a_sale_puts_the_highest_first():
    bids = [bid("low", "10", "5"), bid("high", "12", "5")]
    comparison = compare(ITEMS, bids, minor_unit=CENT, direction=Direction.UP, limit=D(100))
    assert [column.bidder for column in comparison.columns] == ["high", "low"]
    assert comparison.columns[0].saving == D("32.50")
    assert comparison.columns[1].above_best == D("15.1")


def test_no_bids_make_an_empty_comparison():
    comparison = compare(ITEMS, [], minor_unit=CENT)
    assert (comparison.columns, comparison.cells[1]) == ((), ())


@pytest.mark.parametrize(
    ("amounts", "flagged"),
    [
        (("60", "100"), {"0": ("below_mean", "below_next")}),
        (("60.01", "100"), {"0": ("below_next",)}),
        (("70", "100"), {"0": ("below_next",)}),
        (("70.01", "100"), {}),
        (("60", "80", "120"), {"0": ("below_mean",), "1": ("below_next",)}),
        (("60",), {}),
    ],
)
def test_a_bid_far_below_the_others_is_flagged(amounts, flagged):
    assert abnormally_low(totals(*amounts), AbnormallyLow()) == flagged


def test_the_mean_is_of_the_others_initial_totals_and_the_bids_own_final_one():
    low = PricedBid("low", {}, D(59), NOON, initial_total=D(90))
    other = PricedBid("other", {}, D(61), NOON, initial_total=D(100))
    assert abnormally_low([low, other], AbnormallyLow()) == {"low": ("below_mean",)}


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(0, 3)), min_size=1, max_size=8))
def test_the_first_column_is_never_beaten(rows):
    bids = [
        PricedBid(str(n), {}, D(cents) / 100, NOON + timedelta(minutes=minute), D(cents) / 100)
        for n, (cents, minute) in enumerate(rows)
    ]
    columns = compare([], bids, minor_unit=CENT).columns
    received = {b.bidder: b.received_at for b in bids}
    keys = [(c.total, received[c.bidder]) for c in columns]
    assert keys == sorted(keys)
    assert [c.rank for c in columns] == list(range(1, len(bids) + 1))
