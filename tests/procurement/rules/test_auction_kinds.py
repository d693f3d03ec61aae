"""What holds in every kind of auction, and the closed form of proxies against one step after the other."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from fractions import Fraction

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from procurement.management.paper import MinorUnits
from procurement.rules.auction import kinds, proxies
from procurement.rules.auction.base import (
    Action,
    AuctionKind,
    Course,
    HappeningKind,
    Move,
    Reference,
    Refused,
    Room,
    SoftClose,
    Terms,
)
from procurement.rules.auction.concession import allowed_amount
from procurement.rules.auction.scenario import parse
from procurement.rules.auction.simulation import simulate
from procurement.rules.auction.timetable import PriceClock
from procurement.rules.auction.views import Shown, bidder_view
from procurement.rules.effective import by_features, by_life_cycle_cost
from procurement.rules.lifecycle import AuctionStatus
from procurement.rules.ranking import Direction, Standing, rank_key
from tests.procurement.rules.models import strategies

CENT = D("0.01")
START = datetime(2026, 3, 4, 12, tzinfo=UTC)
FEW = settings(max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))

scenarios = st.one_of(
    strategies.english(),
    strategies.sealed(),
    strategies.clocked("dutch"),
    strategies.clocked("japanese"),
    strategies.turn_based(),
)


def at(seconds):
    return START + timedelta(seconds=seconds)


def room(kind=AuctionKind.ENGLISH, *, initial=None, bidders="ABC", limits=(), length=600, **terms):
    """A reverse auction from 100.00 by steps of 1.00, ten minutes, unless said otherwise."""
    terms = Terms(
        **{
            "direction": Direction.DOWN,
            "minor_unit": CENT,
            "limit": D("100.00"),
            "step": D("1.00"),
            "kind": kind,
            "proxy_bids": True,
            "clock": PriceClock(D("100.00"), D("5.00"), timedelta(seconds=30), D("80.00")),
            **terms,
        }
    )
    standings = {
        bidder: Standing(bidder, D(amount), terms.formula(bidder).of(D(amount)), START - timedelta(hours=1), order)
        for order, (bidder, amount) in enumerate((initial or {}).items())
    }
    ends_at = START + (kinds.length(terms, len(standings)) or timedelta(seconds=length))
    state = Room(terms, AuctionStatus.RUNNING, START, ends_at, frozenset(bidders), standings, order=len(standings))
    if not limits:
        return state
    return proxies.opened(state, tuple(proxies.Limit(*limit, START) for limit in limits))


def due(state):
    """When something happens next without a move, the end included."""
    comes = kinds.coming(state)
    return comes[0].at if comes else state.ends_at


def do(state, bidder, action, seconds, amount=None):
    return kinds.decide(state, Move(bidder, None if amount is None else D(amount), at(seconds), action))


def stands(state):
    return {line.standing.bidder: str(line.standing.amount) for line in state.ranking}


# Proxies ---------------------------------------------------------------------------------------------------------


def test_a_proxy_answers_with_the_least_concession_at_the_instant_it_is_called():
    state = room(initial={"A": "99.00", "B": "100.00"}, limits=[("A", D("90.00"))])
    assert due(state) == state.ends_at
    decision, state = do(state, "B", Action.BID, 10, "95.00")
    assert (decision.accepted, due(state)) == (True, at(10))
    happened, state = kinds.advance(state, at(10))
    assert [(happens.kind, happens.at) for happens in happened] == [(HappeningKind.AUTOMATIC_BIDS, at(10))]
    assert [(bid.bidder, bid.amount, bid.received_at) for bid in happened[0].bids] == [("A", D("94.00"), at(10))]
    assert kinds.advance(state, at(599)) == ((), state)


def test_proxies_bid_at_the_start_the_earlier_one_first():
    _, state = kinds.advance(room(limits=[("B", D("97.00")), ("A", D("97.00"))]), START)
    # B 100, A 99, B 98, A 97.
    assert stands(state) == {"A": "97.00", "B": "98.00"}


def test_a_limit_is_bid_only_where_a_whole_step_reaches_it():
    state = room(initial={"B": "90.50"}, limits=[("A", D("90.00"))])
    assert kinds.coming(state) is None


def test_by_its_own_reference_a_proxy_goes_on_until_it_leads():
    state = room(initial={"A": "98.00", "B": "95.00"}, limits=[("A", D("90.00"))], reference=Reference.OWN)
    # 95.00 would be equal, and later.
    assert stands(kinds.advance(state, START)[1]) == {"A": "94.00", "B": "95.00"}


def test_an_automatic_bid_moves_the_end_once_with_the_bid_that_called():
    minute = timedelta(minutes=1)
    soft = SoftClose(minute, minute)
    state = room(initial={"A": "99.00", "B": "100.00"}, limits=[("A", D("10.00"))], soft_close=soft)
    _, state = do(state, "B", Action.BID, 590, "95.00")
    _, state = kinds.advance(state, at(590))
    assert (state.ends_at, state.extensions) == (at(650), 1)


def test_a_limit_may_be_set_changed_and_taken_back_in_the_room():
    soft = SoftClose(timedelta(minutes=1), timedelta(minutes=1))
    state = room(initial={"A": "99.00", "B": "100.00"}, soft_close=soft)
    refused, _ = do(state, "B", Action.LIMIT, 5, "98.50")
    assert (refused.code, refused.allowed_amount) == (Refused.STEP_NOT_MET, D("98.00"))
    accepted, state = do(state, "B", Action.LIMIT, 595, "96.00")
    assert accepted.accepted
    happened, state = kinds.advance(state, at(595))
    assert ([bid.amount for bid in happened[0].bids], state.ends_at) == ([D("98.00")], at(655))
    # A leader may set one too, which sleeps until it is needed.
    accepted, state = do(state, "B", Action.LIMIT, 600, "50.00")
    assert (accepted.accepted, kinds.coming(state)) == (True, None)
    _, state = do(state, "B", Action.LIMIT, 601)
    _, state = do(state, "A", Action.BID, 602, "97.00")
    assert (kinds.coming(state), state.leader.bidder) == (None, "A")


def one_by_one(state, limits, instant):
    """What proxies come to, one step after the other."""
    while True:
        for limit in limits:
            amount = allowed_amount(state, limit.bidder)
            if state.leader and state.leader.bidder == limit.bidder:
                continue
            if amount is None or not limit.bears(amount, state.terms.direction):
                continue
            of = state.terms.formula(limit.bidder).of(amount)
            standing = Standing(limit.bidder, amount, of, instant, state.order + 1)
            state = state.with_standing(standing, state.ends_at, state.extensions)
            break
        else:
            return state


shares = st.sampled_from([D(0), D("0.05"), D("0.1"), D("0.13"), D("0.2")])


@st.composite
def fights(draw):
    direction, reference = draw(st.sampled_from(Direction)), draw(st.sampled_from(Reference))
    formulas = {}
    for bidder in "ABCD":
        kind = draw(st.sampled_from(["price", "features", "cost"]))
        if kind == "features":
            formulas[bidder] = by_features([draw(shares)], [D("0.25")], direction)
        elif kind == "cost":
            formulas[bidder] = by_life_cycle_cost(D(draw(st.integers(0, 900))) / 1000)
    cents = st.integers(2000, 6000).map(lambda number: D(number) / 100)
    state = room(
        bidders="ABCD",
        direction=direction,
        reference=reference,
        limit=draw(st.sampled_from([D("40.00"), D("60.00")])),
        step=draw(st.sampled_from([D("0.01"), D("0.07"), D("0.50"), D("1.00")])),
        formulas=formulas,
        initial={bidder: draw(cents) for bidder in draw(st.sets(st.sampled_from("ABCD")))},
    )
    limits = tuple(
        proxies.Limit(bidder, draw(cents), START) for bidder in draw(st.permutations("ABCD"))[: draw(st.integers(1, 4))]
    )
    return state, limits


@settings(FEW, max_examples=300)
@given(fights())
def test_what_proxies_come_to_is_what_one_step_after_the_other_comes_to(fight):
    state, limits = fight
    fought, stepped = proxies.fought_out(state, limits, START), one_by_one(state, limits, START)
    assert fought.standings == stepped.standings
    assert (fought.order, fought.leader) == (stepped.order, stepped.leader)


@pytest.mark.parametrize("reference", Reference)
def test_millions_of_steps_take_no_time(reference):
    formulas = {"A": by_features([D("0.137")], [D("0.3")], Direction.DOWN)}
    state = room(
        limit=D("90000000000.00"),
        step=CENT,
        reference=reference,
        formulas=formulas,
        limits=[("A", D("1.00")), ("B", D("2.37"))],
    )
    began = time.process_time()
    _, state = kinds.advance(state, START)
    assert time.process_time() - began < 5
    assert state.leader.bidder == "A"
    assert state.standings["B"].amount - D("2.37") < D("0.03")
    assert state.order > 10**6


# Dutch and Japanese ----------------------------------------------------------------------------------------------


def test_a_dutch_acceptance_counts_at_the_price_of_its_receipt_and_ends_the_auction():
    state = room(AuctionKind.DUTCH)
    assert (state.ends_at, kinds.allowed(state, "A", at(29.999999)).amount) == (at(150), D("100.00"))
    may = kinds.allowed(state, "A", at(30))
    assert (may.actions, may.amount, may.until) == ((Action.ACCEPT,), D("95.00"), at(60))
    decision, after = do(state, "B", Action.ACCEPT, 30)
    assert (decision.accepted, decision.allowed_amount, after.ends_at) == (True, D("95.00"), at(30))
    assert kinds.outcome(after) == kinds.Outcome("B", D("95.00"))
    assert do(after, "A", Action.ACCEPT, 29)[0].code is Refused.OVER
    assert do(after, "A", Action.ACCEPT, 31)[0].code is Refused.OVER


def test_a_price_that_was_seen_and_has_moved_on_is_not_accepted():
    decision, _ = do(room(AuctionKind.DUTCH), "A", Action.ACCEPT, 31, "100.00")
    assert (decision.code, decision.allowed_amount) == (Refused.PRICE_MOVED, D("95.00"))
    assert do(room(AuctionKind.JAPANESE), "A", Action.CONFIRM, 1, "95.00")[0].code is Refused.PRICE_MOVED


def test_the_clock_tells_its_ticks_and_what_stood_still_is_given_back():
    state = room(AuctionKind.DUTCH)
    happened, state = kinds.advance(state, at(60))
    assert [(h.number, h.at, h.until, h.price) for h in happened] == [
        (0, at(0), at(30), 100),
        (1, at(30), at(60), 95),
        (2, at(60), at(90), 90),
    ]
    hundred = timedelta(seconds=100)
    later = replace(state, delay=hundred, ends_at=state.ends_at + hundred)
    assert due(later) == at(190)
    assert kinds.allowed(later, "A", at(189)).amount == D("90.00")


def test_whoever_does_not_confirm_a_tick_is_out_for_good():
    state = room(AuctionKind.JAPANESE)
    for bidder in "AB":
        _, state = do(state, bidder, Action.CONFIRM, 10)
    assert do(state, "A", Action.CONFIRM, 20)[0].code is Refused.ALREADY_CONFIRMED
    happened, state = kinds.advance(state, at(30))
    assert happened[-1].out == ("C",)
    assert do(state, "C", Action.CONFIRM, 30)[0].code is Refused.OUT
    _, state = do(state, "B", Action.CONFIRM, 31)
    _, state = kinds.advance(state, at(60))
    assert (state.ends_at, kinds.outcome(state)) == (at(60), kinds.Outcome("B", D("95.00")))
    assert kinds.allowed(state, "B", at(60)).code is Refused.OVER
    assert stands(state) == {"B": "95.00", "A": "100.00"}


def test_features_leave_no_advantage_to_what_rounding_left_over():
    formulas = {"B": by_features([D("0.1")], [D("0.2")], Direction.DOWN)}
    state = room(AuctionKind.JAPANESE, formulas=formulas, bidders="AB", minor_unit=D(1))
    for seconds, bidder in ((1, "A"), (2, "B")):
        _, state = do(state, bidder, Action.CONFIRM, seconds)
    _, state = kinds.advance(state, at(60))
    # B's 112 counts 99.56, less than A's 100; both confirmed the same tick, A before B.
    assert (stands(state), kinds.outcome(state).winner) == ({"A": "100", "B": "112"}, "A")


# All kinds -------------------------------------------------------------------------------------------------------


def read(scenario):
    return parse(json.loads(json.dumps(scenario), parse_float=D), MinorUnits())


@settings(FEW, max_examples=150)
@given(scenarios, st.lists(st.integers(-10, 2000), max_size=12))
def test_it_does_not_matter_how_often_the_room_is_advanced(scenario, looks):
    parsed = read(scenario)
    rare, often, before = parsed.room, parsed.room, parsed.room.starts_at
    for event in parsed.events:
        between = [parsed.room.starts_at + timedelta(seconds=look) for look in sorted(looks)]
        for look in between:
            if before <= look < event.move.received_at:
                _, often = kinds.advance(often, look)
        one, rare = kinds.decide(rare, event.move)
        other, often = kinds.decide(often, event.move)
        assert (one, one.allowed_amount) == (other, other.allowed_amount)
        before = max(before, event.move.received_at)
    assert kinds.advance(rare, rare.ends_at)[1] == kinds.advance(often, often.ends_at)[1]


@settings(FEW, max_examples=150)
@given(scenarios)
def test_the_outcome_is_ranked_by_one_key_and_never_worse_than_the_limit(scenario):
    parsed = read(scenario)
    direction, limit = parsed.room.terms.direction, parsed.room.terms.exact_limit
    end = parsed.room
    for event in parsed.events:
        decision, end = kinds.decide(end, event.move)
        assert decision.accepted or decision.code in Refused
        if decision.accepted and limit is not None and decision.effective is not None:
            assert not direction.better(limit, decision.effective)
    _, end = kinds.advance(end, end.ends_at)
    assert kinds.advance(end, end.ends_at)[0] == ()
    keys = [rank_key(line.standing, direction) for line in end.ranking]
    assert keys == sorted(keys)
    assert kinds.outcome(end).winner == (end.ranking[0].standing.bidder if keys else None)
    assert simulate(parsed) == simulate(read(scenario))


@settings(FEW, max_examples=200)
@given(scenarios)
def test_the_amount_allowed_is_admitted_and_one_unit_worse_is_not(scenario):
    state = read(scenario).room
    worse = state.terms.minor_unit * (1 if state.terms.direction is Direction.DOWN else -1)
    for event in read(scenario).events:
        _, state = kinds.decide(state, event.move)
        for bidder in sorted(state.bidders):
            may = kinds.allowed(state, bidder, event.move.received_at)
            action = next((action for action in may.actions if action is not Action.WITHDRAW), None)
            if action is None or may.amount is None or action is Action.LIMIT:
                continue
            move = Move(bidder, may.amount, event.move.received_at, action)
            assert kinds.decide(state, move)[0].accepted
            assert not kinds.decide(state, replace(move, amount=may.amount + worse))[0].accepted


MIRROR = D(200)


def mirrored(scenario):
    """The same auction the other way: every price reflected, so that a purchase becomes a sale."""
    other = json.loads(json.dumps(scenario))
    flip = lambda amount: None if amount is None else f"{MIRROR - D(amount):.2f}"  # noqa: E731
    other["direction"] = {"down": "up", "up": "down"}[scenario["direction"]]
    other["start_price"] = flip(scenario["start_price"])
    if other["clock"]:
        other["clock"]["last_price"] = flip(other["clock"]["last_price"])
    for bidder in other["bidders"]:
        bidder["initial"], bidder["proxy_limit"] = flip(bidder["initial"]), flip(bidder["proxy_limit"])
    for event in other["events"]:
        if "amount" in event:
            event["amount"] = flip(event["amount"])
    return other


@settings(FEW, max_examples=200)
@given(scenarios)
def test_a_sale_mirrors_a_purchase(scenario):
    scenario["currency"], scenario["evaluation"], scenario["step"] = "EUR", None, {"amount": "0.70"}
    amounts = [bidder[name] for bidder in scenario["bidders"] for name in ("initial", "proxy_limit")]
    amounts += [event.get("amount") for event in scenario["events"]]
    clock = scenario["clock"] or {"last_price": None, "tick": "1.00"}
    amounts += [clock["last_price"], scenario["start_price"]]
    for amount in amounts:
        if amount is not None and not (1 < D(amount) < 199 and D(amount) % CENT == 0):
            return
    if D(clock["tick"]) % CENT:
        return
    one, other = simulate(read(scenario)), simulate(read(mirrored(scenario)))
    if scenario["start_price"] is None:
        # Without a bound a purchase allows any amount and a sale the smallest; the rest is the same.
        one, other = ({**told, "decisions": [d["code"] for d in told["decisions"]]} for told in (one, other))
    assert reflected(one) == other


def reflected(value):
    if isinstance(value, list):
        return [reflected(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {
        name: f"{MIRROR - D(item):.2f}"
        if name in ("amount", "effective", "allowed_amount", "price") and item is not None
        else reflected(item)
        for name, item in value.items()
    }


def test_exact_prices_never_pass_through_a_float():
    clock = PriceClock(D("0.30"), D("0.10"), timedelta(seconds=1), D("0.10"))
    assert [clock.price(tick) for tick in range(clock.last_tick + 1)] == [
        Fraction(3, 10),
        Fraction(1, 5),
        Fraction(1, 10),
    ]


# Who sees what ---------------------------------------------------------------------------------------------------


def test_a_japanese_bidder_learns_nothing_of_the_others_while_it_runs():
    state = room(AuctionKind.JAPANESE)
    _, state = do(state, "A", Action.CONFIRM, 5)
    seen = bidder_view(state, "B", Shown.BOTH, at(10))
    assert (seen.best_amount, seen.own_rank, seen.leading) == (None, None, False)
    assert (seen.allowed_amount, seen.actions, seen.until) == (D("100.00"), (Action.CONFIRM,), at(30))
    own = bidder_view(state, "A", Shown.BOTH, at(10))
    assert (own.own_amount, own.own_rank, own.leading, own.refused) == (
        D("100.00"),
        None,
        False,
        Refused.ALREADY_CONFIRMED,
    )


def test_a_bid_in_a_turn_is_the_bidders_own_until_the_turn_has_ended():
    state = room(AuctionKind.TURN_BASED, initial={"A": "100.00", "B": "99.00"}, bidders="AB", reference=Reference.OWN)
    _, state = do(state, "A", Action.BID, 310, "90.00")
    assert (bidder_view(state, "A", Shown.BOTH, at(320)).made, bidder_view(state, "B", Shown.BOTH, at(320)).made) == (
        D("90.00"),
        None,
    )
    assert bidder_view(state, "B", Shown.BOTH, at(320)).best_amount == D("99.00")
    assert bidder_view(state, "B", Shown.BOTH, at(420)).best_amount == D("90.00")
    assert not kinds.told_at_once(AuctionKind.TURN_BASED, Action.BID)
    assert [kinds.told_at_once(AuctionKind.ENGLISH, action) for action in (Action.BID, Action.LIMIT)] == [True, False]


def test_everybody_sees_whose_turn_it_is_and_which_tick():
    state = room(AuctionKind.TURN_BASED, initial={"A": "100.00", "B": "99.00"}, bidders="AB", reference=Reference.OWN)
    assert kinds.course(state, at(0)) == Course(HappeningKind.PAUSE, 1, 3, at(300), order=("A", "B"))
    assert kinds.course(state, at(420)) == Course(HappeningKind.TURN, 1, 3, at(540), bidder="B", order=("A", "B"))
    assert kinds.course(state, at(1260)).kind is HappeningKind.ANNOUNCEMENT
    assert kinds.course(state, at(1380)) is None
    tick = kinds.course(room(AuctionKind.DUTCH), at(35))
    assert tick == Course(HappeningKind.TICK, 1, 4, at(60), price=Fraction(95))
