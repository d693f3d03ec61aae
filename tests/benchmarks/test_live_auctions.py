"""The load of `manage.py bench bids` and `bench stream` in small, on the tests' database: nothing is lost, everybody is
told. What it costs is for the benchmarks to say."""

import time
from datetime import UTC, datetime, timedelta

import pytest

from procurement.auction.room import Desk
from procurement.management import bench_bids, bench_stream, bench_watch, bench_world
from procurement.models import AuctionEvent
from tests.gateway import database_url
from tests.patience import free_port

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

CLIENTS = 12


@pytest.fixture
def world():
    at = datetime.now(UTC) - timedelta(seconds=1)
    return bench_world.running_auctions(2, CLIENTS, bench_world.suppliers(CLIENTS, at), at)


def test_bids_over_real_connections_are_all_in_the_log(world, tmp_path):
    port = free_port()
    order = {
        "port": port,
        "seconds": 1.0,
        "warm_up": 0.0,
        "clients": CLIENTS,
        "turn": 1,
        "seats": [(seat.lot, seat.participant, seat.token) for lot in world for seat in lot],
        "cents": {lot[0].lot: None for lot in world},
    }
    with bench_world.gateway(database_url(), port, tmp_path / "gateway.log"):
        told = bench_bids._run_load(order, lambda: None)
    summary = told.pop()
    assert summary["broken"] == 0
    assert set(summary["answers"]) <= {"accepted", "step_not_met", "already_leading"}
    assert len(told) == summary["answers"]["accepted"] > CLIENTS
    assert bench_bids._lost(told, {lot[0].lot for lot in world}) == 0
    assert AuctionEvent.objects.filter(kind="bid").count() == len(told)


def test_every_watcher_is_told_of_every_bid(world, tmp_path):
    port = free_port()
    (seats, _) = world
    tokens = [seat.token for seat in seats] * 3
    desk = Desk()
    with (
        bench_world.gateway(database_url(), port, tmp_path / "gateway.log"),
        bench_stream._process("watch", {"port": port, "lot": seats[0].lot, "tokens": tokens}) as watchers,
    ):
        numbers = []
        for n in range(3):
            amount = bench_world.FIRST_PRICE - n - 1
            answer = bench_stream.decided(desk, bench_stream.bid_of(seats[n + 1], amount, f"bid-number-{n}"))
            numbers.append(answer.number)
            time.sleep(0.2)
        time.sleep(1.0)
        told = bench_stream.what_was_told(watchers)
    assert [told[number][0] for number in numbers] == [len(tokens)] * 3
    assert bench_watch._frame(7, 100).startswith(b"id: 7\n")
