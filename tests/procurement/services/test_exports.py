"""What an export holds and for whom; entries are written a few at a time however many bids there are."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from procurement.models import BidFile, ExportScope, Tender
from procurement.services import bid_files, exports, opening
from tests.factories.bids import LATER, bidder, sent_bid, tender_taking_bids
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
