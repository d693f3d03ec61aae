"""Units of quantity in words."""

from decimal import Decimal

import pytest

from procurement.models import units


@pytest.mark.parametrize(
    ("code", "quantity", "words"),
    [
        ("H87", "1", "piece"),
        ("H87", "33.0000", "pieces"),
        ("KGM", "1.5", "kilograms"),
        ("XBX", "0.5", "boxes"),
        ("BX", "2", "boxes"),  # a package by its own code alone
        ("LS", "1", "lump sum"),
        ("Q99", "3", "Q99"),  # outside the list: as it was written
    ],
)
def test_unit_after_a_number(code: str, quantity: str, words: str) -> None:
    assert str(units.counted(code, Decimal(quantity))) == words


def test_every_unit_can_be_counted() -> None:
    for code, name in units.NAMES.items():
        assert units.counted(code, Decimal(1)) == str(name)
