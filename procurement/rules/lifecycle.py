"""The states of procurement objects and the only moves between them.

The values go to the database; the names are the field's (OCDS). One table per object and one function, `advance`, for
all.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, TypeVar


class TenderStatus(StrEnum):
    DRAFT = "draft"
    APPROVAL = "approval"
    PUBLISHED = "published"
    OPENING = "opening"
    EVALUATION = "evaluation"
    AUCTION = "auction"
    AWARDING = "awarding"
    STANDSTILL = "standstill"
    COMPLETE = "complete"
    UNSUCCESSFUL = "unsuccessful"
    CANCELLED = "cancelled"


class LotStatus(StrEnum):
    ACTIVE = "active"
    COMPLETE = "complete"
    UNSUCCESSFUL = "unsuccessful"
    CANCELLED = "cancelled"


class BidStatus(StrEnum):
    DRAFT = "draft"
    SUBMITTED = "submitted"
    WITHDRAWN = "withdrawn"
    INVALIDATED = "invalidated"
    OPENED = "opened"
    ADMITTED = "admitted"
    REJECTED = "rejected"
    WINNING = "winning"
    LOSING = "losing"


class AwardStatus(StrEnum):
    PENDING = "pending"
    ACTIVE = "active"
    UNSUCCESSFUL = "unsuccessful"
    CANCELLED = "cancelled"


class ContractStatus(StrEnum):
    DRAFT = "draft"
    SIGNING = "signing"
    ACTIVE = "active"
    TERMINATED = "terminated"
    COMPLETED = "completed"


class AuctionStatus(StrEnum):
    SCHEDULED = "scheduled"
    RUNNING = "running"
    PAUSED = "paused"
    ENDED = "ended"
    CANCELLED = "cancelled"


class ClarificationStatus(StrEnum):
    ASKED = "asked"
    ANSWERED = "answered"


class RequestStatus(StrEnum):
    """Of a request for an offer."""

    SENT = "sent"
    TAKEN_UP = "taken_up"
    ANSWERED = "answered"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"


class DeliveryStatus(StrEnum):
    """Of a delivery on a contract, and of a return."""

    RECORDED = "recorded"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


# A live tender can always fail or be cancelled; a draft can only be thrown away.
_STOPPED: Final = {TenderStatus.UNSUCCESSFUL, TenderStatus.CANCELLED}

TENDER: Final[Mapping[TenderStatus, set[TenderStatus]]] = MappingProxyType(
    {
        TenderStatus.DRAFT: {TenderStatus.APPROVAL, TenderStatus.PUBLISHED, TenderStatus.CANCELLED},
        TenderStatus.APPROVAL: {TenderStatus.DRAFT, TenderStatus.PUBLISHED, TenderStatus.CANCELLED},
        TenderStatus.PUBLISHED: {TenderStatus.OPENING} | _STOPPED,
        TenderStatus.OPENING: {TenderStatus.EVALUATION} | _STOPPED,
        TenderStatus.EVALUATION: {TenderStatus.AUCTION, TenderStatus.AWARDING} | _STOPPED,
        TenderStatus.AUCTION: {TenderStatus.AWARDING} | _STOPPED,
        # No standstill in the preset: straight to complete.
        TenderStatus.AWARDING: {TenderStatus.STANDSTILL, TenderStatus.COMPLETE} | _STOPPED,
        # The winner fell away during the standstill: the next-ranked is awarded.
        TenderStatus.STANDSTILL: {TenderStatus.AWARDING, TenderStatus.COMPLETE} | _STOPPED,
        TenderStatus.COMPLETE: set(),
        TenderStatus.UNSUCCESSFUL: set(),
        TenderStatus.CANCELLED: set(),
    }
)

LOT: Final[Mapping[LotStatus, set[LotStatus]]] = MappingProxyType(
    {
        LotStatus.ACTIVE: {LotStatus.COMPLETE, LotStatus.UNSUCCESSFUL, LotStatus.CANCELLED},
        LotStatus.COMPLETE: set(),
        LotStatus.UNSUCCESSFUL: set(),
        LotStatus.CANCELLED: set(),
    }
)

BID: Final[Mapping[BidStatus, set[BidStatus]]] = MappingProxyType(
    {
        BidStatus.DRAFT: {BidStatus.SUBMITTED, BidStatus.WITHDRAWN},
        BidStatus.SUBMITTED: {BidStatus.WITHDRAWN, BidStatus.INVALIDATED, BidStatus.OPENED},
        # An amendment that matters asks for one signature more; the bid is as it was.
        BidStatus.INVALIDATED: {BidStatus.SUBMITTED, BidStatus.WITHDRAWN},
        # A bidder has one bid for a lot: who withdrew in time may prepare it again.
        BidStatus.WITHDRAWN: {BidStatus.DRAFT},
        BidStatus.OPENED: {BidStatus.ADMITTED, BidStatus.REJECTED},
        # A bid can be disqualified even after it has won; then the next-ranked moves up.
        BidStatus.ADMITTED: {BidStatus.WINNING, BidStatus.LOSING, BidStatus.REJECTED},
        BidStatus.WINNING: {BidStatus.LOSING, BidStatus.REJECTED},
        BidStatus.LOSING: {BidStatus.WINNING, BidStatus.REJECTED},
        BidStatus.REJECTED: set(),
    }
)

AWARD: Final[Mapping[AwardStatus, set[AwardStatus]]] = MappingProxyType(
    {
        AwardStatus.PENDING: {AwardStatus.ACTIVE, AwardStatus.UNSUCCESSFUL, AwardStatus.CANCELLED},
        AwardStatus.ACTIVE: {AwardStatus.UNSUCCESSFUL, AwardStatus.CANCELLED},
        AwardStatus.UNSUCCESSFUL: set(),
        AwardStatus.CANCELLED: set(),
    }
)

CONTRACT: Final[Mapping[ContractStatus, set[ContractStatus]]] = MappingProxyType(
    {
        ContractStatus.DRAFT: {ContractStatus.SIGNING, ContractStatus.TERMINATED},
        ContractStatus.SIGNING: {ContractStatus.DRAFT, ContractStatus.ACTIVE, ContractStatus.TERMINATED},
        ContractStatus.ACTIVE: {ContractStatus.TERMINATED, ContractStatus.COMPLETED},
        ContractStatus.TERMINATED: set(),
        ContractStatus.COMPLETED: set(),
    }
)

AUCTION: Final[Mapping[AuctionStatus, set[AuctionStatus]]] = MappingProxyType(
    {
        AuctionStatus.SCHEDULED: {AuctionStatus.RUNNING, AuctionStatus.CANCELLED},
        AuctionStatus.RUNNING: {AuctionStatus.PAUSED, AuctionStatus.ENDED, AuctionStatus.CANCELLED},
        AuctionStatus.PAUSED: {AuctionStatus.RUNNING, AuctionStatus.CANCELLED},
        AuctionStatus.ENDED: set(),
        AuctionStatus.CANCELLED: set(),
    }
)

CLARIFICATION: Final[Mapping[ClarificationStatus, set[ClarificationStatus]]] = MappingProxyType(
    {ClarificationStatus.ASKED: {ClarificationStatus.ANSWERED}, ClarificationStatus.ANSWERED: set()}
)

REQUEST: Final[Mapping[RequestStatus, set[RequestStatus]]] = MappingProxyType(
    {
        RequestStatus.SENT: {
            RequestStatus.TAKEN_UP,
            RequestStatus.ANSWERED,
            RequestStatus.DECLINED,
            RequestStatus.WITHDRAWN,
        },
        RequestStatus.TAKEN_UP: {RequestStatus.ANSWERED, RequestStatus.DECLINED, RequestStatus.WITHDRAWN},
        RequestStatus.ANSWERED: set(),
        # The supplier may think better of it.
        RequestStatus.DECLINED: {RequestStatus.TAKEN_UP},
        RequestStatus.WITHDRAWN: set(),
    }
)

# What was confirmed is corrected by a return only.
DELIVERY: Final[Mapping[DeliveryStatus, set[DeliveryStatus]]] = MappingProxyType(
    {
        DeliveryStatus.RECORDED: {DeliveryStatus.CONFIRMED, DeliveryStatus.REJECTED, DeliveryStatus.CANCELLED},
        DeliveryStatus.CONFIRMED: set(),
        DeliveryStatus.REJECTED: set(),
        DeliveryStatus.CANCELLED: set(),
    }
)

TABLES: Final[Mapping[type[StrEnum], Mapping[Any, set[Any]]]] = MappingProxyType(
    {
        TenderStatus: TENDER,
        LotStatus: LOT,
        BidStatus: BID,
        AwardStatus: AWARD,
        ContractStatus: CONTRACT,
        AuctionStatus: AUCTION,
        ClarificationStatus: CLARIFICATION,
        RequestStatus: REQUEST,
        DeliveryStatus: DELIVERY,
    }
)

State = TypeVar(
    "State",
    TenderStatus,
    LotStatus,
    BidStatus,
    AwardStatus,
    ContractStatus,
    AuctionStatus,
    ClarificationStatus,
    RequestStatus,
    DeliveryStatus,
)


class IllegalMove(ValueError):
    """A move that the object's table does not contain. Services refuse it as `IllegalTransition`, which a person can
    read."""

    def __init__(self, state: StrEnum, after: StrEnum) -> None:
        super().__init__(f"{type(state).__name__}: {state} cannot become {after}")
        self.state = state
        self.after = after


def allowed(state: State, after: State) -> bool:
    """Whether the object's table has the move; staying in a state is not a move."""
    return after in TABLES[type(state)][state]


def advance(state: State, after: State) -> State:
    """The state after the move. Raises IllegalMove when the table does not have it."""
    if not allowed(state, after):
        raise IllegalMove(state, after)
    return after


def is_final(state: State) -> bool:
    """Nothing follows: the object's story is over."""
    return not TABLES[type(state)][state]


def tender_outcome(lots: Iterable[LotStatus]) -> TenderStatus | None:
    """What the tender becomes by its lots; None while a lot is still active.

    All cancelled: cancelled; none complete and not all cancelled: unsuccessful; otherwise complete.
    """
    outcomes = set(lots)
    if not outcomes:
        raise ValueError("a tender has at least one lot")
    if LotStatus.ACTIVE in outcomes:
        return None
    if outcomes == {LotStatus.CANCELLED}:
        return TenderStatus.CANCELLED
    return TenderStatus.COMPLETE if LotStatus.COMPLETE in outcomes else TenderStatus.UNSUCCESSFUL
