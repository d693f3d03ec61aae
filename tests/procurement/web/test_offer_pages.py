"""Requests for an offer, as both sides go through their pages; and the same by the API."""

from __future__ import annotations

import json

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from marketplace.models import Role, StaffRole
from marketplace.services import tokens
from marketplace.shared import clock
from procurement.models import OfferRequest
from tests.factories.clients import client_of
from tests.factories.marketplace import NOON, accredited_buyer, accredited_supplier, member, staff
from tests.factories.offers import NEED, asked

pytestmark = pytest.mark.django_db
_SENT = {
    "need": NEED, "quantity": "40", "unit": "H87", "budget": "4.800,00", "currency": "EUR", "wanted_by": "2026-06-01",
    "contact_by": "email", "key": "k",
}  # fmt: skip


def test_a_buyer_asks_on_the_suppliers_page_and_reads_the_answer() -> None:
    buyer, supplier = member(accredited_buyer()), accredited_supplier()
    seller, theirs = member(supplier, Role.REPRESENTATIVE), reverse("company", args=[supplier.pk])
    ours = client_of(buyer)
    with clock.frozen(NOON):
        assert reverse("offer_ask", args=[supplier.pk]) in ours.get(theirs).content.decode()
        form = reverse("offer_ask", args=[supplier.pk])
        wrong = ours.post(form, _SENT | {"unit": "", "wanted_by": "2026-01-01"})
        assert wrong.status_code == 422
        assert "Choose a unit." in wrong.content.decode()
        assert NEED in wrong.content.decode()
        twice = [ours.post(form, _SENT) for _click in range(2)]
        request = OfferRequest.objects.get()
        assert [one["Location"] for one in twice] == [request.get_absolute_url()] * 2
        assert str(request.budget_money) == "4800.00 EUR"
        assert NEED in ours.get(reverse("offer_requests")).content.decode()
        none_declined = ours.get(f"{reverse('offer_requests')}?state=declined").content.decode()
        # The state looked for is a tab, not the page's own.
        assert ("Nothing fits" in none_declined, "status-badge" in none_declined) == (True, False)

        desk = client_of(seller)
        assert NEED in desk.get(f"{reverse('offer_requests')}?side=received").content.decode()
        refused = desk.post(reverse("offer_request_act", args=[request.pk, "decline"]), {"because": ""})
        assert refused.status_code == 422
        desk.post(reverse("offer_request_act", args=[request.pk, "answer"]), {"answer": "At 118 EUR each."})
        page = ours.get(request.get_absolute_url()).content.decode()
        assert "At 118 EUR each." in page
        assert "Withdraw the request" not in page

        other = client_of(staff(StaffRole.OPERATOR)).get(reverse("offer_requests"))
        told = other.content.decode()
        assert (other.status_code, "you act for none" in told, "Register one" in told) == (403, True, False)


def test_the_list_asks_the_database_as_often_for_three_as_for_one() -> None:
    buyer, counts = member(accredited_buyer()), []
    ours = client_of(buyer)
    for more in (1, 2):
        for _number in range(more):
            asked(accredited_supplier(), buyer)
        with CaptureQueriesContext(connection) as found:
            ours.get(reverse("offer_requests"))
        counts.append(len(found))
    assert counts[0] == counts[1]


def test_a_program_asks_and_withdraws() -> None:
    buyer, supplier = member(accredited_buyer()), accredited_supplier()
    _token, secret = tokens.create("ERP", by=buyer, at=NOON)
    program = Client(headers={"authorization": f"Bearer {secret}", "idempotency-key": "k"})
    body = {"supplier": supplier.pk, "need": NEED, "wanted_by": "2026-06-01", "budget": "4800", "currency": "EUR"}
    with clock.frozen(NOON):
        url = reverse("api_offer_requests")
        sent = [program.post(url, json.dumps(body), content_type="application/json") for _time in range(2)]
        assert [(one.status_code, one.json()["budget"]) for one in sent] == [(201, "4800.00")] * 2
        (row,) = program.get(url).json()["results"]
        state = reverse("api_offer_request_state", args=[row["id"]])
        gone = program.post(state, json.dumps({"status": "withdrawn"}), content_type="application/json")
        assert gone.json()["status"] == "withdrawn"
        again = program.post(state, json.dumps({"status": "withdrawn"}), content_type="application/json")
        assert (again.status_code, again.json()["status"]) == (200, "withdrawn")
