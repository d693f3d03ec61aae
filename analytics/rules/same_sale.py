"""A sale of a company's own system that is a contract on the platform under another number: counted once.

Taken for the same only where nothing speaks against it: one customer and currency, the same money to the minor unit,
the same quantities line by line, days that fit, and no second sale on either side that would do as well. A customer who
orders the same again and again is left alone: of two that fit none is taken.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

#: An order may be entered before the second side has signed, and is invoiced when all has come.
BEFORE: Final = timedelta(days=7)
AFTER: Final = timedelta(days=45)


@dataclass(frozen=True, slots=True)
class Sale:
    """Of one customer in one currency: its number, the days it was made on, net money and the quantities of its lines.

    `amount` is rounded to the currency's minor unit; `quantities` are in order, whatever the lines' own was.
    """

    number: str
    first: date
    last: date
    amount: Decimal
    quantities: tuple[Decimal, ...]

    def may_be(self, contract: Sale) -> bool:
        """Whether nothing speaks against it that this order is that contract, or delivery of one."""
        return (
            self.amount == contract.amount
            and self.quantities == contract.quantities
            and contract.first - BEFORE <= self.first
            and self.last <= contract.last + AFTER
        )


def pairs(own: Sequence[Sale], here: Sequence[Sale], apart: Collection[tuple[str, str]] = ()) -> list[tuple[str, str]]:
    """Numbers of orders with those of the contracts that they are; `apart` are pairs that a person said are two sales.

    An order or a contract that fits several is in no pair.
    """
    by_amount: dict[Decimal, list[Sale]] = defaultdict(list)
    for contract in here:
        by_amount[contract.amount].append(contract)
    found = [
        (order.number, contract.number)
        for order in own
        for contract in by_amount[order.amount]
        if order.may_be(contract) and (order.number, contract.number) not in apart
    ]
    orders, contracts = Counter(order for order, _ in found), Counter(contract for _, contract in found)
    return sorted(pair for pair in found if orders[pair[0]] == contracts[pair[1]] == 1)
