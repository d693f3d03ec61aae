"""The room on a real PostgreSQL: batches, keys, many processes."""

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal as D
from itertools import product

import pytest
from django.db import IntegrityError, connection

from marketplace.models import OrganisationStatus, Role
from marketplace.shared import clock
from procurement.auction import asking, room
from procurement.auction.replay import replay_lot
from procurement.auction.room import KEY_REUSED, UNKNOWN_AUCTION, Desk
from procurement.auction.seats import entitlement, live_members
from procurement.models import AuctionEvent, Bid
from procurement.queries import auctions as rooms
from procurement.rules.auction import duel, kinds
from procurement.rules.auction.base import Action
from procurement.rules.auction.log import replay
from procurement.rules.lifecycle import BidStatus
from procurement.services import auction_log, auctions
from tests.factories.at_once import at_the_same_time
from tests.factories.auctions import START, running_auction, running_auctions, seats
from tests.factories.marketplace import PlanFactory
from tests.patience import PATIENCE_S
from tests.procurement.rules.test_auction_log_kinds import MOVES, Log
from tests.procurement.rules.test_auction_log_kinds import START as START_ON_PAPER

pytestmark = pytest.mark.django_db


def later(seconds):
    return START + timedelta(seconds=seconds)


def codes(answers):
    return [answer.code for answer in answers]


def test_a_batch_is_decided_in_the_order_of_receipt_and_answered_in_its_own():
    auction = running_auction()
    a, b, _ = seats(auction)
    answers = Desk().decide([b.bid("95.00", later(20)), a.bid("96.00", later(10)), a.bid("95.00", later(30))])
    assert codes(answers) == [None, None, "step_not_met"]
    assert [answer.number for answer in answers] == [4, 3, None]
    assert answers[2].allowed_amount == "94.00"
    auction.refresh_from_db()
    b.participant.refresh_from_db()
    assert (b.participant.standing_amount, b.participant.standing_at) == (D("95.00"), later(20))
    assert b.participant.bids_accepted == 1
    assert auction.last_event == 4
    hall = replay(auction.pk, rooms.events(auction.pk))
    assert (hall.head, hall.room.leader.bidder) == (auction.head_hash, str(b.participant.pk))


def test_a_move_is_not_written_after_the_time_until_which_it_counts_wherever_it_waited():
    auction = running_auction(reference="own")
    a, b, _ = seats(auction)
    until = later(5)
    one, two = (replace(seat.bid("90.00", later(1)), not_after=until) for seat in (a, b))
    with clock.frozen(until):
        assert codes(Desk().decide([one])) == [None]
    # Received in time, but for so long it lay somewhere: whoever asked meanwhile was told that it is not in the log.
    with clock.frozen(until + timedelta(microseconds=1)):
        again, late = Desk().decide([one, two])
    assert (again.number, again.repeated) == (3, True)
    assert (late.code, late.number) == ("move_expired", None)
    assert AuctionEvent.objects.filter(auction=auction, kind="bid").count() == 1


@pytest.mark.parametrize(("reference", "shown"), [("leader", "price"), ("own", "price"), ("own", "rank")])
def test_a_hidden_limit_price_is_not_found_out_by_trying(reference, shown):
    """It is 100.00: nothing that a bidder is told may differ on both sides of it."""
    auction = running_auction(proxy_bids=True, limit_price_shown=False, reference=reference, shown=shown)
    a, _, leader = seats(auction)
    desk = Desk()

    def tried(seat, action):
        tries = [(replace(seat.bid(amount, later(1)), action=action)) for amount in ("100.00", "100.01", "99999.00")]
        return [(answer.code, answer.allowed_amount) for answer in desk.decide(tries)]

    for seat in (a, leader):
        for action in (Action.BID, Action.LIMIT):
            assert len(set(tried(seat, action))) == 1, (seat is leader, action)


def test_a_refused_bid_leaves_no_trace():
    auction = running_auction()
    (a, *_) = seats(auction)
    before = list(AuctionEvent.objects.values())
    assert codes(Desk().decide([a.bid("97.50", later(1))])) == ["step_not_met"]
    assert list(AuctionEvent.objects.values()) == before
    assert auction.participants.get(pk=a.participant.pk).standing_amount == D("100.00")


def test_a_bid_at_the_instant_of_the_end_is_late_whenever_it_is_decided():
    auction = running_auction()
    a, b, _ = seats(auction)
    just = auction.ends_at - timedelta(microseconds=1)
    # In time after all: the bid received just before moved the end.
    assert codes(Desk().decide([a.bid("80.00", auction.ends_at), b.bid("90.00", just)])) == [None, None]
    (stricter,) = running_auctions(max_extensions=0)
    a, b, _ = seats(stricter)
    late, timely = a.bid("90.00", stricter.ends_at), b.bid("90.00", just)
    assert codes(Desk().decide([late, timely])) == ["auction_over", None]


def test_a_soft_close_moves_the_end_for_everybody():
    auction = running_auction()
    a, b, _ = seats(auction)
    (answer,) = Desk().decide([a.bid("90.00", later(590))])
    auction.refresh_from_db()
    assert answer.ends_at == auction.ends_at == later(770)
    assert auction.extensions == 1
    assert codes(Desk().decide([b.bid("80.00", later(600))])) == [None]


def test_a_double_click_bids_once():
    auction = running_auction()
    (a, *_) = seats(auction)
    bid = a.bid("95.00", later(1), key="click")
    again = a.bid("95.00", later(2), key="click")
    first, second = Desk().decide([bid, again])
    (third,) = Desk().decide([again])
    assert [(x.code, x.number, x.repeated) for x in (first, second, third)] == [
        (None, 3, False),
        (None, 3, True),
        (None, 3, True),
    ]
    assert AuctionEvent.objects.filter(auction=auction, kind="bid").count() == 1


def test_a_key_is_good_for_one_amount_only():
    (a, *_) = seats(running_auction())
    desk = Desk()
    desk.decide([a.bid("95.00", later(1), key="click")])
    assert codes(desk.decide([a.bid("94.00", later(2), key="click")])) == [KEY_REUSED]


def test_a_limit_is_not_taken_back_under_the_key_that_set_it():
    auction = running_auction(proxy_bids=True)
    (a, *_) = seats(auction)
    desk, limit = Desk(), replace(a.bid("80.00", later(1), key="the-limit"), action=Action.LIMIT)
    assert codes(desk.decide([limit])) == [None]
    assert codes(desk.decide([replace(limit, amount=None)])) == [KEY_REUSED]
    assert codes(desk.decide([replace(limit, amount=None, key="back"), limit])) == [None, None]
    assert kinds.limited(rooms.hall(auction.pk).room) == ()


def test_only_live_members_of_the_supplier_bid_and_only_in_their_own_auction():
    auction, other = running_auctions(lots=2)
    a, b, c = seats(auction)
    elsewhere = seats(other)[0]
    desk = Desk()
    strangers = [
        room.WaitingBid(auction.lot_id, a.participant.pk, b.by.person.pk, D("90.00"), "k1", later(1)),
        room.WaitingBid(auction.lot_id, elsewhere.participant.pk, elsewhere.by.person.pk, D("90.00"), "k2", later(1)),
        room.WaitingBid(auction.lot_id, 0, a.by.person.pk, D("90.00"), "k3", later(1)),
        room.WaitingBid(0, a.participant.pk, a.by.person.pk, D("90.00"), "k4", later(1)),
    ]
    assert codes(desk.decide(strangers)) == ["not_a_participant"] * 3 + [UNKNOWN_AUCTION]
    a.by.person.memberships.update(active=False)
    b.by.person.is_active = False
    b.by.person.save()
    c.participant.supplier.status = OrganisationStatus.SUSPENDED
    c.participant.supplier.save()
    assert codes(desk.decide([seat.bid("90.00", later(2)) for seat in (a, b, c)])) == ["not_a_participant"] * 3


def test_who_lost_the_role_the_admission_or_the_accreditation_bids_no_more_whatever_the_pass_says():
    auction = running_auction(*["100.00"] * 6)
    looking, rejected, revoked, anew, ended, renewing = seats(auction)
    looking.by.person.memberships.update(roles=[Role.OBSERVER.value])
    Bid.objects.filter(pk=rejected.participant.bid_id).update(status=BidStatus.REJECTED.value)
    changed = {
        revoked: {"status": "revoked", "valid_until": None},
        # Revoked, and asked for anew.
        anew: {"status": "draft", "valid_until": None},
        # What ends while the auction runs counts until it is over.
        ended: {"valid_until": START + timedelta(seconds=1)},
        # What was granted counts while a renewal is prepared.
        renewing: {"status": "draft", "valid_until": START + timedelta(days=1)},
    }
    for seat, changes in changed.items():
        assert seat.participant.supplier.accreditations.update(**changes)
    out = looking, rejected, revoked, anew
    bids = [seat.bid(f"{99 - n}.00", later(n)) for n, seat in enumerate((*out, ended, renewing), start=2)]
    assert codes(Desk().decide(bids)) == [*["not_a_participant"] * 4, None, None]
    # They may go on watching: it is their auction too.
    watching = [(auction.lot_id, seat.participant.pk, seat.by.person.pk) for seat in out]
    assert live_members(watching) == set(watching)


def test_who_had_no_tariff_or_accreditation_when_the_auction_began_bids_once_it_is_renewed():
    auction = running_auction(*["100.00"] * 7)
    unpaid, lapsed, coming, narrow, unaccredited, ended, without = seats(auction)

    def tariff(seat):
        return seat.participant.supplier.subscriptions

    tariff(unpaid).update(status="pending")
    tariff(lapsed).update(ends_at=START)
    tariff(coming).update(starts_at=later(30))
    tariff(narrow).update(plan=PlanFactory.create(permits={"live_auctions": False}))
    unaccredited.participant.supplier.accreditations.update(valid_until=START)
    tariff(ended).update(ends_at=later(1))
    tariff(without).all().delete()
    desk, prices = Desk(), iter(range(99, 0, -1))

    def answer(seat, at):
        (answer,) = desk.decide([seat.bid(f"{next(prices)}.00", at)])
        # The page says the same, and why.
        assert entitlement(auction, seat.participant.supplier, at).allowed is (answer.code != "not_entitled")
        return answer.code

    out = unpaid, lapsed, coming, narrow, unaccredited, without
    assert [answer(seat, later(2)) for seat in (*out, ended)] == [*["not_entitled"] * 6, None]
    tariff(lapsed).update(ends_at=later(3600))
    PlanFactory.create(permits={"included": True, "families": ["auction"]})
    assert [answer(seat, later(30)) for seat in (lapsed, coming, without)] == [None] * 3


def test_lots_are_decided_together_and_apart():
    one, two = running_auctions(lots=2)
    a, b = seats(one)[0], seats(two)[0]
    answers = Desk().decide([b.bid("90.00", later(1)), a.bid("90.00", later(1)), a.bid("95.00", later(2))])
    assert codes(answers) == [None, None, "already_leading"]
    assert [rooms.hall(auction.pk).number for auction in (one, two)] == [3, 3]


def test_what_another_process_wrote_is_seen():
    auction = running_auction()
    a, b, c = seats(auction)
    here, there = Desk(), Desk()
    assert codes(here.decide([a.bid("95.00", later(1))])) == [None]
    assert codes(there.decide([b.bid("94.00", later(2))])) == [None]
    assert codes(here.decide([c.bid("94.00", later(3)), a.bid("93.00", later(4))])) == ["step_not_met", None]
    assert replay(auction.pk, rooms.events(auction.pk)).number == 5


def test_a_batch_takes_as_many_statements_for_fifty_bids_as_for_one(monkeypatch, django_assert_num_queries):
    sent = []
    execute = auction_log.execute
    monkeypatch.setattr(auction_log, "execute", lambda *given: sent.append(given[0]) or execute(*given))
    auction = running_auction(*["100.00"] * 5)
    bidders = seats(auction)
    desk = Desk()
    desk.decide([bidders[0].bid("99.00", later(1))])
    for bids in ([(1, "98.00")], [(n % 5, f"{97 - n}.00") for n in range(50)]):
        sent.clear()
        # Nobody else bid meanwhile: the log is not read again. The two are the savepoint of this test's transaction.
        with django_assert_num_queries(2):
            answers = desk.decide([bidders[n].bid(amount, later(2)) for n, amount in bids])
        assert codes(answers) == [None] * len(bids)
        assert len(sent) == 4


def test_a_limit_that_would_be_answered_without_end_is_refused_and_fails_no_other(monkeypatch):
    auction = running_auction(proxy_bids=True)
    a, b, c = seats(auction)
    desk = Desk()
    limit = replace(b.bid("20.00", later(1)), action=Action.LIMIT)
    assert codes(desk.decide([limit])) == [None]
    monkeypatch.setattr(duel, "MOST_ROUNDS", 1)
    endless = replace(c.bid("10.00", later(2)), action=Action.LIMIT)
    assert codes(desk.decide([endless, a.bid("50.00", later(3))])) == ["proxies_without_end", None]
    monkeypatch.undo()
    assert codes(desk.decide([endless])) == [None]  # its key is not spent
    standings = replay(auction.pk, rooms.events(auction.pk)).room.standings
    assert standings[rooms.bidder(c.participant.pk)].amount == D("20.00")


def test_no_number_in_an_answer_counts_anothers_confidential_move():
    auction = running_auction(proxy_bids=True)
    _, b, c = seats(auction)
    mine, theirs = (replace(seat.bid("97.00", later(n)), action=Action.LIMIT) for n, seat in ((1, c), (2, b)))
    assert [answer.number for answer in Desk().decide([mine, theirs])] == [3, 3]
    moves = AuctionEvent.objects.filter(auction=auction, kind="limit").order_by("number")
    assert list(moves.values_list("number", flat=True)) == [3, 4]
    (again,) = Desk().decide([theirs])
    assert (again.repeated, again.number) == (True, 3)
    assert asking.kept(auction.lot_id, b.participant.pk, theirs.key).number == 3


def test_moves_that_change_nothing_that_stands_yet_are_counted_too():
    auction = running_auction(proxy_bids=True)
    leader = seats(auction)[2]
    Desk().decide([replace(leader.bid(amount, later(1)), action=Action.LIMIT) for amount in ("50.00", "40.00")])
    before = leader.participant.standing_at
    leader.participant.refresh_from_db()
    assert (leader.participant.bids_accepted, leader.participant.standing_at) == (2, before)


@pytest.mark.parametrize("amount", ["5.12345", "99999999999999999999.5"])
def test_a_withdrawal_has_no_amount_whatever_came_with_it(amount):
    """What the database rounds otherwise than the hash would break the chain, and what it cannot hold the batch."""
    auction = running_auction("98.00", "97.00", procedure="auction_turn_based")
    a, b = seats(auction)
    desk = Desk()
    first, third = later(300), later(301)
    withdrawal = replace(a.bid(amount, third, key="withdrawal"), action=Action.WITHDRAW)
    answers = desk.decide([a.bid("90.00", first), withdrawal, b.bid("89.00", third), a.bid("88.00", later(302))])
    assert codes(answers) == [None, None, "not_your_turn", None]
    assert AuctionEvent.objects.get(auction=auction, kind="withdraw").amount is None
    (again,) = desk.decide([withdrawal])
    assert (again.code, again.repeated) == (None, True)
    assert replay_lot(auction.lot_id).differences == ()


@pytest.mark.parametrize("kind", MOVES)
def test_no_amount_is_accepted_that_is_not_written_down_as_it_was_hashed(kind):
    """Every action, at every moment of an auction of each kind, with what is no price in its currency."""
    for until in range(len(MOVES[kind]) + 1):
        log = Log(kind)
        for move in MOVES[kind][:until]:
            log.move(*move)
        _, _, seconds, _ = MOVES[kind][min(until, len(MOVES[kind]) - 1)]
        at = START_ON_PAPER + timedelta(seconds=seconds)
        for action, bidder, amount in product(Action, "123", ["5.12345", "95.005", "1e17", "0", "-1", "NaN"]):
            waiting = room.WaitingBid(1, int(bidder), 1, D(amount), "a-key-like-any", at, action)
            decision, _ = kinds.decide(log.room, waiting.move)
            assert not decision.accepted or decision.move.amount is None, (action, amount)


def test_nothing_is_remembered_of_a_batch_that_failed(monkeypatch):
    auction = running_auction()
    a, b, _ = seats(auction)
    desk = Desk()
    desk.decide([a.bid("95.00", later(1))])

    execute = auction_log.execute

    def write_and_fail(statement, *given):
        done = execute(statement, *given)
        if "INSERT" in statement:
            raise ConnectionError("the database went away")
        return done

    with monkeypatch.context() as broken:
        broken.setattr(auction_log, "execute", write_and_fail)
        with pytest.raises(ConnectionError):
            desk.decide([b.bid("94.00", later(2))])
    assert rooms.hall(auction.pk).number == 3
    assert codes(desk.decide([b.bid("94.00", later(2))])) == [None]
    assert replay(auction.pk, rooms.events(auction.pk)).number == 4


def test_an_ended_paused_or_cancelled_room_takes_nothing():
    ended, cancelled = running_auctions(lots=2)
    a, c = seats(ended)[0], seats(cancelled)[0]
    auctions.end(ended.pk, at=ended.ends_at + auctions.DRAIN)
    auctions.cancel(cancelled.pk, "The lot is no longer needed.", at=later(5))
    desk = Desk()
    assert codes(desk.decide([a.bid("90.00", later(10)), c.bid("90.00", later(10))])) == [
        "auction_over",
        "auction_cancelled",
    ]


# Several processes at once -----------------------------------------------------------------------------------------

BATCHES = 12


def _bid_from_all_sides(auction):
    """Four desks, as four processes would, send rising concessions of four bidders at the same time."""
    sides = seats(auction)
    ready = threading.Barrier(len(sides))

    def bid(place):
        desk, answers = Desk(), []
        try:
            ready.wait(PATIENCE_S)
            for step in range(BATCHES):
                amount = D(100) - 4 * step - place - D("0.5")
                answers += desk.decide([sides[place].bid(f"{amount:.2f}", later(step * 4 + place))])
        finally:
            connection.close()
        return answers

    with ThreadPoolExecutor(len(sides)) as pool:
        return [answer for answers in pool.map(bid, range(len(sides))) for answer in answers]


@pytest.mark.django_db(transaction=True)
def test_processes_at_once_write_one_unbroken_log():
    auction = running_auction(*["100.00"] * 4)
    answers = _bid_from_all_sides(auction)
    accepted = [answer.number for answer in answers if answer.accepted]
    hall = replay(auction.pk, rooms.events(auction.pk))
    assert sorted(accepted) == list(range(3, hall.number + 1))
    auction.refresh_from_db()
    assert (auction.last_event, auction.head_hash) == (hall.number, hall.head)
    for seat in auction.participants.all():
        assert seat.standing_amount == hall.room.standings[rooms.bidder(seat.pk)].amount


@pytest.mark.django_db(transaction=True)
def test_without_the_lock_the_log_would_break(monkeypatch):
    """Two that have read the same head both write the event after it."""
    a, b, *_ = seats(running_auction())
    read, both_have_read = Desk._read, threading.Barrier(2)

    def read_together(desk, waiting):
        batch = read(desk, waiting)
        both_have_read.wait(PATIENCE_S)
        return batch

    monkeypatch.setattr(auction_log, "lock", lambda lots: None)
    monkeypatch.setattr(Desk, "_read", read_together)
    answers = at_the_same_time(*[lambda seat=seat: Desk().decide([seat.bid("90.00", later(1))]) for seat in (a, b)])
    assert sorted(isinstance(answer, IntegrityError) for answer in answers) == [False, True]
