"""Who may look at an auction and bid in it, from which seat: asked again with every bid, for roles and suppliers
change while an auction runs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

import psycopg

from marketplace import entitlements
from marketplace.entitlements import Action, Answer, Need
from marketplace.models import AccreditationStatus, Organisation, OrganisationStatus, Side, SubscriptionStatus
from procurement.auction.tokens import BIDDING_ROLES, OBSERVING_STAFF
from procurement.models import Auction
from procurement.procedures import Family
from procurement.rules.lifecycle import BidStatus
from procurement.services import auction_log
from procurement.services.auction_log import array

# In a subquery of its own, or the planner may begin with all members of all suppliers.
_SEATED: Final = """
    SELECT asked.lot, asked.participant, asked.person
    FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS asked (lot, participant, person)
    WHERE EXISTS (
      SELECT FROM procurement_auctionparticipant AS seat
      JOIN procurement_auction AS auction ON auction.id = seat.auction_id
      JOIN procurement_bid AS bid ON bid.id = seat.bid_id
      JOIN marketplace_organisation AS supplier ON supplier.id = seat.supplier_id
      {}
      WHERE seat.id = asked.participant AND auction.lot_id = asked.lot AND supplier.status = %s {} OFFSET 0
    )
"""
_MEMBER: Final = """JOIN marketplace_membership AS member
        ON member.organisation_id = supplier.id AND member.person_id = asked.person AND member.active
      JOIN marketplace_person AS person ON person.id = member.person_id AND person.is_active"""
_LIVE_MEMBERS: Final = _SEATED.format(_MEMBER, "")
# The pass says that it may bid, but may be older than what became of the bid or the accreditation. An accreditation
# that was revoked has lost its end, and gets none by being asked for anew.
_ADMITTED: Final = """
        AND bid.status = %s AND NOT EXISTS (
          SELECT FROM marketplace_accreditation AS accreditation
          WHERE accreditation.organisation_id = supplier.id AND accreditation.side = %s
            AND accreditation.status <> %s AND accreditation.valid_until IS NULL
        )"""
_COVERS_LIVE_AUCTIONS: Final = """plan.side = %s AND coalesce((plan.permits->>'live_auctions')::boolean, true)
          AND (coalesce(plan.permits->'families', '[]') = '[]' OR plan.permits->'families' ? %s)"""
# As `entitlement` answers: what ends while the auction runs counts until it is over, for nobody shall lose an auction
# to midnight; what had ended before it began counts again when it is renewed.
_ENTITLED: Final = f"""
    SELECT live.lot, live.participant, live.person, EXISTS (
      SELECT FROM procurement_auctionparticipant AS seat
      JOIN procurement_auction AS auction ON auction.id = seat.auction_id
      WHERE seat.id = live.participant AND NOT EXISTS (
        SELECT FROM marketplace_accreditation AS accreditation
        WHERE accreditation.organisation_id = seat.supplier_id AND accreditation.side = %s
          AND accreditation.valid_until <= auction.starts_at
      ) AND (EXISTS (
        SELECT FROM marketplace_subscription AS taken JOIN marketplace_plan AS plan ON plan.id = taken.plan_id
        WHERE taken.organisation_id = seat.supplier_id AND taken.status = %s
          AND taken.starts_at <= %s AND taken.ends_at > auction.starts_at AND {_COVERS_LIVE_AUCTIONS}
      ) OR EXISTS (
        SELECT FROM marketplace_plan AS plan
        WHERE plan.active AND (plan.permits->>'included')::boolean AND {_COVERS_LIVE_AUCTIONS}
      ))
    ) AS entitled
    FROM ({{}}) AS live
"""
LIVE_BIDDERS: Final = _ENTITLED.format(_SEATED.format(_MEMBER, "AND member.roles::text[] && %s::text[]" + _ADMITTED))
# Whom the system may bid for, whoever of the supplier's people has told it to.
_LIVE_SUPPLIERS: Final = _ENTITLED.format(_SEATED.format("", _ADMITTED))
_LIVE_OBSERVERS: Final = """
    SELECT seat.lot, 0, person.id
    FROM unnest(%s::bigint[], %s::bigint[]) AS seat (lot, person)
    JOIN marketplace_person AS person ON person.id = seat.person AND person.is_active
    WHERE person.staff_roles::text[] && %s::text[] OR EXISTS (
      SELECT FROM procurement_lot AS lot
      JOIN procurement_tender AS tender ON tender.id = lot.tender_id
      JOIN marketplace_membership AS member ON member.organisation_id = tender.buyer_id
      WHERE lot.id = seat.lot AND member.person_id = person.id AND member.active
    )
"""
_ADMISSION: Final = BidStatus.ADMITTED.value, Side.SUPPLIER.value, AccreditationStatus.ACCEPTED.value


def live_members(seats: Sequence[tuple[int, int, int]]) -> set[tuple[int, int, int]]:
    """Which of these (lot, participant, person) may still look from there; participant 0 is an observer."""
    seated, observing = [seat for seat in seats if seat[1]], [seat for seat in seats if not seat[1]]
    members = set(auction_log.execute(_LIVE_MEMBERS, *_asked_of(seated), kept=False)) if seated else set()
    return members | set(_live_observers(observing) if observing else ())


def bidders_of(seats: Collection[tuple[int, int, int]], at: datetime) -> tuple[Any, ...]:
    """What LIVE_BIDDERS is asked with of these (lot, participant, person) at `at`."""
    roles = [role.value for role in BIDDING_ROLES]
    return (*_tariff_at(at), *_asked_of(seats), roles, *_ADMISSION)


def suppliers_in(seats: Collection[tuple[int, int]], at: datetime) -> set[tuple[int, int]]:
    """Which of these (lot, participant) are of suppliers that may bid at `at`."""
    asked = _asked_of([(lot, participant, 0) for lot, participant in seats])
    found = auction_log.execute(_LIVE_SUPPLIERS, *_tariff_at(at), *asked, *_ADMISSION)
    return {(lot, participant) for lot, participant, _nobody, entitled in found if entitled}


def entitlement(auction: Auction, supplier: Organisation, at: datetime) -> Answer:
    """Whether the supplier's accreditation and tariff let it bid in the auction, and why not: those that it had when
    the auction began, or has at `at`."""
    need = Need(Action.LIVE_AUCTION, Family.AUCTION.value)
    began = min(at, auction.starts_at)
    answer = entitlements.check(supplier, need, began)
    return answer if answer.allowed or began == at else entitlements.check(supplier, need, at)


def _tariff_at(at: datetime) -> tuple[Any, ...]:
    side = Side.SUPPLIER.value
    covers = side, Family.AUCTION.value
    return side, SubscriptionStatus.ACTIVE.value, at, *covers, *covers


def _asked_of(seats: Collection[tuple[int, int, int]]) -> tuple[str, ...]:
    return (*(array(column) for column in zip(*seats, strict=True)), OrganisationStatus.REGISTERED.value)


def _live_observers(seats: Sequence[tuple[int, int, int]]) -> psycopg.Cursor[tuple[Any, ...]]:
    """The buyer's people, and the platform's who may look."""
    lots, _nobody, people = (list(column) for column in zip(*seats, strict=True))
    staff = [role.value for role in OBSERVING_STAFF]
    return auction_log.execute(_LIVE_OBSERVERS, lots, people, staff, kept=False)
