"""Each kind of live auction with three bidders in three browsers, through the gateway and by the real clock."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from threading import Event, Thread

import pytest
from django.db import connection
from playwright.sync_api import Locator, expect

from marketplace.models import Organisation
from marketplace.permissions import actor_for
from marketplace.shared import clock as edge
from procurement.auction import clock
from procurement.auction.replay import replay_lot
from procurement.models import Auction
from tests.browser.people import Visitor
from tests.conftest import Gateway
from tests.factories.auctions import running_auction
from tests.factories.marketplace import MembershipFactory, accredited_supplier

FIRST_BIDS = ("99.00", "98.00", "97.00")


@pytest.fixture
def bidders(visit: Callable[..., Visitor]) -> list[Visitor]:
    """Anna, Bob and Cleo, logged in, each of a supplier of its own."""
    found = []
    for name in ("anna", "bob", "cleo"):
        supplier = accredited_supplier(short_name=f"{name.title()} Ltd")
        membership = MembershipFactory.create(organisation=supplier, person__full_name=name.title())
        visitor = visit(name)
        visitor.logs_in(actor_for(membership.person, supplier).person.email)
        found.append(visitor)
    return found


def test_a_dutch_clock(bidders: list[Visitor], gateway: Gateway) -> None:
    auction = _auction(bidders, "auction_dutch", {"clock_price": 80, "step_value": 5}, ago=2, clock_interval_seconds=5)
    with _clock_runs():
        _enter(bidders, auction)
        anna, bob, cleo = bidders
        expect(_top(anna)).to_contain_text("80.00")
        # The price rises without a message from the server, and the button with it.
        expect(_press(bob, "Accept 85.00 EUR")).to_be_enabled(timeout=15_000)
        anna.picture("dutch")
        _press(bob, re.compile("Accept (85|90).00 EUR")).click()
        bob.is_answered(re.compile(r"Accepted at .*: (85|90)\.00 EUR\. The lot is yours\."))
        for person in (anna, cleo):
            expect(_top(person)).to_contain_text("You did not win")
        expect(_top(bob)).to_contain_text("You won")
        bob.picture("dutch-won")
    _is_proved(auction, winner=_organisation(bob), amounts={Decimal(85), Decimal(90)})


def test_a_japanese_clock(bidders: list[Visitor], gateway: Gateway) -> None:
    auction = _auction(
        bidders, "auction_japanese", {"clock_price": 70, "step_value": 10}, ago=1, clock_interval_seconds=8
    )
    with _clock_runs():
        _enter(bidders, auction)
        anna, bob, cleo = bidders
        for person in bidders:
            _press(person, "Stay in at 100.00 EUR").click()
            person.is_answered(re.compile(r"Confirmed at .*: 100\.00 EUR"))
        anna.picture("japanese")
        for person in (anna, bob):
            _press(person, "Stay in at 90.00 EUR").click(timeout=15_000)
        expect(_top(cleo)).to_contain_text("You are out", timeout=20_000)
        cleo.picture("japanese-out")
        _press(anna, "Stay in at 80.00 EUR").click(timeout=15_000)
        expect(_top(anna)).to_contain_text("You won", timeout=20_000)
        expect(_top(bob)).to_contain_text("You did not win")
    _is_proved(auction, winner=_organisation(anna), amounts={Decimal(80)})


def test_three_rounds_of_turns(bidders: list[Visitor], gateway: Gateway) -> None:
    times = dict.fromkeys(("first_pause_seconds", "pause_seconds", "turn_seconds", "announcement_seconds"), 10)
    # The last pause is running: two rounds of nobody's bids are over.
    auction = _auction(bidders, "auction_turn_based", {}, ago=2 * 40 + 4, **times)
    with _clock_runs():
        _enter(bidders, auction)
        anna, bob, cleo = bidders
        for person in bidders:
            expect(_top(person)).to_contain_text("Round 3")
        expect(_top(anna)).to_contain_text("Rank 3")
        # The worst first: Anna. What she bids is nobody's to know until her turn ends.
        _waits_for_turn(anna)
        anna.picture("turn")
        _bid(anna, "96.00")
        expect(_field(anna)).to_be_visible()
        _bid(anna, "95.50", button="Change to 95.50 EUR")
        expect(_top(cleo)).not_to_contain_text("95.50")
        _field(bob).fill("90.00")
        bob.page.keyboard.press("Enter")
        bob.is_refused("You bid when it is your turn.")
        expect(_top(anna)).to_contain_text("You lead")
        expect(_top(cleo)).to_contain_text("95.50")
        _waits_for_turn(bob)
        _bid(bob, "94.00")
        bob.presses("Take the bid of this turn back")
        bob.is_answered("Taken back. Your bid from before this turn stands.")
        _waits_for_turn(cleo)
        expect(_top(anna)).to_contain_text("You won", timeout=40_000)
    _is_proved(auction, winner=_organisation(anna), amounts={Decimal("95.50")})


def test_an_english_sale_with_a_limit_for_the_system(bidders: list[Visitor], gateway: Gateway) -> None:
    auction = _auction(
        bidders, "auction_english_forward", {"limit_price": 90}, ago=60, auction_duration_minutes=2, proxy_bids=True,
        soft_close_window_seconds=10, soft_close_extend_seconds=10,
    )  # fmt: skip
    with _clock_runs():
        _enter(bidders, auction)
        anna, bob, cleo = bidders
        expect(_top(anna)).to_contain_text("You lead")
        anna.page.get_by_text("Let the system bid for you").click()
        anna.page.get_by_label(re.compile("^Bid one step at a time, up to")).fill("103")
        anna.presses("Set the limit")
        anna.is_answered("Your limit stands.")
        _bid(bob, "101.00")
        expect(_top(anna)).to_contain_text("102.00")
        expect(_top(anna)).to_contain_text("You lead")
        _bid(cleo, "103.00")
        expect(_top(cleo)).to_contain_text("You lead")
        anna.picture("sale")
        expect(_top(bob)).to_contain_text("Rank 3")
        expect(_top(bob)).not_to_contain_text("limit")
    assert not replay_lot(auction.lot_id).differences


@contextmanager
def _clock_runs() -> Iterator[None]:
    """The clock in a thread of its own, as it runs in earnest."""
    stopping = Event()

    def run() -> None:
        try:
            clock.run(stopping)
        finally:
            connection.close()

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        stopping.set()
        thread.join(10)


def _auction(bidders: list[Visitor], procedure: str, lot: dict[str, int], *, ago: int, **settings: object) -> Auction:
    suppliers = [_organisation(person) for person in bidders]
    start = edge.now() - timedelta(seconds=ago)
    return running_auction(*FIRST_BIDS, start=start, suppliers=suppliers, procedure=procedure, lot=lot, **settings)


def _organisation(person: Visitor) -> Organisation:
    return Organisation.objects.get(short_name=f"{person.name.title()} Ltd")


def _enter(bidders: list[Visitor], auction: Auction) -> None:
    for person in bidders:
        person.goes_to(f"/procedures/{auction.lot.tender.number}/lots/{auction.lot.number}/auction/")
        expect(person.page.get_by_role("article").get_by_text("live", exact=True)).to_be_visible()


def _top(person: Visitor) -> Locator:
    return person.page.get_by_role("region", name="Where you stand")


def _waits_for_turn(person: Visitor) -> None:
    expect(_top(person)).to_contain_text("Your turn ends in", timeout=20_000)


def _press(person: Visitor, name: str | re.Pattern[str]) -> Locator:
    return person.page.get_by_role("button", name=name)


def _field(person: Visitor) -> Locator:
    return person.page.get_by_role("textbox", name=re.compile("^Your bid"))


def _bid(person: Visitor, amount: str, *, button: str = "") -> None:
    _field(person).fill(amount)
    _press(person, button or f"Bid {amount} EUR").click()
    person.is_answered(re.compile(rf"Received at .*: {re.escape(amount)} EUR"))


def _is_proved(auction: Auction, *, winner: Organisation, amounts: set[Decimal]) -> None:
    """The log holds, and says what the pages said."""
    best = auction.lot.bids.get(rank=1)
    assert best.supplier == winner
    assert best.amount in amounts
    assert not replay_lot(auction.lot_id).differences
