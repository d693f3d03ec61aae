"""What a customer bought, line by line: the lines behind its figures, and nobody else's."""

from __future__ import annotations

from datetime import date

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from analytics.models import Account, Category
from analytics.services import merges
from tests.factories.insights import platform_book, representative, sales_manager
from tests.factories.marketplace import NOON
from tests.factories.purchases import loaded, row

pytestmark = pytest.mark.django_db
MAY, JUNE = date(2026, 5, 1), date(2026, 6, 1)


def test_the_lines_behind_a_customers_figures(client: Client) -> None:
    book, boss = platform_book(), sales_manager()
    lines = [
        row("A", "1", MAY, "100", item="hose", category="metal", quantity="5"),
        row("A", "2", JUNE, "-40", item="hose", category="metal", cancels="1", quantity="-2"),
        row("B", "3", JUNE, "7"),
        row("C", "4", JUNE, "8"),
    ]
    loaded(book, lines)
    loaded(
        book, [row("A", "1", MAY, "90", item="hose", category="metal", quantity="5")]
    )  # corrected: the old version is gone
    a, b, c = Account.objects.filter(book=book).order_by("external_id")
    merges.merge(book, b.pk, a.pk, by=boss, at=NOON)
    person = representative().person
    assert person is not None
    client.force_login(person)

    def shown(account: Account = a, **asked: str) -> list[tuple[str, str, str]]:
        rows = client.get(reverse("insights_customer_lines", args=[account.pk]), asked).context["rows"]
        return [(one["line"].order, str(one["amount"]), one["number"]) for one in rows]

    # What was taken back counts on the day on which it was bought.
    everything = [("3", "7.00 EUR", "B"), ("1", "90.00 EUR", ""), ("2", "-40.00 EUR", "")]
    assert shown() == [everything[0], everything[1], everything[2]]
    assert shown(b) == shown()  # it counts as the other now
    assert shown(month="2026-05", category="x") == everything[1:]
    assert shown(category="none") == everything[:1]
    assert shown(category=str(Category.objects.get(code="metal").pk)) == everything[1:]
    assert shown(c) == [("4", "8.00 EUR", "")]
    text = b"".join(client.get(reverse("insights_customer_lines", args=[a.pk]), {"format": "csv"})).decode()  # type: ignore[arg-type]
    assert "2026-06-01,2026-05-01,2,1,1,A,hose,hose,metal,-2.0000,-40.0000,EUR" in text
    # As many queries for one line as for three.
    with CaptureQueriesContext(connection) as of_one:
        shown(c)
    with CaptureQueriesContext(connection) as of_three:
        shown(a)
    assert len(of_one) == len(of_three)
    # The page's months and categories lead there.
    page = client.get(reverse("insights_customer", args=[a.pk])).content.decode()
    assert f"/customers/{a.pk}/purchases/?month=2026-05" in page
    assert f"/customers/{a.pk}/purchases/?category=none" in page
