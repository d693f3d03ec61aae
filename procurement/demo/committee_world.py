"""Procedures of the demo world whose keys the named buyer's committee holds: one waits for its shares, one is open."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from allauth.account.models import EmailAddress
from django.db import transaction

from marketplace.models import Membership, Person, Role
from marketplace.permissions import actor_for
from marketplace.shared.money import minor_unit
from marketplace.signatures import sealing
from procurement.demo import committee
from procurement.demo.cast import COMMITTEE, PASSWORD
from procurement.demo.committee import Holder
from procurement.demo.companies import Company
from procurement.demo.goods import Line
from procurement.demo.history import price_of
from procurement.demo.present import Stage, days_are_days
from procurement.models import Lot, Tender
from procurement.rules.evaluation import line_amount
from procurement.services import bid_content, bid_drafts, bids, publishing, tenders
from procurement.services.bid_content import CONTENT_PART, Content, ContentLine

#: How many procedures `make` adds to the world.
COUNT: Final = 2


def make(stage: Stage, buyer: Company, line: Line, suppliers: list[Company], now: datetime) -> None:
    """The buyer and two colleagues hold the keys; any two of them open. The passphrase of all is the log-in's."""
    long_ago = now - timedelta(days=60)
    holders = [
        committee.make_key(actor, long_ago, PASSWORD)
        for actor in (stage.actor(buyer), *(actor_for(one, buyer.organisation) for one in _colleagues(buyer, long_ago)))
    ]
    waiting = _published(stage, buyer, line, holders, now - timedelta(days=13), now - timedelta(hours=3))
    for supplier in suppliers:
        for lot in waiting.lots.prefetch_related("items"):
            _sealed_bid(stage, supplier, lot, line, now - timedelta(hours=5))
    stage.open(waiting)
    # One of the two that are needed: the newcomer releases the other.
    committee.release(waiting, holders[1], now - timedelta(hours=2))
    _published(stage, buyer, line, holders, now - timedelta(days=2), now + timedelta(days=9))


@transaction.atomic
def _colleagues(buyer: Company, at: datetime) -> list[Person]:
    found = []
    for part in COMMITTEE:
        person = Person.objects.create_user(part.email, PASSWORD, full_name=part.name, position=part.position)
        EmailAddress.objects.create(user=person, email=part.email, primary=True, verified=True)
        Membership.objects.create(
            person=person, organisation=buyer.organisation, roles=[Role.EVALUATOR.value], created_at=at
        )
        found.append(person)
    return found


def _published(
    stage: Stage, buyer: Company, line: Line, holders: list[Holder], at: datetime, ends_at: datetime
) -> Tender:
    by, drafted = stage.actor(buyer), at - timedelta(hours=20)
    with days_are_days():
        tender = stage.draft(buyer, line, drafted)
        tenders.update(
            tender.pk, "timetable", {"enquiry_ends_at": at + (ends_at - at) / 2, "tender_ends_at": ends_at},
            revision=tender.revision, by=by, at=drafted,
        )  # fmt: skip
        committee.hold(tender, holders, 2, by=by, at=at)
        for holder in holders:
            committee.confirm(tender, holder, at)
        return publishing.publish(tender.pk, by=by, at=at)


def _sealed_bid(stage: Stage, supplier: Company, lot: Lot, line: Line, at: datetime) -> None:
    """What a bidder's browser does: nothing of the prices reaches the platform unsealed."""
    by = stage.actor(supplier)
    bid = bid_drafts.start(lot.pk, by=by, at=at)
    items = list(lot.items.all())
    usual = {good.name.partition(" {")[0]: good for good in line.goods}
    lines = []
    for item in items:
        good = next((good for name, good in usual.items() if item.description.startswith(name)), line.goods[0])
        unit = price_of(stage.rng, good, supplier.size, at)
        lines.append(ContentLine(item.pk, unit, line_amount(item.quantity, unit, minor_unit(lot.currency))))
    content = Content(tuple(lines), sum((one.amount for one in lines), Decimal(0)), "", ())
    plain = bid_content.encode(bid, bid.version + 1, content, items)
    ciphertext = sealing.seal(bytes(lot.public_key or b""), plain, bid_content.info(bid, CONTENT_PART))
    request = bids.prepare_sealed(
        bid.pk, ciphertext, [], bid_version=bid.version + 1, tender_version=lot.tender.version, by=by, at=at
    )
    bids.submit(request.pk, stage.signed(request, supplier, at), idempotency_key=request.nonce, by=by, at=at)
