"""How money, moments, spans and states are shown."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
from django.template import Context, Template
from django.test import RequestFactory
from django.utils import translation

from marketplace.shared import clock
from marketplace.shared.money import Money
from marketplace.web import formats

AT = datetime(2026, 11, 22, 16, 56, 9, tzinfo=UTC)


def shown(template: str, **context: Any) -> str:
    return Template(template).render(Context(context))


def reader(zone: str) -> SimpleNamespace:
    return SimpleNamespace(person=SimpleNamespace(time_zone=zone))


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [
        ("94500", "EUR", "94,500.00"),
        ("0.5", "EUR", "0.50"),
        ("2.4525", "EUR", "2.4525"),
        ("1250000", "JPY", "1,250,000"),
        ("12.5", "BHD", "12.500"),
        ("-3.1", "USD", "-3.10"),
    ],
)
def test_an_amount_has_its_minor_units_and_no_digit_is_dropped(amount: str, currency: str, text: str) -> None:
    assert formats.amount(Money(Decimal(amount), currency)) == text


def test_an_amount_is_grouped_as_the_language_does() -> None:
    with translation.override("de"):
        assert formats.amount(Money(Decimal("94500"), "EUR")) == "94.500,00"


def test_money_says_its_currency_and_whether_vat_is_inside() -> None:
    said = shown("{% money value vat=False %}", value=Money(Decimal("94500"), "EUR"))
    assert '<bdi class="money">94,500.00' in said
    assert "EUR" in said
    assert "excl. VAT" in said
    assert "VAT" not in shown("{% money value %}", value=Money(Decimal("1"), "EUR"))


def test_a_missing_or_inexact_amount_is_a_dash() -> None:
    assert shown("{{ value|money }}|{{ value|amount }}|{% money value %}", value=None) == "—|—|—\n"
    assert shown("{{ value|money:'EUR' }}", value=1.5) == "—"


def test_a_moment_is_shown_in_the_tenders_zone_and_in_the_readers() -> None:
    said = shown("{% when at tz='Asia/Bangkok' %}", at=AT, actor=reader("Europe/Berlin"))
    assert 'datetime="2026-11-22T16:56:09Z"' in said
    assert "22 Nov 2026, 23:56" in said
    assert "Bangkok, UTC+7" in said
    assert "for you 22 Nov 2026, 17:56 (Berlin, UTC+1)" in said


def test_one_zone_is_said_once() -> None:
    said = shown("{% when at tz='Europe/Paris' %}", at=AT, actor=reader("Europe/Berlin"))
    assert "17:56" in said
    assert "for you" not in said


def test_where_nobody_chose_a_zone_the_browsers_is_asked_for() -> None:
    said = shown("{% when at tz='Europe/Berlin' %}", at=AT, actor=reader("UTC"))
    assert 'data-local-time="2026-11-22T16:56:09Z" data-offset="60"' in said


def test_half_an_hour_of_offset_is_told() -> None:
    said = shown("{% when at tz='Asia/Tehran' compact=True %}", at=AT)
    assert "20:26" in said
    assert "UTC+3:30" in said


def test_no_moment_and_no_day_are_dashes() -> None:
    assert "—" in shown("{% when at %}", at=None)
    assert shown("{% date day %}", day=None) == "—"
    assert shown("{% date day %}", day=date(2026, 3, 1)) == '<time datetime="2026-03-01">1 Mar 2026</time>'


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(days=2, hours=4, minutes=59), "2 days 4 hours"),
        (timedelta(days=1), "1 day"),
        (timedelta(minutes=5, seconds=30), "5 minutes 30 seconds"),
        (timedelta(seconds=1), "1 second"),
        (timedelta(0), "0 seconds"),
        (timedelta(seconds=-5), "0 seconds"),
    ],
)
def test_a_span_is_told_in_its_two_largest_units(span: timedelta, text: str) -> None:
    assert formats.duration(span) == text


def test_a_countdown_runs_by_the_servers_clock_and_says_what_happened_at_zero() -> None:
    template = "{% countdown until label='Closes in' over='Closed' %}"
    with clock.frozen(AT):
        running = shown(template, until=AT + timedelta(minutes=5, seconds=30))
        over = shown(template, until=AT)
    assert "5 minutes 30 seconds" in running
    assert 'data-over="Closed"' in running
    assert "is-over" in over


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (999, "999 bytes"),
        (1_420_000, "1.4 MB"),
        (52_428_800, "52.4 MB"),
        (10**13, "10,000 GB"),
    ],
)
def test_a_file_size_has_the_unit_a_person_would_choose(size: int, text: str) -> None:
    assert formats.filesize(size) == text


def test_a_percentage_has_one_decimal_always() -> None:
    assert shown("{{ a|percentage }} {{ b|percentage }}", a=Decimal(12), b=None) == "12.0% —"


def test_a_state_is_said_in_words_beside_its_tone() -> None:
    tender = SimpleNamespace(status="cancelled", get_status_display=lambda: "Cancelled")
    said = shown("{% status tender %}", tender=tender)
    assert "tone-bad" in said
    assert "<span>Cancelled</span>" in said


def test_names_of_bidders_cannot_bring_markup() -> None:
    said = shown("{% status 'draft' label %}{% icon 'lock' label %}", label="<b>x</b>")
    assert "<b>" not in said


def test_the_order_of_a_column_turns_with_each_click() -> None:
    def head(query: str) -> str:
        return shown("{% sort 'closes_at' 'Deadline' %}", request=RequestFactory().get(f"/?{query}"))

    assert "?sort=closes_at" in head("")
    assert "?q=a&amp;sort=-closes_at" in head("q=a&sort=closes_at&after=x")
    assert "sorted downwards" in head("sort=-closes_at")
