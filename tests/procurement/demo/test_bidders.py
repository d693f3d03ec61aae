"""Bidders by machine, in a room of each kind as they are told of it. No database."""

import random
from decimal import Decimal

import pytest

from procurement.demo import bidders

RUNNING = {"status": "running", "step": "1.00", "clock": None, "allowed": "95.00", "actions": ["bid", "limit"]}
CLOCK = {"tick": "5.00", "interval_s": 30, "last": "120.00"}
NOTHING = {"amount": None, "leading": False}


class Kept:
    """The site, which keeps what is sent."""

    def __init__(self):
        self.sent = []

    def post(self, url, token, body):
        self.sent.append((body["action"], body["amount"]))


def moves(floor, **state):
    site, room = Kept(), {"bids_url": "/bids", "ticket": "t", "state": {**RUNNING, "own": NOTHING, **state}}
    bidders._move(site, room, Decimal(floor), random.Random(1))
    return site.sent


@pytest.mark.parametrize(
    ("state", "least", "most"),
    [
        ({"own": {"amount": "100.00"}}, "72", "90"),
        ({"clock": CLOCK, "allowed": "80.00"}, "88", "116"),
        ({"clock": {**CLOCK, "last": "50.00"}, "allowed": "100.00"}, "55", "90"),
    ],
)
def test_the_work_is_worth_a_share_of_the_first_bid_or_a_price_on_the_way_of_the_clock(state, least, most):
    for seed in range(50):
        floor = bidders._floor({**RUNNING, "own": NOTHING, **state}, random.Random(seed))
        assert Decimal(least) <= floor <= Decimal(most)


@pytest.mark.parametrize("state", [{}, {"clock": CLOCK, "allowed": None}])
def test_where_nothing_was_bid_and_no_clock_runs_nobody_knows_what_the_work_is_worth(state):
    assert bidders._floor({**RUNNING, "own": NOTHING, **state}, random.Random(1)) is None


@pytest.mark.parametrize("action", ["accept", "confirm"])
def test_a_price_that_is_worth_it_is_taken_and_no_other(action):
    assert moves("90", actions=[action], clock=CLOCK) == [(action, "95.00")]
    assert moves("96", actions=[action], clock=CLOCK) == []


def test_who_leads_or_has_not_the_turn_waits():
    assert moves("90", own={"amount": "95.00", "leading": True}) == []
    assert moves("90", actions=[]) == []
    assert moves("90", allowed=None) == []
    ((action, amount),) = moves("94.50")
    assert (action, Decimal("94.50") <= Decimal(amount) <= Decimal("95.00")) == ("bid", True)
