"""Of several lots a batch takes the locks in the order of their ids: two that took them otherwise would wait for each
other."""

import threading
from datetime import timedelta

import pytest
from django.db import connection, transaction

from procurement.auction.room import Desk
from tests.factories.auctions import START, running_auctions, seats
from tests.patience import PATIENCE_S, wait_until
from tests.procurement.auction.test_clock_process import held

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]


def is_free(lot):
    """Whether nobody holds the lot's lock."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(hashtextextended('auction:' || %s::bigint, 0))", [lot])
        return cursor.fetchone()[0]


def waiting_for_a_lock():
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_locks JOIN pg_database AS ours ON ours.oid = pg_locks.database "
            "WHERE ours.datname = current_database() AND locktype = 'advisory' AND NOT granted"
        )
        return cursor.fetchone()[0]


def test_a_batch_that_waits_for_its_first_lot_holds_none_of_the_others():
    auctions = sorted(running_auctions(lots=4), key=lambda auction: auction.lot_id)
    lots = [auction.lot_id for auction in auctions]
    bids = [seats(auction)[0].bid("90.00", START + timedelta(seconds=5)) for auction in reversed(auctions)]
    answers = []

    def decide():
        answers.extend(Desk().decide(bids))
        connection.close()

    with held(lots[0]) as let_go:
        batch = threading.Thread(target=decide)
        batch.start()
        wait_until(waiting_for_a_lock)
        assert [is_free(lot) for lot in lots] == [False, True, True, True]
        let_go()
        batch.join(PATIENCE_S)
    assert [answer.code for answer in answers] == [None] * 4
