"""What breaks while bids are under way, for real: PostgreSQL killed, its disk full, a connection cut, a gateway killed
beside another. Afterwards every bidder learns by its keys what became of its bids."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from urllib.parse import urlsplit

import psycopg
import pytest

from marketplace.embedded import postgres
from marketplace.embedded.places import Places
from procurement.models import AuctionEvent
from procurement.queries import auctions as rooms
from procurement.rules.auction.log import replay
from tests.factories.auctions import running_auction, seats
from tests.gateway import GIVES_UP_SOON, database_url, running
from tests.patience import PATIENCE_S, wait_until
from tests.procurement.auction.asgi_client import token_of
from tests.procurement.auction.test_process import post

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.slow]

BIDDERS = 4
DISK_MB = 220


class Bidder(threading.Thread):
    """Sends bid after bid, each a cent lower, until told to stop; keeps what it was told and what it was not."""

    def __init__(self, place, lot, token, addresses):
        # A test that fails before it stops them does not keep the others from ending.
        super().__init__(daemon=True)
        self.place, self.lot, self.token, self.addresses = place, lot, token, addresses
        self.told, self.unanswered = {}, {}
        self.stopping = threading.Event()

    def run(self):
        for step in range(1, 10_000):
            if self.stopping.is_set():
                return
            amount, key = f"{(10_000 - step) / 100:.2f}", f"bidder-{self.place}-step-{step}"
            status, answer = post(self.addresses[self.place % len(self.addresses)], self.lot, self.token, amount, key)
            if status in (200, 201):
                self.told[key] = answer["number"]
                time.sleep(0.03)
            else:
                self.unanswered[key] = amount
                time.sleep(0.2)

    def ask(self, address):
        """What the gateway says of each bid that had no answer."""
        return {key: asked(address, self.lot, self.token, key) for key in self.unanswered}


def asked(address, lot, token, key):
    request = urllib.request.Request(
        f"{address}/live/lots/{lot}/bids/{key}", headers={"Authorization": f"Bearer {token}"}
    )
    with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
        return json.load(answer)


def started(bidders=BIDDERS):
    begun = datetime.now(UTC) - timedelta(seconds=1)
    return running_auction(*["100.00"] * bidders, reference="own", start=begun, lot={"step_value": Decimal("0.01")})


def tokens_of(auction):
    return [token_of(seat) for seat in seats(auction)]


def bidders_of(auction, tokens, *addresses):
    found = [Bidder(place, auction.lot_id, token, addresses) for place, token in enumerate(tokens)]
    for bidder in found:
        bidder.start()
    return found


def acknowledged(bidders):
    return sum(len(bidder.told) for bidder in bidders)


def assert_nothing_lost(auction, bidders, log, address):
    """No acknowledged bid is lost, none is there twice, the chain holds, and the gateway tells the truth."""
    kept = {event.key: event for event, _ in log if event.key}
    numbers = [event.number for event in kept.values()]
    hall = replay(auction.pk, log)
    assert hall.number == 2 + len(numbers) == 2 + len(set(numbers))
    for bidder in bidders:
        assert {key: kept[key].number for key in bidder.told} == bidder.told
        for key, answer in bidder.ask(address).items():
            if key in kept:
                assert (answer["status"], answer["number"]) == ("accepted", kept[key].number)
            else:
                assert answer["status"] in ("unknown", "refused")


# PostgreSQL of our own ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def own_server(tmp_path_factory):
    """A PostgreSQL to be killed, on a small disk of its own where we may mount one."""
    disk = tmp_path_factory.mktemp("disk", numbered=True)
    small = _as_root("mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m,uid={os.geteuid()}", "openlot-test", disk)
    places = Places(disk / "pg")
    try:
        with places.one_starter():
            postgres.start(places)
        yield places, small
    finally:
        with contextlib.suppress(Exception):
            postgres.stop(places)
        if small:
            _as_root("umount", "-l", disk)


def _as_root(*command):
    """Whether it could be done: by root, or by who may do so without being asked for a password."""
    by = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    try:
        return subprocess.run([*by, *command], check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def moved_to(places, name):
    """A copy of the tests' database on that server; its address."""
    target = postgres.url(places, name)
    with psycopg.connect(postgres.url(places, "postgres"), autocommit=True) as maintenance:
        maintenance.execute(f'CREATE DATABASE "{name}"')
    dump = subprocess.Popen([postgres.program("pg_dump"), "-d", database_url()], stdout=subprocess.PIPE)
    filled = subprocess.run(
        [postgres.program("psql"), "-Xq", "-d", target], stdin=dump.stdout, capture_output=True, check=False
    )
    assert (dump.wait(), filled.returncode) == (0, 0), filled.stderr
    return target


def log_of(database, auction):
    """The auction's events there, each with its hash."""
    with psycopg.connect(database) as connection:
        rows = connection.execute(
            "SELECT number, kind, at, participant_id, amount, key, person_id, detail, hash "
            "FROM procurement_auctionevent WHERE auction_id = %s ORDER BY number",
            [auction.pk],
        ).fetchall()
    return [(rooms._event(*row[:-1]), row[-1]) for row in rows]


def test_a_kill_of_postgresql_loses_no_bid_that_was_answered(own_server, tmp_path):
    places, _ = own_server
    auction = started()
    tokens = tokens_of(auction)
    database = moved_to(places, "killed")
    with running(tmp_path / "gateway.log", DATABASE_URL=database, **GIVES_UP_SOON) as only:
        address = only.address
        bidders = bidders_of(auction, tokens, address)
        wait_until(lambda: acknowledged(bidders) > 20)
        postmaster = int((places.local / "postgres" / "postmaster.pid").read_text().splitlines()[0])
        os.kill(postmaster, signal.SIGKILL)
        wait_until(lambda: all(bidder.unanswered for bidder in bidders))
        postgres.start(places)
        before = acknowledged(bidders)
        wait_until(lambda: acknowledged(bidders) > before + BIDDERS or not any(bidder.is_alive() for bidder in bidders))
        for bidder in bidders:
            bidder.stopping.set()
            bidder.join()
        wait_until(lambda: asked_quietly(address, bidders[0]) is not None)
        assert_nothing_lost(auction, bidders, log_of(database, auction), address)
        # A bid that was not recorded is taken when it is sent again, and one that was counts once.
        key, amount = max(bidders[0].unanswered.items())
        status, again = post(address, auction.lot_id, bidders[0].token, amount, key)
        assert status in (200, 201, 409), again


def asked_quietly(address, bidder):
    try:
        return asked(address, bidder.lot, bidder.token, "a-key-never-used")
    except urllib.error.HTTPError:
        return None


def test_a_full_disk_takes_no_bid_that_it_cannot_keep(own_server, tmp_path):
    places, small = own_server
    if not small:
        pytest.skip("a small disk can be mounted by root only, or with sudo")
    auction = started()
    tokens = tokens_of(auction)
    database = moved_to(places, "full")
    filler = places.local / "filler"
    with running(tmp_path / "gateway.log", DATABASE_URL=database, **GIVES_UP_SOON) as only:
        address = only.address
        bidders = bidders_of(auction, tokens, address)
        wait_until(lambda: acknowledged(bidders) > 10)
        _fill(filler)
        # What was laid out for the journal before goes on for a moment; this takes it.
        with contextlib.suppress(psycopg.Error), psycopg.connect(database, autocommit=True) as glutton:
            glutton.execute("CREATE TABLE junk AS SELECT repeat('x', 2000) FROM generate_series(1, 40000)")
        wait_until(lambda: any(bidder.unanswered for bidder in bidders))
        filler.unlink()
        with contextlib.suppress(Exception):
            postgres.start(places)  # where it gave up over its journal
        for bidder in bidders:
            bidder.stopping.set()
            bidder.join()
        wait_until(lambda: asked_quietly(address, bidders[0]) is not None)
        assert_nothing_lost(auction, bidders, log_of(database, auction), address)
        status, again = post(address, auction.lot_id, bidders[0].token, "1.00", "after-the-flood")
        assert status == 201, again


def _fill(path):
    with open(path, "wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 65536)
    with open(path, "ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"x" * 512)


# Gateways ----------------------------------------------------------------------------------------------------------


def test_two_gateways_take_bids_on_one_lot_and_one_is_killed(tmp_path):
    auction = started()
    with running(tmp_path / "one.log") as first, running(tmp_path / "two.log") as second:
        one = first.address
        bidders = bidders_of(auction, tokens_of(auction), one, second.address)
        wait_until(lambda: all(len(bidder.told) > 4 for bidder in bidders))
        second.kill()
        wait_until(lambda: all(bidder.unanswered for bidder in bidders if bidder.place % 2))
        for bidder in bidders:
            bidder.stopping.set()
            bidder.join()
        # The killed one's bidders ask, and go on, at the other.
        assert_nothing_lost(auction, bidders, list(rooms.events(auction.pk)), one)
        log = set(AuctionEvent.objects.exclude(key="").values_list("key", flat=True))
        orphan = bidders[1]
        key, amount = min(orphan.unanswered.items(), key=lambda bid: -float(bid[1]))
        status, again = post(one, auction.lot_id, orphan.token, amount, key)
        assert (status, again["repeated"]) == ((200, True) if key in log else (201, False))


def test_a_connection_cut_in_the_middle_tells_the_truth_by_its_key(tmp_path):
    auction = started(2)
    a, b = seats(auction)
    with running(tmp_path / "gateway.log") as only:
        address = only.address
        whole, half = "cut-before-the-answer", "cut-before-the-end"
        _cut(address, auction.lot_id, token_of(a), "90.00", whole, of=1.0)
        _cut(address, auction.lot_id, token_of(b), "90.00", half, of=0.7)
        # The cut may have come before the bid, or its answer.
        with contextlib.suppress(AssertionError):
            wait_until(lambda: whole in kept_in(auction), seconds=1)
        before, answer, after = kept_in(auction), asked(address, auction.lot_id, token_of(a), whole), kept_in(auction)
        truths = [{"status": "accepted", "number": log[whole]} for log in (before, after) if whole in log]
        truths += [{"status": "unknown"}, {"status": "pending"}] if whole not in before else []
        assert any(truth.items() <= answer.items() for truth in truths)
        assert asked(address, auction.lot_id, token_of(b), half)["status"] == "unknown"
        # Nobody learns of another's bids, not even with the key.
        assert asked(address, auction.lot_id, token_of(b), whole)["status"] == "unknown"
        status, again = post(address, auction.lot_id, token_of(a), "90.00", whole)
        assert (status, again["repeated"]) in ([(200, True)] if whole in after else [(200, True), (201, False)])
        assert kept_in(auction) == {whole: again["number"]}
        replay(auction.pk, rooms.events(auction.pk))


def kept_in(auction):
    return {event.key: event.number for event, _ in rooms.events(auction.pk) if event.key}


def _cut(address, lot, token, amount, key, *, of):
    """Send that part of a request, and be gone."""
    parts = urlsplit(address)
    body = json.dumps({"amount": amount, "idempotency_key": key})
    head = (
        f"POST /live/lots/{lot}/bids HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection((parts.hostname, parts.port)) as connection:
        connection.sendall((head + body[: round(len(body) * of)]).encode())
        # The other side sees a reset, not an orderly end.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
