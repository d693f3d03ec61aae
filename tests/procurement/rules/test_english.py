from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal as D
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from procurement.rules.auction.base import (
    Bid,
    ExtendFrom,
    Reference,
    Refused,
    Room,
    SoftClose,
    StepKind,
    Terms,
)
from procurement.rules.auction.english import allowed_amount, decide, decide_all, hopeless
from procurement.rules.auction.judging import anonymous_order, step_amount
from procurement.rules.auction.views import Shown, bidder_view, observer_view
from procurement.rules.effective import by_features, by_life_cycle_cost, ceil_to, floor_to, half_up_to
from procurement.rules.lifecycle import AuctionStatus
from procurement.rules.ranking import Direction, Standing

CENT = D("0.01")
START = datetime(2026, 3, 4, 12, tzinfo=UTC)
END = START + timedelta(minutes=10)
THREE_MINUTES = timedelta(minutes=3)
SOFT = SoftClose(window=THREE_MINUTES, extend=THREE_MINUTES)


def room(*, status=AuctionStatus.RUNNING, initial=None, bidders="ABC", **terms):
    """A reverse auction from 100.00 by steps of 1.00, ten minutes, unless said otherwise."""
    terms = Terms(**{"direction": Direction.DOWN, "minor_unit": CENT, "limit": D("100.00"), "step": D("1.00"), **terms})
    standings = {
        bidder: Standing(bidder, D(amount), terms.formula(bidder).of(D(amount)), START - timedelta(hours=1), order)
        for order, (bidder, amount) in enumerate((initial or {}).items())
    }
    return Room(terms, status, START, END, frozenset(bidders), standings, order=len(standings))


def at(seconds):
    return START + timedelta(seconds=seconds)


def bid(bidder, amount, seconds=10.0):
    return Bid(bidder, D(amount), at(seconds))


def outcome(state, *bids):
    decisions, after = decide_all(state, bids)
    return [d.code for d in decisions], after


def test_a_bid_must_beat_the_leader_by_the_step():
    state = room(initial={"A": "90.00"})
    refused, same = decide(state, bid("B", "89.01"))
    assert (refused.code, refused.allowed_amount) == (Refused.STEP_NOT_MET, D("89.00"))
    assert same is state
    accepted, after = decide(state, bid("B", "89.00"))
    assert (accepted.accepted, accepted.allowed_amount) == (True, D("89.00"))
    assert after.leader.bidder == "B"
    assert state.leader.bidder == "A"


def test_the_first_bid_may_be_the_start_price_and_not_above_it():
    assert outcome(room(), bid("A", "100.01"), bid("A", "100.00"))[0] == [Refused.LIMIT_NOT_MET, None]


def test_without_limit_and_bids_any_amount_will_do():
    state = room(limit=None)
    assert allowed_amount(state, "A") is None
    assert outcome(state, bid("A", "1000000.00"))[0] == [None]
    assert allowed_amount(room(limit=None, direction=Direction.UP), "A") == CENT


def test_a_sale_mirrors_the_comparisons():
    state = room(direction=Direction.UP, initial={"A": "110.00"})
    assert allowed_amount(state, "B") == D("111.00")
    codes, after = outcome(state, bid("B", "99.99"), bid("B", "110.99"), bid("B", "111.00"), bid("B", "120.00"))
    assert codes == [Refused.LIMIT_NOT_MET, Refused.STEP_NOT_MET, None, Refused.ALREADY_LEADING]
    assert after.leader.amount == D("111.00")


def test_a_leader_does_not_bid_against_itself():
    decision, _ = decide(room(initial={"A": "90.00", "B": "95.00"}), bid("A", "80.00"))
    assert (decision.code, decision.allowed_amount) == (Refused.ALREADY_LEADING, None)


def test_by_its_own_reference_a_bidder_improves_its_own_price_leading_or_not():
    state = room(reference=Reference.OWN, initial={"A": "90.00", "B": "95.00"})
    codes, after = outcome(state, bid("B", "94.01"), bid("B", "94.00"), bid("A", "89.00"), bid("C", "100.00"))
    assert codes == [Refused.STEP_NOT_MET, None, None, None]
    assert [line.standing.bidder for line in after.ranking] == ["A", "B", "C"]


def test_of_equal_prices_the_one_received_first_stands_better():
    state = room(reference=Reference.OWN, initial={"A": "95.00", "B": "96.00"})
    _, after = outcome(state, bid("B", "90.00", 20), bid("A", "90.00", 21))
    assert [line.standing.bidder for line in after.ranking] == ["B", "A"]


@pytest.mark.parametrize(
    ("amount", "code"),
    [
        ("0", Refused.NOT_POSITIVE),
        ("-5.00", Refused.NOT_POSITIVE),
        ("NaN", Refused.NOT_POSITIVE),
        ("90.001", Refused.TOO_PRECISE),
        ("1E+16", Refused.TOO_LARGE),
    ],
)
def test_what_is_no_price_is_refused(amount, code):
    decision, _ = decide(room(), bid("A", amount))
    assert (decision.code, decision.allowed_amount) == (code, D("100.00"))


def test_a_stranger_is_refused_and_told_nothing():
    decision, _ = decide(room(), bid("Z", "50.00"))
    assert (decision.code, decision.allowed_amount) == (Refused.NOT_A_PARTICIPANT, None)


@pytest.mark.parametrize(
    ("status", "seconds", "code"),
    [
        (AuctionStatus.SCHEDULED, 10, Refused.NOT_STARTED),
        (AuctionStatus.RUNNING, -0.000001, Refused.NOT_STARTED),
        (AuctionStatus.RUNNING, 0, None),
        (AuctionStatus.RUNNING, 599.999999, None),
        (AuctionStatus.RUNNING, 600, Refused.OVER),
        (AuctionStatus.ENDED, 10, Refused.OVER),
        (AuctionStatus.PAUSED, 10, Refused.PAUSED),
        (AuctionStatus.CANCELLED, 10, Refused.CANCELLED),
    ],
)
def test_bids_are_taken_from_the_start_to_before_the_end(status, seconds, code):
    assert outcome(room(status=status), bid("A", "90.00", seconds))[0] == [code]


@pytest.mark.parametrize(
    ("seconds", "counted_from", "end"),
    [
        (419.999999, "receipt", 600),
        (420, "receipt", 600),
        (500, "receipt", 680),
        (599.999999, "receipt", 779.999999),
        (420, "end", 780),
        (599, "end", 780),
    ],
)
def test_a_bid_in_the_closing_minutes_moves_the_end(seconds, counted_from, end):
    soft = replace(SOFT, counted_from=ExtendFrom(counted_from))
    decision, after = decide(room(soft_close=soft), bid("A", "90.00", seconds))
    assert after.ends_at == decision.ends_at == at(end)
    assert (after.extensions, decision.extended) == ((1, True) if end > 600 else (0, False))


def test_a_refused_bid_moves_nothing():
    assert outcome(room(soft_close=SOFT), bid("A", "101.00", 599))[1].ends_at == END


def test_the_end_moves_at_most_so_many_times():
    state = room(soft_close=replace(SOFT, max_extensions=1))
    codes, after = outcome(state, bid("A", "90.00", 590), bid("B", "80.00", 760), bid("C", "70.00", 770))
    assert codes == [None, None, Refused.OVER]
    assert (after.ends_at, after.extensions) == (at(770), 1)


def test_the_end_never_moves_past_the_hard_stop_nor_backwards():
    state = room(soft_close=replace(SOFT, hard_stop_at=at(650)))
    _, after = outcome(state, bid("A", "90.00", 590), bid("B", "80.00", 640))
    assert (after.ends_at, after.extensions) == (at(650), 1)
    short = room(soft_close=SoftClose(THREE_MINUTES, timedelta(seconds=10)))
    assert outcome(short, bid("A", "90.00", 430))[1].ends_at == END


def test_when_nothing_is_left_to_bid_the_refusal_says_so():
    decision, _ = decide(room(initial={"A": "0.50"}), bid("B", "0.01"))
    assert (decision.code, decision.allowed_amount) == (Refused.NO_ROOM_LEFT, None)


@pytest.mark.parametrize(
    ("kind", "value", "start", "unit", "step"),
    [
        ("amount", "1.50", None, "0.01", "1.50"),
        ("percent", "0.5", "100.00", "0.01", "0.50"),
        ("percent", "0.5", "99.00", "0.01", "0.50"),  # 0.495, half up
        ("percent", "0.5", "98.00", "0.01", "0.49"),
        ("percent", "0.5", "1.00", "0.01", "0.01"),  # never nothing
        ("percent", "0.5", "1001", "1", "5"),
    ],
)
def test_a_step_in_percent_is_of_the_start_price_rounded_half_up(kind, value, start, unit, step):
    assert step_amount(StepKind(kind), D(value), D(start) if start else None, D(unit)) == D(step)


@pytest.mark.parametrize(
    ("kind", "value", "start"), [("percent", "1", None), ("amount", "0", "100"), ("percent", "-1", "9")]
)
def test_a_step_that_cannot_be_counted_is_refused(kind, value, start):
    with pytest.raises(ValueError, match="step"):
        step_amount(StepKind(kind), D(value), D(start) if start else None, CENT)


def test_features_count_exactly():
    # 0.2 of 0.3 earned: k = 1 + 0.2 ÷ 0.7 = 9/7; 90.00 counts as 70.
    formula = by_features([D("0.1"), D("0.1")], [D("0.15"), D("0.15")], Direction.DOWN)
    assert formula.of(D("90.00")) == 70
    state = room(formulas={"A": formula}, initial={"B": "71.00"})
    assert allowed_amount(state, "A") == D("90.00")
    assert outcome(state, bid("A", "90.01"), bid("A", "90.00"))[0] == [Refused.STEP_NOT_MET, None]


def test_a_share_equal_to_its_maximum_is_not_lost_to_a_float():
    formula = by_features([D("0.2")], [D("0.3") - D("0.1")], Direction.DOWN)
    assert formula.of(D(125)) == 100


def test_the_cost_of_the_life_cycle_is_added():
    state = room(formulas={"A": by_life_cycle_cost(D("20.00"))}, initial={"B": "90.00"})
    assert allowed_amount(state, "A") == D("69.00")


@pytest.mark.parametrize(
    ("value", "floor", "ceiling", "nearest"),
    [
        (Fraction(1, 3), "0.33", "0.34", "0.33"),
        (Fraction(1, 200), "0.00", "0.01", "0.01"),
        (Fraction(-1, 200), "-0.01", "0.00", "-0.01"),
    ],
)
def test_rounding_is_named(value, floor, ceiling, nearest):
    assert (floor_to(value, CENT), ceil_to(value, CENT), half_up_to(value, CENT)) == (D(floor), D(ceiling), D(nearest))


def test_each_bidder_sees_what_the_lot_shows():
    state = room(initial={"A": "90.00", "B": "95.00"}, reference=Reference.OWN)
    price, rank, both = (bidder_view(state, "B", shown, START) for shown in (Shown.PRICE, Shown.RANK, Shown.BOTH))
    assert (price.best_amount, price.own_rank, price.own_amount, price.leading) == (D("90.00"), None, D("95.00"), False)
    assert (rank.best_amount, rank.own_rank, rank.allowed_amount) == (None, 2, D("94.00"))
    assert (both.best_amount, both.own_rank) == (D("90.00"), 2)
    outsider = bidder_view(state, "C", Shown.BOTH, START)
    assert (outsider.own_amount, outsider.own_rank, outsider.allowed_amount) == (None, None, D("100.00"))


def test_where_only_ranks_are_shown_the_leaders_price_is_not_told_by_the_amount_allowed():
    state = room(initial={"A": "90.00", "B": "95.00"}, reference=Reference.LEADER)
    assert bidder_view(state, "B", Shown.RANK, START).allowed_amount is None
    assert bidder_view(state, "B", Shown.PRICE, START).allowed_amount == D("89.00")


def test_an_observer_sees_all_amounts_under_labels():
    rows = observer_view(room(initial={"A": "90.00", "B": "95.00"}), {"A": "Bidder 2", "B": "Bidder 1"})
    assert [(row.rank, row.label, row.amount) for row in rows] == [
        (1, "Bidder 2", D("90.00")),
        (2, "Bidder 1", D("95.00")),
    ]


def test_labels_tell_nothing_about_the_order_of_bids():
    orders = {tuple(anonymous_order(["A", "B", "C"], salt)) for salt in "abcdefghij"}
    assert len(orders) > 1
    assert anonymous_order(["C", "A", "B"], "x") == anonymous_order(["A", "B", "C"], "x")


amounts = st.integers(1, 12_000).map(lambda cents: D(cents) / 100)
seconds = st.integers(0, 900)
bids = st.lists(st.tuples(st.sampled_from("ABC"), amounts, seconds), max_size=40).map(
    lambda rows: [Bid(b, a, at(s)) for b, a, s in sorted(rows, key=lambda row: row[2])]
)
rooms = st.builds(
    room,
    direction=st.sampled_from(Direction),
    reference=st.sampled_from(Reference),
    limit=st.none() | st.just(D("60.00")),
    step=st.sampled_from([D("0.01"), D("1.00"), D("2.50")]),
    soft_close=st.none()
    | st.builds(
        SoftClose,
        st.just(THREE_MINUTES),
        st.just(THREE_MINUTES),
        st.sampled_from(ExtendFrom),
        st.none() | st.integers(0, 3),
    ),
    formulas=st.sampled_from(
        [{}, {"A": by_life_cycle_cost(D("3.00"))}, {"B": by_features([D("0.1")], [D("0.2")], Direction.DOWN)}]
    ),
    initial=st.dictionaries(
        st.sampled_from("ABC"),
        st.integers(5000, 6000).map(lambda cents: f"{cents // 100}.{cents % 100:02}"),
        max_size=3,
    ),
)


@given(rooms, bids)
def test_every_accepted_bid_beats_its_reference_and_the_limit(state, offered):
    for offer in offered:
        decision, after = decide(state, offer)
        if not decision.accepted:
            assert after is state
            continue
        better, terms = state.terms.direction.better, state.terms
        reference = state.leader if terms.reference is Reference.LEADER else state.standings.get(offer.bidder)
        if reference is not None:
            gain = abs(decision.effective - reference.effective)
            assert better(decision.effective, reference.effective)
            assert gain >= Fraction(terms.step)
        assert terms.limit is None or not better(Fraction(terms.limit), decision.effective)
        assert state.starts_at <= offer.received_at < state.ends_at <= after.ends_at
        assert set(after.standings) == set(state.standings) | {offer.bidder}
        state = after


@given(rooms, bids)
def test_the_leader_kept_along_the_way_is_the_first_of_the_ranking(state, offered):
    for offer in offered:
        _, state = decide(state, offer)
        assert state.leader == (state.ranking[0].standing if state.ranking else None)


@given(rooms, bids, st.sampled_from("ABC"))
def test_the_amount_allowed_is_admitted_and_one_cent_worse_is_not(state, offered, bidder):
    _, state = decide_all(state, offered)
    allowed = allowed_amount(state, bidder)
    if allowed is None:
        return
    moment = state.ends_at - timedelta(microseconds=1)
    assert decide(state, Bid(bidder, allowed, moment))[0].accepted
    worse = allowed + (CENT if state.terms.direction is Direction.DOWN else -CENT)
    assert not decide(state, Bid(bidder, worse, moment))[0].accepted


@given(rooms, bids, bids)
def test_a_hopeless_bid_is_refused_however_late_it_is_judged(state, earlier, later):
    _, fresh = decide_all(state, earlier)
    for offer in later:
        if hopeless(state, offer):
            assert not decide(fresh, offer)[0].accepted


@given(rooms, bids, st.integers(0, 40))
def test_deciding_in_batches_changes_nothing(state, offered, cut):
    whole, end = decide_all(state, offered)
    first, between = decide_all(state, offered[:cut])
    second, same_end = decide_all(between, offered[cut:])
    assert [d.code for d in whole] == [d.code for d in first + second]
    assert end == same_end
