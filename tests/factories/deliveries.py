"""Deliveries on contracts, as both sides record and confirm them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from itertools import count
from typing import Any

from marketplace.permissions import Actor
from procurement.models import Contract, Delivery, Item
from procurement.services import deliveries
from procurement.services.delivery_checks import Accepted, Came
from tests.factories.marketplace import member

_keys = count(1)


def items(contract: Contract) -> list[Item]:
    return list(Item.objects.filter(lot=contract.award.lot_id).order_by("number"))


def came(contract: Contract, day: date, *quantities: str, **fields: Any) -> Came:
    """Quantities by position; "0" is none of it."""
    by_item = {
        item.pk: Decimal(quantity)
        for item, quantity in zip(items(contract), quantities, strict=False)
        if quantity != "0"
    }
    return Came(day, by_item, **({"note_number": "LS-1"} | fields))


def recorded(
    contract: Contract, day: date, *quantities: str, at: datetime, by: Actor | None = None, **more: Any
) -> Delivery:
    """A delivery that waits for the buyer."""
    who = by or member(contract.supplier)
    return deliveries.record(
        contract.pk, came(contract, day, *quantities), key=f"delivery-{next(_keys)}", by=who, at=at, **more
    )


def confirmed(
    contract: Contract, day: date, *quantities: str, at: datetime, accepted: list[str] | None = None, **more: Any
) -> Delivery:
    """A delivery that the buyer has confirmed, whole or as `accepted`."""
    delivery = recorded(contract, day, *quantities, at=at, **more)
    lines = list(delivery.lines.order_by("item__number"))
    taken = [Decimal(one) for one in accepted] if accepted else [line.quantity for line in lines]
    by_item = {line.item_id: quantity for line, quantity in zip(lines, taken, strict=True)}
    why = {line.item_id: "Damaged" for line in lines}
    return deliveries.confirm(delivery.pk, Accepted(by_item, why), agrees=True, by=member(contract.buyer), at=at)


def returned(delivery: Delivery, day: date, *quantities: str, at: datetime) -> Delivery:
    """A confirmed return of a confirmed delivery: the buyer sends back, the supplier confirms."""
    contract = delivery.contract
    back = deliveries.give_back(
        delivery.pk,
        came(contract, day, *quantities, remark="The wrong colour", note_number=""),
        key=f"delivery-{next(_keys)}",
        by=member(contract.buyer),
        at=at,
    )
    return deliveries.confirm(back.pk, Accepted({}), by=member(contract.supplier), at=at)
