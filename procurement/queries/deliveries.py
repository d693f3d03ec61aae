"""Deliveries on contracts: how far each position is, what was recorded, what waits for whom."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final

from django.db.models import Prefetch, Q, QuerySet, Sum
from django.urls import reverse
from django.utils.translation import gettext as _

from marketplace.models import Organisation, Role
from marketplace.permissions import Actor
from marketplace.waiting import Task
from procurement.models import BidPrice, Contract, ContractSide, Delivery, DeliveryKind, DeliveryLine, Item
from procurement.rules.deliveries import Position
from procurement.rules.lifecycle import DeliveryStatus

_TASKS: Final = 6
_BUYERS: Final = (Role.OFFICER, Role.SIGNER)
_SUPPLIERS: Final = (Role.BID_MANAGER, Role.SIGNER)


@dataclass(frozen=True, slots=True)
class PositionRow:
    """A position of a contract, its price line where its bid had one, and how far it is."""

    item: Item
    price: BidPrice | None
    state: Position


def positions(contract: Contract) -> list[PositionRow]:
    """The contract's positions by number. Three queries, however many there are."""
    lot_id, bid_id = contract.award.lot_id, contract.award.bid_id
    prices = {price.item_id: price for price in BidPrice.objects.filter(bid=bid_id)}
    sums = _sums(contract)
    rows = []
    for item in Item.objects.filter(lot=lot_id).order_by("number"):
        accepted, waiting = sums.get(item.pk, (Decimal(0), Decimal(0)))
        price = prices.get(item.pk)
        state = Position(item.quantity, accepted, waiting, price.amount if price else Decimal(0))
        rows.append(PositionRow(item, price, state))
    return rows


def _sums(contract: Contract) -> dict[int, tuple[Decimal, Decimal]]:
    """By item: accepted less what went back, and what waits for the buyer."""
    lines = DeliveryLine.objects.filter(delivery__contract=contract).order_by()
    confirmed, came = Q(delivery__status=DeliveryStatus.CONFIRMED.value), Q(delivery__kind=DeliveryKind.DELIVERY)
    rows = lines.values_list("item").annotate(
        came=Sum("accepted", filter=confirmed & came),
        went=Sum("accepted", filter=confirmed & ~came),
        waiting=Sum("quantity", filter=Q(delivery__status=DeliveryStatus.RECORDED.value) & came),
    )
    nothing = Decimal(0)
    return {item: ((came or nothing) - (went or nothing), waiting or nothing) for item, came, went, waiting in rows}


def returnable(delivery: Delivery) -> dict[int, Decimal]:
    """By item, what of a confirmed delivery was accepted and neither went back nor is said to."""
    left = {line.item_id: line.accepted or Decimal(0) for line in delivery.lines.all()}
    back = DeliveryLine.objects.filter(
        delivery__corrects=delivery,
        delivery__status__in=[DeliveryStatus.RECORDED.value, DeliveryStatus.CONFIRMED.value],
    )
    for item, quantity in back.order_by().values_list("item").annotate(sum=Sum("quantity")):
        left[item] -= quantity
    return left


def of(contract: Contract) -> QuerySet[Delivery]:
    """The contract's deliveries and returns with their lines, in the order in which they were recorded."""
    lines = Prefetch("lines", DeliveryLine.objects.select_related("item"))
    found = Delivery.objects.filter(contract=contract).order_by("number")
    return found.select_related("recorded_by", "decided_by", "corrects", "contract").prefetch_related(lines)


def to_decide(organisation: Organisation) -> QuerySet[Delivery]:
    """What waits for this organisation: recorded by the other side."""
    ours = Q(contract__buyer=organisation, side=ContractSide.SUPPLIER)
    ours |= Q(contract__supplier=organisation, side=ContractSide.BUYER)
    found = Delivery.objects.filter(ours, status=DeliveryStatus.RECORDED.value)
    return found.select_related("contract__tender").order_by("pk")


def tasks(actor: Actor, at: datetime) -> Iterator[Task]:
    """Deliveries and returns that the other side recorded."""
    if actor.organisation is None or not actor.has(*_BUYERS, *_SUPPLIERS):
        return
    for row in to_decide(actor.organisation)[:_TASKS]:
        words = _("Confirm a return") if row.is_return else _("Confirm a delivery")
        url = reverse("delivery", args=[row.contract.number, row.number])
        yield Task(words, url, icon="truck-delivery", note=row.contract.tender.title)
