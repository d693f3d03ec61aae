"""Good exports of real procedures, made by the services once for all tests of the offline verifier."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256

from marketplace.models import TrustKind
from marketplace.services import revocation, trust_store
from marketplace.shared import keys
from marketplace.signatures.timestamp_authority import DemoTimeStamps
from marketplace.signatures.timestamps import read_answer
from marketplace.signatures.timestamps import request as stamp_request
from procurement.auction.room import Desk
from procurement.models import Auction, BidRoll, ExportScope, Lot, Tender
from procurement.services import auctions, bid_roll, bids, evaluation, exports, lot_keys, opening, receipts
from tests.factories.auctions import seats
from tests.factories.bids import CLOSES, LATER, awarded, bidder, send, sent_bid, tender_taking_bids
from tests.factories.marketplace import NOON, member
from tests.factories.signatures import signed, trust

Files = dict[str, bytes]


@dataclass(frozen=True)
class World:
    """Exports by their names, and what people hold who do not believe the platform."""

    buyer: Files
    supplier: Files
    auction: Files
    sealed: Files
    fingerprint: str
    lot_key: bytes
    receipt: bytes
    proof: bytes


def build() -> World:
    """A tender with three standing bids, one of them sent twice, and one withdrawn; an auction; one still open."""
    trust()
    stamps = _trusted_stamps()
    mine = bidder()
    lot, held = _awarded(mine, stamps)
    (public,) = keys.keyring().receipt_public_keys().values()
    return World(
        buyer=files_of(lot.tender, exports.Reader(ExportScope.BUYER)),
        supplier=files_of(lot.tender, exports.Reader(ExportScope.SUPPLIER, mine.organisation)),
        auction=files_of(_auctioned(), exports.Reader(ExportScope.AUDITOR)),
        sealed=files_of(_running(), exports.Reader(ExportScope.AUDITOR)),
        fingerprint=sha256(public).hexdigest(),
        lot_key=lot_keys.unwrap_private(lot),
        receipt=held[0],
        proof=held[1],
    )


def files_of(tender: Tender, reader: exports.Reader) -> Files:
    with zipfile.ZipFile(io.BytesIO(archive_of(tender, reader))) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def archive_of(tender: Tender, reader: exports.Reader) -> bytes:
    out = io.BytesIO()
    exports.build(tender, reader, out)
    return out.getvalue()


def _awarded(mine: exports.Actor, stamps: DemoTimeStamps) -> tuple[Lot, tuple[bytes, bytes]]:
    lot = tender_taking_bids().lots.get()
    bid = sent_bid(lot, ["10", "20"], by=mine, remarks="In May")
    again, away = bidder(), bidder()
    replaced = sent_bid(lot, ["11", "21"], by=again)
    send(replaced, by=again, at=NOON + timedelta(minutes=5))
    sent_bid(lot, ["9.5", "19.25"])
    withdrawn = sent_bid(lot, ["8", "18"], by=away)
    request = bids.prepare_withdrawal(withdrawn.pk, by=away, at=NOON)
    bids.withdraw(request.pk, signed(request), idempotency_key="away", by=away, at=NOON)
    opening.open_tender(lot.tender_id, LATER)
    roll = BidRoll.objects.get(tender=lot.tender_id)
    stamped_at = LATER + timedelta(seconds=9)
    asked = stamp_request(bytes.fromhex(roll.statement_sha256))
    token = read_answer(stamps.server.answer(asked.encoded, stamped_at), asked)
    bid_roll.keep_stamp(roll.pk, token.encoded, token.generated_at, stamped_at)
    evaluation.admit_all(lot.pk, by=member(lot.tender.buyer), at=LATER)
    lot = Lot.objects.select_related("tender__buyer").get(pk=lot.pk)
    awarded(lot)
    envelope = bid.envelopes.get()
    proof = json.dumps(bid_roll.proof_of(bid, by=mine)).encode()
    return lot, (receipts.as_bytes(envelope.receipt), proof)


def _auctioned() -> Tender:
    start = CLOSES + timedelta(hours=1)
    tender = tender_taking_bids(
        procedure="auction_english_reverse",
        settings={"auction_duration_minutes": 10, "auction_start_delay_minutes": 1},
        auction_starts_at=start,
    )
    tender.lots.update(step_kind="amount", step_value="1.00", limit_price="2000.00")
    lot = tender.lots.get()
    for place, prices in enumerate((["10", "20"], ["11", "21"])):
        sent_bid(lot, prices, at=NOON + timedelta(minutes=place))
    opening.open_tender(tender.pk, LATER)
    auction = Auction.objects.get(lot=lot)
    auctions.start(auction.pk, at=auction.starts_at)
    first, second = seats(auction)
    at = auction.starts_at + timedelta(minutes=1)
    (answer,) = Desk().decide([second.bid("250.00", at)])
    assert answer.code is None
    (answer,) = Desk().decide([first.bid("240.00", at + timedelta(seconds=5))])
    assert answer.code is None
    auction.refresh_from_db()
    auctions.end(auction.pk, at=auction.ends_at)
    return Tender.objects.get(pk=tender.pk)


def _running() -> Tender:
    tender = tender_taking_bids()
    sent_bid(tender.lots.get(), ["10", "20"])
    return tender


def _trusted_stamps() -> DemoTimeStamps:
    stamps = DemoTimeStamps.create(NOON, "Stamps")
    trust_store.add(TrustKind.TSA, stamps.above.root.der, by=None, at=NOON)
    trust_store.add(TrustKind.INTERMEDIATE, stamps.above.issuing.der, by=None, at=NOON)
    for crl in stamps.above.crls(NOON - timedelta(days=1), timedelta(days=400)):
        revocation.load_list(crl, by=None, at=NOON)
    return stamps
