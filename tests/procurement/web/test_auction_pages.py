"""The pages of live auctions: who sees what, and who may stop the room."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.urls import reverse

from marketplace.models import StaffRole
from marketplace.permissions import Actor
from marketplace.services import timekeeping
from marketplace.shared import clock
from procurement.auction.room import Desk
from procurement.models import Auction
from procurement.queries import auction_lists
from procurement.rules.auction.base import Action
from procurement.services import auction_pdf, auction_protocol, auctions
from procurement.web import auctions as auction_pages
from tests.database_time import look_at
from tests.factories.auctions import START, running_auction, running_auctions, seats
from tests.factories.marketplace import accredited_supplier, member, staff

pytestmark = pytest.mark.django_db


def page(auction: Auction, name: str = "auction") -> str:
    return reverse(name, args=[auction.lot.tender.number, auction.lot.number])


def get(client: Client, actor: Actor, url: str) -> Any:
    assert actor.person is not None
    client.force_login(actor.person)
    with clock.frozen(START + timedelta(minutes=1)):
        return client.get(url)


def state_in(response: Any) -> dict[str, Any]:
    found = re.search(r'<script id="auction-state"[^>]*>(.*?)</script>', response.content.decode(), re.S)
    assert found
    state: dict[str, Any] = json.loads(found[1])
    return state


def test_a_bidder_sees_its_own_standing_and_nobody_elses_amounts(client: Client) -> None:
    auction = running_auction()
    response = get(client, seats(auction)[0].by, page(auction))
    state = state_in(response)
    assert response.status_code == 200
    assert state["own"]["amount"] == "100.00"
    assert state["allowed"] == "97.00"
    assert "ranking" not in state
    assert "99.00" not in response.content.decode()
    assert "data-live-input" in response.content.decode()
    assert 'data-renew-after="1800"' in response.content.decode()


@pytest.mark.parametrize(("best", "length"), [("9999999.00", ""), ("10000000.00", " has-long")])
def test_long_prices_get_smaller_letters_instead_of_being_cut(client: Client, best: str, length: str) -> None:
    auction = running_auction(best, best, lot={"limit_price": best})
    own = get(client, seats(auction)[0].by, page(auction)).content.decode()
    assert f'class="live is-leading{length}"' in own


def test_a_bidder_whose_tariff_had_ended_is_told_what_to_do_instead_of_a_field(client: Client) -> None:
    auction = running_auction()
    lapsed, other, _ = seats(auction)
    lapsed.participant.supplier.subscriptions.update(ends_at=START)
    text = get(client, lapsed.by, page(auction)).content.decode()
    assert f'<a href="{reverse("tariffs")}">' in text.split("Your organisation cannot bid here now")[1]
    assert 'data-may-not="Your tariff “Unlimited” ended on 2 March 2026."' in text
    assert re.search(r"data-live-input disabled", text)
    assert "cannot bid here now" not in get(client, other.by, page(auction)).content.decode()


def test_the_buyer_sees_the_ranking_under_labels_and_has_no_field(client: Client) -> None:
    auction = running_auction()
    response = get(client, member(auction.lot.tender.buyer), page(auction))
    text = response.content.decode()
    assert [row["amount"] for row in state_in(response)["ranking"]] == ["98.00", "99.00", "100.00"]
    assert "data-live-input" not in text
    assert not any(seat.participant.supplier.short_name in text for seat in seats(auction))


def test_where_only_ranks_are_shown_no_page_holds_a_rivals_price(client: Client) -> None:
    auction = running_auction("100.00", "93.71", "88.53", shown="rank", reference="own")
    own, rival, _other = seats(auction)
    (answer,) = Desk().decide([rival.bid("41.37", START + timedelta(seconds=5))])
    assert answer.accepted
    tender = auction.lot.tender
    pages = [page(auction), reverse("auctions"), reverse("my_bids"), reverse("bid", args=[own.participant.bid_id])]
    pages += [reverse(name, args=[tender.number]) for name in ("tender", "tender_lots", "tender_timetable")]
    pages += [reverse("home"), reverse("notifications")]
    for url in pages:
        response = get(client, own.by, url)
        assert response.status_code == 200, url
        assert re.findall(r"93[.,]71|88[.,]53|41[.,]37|40[.,]37", response.content.decode()) == [], url
    assert state_in(get(client, own.by, page(auction)))["own"]["rank"] == 3


def test_who_has_no_seat_is_not_told_that_the_auction_exists(client: Client) -> None:
    auction = running_auction()
    assert get(client, member(accredited_supplier()), page(auction)).status_code == 404
    assert get(client, member(accredited_supplier()), page(auction, "auction_log")).status_code == 404


def test_visitors_are_sent_to_log_in(client: Client) -> None:
    response = client.get(page(running_auction()))
    assert response.status_code == 302
    assert response["Location"].startswith("/accounts/login/")


def test_only_an_operator_pauses_by_the_platforms_time(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    at = START + timedelta(minutes=1)
    monkeypatch.setattr(timekeeping, "look", lambda: look_at(at))
    auction = running_auction()
    bidder = seats(auction)[0].by
    operator = staff(StaffRole.OPERATOR)
    for actor, status, expected in ((bidder, 404, "running"), (operator, 302, "paused")):
        assert actor.person is not None
        client.force_login(actor.person)
        response = client.post(page(auction, "auction_pause"), {"reason": "power cut"})
        assert response.status_code == status
        auction.refresh_from_db()
        assert auction.status == expected
    assert auction.paused_at == at


def test_the_log_of_an_ended_auction_is_recomputed_and_holds(client: Client) -> None:
    auction = running_auction()
    auctions.end(auction.pk, at=auction.ends_at + timedelta(seconds=2))
    auction.refresh_from_db()
    response = get(client, seats(auction)[0].by, page(auction, "auction_log"))
    assert response.status_code == 200
    assert auction.head_hash in response.content.decode()
    assert "The log holds: 3 events" in response.content.decode()


def test_of_a_log_that_does_not_hold_it_is_said_so_and_there_is_no_protocol(client: Client) -> None:
    auction = running_auction()
    auctions.end(auction.pk, at=auction.ends_at + timedelta(seconds=2))
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        auction.events.filter(number=2).update(at=auction.starts_at + timedelta(seconds=1))
        cursor.execute("SET LOCAL session_replication_role = DEFAULT")
    said = "event 2: its content or the one before was changed"
    loser = seats(auction)[0].by
    assert "The log holds" not in get(client, loser, page(auction, "auction_log")).content.decode()
    for name in ("auction_document", "auction_protocol"):
        response = get(client, loser, page(auction, name))
        assert (response.status_code, said in response.content.decode()) == (500, True)


def test_the_log_of_what_is_over_tells_the_buyer_every_amount_and_each_bidder_what_it_may_see(client: Client) -> None:
    auction = running_auction(
        "100.00", "99.00", shown="rank", reference="own", soft_close_window_seconds=600, soft_close_extend_seconds=600
    )
    first, second = seats(auction)
    Desk().decide([first.bid("97.50", START + timedelta(seconds=1)), second.bid("96.50", START + timedelta(seconds=2))])
    auctions.end(auction.pk, at=START + timedelta(seconds=605))
    readers = [(member(auction.lot.tender.buyer), True, True), (first.by, True, False), (second.by, False, True)]
    for actor, sees_first, sees_second in readers:
        log = get(client, actor, page(auction, "auction_log")).content.decode()
        assert ("97.50" in log, "96.50" in log) == (sees_first, sees_second)
        # When it ends was told to all of them.
        assert log.count("The end moves to") == 2


def test_the_log_tells_who_bid_by_the_system_and_whose_limit_was_dropped(client: Client) -> None:
    auction = running_auction(proxy_bids=True)
    a, b, _ = seats(auction)
    limit = replace(b.bid("50.00", START + timedelta(seconds=1)), action=Action.LIMIT)
    Desk().decide([limit, a.bid("96.00", START + timedelta(seconds=2))])
    b.participant.bid.lot.bids.filter(supplier=b.participant.supplier).update(status="rejected")
    Desk().decide([a.bid("94.00", START + timedelta(seconds=3))])
    auctions.end(auction.pk, at=auction.ends_at + auctions.DRAIN)
    buyer = member(auction.lot.tender.buyer)
    text = get(client, buyer, page(auction, "auction_log")).content.decode()
    for amount in ("97.00", "95.00"):
        assert f'<span class="cell-note">Bidder {b.participant.label}: <bdi>{amount}</bdi></span>' in text
    assert "Limit dropped: its bidder could bid no more" in text
    assert "You: <bdi>95.00</bdi>" in get(client, b.by, page(auction, "auction_log")).content.decode()
    document = auction_protocol.document(Auction.objects.select_related("lot__tender__buyer").get())
    (events,) = (one for one in auction_pdf._content(document)["sections"] if one["title"] == "Every event")
    assert [row[3] for row in events["rows"] if "Automatic bids" in row[3]] == [
        f"Automatic bids\nBidder {b.participant.label}: {amount}" for amount in ("97.00", "95.00")
    ]


def test_the_list_has_the_auctions_of_the_organisation_only(client: Client) -> None:
    auction, foreign = running_auction(), running_auction()
    response = get(client, seats(auction)[0].by, reverse("auctions"))
    assert page(auction) in response.content.decode()
    assert page(foreign) not in response.content.decode()


def test_the_list_says_how_many_it_leaves_out(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(auction_pages, "_MOST_OPEN", 2)
    first, *_ = running_auctions(lots=3)
    buyer = member(first.lot.tender.buyer)
    assert (
        "1 more auction, which ends later, is not listed yet"
        in get(client, buyer, reverse("auctions")).content.decode()
    )
    auctions.end(first.pk, at=first.ends_at + auctions.DRAIN)
    assert "not listed yet" not in get(client, buyer, reverse("auctions")).content.decode()


def test_the_list_says_how_what_is_over_came_out_for_the_one_who_reads(
    client: Client, django_assert_num_queries: Any
) -> None:
    ended, cancelled = running_auction(), running_auction()
    auctions.end(ended.pk, at=ended.ends_at + timedelta(seconds=2))
    auctions.cancel(cancelled.pk, "A mistake", by=None, at=START + timedelta(seconds=5))
    *_, second, first = (seat.by for seat in seats(ended))
    readers = [
        (first, "English reverse auction Ended Won 98.00 EUR excl. VAT"),
        (second, "English reverse auction Ended Rank 2 of 3 99.00 EUR excl. VAT"),
        (member(ended.lot.tender.buyer), "English reverse auction Ended 98.00 EUR excl. VAT best price"),
        (staff(StaffRole.AUDITOR), "English reverse auction Ended 98.00 EUR excl. VAT best price"),
    ]
    for actor, expected in readers:
        response = get(client, actor, reverse("auctions"))
        assert expected in _rows_of(response)[ended.lot.tender.number]
    with django_assert_num_queries(2):
        assert [*auction_lists.results([ended, cancelled], None)] == [ended.pk]
    assert "English reverse auction Cancelled —" in _rows_of(response)[cancelled.lot.tender.number]


def _rows_of(response: Any) -> dict[str, str]:
    """The text of each row of the page's tables by what stands in its first cell, without the times."""
    rows = re.findall(r"<tr>(.*?)</tr>", response.content.decode(), re.S)
    plain = [
        re.sub(r"<svg.*?</svg>|<time.*?</time>|<span class=.when-.*?</span>", " ", row, flags=re.S) for row in rows
    ]
    texts = [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in plain]
    return {text.split()[0]: text for text in texts}
