"""Sealed auctions: the bids came sealed before, and nothing is bid in a room. The best admitted bid wins, at its own
price or at the second-best one."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from procurement.rules.auction.base import (
    Allowance,
    Decision,
    Happening,
    Move,
    Outcome,
    Refused,
    Room,
    SingleBidPrice,
    Terms,
)
from procurement.rules.auction.judging import effective_of, refused_in_room
from procurement.rules.ranking import Standing


def admitted(standings: Iterable[Standing], terms: Terms) -> dict[str, Standing]:
    """The bids that meet the limit, by bidder: the others are not ranked, and set no price either."""
    limit, better = terms.exact_limit, terms.direction.better
    return {bid.bidder: bid for bid in standings if limit is None or not better(limit, bid.effective)}


def decide(room: Room, move: Move) -> tuple[Decision, Room]:
    """Nothing can be done any more."""
    code = allowed(room, move.bidder, move.received_at).code
    return Decision(move, code, None, effective_of(room, move), room.ends_at), room


def allowed(room: Room, bidder: str, at: datetime) -> Allowance:
    return Allowance((), code=refused_in_room(room, bidder, at) or Refused.WRONG_ACTION)


def coming(room: Room) -> tuple[Happening, Room] | None:
    return None


def second_price(room: Room) -> Outcome:
    """The best bid at the second-best effective price, as the winner's amount, rounded so that it is no worse than the
    second bid. With one bid: at the limit or at its own price, as the lot says."""
    ranking = room.ranking
    if not ranking:
        return Outcome(None, None)
    winner = ranking[0].standing
    if len(ranking) > 1:
        return Outcome(winner.bidder, room.terms.least_concession(winner.bidder, ranking[1].standing.effective))
    if room.terms.single_bid_price is SingleBidPrice.LIMIT and room.terms.exact_limit is not None:
        return Outcome(winner.bidder, room.terms.least_concession(winner.bidder, room.terms.exact_limit))
    return Outcome(winner.bidder, winner.amount)
