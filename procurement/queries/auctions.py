"""Live auctions as their logs tell them: the room is the fold of its events."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from django.db import connection
from django.db.models import QuerySet

from procurement.models import Auction, AuctionEvent, AuctionParticipant
from procurement.rules.auction.base import AuctionKind
from procurement.rules.auction.log import Event, EventKind, Hall, confidential_kinds, fold

# Auction by auction, and with an upper bound that none comes to: the planner takes what follows a number for a third of
# the log, and would rather go through all of it; between two numbers it takes for little, which it is.
_NEW_EVENTS: Final = """
    SELECT event.auction_id, event.number, event.kind, event.at, event.participant_id, event.amount, event.key,
      event.person_id, event.detail::text, event.hash
    FROM unnest(%s::bigint[], %s::int[]) AS known (auction, number)
    CROSS JOIN LATERAL (
      SELECT * FROM procurement_auctionevent AS one
      WHERE one.auction_id = known.auction AND one.number > known.number AND one.number <= known.number + 1000000000
      OFFSET 0
    ) AS event
    ORDER BY event.auction_id, event.number
"""


def of_supplier(lot_id: int, supplier_id: int) -> AuctionParticipant | None:
    """The supplier's seat in the lot's auction."""
    return (
        AuctionParticipant.objects.filter(auction__lot=lot_id, supplier=supplier_id).select_related("auction").first()
    )


def bidder(participant_id: int) -> str:
    """A participant's name in the log and in the rules."""
    return str(participant_id)


def participants(auction: Auction) -> QuerySet[AuctionParticipant]:
    """Who takes part, in the order of the anonymous labels."""
    return auction.participants.select_related("supplier").order_by("label")


def events(auction_id: int, *, after: int = 0, most: int | None = None) -> Iterator[tuple[Event, str]]:
    """The events numbered above `after`, at most so many, in order, each with its recorded hash. One query."""
    rows = AuctionEvent.objects.filter(auction=auction_id, number__gt=after).order_by("number")[:most]
    for row in rows.values_list(
        "number", "kind", "at", "participant_id", "amount", "key", "person_id", "detail", "hash"
    ).iterator():
        yield _event(*row[:-1]), row[-1]


def events_of(known: Mapping[int, int]) -> dict[int, list[tuple[Event, str]]]:
    """What is new in many auctions, by the number of the last event known of each. One query."""
    if not known:
        return {}
    found: dict[int, list[tuple[Event, str]]] = {}
    with connection.cursor() as cursor:
        cursor.execute(_NEW_EVENTS, [list(known), list(known.values())])
        for auction, number, kind, at, participant, amount, key, person, detail, head in cursor.fetchall():
            event = _event(number, kind, at, participant, amount, key, person, json.loads(detail))
            found.setdefault(auction, []).append((event, head))
    return found


def hall(auction_id: int, known: Hall | None = None) -> Hall | None:
    """The auction as it stands, from `known` on where an earlier state is at hand; None while nothing was written.

    Taken at its word: procurement.auction.replay is what recomputes the hashes.
    """
    return folded(auction_id, events(auction_id, after=known.number if known else 0), known)


def holds(auction_id: int, known: Hall) -> bool:
    """Whether the log is still the one that had come to `known`: not after the database was set back."""
    return AuctionEvent.objects.filter(auction=auction_id, number=known.number, hash=known.head).exists()


def number_for(auction_id: int, kind: AuctionKind, number: int, viewer: str | None) -> int:
    """The number of an event as the viewer counts them: another bidder's confidential moves leave no gap."""
    if viewer is None:
        return number
    confidential = [event.value for event in sorted(confidential_kinds(kind))]
    unnoticed = AuctionEvent.objects.filter(auction=auction_id, number__lte=number, kind__in=confidential)
    return number - unnoticed.exclude(participant=int(viewer)).count()


def folded(auction_id: int, following: Iterable[tuple[Event, str]], known: Hall | None = None) -> Hall | None:
    """`known` after the events that follow it."""
    for event, head in following:
        known = fold(known, event, auction=auction_id, head=head)
    return known


def _event(
    number: int,
    kind: str,
    at: datetime,
    participant: int | None,
    amount: Decimal | None,
    key: str,
    person: int | None,
    detail: dict[str, Any],
) -> Event:
    name = None if participant is None else bidder(participant)
    return Event(number, EventKind(kind), at, name, amount, key, person, detail)
