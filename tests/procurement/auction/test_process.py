"""The gateway as a process of its own, under the server it runs on, killed while bids are under way."""

import json
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from procurement.models import AuctionEvent
from procurement.queries import auctions as rooms
from procurement.rules.auction.log import replay
from tests import gateway
from tests.factories.auctions import running_auction, seats
from tests.patience import PATIENCE_S, wait_until
from tests.procurement.auction.asgi_client import token_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

BIDDERS = 6


def post(address, lot, token, amount, key):
    """The status and the answer; (0, None) where the connection broke."""
    request = urllib.request.Request(
        f"{address}/live/lots/{lot}/bids",
        data=json.dumps({"amount": amount, "idempotency_key": key}).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
    except (OSError, ValueError):
        return 0, None


def test_a_kill_loses_no_bid_that_was_answered_and_accepts_none_twice(tmp_path):
    begun, terms = datetime.now(UTC) - timedelta(seconds=1), {"step_value": Decimal("0.01")}
    auction = running_auction(*["100.00"] * BIDDERS, reference="own", start=begun, lot=terms)
    lot, log = auction.lot_id, tmp_path / "gateway.log"
    tokens = [token_of(seat) for seat in seats(auction)]
    told: dict[str, int] = {}
    broken: list[tuple[int, str, str]] = []

    def bid(place, address):
        for step in range(1, 10_000):
            amount, key = f"{(10_000 - step) / 100:.2f}", f"bidder-{place}-step-{step}"
            status, answer = post(address, lot, tokens[place], amount, key)
            if status == 0:
                broken.append((place, amount, key))
                return
            if status == 201:
                told[key] = answer["number"]

    with gateway.running(log) as first:
        threads = [threading.Thread(target=bid, args=(place, first.address)) for place in range(BIDDERS)]
        for thread in threads:
            thread.start()
        wait_until(lambda: len(told) >= 25)
        first.kill()
        for thread in threads:
            thread.join()
    assert broken, "the bidders had finished before the kill"

    kept = dict(AuctionEvent.objects.filter(kind="bid").values_list("key", "number"))
    assert told.items() <= kept.items()

    with gateway.running(log) as second:
        for place, amount, key in broken:
            status, answer = post(second.address, lot, tokens[place], amount, key)
            assert (status, answer["repeated"]) == ((200, True) if key in kept else (201, False))
            assert kept.get(key, answer["number"]) == answer["number"]
    hall = replay(auction.pk, rooms.events(auction.pk))
    numbers = AuctionEvent.objects.filter(kind="bid").values_list("key", flat=True)
    assert hall.number == 2 + len(numbers) == 2 + len(set(numbers))


def test_a_stream_over_http_tells_a_bid_within_a_second_of_its_commit(tmp_path):
    auction = running_auction(start=datetime.now(UTC) - timedelta(seconds=1), reference="own")
    a, b, _ = seats(auction)
    with gateway.running(tmp_path / "gateway.log") as running:
        request = urllib.request.Request(
            f"{running.address}/live/lots/{auction.lot_id}/events", headers={"Authorization": f"Bearer {token_of(b)}"}
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as stream:
            assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
            lines = (line.decode().rstrip("\n") for line in stream)
            assert next(line for line in lines if line.startswith("id:")) == "id: 2"
            # A machine with much else to do may hold up some of them.
            for number in range(3, 43):
                status, _ = post(
                    running.address, auction.lot_id, token_of(a), f"{90 - number}.00", f"bid-number-{number}"
                )
                told = time.monotonic()
                assert status == 201
                assert next(line for line in lines if line.startswith("id:")) == f"id: {number}"
                if time.monotonic() - told < 1:
                    break
            else:
                pytest.fail("none of forty bids was told within a second")
