"""Writing an auction's log: under the lot's advisory lock, in bulk, with one notification for everyone who listens."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, LiteralString

import psycopg
from django.db import connection

from procurement.rules.auction.base import Room
from procurement.rules.auction.log import GENESIS, Event, Hall, fold, iso

# NOTIFY carries ids only: "lot:number,lot:number…", the number of each lot's last event.
CHANNEL = "openlot_auction"
# A notification takes 8,000 bytes; beyond, the listeners are told to look at every lot they show.
_MOST_NAMED = 200

_LOCK: Final = """
    SELECT pg_advisory_xact_lock(hashtextextended('auction:' || lot, 0))
    FROM (SELECT unnest(%s::bigint[]) AS lot ORDER BY 1 OFFSET 0) AS lots
"""
_LOCK_SHARED: Final = "SELECT pg_advisory_xact_lock_shared(hashtextextended('auction:' || %s::bigint, 0))"
# PostgreSQL without these comes to `jit` where a plan has to do what is off.
_BY_INDEX: Final = """
    SELECT set_config(name, 'off', true)
    FROM unnest('{enable_seqscan,enable_hashjoin,enable_mergejoin,jit}'::text[]) AS name
"""
_BROKEN_OFF_AFTER: Final = "SELECT set_config('idle_in_transaction_session_timeout', %s, true)"
INSERT: Final = """
    INSERT INTO procurement_auctionevent
      (auction_id, number, kind, at, participant_id, amount, key, person_id, detail, previous_hash, hash)
    SELECT auction, number, kind, at, participant, amount, key, person, detail::jsonb, previous, hash
    FROM unnest(
      %s::bigint[], %s::int[], %s::text[], %s::timestamptz[], %s::bigint[], %s::numeric[], %s::text[], %s::bigint[],
      %s::text[], %s::text[], %s::text[]
    ) AS event (auction, number, kind, at, participant, amount, key, person, detail, previous, hash)
"""
NOTIFY: Final = "SELECT pg_notify(%s, %s)"


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
    execute(_LOCK, sorted(lots))


def lock_shared(lot: int) -> None:
    """Wait until no batch of the lot is under way; others who only look need not wait for each other."""
    execute(_LOCK_SHARED, lot)


def by_index() -> None:
    """Have all that follows in this transaction looked up row by row in indexes, as it is to be with a log of millions.

    The plan of a prepared statement is kept, with that of what its foreign keys ask: one that was made while there was
    next to nothing would go through everything that came since, with every bid, until the tables are next analysed.
    """
    execute(_BY_INDEX)


def broken_off_after(seconds: int) -> None:
    """Have the server break this transaction off where nothing comes of it for so long: its process stands still or its
    machine is gone, and what it has locked would hold everybody up until the network notices. Not what is part of a
    larger transaction, which has others to answer for it."""
    if not connection.savepoint_ids:
        execute(_BROKEN_OFF_AFTER, f"{seconds}s")


def chained(hall: Hall | None, auction_id: int, event: Event, after: Room | None = None) -> tuple[Written, Hall]:
    """The event chained to the hall's head, and the hall after it. `after` is the room then, where it is known already;
    else it is folded."""
    previous = hall.head if hall else GENESIS
    head = event.hashed(auction_id, previous)
    written = Written(auction_id, event, previous, head)
    if hall is None or after is None:
        return written, fold(hall, event, auction=auction_id, head=head)
    return written, hall.then(event, after, head)


def append(hall: Hall | None, auction_id: int, event: Event) -> Hall:
    """Write one event and return the hall after it. The caller holds the lot's lock."""
    written, after = chained(hall, auction_id, event)
    write([written])
    return after


def write(entries: Sequence[Written]) -> None:
    """Insert the events, all in one statement. The caller holds the locks of their lots."""
    execute(INSERT, *columns(entries))


def columns(entries: Sequence[Written]) -> tuple[str, ...]:
    """The events as INSERT takes them."""
    events = [entry.event for entry in entries]
    return (
        array(entry.auction for entry in entries),
        array(event.number for event in events),
        array(event.kind.value for event in events),
        quoted_array(iso(event.at) for event in events),
        array(event.bidder for event in events),
        array(event.amount for event in events),
        quoted_array(event.key for event in events),
        array(event.person for event in events),
        quoted_array(event.spelled_detail for event in events),
        array(entry.previous for entry in entries),
        array(entry.head for entry in entries),
    )


def array(values: Iterable[int | Decimal | str | None]) -> str:
    """Numbers, and words of letters and digits alone, as an array in PostgreSQL's spelling: a batch has thousands."""
    return "{" + ",".join(["NULL" if value is None else str(value) for value in values]) + "}"


def quoted_array(values: Iterable[str]) -> str:
    """The same of texts of any kind."""
    texts = [value.replace("\\", "\\\\").replace('"', '\\"') for value in values]
    return '{"' + '","'.join(texts) + '"}' if texts else "{}"


def notify(numbers: Mapping[int, int]) -> None:
    """Tell the gateways, once the transaction commits, up to which event each lot (by id) has come."""
    execute(NOTIFY, CHANNEL, notice(numbers))


def notice(numbers: Mapping[int, int]) -> str:
    """What NOTIFY says of them on the CHANNEL."""
    return ",".join(f"{lot}:{number}" for lot, number in numbers.items()) if len(numbers) <= _MOST_NAMED else "*"


def execute(statement: LiteralString, *parameters: Any, kept: bool = True) -> psycopg.Cursor[tuple[Any, ...]]:
    """Run a statement that the server keeps prepared: a batch of bids is a few small statements, most of them planning.
    `kept` is not for what may as well be asked of one as of thousands, with no plan that is right for both.

    On Django's connection and in its transaction, past Django's cursor, which sends the values inside the text.
    """
    connection.ensure_connection()
    with connection.wrap_database_errors:
        return psycopg.Cursor(connection.connection).execute(statement, parameters, prepare=kept)


@contextmanager
def together() -> Iterator[None]:
    """The statements inside are sent without waiting for each other's answers; read those after the block."""
    connection.ensure_connection()
    with connection.wrap_database_errors, connection.connection.pipeline():
        yield
