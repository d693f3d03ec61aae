"""Intervals as in the papers they come from; calibration by hand."""

from __future__ import annotations

import pytest

from analytics.rules.effect import Bin, Difference, Share, error


def test_wilsons_interval_of_newcombes_first_example() -> None:
    assert Share(81, 263).interval == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert Share(0, 20).interval == pytest.approx((0.0, 0.1611), abs=5e-5)
    assert Share(0, 0).value is None
    assert Share(0, 0).interval == (0.0, 1.0)


def test_newcombes_difference_of_56_in_70_and_48_in_80() -> None:
    difference = Difference(Share(56, 70), Share(48, 80))

    assert difference.value == pytest.approx(0.2)
    assert difference.interval == pytest.approx((0.0524, 0.3339), abs=5e-5)
    assert difference.is_certain


def test_few_withheld_cards_say_little() -> None:
    difference = Difference(Share(30, 60), Share(2, 6))

    assert difference.value == pytest.approx(1 / 6)
    assert not difference.is_certain
    assert Difference(Share(3, 5), Share(0, 0)).value is None


def test_calibration_compares_what_was_promised_with_what_happened() -> None:
    kept, broken = Bin(0.6, 0.8, 0.65, Share(30, 50)), Bin(0.8, 1.0, 0.9, Share(10, 30))

    assert kept.holds
    assert not broken.holds
    assert error([kept, broken]) == pytest.approx((0.05 * 50 + (0.9 - 1 / 3) * 30) / 80)
    assert error([]) is None
