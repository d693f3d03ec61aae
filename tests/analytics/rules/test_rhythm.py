"""Rhythms and territories, by hand."""

from __future__ import annotations

from datetime import date, timedelta

from analytics.rules import territories
from analytics.rules.rhythm import rhythm

TODAY = date(2026, 3, 1)


def test_a_rhythm_is_the_median_gap_and_the_silence_since() -> None:
    ago = [200, 180, 162, 140, 60, 60, -5]  # a day twice, and one to come

    found = rhythm([TODAY - timedelta(days=days) for days in ago], TODAY)

    assert (found.days, found.gap, found.longest, found.silent) == (5, 21, 80, 60)
    assert found.due_on == TODAY - timedelta(days=39)
    assert not found.is_late


def test_a_silence_longer_than_any_before_is_late() -> None:
    assert rhythm([TODAY - timedelta(days=days) for days in (70, 50, 41)], TODAY).is_late
    assert rhythm([TODAY - timedelta(days=9)], TODAY).gap is None
    assert rhythm([], TODAY).last is None


def test_an_account_belongs_to_a_territory_by_country_number_or_name() -> None:
    rule = territories.typed("de, AT;de", "10\n11", "")

    assert rule == territories.Rule(("DE", "AT"), ("10", "11"))
    assert rule.fits("DE", "99")
    assert rule.fits("FR", "1077")
    assert not rule.fits("FR", "210")
    assert territories.read(rule.as_json()) == rule
    assert not territories.read({"countries": "DE"}).fits("DE", "1")
