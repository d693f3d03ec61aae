"""The events of a live auction: what each says, how it is spelled in canonical JSON, and its hash over the one
before."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from json.encoder import encode_basestring
from types import MappingProxyType
from typing import Any, Final

from procurement.rules.auction.base import Action, HappeningKind

GENESIS = "0" * 64
_EFFECT: Final = frozenset({"leads", "ends_at", "extensions"})
# Keys are ASCII and no value is a float: then sorted compact JSON is what RFC 8785 asks for.
canonical: Final = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), sort_keys=True, check_circular=False
).encode


class EventKind(StrEnum):
    """What is in the log: the life of the auction, the bidders' moves that were accepted, what time alone brought
    about; and a proxy limit that was dropped, because its bidder may bid no more."""

    SCHEDULED = "scheduled"
    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    RETIMED = "retimed"
    ENDED = "ended"
    CANCELLED = "cancelled"

    BID = "bid"
    ACCEPT = "accept"
    CONFIRM = "confirm"
    WITHDRAW = "withdraw"
    LIMIT = "limit"
    LIMIT_DROPPED = "limit_dropped"

    AUTOMATIC_BIDS = "automatic_bids"
    TICK = "tick"
    PAUSE = "pause"
    TURN = "turn"
    PUBLISHED = "published"
    ANNOUNCEMENT = "announcement"


MOVES: Final[Mapping[EventKind, Action]] = MappingProxyType({EventKind(action.value): action for action in Action})
HAPPENINGS: Final[Mapping[EventKind, HappeningKind]] = MappingProxyType(
    {EventKind(kind.value): kind for kind in HappeningKind}
)


@dataclass(frozen=True, slots=True)
class Event:
    """One event. `at` is a move's time of receipt, of a limit that was dropped the time at which that was done; `key`
    (the bidder's idempotency key) is of moves only.

    `amount` is that of a bid or a limit, of a price accepted or confirmed, of a bid published.

    `detail` holds strings, whole numbers, flags, lists and objects; never a float.
    """

    number: int
    kind: EventKind
    at: datetime
    bidder: str | None = None
    amount: Decimal | None = None
    key: str = ""
    person: int | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)

    def content(self, auction: int, previous: str) -> dict[str, Any]:
        """What of the event is hashed, with the hash of the one before: what everybody who took part may read in the
        end. Which of a bidder's people it was is not in it: it would tell the same bidder in another auction."""
        return {
            "amount": None if self.amount is None else f"{self.amount:.4f}",
            "at": iso(self.at),
            "auction": auction,
            "bidder": self.bidder,
            "detail": self.detail,
            "key": self.key,
            "kind": self.kind.value,
            "number": self.number,
            "person": None if self.bidder is not None else self.person,
            "previous": previous,
        }

    def hashed(self, auction: int, previous: str) -> str:
        """SHA-256 (hex) over the event's canonical JSON (RFC 8785) with the hash of the one before."""
        return sha256(self.spelled(auction, previous).encode()).hexdigest()

    @property
    def spelled_detail(self) -> str:
        """The canonical JSON of `detail`; of moves there are thousands with the same one."""
        return _spelled_effect(**self.detail) if self.detail.keys() == _EFFECT else canonical(self.detail)

    def spelled(self, auction: int, previous: str) -> str:
        """The canonical JSON of `content`. Its members are always the same, so they are put in order here and not
        sorted for every bid."""
        amount = "null" if self.amount is None else f'"{self.amount:.4f}"'
        bidder = "null" if self.bidder is None else encode_basestring(self.bidder)
        person = "null" if self.bidder is not None or self.person is None else f"{self.person:d}"
        return (
            f'{{"amount":{amount},"at":"{iso(self.at)}","auction":{auction:d},"bidder":{bidder},'
            f'"detail":{self.spelled_detail},"key":{encode_basestring(self.key)},"kind":"{self.kind.value}",'
            f'"number":{self.number:d},"person":{person},"previous":{encode_basestring(previous)}}}'
        )


@lru_cache(maxsize=4096)
def iso(at: datetime) -> str:
    """The instant in UTC with microseconds: one spelling for hashes and for JSON. A bid's is asked for three times, an
    auction's end with every bid."""
    in_utc = at if at.tzinfo is UTC else at.astimezone(UTC)
    return in_utc.isoformat(timespec="microseconds")[:-6] + "Z"


@lru_cache(maxsize=1024, typed=True)
def _spelled_effect(*, leads: bool, ends_at: str, extensions: int) -> str:
    return canonical({"leads": leads, "ends_at": ends_at, "extensions": extensions})
