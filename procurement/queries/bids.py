"""The gate of sealed bids: the bidder sees its own; nobody sees another's before the opening.

Whatever could tell a buyer or a rival about a bid's content takes `at` and returns nothing before the deadline.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from django.db.models import Count, F, Max, Prefetch, QuerySet

from marketplace.entitlements import Action, Need
from marketplace.models import Organisation, QueuedSignature, QueuedState
from marketplace.shared.money import Money
from procurement.models import Bid, BidEnvelope, BidFile, BidPrice, BidSealing, Lot, Tender
from procurement.rules.lifecycle import BidStatus, TenderStatus

#: What a bid is once somebody has read it.
OPENED = (BidStatus.OPENED, BidStatus.ADMITTED, BidStatus.REJECTED, BidStatus.WINNING, BidStatus.LOSING)
#: Bids that can still win the lot.
STANDING = (BidStatus.ADMITTED, BidStatus.WINNING, BidStatus.LOSING)


def own(supplier: Organisation) -> QuerySet[Bid]:
    """The supplier's own bids, newest first, with lot, tender and buyer; the encrypted draft is left where it is."""
    return Bid.objects.filter(supplier=supplier).select_related("lot__tender__buyer").defer("draft").order_by("-pk")


#: What waits for the signature of a bid, as the queue of signatures names it: this and the tender's key.
OPENING: Final = "opening:"


def being_judged(bid: Bid) -> QuerySet[BidSealing]:
    """What was sent and waits for the verdict on its signature."""
    return BidSealing.objects.filter(bid=bid, request__queued__state=QueuedState.WAITING)


def next_version(bid: Bid) -> int:
    """The number of what is sealed next: what waits for its verdict has one already."""
    waiting = being_judged(bid).aggregate(last=Max("request__object_version"))["last"]
    return max(bid.version, waiting or 0) + 1


def waiting_signatures(bids: Iterable[Bid]) -> dict[int, list[QueuedSignature]]:
    """The signatures of these bids that wait for their verdict, by bid, in the order of their receipt."""
    ids = {str(bid.pk): bid.pk for bid in bids}
    rows = QueuedSignature.objects.filter(
        state=QueuedState.WAITING, request__object_type="bid", request__object_id__in=ids
    )
    found: dict[int, list[QueuedSignature]] = {}
    for row in rows.select_related("request").defer("cms").order_by("received_at", "pk"):
        found.setdefault(ids[row.request.object_id], []).append(row)
    return found


def opened(at: datetime) -> QuerySet[Bid]:
    """Bids whose envelope was opened, best first. The deadline is asked again: no mistake elsewhere shows one early."""
    return (
        Bid.objects.filter(
            opened_at__isnull=False,
            opened_at__lte=at,
            lot__tender__tender_ends_at__lte=at,
            status__in=[status.value for status in OPENED],
        )
        .select_related("supplier")
        .defer("draft")
        .order_by("lot__number", F("rank").asc(nulls_last=True), "received_at", "pk")
    )


def opened_of_tender(tender: Tender, at: datetime) -> QuerySet[Bid]:
    """As `opened`, with price tables and documents, for the protocol and the comparison. Four queries in all.

    Nothing while a live auction runs: bidders are labels then, for the buyer too.
    """
    found = opened(at) if tender.status != TenderStatus.AUCTION else Bid.objects.none()
    return found.filter(lot__tender=tender).prefetch_related(
        Prefetch("prices", BidPrice.objects.select_related("item")),
        Prefetch("files", BidFile.objects.filter(opened__isnull=False).select_related("opened")),
    )


def in_force(lot_ids: list[int]) -> QuerySet[Bid]:
    """Sent bids that wait for the opening, in the order of their receipt. For the opening service."""
    return (
        Bid.objects.filter(lot__in=lot_ids, status=BidStatus.SUBMITTED.value)
        .select_related("supplier")
        .order_by("received_at", "pk")
    )


def standing_envelope(bid: Bid) -> BidEnvelope | None:
    """What the supplier sent last and has not withdrawn."""
    return BidEnvelope.objects.filter(
        bid=bid, version=bid.version, superseded_at=None, withdrawal_signature=None
    ).first()


def counts_by_lot(tender: Tender) -> dict[int, int]:
    """How many bids of each lot wait sealed, or were opened: a number, never whose. For the buyer."""
    counted = (
        Bid.objects.filter(lot__tender=tender)
        .filter(status__in=[BidStatus.SUBMITTED.value, *(status.value for status in OPENED)])
        .values("lot")
        .annotate(n=Count("pk"))
        .order_by()
    )
    return {row["lot"]: row["n"] for row in counted}


def sent_this_month(supplier_id: int, at: datetime, *, except_bid: int | None = None) -> int:
    """Bids first sent in the calendar month (UTC) of `at`; one sent again counts once."""
    month = at.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    sent = BidEnvelope.objects.filter(bid__supplier=supplier_id, version=1, received_at__gte=month, received_at__lte=at)
    return sent.exclude(bid=except_bid).count() if except_bid else sent.count()


def need_of(lot: Lot, supplier_id: int, at: datetime, *, bid_id: int | None = None) -> Need:
    """What a bid for this lot asks of the supplier's tariff. A hidden limit price is not betrayed by the answer."""
    preset = lot.tender.preset
    value = lot.limit_price if lot.tender.limit_price_shown else None
    return Need(
        action=Action.LIVE_AUCTION if preset.live else Action.BID,
        family=preset.family.value,
        lot_value=Money(value, lot.currency) if value is not None else None,
        bids_this_month=sent_this_month(supplier_id, at, except_bid=bid_id),
    )


def is_open(lot: Lot, at: datetime) -> bool:
    """Whether bids for the lot are taken at `at`: half-open, so a bid at the closing instant is late."""
    tender = lot.tender
    ends = tender.tender_ends_at
    return tender.status == TenderStatus.PUBLISHED and lot.status == "active" and ends is not None and at < ends
