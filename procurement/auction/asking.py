"""What became of a move, as the log has it: for bidders whose answer was lost."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from django.db import connection, transaction

from procurement.queries import auctions as rooms
from procurement.rules.auction.base import AuctionKind
from procurement.services import auction_log

# A database that refuses is waited for longer than that elsewhere; whoever asks here is told.
LONGEST_ASK_S = 4.0
_AT_ONCE: Final = 4
_LONGEST_WAIT: Final = "SELECT set_config('lock_timeout', %s, true)"
_KEPT: Final = """
    SELECT event.number, event.kind, event.amount, event.at, auction.rules ->> 'minor_unit',
      auction.rules ->> 'kind', auction.id
    FROM (
      SELECT * FROM procurement_auctionevent AS known
      WHERE known.participant_id = %s AND known.key = %s AND known.key <> '' OFFSET 0
    ) AS event
    JOIN procurement_auction AS auction ON auction.id = event.auction_id AND auction.lot_id = %s
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A move as the log has it, the amount in the currency's minor unit, its number as its bidder counts."""

    number: int
    action: str
    amount: str | None
    received_at: datetime


class Asking:
    """Asks the log from threads of its own: whoever waits for the lock of one lot holds up no stream of another."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="asking")

    async def kept(self, lot: int, participant: int, key: str) -> Kept | None:
        """As `kept`. Raises DatabaseError or TimeoutError within LONGEST_ASK_S."""
        async with asyncio.timeout(LONGEST_ASK_S):
            return await asyncio.get_running_loop().run_in_executor(self._threads, _asked, lot, participant, key)

    def close(self) -> None:
        self._threads.shutdown()


def _asked(lot: int, participant: int, key: str) -> Kept | None:
    try:
        return kept(lot, participant, key)
    finally:
        connection.close()


def kept(lot: int, participant: int, key: str) -> Kept | None:
    """The participant's move under that key; None where the log has none now that every batch under way is committed or
    given up. Raises OperationalError where one is under way for longer than LONGEST_ASK_S."""
    with transaction.atomic():
        auction_log.execute(_LONGEST_WAIT, f"{LONGEST_ASK_S}s")
        auction_log.by_index()
        auction_log.lock_shared(lot)
        row = auction_log.execute(_KEPT, participant, key, lot).fetchone()
    if row is None:
        return None
    number, action, amount, received_at, minor_unit, kind, auction = row
    plain = None if amount is None else f"{amount.quantize(Decimal(minor_unit)):f}"
    told = rooms.number_for(auction, AuctionKind(kind), number, rooms.bidder(participant))
    return Kept(told, action, plain, received_at)
