"""What may be delivered, and what it is worth."""

from __future__ import annotations

from datetime import date
from decimal import Decimal as D

import pytest

from procurement.rules.deliveries import (
    DayProblem,
    Position,
    acceptable,
    amounts,
    day_problem,
    is_quantity,
    most,
    progress,
    room,
)

CENT = D("0.01")


@pytest.mark.parametrize(
    ("ordered", "tolerance", "at_most"),
    [("10", "0", "10"), ("10", "5", "10.5"), ("3", "3.33", "3.0999"), ("0.0001", "50", "0.0001")],
)
def test_the_most_is_what_was_ordered_and_its_tolerance_rounded_down(
    ordered: str, tolerance: str, at_most: str
) -> None:
    assert most(D(ordered), D(tolerance)) == D(at_most)


@pytest.mark.parametrize(
    ("accepted", "waiting", "still", "takes", "to_come"),
    [
        ("0", "0", "11", "11", "10"),
        ("4", "3", "4", "7", "3"),
        ("4", "7", "0", "7", "0"),
        ("12", "0", "0", "0", "0"),
    ],
)
def test_what_waits_takes_room_from_what_is_recorded_but_not_from_what_is_accepted(
    accepted: str, waiting: str, still: str, takes: str, to_come: str
) -> None:
    position = Position(D(10), D(accepted), D(waiting))
    assert room(position, D(10)) == D(still)
    assert acceptable(position, D(10)) == D(takes)
    assert position.open == D(to_come)


@pytest.mark.parametrize(
    ("day", "problem"),
    [
        (date(2026, 5, 1), None),
        (date(2026, 6, 1), None),
        (date(2026, 4, 30), DayProblem.BEFORE_SIGNING),
        (date(2026, 6, 2), DayProblem.IN_THE_FUTURE),
    ],
)
def test_nothing_comes_before_the_signing_nor_tomorrow(day: date, problem: DayProblem | None) -> None:
    assert day_problem(day, date(2026, 5, 1), date(2026, 6, 1)) is problem


@pytest.mark.parametrize(
    ("text", "fits"),
    [("1", True), ("0.0001", True), *((wrong, False) for wrong in ("0.00001", "0", "-1", "1e20", "NaN", "Infinity"))],
)
def test_a_quantity_is_above_nothing_and_in_steps(text: str, fits: bool) -> None:
    assert is_quantity(D(text)) is fits


@pytest.mark.parametrize(
    ("positions", "percent"),
    [
        ([], 0),
        ([("10", "0", "100"), ("1", "0", "300")], 0),
        ([("10", "5", "100"), ("1", "0", "300")], 12),
        ([("10", "20", "100"), ("1", "0", "300")], 25),
        ([("1000000", "999999", "1")], 99),
        ([("10", "10", "100"), ("1", "1", "300")], 100),
        ([("10", "10", "0"), ("1", "0", "0")], 50),
    ],
)
def test_progress_weighs_by_price_and_is_whole_only_at_the_end(
    positions: list[tuple[str, str, str]], percent: int
) -> None:
    assert progress([Position(D(n), D(done), amount=D(amount)) for n, done, amount in positions]) == percent


@pytest.mark.parametrize(
    ("price", "ordered", "quantities", "worth"),
    [
        ("100.00", "3", ["1", "1", "1"], ["33.33", "33.34", "33.33"]),
        ("100.00", "3", ["3"], ["100.00"]),
        ("100.00", "3", ["1", "0", "2"], ["33.33", "0.00", "66.67"]),
        ("100.00", "3", ["1", "1", "1", "1"], ["33.33", "33.34", "33.33", "33.33"]),
        ("0.01", "100", ["1", "49", "50"], ["0.00", "0.01", "0.00"]),
        ("99.99", "7.5", ["2.5"], ["33.33"]),
    ],
)
def test_deliveries_are_worth_together_what_the_quantity_is_worth(
    price: str, ordered: str, quantities: list[str], worth: list[str]
) -> None:
    assert amounts(D(price), D(ordered), [D(one) for one in quantities], CENT) == [D(one) for one in worth]
