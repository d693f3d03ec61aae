"""The room decides in batches: one lock, one reading, the pure rules for each move in order of receipt, one commit.

What time alone has brought about until a move is written before it, by whoever holds the lot's lock first.

Right with any number of processes: the lot's advisory lock is the only order there is between them, and what a
process remembers of a lot is checked against the head of its log under that lock.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from django.db import transaction

from marketplace.shared import clock
from procurement.auction.seats import LIVE_BIDDERS, bidders_of, suppliers_in
from procurement.queries import auctions as rooms
from procurement.rules.auction import kinds
from procurement.rules.auction.base import Action, Decision, Move, Refused, Room
from procurement.rules.auction.concession import as_told
from procurement.rules.auction.duel import TooManyBids
from procurement.rules.auction.log import MOVES, Event, EventKind, Hall, bid_detail, happened, iso
from procurement.rules.auction.views import tells_allowed
from procurement.services import auction_log, pulse
from procurement.services.auction_log import Written, array, quoted_array


@dataclass(frozen=True, slots=True)
class WaitingBid:
    """A move as it came in, mostly a bid. `key` is the bidder's own, so that a double click or a retry bids once. After
    `not_after` it is not to be written any more, wherever it was kept waiting."""

    lot: int
    participant: int
    person: int
    amount: Decimal | None
    key: str
    received_at: datetime
    action: Action = Action.BID
    not_after: datetime | None = None

    @property
    def move(self) -> Move:
        """As the rules take it. A withdrawal has no amount: none that came with it is looked at, or written down."""
        amount = None if self.action is Action.WITHDRAW else self.amount
        return Move(rooms.bidder(self.participant), amount, self.received_at, self.action)


@dataclass(frozen=True, slots=True)
class Answer:
    """What became of a bid, on disk before it is told. `number` is the event of an accepted one; `repeated`: it was
    there already.

    `allowed_amount` is what would have been admitted instead of a refused one, None also where the bidder may not be
    told. Amounts are plain strings in the currency's minor unit.
    """

    code: str | None
    number: int | None = None
    amount: str | None = None
    allowed_amount: str | None = None
    ends_at: datetime | None = None
    repeated: bool = False

    @property
    def accepted(self) -> bool:
        return self.code is None


_HEADS: Final = "SELECT id, lot_id, last_event, head_hash FROM procurement_auction WHERE lot_id = ANY(%s::bigint[])"
_WRITTEN_BEFORE: Final = """
    SELECT event.participant_id, event.key, event.number, event.kind, event.amount
    FROM unnest(%s::bigint[], %s::text[]) AS bid (participant, key)
    CROSS JOIN LATERAL (
      SELECT * FROM procurement_auctionevent AS known
      WHERE known.participant_id = bid.participant AND known.key = bid.key AND known.key <> '' OFFSET 0
    ) AS event
"""
# The rows are named twice: joined alone, they may be looked for in the whole of their index.
_UPDATE_STANDINGS: Final = """
    UPDATE procurement_auctionparticipant AS seat
    SET standing_amount = coalesce(bid.amount, seat.standing_amount), standing_at = coalesce(bid.at, seat.standing_at),
        bids_accepted = seat.bids_accepted + bid.accepted
    FROM unnest(%s::bigint[], %s::numeric[], %s::timestamptz[], %s::int[]) AS bid (seat, amount, at, accepted)
    WHERE seat.id = bid.seat AND seat.id = ANY(%s::bigint[])
"""
_UPDATE_AUCTIONS: Final = """
    UPDATE procurement_auction AS auction
    SET ends_at = now.ends_at, extensions = now.extensions, last_event = now.number, head_hash = now.head
    FROM unnest(%s::bigint[], %s::timestamptz[], %s::int[], %s::int[], %s::text[])
      AS now (auction, ends_at, extensions, number, head)
    WHERE auction.id = now.auction AND auction.id = ANY(%s::bigint[])
"""


# What a batch is decided by and what it leaves, in one statement each: between two statements the threads that serve
# HTTP take the interpreter, and may keep it for milliseconds.
_READ: Final = f"""
    SELECT 'head', id, lot_id, last_event, head_hash, NULL, NULL::numeric, NULL::timestamptz, NULL::timestamptz
    FROM ({_HEADS}) AS head
    UNION ALL
    SELECT 'before', participant_id, NULL, number, key, kind, amount, NULL, NULL FROM ({_WRITTEN_BEFORE}) AS before
    UNION ALL
    SELECT 'member', lot, participant, person, CASE WHEN entitled THEN 'entitled' END, NULL, NULL, NULL, NULL
    FROM ({LIVE_BIDDERS}) AS member
    UNION ALL
    SELECT 'others', lot, NULL, NULL, NULL, NULL, NULL, others, lively
    FROM ({pulse.DECIDED_BY_OTHERS}) AS decided (lot, others, lively)
"""
_WRITE: Final = f"""
    WITH written AS ({auction_log.INSERT}), seats AS ({_UPDATE_STANDINGS}), heads AS ({_UPDATE_AUCTIONS})
    {auction_log.NOTIFY}
"""


@dataclass(frozen=True, slots=True)
class Before:
    """What was written under a key before; `told` is its number as its bidder counts, where that is known."""

    number: int
    kind: str
    amount: Decimal | None
    told: int | None = None

    def same(self, bid: WaitingBid) -> bool:
        """Whether it is this move. A price that was taken unseen is written down all the same."""
        named = bid.move.amount
        unseen = named is None and bid.action in _AT_A_PRICE
        return self.kind == bid.action.value and (unseen or named == self.amount)


# Nothing is asked of the database for so long only by a process that does not go on.
_STANDS_STILL_S: Final = 15
UNKNOWN_AUCTION = "no_auction"
# Not decided: another gateway may still hold a move that was received before.
HELD: Final = Answer("held")
NOT_ENTITLED = "not_entitled"
KEY_REUSED = "idempotency_key_reused"
EXPIRED = "move_expired"
ENDLESS = "proxies_without_end"
EVENT_OF: Final[Mapping[Action, EventKind]] = MappingProxyType({action: kind for kind, action in MOVES.items()})
# What is done at the price of its moment, named by the bidder or not.
_AT_A_PRICE: Final = (Action.ACCEPT, Action.CONFIRM)


class Desk:
    """Where a process hands in bids, one batch at a time; not to be shared by threads."""

    def __init__(self) -> None:
        self._halls: dict[int, Hall] = {}
        self._process = pulse.process_name(pulse.GATEWAY)

    def decide(self, waiting: Sequence[WaitingBid]) -> list[Answer]:
        """The answers, in the order of `waiting`; bids are decided in the order of receipt. HELD ones are to be handed
        in again, before any that was received later. On an error nothing is written."""
        order = sorted(range(len(waiting)), key=lambda place: waiting[place].received_at)
        with transaction.atomic():
            batch = self._read(waiting)
            answers = {place: batch.decide(waiting[place]) for place in order}
            batch.write()
        # Only now: what was not committed must not be remembered.
        self._halls.update(batch.halls)
        return [answers[place] for place in range(len(waiting))]

    def _read(self, waiting: Sequence[WaitingBid]) -> _Batch:
        """What the batch is decided by, read under the locks of its lots."""
        lots = sorted({bid.lot for bid in waiting})
        with auction_log.together():
            auction_log.by_index()
            auction_log.broken_off_after(_STANDS_STILL_S)
            auction_log.lock(lots)
            # A statement of its own: it has to see what was committed while the locks were waited for.
            found = auction_log.execute(
                _READ,
                lots,
                array(bid.participant for bid in waiting),
                quoted_array(bid.key for bid in waiting),
                *bidders_of(
                    {(bid.lot, bid.participant, bid.person) for bid in waiting}, max(bid.received_at for bid in waiting)
                ),
                *pulse.others_of(self._process, lots, clock.now()),
            )
        halls: dict[int, Hall] = {}
        keys: dict[tuple[int, str], Before] = {}
        members: dict[tuple[int, ...], str | None] = {}
        decided: dict[int, tuple[datetime, datetime | None]] = {}
        for what, one, other, third, text, kind, amount, *times in found:
            if what == "member":
                members[one, other, third] = None if text else NOT_ENTITLED
            elif what == "before":
                keys[one, text] = Before(third, kind, amount)
            elif what == "others":
                decided[one] = times[0], times[1]
            elif (hall := self._hall(one, other, third, text)) is not None:
                halls[other] = hall
        batch = _Batch(halls, keys, members, decided)
        batch.drop_limits(max(bid.received_at for bid in waiting))
        return batch

    def _hall(self, auction: int, lot: int, number: int, head: str) -> Hall | None:
        """The hall of a lot whose log has come to `number` and `head`; from memory where that is what is remembered."""
        known = self._halls.get(lot)
        if known is not None and (known.auction != auction or known.number > number):
            known = None
        if known is None or known.number < number:
            known = rooms.hall(auction, known)
        if known is not None and known.head != head:
            known = rooms.hall(auction)
        return known


class _Batch:
    """One transaction's work."""

    def __init__(
        self,
        halls: dict[int, Hall],
        before: dict[tuple[int, str], Before],
        members: Mapping[tuple[int, ...], str | None],
        decided: dict[int, tuple[datetime, datetime | None]],
    ) -> None:
        self.halls = halls
        # By lot, up to when other gateways have decided: all that may live, and those that are not quiet.
        self._decided = decided
        # One time for all: a bid is not held for one that was received a moment later to be let go.
        self._now = clock.now()
        self._as_read = dict(halls)
        self._before = before
        self._members = members
        self._written: list[Written] = []
        self._touched: dict[int, None] = {}

    def decide(self, bid: WaitingBid) -> Answer:
        hall = self.halls.get(bid.lot)
        if hall is None:
            return Answer(UNKNOWN_AUCTION)
        if before := self._before.get((bid.participant, bid.key)):
            if not before.same(bid):
                return Answer(KEY_REUSED, ends_at=hall.room.ends_at)
            bidder = rooms.bidder(bid.participant)
            number = before.told or rooms.number_for(hall.auction, hall.rules.kind, before.number, bidder)
            return Answer(None, number, _plain(hall, before.amount), ends_at=hall.room.ends_at, repeated=True)
        code = self._members.get((bid.lot, bid.participant, bid.person), Refused.NOT_A_PARTICIPANT)
        if code is not None:
            return Answer(code, ends_at=hall.room.ends_at)
        if bid.not_after is not None and bid.not_after < self._now:
            return Answer(EXPIRED, ends_at=hall.room.ends_at)
        if self._is_held(hall.room, bid):
            return HELD
        hall = self.pass_time(bid.lot, bid.received_at)
        decision, after = kinds.decide(hall.room, bid.move)
        if not decision.accepted:
            return answer_of(hall, decision)
        written = len(self._written)
        try:
            return answer_of(hall, decision, self._accept(hall, bid, decision, after))
        except TooManyBids:
            self.halls[bid.lot] = hall
            del self._written[written:], self._before[bid.participant, bid.key]
            return Answer(ENDLESS, ends_at=hall.room.ends_at)

    def _is_held(self, room: Room, bid: WaitingBid) -> bool:
        """Whether deciding it now would come before an earlier one that another gateway may hold, or could shut it out.

        A bid that stands at once waits for the gateways that are not quiet, what shuts others out for good for all that
        may still live. Longer than a gateway may be silent no move is held.
        """
        if bid.lot not in self._decided or self._now - bid.received_at > pulse.tolerance():
            return False
        by_all, by_lively = self._decided[bid.lot]
        if not kinds.is_timed(room):
            return by_lively is not None and by_lively < bid.received_at
        settled = kinds.settles(room, bid.move)
        return settled is not None and by_all < settled

    def drop_limits(self, at: datetime) -> None:
        """The system bids for nobody who may not bid at `at`: not one bid more, whoever calls for it."""
        holders = {(lot, int(name)) for lot, hall in self.halls.items() for name in kinds.limited(hall.room)}
        if not holders:
            return
        for lot, participant in sorted(holders - suppliers_in(holders, at)):
            hall, bidder = self.halls[lot], rooms.bidder(participant)
            if (after := kinds.without_limit(hall.room, bidder)) is not None:
                self._append(lot, Event(hall.number + 1, EventKind.LIMIT_DROPPED, self._now, bidder), after)

    def pass_time(self, lot: int, at: datetime) -> Hall:
        """The lot's hall with all that time alone brought about by `at`, each of it an event."""
        while (comes := kinds.coming(self.halls[lot].room)) is not None and comes[0].at <= at:
            hall, (happening, after) = self.halls[lot], comes
            self._append(lot, happened(hall.number + 1, happening, after), after)
        return self.halls[lot]

    def _accept(self, hall: Hall, bid: WaitingBid, decision: Decision, after: Room) -> int:
        bidder, amount = decision.move.bidder, decision.move.amount
        # A price that was taken is written down, whether the bidder named it or not.
        if amount is None and bid.action in _AT_A_PRICE:
            amount = decision.allowed_amount
        event = Event(
            number=hall.number + 1,
            kind=EVENT_OF[bid.action],
            at=bid.received_at,
            bidder=bidder,
            amount=amount,
            key=bid.key,
            person=bid.person,
            detail=bid_detail(after, bidder),
        )
        self._append(bid.lot, event, after)
        number = self.halls[bid.lot].number_for(bidder)
        self._before[bid.participant, bid.key] = Before(event.number, event.kind.value, amount, number)
        if after.play is not None:  # what the move itself called for
            self.pass_time(bid.lot, bid.received_at)
        return number

    def _append(self, lot: int, event: Event, after: Room) -> None:
        hall = self.halls[lot]
        written, self.halls[lot] = auction_log.chained(hall, hall.auction, event, after)
        self._written.append(written)
        self._touched[lot] = None

    def write(self) -> None:
        """The events, what stands for each bidder, and the heads of the logs; and one notification for all."""
        if not self._written:
            return
        changed = [(self._as_read[lot].room, self.halls[lot].room) for lot in self._touched]
        auction_log.execute(
            _WRITE,
            *auction_log.columns(self._written),
            *_standings(changed, self._written),
            *_heads([self.halls[lot] for lot in self._touched]),
            auction_log.CHANNEL,
            auction_log.notice({lot: self.halls[lot].number for lot in self._touched}),
        )


def answer_of(hall: Hall, decision: Decision, number: int | None = None) -> Answer:
    """The decision in the words of the room, with no more than the bidder may be told."""
    if decision.code is not None:
        told = decision.allowed_amount if tells_allowed(hall.rules.reference, hall.rules.shown) else None
        code = as_told(hall.room, decision.move.bidder, decision.code)
        return Answer(code, allowed_amount=_plain(hall, told), ends_at=decision.ends_at)
    amount = decision.move.amount
    if amount is None and decision.move.action in _AT_A_PRICE:
        amount = decision.allowed_amount
    return Answer(None, number, _plain(hall, amount), ends_at=decision.ends_at)


def _plain(hall: Hall, amount: Decimal | None) -> str | None:
    return None if amount is None else hall.rules.plain(amount)


def _standings(rooms_: Iterable[tuple[Room, Room]], written: Iterable[Written]) -> tuple[str, ...]:
    """What stands otherwise than it was read: a move changes its bidder's, what time brings about anybody's. And how
    many of a bidder's moves were accepted, also those that change nothing that stands yet, as within a turn."""
    accepted = Counter(entry.event.bidder for entry in written if entry.event.key)
    standing = {
        bid.bidder: bid
        for before, after in rooms_
        for bid in after.standings.values()
        if bid is not before.standings.get(bid.bidder)
    }
    seats = [*standing, *(bidder for bidder in accepted if bidder is not None and bidder not in standing)]
    changed = [standing.get(bidder) for bidder in seats]
    named = array(seats)
    return (
        named,
        array(None if bid is None else bid.amount for bid in changed),
        array(None if bid is None else f'"{bid.received_at.isoformat()}"' for bid in changed),
        array(accepted[bidder] for bidder in seats),
        named,
    )


def _heads(halls: Sequence[Hall]) -> tuple[str, ...]:
    named = array(hall.auction for hall in halls)
    return (
        named,
        quoted_array(iso(hall.room.ends_at) for hall in halls),
        array(hall.room.extensions for hall in halls),
        array(hall.number for hall in halls),
        array(hall.head for hall in halls),
        named,
    )
