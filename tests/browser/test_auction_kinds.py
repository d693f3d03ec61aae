"""Each kind of live auction with three bidders in three browsers, through the gateway and with the clock running."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from decimal import Decimal
from threading import Event, Thread
from typing import Any

import pytest
from django.db import connection
from playwright.sync_api import Locator, expect

from marketplace.models import Organisation
from marketplace.shared import clock as edge
from procurement.auction import clock
from procurement.auction.replay import replay_lot
from procurement.models import Auction
from tests.browser.desk import log_in
from tests.browser.people import Visitor
from tests.database_time import DatabaseTime
from tests.factories.auctions import running_auction
from tests.factories.marketplace import accredited_supplier, member
from tests.gateway import Gateway
from tests.patience import wait_until

FIRST_BIDS = ("99.00", "98.00", "97.00")
# How long a price or a turn lasts: nobody has to hurry. It passes by moving the time on.
STAGE_S = 600
STAGE = timedelta(seconds=STAGE_S)


@pytest.fixture
def bidders(visit: Callable[..., Visitor], live_server: Any) -> list[Visitor]:
    """Anna, Bob and Cleo, logged in, each of a supplier of its own."""
    found = []
    for name in ("anna", "bob", "cleo"):
        visitor = visit(name)
        log_in(visitor.page, member(accredited_supplier(short_name=f"{name.title()} Ltd")), live_server.url)
        found.append(visitor)
    return found


def test_a_dutch_clock(bidders: list[Visitor], room: Room) -> None:
    auction = room.begins("auction_dutch", {"clock_price": 80, "step_value": 5}, clock_interval_seconds=STAGE_S)
    anna, bob, cleo = bidders
    with room.clock_runs():
        expect(_top(anna)).to_contain_text("80.00")
        expect(_press(bob, "Accept 80.00 EUR")).to_be_enabled()
        # The price rises without a message from the server, and the button with it.
        room.goes_on_to_stage(1)
        expect(_press(bob, "Accept 85.00 EUR")).to_be_enabled()
        anna.picture("dutch")
        _press(bob, "Accept 85.00 EUR").click()
        bob.is_answered(re.compile(r"Accepted at .*: 85\.00 EUR\. The lot is yours\."))
        for person in (anna, cleo):
            expect(_top(person)).to_contain_text("You did not win")
        expect(_top(bob)).to_contain_text("You won")
        bob.picture("dutch-won")
    _is_proved(auction, winner=_organisation(bob), amount=Decimal(85))


def test_a_japanese_clock(bidders: list[Visitor], room: Room) -> None:
    auction = room.begins("auction_japanese", {"clock_price": 70, "step_value": 10}, clock_interval_seconds=STAGE_S)
    anna, bob, cleo = bidders
    with room.clock_runs():
        for person in bidders:
            _press(person, "Stay in at 100.00 EUR").click()
            person.is_answered(re.compile(r"Confirmed at .*: 100\.00 EUR"))
        anna.picture("japanese")
        room.goes_on_to_stage(1)
        for person in (anna, bob):
            _press(person, "Stay in at 90.00 EUR").click()
            person.is_answered(re.compile(r"Confirmed at .*: 90\.00 EUR"))
        room.goes_on_to_stage(2)
        expect(_top(cleo)).to_contain_text("You are out")
        cleo.picture("japanese-out")
        _press(anna, "Stay in at 80.00 EUR").click()
        anna.is_answered(re.compile(r"Confirmed at .*: 80\.00 EUR"))
        room.goes_on_to_stage(3)
        expect(_top(anna)).to_contain_text("You won")
        expect(_top(bob)).to_contain_text("You did not win")
    _is_proved(auction, winner=_organisation(anna), amount=Decimal(80))


def test_three_rounds_of_turns(bidders: list[Visitor], room: Room) -> None:
    times = ("first_pause_seconds", "pause_seconds", "turn_seconds", "announcement_seconds")
    # The last pause is running: two rounds of nobody's bids are over, each a pause and three turns.
    auction = room.begins("auction_turn_based", {}, stages_ago=2 * 4, **dict.fromkeys(times, STAGE_S))
    anna, bob, cleo = bidders
    with room.clock_runs():
        for person in bidders:
            expect(_top(person)).to_contain_text("Round 3")
        expect(_top(anna)).to_contain_text("Rank 3")
        # The worst first: Anna. What she bids is nobody's to know until her turn ends.
        room.goes_on_to_stage(9)
        _has_the_turn(anna)
        anna.picture("turn")
        _bid(anna, "96.00")
        expect(_field(anna)).to_be_visible()
        _bid(anna, "95.50", button="Change to 95.50 EUR")
        expect(_top(cleo)).not_to_contain_text("95.50")
        _field(bob).fill("90.00")
        bob.page.keyboard.press("Enter")
        bob.is_refused("You bid when it is your turn.")
        room.goes_on_to_stage(10)
        expect(_top(anna)).to_contain_text("You lead")
        expect(_top(cleo)).to_contain_text("95.50")
        _has_the_turn(bob)
        _bid(bob, "94.00")
        bob.presses("Take the bid of this turn back")
        bob.is_answered("Taken back. Your bid from before this turn stands.")
        room.goes_on_to_stage(11)
        _has_the_turn(cleo)
        room.goes_on_to_stage(13)
        expect(_top(anna)).to_contain_text("You won")
    _is_proved(auction, winner=_organisation(anna), amount=Decimal("95.50"))


def test_an_english_sale_with_a_limit_for_the_system(bidders: list[Visitor], room: Room) -> None:
    auction = room.begins(
        "auction_english_forward", {"limit_price": 90}, auction_duration_minutes=60, proxy_bids=True,
        soft_close_window_seconds=10, soft_close_extend_seconds=10,
    )  # fmt: skip
    anna, bob, cleo = bidders
    with room.clock_runs():
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


class Room:
    """An auction whose stages last longer than anything that is done in them; the time is moved on to the next one."""

    def __init__(self, bidders: list[Visitor], time: DatabaseTime, gateway: Gateway) -> None:
        self._bidders, self._time, self._gateway = bidders, time, gateway

    def begins(self, procedure: str, lot: dict[str, int], *, stages_ago: int = 0, **settings: object) -> Auction:
        """It began so many stages ago, and everybody comes in."""
        self._start = edge.now() - timedelta(seconds=2) - stages_ago * STAGE
        suppliers = [_organisation(person) for person in self._bidders]
        auction = running_auction(
            *FIRST_BIDS, start=self._start, suppliers=suppliers, procedure=procedure, lot=lot, **settings
        )
        self._address = f"/procedures/{auction.lot.tender.number}/lots/{auction.lot.number}/auction/"
        self._is_looked_at()
        return auction

    @contextmanager
    def clock_runs(self) -> Iterator[None]:
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
            thread.join()

    def goes_on_to_stage(self, number: int) -> None:
        """Its first moments pass by themselves, before everybody's eyes."""
        shortly_before = self._start + number * STAGE - timedelta(seconds=2)
        self._time.move_to(shortly_before)
        wait_until(lambda: self._gateway.now() >= shortly_before)
        self._is_looked_at()

    def _is_looked_at(self) -> None:
        for person in self._bidders:
            person.goes_to(self._address)
            expect(person.page.get_by_role("article").get_by_text("live", exact=True)).to_be_visible()


@pytest.fixture
def room(bidders: list[Visitor], database_time: DatabaseTime, gateway: Gateway) -> Room:
    """Where the three of them bid."""
    return Room(bidders, database_time, gateway)


def _organisation(person: Visitor) -> Organisation:
    return Organisation.objects.get(short_name=f"{person.name.title()} Ltd")


def _top(person: Visitor) -> Locator:
    return person.page.get_by_role("region", name="Where you stand")


def _has_the_turn(person: Visitor) -> None:
    expect(_top(person)).to_contain_text("Your turn ends in")


def _press(person: Visitor, name: str | re.Pattern[str]) -> Locator:
    return person.page.get_by_role("button", name=name)


def _field(person: Visitor) -> Locator:
    return person.page.get_by_role("textbox", name=re.compile("^Your bid"))


def _bid(person: Visitor, amount: str, *, button: str = "") -> None:
    _field(person).fill(amount)
    _press(person, button or f"Bid {amount} EUR").click()
    person.is_answered(re.compile(rf"Received at .*: {re.escape(amount)} EUR"))


def _is_proved(auction: Auction, *, winner: Organisation, amount: Decimal) -> None:
    """The log holds, and says what the pages said."""
    best = auction.lot.bids.get(rank=1)
    assert (best.supplier, best.amount) == (winner, amount)
    assert not replay_lot(auction.lot_id).differences
