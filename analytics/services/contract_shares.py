"""A contract's price, shared out over the lines of the bid that won."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal

from analytics.rules.spend import apportion
from marketplace.models import Heading
from marketplace.shared.money import minor_unit
from procurement.models import BidPrice, Contract


@dataclass(frozen=True, slots=True)
class Share:
    """A line of the bid that won, with what of the contract's price falls to it. Without one: the whole contract."""

    number: int
    item_id: int | None
    quantity: Decimal
    amount: Decimal
    heading: Heading | None


def of(contracts: Sequence[Contract]) -> dict[int, list[Share]]:
    """By contract. They have their price without VAT as `net`, and their award with them."""
    prices: dict[int, list[BidPrice]] = defaultdict(list)
    lines = BidPrice.objects.filter(bid__awards__contract__in=contracts, amount__gt=0)
    for line in lines.select_related("item__category").order_by("item__number", "pk"):
        prices[line.bid_id].append(line)
    return {contract.pk: list(_shares(contract, prices[contract.award.bid_id])) for contract in contracts}


def _shares(contract: Contract, prices: list[BidPrice]) -> Iterator[Share]:
    """What was paid, shared out as the bid's lines had it.

    After a live auction that is less than their sum, and each bears its part.
    """
    total: Decimal = contract.net  # type: ignore[attr-defined]
    whole = sum((price.amount for price in prices), Decimal(0))
    if not prices or not whole:
        if total > 0:
            yield Share(1, None, Decimal(1), total, None)
        return
    parts = apportion([total * price.amount / whole for price in prices], total, minor_unit(contract.currency))
    for price, part in zip(prices, parts, strict=True):
        if part > 0:
            yield Share(price.item.number, price.item_id, price.item.quantity, part, price.item.category)
