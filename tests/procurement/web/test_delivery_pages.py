"""Deliveries as both sides go through their pages, the list as a file, and the same by the API."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from io import BytesIO

import pytest
from django.test import Client
from django.urls import reverse
from openpyxl import load_workbook

from marketplace.services import tokens
from marketplace.shared import clock
from procurement.models import Contract, Delivery
from procurement.services import deliveries as service
from procurement.web import deliveries
from tests.factories.clients import client_of
from tests.factories.contracts import signed_contract
from tests.factories.deliveries import came, confirmed, items
from tests.factories.marketplace import HeadingFactory, accredited_buyer, accredited_supplier, member

pytestmark = pytest.mark.django_db
SIGNED = datetime(2026, 5, 1, 12, tzinfo=UTC)
AT = datetime(2026, 6, 1, 12, tzinfo=UTC)


@pytest.fixture(name="contract")
def contract_fixture() -> Contract:
    lines = {HeadingFactory.create(): "100", HeadingFactory.create(): "300"}
    return signed_contract(accredited_buyer(), accredited_supplier(), lines, signed_at=SIGNED, quantity="10")


def test_a_delivery_goes_from_the_supplier_to_the_buyer_and_into_a_file(contract: Contract) -> None:
    supplier, buyer = client_of(member(contract.supplier)), client_of(member(contract.buyer))
    first, _second = items(contract)
    page = reverse("contract", args=[contract.number])
    with clock.frozen(AT):
        empty = supplier.get(page).content.decode()
        assert "Nothing delivered yet" in empty
        assert "Record a delivery" in empty
        form = reverse("delivery_new", args=[contract.number])
        sent = {"delivered_on": "2026-05-20", "note_number": "=LS-1", "key": "k", f"quantity_{first.pk}": "12"}
        refused = supplier.post(form, sent)
        assert refused.status_code == 422
        assert "More than was ordered" in refused.content.decode()
        sent[f"quantity_{first.pk}"] = "4,5"
        assert [supplier.post(form, sent).status_code for _click in range(2)] == [302, 302]
        delivery = Delivery.objects.get()
        confirm = reverse("delivery_act", args=[contract.number, 1, "confirm"])
        taken = {f"quantity_{first.pk}": "4"}
        short = buyer.post(confirm, taken)
        assert (short.status_code, "Say why you accept less than came." in short.content.decode()) == (422, True)
        buyer.post(confirm, taken | {f"why_{first.pk}": "Half of one is missing"})
        delivery.refresh_from_db()
        assert delivery.status == "confirmed"
        back = reverse("delivery_return", args=[contract.number, 1])
        assert back in buyer.get(delivery.get_absolute_url()).content.decode()
        buyer.post(
            back, {"delivered_on": "2026-05-21", "remark": "Wrong size", "key": "b", f"quantity_{first.pk}": "1"}
        )
        shown = buyer.get(page).content.decode()
        assert "10% delivered" in shown.replace(" %", "%").replace("\xa0%", "%")
        assert "1 record waits to be confirmed." in shown

        lines = buyer.get(reverse("deliveries_csv", args=[contract.number])).getvalue().decode()
        assert lines.count("\r\n") == 3
        assert "'=LS-1" in lines
        book = load_workbook(BytesIO(buyer.get(reverse("deliveries_xlsx", args=[contract.number])).content))
        rows = list(book.active.iter_rows(values_only=True))
        assert [(row[1], row[2], row[6], float(row[10])) for row in rows[1:]] == [
            (1, "Delivery", "=LS-1", 4.5), (2, "Return", None, 1.0),
        ]  # fmt: skip


def test_the_contracts_page_shows_the_newest_and_the_file_all(
    contract: Contract, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliveries, "SHOWN", 2)
    supplier = member(contract.supplier)
    for note in ("LS-1", "LS-2", "LS-3"):
        sent = came(contract, date(2026, 5, 20), "1", note_number=note)
        service.record(contract.pk, sent, key=note, by=supplier, at=AT)
    buyer = client_of(member(contract.buyer))
    page = buyer.get(reverse("contract", args=[contract.number])).content.decode()
    assert [note in page for note in ("LS-1", "LS-2", "LS-3")] == [False, True, True]
    assert "The newest 2 of 3 records." in page
    assert "3 records wait to be confirmed." in page
    assert "LS-1" in buyer.get(reverse("deliveries_csv", args=[contract.number])).getvalue().decode()


def test_all_of_it_goes_back_once_though_the_form_is_sent_twice(contract: Contract) -> None:
    found = confirmed(contract, date(2026, 5, 20), "4", at=AT)
    item = items(contract)[0]
    sent = {"delivered_on": "2026-05-21", "remark": "Wrong size", "key": "b", f"quantity_{item.pk}": "4"}
    buyer = client_of(member(contract.buyer))
    with clock.frozen(AT):
        back = reverse("delivery_return", args=[contract.number, found.number])
        assert [buyer.post(back, sent).status_code for _click in range(2)] == [302, 302]
    assert found.returns.count() == 1


def test_a_program_records_and_another_confirms(contract: Contract) -> None:
    programs = []
    for organisation in (contract.supplier, contract.buyer):
        _token, secret = tokens.create("ERP", by=member(organisation), at=SIGNED)
        programs.append(Client(headers={"authorization": f"Bearer {secret}", "idempotency-key": "k"}))
    supplier, buyer = programs
    url = reverse("api_deliveries", args=[contract.number])
    body = {"delivered_on": "2026-05-20", "note_number": "LS-1", "lines": [{"position": 2, "quantity": "5"}]}
    with clock.frozen(AT):
        made = [supplier.post(url, json.dumps(body), content_type="application/json") for _time in range(2)]
        assert [(one.status_code, one.json()["number"]) for one in made] == [(201, 1)] * 2
        wrong = body | {"lines": [{"position": 7, "quantity": "5"}]}
        again = supplier.post(url, json.dumps(wrong), content_type="application/json", headers={"idempotency-key": "o"})
        assert again.status_code == 422
        state = reverse("api_delivery_state", args=[contract.number, 1])
        done = buyer.post(state, json.dumps({"status": "confirmed"}), content_type="application/json")
        assert done.json()["lines"] == [{"position": 2, "quantity": "5.0000", "accepted": "5.0000", "why": ""}]
        found = buyer.get(url).json()
        assert (found["progress"], found["positions"][1]["open"]) == (37, "5.0000")
