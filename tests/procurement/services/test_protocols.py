"""Protocols under signatures: what they say, who signs, and what an older signature is shown as."""

from __future__ import annotations

import io
import zipfile

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from marketplace.models import AuditRecord, Role
from marketplace.permissions import Actor, RoleMissing
from marketplace.shared.errors import NotFound
from procurement.models import Bid, ExportScope, Lot, ProtocolKind, Tender
from procurement.services import awards, evaluation, exports, protocols
from procurement.services.protocols import NoProtocolYet, ProtocolChanged, ProtocolSigned
from tests.factories.bids import CLOSES, LATER, opened_lot, tender_taking_bids
from tests.factories.marketplace import accredited_buyer, member
from tests.factories.signatures import signed, trust

pytestmark = pytest.mark.django_db
OPENING, EVALUATION = ProtocolKind


@pytest.fixture
def lot() -> Lot:
    trust()
    return opened_lot(["10.00", "20.00"], ["11.00", "21.00"], admit=False)


def test_the_opening_says_who_bid_what_when_whatever_comes_later(lot: Lot) -> None:
    by = member(lot.tender.buyer)
    request = protocols.prepare(lot.tender_id, OPENING, by=by, at=LATER)
    before = protocols.content_of(lot.tender, OPENING, LATER)
    made = protocols.sign(request.pk, signed(request), by=by, at=LATER)
    first, second = before["lots"][0]["bids"]
    assert (first["amount"], second["amount"], first["not_opened"]) == ("300.00", "320.00", "")
    assert (
        first["sha256"] == Bid.objects.filter(lot=lot).order_by("pk")[0].envelopes.get().manifest["content"]["sha256"]
    )
    assert before["roll_size"] == 2
    assert AuditRecord.objects.get(action="protocol.signed").details["content_sha256"] == made.content_sha256

    evaluation.reject(Bid.objects.get(lot=lot, rank=2).pk, "No delivery in time.", by=by, at=LATER)
    evaluation.admit_all(lot.pk, by=by, at=LATER)
    lot.tender.refresh_from_db()
    assert protocols.content_of(lot.tender, OPENING, LATER) == before
    ((_signature, is_current),) = protocols.shown(lot.tender, by=by, at=LATER)[0].signatures
    assert is_current


def test_the_evaluation_is_signed_when_every_bid_is_decided(lot: Lot) -> None:
    by = member(lot.tender.buyer)
    with pytest.raises(NoProtocolYet):
        protocols.prepare(lot.tender_id, EVALUATION, by=by, at=LATER)
    evaluation.reject(Bid.objects.get(lot=lot, rank=2).pk, "No delivery in time.", by=by, at=LATER)
    evaluation.admit_all(lot.pk, by=by, at=LATER)
    request = protocols.prepare(lot.tender_id, EVALUATION, by=by, at=LATER)
    protocols.sign(request.pk, signed(request), by=by, at=LATER)

    award = awards.propose(lot.pk, Bid.objects.get(lot=lot, rank=1).pk, "", by=by, at=LATER)
    awards.decide(award.pk, signed(award), idempotency_key="award", by=by, at=LATER)
    tender = Tender.objects.get(pk=lot.tender_id)
    assert [bid["admitted"] for bid in protocols.content_of(tender, EVALUATION, LATER)["lots"][0]["bids"]] == [
        True,
        False,
    ]
    assert [one.signed_by_reader for one in protocols.shown(tender, by=by, at=LATER)] == [False, True]


def test_nothing_is_signed_before_the_opening() -> None:
    trust()
    tender = tender_taking_bids()
    for kind in ProtocolKind:
        with pytest.raises(NoProtocolYet):
            protocols.prepare(tender.pk, kind, by=member(tender.buyer), at=CLOSES)


def test_a_protocol_that_changed_meanwhile_is_read_again(lot: Lot) -> None:
    by = member(lot.tender.buyer)
    evaluation.admit_all(lot.pk, by=by, at=LATER)
    request = protocols.prepare(lot.tender_id, EVALUATION, by=by, at=LATER)
    Bid.objects.filter(lot=lot, rank=2).update(rank=3)
    with pytest.raises(ProtocolChanged):
        protocols.sign(request.pk, signed(request), by=by, at=LATER)


def test_each_signs_once_and_for_themselves(lot: Lot) -> None:
    for by in (member(lot.tender.buyer, Role.SIGNER), member(lot.tender.buyer, Role.EVALUATOR)):
        request = protocols.prepare(lot.tender_id, OPENING, by=by, at=LATER)
        protocols.sign(request.pk, signed(request), by=by, at=LATER)
        with pytest.raises(ProtocolSigned):
            protocols.prepare(lot.tender_id, OPENING, by=by, at=LATER)
    assert len(protocols.shown(lot.tender, by=by, at=LATER)[0].signatures) == 2


def test_others_do_not_sign(lot: Lot) -> None:
    with pytest.raises(RoleMissing):
        protocols.prepare(lot.tender_id, OPENING, by=member(lot.tender.buyer, Role.OBSERVER), at=LATER)
    with pytest.raises(NotFound):
        protocols.prepare(lot.tender_id, OPENING, by=member(accredited_buyer()), at=LATER)


def test_the_page_shows_what_is_signed_and_by_whom(lot: Lot, freeze: object) -> None:
    freeze(LATER)  # type: ignore[operator]
    by = member(lot.tender.buyer)
    assert by.person is not None
    client = Client()
    client.force_login(by.person)
    page = reverse("opening_protocol", args=[lot.tender.number])
    assert "Nobody has signed it yet" in client.get(page).content.decode()
    answer = client.post(reverse("protocol_prepare", args=[lot.tender.number, "opening"]))
    signing = client.get(answer["Location"]).content.decode()
    for words in (
        "Protocol of the opening",
        '<bdi class="money">300.00',
        "Root of the roll of bids",
        lot.tender.buyer.full_name,
    ):
        assert words in signing
    assert client.post(reverse("protocol_prepare", args=[lot.tender.number, "gossip"])).status_code == 404


def test_reading_takes_as_many_queries_for_three_bids_as_for_one() -> None:
    trust()
    asked = []
    for tables in ([["10.00", "20.00"]], [["10.00", "20.00"], ["11.00", "20.00"], ["12.00", "20.00"]]):
        tender = opened_lot(*tables).tender
        by = member(tender.buyer)
        for signer in (by, member(tender.buyer)):
            request = protocols.prepare(tender.pk, EVALUATION, by=signer, at=LATER)
            protocols.sign(request.pk, signed(request), by=signer, at=LATER)
        tender = Tender.objects.get(pk=tender.pk)
        with CaptureQueriesContext(connection) as queries:
            protocols.shown(tender, by=by, at=LATER)
        asked.append(len(queries))
    assert asked[0] == asked[1]


def test_an_export_holds_the_protocols_for_the_buyer_and_never_for_a_bidder(lot: Lot) -> None:
    by = member(lot.tender.buyer)
    evaluation.admit_all(lot.pk, by=by, at=LATER)
    for kind in ProtocolKind:
        request = protocols.prepare(lot.tender_id, kind, by=by, at=LATER)
        protocols.sign(request.pk, signed(request), by=by, at=LATER)
    tender = Tender.objects.get(pk=lot.tender_id)
    bidder = Bid.objects.get(lot=lot, rank=2).supplier
    held = {
        ExportScope.BUYER: payloads_in(tender, by),
        ExportScope.SUPPLIER: payloads_in(tender, member(bidder)),
    }
    assert [sum(f'"action":"{kind}"' in one for one in held[ExportScope.BUYER]) for kind in ProtocolKind] == [1, 1]
    rival = Bid.objects.get(lot=lot, rank=1).supplier.full_name
    assert [one for one in held[ExportScope.SUPPLIER] if rival in one or "evaluation" in one] == []


def payloads_in(tender: Tender, by: Actor) -> list[str]:
    """What was signed, as an export for this person holds it."""
    out = io.BytesIO()
    exports.build(tender, exports.reader_of(by, tender), out)
    with zipfile.ZipFile(out) as archive:
        return [archive.read(name).decode() for name in archive.namelist() if name.endswith("payload.json")]
