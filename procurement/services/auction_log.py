"""Writing an auction's log: under the lot's advisory lock, in bulk, with one notification for everyone who listens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.db import connection

from procurement.models import AuctionEvent
from procurement.rules.auction.log import GENESIS, Event, Hall, fold

# NOTIFY carries ids only: "lot:number,lot:number…", the number of each lot's last event.
CHANNEL = "openlot_auction"
# A notification takes 8,000 bytes; beyond, the listeners are told to look at every lot they show.
_MOST_NAMED = 200


@dataclass(frozen=True, slots=True)
class Written:
    """An event on its way into the log of an auction, chained."""

    auction: int
    event: Event
    previous: str
    head: str


def lock(lots: Iterable[int]) -> None:
    """Take the advisory locks of the lots, in the order of their ids, until the transaction ends.

    A row lock would let waiters overtake each other: with falling bids that refuses two of three that were in time.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('auction:' || lot, 0)) "
            "FROM (SELECT unnest(%s::bigint[]) AS lot ORDER BY 1 OFFSET 0) AS lots",
            [sorted(lots)],
        )


def chained(hall: Hall | None, auction_id: int, event: Event) -> tuple[Written, Hall]:
    """The event chained to the hall's head, and the hall after it."""
    previous = hall.head if hall else GENESIS
    head = event.hashed(auction_id, previous)
    return Written(auction_id, event, previous, head), fold(hall, event, auction=auction_id, head=head)


def append(hall: Hall | None, auction_id: int, event: Event) -> Hall:
    """Write one event and return the hall after it. The caller holds the lot's lock."""
    written, after = chained(hall, auction_id, event)
    write([written])
    return after


def write(entries: Sequence[Written]) -> None:
    """Insert the events, all in one statement. The caller holds the locks of their lots."""
    AuctionEvent.objects.bulk_create(
        AuctionEvent(
            auction_id=entry.auction,
            number=entry.event.number,
            kind=entry.event.kind.value,
            at=entry.event.at,
            participant_id=None if entry.event.bidder is None else int(entry.event.bidder),
            amount=entry.event.amount,
            key=entry.event.key,
            person_id=entry.event.person,
            detail=entry.event.detail,
            previous_hash=entry.previous,
            hash=entry.head,
        )
        for entry in entries
    )


def notify(numbers: Mapping[int, int]) -> None:
    """Tell the gateways, once the transaction commits, up to which event each lot (by id) has come."""
    named = ",".join(f"{lot}:{number}" for lot, number in numbers.items()) if len(numbers) <= _MOST_NAMED else "*"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, named])
