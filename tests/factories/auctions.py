"""Live auctions with admitted bidders, made by the services that make them in earnest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from marketplace.models import Organisation
from marketplace.permissions import Actor
from procurement.auction.room import WaitingBid
from procurement.models import Auction, AuctionParticipant, Bid, Lot, Tender
from procurement.rules.lifecycle import BidStatus, TenderStatus
from procurement.services import auctions
from tests.factories.marketplace import NOON, accredited_supplier, member
from tests.factories.procurement import draft_tender

# When the factories' auctions start, unless a test gives another time; they last ten minutes.
START = NOON + timedelta(minutes=1)


@dataclass(frozen=True)
class Seat:
    """A bidder: its seat in the auction and a person who may bid for it."""

    participant: AuctionParticipant
    by: Actor

    def bid(self, amount: str, received_at: datetime, key: str = "") -> WaitingBid:
        """A bid of this seat as the gateway would hand it in; its key is the amount unless one is given."""
        assert self.by.person is not None
        lot = self.participant.auction.lot_id
        return WaitingBid(
            lot, self.participant.pk, self.by.person.pk, Decimal(amount), key or f"key-{amount}", received_at
        )


def admitted_bid(lot: Lot, supplier: Organisation, amount: str, received_at: datetime) -> Bid:
    """An opened bid that was admitted."""
    return Bid.objects.create(
        lot=lot,
        supplier=supplier,
        status=BidStatus.ADMITTED.value,
        version=1,
        currency=lot.currency,
        received_at=received_at,
        opened_at=NOON,
        initial_amount=Decimal(amount),
        amount=Decimal(amount),
        amount_received_at=received_at,
        created_by=member(supplier).person,
        created_at=received_at,
    )


def evaluated_tender(
    *amounts: str,
    lots: int = 1,
    start: datetime = START,
    suppliers: Sequence[Organisation] = (),
    procedure: str = "auction_english_reverse",
    lot: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Tender:
    """An auction in evaluation, English reverse if not told otherwise, planned for `start`, with a bid per amount for
    each lot.

    The bids are those of `suppliers`, in their order, as far as they are given. The limit price is 100.00, the step
    1.00, unless `lot` says otherwise; the auction lasts ten minutes unless the settings say so, or its kind does.
    """
    lasts = {"auction_duration_minutes": 10} if "english" in procedure else {}
    tender = draft_tender(
        lots=lots,
        procedure=procedure,
        settings={"auction_start_delay_minutes": 1, **lasts, **settings},
        status=TenderStatus.EVALUATION.value,
        published_at=start - timedelta(days=10),
        opened_at=start - timedelta(minutes=1),
        enquiry_ends_at=start - timedelta(days=5),
        tender_ends_at=start - timedelta(minutes=1),
        auction_starts_at=start,
    )
    usual = {"limit_price": Decimal("100.00"), "step_kind": "amount", "step_value": Decimal("1.00")}
    tender.lots.update(**usual | dict(lot or {}))
    for each in tender.lots.all():
        for place, amount in enumerate(amounts):
            supplier = suppliers[place] if place < len(suppliers) else accredited_supplier()
            admitted_bid(each, supplier, amount, start - timedelta(hours=2) + timedelta(minutes=place))
    return tender


def running_auctions(*amounts: str, lots: int = 1, start: datetime = START, **settings: Any) -> list[Auction]:
    """Auctions that started at `start`, one per lot."""
    tender = evaluated_tender(*(amounts or ("100.00", "99.00", "98.00")), lots=lots, start=start, **settings)
    scheduled = auctions.schedule(tender.pk, at=start - timedelta(seconds=30))
    return [auctions.start(auction.pk, at=start) for auction in scheduled]


def running_auction(*amounts: str, start: datetime = START, **settings: Any) -> Auction:
    """One auction that started at `start`; without amounts three bidders at 100.00, 99.00 and 98.00."""
    return running_auctions(*amounts, start=start, **settings)[0]


def seats(auction: Auction) -> list[Seat]:
    """The auction's seats, in the order in which the first bids came, each with a person who may bid."""
    return [
        Seat(participant, member(participant.supplier))
        for participant in auction.participants.select_related("supplier", "auction__lot").order_by("pk")
    ]
