"""Auctions worked out by hand from the description of the kinds alone, each in a few lines: what is typed when, what
becomes of it, who wins.

A line of events is "time bidder action [amount]"; of decisions "ok" or the code, the amount allowed and the effective
price, "-" where there is none; of the ranking "bidder amount", with "=effective" where it differs. A result is "winner
price @end", with "+extensions" where there were any.
"""

from decimal import Decimal

import pytest

from procurement.rules.auction.scenario import parse
from procurement.rules.auction.simulation import simulate

UNITS = {"EUR": Decimal("0.01"), "JPY": Decimal("1"), "KWD": Decimal("0.001")}
THREE = "A 100.00 -30, B 99.00 -20, C 98.00 -10"


def bidders(text, **more):
    """ "name amount received, …"; an amount "-" is none. `more` by name are the other fields."""
    found = []
    for part in text.split(", "):
        name, amount, received = part.split()
        initial = None if amount == "-" else amount
        found.append({"id": name, "initial": initial, "received_at_s": int(received), **more.get(name, {})})
    return found


def scenario(kind, who=THREE, /, *events, more=None, **fields):
    usual = {"kind": kind, "direction": "down", "currency": "EUR", "start_price": "100.00"}
    if kind in ("english", "turn_based"):
        usual["step"] = {"amount": "1.00"}
    if kind == "english":
        usual["duration_s"] = 600
    if kind in ("dutch", "japanese"):
        usual["clock"] = {"tick": "5.00", "interval_s": 30, "last_price": "80.00"}
    return {**usual, **fields, "bidders": bidders(who, **(more or {})), "events": [event(line) for line in events]}


def event(line):
    at, bidder, do, *amount = line.split()
    return {"at_s": float(at), "bidder": bidder, "do": do} | ({"amount": amount[0]} if amount else {})


def english(*given, **fields):
    return scenario("english", *given, **fields)


def dutch(*given, **fields):
    return scenario("dutch", *given, **fields)


def japanese(*given, **fields):
    return scenario("japanese", *given, **fields)


def sealed(*given, **fields):
    return scenario("sealed_first_price", *given, **fields)


def vickrey(*given, **fields):
    return scenario("sealed_second_price", *given, **fields)


def turns(*given, **fields):
    return scenario("turn_based", *given, **fields)


def told(outcome):
    """The outcome in the words of this file."""
    decisions = [
        f"{'ok' if one['accepted'] else one['code']} {one['allowed_amount'] or '-'} {one['effective'] or '-'}"
        for one in outcome["decisions"]
    ]
    ranking = ", ".join(
        f"{row['bidder']} {row['amount']}" + ("" if row["amount"] == row["effective"] else f"={row['effective']}")
        for row in outcome["ranking"]
    )
    assert [row["rank"] for row in outcome["ranking"]] == list(range(1, len(outcome["ranking"]) + 1))
    moved = f" +{outcome['extensions']}" if outcome["extensions"] else ""
    result = f"{outcome['winner'] or '-'} {outcome['price'] or '-'} @{outcome['ended_at_s']}{moved}"
    return decisions, ranking, result


SOFT = {"window_s": 60, "extend_s": 60}
FEATURES = {"feature_maxima": ["0.15", "0.15"]}
# k = 1 + 0.2 ÷ 0.7 = 9/7, and 1.
UNLIKE = {"A": {"features": ["0.1", "0.1"]}, "B": {"features": ["0", "0"]}}
# k = 1 + 0.1 ÷ 0.8 = 9/8, and 1.
EIGHTH = {"A": {"features": ["0.1"]}, "B": {"features": ["0"]}}
COSTS = {"life_cycle_cost": True}
SALE = {"direction": "up"}

EXAM = {
    # English -----------------------------------------------------------------------------------------------------
    "the leader's price is the reference": (
        english(THREE, "10 A bid 97.01", "20 A bid 97.00", "30 B bid 96.00", "40 C bid 95.50"),
        ["step_not_met 97.00 97.01", "ok 97.00 97.00", "ok 96.00 96.00", "step_not_met 95.00 95.50"],
        "B 96.00, A 97.00, C 98.00",
        "B 96.00 @600",
    ),
    "who leads may not bid against itself": (
        english(THREE, "10 C bid 90.00", "20 A bid 97.00", "30 C bid 90.00"),
        ["already_leading - 90.00", "ok 97.00 97.00", "ok 96.00 90.00"],
        "C 90.00, A 97.00, B 99.00",
        "C 90.00 @600",
    ),
    "the own price is the reference": (
        english(THREE, "10 C bid 97.00", "20 A bid 99.00", "30 A bid 98.50", "40 B bid 97.00", reference="own"),
        ["ok 97.00 97.00", "ok 99.00 99.00", "step_not_met 98.00 98.50", "ok 98.00 97.00"],
        "C 97.00, B 97.00, A 99.00",
        "C 97.00 @600",
    ),
    "the first bid meets the limit, the next one beats it by the step": (
        english("A - 0, B - 0", "10 A bid 100.01", "20 A bid 100.00", "30 B bid 99.50", "40 B bid 99.00"),
        ["limit_not_met 100.00 100.01", "ok 100.00 100.00", "step_not_met 99.00 99.50", "ok 99.00 99.00"],
        "B 99.00, A 100.00",
        "B 99.00 @600",
    ),
    "without a limit any first bid will do": (
        english("A - 0, B - 0", "10 A bid 5000.00", "20 B bid 4999.00", start_price=None),
        ["ok - 5000.00", "ok 4999.00 4999.00"],
        "B 4999.00, A 5000.00",
        "B 4999.00 @600",
    ),
    "nothing above zero is left": (
        english("A 10.00 -2, B 4.00 -1", "10 A bid 0.01", start_price="10.00", step={"amount": "5.00"}),
        ["no_room_left - 0.01"],
        "B 4.00, A 10.00",
        "B 4.00 @600",
    ),
    "a percentage is rounded half up to the cent": (  # 0.5 % of 33.33 is 0.16665
        english(
            "A 33.33 -2, B 33.00 -1", "1 A bid 32.84", "2 A bid 32.83", start_price="33.33", step={"percent": "0.5"}
        ),
        ["step_not_met 32.83 32.84", "ok 32.83 32.83"],
        "A 32.83, B 33.00",
        "A 32.83 @600",
    ),
    "and down below the half": (  # 0.5 % of 32.80 is 0.164
        english(
            "A 32.80 -2, B 32.00 -1", "1 A bid 31.85", "2 A bid 31.84", start_price="32.80", step={"percent": "0.5"}
        ),
        ["step_not_met 31.84 31.85", "ok 31.84 31.84"],
        "A 31.84, B 32.00",
        "A 31.84 @600",
    ),
    "a percentage in yen is whole yen": (  # 1 % of 10050 is 100.5
        english(
            "A 10050 -2, B 10000 -1",
            *("1 A bid 9900", "2 A bid 9899", "3 B bid 9797.5"),
            start_price="10050",
            step={"percent": "1"},
            currency="JPY",
        ),
        ["step_not_met 9899 9900", "ok 9899 9899", "amount_too_precise 9798 9798"],
        "A 9899, B 10000",
        "A 9899 @600",
    ),
    "a percentage in dinars has three decimals": (  # 0.1 % of 10.005 is 0.010005
        english(
            "A 10.005 -2, B 10.000 -1",
            *("1 A bid 9.991", "2 A bid 9.990"),
            start_price="10.005",
            step={"percent": "0.1"},
            currency="KWD",
        ),
        ["step_not_met 9.990 9.991", "ok 9.990 9.990"],
        "A 9.990, B 10.000",
        "A 9.990 @600",
    ),
    "a percentage that would be nothing is one yen": (  # 0.5 % of 90 is 0.45
        english(
            "A 90 -2, B 80 -1", "1 A bid 80", "2 A bid 79", start_price="90", step={"percent": "0.5"}, currency="JPY"
        ),
        ["step_not_met 79 80", "ok 79 79"],
        "A 79, B 80",
        "A 79 @600",
    ),
    "what is no price is told before the limit and the step": (
        english(
            THREE,
            *("1 A bid 0.00", "2 A bid -5.00", "3 A bid 10000000000000000.00", "4 A bid 96.999", "5 A bid 100000.00"),
            "6 A bid 1234567890123456789012345678901234.5",
        ),
        [
            "amount_not_positive 97.00 0.00",
            "amount_not_positive 97.00 -5.00",
            "amount_too_large 97.00 10000000000000000.00",
            "amount_too_precise 97.00 97.00",
            "limit_not_met 97.00 100000.00",
            "amount_too_large 97.00 1234567890123456789012345678901234.50",
        ],
        "C 98.00, B 99.00, A 100.00",
        "C 98.00 @600",
    ),
    "the start is in time, the end is late": (
        english(
            THREE,
            *("-1 A bid 97.00", "0 A bid 97.00", "599.999999 B bid 96.00", "600 C bid 95.00", "7000 C bid 94.00"),
        ),
        [
            "auction_not_started - 97.00",
            "ok 97.00 97.00",
            "ok 96.00 96.00",
            "auction_over - 95.00",
            "auction_over - 94.00",
        ],
        "B 96.00, A 97.00, C 98.00",
        "B 96.00 @600",
    ),
    "in the order of time, however they are listed": (
        english(THREE, "30 A bid 95.00", "20 B bid 96.00", "10 A bid 97.00"),
        ["ok 97.00 97.00", "ok 96.00 96.00", "ok 95.00 95.00"],
        "A 95.00, B 96.00, C 98.00",
        "A 95.00 @600",
    ),
    "of one instant the one listed first": (
        english(THREE, "10 B bid 97.00", "10 A bid 97.00"),
        ["ok 97.00 97.00", "step_not_met 96.00 97.00"],
        "B 97.00, C 98.00, A 100.00",
        "B 97.00 @600",
    ),
    "the same bid sent twice is decided twice": (
        english(THREE, "10 B bid 97.00", "10 B bid 97.00"),
        ["ok 97.00 97.00", "already_leading - 97.00"],
        "B 97.00, C 98.00, A 100.00",
        "B 97.00 @600",
    ),
    "a soft close from the receipt moves nothing that it does not move": (
        english(
            THREE,
            *("419.999 A bid 97.00", "420 B bid 96.00", "500 A bid 95.00", "679 B bid 94.00"),
            soft_close={"window_s": 180, "extend_s": 180, "from": "receipt"},
        ),
        ["ok 97.00 97.00", "ok 96.00 96.00", "ok 95.00 95.00", "ok 94.00 94.00"],
        "B 94.00, A 95.00, C 98.00",
        "B 94.00 @859 +2",
    ),
    "a soft close from the end": (
        english(
            THREE,
            *("540 A bid 97.00", "660 B bid 96.00", "779 A bid 95.00"),
            soft_close={"window_s": 60, "extend_s": 120, "from": "end"},
        ),
        ["ok 97.00 97.00", "ok 96.00 96.00", "ok 95.00 95.00"],
        "A 95.00, B 96.00, C 98.00",
        "A 95.00 @840 +2",
    ),
    "at most one extension": (
        english(
            THREE, "590 A bid 97.00", "640 B bid 96.00", "650 A bid 95.00", soft_close={**SOFT, "max_extensions": 1}
        ),
        ["ok 97.00 97.00", "ok 96.00 96.00", "auction_over - 95.00"],
        "B 96.00, A 97.00, C 98.00",
        "B 96.00 @650 +1",
    ),
    "no extension at all": (
        english(THREE, "590 A bid 97.00", soft_close={**SOFT, "max_extensions": 0}),
        ["ok 97.00 97.00"],
        "A 97.00, C 98.00, B 99.00",
        "A 97.00 @600",
    ),
    "never past the hard stop": (
        english(
            THREE,
            *("590 A bid 97.00", "649 B bid 96.00", "690 A bid 95.00", "700 B bid 94.00"),
            soft_close={**SOFT, "hard_stop_s": 700},
        ),
        ["ok 97.00 97.00", "ok 96.00 96.00", "ok 95.00 95.00", "auction_over - 94.00"],
        "A 95.00, B 96.00, C 98.00",
        "A 95.00 @700 +2",
    ),
    "a hard stop at the end": (
        english(THREE, "590 A bid 97.00", soft_close={**SOFT, "hard_stop_s": 600}),
        ["ok 97.00 97.00"],
        "A 97.00, C 98.00, B 99.00",
        "A 97.00 @600",
    ),
    "a refused bid extends nothing": (
        english(THREE, "590 A bid 97.50", soft_close=SOFT),
        ["step_not_met 97.00 97.50"],
        "C 98.00, B 99.00, A 100.00",
        "C 98.00 @600",
    ),
    "an extension shorter than the window": (
        english(THREE, "510 A bid 97.00", "595 B bid 96.00", soft_close={"window_s": 100, "extend_s": 10}),
        ["ok 97.00 97.00", "ok 96.00 96.00"],
        "B 96.00, A 97.00, C 98.00",
        "B 96.00 @605 +1",
    ),
    "a sale goes up": (
        english(
            "A 100.00 -2, B 110.00 -1",
            *("10 A bid 114.99", "20 A bid 115.00", "30 B bid 90.00"),
            step={"amount": "5.00"},
            **SALE,
        ),
        ["step_not_met 115.00 114.99", "ok 115.00 115.00", "limit_not_met 120.00 90.00"],
        "A 115.00, B 110.00",
        "A 115.00 @600",
    ),
    "a sale without a limit begins with a cent": (
        english("A - 0, B - 0", "10 A bid 0.01", "20 B bid 0.02", start_price=None, **SALE),
        ["ok 0.01 0.01", "step_not_met 1.01 0.02"],
        "A 0.01",
        "A 0.01 @600",
    ),
    "a sale by the own price and a percentage": (  # 2.5 % of 200.00 is 5.00
        english(
            "A 200.00 -2, B 210.00 -1",
            *("10 A bid 204.99", "20 A bid 205.00", "30 B bid 215.00", "40 B bid 216.00"),
            start_price="200.00",
            step={"percent": "2.5"},
            reference="own",
            **SALE,
        ),
        ["step_not_met 205.00 204.99", "ok 205.00 205.00", "ok 215.00 215.00", "step_not_met 220.00 216.00"],
        "B 215.00, A 205.00",
        "B 215.00 @600",
    ),
    "features": (  # A counts 90.00 × 7/9 = 70.00; to beat 69.00 by 1.00 it may type 68 × 9/7 = 87.428…
        english(
            "A 90.00 -2, B 80.00 -1",
            *("10 B bid 69.01", "20 B bid 69.00", "30 A bid 87.43", "40 A bid 87.42"),
            evaluation=FEATURES,
            more=UNLIKE,
        ),
        ["step_not_met 69.00 69.01", "ok 69.00 69.00", "step_not_met 87.42 68.00", "ok 87.42 67.99"],
        "A 87.42=67.99, B 69.00",
        "A 87.42 @600",
    ),
    "features in a sale": (  # A counts 100.00 × 9/8 = 112.50; to beat 113.50 by 1.00 it must type 114.5 × 8/9 = 101.78
        english(
            "A 100.00 -2, B 112.00 -1",
            *("10 B bid 113.49", "20 B bid 113.50", "30 A bid 101.77", "40 A bid 101.78"),
            evaluation={"feature_maxima": ["0.2"]},
            more=EIGHTH,
            **SALE,
        ),
        ["step_not_met 113.50 113.49", "ok 113.50 113.50", "step_not_met 101.78 114.49", "ok 101.78 114.50"],
        "A 101.78=114.50, B 113.50",
        "A 101.78 @600",
    ),
    "life-cycle cost": (
        english(
            "A 85.00 -2, B 96.00 -1",
            *("10 A bid 80.00", "20 B bid 94.00", "30 A bid 83.01", "40 A bid 83.00"),
            evaluation=COSTS,
            more={"A": {"non_price_cost": "10"}},
        ),
        ["already_leading - 90.00", "ok 94.00 94.00", "step_not_met 83.00 93.01", "ok 83.00 93.00"],
        "A 83.00=93.00, B 94.00",
        "A 83.00 @600",
    ),
    "the limit is of what a bid counts": (
        english(
            "A - 0, B - 0",
            *("10 A bid 41.00", "20 A bid 40.00", "30 B bid 0.01"),
            evaluation=COSTS,
            more={"A": {"non_price_cost": "60"}, "B": {"non_price_cost": "100"}},
        ),
        ["limit_not_met 40.00 101.00", "ok 40.00 100.00", "limit_not_met - 100.01"],
        "A 40.00=100.00",
        "A 40.00 @600",
    ),
    "of equal effective prices the one received first": (
        english("A 80.00 -10, B 90.00 -20", evaluation=COSTS, more={"A": {"non_price_cost": "10.00"}}),
        [],
        "B 90.00, A 80.00=90.00",
        "B 90.00 @600",
    ),
    "a proxy answers by one step, down to its limit": (
        english(
            "A 100.00 -2, B 99.00 -1",
            *("10 A bid 98.00", "20 A bid 97.00", "30 A bid 91.00", "40 A bid 89.50", "50 A bid 89.00"),
            more={"B": {"proxy_limit": "90.00"}},
        ),
        [
            "ok 98.00 98.00",
            "step_not_met 96.00 97.00",
            "ok 96.00 91.00",
            "step_not_met 89.00 89.50",
            "ok 89.00 89.00",
        ],
        "A 89.00, B 90.00",
        "A 89.00 @600",
    ),
    "two proxies, a step at a time until one cannot": (
        english("A 100.00 -2, B 99.00 -1", more={"A": {"proxy_limit": "90.00"}, "B": {"proxy_limit": "80.00"}}),
        [],
        "B 89.00, A 90.00",
        "B 89.00 @600",
    ),
    "of two equal limits the one that takes the last step": (
        english("A 100.00 -2, B 99.00 -1", more={"A": {"proxy_limit": "90.00"}, "B": {"proxy_limit": "90.00"}}),
        [],
        "A 90.00, B 91.00",
        "A 90.00 @600",
    ),
    "a limit between two steps is not bid": (
        english("A 100.00 -2, B 99.00 -1", "10 A bid 98.00", more={"B": {"proxy_limit": "97.50"}}),
        ["ok 98.00 98.00"],
        "A 98.00, B 99.00",
        "A 98.00 @600",
    ),
    "a bid and its proxy's answer extend once": (
        english("A 100.00 -2, B 99.00 -1", "590 A bid 98.00", soft_close=SOFT, more={"B": {"proxy_limit": "50.00"}}),
        ["ok 98.00 98.00"],
        "B 97.00, A 98.00",
        "B 97.00 @650 +1",
    ),
    "by the own price a proxy goes on until it leads": (
        english("A 100.00 -2, B 99.00 -1", "10 A bid 97.00", reference="own", more={"B": {"proxy_limit": "95.00"}}),
        ["ok 99.00 97.00"],
        "B 96.00, A 97.00",
        "B 96.00 @600",
    ),
    "a proxy in a sale": (
        english("A 100.00 -2, B 101.00 -1", "10 A bid 105.00", more={"B": {"proxy_limit": "106.00"}}, **SALE),
        ["ok 102.00 105.00"],
        "B 106.00, A 105.00",
        "B 106.00 @600",
    ),
    "what an English auction does not know": (
        english(THREE, "10 A withdraw", "20 A accept", "30 C confirm 98.00"),
        ["wrong_action 97.00 -", "wrong_action 97.00 -", "wrong_action - 98.00"],
        "C 98.00, B 99.00, A 100.00",
        "C 98.00 @600",
    ),
    # Dutch: 100, 95, 90, 85, 80, half a minute each --------------------------------------------------------------
    "a falling clock, taken in its third tick": (
        dutch("A - 0, B - 0", "65 B accept", "70 A accept", **SALE),
        ["ok 90.00 90.00", "auction_over - -"],
        "B 90.00",
        "B 90.00 @65",
    ),
    "a tick begins with its instant": (
        dutch("A - 0", "30 A accept", **SALE),
        ["ok 95.00 95.00"],
        "A 95.00",
        "A 95.00 @30",
    ),
    "and lasts up to the next": (
        dutch("A - 0", "29.999999 A accept", **SALE),
        ["ok 100.00 100.00"],
        "A 100.00",
        "A 100.00 @29.999999",
    ),
    "two in one tick: the one received first": (
        dutch("A - 0, B - 0", "32 B accept", "31 A accept", **SALE),
        ["ok 95.00 95.00", "auction_over - -"],
        "A 95.00",
        "A 95.00 @31",
    ),
    "two at one instant: the one listed first": (
        dutch("A - 0, B - 0", "31 B accept", "31 A accept", **SALE),
        ["ok 95.00 95.00", "auction_over - -"],
        "B 95.00",
        "B 95.00 @31",
    ),
    "nobody until the last tick": (dutch("A - 0, B 90.00 -5", **SALE), [], "", "- - @150"),
    "the last instant and the one after it": (
        dutch("A - 0, B - 0", "149.9 A accept", "150 B accept", **SALE),
        ["ok 80.00 80.00", "auction_over - -"],
        "A 80.00",
        "A 80.00 @149.9",
    ),
    "too late for all": (dutch("A - 0", "150 A accept", **SALE), ["auction_over - -"], "", "- - @150"),
    "the last price is met exactly": (  # 100, 95, 90, 85, 82
        dutch("A - 0", "125 A accept", clock={"tick": "5.00", "interval_s": 30, "last_price": "82.00"}, **SALE),
        ["ok 82.00 82.00"],
        "A 82.00",
        "A 82.00 @125",
    ),
    "a purchase rises": (
        dutch(
            "A - 0",
            *("-5 A accept", "130 A accept"),
            start_price="50.00",
            clock={"tick": "10.00", "interval_s": 60, "last_price": "70.00"},
        ),
        ["auction_not_started - -", "ok 70.00 70.00"],
        "A 70.00",
        "A 70.00 @130",
    ),
    "a purchase whose clock falls": (
        dutch("A - 0, B - 0", "31 A accept"),
        ["ok 95.00 95.00"],
        "A 95.00",
        "A 95.00 @31",
    ),
    "a bid is no acceptance, and nobody takes a price not seen": (
        dutch("A - 0, B - 0", "10 A bid 90.00", "31 A accept 100.00", "32 A accept 95.00", "33 B withdraw", **SALE),
        ["wrong_action 100.00 90.00", "price_moved 95.00 100.00", "ok 95.00 95.00", "auction_over - -"],
        "A 95.00",
        "A 95.00 @32",
    ),
    "features on a clock": (  # at 60.00 A gets 60 × 9/8
        dutch(
            "A - 0, B - 0",
            "70 A accept",
            start_price="50.00",
            clock={"tick": "10.00", "interval_s": 60, "last_price": "70.00"},
            evaluation={"feature_maxima": ["0.2"]},
            more=EIGHTH,
        ),
        ["ok 67.50 60.00"],
        "A 67.50=60.00",
        "A 67.50 @70",
    ),
    "a clock in yen": (
        dutch(
            "A - 0",
            "25 A accept",
            start_price="1000",
            clock={"tick": "100", "interval_s": 10, "last_price": "500"},
            currency="JPY",
            **SALE,
        ),
        ["ok 800 800"],
        "A 800",
        "A 800 @25",
    ),
    # Japanese: 100, 95, 90, 85, 80, half a minute each ------------------------------------------------------------
    "the last one in": (
        japanese(
            "A - 0, B - 0, C - 0",
            *("1 A confirm", "2 B confirm", "3 C confirm", "31 A confirm", "32 B confirm", "61 B confirm"),
            "91 B confirm",
        ),
        [
            *("ok 100.00 100.00", "ok 100.00 100.00", "ok 100.00 100.00", "ok 95.00 95.00", "ok 95.00 95.00"),
            *("ok 90.00 90.00", "auction_over - -"),
        ],
        "B 90.00, A 95.00, C 100.00",
        "B 90.00 @90",
    ),
    "all leave at one tick: who confirmed the one before first": (
        japanese("A - 0, B - 0", "1 A confirm", "2 B confirm", "40 B confirm", "50 A confirm"),
        ["ok 100.00 100.00", "ok 100.00 100.00", "ok 95.00 95.00", "ok 95.00 95.00"],
        "B 95.00, A 95.00",
        "B 95.00 @90",
    ),
    "once out, out for good": (
        japanese(
            "A - 0, B - 0, C - 0",
            *("1 B confirm", "2 C confirm", "31 A confirm", "32 B confirm", "33 C confirm", "61 B confirm"),
        ),
        [
            *("ok 100.00 100.00", "ok 100.00 100.00", "bidder_out - -", "ok 95.00 95.00", "ok 95.00 95.00"),
            "ok 90.00 90.00",
        ],
        "B 90.00, C 95.00",
        "B 90.00 @90",
    ),
    "a tick is confirmed once": (
        japanese("A - 0, B - 0", "1 A confirm", "2 A confirm", "3 B confirm", "31 A confirm"),
        ["ok 100.00 100.00", "already_confirmed - -", "ok 100.00 100.00", "ok 95.00 95.00"],
        "A 95.00, B 100.00",
        "A 95.00 @60",
    ),
    "two stay to the very end": (
        japanese(
            "A - 0, B - 0",
            *("1 A confirm", "2 B confirm", "31 A confirm", "32 B confirm", "61 A confirm", "62 B confirm"),
            *("91 A confirm", "92 B confirm", "121 B confirm", "122 A confirm"),
        ),
        [f"ok {price}.00 {price}.00" for price in (100, 100, 95, 95, 90, 90, 85, 85, 80, 80)],
        "B 80.00, A 80.00",
        "B 80.00 @150",
    ),
    "nobody confirms": (japanese("A - 0, B 90.00 -5"), [], "", "- - @30"),
    "one bidder alone": (
        japanese("A - 0", "1 A confirm"),
        ["ok 100.00 100.00"],
        "A 100.00",
        "A 100.00 @30",
    ),
    "a sale in which the price rises": (
        japanese(
            "A - 0, B - 0",
            *("1 A confirm", "2 B confirm", "31 A confirm"),
            clock={"tick": "10.00", "interval_s": 30, "last_price": "120.00"},
            **SALE,
        ),
        ["ok 100.00 100.00", "ok 100.00 100.00", "ok 110.00 110.00"],
        "A 110.00, B 100.00",
        "A 110.00 @60",
    ),
    "at the end of a tick it is the next one": (
        japanese("A - 0, B - 0, C - 0", "1 A confirm", "2 C confirm", "30 A confirm", "30 B confirm"),
        ["ok 100.00 100.00", "ok 100.00 100.00", "ok 95.00 95.00", "bidder_out - -"],
        "A 95.00, C 100.00",
        "A 95.00 @60",
    ),
    "who leaves does so by not confirming": (
        japanese("A - 0, B - 0", "1 A withdraw", "2 A bid 99.00", "3 A confirm 95.00", "4 A confirm", "5 B confirm"),
        [
            *("wrong_action 100.00 -", "wrong_action 100.00 99.00", "price_moved 100.00 95.00"),
            *("ok 100.00 100.00", "ok 100.00 100.00"),
        ],
        "A 100.00, B 100.00",
        "A 100.00 @60",
    ),
    # Sealed ------------------------------------------------------------------------------------------------------
    "of equal sealed bids the one received first": (
        sealed("A 100.00 -30, B 95.00 -10, C 95.00 -20"),
        [],
        "C 95.00, B 95.00, A 100.00",
        "C 95.00 @0",
    ),
    "a sealed bid over the limit is not ranked": (
        sealed("A 97.00 -3, B 96.00 -2, C - 0", start_price="96.00"),
        [],
        "B 96.00",
        "B 96.00 @0",
    ),
    "the highest in a sale": (
        sealed("A 97.00 -3, B 120.00 -2, C 110.00 -1", **SALE),
        [],
        "B 120.00, C 110.00",
        "B 120.00 @0",
    ),
    "nothing is bid in a sealed auction": (
        sealed("A 97.00 -3", "10 A bid 90.00", "600 A bid 90.00", duration_s=600),
        ["wrong_action - 90.00", "auction_over - 90.00"],
        "A 97.00",
        "A 97.00 @600",
    ),
    "no sealed bid": (sealed("A - 0, B - 0"), [], "", "- - @0"),
    "the best at the second-best price": (
        vickrey("A 90.00 -3, B 95.00 -2, C 100.00 -1"),
        [],
        "A 90.00, B 95.00, C 100.00",
        "A 95.00 @0",
    ),
    "the highest at the second-highest price": (
        vickrey("A 100.00 -3, B 120.00 -2, C 110.00 -1", **SALE),
        [],
        "B 120.00, C 110.00, A 100.00",
        "B 110.00 @0",
    ),
    "one bid at its own price": (vickrey("A 90.00 -1, B - 0"), [], "A 90.00", "A 90.00 @0"),
    "one bid at the limit": (vickrey("A 90.00 -1", single_bid_price="limit"), [], "A 90.00", "A 100.00 @0"),
    "the reserve of a sale is its price for one bid": (
        vickrey("A 150.00 -1", single_bid_price="limit", **SALE),
        [],
        "A 150.00",
        "A 100.00 @0",
    ),
    "two best bids are equal": (vickrey("A 90.00 -1, B 90.00 -2"), [], "B 90.00, A 90.00", "B 90.00 @0"),
    "a second bid over the limit is no second bid": (
        vickrey("A 90.00 -2, B 95.00 -1", start_price="92.00", single_bid_price="limit"),
        [],
        "A 90.00",
        "A 92.00 @0",
    ),
    "nobody meets the limit": (vickrey("A 90.00 -2, B 95.00 -1", start_price="80.00"), [], "", "- - @0"),
    "the second price is effective": (  # 80.00 × 9/7 = 102.857…, and no worse than the second bid
        vickrey("A 90.00 -2, B 80.00 -1", evaluation=FEATURES, more=UNLIKE),
        [],
        "A 90.00=70.00, B 80.00",
        "A 102.85 @0",
    ),
    "and in whole yen": (  # k = 10/7: 778 × 10/7 = 1111.4…
        vickrey(
            "A 1000 -2, B 778 -1",
            start_price="2000",
            currency="JPY",
            evaluation={"feature_maxima": ["0.3"]},
            more={"A": {"features": ["0.3"]}, "B": {"features": ["0"]}},
        ),
        [],
        "A 1000=700, B 778",
        "A 1111 @0",
    ),
    # Turns -------------------------------------------------------------------------------------------------------
    "nobody bids in its turn": (turns(THREE), [], "C 98.00, B 99.00, A 100.00", "C 98.00 @1740"),
    "each in its own turn, by the own price": (
        turns(THREE, "310 B bid 90.00", "315 A bid 95.00", "430 B bid 98.00", "550 C bid 97.50"),
        ["not_your_turn - 90.00", "ok 99.00 95.00", "ok 98.00 98.00", "step_not_met 97.00 97.50"],
        "A 95.00, C 98.00, B 98.00",
        "A 95.00 @1740",
    ),
    "changed and withdrawn within the turn": (
        turns(THREE, "310 A bid 95.00", "320 A bid 97.00", "330 A withdraw", "340 A withdraw", "419.9 A bid 99.00"),
        ["ok 99.00 95.00", "ok 99.00 97.00", "ok 99.00 -", "nothing_to_withdraw 99.00 -", "ok 99.00 99.00"],
        "C 98.00, B 99.00, A 99.00",
        "C 98.00 @1740",
    ),
    "before, between and after the turns": (
        turns(THREE, "299 A bid 95.00", "420 A bid 95.00", "700 A bid 95.00", "1700 A bid 95.00", "1740 A bid 95.00"),
        [*["not_your_turn - 95.00"] * 4, "auction_over - 95.00"],
        "C 98.00, B 99.00, A 100.00",
        "C 98.00 @1740",
    ),
    "the lowest speaks first in a sale": (
        turns("A 100.00 -2, B 110.00 -1", "310 A bid 120.00", "430 B bid 111.00", **SALE),
        ["ok 101.00 120.00", "ok 111.00 111.00"],
        "A 120.00, B 111.00",
        "A 120.00 @1380",
    ),
    "who has no bid has no turn": (
        turns("A 100.00 -2, B - 0", "310 A bid 99.00", "430 B bid 50.00"),
        ["ok 99.00 99.00", "not_your_turn - 50.00"],
        "A 99.00",
        "A 99.00 @1020",
    ),
    "turns with features": (  # A's own 70.00 less 1.00: 69 × 9/7 = 88.714…
        turns(
            "A 90.00 -2, B 80.00 -1",
            *("310 B bid 79.00", "430 A bid 88.72", "440 A bid 88.71"),
            evaluation=FEATURES,
            more=UNLIKE,
        ),
        ["ok 79.00 79.00", "step_not_met 88.71 69.00", "ok 88.71 69.00"],
        "A 88.71=69.00, B 79.00",
        "A 88.71 @1380",
    ),
}


@pytest.mark.parametrize(("given", "decisions", "ranking", "result"), EXAM.values(), ids=EXAM.keys())
def test_an_auction_goes_as_the_description_says(given, decisions, ranking, result):
    assert told(simulate(parse(given, UNITS))) == (decisions, ranking, result)


def stages(given):
    found = simulate(parse(given, UNITS))["stages"]
    return [f"{stage['at_s']} {stage['kind']}" + (f" {stage['bidder']}" if stage["bidder"] else "") for stage in found]


def test_turns_go_by_the_timetable_worst_first():
    assert stages(turns(THREE, "315 A bid 95.00", "430 B bid 98.00")) == [
        *("0 pause", "300 turn A", "420 turn B", "540 turn C"),
        # C's 98.00 was there before B's: it stands better, and speaks later.
        *("660 pause", "780 turn B", "900 turn C", "1020 turn A"),
        *("1140 pause", "1260 turn B", "1380 turn C", "1500 turn A"),
        "1740 announcement",
    ]


def test_of_equal_bids_the_later_speaks_first():
    assert stages(turns("A 99.00 -30, B 99.00 -20"))[:3] == ["0 pause", "300 turn B", "420 turn A"]


def test_other_kinds_have_no_stages():
    assert [stages(given) for given in (english(THREE), dutch("A - 0"), japanese("A - 0"), sealed("A 9.00 0"))] == [
        [],
        [],
        [],
        [],
    ]
