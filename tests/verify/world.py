"""Good exports of real procedures, made by the services once for all tests of the offline verifier."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass, replace
from datetime import timedelta
from hashlib import sha256
from pathlib import Path

from django.db import transaction
from django.test import override_settings

from marketplace import audit
from marketplace.models import TrustKind
from marketplace.permissions import Actor
from marketplace.services import audit_anchors, revocation, stamp_renewal, stamping, trust_store
from marketplace.shared import clock, keys
from marketplace.signatures.timestamp_authority import DemoTimeStamps
from marketplace.signatures.timestamps import read_answer
from marketplace.signatures.timestamps import request as stamp_request
from procurement.auction.room import Desk
from procurement.demo import committee as browser
from procurement.models import Auction, Bid, BidRoll, ExportScope, Lot, Tender
from procurement.services import (
    auctions,
    bid_drafts,
    bid_roll,
    bids,
    evaluation,
    exports,
    lot_keys,
    opening,
    receipts,
    shares,
)
from tests.factories import bidder_program as program
from tests.factories.auctions import seats
from tests.factories.bids import CLOSES, LATER, awarded, bidder, send, sent_bid, tender_taking_bids
from tests.factories.committee import Committee, held_tender
from tests.factories.marketplace import NOON, member
from tests.factories.signatures import signed, trust

Files = dict[str, bytes]


@dataclass(frozen=True)
class World:
    """Exports by their names, and what people hold who do not believe the platform."""

    buyer: Files
    renewed: Files
    supplier: Files
    auction: Files
    sealed: Files
    committee: Files
    committee_supplier: Files
    fingerprint: str
    lot_key: bytes
    seed: bytes
    shares: tuple[bytes, ...]
    receipt: bytes
    proof: bytes
    stamps: DemoTimeStamps


def build(folder: Path) -> World:
    """A tender with three standing bids, one of them sent twice, and one withdrawn; the same a year later, all stamped
    again; an auction; one still open; one whose keys a committee holds, with documents."""
    trust()
    stamps = trusted_stamps()
    mine = bidder()
    lot, held = _awarded(mine, stamps)
    (public,) = keys.keyring().receipt_public_keys().values()
    buyer = exports.Reader(ExportScope.BUYER)
    before = files_of(lot.tender, buyer)
    auction = files_of(_auctioned(), exports.Reader(ExportScope.AUDITOR))
    sealed = files_of(_running(), exports.Reader(ExportScope.AUDITOR))
    committee, opened_by = _held(mine)
    return World(
        buyer=before,
        supplier=files_of(lot.tender, exports.Reader(ExportScope.SUPPLIER, mine.organisation)),
        auction=auction,
        sealed=sealed,
        committee=files_of(committee.tender, replace(buyer, documents=True)),
        committee_supplier=files_of(
            committee.tender, exports.Reader(ExportScope.SUPPLIER, mine.organisation, documents=True)
        ),
        renewed=_renewed(lot.tender, stamps, folder),
        seed=committee.seed,
        shares=opened_by,
        stamps=stamps,
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


def _awarded(mine: Actor, stamps: DemoTimeStamps) -> tuple[Lot, tuple[bytes, bytes]]:
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


def _held(mine: Actor) -> tuple[Committee, tuple[bytes, ...]]:
    """The keys are a committee's, two of three shares open; one bid has two documents. With the three shares."""
    held = held_tender()
    lot = held.tender.lots.get()
    bid = Bid.objects.select_related("lot__tender").get(pk=bid_drafts.start(lot.pk, by=mine, at=NOON).pk)
    plain = {"plan.txt": b"a plan", "offer.txt": b"an offer " * 200_000}
    documents = {program.send_document(bid, content, by=mine, about=None): (name, content)
                 for name, content in plain.items()}  # fmt: skip
    content = program.content_of(bid, ["10", "20"], ["100.00", "200.00"], "300.00", files=documents)
    program.send(bid, program.sealed_content(bid, content), [one.pk for one in documents], by=mine)
    other = bidder()
    bid = Bid.objects.select_related("lot__tender").get(pk=bid_drafts.start(lot.pk, by=other, at=NOON).pk)
    content = program.content_of(bid, ["20", "30"], ["200.00", "300.00"], "500.00")
    program.send(bid, program.sealed_content(bid, content), by=other)
    shares_in_clear = tuple(browser.opened_share(held.tender, one)[1] for one in held.holders)
    held.tender = opening.open_tender(held.tender.pk, LATER)
    first, second, _third = held.holders
    browser.release(held.tender, first, LATER)
    browser.release(held.tender, second, LATER + timedelta(minutes=1))
    at = LATER + timedelta(minutes=2)
    shares.receive_seed(held.tender.pk, browser.put_together(held.tender, second), by=second.actor, at=at)
    held.tender = opening.open_with_keys(held.tender.pk, at)
    return held, shares_in_clear


def _renewed(tender: Tender, stamps: DemoTimeStamps, folder: Path) -> Files:
    """Signatures stamped, the trail anchored; a year later, before SHA-256's sunset, all of it stamped again."""
    stamps.save(folder)
    soon, later = LATER + timedelta(minutes=5), LATER + timedelta(days=365)
    asked = {"TIMESTAMP_AUTHORITY_URLS": ["local:"], "TIMESTAMP_LOCAL_DIR": folder}
    with override_settings(**asked):
        with clock.frozen(soon):
            stamping.stamp_waiting(at=soon)
            audit_anchors.anchor(at=soon)
        with transaction.atomic():
            audit.record("tender.looked_at", tender, by=None, at=soon, stream=f"tender:{tender.pk}")
        with clock.frozen(soon + timedelta(minutes=10)):
            audit_anchors.anchor(at=soon + timedelta(minutes=10))
        for number in (0, 1):
            at = later + number * timedelta(days=365)
            for crl in stamps.above.crls(at, timedelta(days=400)):
                revocation.load_list(crl, by=None, at=at)
            sunset = {"sha256": at + timedelta(days=100)} if not number else {"sha512": at + timedelta(days=100)}
            with (
                clock.frozen(at),
                override_settings(ALGORITHM_SUNSETS=sunset, TIMESTAMP_ARCHIVE_HASH="sha384" if number else "sha512"),
            ):
                bid_roll.renew_stamps(at=at)
                stamp_renewal.renew(at=at)
                audit_anchors.renew(at=at)
    return files_of(tender, exports.Reader(ExportScope.BUYER))


def _running() -> Tender:
    tender = tender_taking_bids()
    sent_bid(tender.lots.get(), ["10", "20"])
    return tender


def trusted_stamps() -> DemoTimeStamps:
    stamps = DemoTimeStamps.create(NOON, "Stamps")
    trust_store.add(TrustKind.TSA, stamps.above.root.der, by=None, at=NOON)
    trust_store.add(TrustKind.INTERMEDIATE, stamps.above.issuing.der, by=None, at=NOON)
    for crl in stamps.above.crls(NOON - timedelta(days=1), timedelta(days=400)):
        revocation.load_list(crl, by=None, at=NOON)
    return stamps
