"""The gateway as a process of its own, under the server it runs on, killed while bids are under way."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection

from procurement.models import AuctionEvent
from procurement.queries import auctions as rooms
from procurement.rules.auction.log import replay
from tests.factories.auctions import running_auction, seats
from tests.procurement.auction.asgi_client import token_of

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[3]
BIDDERS = 6


def database_url():
    return urlsplit(settings.DATABASE_URL)._replace(path=f"/{connection.settings_dict['NAME']}").geturl()


@contextmanager
def gateway_process(log, database=None):
    """Granian with the gateway on a free port, on the tests' database or another; killed outright at the end, if it was
    not before."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [
        sys.executable,
        "-m",
        "granian",
        "--interface",
        "asgi",
        "--runtime-mode",
        "st",
        "--host",
        "127.0.0.1",
        "--port",
        str(port),
    ]
    with open(log, "ab") as output:
        process = subprocess.Popen(
            [*command, "--no-ws", "procurement.auction.gateway:application"],
            env={**os.environ, "DATABASE_URL": database or database_url(), "OPENLOT_ENVIRONMENT": "development"},
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        deadline = time.monotonic() + 30
        while not answers(f"{address}/live/healthz"):
            assert process.poll() is None, Path(log).read_text()
            assert time.monotonic() < deadline, Path(log).read_text()
            time.sleep(0.05)
        yield address, process
    finally:
        kill(process)


def kill(process):
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def answers(address):
    try:
        with urllib.request.urlopen(address, timeout=2) as answer:
            return answer.status == 200
    except OSError:
        return False


def post(address, lot, token, amount, key):
    """The status and the answer; (0, None) where the connection broke."""
    request = urllib.request.Request(
        f"{address}/live/lots/{lot}/bids",
        data=json.dumps({"amount": amount, "idempotency_key": key}).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        method="POST",
    )
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)
    except (OSError, ValueError):
        return 0, None


def test_a_kill_loses_no_bid_that_was_answered_and_accepts_none_twice(tmp_path):
    auction = running_auction(*["100.00"] * BIDDERS, reference="own", start=datetime.now(UTC) - timedelta(seconds=1))
    lot, log = auction.lot_id, tmp_path / "gateway.log"
    tokens = [token_of(seat) for seat in seats(auction)]
    told: dict[str, int] = {}
    broken: list[tuple[int, str, str]] = []

    def bid(place, address):
        for step in range(1, 90):
            amount, key = f"{100 - step}.00", f"bidder-{place}-step-{step}"
            status, answer = post(address, lot, tokens[place], amount, key)
            if status == 0:
                broken.append((place, amount, key))
                return
            if status == 201:
                told[key] = answer["number"]

    with gateway_process(log) as (address, process):
        threads = [threading.Thread(target=bid, args=(place, address)) for place in range(BIDDERS)]
        for thread in threads:
            thread.start()
        while len(told) < 25:
            time.sleep(0.001)
        kill(process)
        for thread in threads:
            thread.join(20)
    assert broken, "the bidders had finished before the kill"

    kept = dict(AuctionEvent.objects.filter(kind="bid").values_list("key", "number"))
    assert told.items() <= kept.items()

    with gateway_process(log) as (address, _):
        for place, amount, key in broken:
            status, answer = post(address, lot, tokens[place], amount, key)
            assert (status, answer["repeated"]) == ((200, True) if key in kept else (201, False))
            assert kept.get(key, answer["number"]) == answer["number"]
    hall = replay(auction.pk, rooms.events(auction.pk))
    numbers = AuctionEvent.objects.filter(kind="bid").values_list("key", flat=True)
    assert hall.number == 2 + len(numbers) == 2 + len(set(numbers))


def test_a_stream_over_http_tells_a_bid_within_a_second_of_its_commit(tmp_path):
    auction = running_auction(start=datetime.now(UTC) - timedelta(seconds=1))
    a, b, _ = seats(auction)
    with gateway_process(tmp_path / "gateway.log") as (address, _):
        request = urllib.request.Request(
            f"{address}/live/lots/{auction.lot_id}/events", headers={"Authorization": f"Bearer {token_of(b)}"}
        )
        with urllib.request.urlopen(request, timeout=5) as stream:
            assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
            lines = (line.decode().rstrip("\n") for line in stream)
            assert next(line for line in lines if line.startswith("id:")) == "id: 2"
            status, _ = post(address, auction.lot_id, token_of(a), "95.00", "a-bid-over-http")
            told = time.monotonic()
            assert status == 201
            assert next(line for line in lines if line.startswith("id:")) == "id: 3"
            assert time.monotonic() - told < 1
