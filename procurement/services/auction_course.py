"""What time alone brings about in an auction (ticks, turns, automatic bids), written into its log.

By whoever holds the lot's lock: a batch of moves, the clock, a pause. What comes out does not depend on who it was, nor
on how punctual: the rules say what happened and when. Only the order matters: nothing may be written that a move still
on its way should have come before, so the clock writes what happened up to where every gateway has decided.
"""

from __future__ import annotations

from datetime import datetime

from procurement.models import Auction, AuctionParticipant, MomentKind, Tender
from procurement.rules.auction import kinds
from procurement.rules.auction.log import Hall, happened
from procurement.services import auction_log, moments


def catch_up(auction: Auction, hall: Hall, until: datetime) -> Hall:
    """Write what has happened by `until`, that instant included. Returns the hall after it.

    The caller holds the auction's locks (`auctions.locked`); nothing of the auction that is not saved may be pending.
    """
    before, written = hall, []
    while (comes := kinds.coming(hall.room)) is not None and comes[0].at <= until:
        entry, hall = auction_log.chained(hall, auction.pk, happened(hall.number + 1, *comes))
        written.append(entry)
    if not written:
        return hall
    auction_log.write(written)
    _stand(before, hall)
    auction.ends_at, auction.extensions = hall.room.ends_at, hall.room.extensions
    auction.last_event, auction.head_hash = hall.number, hall.head
    auction.save(update_fields=["ends_at", "extensions", "last_event", "head_hash"])
    auction_log.notify({auction.lot_id: hall.number})
    return hall


def plan(auction: Auction, tender: Tender, hall: Hall) -> datetime | None:
    """Have the clock come when time next brings something about, and when the auction ends. Returns the first; None
    where there is nothing but the end."""
    moments.schedule(MomentKind.AUCTION_ENDS, tender, auction.ends_at, auction.lot)
    comes = kinds.coming(hall.room)
    if comes is None:
        moments.cancel(tender, auction.lot, [MomentKind.AUCTION_MOVES])
        return None
    moments.schedule(MomentKind.AUCTION_MOVES, tender, comes[0].at, auction.lot)
    return comes[0].at


def _stand(before: Hall, after: Hall) -> None:
    """Bids that time made or published stand for their bidders."""
    old, seats = before.room.standings, []
    changed = {name: bid for name, bid in after.room.standings.items() if old.get(name) != bid}
    found = AuctionParticipant.objects.in_bulk([int(name) for name in changed])
    for name, bid in changed.items():
        seat = found[int(name)]
        seat.standing_amount, seat.standing_at = bid.amount, bid.received_at
        seats.append(seat)
    AuctionParticipant.objects.bulk_update(seats, ["standing_amount", "standing_at"])
