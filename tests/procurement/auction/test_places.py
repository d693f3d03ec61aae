"""Who won in the room wins the award, also where amounts alone would say otherwise."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest

from marketplace.shared import clock as edge
from procurement.auction import clock
from procurement.auction.room import Desk
from procurement.models import Auction, Bid
from procurement.queries import awards
from procurement.rules.auction.base import Action
from procurement.rules.auction.document import check
from procurement.services import auction_protocol, auctions, evaluation
from tests.factories.auctions import START, evaluated_tender, running_auction, seats
from tests.factories.marketplace import member

pytestmark = pytest.mark.django_db

LONG_AFTER = START + timedelta(hours=1)
WARRANTY = {
    "kind": "features",
    "questions": [
        {
            "name": "Warranty",
            "description": "Repair on the spot",
            "options": [
                {"name": "none", "share": "0"},
                {"name": "short", "share": "10"},
                {"name": "long", "share": "20"},
            ],
        }
    ],
}


def later(seconds):
    return START + timedelta(seconds=seconds)


def limit(seat, amount, at):
    return replace(seat.bid(amount, at, key=f"limit-{amount}"), action=Action.LIMIT)


def confirmation(seat, at):
    return replace(seat.bid("1.00", at, key=f"confirm-{at:%H%M%S}"), action=Action.CONFIRM, amount=None)


def places(monkeypatch):
    """Who wins by the protocol, the bids in the order of their ranks, and the columns of the comparison."""
    monkeypatch.setattr(edge, "now", lambda: LONG_AFTER)
    clock.tick(LONG_AFTER)
    auction = Auction.objects.select_related("lot__tender__buyer").get()
    _hall, came_out = check(auction_protocol.document(auction))
    winner = auction.participants.get(label=came_out["winner"]).bid_id
    ranked = list(Bid.objects.exclude(rank=None).order_by("rank").values_list("pk", flat=True))
    return winner, ranked, awards.comparison(auction.lot, LONG_AFTER).columns


def test_of_two_limits_that_come_to_the_same_at_one_instant_the_one_that_led_wins(monkeypatch):
    auction = running_auction(
        *["100.00"] * 3, proxy_bids=True, reference="own", shown="both", lot={"step_value": Decimal("5.00")}
    )
    a, b, c = seats(auction)
    first, second = limit(a, "90.00", later(5)), limit(b, "90.00", later(8))
    assert [one.code for one in Desk().decide([a.bid("95.00", later(3)), first, second])] == [None] * 3
    winner, ranked, compared = places(monkeypatch)
    assert winner == b.participant.bid_id
    assert ranked == [bid.pk for _column, bid in compared] == [seat.participant.bid_id for seat in (b, a, c)]


def test_who_confirmed_the_last_price_first_wins_though_anothers_amount_was_rounded_below_it(monkeypatch):
    terms = {"lot": {"clock_price": Decimal("61.00"), "step_value": Decimal("39.00")}, "clock_interval_seconds": 60}
    tender = evaluated_tender("98.00", "97.00", procedure="auction_japanese", **terms)
    tender.criteria = WARRANTY
    tender.save()
    for bid, answer in zip(Bid.objects.order_by("pk"), ("short", "none"), strict=True):
        bid.answers = {"Warranty": answer}
        bid.save()
    (auction,) = auctions.schedule(tender.pk, at=later(-30))
    clock.tick(later(0.1))
    rounded, plain = seats(auction)
    for seconds in (5, 65):
        answers = Desk().decide([confirmation(plain, later(seconds)), confirmation(rounded, later(seconds + 1))])
    assert [one.amount for one in answers] == ["61.00", "68.62"]
    best = [plain.participant.bid_id, rounded.participant.bid_id]
    winner, ranked, compared = places(monkeypatch)
    assert (winner, ranked) == (best[0], best)
    assert [(bid.pk, column.above_best) for column, bid in compared] == [(bid, 0) for bid in best]
    # The ranks close up, and are those of the room still.
    evaluation.reject(best[0], "It was withdrawn.", by=member(tender.buyer), at=LONG_AFTER)
    assert list(Bid.objects.exclude(rank=None).values_list("pk", "rank")) == [(best[1], 1)]
