"""Tickets to the gateway: short-lived, signed, naming lot, person and seat, and dated by the platform's time, which
both sides know. The gateway needs no session and no database for them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from django.conf import settings
from django.core import signing

from marketplace.models import Role, StaffRole
from marketplace.permissions import Actor
from marketplace.services import timekeeping
from marketplace.shared import clock
from marketplace.shared.errors import NotFound
from procurement.models import Lot
from procurement.queries import auctions as rooms

_SALT = "openlot.auction.ticket"
# Who bids for a supplier; its other people watch with its eyes.
BIDDING_ROLES = (Role.BID_MANAGER, Role.SIGNER, Role.ADMINISTRATOR)
# The platform's people who watch every auction.
OBSERVING_STAFF = (StaffRole.OPERATOR, StaffRole.AUDITOR)

# By Authorization header, the oldest first: the ticket and when it expires.
_verified: dict[bytes, tuple[Ticket, datetime]] = {}
_MOST_REMEMBERED: Final = 20_000
_LONGEST_REMEMBERED: Final = 500


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a token says. `participant` is the seat whose view is shown, None for an observer, who sees all amounts."""

    lot: int
    person: int
    participant: int | None
    may_bid: bool

    @property
    def seat(self) -> tuple[int, int, int]:
        """Lot, participant and person; an observer has participant 0."""
        return self.lot, self.participant or 0, self.person


class TicketRefused(ValueError):
    """The token is forged, damaged or too old."""


def ticket_for(actor: Actor, lot: Lot) -> Ticket:
    """What this person may do in the lot's auction. Raises NotFound for who has no business there.

    A supplier with a seat sees its own view, and bids through its bid managers, signers and administrators; the
    buyer's people and the platform's operators and auditors observe.
    """
    if actor.person is None:
        raise NotFound
    if actor.acts_for(lot.tender.buyer_id) or actor.is_a(*OBSERVING_STAFF):
        return Ticket(lot.pk, actor.person.pk, None, may_bid=False)
    seat = rooms.of_supplier(lot.pk, actor.organisation.pk) if actor.organisation else None
    if seat is None:
        raise NotFound
    return Ticket(lot.pk, actor.person.pk, seat.pk, may_bid=actor.has(*BIDDING_ROLES))


def issue(ticket: Ticket) -> str:
    """The token for a ticket, valid for GATEWAY_TOKEN_SECONDS from now."""
    issued_at = int(timekeeping.now().timestamp())
    told = [ticket.lot, ticket.person, ticket.participant, int(ticket.may_bid), issued_at]
    return signing.Signer(salt=_SALT).sign_object(told)


def read(token: str) -> Ticket:
    """The ticket of a token. Raises TicketRefused."""
    return bearer(b"Bearer " + token.encode())


def bearer(authorization: bytes) -> Ticket:
    """The ticket of an Authorization header: `Bearer` and a token. Raises TicketRefused.

    A bidder sends the same header with every bid: what was verified is remembered, and only its age is looked at again.
    """
    known = _verified.get(authorization)
    if known is None:
        scheme, _, token = authorization.decode("latin-1").partition(" ")
        known = _verify(token.strip() if scheme.lower() == "bearer" else "")
        if len(_verified) >= _MOST_REMEMBERED:
            _verified.pop(next(iter(_verified)), None)
        if len(authorization) <= _LONGEST_REMEMBERED:
            _verified[authorization] = known
    ticket, expires_at = known
    if clock.now() > expires_at:
        _verified.pop(authorization, None)
        raise TicketRefused("the ticket has expired")
    return ticket


def _verify(token: str) -> tuple[Ticket, datetime]:
    try:
        lot, person, participant, may_bid, issued_at = signing.Signer(salt=_SALT).unsign_object(token)
        expires_at = datetime.fromtimestamp(issued_at, UTC) + timedelta(seconds=settings.GATEWAY_TOKEN_SECONDS)
    except (signing.BadSignature, ValueError, TypeError) as error:
        raise TicketRefused("the ticket is not valid") from error
    return Ticket(lot, person, participant, bool(may_bid)), expires_at
