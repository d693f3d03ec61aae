"""The pages of the roll, of a bidder's proof and of exports."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from marketplace.models import AuditRecord, Notification, StaffRole
from marketplace.permissions import Actor
from procurement.models import BidRoll, ExportStatus, ProcedureExport, Tender
from procurement.services import bid_roll, export_jobs, opening
from procurement.web import proof
from tests.factories.bids import LATER, bidder, sent_bid, tender_taking_bids
from tests.factories.clients import client_of
from tests.factories.marketplace import member, staff
from tests.factories.signatures import trust

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _trust(freeze: Any) -> None:
    freeze(LATER + timedelta(minutes=1))
    trust()


def opened(*bidders: Actor) -> Tender:
    tender = tender_taking_bids()
    for place, by in enumerate(bidders):
        sent_bid(tender.lots.get(), [f"1{place}", "20"], by=by)
    return opening.open_tender(tender.pk, LATER)


def test_anybody_reads_the_root_and_takes_the_roll_away(client: Client) -> None:
    tender = opened(bidder(), bidder())
    roll = BidRoll.objects.get(tender=tender)

    page = client.get(reverse("tender_proof", args=[tender.number])).content.decode()
    file = client.get(reverse("roll_file", args=[tender.number]))

    assert roll.root in page
    assert "Not yet. It is asked for every minute" in page
    assert all(leaf in page for leaf in bid_roll.hashes_of(roll))
    assert json.loads(file.content) == bid_roll.published(roll)
    assert client.get(reverse("roll_timestamp", args=[tender.number])).status_code == 302  # to the log-in


def test_before_the_deadline_the_page_says_what_will_be_there(client: Client) -> None:
    tender = tender_taking_bids()
    page = client.get(reverse("tender_proof", args=[tender.number]))
    assert "Closed at the deadline" in page.content.decode()
    assert client.get(reverse("roll_file", args=[tender.number])).status_code == 302  # to the log-in


def test_a_time_stamp_is_shown_and_taken_away(client: Client) -> None:
    tender = opened(bidder())
    bid_roll.keep_stamp(tender.roll.pk, b"a token", LATER, LATER)

    assert "Not yet." not in client.get(reverse("tender_proof", args=[tender.number])).content.decode()
    assert client.get(reverse("roll_timestamp", args=[tender.number])).content == b"a token"


def test_the_buyer_reads_whether_the_stored_bids_are_those_of_the_roll() -> None:
    tender = opened(bidder())
    client = client_of(member(tender.buyer))
    url = reverse("tender_proof", args=[tender.number])
    assert "Checked just now: the bids as they are stored lead to this root." in client.get(url).content.decode()

    envelope = tender.lots.get().bids.get().envelopes.get()
    envelope.received_at -= timedelta(seconds=1)
    envelope.save(update_fields=["received_at"])

    assert "A bid was changed after the roll was closed." in client.get(url).content.decode()


def test_a_long_roll_is_read_in_pages_and_compared_when_the_buyer_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proof, "_LEAVES", 2)
    monkeypatch.setattr(proof, "_COMPARED_AT_ONCE", 2)
    tender = opened(bidder(), bidder(), bidder())
    client, url = client_of(member(tender.buyer)), reverse("tender_proof", args=[tender.number])
    leaves = bid_roll.hashes_of(tender.roll)

    first = client.get(url).content.decode()
    second = client.get(url, {"after": leaves[1]}).content.decode()

    assert [leaf in first for leaf in leaves] == [True, True, False]
    assert f"?after={leaves[1]}" in first
    assert [leaf in second for leaf in leaves] == [False, False, True]
    assert ('start="1"' in first, 'start="3"' in second) == (True, True)
    assert "Checked just now" not in first
    assert "Compare the bids as they are stored now" in first
    assert "Checked just now" in client.get(url, {"compare": ""}).content.decode()


def test_a_bidder_sees_that_its_bid_is_in_the_roll_and_takes_the_proof_away(client: Client) -> None:
    by = bidder()
    tender = opened(by, bidder())
    bid = tender.lots.get().bids.get(supplier=by.organisation)
    own = client_of(by)

    page = own.get(reverse("bid", args=[bid.pk])).content.decode()
    taken = own.get(reverse("bid_proof", args=[bid.pk]))

    assert "Your bid is in the roll" in page
    assert "one of the 2 bids" in page
    verdict = upload(client, taken.content)
    assert "The bid stands on the roll" in verdict
    assert BidRoll.objects.get(tender=tender).root in verdict


def test_a_bidder_is_told_when_its_stored_bid_is_not_the_one_of_the_roll() -> None:
    by = bidder()
    tender = opened(by)
    bid = tender.lots.get().bids.get()
    envelope = bid.envelopes.get()
    envelope.received_at -= timedelta(seconds=1)
    envelope.save(update_fields=["received_at"])

    page = client_of(by).get(reverse("bid", args=[bid.pk])).content.decode()

    assert "Your bid is not as it stood in the roll" in page


def upload(client: Client, content: bytes) -> str:
    file = SimpleUploadedFile("proof.json", content, content_type="application/json")
    return client.post(reverse("receipt_verify"), {"receipt": file}).content.decode()


def test_a_changed_proof_proves_nothing_and_the_page_says_why(client: Client) -> None:
    by = bidder()
    tender = opened(by)
    changed = bid_roll.proof_of(tender.lots.get().bids.get(), by=by)
    changed["leaf"]["lot"] = 9

    page = upload(client, json.dumps(changed).encode())

    assert "This proves nothing" in page
    assert "The bid that it names is not under the root that it names." in page


def test_what_the_platform_signs_besides_receipts_is_no_receipt(client: Client) -> None:
    tender = opened(bidder())
    assert "Not genuine" in upload(client, json.dumps(tender.roll.statement).encode())


def test_a_small_export_comes_at_once_and_is_recorded() -> None:
    by = bidder()
    tender = opened(by)
    for who, scope in ((member(tender.buyer), "buyer"), (staff(StaffRole.AUDITOR), "auditor"), (by, "supplier")):
        response = client_of(who).post(reverse("procedure_export", args=[tender.number]))
        content = b"".join(response.streaming_content)  # type: ignore[attr-defined]
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            index = json.loads(archive.read("index.json"))
        assert index["content"]["scope"] == scope
        assert response["Content-Length"] == str(len(content))
    assert AuditRecord.objects.filter(action="export.taken", object_id=tender.pk).count() == 3
    assert client_of(bidder()).post(reverse("procedure_export", args=[tender.number])).status_code == 404


def test_a_large_export_is_built_by_a_task_for_the_one_who_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    by = bidder()
    tender = opened(by)
    client = client_of(by)
    monkeypatch.setattr(export_jobs, "SMALL_BYTES", -1)

    asked = client.post(reverse("procedure_export", args=[tender.number]))
    again = client.post(reverse("procedure_export", args=[tender.number]))

    export = ProcedureExport.objects.get()
    state = reverse("procedure_export_state", args=[tender.number, export.pk])
    file = reverse("procedure_export_file", args=[tender.number, export.pk])
    assert asked["Location"] == again["Location"] == state
    assert "Being built" in client.get(state).content.decode()
    assert client.get(file).status_code == 404

    export_jobs.run(export.pk, lambda: LATER)
    export_jobs.run(export.pk, lambda: LATER)

    export.refresh_from_db()
    assert (export.status, export.finished_at) == (ExportStatus.READY, LATER)
    assert "Ready" in client.get(state, headers={"HX-Request": "true"}).content.decode()
    content = b"".join(client.get(file).streaming_content)  # type: ignore[attr-defined]
    assert len(content) == export.size
    assert Notification.objects.get(kind="export_ready").person == by.person
    colleague = member(by.organisation)  # type: ignore[arg-type]
    assert client_of(colleague).get(file).status_code == 404


def test_with_documents_is_another_export() -> None:
    by = bidder()
    tender = opened(by)
    plain = export_jobs.ask(tender, by=by, at=LATER)
    whole = export_jobs.ask(tender, by=by, at=LATER, documents=True)

    export_jobs.run(whole.pk, lambda: LATER)

    assert (plain.documents, whole.documents, whole.pk == plain.pk) == (False, True, False)
    with zipfile.ZipFile(default_storage.open(ProcedureExport.objects.get(pk=whole.pk).path)) as archive:
        assert json.loads(archive.read("index.json"))["content"]["documents"]["included"] is True


def test_an_export_that_breaks_says_so_and_old_ones_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    by = bidder()
    tender = opened(by)
    export = export_jobs.ask(tender, by=by, at=LATER)
    monkeypatch.setattr(export_jobs.exports, "build", lambda *_args: 1 / 0)

    export_jobs.run(export.pk, lambda: LATER)

    page = client_of(by).get(reverse("procedure_export_state", args=[tender.number, export.pk])).content.decode()
    assert "It could not be built" in page
    assert export_jobs.remove_old(at=LATER + timedelta(days=1)) == 0
    assert export_jobs.remove_old(at=LATER + timedelta(days=3)) == 1


def test_the_protocol_names_the_root() -> None:
    tender = opened(bidder())
    page = client_of(member(tender.buyer)).get(reverse("opening_protocol", args=[tender.number])).content.decode()
    assert tender.roll.root in page
