"""What a bid has to give: the limit, and the reference moved by the step; shown back as the amount a bidder may
type."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

from procurement.rules.auction.base import Reference, Refused, Room
from procurement.rules.ranking import Direction


def allowed_amount(room: Room, bidder: str) -> Decimal | None:
    """The least concession the bidder may type now, time aside: in minor units, rounded so that it is admitted.

    None when the bidder leads against itself, when nothing above zero is left, or when a purchase has no bound yet
    (no limit price and nothing to beat: any amount will do).
    """
    if leads_against_itself(room, bidder):
        return None
    terms, known = room.terms, room.allowances
    # One amount for all who have to beat the leader by the price alone: hundreds of viewers are told it at once.
    whose = bidder if terms.reference is Reference.OWN or bidder in terms.formulas else ""
    if whose not in known:
        known[whose] = _least_concession(room, bidder)
    return known[whose]


def _least_concession(room: Room, bidder: str) -> Decimal | None:
    worst = worst_admitted(room, bidder)
    if worst is None:
        return room.terms.minor_unit if room.terms.direction is Direction.UP else None
    return room.terms.least_concession(bidder, worst)


def leads_against_itself(room: Room, bidder: str) -> bool:
    """Whether a bid would only beat the bidder's own, which is no use where the leader's price is the reference."""
    return room.terms.reference is Reference.LEADER and room.leader is not None and room.leader.bidder == bidder


def worst_admitted(room: Room, bidder: str) -> Fraction | None:
    """The worst effective price that is admitted; None where any is."""
    beat, limit = _to_beat(room, bidder), room.terms.exact_limit
    if beat is None or limit is None:
        return limit if beat is None else beat
    return room.terms.direction.best(beat, limit)


def refused_for_price(room: Room, bidder: str, effective: Fraction) -> Refused | None:
    """Whether the price is not good enough, time aside."""
    better = room.terms.direction.better
    limit, beat = room.terms.exact_limit, _to_beat(room, bidder)
    if limit is not None and better(limit, effective):
        return Refused.LIMIT_NOT_MET
    if beat is not None and better(beat, effective):
        return Refused.NO_ROOM_LEFT if allowed_amount(room, bidder) is None else Refused.STEP_NOT_MET
    return None


def as_told(room: Room, bidder: str, code: Refused) -> Refused:
    """The refusal as its bidder is told it. What misses the limit price misses the step as well, where there is
    something to beat: told apart, trying would find out a limit price that is not shown."""
    if code is not Refused.LIMIT_NOT_MET or _to_beat(room, bidder) is None:
        return code
    return Refused.NO_ROOM_LEFT if allowed_amount(room, bidder) is None else Refused.STEP_NOT_MET


def _to_beat(room: Room, bidder: str) -> Fraction | None:
    """The reference moved by the step: the worst effective price that beats it; None while nothing stands."""
    reference = room.leader if room.terms.reference is Reference.LEADER else room.standings.get(bidder)
    return None if reference is None else reference.effective + room.terms.exact_step
