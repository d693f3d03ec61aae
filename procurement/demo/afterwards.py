"""What follows on procedures, and goes without one: deliveries on contracts in force, and requests for offers."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from django.db.models import Q

from marketplace.permissions import Actor
from procurement.demo.companies import Company
from procurement.demo.present import Stage
from procurement.models import Contract, Delivery
from procurement.queries import deliveries as queries
from procurement.rules.lifecycle import ContractStatus
from procurement.services import deliveries, offer_requests
from procurement.services.delivery_checks import Accepted, Came
from procurement.services.offer_requests import Wanted

#: Contracts that something was delivered on: of the named companies, and of others.
OWN, OTHERS = 6, 24
_SEED: Final = 17
_SHORT: Final = "Two cartons were damaged in transport."


def make(stage: Stage, now: datetime) -> None:
    """The named buyer first, so that a newcomer finds some of everything."""
    rng = random.Random(_SEED)
    _deliveries(rng, stage, now)
    _requests(stage, now)


def _deliveries(rng: random.Random, stage: Stage, now: datetime) -> None:
    companies = {company.organisation.pk: company for company in (*stage.buyers, *stage.suppliers)}
    named = Q(buyer=stage.buyers[0].organisation) | Q(supplier__in=[one.organisation for one in stage.suppliers[:2]])
    # In force for some days, so that something can have come.
    in_force = Contract.objects.filter(
        status=ContractStatus.ACTIVE.value, signed_at__lt=now - timedelta(days=3), signed_at__isnull=False
    )
    rows = in_force.select_related("tender", "award").order_by("-signed_at", "-pk")
    found = [*rows.filter(named)[:OWN], *rows.exclude(named)[:OTHERS]]
    for place, contract in enumerate(found):
        _deliver(rng, stage, contract, companies, now, place)


def _deliver(
    rng: random.Random, stage: Stage, contract: Contract, companies: Mapping[int, Company], now: datetime, place: int
) -> None:
    """One to three deliveries; of each kind of ending some: waiting, short, sent back, complete."""
    supplier, buyer = stage.actor(companies[contract.supplier_id]), stage.actor(companies[contract.buyer_id])
    assert contract.signed_at is not None
    first = contract.signed_at + timedelta(days=1)
    gap = (now - first) / 4
    count = 1 + place % 3
    for number in range(count):
        at = first + gap * (number + 1)
        left = {row.item.pk: row.state.open for row in queries.positions(contract) if row.state.open}
        share = Decimal(1) if number == 2 else Decimal(rng.choice(("0.3", "0.4", "0.5")))
        quantities = {pk: max(Decimal(1), (open_ * share).quantize(Decimal(1))) for pk, open_ in left.items()}
        quantities = {pk: min(quantity, left[pk]) for pk, quantity in quantities.items()}
        came = Came(_day(contract, at), quantities, f"LS-{contract.pk}-{number + 1}")
        row = deliveries.record(contract.pk, came, key=f"demo-{contract.pk}-{number}", by=supplier, at=at)
        if place % 4 == 0 and number == count - 1:
            continue  # it waits for the buyer
        _confirm(row, short=place % 4 == 1 and number == 0, by=buyer, at=at + gap / 4)
        if place % 5 == 2 and number == 0:
            _send_back(row, buyer, supplier, at + gap / 2)


def _confirm(row: Delivery, *, short: bool, by: Actor, at: datetime) -> None:
    accepted = {line.item_id: line.quantity for line in row.lines.all()}
    why: dict[int, str] = {}
    item, most = next(iter(accepted.items()))
    if short and most > 2:
        accepted[item], why[item] = most - 2, _SHORT
    deliveries.confirm(row.pk, Accepted(accepted, why), by=by, at=at)


def _send_back(row: Delivery, buyer: Actor, supplier: Actor, at: datetime) -> None:
    line = row.lines.first()
    assert line is not None
    came = Came(_day(row.contract, at), {line.item_id: Decimal(1)}, remark="Not the size that was ordered.")
    back = deliveries.give_back(row.pk, came, key=f"demo-back-{row.pk}", by=buyer, at=at)
    deliveries.confirm(back.pk, Accepted({}), by=supplier, at=at + timedelta(hours=3))


def _day(contract: Contract, at: datetime) -> date:
    return at.astimezone(ZoneInfo(contract.tender.time_zone)).date()


def _requests(stage: Stage, now: datetime) -> None:
    """The named buyer asks both named suppliers, others ask the first of them and the platform."""
    us, first, second = stage.buyers[0], stage.suppliers[0], stage.suppliers[1]
    _ask(stage, us, first, "Safety gloves for 80 people, sizes 8 to 11, in two deliveries.", now, 5, budget="2400")
    answered = _ask(stage, us, second, "Printing paper A4, 40 boxes a quarter, delivered to Rostock.", now, 3)
    text = "We deliver 40 boxes a quarter at 21.90 EUR a box, free to your dock. The offer stands for four weeks."
    offer_requests.answer(answered, text, by=stage.actor(second), at=now - timedelta(days=2))
    others: Sequence[Company] = stage.buyers[1:3]
    for days, other in enumerate(others, start=1):
        _ask(stage, other, first, "A framework for hand tools, some 300 items a year. What can you offer?", now, days)
        need = "We buy for three sites and would like to see how a framework with call-offs is run here."
        _ask(stage, other, None, need, now, days, contact_by="phone", phone="+4930901820")


def _ask(
    stage: Stage, asker: Company, supplier: Company | None, need: str, now: datetime, days: int, *, budget: str = "",
    contact_by: str = "email", phone: str = "",
) -> int:  # fmt: skip
    at = now - timedelta(days=days)
    wanted = Wanted(
        supplier.organisation.pk if supplier else None,
        need,
        (now + timedelta(days=21 + days)).date(),
        budget=Decimal(budget) if budget else None,
        currency="EUR" if budget else "",
        contact_by=contact_by,
        phone=phone,
    )
    whom = supplier.organisation.pk if supplier else 0
    return offer_requests.ask(wanted, key=f"demo-{whom}-{days}", by=stage.actor(asker), at=at).pk
