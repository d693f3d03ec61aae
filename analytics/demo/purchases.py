"""Made-up customers and what they buy: steady and seasonal ones, erratic ones, one-off ones, and some who leave."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from enum import Enum
from typing import Final

from procurement.demo.goods import LINES, Good, Line
from procurement.demo.names import COUNTRIES, Namer

_CENT: Final = Decimal("0.01")
BY_CODE: Final = {line.code: line for line in LINES}
# What a trade buys: nearly everybody of it the first ones, some of them the rest.
TRADES: Final[dict[str, tuple[str, ...]]] = {
    "Maschinenbau": ("44316000", "14622000", "44320000", "18143000", "42120000", "24300000", "19640000", "31680000"),
    "Hotel": ("15800000", "15980000", "90910000", "39130000", "31500000", "79710000", "30197643"),
    "Klinik": ("33140000", "33600000", "18110000", "90910000", "38000000", "30197643", "15800000"),
    "Bau": ("44111000", "43320000", "44316000", "18143000", "34350000", "09134100", "03410000", "44160000"),
    "Logistik": ("09134100", "34350000", "34330000", "44617000", "19640000", "42415000", "18110000"),
    "Verwaltung": ("30197643", "30125100", "39130000", "30213000", "48000000", "79800000", "32420000", "80500000"),
}


class Habit(Enum):
    STEADY = "steady"
    LEAVES = "leaves"  # altogether, on a day
    DROPS = "drops"  # one category, on a day
    SEASONAL = "seasonal"
    ERRATIC = "erratic"
    ONE_OFF = "one_off"


_HABITS: Final = (
    *((Habit.STEADY, 34), (Habit.LEAVES, 24), (Habit.DROPS, 20)),
    *((Habit.SEASONAL, 8), (Habit.ERRATIC, 9), (Habit.ONE_OFF, 5)),
)


@dataclass(slots=True)
class Customer:
    """A customer and its habits. `gap`: days between orders; `every`: of how many orders one has the category."""

    number: str
    name: str
    country: str
    habit: Habit
    gap: float
    size: float
    every: dict[str, int]
    joined: date
    # Since when it buys a category; those that are missing it buys from its first order on.
    begins: dict[str, date] = field(default_factory=dict)
    season: int = 0
    ends: date | None = None
    dropped: str = ""
    # The next order's day, as far as it is drawn, and when each category is due again, in orders.
    next_on: date | None = None
    due: dict[str, int] = field(default_factory=dict)
    # By category, an item that it has in every order of it.
    wanted: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Bought:
    """A line of an order."""

    customer: Customer
    day: date
    order: str
    line: Line
    good: Good
    quantity: int
    amount: Decimal


def customers(rng: random.Random, count: int, today: date, own: Sequence[tuple[str, str, str]]) -> list[Customer]:
    """`count` customers; the first are the buyers on the platform, given as (number, name, country)."""
    namer = Namer(rng)
    trades = list(TRADES)
    found = []
    for place in range(count):
        trade = trades[place % len(trades)]
        if place < len(own):
            number, name, country = own[place]
        else:
            home = rng.choice(COUNTRIES)
            number, country = f"K{20_000 + place}", home.code
            name, _full, _form = namer.company(home, (trade, f"{trade} Service", f"{trade} Group"))
        found.append(_customer(rng, number, name, country, TRADES[trade], today))
    return found


def _customer(
    rng: random.Random, number: str, name: str, country: str, codes: tuple[str, ...], today: date
) -> Customer:
    habit = rng.choices([h for h, _share in _HABITS], [share for _h, share in _HABITS])[0]
    bought = [code for place, code in enumerate(codes) if rng.random() < (0.95 if place < 3 else 0.8)] or [codes[0]]
    # A few large ones bring most of the money, and a long tail the rest.
    size = min(rng.paretovariate(1.15), 25.0) * 0.25
    gap = rng.uniform(9, 40) / min(max(size, 0.7), 2)
    joined = today - timedelta(days=rng.randint(400, 1095))
    found = Customer(
        number, name, country, habit, gap, size, {code: rng.choice((1, 1, 2, 2, 3, 4)) for code in bought}, joined
    )
    # Most come to the further categories in time: who has not yet is who could grow.
    found.begins = {code: joined + timedelta(days=rng.randint(60, 1200)) for code in codes[3:] if code in bought}
    found.season = rng.randint(1, 12)
    if habit in (Habit.LEAVES, Habit.DROPS):
        # Half of them lately, so that there is something to find today; as many before the cards of last summer.
        found.ends = today - timedelta(days=rng.choice((rng.randint(12, 75), rng.randint(125, 190))))
        found.dropped = rng.choice(bought) if habit is Habit.DROPS else ""
    found.next_on = joined
    return found


def bought(rng: random.Random, found: Sequence[Customer], until: date) -> Iterator[Bought]:
    """What the customers buy up to and including the day; asked again with a later day it goes on from there."""
    for customer in found:
        while customer.next_on is not None and customer.next_on <= until:
            day = customer.next_on
            if _is_open(customer, day):
                yield from _order(rng, customer, day)
            customer.next_on = _next(rng, customer, day)


def take_up_again(rng: random.Random, customer: Customer, day: date, code: str = "", item: str = "") -> None:
    """Somebody called: the customer buys again, or begins to buy the category, or the item of it."""
    customer.ends = None
    customer.dropped = ""
    if code in BY_CODE:
        if not item or code not in customer.every or customer.begins.get(code, day) > day:
            customer.every[code], customer.begins[code] = 2, day
        if item:
            customer.wanted[code], customer.due[code] = item, 0
    customer.next_on = day + timedelta(days=rng.randint(1, 15))


def _is_open(customer: Customer, day: date) -> bool:
    if customer.habit is Habit.LEAVES and customer.ends is not None and day > customer.ends:
        return False
    if customer.habit is Habit.SEASONAL:
        return (day.month - customer.season) % 12 < 4
    return True


def _next(rng: random.Random, customer: Customer, day: date) -> date | None:
    if customer.habit is Habit.ONE_OFF:
        return None if rng.random() < 0.6 else day + timedelta(days=rng.randint(60, 300))
    spread = 0.9 if customer.habit is Habit.ERRATIC else 0.22
    return day + timedelta(days=max(1, round(customer.gap * rng.lognormvariate(-spread * spread / 2, spread))))


def _order(rng: random.Random, customer: Customer, day: date) -> Iterator[Bought]:
    order = f"{customer.number}-{day:%y%m%d}"
    for code, every in customer.every.items():
        if day < customer.begins.get(code, day):
            continue
        due = customer.due.get(code, 0)
        if due > 0:
            customer.due[code] = due - 1
            continue
        customer.due[code] = every - 1 + (rng.random() < 0.15)
        if code == customer.dropped and customer.ends is not None and day > customer.ends:
            continue
        line = BY_CODE[code]
        goods = rng.sample(line.goods, min(len(line.goods), rng.choice((1, 1, 2))))
        goods += [good for good in line.goods if good.name == customer.wanted.get(code) and good not in goods]
        for good in goods:
            times = 8 if customer.habit is Habit.ONE_OFF else 1
            quantity = max(1, round(good.lot * customer.size * times * rng.uniform(0.04, 0.12)))
            amount = (good.price * quantity * Decimal(str(round(rng.uniform(0.96, 1.04), 3)))).quantize(_CENT)
            yield Bought(customer, day, order, line, good, quantity, amount)
