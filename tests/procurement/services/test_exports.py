"""What an export holds and for whom; entries are written a few at a time however many bids there are."""

from __future__ import annotations

import base64
import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from marketplace.models import AuditRecord
from marketplace.services import audit_anchors, timestamps
from procurement.demo import committee as browser
from procurement.models import Bid, BidFile, BidRoll, ExportScope, KeyShare, Tender
from procurement.services import bid_drafts, bid_files, export_custody, export_jobs, exports, opening
from tests.factories import bidder_program as program
from tests.factories.bids import LATER, bidder, sent_bid, tender_taking_bids
from tests.factories.committee import held_tender
from tests.factories.marketplace import NOON
from tests.factories.signatures import trust

pytestmark = pytest.mark.django_db
BUYER = exports.Reader(ExportScope.BUYER)
WITH_DOCUMENTS = exports.Reader(ExportScope.BUYER, documents=True)


@pytest.fixture(autouse=True)
def _trust(settings: Any, tmp_path: Path) -> None:
    settings.MEDIA_ROOT = tmp_path
    trust()


def opened(bids: int, **more: Any) -> Tender:
    tender = tender_taking_bids()
    for place in range(bids):
        sent_bid(tender.lots.get(), [f"1{place}", "20"], **more)
    return opening.open_tender(tender.pk, LATER)


def exported(tender: Tender, reader: exports.Reader) -> zipfile.ZipFile:
    out = io.BytesIO()
    exports.build(tender, reader, out)
    return zipfile.ZipFile(out)


def test_more_bids_take_no_more_queries() -> None:
    counts = []
    for bids in (1, 3):
        tender = opened(bids)
        with CaptureQueriesContext(connection) as queries:
            exported(tender, BUYER)
        counts.append(len(queries))
    assert counts[0] == counts[1]


def test_documents_are_in_it_as_they_were_sealed_for_who_asks_for_them() -> None:
    tender = opened(1, files={"plan.txt": b"a plan", "offer.txt": b"an offer"})
    documents = list(BidFile.objects.order_by("pk"))

    without, whole = exported(tender, BUYER), exported(tender, WITH_DOCUMENTS)

    names = [f"documents/{one.bid_id}-{one.pk}.sealed" for one in documents]
    assert not [name for name in without.namelist() if name.startswith("documents/")]
    assert [name for name in whole.namelist() if name.startswith("documents/")] == names
    for name, document in zip(names, documents, strict=True):
        with bid_files.open_stored(document.sealed_path) as stored:
            assert whole.read(name) == stored.read()
        assert whole.getinfo(name).compress_type == zipfile.ZIP_STORED
    assert json.loads(without.read("index.json"))["content"]["documents"] == {"included": False, "lost": []}
    assert exports.document_bytes(tender, WITH_DOCUMENTS) == len(b"a plan" + b"an offer")
    assert exports.document_bytes(tender, BUYER) == 0


def test_a_document_that_the_storage_has_lost_is_named_and_stops_no_export() -> None:
    tender = opened(1, files={"plan.txt": b"a plan", "offer.txt": b"an offer"})
    lost, kept = BidFile.objects.order_by("pk")
    bid_files.delete([lost.sealed_path])

    archive = exported(tender, WITH_DOCUMENTS)

    assert f"documents/{kept.bid_id}-{kept.pk}.sealed" in archive.namelist()
    said = json.loads(archive.read("index.json"))["content"]["documents"]
    assert said == {"included": True, "lost": [f"documents/{lost.bid_id}-{lost.pk}.sealed"]}


@pytest.fixture
def authority(settings: Any, tmp_path: Path, freeze: Any) -> None:
    """The demonstration's time-stamp authority, trusted and asked."""
    freeze(NOON)
    settings.TIMESTAMP_AUTHORITY_URLS, settings.TIMESTAMP_LOCAL_DIR = ["local:"], tmp_path / "tsa"
    timestamps.trust_demo(tmp_path / "tsa", at=NOON)


def anchors_in(archive: zipfile.ZipFile) -> list[int]:
    return [int(name.split("/")[2]) for name in archive.namelist() if name.endswith("/anchor.json")]


def test_who_takes_an_export_has_the_trail_anchored_to_its_end(authority: None) -> None:
    tender = tender_taking_bids()
    sent_bid(tender.lots.get(), ["10", "20"])
    export_jobs.anchor(tender, BUYER, at=NOON)
    first = AuditRecord.objects.filter(stream=f"tender:{tender.pk}").count()
    sent_bid(tender.lots.get(), ["11", "20"])
    export_jobs.anchor(tender, exports.Reader(ExportScope.SUPPLIER), at=NOON)  # a bidder's has no trail
    assert not audit_anchors.is_anchored(f"tender:{tender.pk}")

    export_jobs.anchor(tender, BUYER, at=NOON, quickly=True)

    assert audit_anchors.is_anchored(f"tender:{tender.pk}")
    last = AuditRecord.objects.filter(stream=f"tender:{tender.pk}").count()
    # While it is not told who bids, earlier anchors would tell when bids came.
    assert anchors_in(exported(tender, BUYER)) == [last]
    opening.open_tender(tender.pk, LATER)
    assert anchors_in(exported(tender, BUYER)) == [first, last]
    assert anchors_in(exported(tender, exports.Reader(ExportScope.SUPPLIER, bidder().organisation))) == []


def test_an_authority_that_keeps_others_waiting_keeps_no_export_waiting(authority: None, settings: Any) -> None:
    tender = opened(1)
    cache.clear()
    settings.TIMESTAMP_AUTHORITY_URLS, settings.TIMESTAMP_SECONDS = ["http://127.0.0.1:1/"], 1
    export_jobs.anchor(tender, BUYER, at=LATER)
    assert audit_anchors.waits()
    settings.TIMESTAMP_AUTHORITY_URLS = ["local:"]

    export_jobs.anchor(tender, BUYER, at=LATER, quickly=True)

    assert not audit_anchors.is_anchored(f"tender:{tender.pk}")
    assert anchors_in(exported(tender, BUYER)) == []
    export_jobs.anchor(tender, BUYER, at=LATER)
    assert len(anchors_in(exported(tender, BUYER))) == 1


def test_a_committees_ceremony_is_in_every_version_and_nothing_that_opens_a_bid() -> None:
    held = held_tender(escrow=True)
    by = bidder()
    bid = Bid.objects.select_related("lot__tender").get(
        pk=bid_drafts.start(held.tender.lots.get().pk, by=by, at=NOON).pk
    )
    program.send(bid, program.sealed_content(bid, b"{}"), by=by)
    shares_in_clear = [browser.opened_share(held.tender, one)[1] for one in held.holders]

    for reader in (BUYER, exports.Reader(ExportScope.AUDITOR), exports.Reader(ExportScope.SUPPLIER, by.organisation)):
        archive = exported(held.tender, reader)
        everything = b"".join(archive.read(name) for name in archive.namelist())
        said = json.loads(archive.read("custody/ceremony.json"))
        assert (said["threshold"], len(said["shares"]), said["shares"][-1]["holder"]) == (2, 4, "platform")
        for secret in (held.seed, *shares_in_clear, *(bytes(one.sealed or b"") for one in KeyShare.objects.all())):
            for form in (secret, secret.hex().encode(), base64.b64encode(secret)):
                assert form not in everything
        if reader.scope == ExportScope.SUPPLIER:
            for holder in held.holders:
                assert str(holder.actor.person).encode() not in everything
                assert holder.key.fingerprint.encode() not in everything
    opening.open_tender(held.tender.pk, LATER)
    roll = BidRoll.objects.get(tender=held.tender)
    assert roll.statement["content"]["custody_sha256"] == export_custody.fingerprint(held.tender)


def test_before_the_opening_the_buyer_gets_no_document_and_a_bidder_its_own() -> None:
    tender, mine = tender_taking_bids(), bidder()
    own = sent_bid(tender.lots.get(), ["10", "20"], by=mine, files={"plan.txt": b"a plan"})
    sent_bid(tender.lots.get(), ["11", "21"], files={"other.txt": b"another"})

    buyers = exported(tender, WITH_DOCUMENTS)
    bidders = exported(tender, exports.Reader(ExportScope.SUPPLIER, mine.organisation, documents=True))

    assert not [name for name in buyers.namelist() if name.startswith("documents/")]
    assert [name for name in bidders.namelist() if name.startswith("documents/")] == [
        f"documents/{own.pk}-{own.files.get().pk}.sealed"
    ]
