"""A live auction in three browsers, through the gateway in a process of its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Locator, Route, expect

from marketplace.models import Organisation
from marketplace.shared import clock as edge
from procurement.auction import clock
from procurement.models import Auction
from procurement.rules.lifecycle import AuctionStatus
from tests.browser.desk import log_in
from tests.browser.people import Visitor
from tests.database_time import DatabaseTime
from tests.factories.auctions import running_auction
from tests.factories.marketplace import accredited_supplier, member
from tests.gateway import Gateway
from tests.patience import PATIENCE_S, wait_until

MINUTES = 60
_BIDS = "**/live/lots/*/bids"


def test_three_browsers_in_one_auction(visit: Callable[..., Visitor], gateway: Gateway, live_server: Any) -> None:
    suppliers = [accredited_supplier(short_name=name) for name in ("Nordwand", "Südsitz", "Westholz")]
    anna, bob, cleo = (visit(name) for name in ("anna", "bob", "cleo"))
    for person, supplier in zip((anna, bob, cleo), suppliers, strict=True):
        log_in(person.page, member(supplier), live_server.url)
        person.goes_to("/")
    auction = _auction(suppliers, "100.00", "99.00", "99.50")
    for person in (anna, bob, cleo):
        person.menu("Auctions")
        person.follows(re.compile("Lot 1"))
        expect(_top(person)).to_contain_text("99.00")
        _is_live(person)
    expect(_top(anna)).to_contain_text("Rank 3")
    expect(_top(bob)).to_contain_text("You lead")
    expect(_top(cleo)).to_contain_text("Rank 2")
    anna.picture("live")

    # By keyboard: the best allowed amount stands in the field that has the focus.
    _note_when_seen(anna, "98.00")
    _note_when_seen(bob, "98.00")
    expect(_field(anna)).to_be_focused()
    expect(_field(anna)).to_have_value("98.00")
    anna.page.keyboard.press("Enter")
    anna.is_answered(re.compile(r"Received at \d\d:\d\d:\d\d\.\d{3} \(Europe/Berlin\): 98\.00 EUR"))
    expect(anna.page.locator("[data-live-clock]")).to_have_text(_in_berlin(), timeout=3_000)
    expect(_top(anna)).to_contain_text("You lead")
    expect(_top(bob)).to_contain_text("Rank 2")
    assert abs(_seen(anna) - _seen(bob)) < 1_000
    bob.picture("outbid")

    # Less than the step is refused with a sentence and the way out.
    _field(bob).fill("97.50")
    bob.page.keyboard.press("Enter")
    bob.is_refused("The bid does not improve the price by the step. The best allowed amount is 97.00 EUR.")
    bob.picture("step-refused")
    bob.presses("Use it")
    expect(bob.page.get_by_role("button", name="Bid 97.00 EUR")).to_be_enabled()
    bob.page.keyboard.press("Enter")
    expect(_top(bob)).to_contain_text("You lead")
    expect(_top(anna)).to_contain_text("Rank 2")
    expect(_top(cleo)).to_contain_text("Rank 3")

    # What happened while the connection was cut is there when it is back, and what was being typed is still there.
    said = Banners(anna)
    _field(anna).fill("95.25")
    gateway.stop()
    anna.sees(re.compile("Connection lost at"))
    anna.picture("connection-lost")
    gateway.start()
    for person in (anna, bob):
        _is_live(person)
    said.include("Connected again. Nothing was missed: what happened meanwhile is in the list.")
    expect(_field(anna)).to_have_value("95.25")

    # A bid was taken, its answer never came, and the page is loaded again: it asks what became of it.
    anna.page.route(_BIDS, _taken_without_an_answer)
    _field(anna).fill("96.00")
    anna.page.keyboard.press("Enter")
    anna.is_answered("No answer yet. Sending the same bid again; it counts once.")
    anna.page.reload()
    anna.is_answered(re.compile(r"Your bid of 96\.00 EUR was taken\. It was received at \d\d:\d\d:\d\d\.\d{3}"))
    anna.picture("answer-found")
    anna.page.unroute(_BIDS)
    for person in (anna, bob):
        expect(_top(person)).to_contain_text("96.00")
        expect(_happened(person)).to_have_text(
            [re.compile("96.00"), re.compile("97.00"), re.compile("98.00"), re.compile("Started")]
        )
    auction.refresh_from_db()
    assert auction.extensions == 0
    _is_seen_by_both_within_a_second(anna, bob)


def test_the_end_of_an_auction(
    visit: Callable[..., Visitor], database_time: DatabaseTime, gateway: Gateway, live_server: Any
) -> None:
    suppliers = [accredited_supplier(short_name="Nordwand"), accredited_supplier(short_name="Südsitz")]
    anna, bob = (visit(name) for name in ("anna", "bob"))
    auction = _auction(
        suppliers,
        "100.00",
        "99.00",
        soft_close_window_seconds=600,
        soft_close_extend_seconds=300,
        soft_close_from="end",
        max_extensions=1,
    )
    _is_soon(auction.ends_at - timedelta(minutes=5), database_time, gateway)
    for person, supplier in zip((anna, bob), suppliers, strict=True):
        log_in(person.page, member(supplier), live_server.url)
        person.goes_to(_url(auction))
        _is_live(person)
    banners = [Banners(person) for person in (anna, bob)]
    expect(_field(anna)).to_have_value("98.00")
    anna.page.keyboard.press("Enter")
    for said in banners:
        said.include(re.compile(r"Extended: a late bid moved the end to \d\d:\d\d:\d\d\."))
    bob.picture("extended")
    expect(_field(bob)).to_have_value("97.00")

    # Its last moments pass before everybody's eyes, and no clock is there yet to close it.
    auction.refresh_from_db()
    _is_soon(auction.ends_at, database_time, gateway)
    for person in (anna, bob):
        person.goes_to(_url(auction))
        _is_live(person)
        person.sees("The time is over. Bids received in time are still being decided.")
    _field(bob).fill("97.00")
    bob.page.keyboard.press("Enter")
    bob.is_refused("The auction is over.")
    late = bob.page.request.post(
        f"{gateway.address}/live/lots/{auction.lot_id}/bids",
        headers={"Authorization": f"Bearer {bob.page.locator('[data-token]').get_attribute('data-token')}"},
        data={"amount": "97.00", "idempotency_key": "a-late-bid"},
    )
    assert (late.status, late.json()["detail"]) == (409, "The auction was over when your bid arrived.")

    wait_until(lambda: _closes(auction))
    anna.sees("The auction is over: yours is the best price, 98.00 EUR.")
    expect(_top(anna)).to_contain_text("You won")
    bob.sees("The auction is over. The best price is 98.00 EUR.")
    anna.picture("won")
    expect(_top(bob)).to_contain_text("Rank 2")
    bob.follows("Check the log of this auction")
    bob.reads_title(re.compile("log", re.IGNORECASE))
    bob.picture("log")


def _taken_without_an_answer(route: Route) -> None:
    route.fetch()
    route.abort()


def _auction(suppliers: list[Organisation], *amounts: str, **settings: object) -> Auction:
    """It has just begun."""
    start = edge.now() - timedelta(seconds=1)
    return running_auction(*amounts, start=start, suppliers=suppliers, auction_duration_minutes=MINUTES, **settings)


def _is_soon(moment: datetime, time: DatabaseTime, gateway: Gateway) -> None:
    """Two seconds before it, for everybody."""
    shortly_before = moment - timedelta(seconds=2)
    time.move_to(shortly_before)
    wait_until(lambda: gateway.now() >= shortly_before)


def _closes(auction: Auction) -> bool:
    """What the clock does again and again. It waits for what gateways may still have to decide."""
    clock.tick(edge.now())
    auction.refresh_from_db()
    return auction.status == AuctionStatus.ENDED


def _url(auction: Auction) -> str:
    return f"/procedures/{auction.lot.tender.number}/lots/{auction.lot.number}/auction/"


def _in_berlin() -> re.Pattern[str]:
    """The hour and minute there, now or in a moment."""
    now = edge.now().astimezone(ZoneInfo("Europe/Berlin"))
    return re.compile("|".join(f"{at:%H:%M}:\\d\\d" for at in (now, now + timedelta(seconds=PATIENCE_S))))


def _top(person: Visitor) -> Locator:
    return person.page.get_by_role("region", name="Where you stand")


def _field(person: Visitor) -> Locator:
    return person.page.get_by_role("textbox", name=re.compile("^Your bid"))


def _is_live(person: Visitor) -> None:
    """The page has its stream."""
    expect(person.page.get_by_role("article").get_by_text("live", exact=True)).to_be_visible()


def _happened(person: Visitor) -> Locator:
    return person.page.get_by_role("list", name="What happened").get_by_role("listitem")


class Banners:
    """What was told at the top of somebody's page from now on, also what is not there any more."""

    def __init__(self, person: Visitor) -> None:
        self._page = person.page
        self._page.evaluate(
            """() => {
                const line = document.querySelector("[data-live-banner-words]"), said = window.saidInBanners = [];
                const look = new MutationObserver(() => said.push(line.textContent));
                look.observe(line, {subtree: true, childList: true, characterData: true});
            }"""
        )

    def include(self, words: str | re.Pattern[str]) -> None:
        wait_until(lambda: any(re.search(words, said) for said in self._page.evaluate("window.saidInBanners")))


def _is_seen_by_both_within_a_second(anna: Visitor, bob: Visitor) -> None:
    """Of some bids one at least: a machine with much else to do holds up a browser now and then."""
    for bidder, amount in zip((bob, anna, bob, anna, bob), ("95.00", "94.00", "93.00", "92.00", "91.00"), strict=True):
        for person in (anna, bob):
            _note_when_seen(person, amount)
        _field(bidder).fill(amount)
        _field(bidder).press("Enter")
        for person in (anna, bob):
            expect(_top(person)).to_contain_text(amount)
        if abs(_seen(anna) - _seen(bob)) < 1_000:
            return
    pytest.fail("one of them always saw a bid more than a second after the other")


def _note_when_seen(person: Visitor, words: str) -> None:
    """Have the page note the moment, in milliseconds, at which the words stand in its top line."""
    _top(person).evaluate(
        """(line, words) => {
            window.seenAt = undefined;
            new MutationObserver(() => {
                if (line.textContent.includes(words)) window.seenAt ??= performance.timeOrigin + performance.now();
            }).observe(line, {subtree: true, childList: true, characterData: true});
        }""",
        words,
    )


def _seen(person: Visitor) -> float:
    return person.page.wait_for_function("window.seenAt").json_value()
