"""How the database comes to its answers where a log grows while nobody tells it: what is looked up in an auction takes
as long with a million bids as with one, whatever the planner knew when it made the plan that the server keeps."""

from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection, connections
from django.db.migrations.loader import MigrationLoader

from marketplace.models import Organisation, OrganisationStatus
from procurement.auction import asking
from procurement.auction.room import Desk
from procurement.queries import auctions as rooms
from procurement.rules.auction.base import Action, AuctionKind
from tests.factories.auctions import START, running_auctions, seats

pytestmark = pytest.mark.django_db

# After so many turns the server keeps a statement's plan.
ENOUGH = 8
GROWN_BY = 4_000
TABLES = [
    "procurement_auction",
    "procurement_auctionevent",
    "procurement_auctionparticipant",
    "marketplace_accreditation",
    "marketplace_membership",
    "marketplace_organisation",
    "marketplace_person",
    "marketplace_plan",
    "marketplace_subscription",
]
READ = """
    SELECT relname, relkind = 'r', pg_stat_get_xact_tuples_returned(relation.oid) FROM pg_class AS relation
    LEFT JOIN pg_index AS index ON index.indexrelid = relation.oid
    WHERE coalesce(index.indrelid, relation.oid) = ANY(%s::regclass[])
"""
# Events of another auction than those looked at.
GROW = """
    INSERT INTO procurement_auctionevent
      (auction_id, number, kind, at, participant_id, amount, key, detail, previous_hash, hash)
    SELECT seat.auction_id, 100000 + n, kind, now(), seat.id, 1, 'grown-' || n, '{}', '', ''
    FROM (SELECT * FROM procurement_auctionparticipant WHERE auction_id = %s LIMIT 1) AS seat,
      generate_series(1, %s) AS n, unnest(%s::text[]) AS kind
"""


def later(seconds):
    return START + timedelta(seconds=seconds)


def ask(statement, *parameters):
    with connection.cursor() as cursor:
        cursor.execute(statement, parameters)
        return cursor.fetchall() if cursor.description else []


def grow(auction, *, kind="bid"):
    ask(GROW, auction.pk, GROWN_BY, [kind])


def known_as_small():
    """The planner learns how large the tables are now, and nothing of what comes after."""
    ask(f"ANALYZE {', '.join(TABLES)}")


@contextmanager
def looked_up(most):
    """That no table is gone through, and no more entries than that are read in all indexes together."""
    before = {name: count for name, _table, count in ask(READ, TABLES)}
    yield
    rows = [(name, table, count - before[name]) for name, table, count in ask(READ, TABLES)]
    assert {name: count for name, table, count in rows if table and count} == {}
    entries = {name: count for name, table, count in rows if not table and count}
    assert sum(entries.values()) <= most, sorted(entries.items(), key=lambda entry: -entry[1])


@pytest.mark.parametrize("limits", [0, 1])
def test_a_bid_is_decided_by_indexes_though_the_plan_was_made_when_there_was_next_to_nothing(limits):
    auction, other = running_auctions(lots=2, proxy_bids=True)
    a, b, c = seats(auction)
    desk = Desk()
    if limits:  # one that the first bid goes beyond; whether its supplier may bid is asked all the same
        desk.decide([replace(c.bid("97.50", later(0)), action=Action.LIMIT)])
    known_as_small()
    for n in range(ENOUGH):
        (answer,) = desk.decide([(a, b)[n % 2].bid(f"{97 - n}.00", later(n))])
        assert answer.accepted
    grow(other)
    with looked_up(60 + 20 * limits):
        first, second = desk.decide([a.bid("80.00", later(30)), b.bid("79.00", later(31))])
    assert (first.number, second.number) == (ENOUGH + 3, ENOUGH + 4)


def test_what_became_of_a_bid_is_looked_up_by_its_key():
    auction, other = running_auctions(lots=2)
    (a, *_) = seats(auction)
    bid = a.bid("95.00", later(1))
    Desk().decide([bid])
    known_as_small()
    for _ in range(ENOUGH):
        asking.kept(bid.lot, bid.participant, bid.key)
    grow(other)
    with looked_up(5):
        assert asking.kept(bid.lot, bid.participant, bid.key).amount == "95.00"


def test_what_is_new_in_an_auction_is_read_from_where_it_is_new():
    auction, other = running_auctions(lots=2)
    known_as_small()
    for each in (auction, other):
        grow(each)
    last = 100_000 + GROWN_BY
    with looked_up(10):
        found = rooms.events_of({auction.pk: last - 2, other.pk: last - 3})
    assert [len(found[each.pk]) for each in (auction, other)] == [2, 3]
    # Missed by somebody who was away, and what a process catches up with.
    with looked_up(10):
        assert len(list(rooms.events(auction.pk, after=last - 5, most=3))) == 3


def test_the_number_of_a_bid_that_is_sent_again_is_told_without_counting_bids():
    """Only of another bidder's limit there may be no gap, nor where it was dropped. Asked under the lot's lock."""
    auction, other = running_auctions(lots=2, proxy_bids=True)
    a, b, _ = seats(auction)
    limit = replace(a.bid("50.00", later(1)), action=Action.LIMIT)
    desk = Desk()
    desk.decide([limit])
    Organisation.objects.filter(pk=a.participant.supplier_id).update(status=OrganisationStatus.SUSPENDED.value)
    desk.decide([b.bid("90.00", later(2))])
    known_as_small()
    grow(auction)
    grow(other, kind="limit")
    with looked_up(10):
        number = rooms.number_for(auction.pk, AuctionKind.ENGLISH, 100_000 + GROWN_BY, rooms.bidder(b.participant.pk))
    assert number == 100_000 + GROWN_BY - 2


def test_the_index_of_limits_is_made_also_where_an_attempt_was_broken_off():
    """An index that is being made beside the work stays behind, unfit, when that fails: here is one of that name."""
    name = "procurement", "0022_limits_dropped"
    loader = MigrationLoader(None)
    beside = connections.create_connection("default")  # it is made in no transaction
    try:
        with beside.schema_editor(atomic=False) as editor:
            loader.get_migration(*name).apply(loader.project_state(name, at_end=False), editor)
    finally:
        beside.close()
    assert ask("SELECT indisvalid FROM pg_index WHERE indexrelid = 'auction_limits_and_drops'::regclass") == [(True,)]
