"""What a program says of deliveries that can mean two things."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime

import pytest
from django.test import Client
from django.urls import reverse

from marketplace.api.pagination import KeysetPagination
from marketplace.services import tokens
from marketplace.shared import clock
from procurement.models import Delivery
from tests.factories.contracts import signed_contract
from tests.factories.deliveries import recorded
from tests.factories.marketplace import HeadingFactory, accredited_buyer, accredited_supplier, member

pytestmark = pytest.mark.django_db
SIGNED = datetime(2026, 5, 1, 12, tzinfo=UTC)


def test_a_position_named_twice_is_refused_not_taken_for_one_of_the_two() -> None:
    contract = signed_contract(
        accredited_buyer(), accredited_supplier(), {HeadingFactory.create(): "100"}, signed_at=SIGNED, quantity="10"
    )
    _token, secret = tokens.create("ERP", by=member(contract.supplier), at=SIGNED)
    program = Client(headers={"authorization": f"Bearer {secret}", "idempotency-key": "k"})
    lines = [{"position": 1, "quantity": "5"}, {"position": 1, "quantity": "2"}]
    body = {"delivered_on": "2026-05-20", "note_number": "LS-1", "lines": lines}
    with clock.frozen(datetime(2026, 6, 1, 12, tzinfo=UTC)):
        url = reverse("api_deliveries", args=[contract.number])
        refused = program.post(url, json.dumps(body), content_type="application/json")
    assert (refused.status_code, "Name each position once." in refused.content.decode()) == (422, True)
    assert not Delivery.objects.exists()


def test_the_list_goes_page_by_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(KeysetPagination, "size", 2)
    contract = signed_contract(
        accredited_buyer(), accredited_supplier(), {HeadingFactory.create(): "100"}, signed_at=SIGNED, quantity="10"
    )
    supplier, at = member(contract.supplier), datetime(2026, 6, 1, 12, tzinfo=UTC)
    for _time in range(3):
        recorded(contract, date(2026, 5, 20), "1", at=at, by=supplier)
    _token, secret = tokens.create("ERP", by=supplier, at=SIGNED)
    program = Client(headers={"authorization": f"Bearer {secret}"})
    with clock.frozen(at):
        first = program.get(reverse("api_deliveries", args=[contract.number])).json()
        second = program.get(first["next"]).json()
        back = program.get(second["previous"]).json()
    assert [[row["number"] for row in page["deliveries"]] for page in (first, second, back)] == [[1, 2], [3], [1, 2]]
    assert (first["previous"], second["next"], second["positions"]) == (None, None, first["positions"])
