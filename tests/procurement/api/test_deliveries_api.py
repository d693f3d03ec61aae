"""What a program says of deliveries that can mean two things."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from django.test import Client
from django.urls import reverse

from marketplace.services import tokens
from marketplace.shared import clock
from procurement.models import Delivery
from tests.factories.contracts import signed_contract
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
