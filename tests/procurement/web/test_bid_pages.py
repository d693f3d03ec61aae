"""The supplier's pages, read as a person reads them."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from marketplace.models import Role, SigningRequest
from marketplace.permissions import Actor
from procurement.models import Amendment, Bid, Lot
from procurement.rules.lifecycle import BidStatus
from procurement.services import bid_drafts, cancellation
from tests.factories.bids import CLOSES, LATER, awarded, bidder, drafted_bid, opened_lot, sent_bid, tender_taking_bids
from tests.factories.clients import client_of
from tests.factories.marketplace import NOON, OrganisationFactory, member
from tests.factories.signatures import signed, trust

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def now(freeze: Callable[..., Any]) -> Any:
    trust()
    return freeze(NOON)


@pytest.fixture
def lot() -> Lot:
    return tender_taking_bids().lots.get()


@pytest.fixture
def by() -> Actor:
    return bidder()


def _text(response: Any) -> str:
    return str(response.content.decode())


def _signature() -> dict[str, str]:
    request = SigningRequest.objects.latest("pk")
    return {"signing_request": request.nonce, "signature": base64.b64encode(signed(request)).decode()}


# The errand -------------------------------------------------------------------------------------------------------


def test_from_can_i_bid_to_the_receipt(lot: Lot, by: Actor) -> None:
    client = client_of(by)
    start = reverse("bid_start", args=[lot.tender.number, lot.number])
    assert "Can I bid?" in _text(client.get(start))

    response = client.post(start)
    bid = Bid.objects.get()
    assert response.url == reverse("bid_edit", args=[bid.pk])
    first, second = lot.items.all()
    page = client.get(response.url)
    assert page.status_code == 200
    form = {f"price_{first.pk}": "12.50", f"price_{second.pk}": "30", "remarks": "In May", "revision": bid.revision}
    response = client.post(response.url, {**form, "then": "review", "file": SimpleUploadedFile("plan.txt", b"plan")})
    assert response.status_code == 302
    sign = client.get(response.url)
    assert all(words in _text(sign) for words in ("425.00", "In May", "plan.txt", "Sign and send the bid"))
    payload = client.get(f"{response.url}?payload")
    assert json.loads(payload.content)["action"] == "bid.submit"
    sent = client.post(response.url, _signature())

    bid.refresh_from_db()
    assert (bid.status, sent.url) == (BidStatus.SUBMITTED, reverse("bid_receipt", args=[bid.pk, 1]))
    receipt = client.get(sent.url)
    assert "received and sealed" in _text(receipt)
    document = client.get(reverse("bid_receipt_file", args=[bid.pk, 1, "received"]))
    verdict = Client().post(reverse("receipt_verify"), {"receipt": SimpleUploadedFile("r.json", document.content)})
    assert "Genuine" in _text(verdict)
    page = _text(client.get(reverse("bid", args=[bid.pk])))
    assert "Sent and sealed" in page


def test_a_refused_signature_is_said_on_the_page_and_the_bid_stays_a_draft(lot: Lot, by: Actor) -> None:
    client = client_of(by)
    bid = drafted_bid(lot, ["1", "2"], by=by)
    url = client.post(reverse("bid_review", args=[bid.pk])).url

    response = client.post(url, {"signature": base64.b64encode(b"nonsense").decode()})
    empty = client.post(url, {"signature": ""})

    assert response.status_code == empty.status_code == 422
    assert "not a signature this platform can read" in _text(response)
    assert "There is no signature in this" in _text(empty)
    bid.refresh_from_db()
    assert bid.status == BidStatus.DRAFT


def test_a_signature_made_elsewhere_is_uploaded(lot: Lot, by: Actor) -> None:
    client = client_of(by)
    bid = drafted_bid(lot, ["1", "2"], by=by)
    url = client.post(reverse("bid_review", args=[bid.pk])).url
    cms = signed(SigningRequest.objects.get())

    response = client.post(url, {"signature": "", "signature_file": SimpleUploadedFile("payload.json.p7s", cms)})

    assert response.url == reverse("bid_receipt", args=[bid.pk, 1])


def test_a_late_signature_leads_back_with_the_reason(lot: Lot, by: Actor, now: Any) -> None:
    client = client_of(by)
    bid = drafted_bid(lot, ["1", "2"], by=by)
    url = client.post(reverse("bid_review", args=[bid.pk])).url
    body = _signature()
    now.move_to(CLOSES)

    response = client.post(url, body, follow=True)

    assert "The time for bids ended" in _text(response)
    bid.refresh_from_db()
    assert bid.status == BidStatus.DRAFT


def test_missing_prices_are_marked_beside_their_fields(lot: Lot, by: Actor) -> None:
    client = client_of(by)
    bid = drafted_bid(lot, ["", "abc"], by=by)

    response = client.post(reverse("bid_review", args=[bid.pk]))

    assert response.status_code == 422
    assert all(words in _text(response) for words in ("Enter a unit price.", "This is not a price.", 'value="abc"'))


def test_autosave_answers_with_the_revision_to_go_on_from(lot: Lot, by: Actor) -> None:
    client = client_of(by)
    bid = drafted_bid(lot, ["1", "2"], by=by)
    url, first = reverse("bid_edit", args=[bid.pk]), lot.items.first()
    assert first is not None

    saved = client.post(url, {f"price_{first.pk}": "9", "revision": bid.revision}, headers={"X-Autosave": "yes"})
    stale = client.post(url, {f"price_{first.pk}": "8", "revision": bid.revision}, headers={"X-Autosave": "yes"})

    assert (saved.status_code, saved["X-Revision"]) == (200, str(bid.revision + 1))
    assert (stale.status_code, stale.json()["code"]) == (409, "stale")


def test_a_stale_form_keeps_what_was_typed_and_says_what_changed(lot: Lot, by: Actor) -> None:
    client = client_of(by)
    bid = drafted_bid(lot, ["1", "2"], by=by)
    first = lot.items.first()
    assert first is not None
    bid_drafts.save(bid.pk, prices={first.pk: "77"}, remarks="", revision=bid.revision, by=by, at=NOON)

    response = client.post(reverse("bid_edit", args=[bid.pk]), {f"price_{first.pk}": "88", "revision": bid.revision})

    text = _text(response)
    assert response.status_code == 409
    assert 'value="88"' in text
    assert "saved is “77”, you have “88”" in text


def test_a_document_of_a_forbidden_type_is_said_and_prices_stay(lot: Lot, by: Actor) -> None:
    client = client_of(by)
    bid = drafted_bid(lot, ["1", "2"], by=by)
    first = lot.items.first()
    assert first is not None

    response = client.post(
        reverse("bid_edit", args=[bid.pk]),
        {f"price_{first.pk}": "5", "revision": bid.revision, "file": SimpleUploadedFile("virus.exe", b"MZ")},
    )

    assert response.status_code == 415
    assert 'value="5"' in _text(response)


def test_documents_are_downloaded_and_removed(lot: Lot, by: Actor) -> None:
    client = client_of(by)
    bid = sent_bid(lot, ["1", "2"], by=by, files={"plan.txt": b"the plan"})
    document = bid.files.get()

    response = client.get(reverse("bid_file", args=[bid.pk, document.pk]))
    client.post(reverse("bid_file_remove", args=[bid.pk, document.pk]))

    assert b"".join(response.streaming_content) == b"the plan"
    assert 'filename="plan.txt"' in response["Content-Disposition"]
    kept = bid.files.get()
    # What was sent with it stays until it is replaced.
    assert (kept.removed_at is not None, kept.sealed_path) == (True, document.sealed_path)


def test_a_sent_bid_is_withdrawn_with_a_signature(lot: Lot, by: Actor) -> None:
    client = client_of(by)
    bid = sent_bid(lot, ["1", "2"], by=by)
    page = client.get(reverse("bid_withdraw", args=[bid.pk]), follow=True)
    url = page.redirect_chain[-1][0]

    response = client.post(url, _signature(), follow=True)

    bid.refresh_from_db()
    assert bid.status == BidStatus.WITHDRAWN
    assert "Receipt: the bid was withdrawn" in _text(response)


def test_a_draft_is_thrown_away_after_a_question(lot: Lot, by: Actor) -> None:
    client = client_of(by)
    bid = drafted_bid(lot, ["1", "2"], by=by)
    url = reverse("bid_discard", args=[bid.pk])

    assert "Throw this draft away?" in _text(client.get(url))
    client.post(url)

    bid.refresh_from_db()
    assert bid.status == BidStatus.WITHDRAWN


def test_who_cannot_bid_reads_every_reason(lot: Lot) -> None:
    client = client_of(member(OrganisationFactory.create(is_supplier=True), Role.OBSERVER))

    text = _text(client.get(reverse("bid_start", args=[lot.tender.number, lot.number])))

    assert "Not yet" in text
    assert "You are not a bid manager." in text
    assert "is not accredited" in text


def test_the_loser_reads_why(now: Any) -> None:
    lot = opened_lot(["10", "20"], ["11", "20"])
    awarded(lot)
    loser = Bid.objects.get(status=BidStatus.LOSING.value)
    now.move_to(LATER)

    text = _text(client_of(member(loser.supplier)).get(reverse("bid", args=[loser.pk])))

    assert "Not selected" in text
    assert "The lot was awarded to" in text
    assert "300.00 EUR" in text


def test_of_a_bid_that_was_cancelled_nothing_is_said_to_come(lot: Lot, by: Actor, now: Any) -> None:
    bid, buyer = sent_bid(lot, ["59.90", "120.00"], by=by), member(lot.tender.buyer)
    request = cancellation.prepare(lot.tender_id, None, "The building was sold.", by=buyer, at=NOON)
    cancellation.sign(request.pk, signed(request), by=buyer, at=NOON)
    text = _text(client_of(by).get(reverse("bid", args=[bid.pk])))
    assert "never opened, and the key to it was destroyed. The buyer’s reason: The building was sold." in text
    assert re.search(r"status-badge tone-bad.><svg.{,600}Cancelled by the buyer", text, re.S)
    timetable = text[text.index("timeline-dates") :]
    assert ("Cancelled" in timetable, "Bids until" in timetable) == (True, False)


def test_after_an_amendment_the_page_says_what_changed_and_asks_to_confirm(lot: Lot, by: Actor) -> None:
    bid = sent_bid(lot, ["1", "2"], by=by)
    assert by.person is not None
    Amendment.objects.create(
        tender=lot.tender, version=2, at=NOON, by=by.person, reason="A misprint.", invalidates_bids=True,
        changes=[{"field": "Quantity of item 1", "before": "10", "after": "12"}],
    )  # fmt: skip
    lot.tender.version = 2
    lot.tender.save()
    Bid.objects.update(status=BidStatus.INVALIDATED.value)
    client = client_of(by)

    page, edit = (_text(client.get(reverse(name, args=[bid.pk]))) for name in ("bid", "bid_edit"))

    for text in (page, edit):
        assert "Quantity of item 1" in text
        assert "Your bid counts only when you confirm it" in text
    url = client.post(reverse("bid_review", args=[bid.pk])).url
    client.post(url, _signature())
    assert "Quantity of item 1" not in _text(client.get(reverse("bid", args=[bid.pk])))


# Who may see ------------------------------------------------------------------------------------------------------

PAGES = ("bid", "bid_edit", "bid_discard", "bid_withdraw", "bid_receipt", "bid_receipt_file", "bid_file", "bid_sign")


@pytest.mark.parametrize("name", PAGES)
def test_another_organisation_finds_nothing(lot: Lot, by: Actor, name: str) -> None:
    bid = sent_bid(lot, ["1", "2"], by=by, files={"plan.txt": b"the plan"})
    arguments = {
        "bid_receipt": [bid.pk, 1],
        "bid_receipt_file": [bid.pk, 1, "received"],
        "bid_file": [bid.pk, bid.files.get().pk],
        "bid_sign": [bid.pk, SigningRequest.objects.get().nonce],
    }.get(name, [bid.pk])

    for stranger in (bidder(), member(lot.tender.buyer)):
        assert client_of(stranger).get(reverse(name, args=arguments)).status_code == 404


def test_a_colleague_without_the_role_is_told_which_one_it_takes(lot: Lot, by: Actor) -> None:
    bid = drafted_bid(lot, ["1", "2"], by=by)
    observer = client_of(member(bid.supplier, Role.OBSERVER))

    assert observer.get(reverse("bid", args=[bid.pk])).status_code == 200
    refused = observer.get(reverse("bid_edit", args=[bid.pk]))
    assert (refused.status_code, "Bid manager" in _text(refused)) == (403, True)
    assert observer.post(reverse("bid_review", args=[bid.pk])).status_code == 403


# Lists ------------------------------------------------------------------------------------------------------------


def test_our_bids_are_found_by_state_and_words(by: Actor) -> None:
    first, second = tender_taking_bids(title="Copper cable"), tender_taking_bids(title="Office chairs")
    sent_bid(first.lots.get(), ["1", "2"], by=by)
    drafted_bid(second.lots.get(), ["1", "2"], by=by)
    client = client_of(by)

    everything, sent, words = (
        _text(client.get(reverse("my_bids"), query)) for query in ({}, {"state": "sent"}, {"q": "chairs"})
    )

    assert ("Copper cable" in everything, "Office chairs" in everything) == (True, True)
    assert ("Copper cable" in sent, "Office chairs" in sent) == (True, False)
    assert ("Copper cable" in words, "Office chairs" in words) == (False, True)


def test_the_list_costs_the_same_for_one_bid_and_for_three(by: Actor) -> None:
    client = client_of(by)
    sent_bid(tender_taking_bids().lots.get(), ["1", "2"], by=by)
    before = _queries(client, reverse("my_bids"))
    for _more in range(2):
        sent_bid(tender_taking_bids().lots.get(), ["1", "2"], by=by)

    assert _queries(client, reverse("my_bids")) == before


def _queries(client: Client, url: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        assert client.get(url).status_code == 200
    return len(captured)


def test_an_empty_list_says_what_to_do(by: Actor) -> None:
    assert "You have not bid yet" in _text(client_of(by).get(reverse("my_bids")))


def test_after_the_deadline_a_draft_is_called_not_sent_in_time(lot: Lot, by: Actor, now: Any) -> None:
    bid = drafted_bid(lot, ["1", "2"], by=by)
    now.move_to(CLOSES + timedelta(seconds=1))
    client = client_of(by)

    assert "Not sent in time" in _text(client.get(reverse("bid", args=[bid.pk])))
    assert client.get(reverse("bid_edit", args=[bid.pk])).url == reverse("bid", args=[bid.pk])


def test_money_on_the_page_has_minor_units(lot: Lot, by: Actor) -> None:
    bid = sent_bid(lot, ["1000", "0.5"], by=by)

    text = _text(client_of(by).get(reverse("bid", args=[bid.pk])))

    assert "10,005.00" in text
