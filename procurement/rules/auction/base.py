"""What every kind of live auction shares: the terms of a lot, the state of its room, bids and decisions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from functools import cached_property

from procurement.rules.auction.timetable import THREE_ROUNDS, PriceClock, Timetable
from procurement.rules.effective import PRICE_ALONE, EffectivePrice, ceil_to, floor_to
from procurement.rules.lifecycle import AuctionStatus
from procurement.rules.ranking import Direction, Ranked, Standing, leader, ranking, stands_before


class AuctionKind(StrEnum):
    ENGLISH = "english"
    DUTCH = "dutch"
    JAPANESE = "japanese"
    SEALED_FIRST_PRICE = "sealed_first_price"
    SEALED_SECOND_PRICE = "sealed_second_price"
    TURN_BASED = "turn_based"


class Action(StrEnum):
    """What a bidder does in an auction. A kind knows some of them and refuses the others as `wrong_action`."""

    BID = "bid"
    ACCEPT = "accept"
    CONFIRM = "confirm"
    WITHDRAW = "withdraw"
    # A proxy limit set, changed, or taken back (no amount).
    LIMIT = "limit"


class SingleBidPrice(StrEnum):
    """What the winner of a second-price auction gets where there is no second bid: the limit price or its own."""

    LIMIT = "limit"
    OWN = "own"


class Reference(StrEnum):
    """What a new bid must beat: the leader's price, or the bidder's own last one."""

    LEADER = "leader"
    OWN = "own"


class ExtendFrom(StrEnum):
    """Where a soft close counts from: the receipt of the bid, or the end as it stood."""

    RECEIPT = "receipt"
    END = "end"


class StepKind(StrEnum):
    AMOUNT = "amount"
    PERCENT = "percent"


class Refused(StrEnum):
    """Why a bid was refused. The codes are public: the room, the API and the simulator answer with the same ones."""

    NOT_STARTED = "auction_not_started"
    OVER = "auction_over"
    PAUSED = "auction_paused"
    CANCELLED = "auction_cancelled"
    NOT_A_PARTICIPANT = "not_a_participant"
    WRONG_ACTION = "wrong_action"
    ALREADY_LEADING = "already_leading"
    NOT_POSITIVE = "amount_not_positive"
    TOO_PRECISE = "amount_too_precise"
    TOO_LARGE = "amount_too_large"
    LIMIT_NOT_MET = "limit_not_met"
    STEP_NOT_MET = "step_not_met"
    NO_ROOM_LEFT = "no_room_left"
    PRICE_MOVED = "price_moved"
    OUT = "bidder_out"
    ALREADY_CONFIRMED = "already_confirmed"
    NOT_YOUR_TURN = "not_your_turn"
    NOTHING_TO_WITHDRAW = "nothing_to_withdraw"


# numeric(20, 4) in the database.
LARGEST_AMOUNT = Decimal(10) ** 16


@dataclass(frozen=True, slots=True)
class SoftClose:
    """A valid bid received in the last `window` moves the end to its receipt (or the old end) + `extend`.

    At most `max_extensions` times and never past the hard stop; None: no such bound.
    """

    window: timedelta
    extend: timedelta
    counted_from: ExtendFrom = ExtendFrom.RECEIPT
    max_extensions: int | None = None
    hard_stop_at: datetime | None = None


@dataclass(frozen=True)
class Terms:
    """What is fixed for a lot before its auction starts. Limit and step apply to the effective price.

    `limit` is the worst price admitted, None where there is none; `step` is an amount in whole minor units. `clock` is
    of the Dutch and the Japanese kind, `timetable` of the turn-based one, `single_bid_price` of second price; with
    `proxy_bids` an English bidder may set a limit.
    """

    direction: Direction
    minor_unit: Decimal
    limit: Decimal | None
    step: Decimal
    reference: Reference = Reference.LEADER
    soft_close: SoftClose | None = None
    formulas: dict[str, EffectivePrice] = field(default_factory=dict)
    kind: AuctionKind = AuctionKind.ENGLISH
    clock: PriceClock | None = None
    timetable: Timetable = THREE_ROUNDS
    single_bid_price: SingleBidPrice = SingleBidPrice.OWN
    proxy_bids: bool = False

    def formula(self, bidder: str) -> EffectivePrice:
        return self.formulas.get(bidder, PRICE_ALONE)

    @cached_property
    def exact_limit(self) -> Fraction | None:
        return None if self.limit is None else Fraction(self.limit)

    @cached_property
    def exact_step(self) -> Fraction:
        """Signed: added to a reference it gives the worst price that beats it."""
        return Fraction(self.step) * (-1 if self.direction is Direction.DOWN else 1)

    def least_concession(self, bidder: str, worst: Fraction) -> Decimal | None:
        """The worst effective price that is admitted as the amount the bidder may type: in minor units, rounded to the
        side that is admitted. Buying, None where nothing above zero is; selling, at least one unit."""
        amount = self.formula(bidder).amount(worst)
        if self.direction is Direction.UP:
            return max(ceil_to(amount, self.minor_unit), self.minor_unit)
        rounded = floor_to(amount, self.minor_unit)
        return rounded if rounded > 0 else None


@dataclass(frozen=True, slots=True)
class Play:
    """What a kind alone keeps of the course of its auction; each kind that keeps anything has its own."""


@dataclass(frozen=True)
class Room:
    """The state of one lot's auction. `standings` by bidder; only those in `bidders` may bid. [starts_at, ends_at).

    `delay` is for how long it stood still so far: times that are counted from the start are counted without it.
    """

    terms: Terms
    status: AuctionStatus
    starts_at: datetime
    ends_at: datetime
    bidders: frozenset[str]
    standings: dict[str, Standing]
    extensions: int = 0
    order: int = 0
    play: Play | None = None
    delay: timedelta = timedelta()

    @cached_property
    def leader(self) -> Standing | None:
        return leader(self.standings.values(), self.terms.direction)

    @cached_property
    def ranking(self) -> tuple[Ranked, ...]:
        return ranking(self.standings.values(), self.terms.direction)

    @cached_property
    def allowances(self) -> dict[str, Decimal | None]:
        """What may be typed in this room, by bidder, as far as it has been asked: `concession.allowed_amount` keeps it
        here."""
        return {}

    @cached_property
    def ranks(self) -> dict[str, int]:
        """The rank of each bidder that has one: looked up for every viewer of the room."""
        return {line.standing.bidder: line.rank for line in self.ranking}

    def with_standing(self, standing: Standing, ends_at: datetime, extensions: int) -> Room:
        """The room after an accepted bid. The old room is not changed."""
        after = Room(
            self.terms,
            self.status,
            self.starts_at,
            ends_at,
            self.bidders,
            {**self.standings, standing.bidder: standing},
            extensions,
            standing.order,
            self.play,
            self.delay,
        )
        before = self.leader
        if before is None or stands_before(standing, before, self.terms.direction):
            # Spares looking through all bidders again: most accepted bids take the lead.
            after.__dict__["leader"] = standing
        return after


@dataclass(frozen=True, slots=True)
class Move:
    """What a bidder did, as it was received; `received_at` is the stamp on arrival, not the time of the decision.

    A bid and a limit have an amount. An acceptance or a confirmation may have the price that the bidder saw: it is then
    refused where the price has moved on meanwhile.
    """

    bidder: str
    amount: Decimal | None
    received_at: datetime
    action: Action = Action.BID


# A move in an English auction is a bid.
Bid = Move


@dataclass(frozen=True, slots=True)
class Decision:
    """What became of a move. `code` is None when it was accepted.

    `allowed` is the `allowed_amount`, or what works it out: of most bids that are accepted nobody asks for it.
    `effective` is that of the move, None where it names no price; `extended` whether the end moved; `ends_at` the end
    after it.
    """

    move: Move
    code: Refused | None
    allowed: Decimal | Callable[[], Decimal | None] | None = field(compare=False)
    effective: Fraction | None
    ends_at: datetime
    extended: bool = False

    @property
    def accepted(self) -> bool:
        return self.code is None

    @property
    def allowed_amount(self) -> Decimal | None:
        """The best amount the bidder could have typed at that moment (the least concession), None where nothing is
        admissible."""
        return self.allowed() if callable(self.allowed) else self.allowed


class HappeningKind(StrEnum):
    """What time alone brings about."""

    AUTOMATIC_BIDS = "automatic_bids"
    TICK = "tick"
    PAUSE = "pause"
    TURN = "turn"
    PUBLISHED = "published"
    ANNOUNCEMENT = "announcement"


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happened at an instant without a bidder's move at that instant.

    automatic_bids: `bids` are the last ones that were made for each bidder with a proxy limit.
    tick: the price moved to `price` (effective), until `until`, tick `number` (from 0); `out` are the bidders who did
    not confirm the one before. pause, turn (of `bidder`): begins, until `until`, in round `number` (from 1).
    published: the turn of `bidder` has ended, `bids` has its bid if it made one. announcement: all is over.
    """

    kind: HappeningKind
    at: datetime
    until: datetime | None = None
    bidder: str | None = None
    number: int = 0
    price: Fraction | None = None
    bids: tuple[Standing, ...] = ()
    out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Course:
    """What everybody may see of where an auction is: the tick, pause or turn that runs, and until when.

    `number` of the tick (from 0) or of the round (from 1), `last` of the last one; `price` (effective) of the tick;
    `bidder` whose turn it is; `order` that of the round, by bidder.
    """

    kind: HappeningKind
    number: int
    last: int
    until: datetime | None
    price: Fraction | None = None
    bidder: str | None = None
    order: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Allowance:
    """What a bidder may do at a moment. `amount` is the least concession: what it may type at most (or, selling, at
    least), or the price it accepts or confirms; None where any amount will do.

    `until`: as long as nothing happens before. Where `actions` is empty `code` says why.
    """

    actions: tuple[Action, ...]
    amount: Decimal | None = None
    until: datetime | None = None
    code: Refused | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """Who wins and at which price; both None where nobody does. `price` is what is paid: not always the winner's
    bid."""

    winner: str | None
    price: Decimal | None
