"""Tenders that take bids, bidders, and bids at every stage, made by the services that make them in earnest."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.core.files.base import ContentFile

from marketplace.models import Organisation
from marketplace.permissions import Actor
from procurement.models import Award, Bid, Contract, Lot, Tender
from procurement.services import awards, bid_documents, bid_drafts, bids, evaluation, lot_keys, opening
from tests.factories.marketplace import NOON, accredited_supplier, member
from tests.factories.procurement import published_tender
from tests.factories.signatures import signed

#: The deadline of the factories' tenders.
CLOSES = NOON + timedelta(days=10)
LATER = CLOSES + timedelta(seconds=5)


def tender_taking_bids(*, lots: int = 1, items: int = 2, **fields: Any) -> Tender:
    """A published tender whose lots have their keys; it closes at CLOSES."""
    tender = published_tender(lots=lots, items=items, **fields)
    for lot in tender.lots.all():
        lot_keys.make(lot)
        lot.save(update_fields=["public_key", "wrapped_private_key"])
    return tender


def bidder(supplier: Organisation | None = None) -> Actor:
    """A person with every role in a supplier that may bid."""
    return member(supplier or accredited_supplier())


def drafted_bid(lot: Lot, prices: Sequence[str], *, by: Actor | None = None, at: datetime = NOON, **more: Any) -> Bid:
    """A draft with a unit price for each item of the lot, in the items' order."""
    by = by or bidder()
    bid = bid_drafts.start(lot.pk, by=by, at=at)
    typed = {item.pk: price for item, price in zip(lot.items.all(), prices, strict=True)}
    return bid_drafts.save(bid.pk, prices=typed, remarks=more.get("remarks", ""), revision=bid.revision, by=by, at=at)


def sent_bid(lot: Lot, prices: Sequence[str], *, by: Actor | None = None, at: datetime = NOON, **more: Any) -> Bid:
    """A bid sent under a signature that passes; the trust store has to hold the authority (signatures.trust)."""
    by = by or bidder()
    bid = drafted_bid(lot, prices, by=by, at=at, **more)
    for name, content in more.get("files", {}).items():
        bid_documents.add(bid.pk, ContentFile(content, name=name), by=by, at=at)
    return send(bid, by=by, at=at)


def send(bid: Bid, *, by: Actor, at: datetime = NOON) -> Bid:
    """Sign and submit the draft as it stands."""
    request = bids.prepare_submission(bid.pk, by=by, at=at)
    return bids.submit(request.pk, signed(request), idempotency_key=f"send-{request.pk}", by=by, at=at).bid


def opened_lot(*price_tables: Sequence[str], admit: bool = True, **fields: Any) -> Lot:
    """The lot of an opened tender with a sent bid for each price table (two items); all admitted unless told not."""
    lot = tender_taking_bids(**fields).lots.get()
    for place, prices in enumerate(price_tables):
        sent_bid(lot, prices, at=NOON + timedelta(minutes=place))
    opening.open_tender(lot.tender_id, LATER)
    if admit:
        evaluation.admit_all(lot.pk, by=member(lot.tender.buyer), at=LATER)
    return Lot.objects.select_related("tender__buyer").get(pk=lot.pk)


def awarded(lot: Lot, *, by: Actor | None = None, at: datetime = LATER) -> Award:
    """The lot awarded to its best-ranked bid under a signature that passes."""
    by = by or member(lot.tender.buyer)
    best = Bid.objects.filter(lot=lot, rank=1).get()
    request = awards.propose(lot.pk, best.pk, "", by=by, at=at)
    return awards.decide(request.pk, signed(request), idempotency_key=f"award-{request.pk}", by=by, at=at)


def contracted(lot: Lot) -> Contract:
    """The contract of the lot's award, drafted after the standstill."""
    award = awarded(lot)
    assert award.standstill_ends_at is not None
    awards.end_standstill(lot.pk, award.standstill_ends_at)
    return Contract.objects.get(award=award)
