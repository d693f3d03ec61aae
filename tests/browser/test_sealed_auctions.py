"""The sealed kinds of auction with three bidders in three browsers: sealed, opened, and awarded at the right price."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from marketplace.permissions import Actor
from procurement.auction import clock
from procurement.models import Lot
from tests.browser.desk import log_in
from tests.browser.people import Visitor
from tests.factories.bids import CLOSES, tender_taking_bids
from tests.factories.marketplace import NOON, accredited_supplier, member
from tests.factories.signatures import certificate_of, trust

# Two items each, ten of the first and ten of the second: 300.00, 310.00 and 320.00 in all.
PRICES = {"Anna": ("11", "20"), "Bob": ("10", "20"), "Cleo": ("12", "20")}


@pytest.mark.parametrize(
    ("procedure", "price"), [("auction_sealed_first_price", "300.00"), ("auction_sealed_second_price", "310.00")]
)
def test_the_best_sealed_bid_wins(
    procedure: str, price: str, visit: Callable[..., Visitor], freeze: Callable[..., Any], live_server: Any
) -> None:
    now = freeze(NOON)
    trust()
    lot = tender_taking_bids(procedure=procedure).lots.get()
    bidders = {name: member(accredited_supplier(short_name=f"{name} Ltd")) for name in PRICES}
    people = {name: _comes(visit, name.lower(), by, live_server.url) for name, by in bidders.items()}
    for name, person in people.items():
        _bids(person, lot, PRICES[name], certificate_of(bidders[name].organisation))

    clock.tick(now.move_to(CLOSES + timedelta(seconds=5)))
    officer = member(lot.tender.buyer)
    buyer = _comes(visit, "bert", officer, live_server.url)
    buyer.goes_to(f"/procedures/{lot.tender.number}/lots/{lot.number}/comparison/")
    buyer.presses("Admit all")
    buyer.follows("Award the lot")
    expect(buyer.page.get_by_role("radio", name=re.compile("Bob Ltd"))).to_be_checked()
    buyer.picture("sealed-award")
    buyer.presses("Go on to sign")
    buyer.sees(f"{price} EUR")
    buyer.picture("sealed-award-sign")
    buyer.signs("Sign and award the lot", certificate_of(lot.tender.buyer))
    buyer.is_told("The lot is awarded. All bidders are told.")
    people["Anna"].menu("Our bids")
    people["Anna"].follows(lot.tender.title)
    people["Anna"].sees(re.compile(rf"awarded to Bob Ltd for {re.escape(price)} EUR"))
    people["Anna"].picture("sealed-lost")


def _comes(visit: Callable[..., Visitor], name: str, by: Actor, site: str) -> Visitor:
    visitor = visit(name)
    log_in(visitor.page, by, site)
    return visitor


def _bids(person: Visitor, lot: Lot, prices: tuple[str, str], key: Any) -> None:
    person.goes_to(f"/procedures/{lot.tender.number}/")
    person.follows("Prepare a bid")
    person.presses("Prepare a bid")
    for item, price in enumerate(prices, start=1):
        person.page.get_by_label(f"Unit price of item {item}").fill(price)
    person.sees("2 of 2 items have a price.")
    person.presses("Seal, review and sign")
    person.sees("This is sealed and sent")
    person.signs("Sign and send the bid", key)
    person.reads_title("Receipt: the bid was received and sealed")
