"""The price table as it is typed."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from procurement.rules.evaluation import PricedItem
from procurement.rules.price_table import PriceProblem, read
from procurement.rules.ranking import Direction

CENT = Decimal("0.01")
ITEMS = [PricedItem(1, Decimal("3")), PricedItem(2, Decimal("0.5"))]


def test_lines_are_rounded_half_up_before_they_are_added() -> None:
    table = read(ITEMS, {1: "1.335", 2: "0.03"}, CENT)

    assert [line.amount for line in table.lines] == [Decimal("4.01"), Decimal("0.02")]
    assert table.total == Decimal("4.03")
    assert table.complete


def test_a_line_in_yen_has_no_decimals() -> None:
    table = read([PricedItem(1, Decimal("1.5"))], {1: "333"}, Decimal(1))

    assert table.total == Decimal(500)


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("", PriceProblem.MISSING),
        ("   ", PriceProblem.MISSING),
        ("twelve", PriceProblem.NOT_A_NUMBER),
        ("1e3", PriceProblem.NOT_A_NUMBER),
        ("NaN", PriceProblem.NOT_A_NUMBER),
        ("0", PriceProblem.NOT_POSITIVE),
        ("-5", PriceProblem.NOT_POSITIVE),
        ("0.001", PriceProblem.NOT_POSITIVE),
        ("1.00001", PriceProblem.TOO_PRECISE),
        ("9" * 16, PriceProblem.TOO_LARGE),
    ],
)
def test_what_is_not_a_price_is_kept_and_named(typed: str, problem: PriceProblem) -> None:
    line = read(ITEMS, {1: typed, 2: "1"}, CENT).lines[0]

    assert (line.typed, line.unit_price, line.amount, line.problem) == (typed.strip() and typed, None, None, problem)


def test_digits_of_other_scripts_are_read() -> None:
    assert read(ITEMS, {1: "١٢٫٥٠", 2: "1 000,00"}, CENT).total == Decimal("537.50")


def test_an_incomplete_table_adds_what_it_has() -> None:
    table = read(ITEMS, {1: "10"}, CENT, Decimal(40))

    assert (table.total, table.priced, table.complete) == (Decimal("30.00"), 1, False)


@pytest.mark.parametrize(
    ("limit", "over", "share", "below"),
    [("30", False, "100.0", "0.0"), ("29.99", True, "100.0", "0.0"), ("40", False, "75.0", "25.0")],
)
def test_the_total_is_measured_against_the_limit(limit: str, over: bool, share: str, below: str) -> None:
    table = read(ITEMS[:1], {1: "10"}, CENT, Decimal(limit))

    assert (table.beyond_limit, table.share_of_limit, table.better_than_limit) == (over, Decimal(share), Decimal(below))


def test_without_a_limit_nothing_is_measured() -> None:
    table = read(ITEMS[:1], {1: "10"}, CENT)

    assert (table.beyond_limit, table.share_of_limit, table.better_than_limit) == (False, None, None)


_CASES = json.loads((Path(__file__).parent / "price_tables.json").read_text())["cases"]


@pytest.mark.parametrize("case", _CASES, ids=lambda case: case["name"])
def test_the_shared_cases_hold(case: dict[str, Any]) -> None:
    """assets/test/table.test.mjs holds the browser to the same ones."""
    items = [PricedItem(place, Decimal(quantity)) for place, quantity in enumerate(case["quantities"])]
    limit = Decimal(case["limit"]) if "limit" in case else None
    direction = Direction(case.get("direction", "down"))

    table = read(items, dict(enumerate(case["typed"])), Decimal(1).scaleb(-case["digits"]), limit, direction)

    found = [
        line.problem.value if line.problem else [f"{line.unit_price:f}", f"{line.amount:f}"] for line in table.lines
    ]
    assert found == case["lines"]
    assert (f"{table.total:f}", table.beyond_limit) == (case["total"], case.get("beyond_limit", False))
    assert table.too_large == case.get("too_large", False)
