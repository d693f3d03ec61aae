"""The protocol of a live auction: everything that happened in it, for all who took part, to be checked alone.

As JSON (`document`: docs/procedures/auction-protocol.md) and as PDF. Bidders have names in it once the lot is awarded;
until then they have their labels.
"""

from __future__ import annotations

from typing import Any, Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.utils.translation import gettext_lazy as _

from marketplace.services import signing
from marketplace.shared import keys
from marketplace.shared.errors import DomainError
from marketplace.signatures.payload import canonical, sha256_hex
from procurement.models import Auction
from procurement.queries import auctions as rooms
from procurement.queries import awards
from procurement.rules.auction import document as documents
from procurement.rules.auction.log import LogBroken, replay
from procurement.rules.lifecycle import AuctionStatus

KIND: Final = "auction_protocol"
HOW_TO_CHECK: Final = (
    "Each event's hash is the SHA-256 of its content as canonical JSON (RFC 8785); the content names the hash before. "
    "python -m procurement.rules.auction.document auction.json (from Openlot's source, no server needed) recomputes "
    "them all, decides every bid again by the rules and compares the result. The statement is signed with the "
    "platform's receipt key (Ed25519 over RFC 8785 JSON) and names the SHA-256 of everything else in this document."
)


class AuctionNotOver(DomainError):
    code = "auction_not_over"
    sentence = _("Only an auction that has ended has a protocol.")


class AuctionLogBroken(DomainError):
    """`why` names the first event that does not hold."""

    code, status = "auction_log_broken", 500
    sentence = _(
        "There is no protocol, because the auction’s log does not hold: %(why)s. Ask the platform’s operators."
    )


def document(auction: Auction) -> dict[str, Any]:
    """The auction's document, the same for every reader; the caller has asked whether it is theirs to see.

    `auction` comes with lot, tender and buyer. Raises AuctionNotOver before the end, AuctionLogBroken where the log
    does not hold.
    """
    if auction.status != AuctionStatus.ENDED:
        raise AuctionNotOver
    tender = auction.lot.tender
    events = list(rooms.events(auction.pk))
    try:
        hall = replay(auction.pk, events)
    except LogBroken as broken:
        raise AuctionLogBroken(why=str(broken)) from broken
    scheduled = events[0][0].detail
    whole = {
        "format": documents.FORMAT,
        "auction": auction.pk,
        "tender": {
            "number": tender.number,
            "title": tender.title,
            "buyer": {"name": tender.buyer.full_name, "identifiers": signing.identifiers_of(tender.buyer)},
            "procedure": tender.procedure,
            "procedure_version": tender.procedure_version,
            "time_zone": tender.time_zone,
            "vat_included": tender.vat_included,
        },
        "lot": {"number": auction.lot.number, "title": auction.lot.title},
        "terms": {name: value for name, value in scheduled.items() if name != "bidders"},
        "bidders": _bidders(auction, scheduled["bidders"]),
        "events": list(documents.entries(auction.pk, events, ZoneInfo(tender.time_zone))),
        "result": documents.result(hall, [event for event, _recorded in events]),
        "how_to_check": HOW_TO_CHECK,
    }
    return whole | {"statement": _statement(auction, whole)}


def is_named(auction: Auction) -> bool:
    """Whether the bidders' names may be told: when the award of the lot is decided."""
    award = awards.live_of(auction.lot)
    return award is not None and award.decided_at is not None


def _bidders(auction: Auction, first: list[dict[str, Any]]) -> list[dict[str, Any]]:
    named = is_named(auction)
    suppliers = {rooms.bidder(seat.pk): seat.supplier for seat in rooms.participants(auction)}
    found = []
    for row in first:
        supplier = suppliers[row["bidder"]]
        name = (
            {"name": supplier.full_name, "identifiers": signing.identifiers_of(supplier)} if named else {"name": None}
        )
        found.append({**row, **name})
    return found


def _statement(auction: Auction, whole: dict[str, Any]) -> dict[str, Any]:
    """What the platform signs: the same state of the auction gives the same bytes."""
    came_out = whole["result"]
    return keys.sign_receipt(
        {
            "kind": KIND,
            "platform": settings.SITE_URL,
            "tender": auction.lot.tender.number,
            "lot": auction.lot.number,
            "auction": auction.pk,
            "events": came_out["events"],
            "head": came_out["head"],
            "document_sha256": sha256_hex(canonical(whole)),
        }
    )
