"""What one bidder, one viewer and one bad connection can take from the others: bounded, and said."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from django.db import connection, transaction

from marketplace.shared import clock
from procurement.auction import asgi, asking, feed, feeds, intake, throttle
from procurement.auction.gateway import Gateway
from procurement.queries import auctions as rooms
from procurement.rules.auction.log import replay
from procurement.services import auction_log
from tests.factories.auctions import running_auction, running_auctions, seats
from tests.patience import PATIENCE_S
from tests.procurement.auction.asgi_client import Stream, gateway, run, scope_of, token_of

pytestmark = pytest.mark.django_db(transaction=True)


def started_now(*amounts, **settings):
    return running_auction(*amounts, start=datetime.now(UTC) - timedelta(seconds=1), **settings)


def test_a_bidder_that_floods_is_told_to_wait_and_its_retries_are_not_counted(settings, monkeypatch):
    settings.GATEWAY_BIDS_PER_SECOND = 0.5
    monkeypatch.setattr(throttle, "time", SimpleNamespace(monotonic=lambda: 0.0))
    auction = started_now(reference="own")
    a, b, _ = seats(auction)

    async def errand():
        async with gateway() as client:
            statuses = [(await client.bid(a, f"{90 - n}.00", f"bid-number-{n}"))[0] for n in range(4)]
            assert statuses == [201, 429, 429, 429]
            path = f"/live/lots/{auction.lot_id}/bids"
            body = json.dumps({"amount": "50.00", "idempotency_key": "one-too-many"}).encode()
            status, headers, problem = await client.request("POST", path, token=token_of(a), body=body)
            assert (status, problem["code"], headers["retry-after"]) == (429, "too_many_bids", "1")
            # What was sent before, and what others send, is taken.
            status, answer = await client.bid(a, "90.00", "bid-number-0")
            assert (status, answer["repeated"]) == (200, True)
            # Sent or asked without end it is not taken either, but that takes nothing back.
            assert (await client.bid(a, "90.00", "bid-number-0"))[1]["code"] == "too_many_repeats"
            status, problem = await client.asked(a, "bid-number-0")
            assert (status, problem["code"]) == (429, "too_many_repeats")
            assert (await client.bid(b, "80.00", "of-another"))[0] == 201

    run(errand())


def test_a_person_watches_a_lot_in_so_many_places(monkeypatch):
    monkeypatch.setattr(feeds, "STREAMS_EACH", 2)
    auction = started_now()
    a, b, _ = seats(auction)

    async def errand():
        async with gateway() as client:
            lot = auction.lot_id
            async with client.stream(lot, token_of(a)) as one, client.stream(lot, token_of(a)) as two:
                await one.until(2)
                await two.until(2)
                status, headers, problem = await client.get(f"/live/lots/{lot}/events", token=token_of(a))
                assert (status, problem["code"], headers["retry-after"]) == (429, "too_many_streams", "30")
                async with client.stream(lot, token_of(b)) as other:
                    await other.until(2)
            async with client.stream(lot, token_of(a)) as again:
                await again.until(2)

    run(errand())


def test_updates_of_a_lot_come_no_closer_together_and_the_process_listens_once(monkeypatch):
    monkeypatch.setattr(feeds, "_COALESCE_S", 0.4)
    one, two = running_auctions(lots=2, start=datetime.now(UTC) - timedelta(seconds=1), reference="own")
    a, *_ = seats(one)
    b, *_ = seats(two)

    async def errand():
        loop = asyncio.get_running_loop()
        async with (
            gateway() as client,
            client.stream(one.lot_id, token_of(a)) as watched,
            client.stream(two.lot_id, token_of(b)) as beside,
        ):
            await watched.until(2)
            await beside.until(2)
            assert await asyncio.to_thread(_listeners) == 1
            begun, updates, last = loop.time(), 0, 2
            for n in range(8):
                assert (await client.bid(a, f"{90 - n}.00", f"bid-number-{n}"))[0] == 201
            while last < 10:
                last, _ = await watched.next()
                updates += 1
            assert updates <= (loop.time() - begun) / 0.4 + 2

    run(errand())


def _listeners():
    try:
        with connection.cursor() as cursor:
            listening = "datname = current_database() AND starts_with(query, 'LISTEN ')"
            cursor.execute(f"SELECT count(*) FROM pg_stat_activity WHERE {listening}")
            return cursor.fetchone()[0]
    finally:
        connection.close()


class DeafStream(Stream):
    """A client that reads nothing after the first lines."""

    def __init__(self):
        super().__init__()
        self.parts = 0

    async def send(self, message):
        self.parts += 1
        if self.parts > 2:
            await asyncio.Event().wait()


def test_a_client_that_never_reads_is_let_go_and_holds_up_nobody(monkeypatch):
    monkeypatch.setattr(feeds, "_LONGEST_SEND_S", 0.3)
    monkeypatch.setattr(feeds, "_LOOK_EVERY_S", 0.1)
    auction = started_now()
    a, b, _ = seats(auction)

    async def errand():
        async with gateway() as client:
            deaf = DeafStream()
            scope = scope_of("GET", f"/live/lots/{auction.lot_id}/events", token_of(a), {})
            serving = asyncio.create_task(client.app(scope, deaf.receive, deaf.send))
            async with client.stream(auction.lot_id, token_of(b)) as other:
                await other.until(2)
                assert (await client.bid(a, "90.00", "before-the-deaf"))[0] == 201
                await other.until(3)
                # Not by `wait_for`, which ends what it has waited for in vain.
                done, _ = await asyncio.wait([serving], timeout=PATIENCE_S)
                assert done
                watched = client.app.feeds.get(auction.lot_id)
                assert [subscriber.viewer for subscriber in watched.subscribers] == [rooms.bidder(b.participant.pk)]

    run(errand())


def test_of_a_long_auction_only_the_latest_events_are_kept_and_the_rest_is_read_again(monkeypatch):
    monkeypatch.setattr(feed, "_WINDOW", 4)
    monkeypatch.setattr(feed, "_PART", 3)
    auction = started_now(reference="own")
    a, *_ = seats(auction)

    async def errand():
        async with gateway() as client:
            for n in range(9):
                assert (await client.bid(a, f"{90 - n}.00", f"bid-number-{n}"))[0] == 201
            async with client.stream(auction.lot_id, token_of(a)) as stream:
                seen = []
                while len(seen) < 11:
                    last, content = await stream.next()
                    assert len(content["events"]) <= 3
                    seen += content["events"]
                    assert last == seen[-1]["number"]
                assert [event["number"] for event in seen] == list(range(1, 12))
                assert len(client.app.feeds.get(auction.lot_id).events) == 4
                # A repeated key is known however long ago it was used.
                status, answer = await client.bid(a, "90.00", "bid-number-0")
                assert (status, answer["repeated"], answer["number"]) == (200, True, 3)

    run(errand())


def test_who_comes_back_has_no_log_read_again_for_a_while(monkeypatch):
    monkeypatch.setattr(feeds, "_MOST_UNWATCHED", 1)
    monkeypatch.setattr(feeds, "_HEARTBEAT_S", 0.05)
    one, two = running_auctions(lots=2, start=datetime.now(UTC) - timedelta(seconds=1), reference="own")
    a, *_ = seats(one)
    b, *_ = seats(two)
    wholly_read, read = [], feed.Feed.read

    def counted(opened):
        wholly_read.append(opened.lot)
        read(opened)

    monkeypatch.setattr(feed.Feed, "read", counted)

    async def errand():
        async with gateway() as client:
            for number in (2, 3, 4):
                async with client.stream(one.lot_id, token_of(a)) as stream:
                    await stream.until(number)
                # While nobody watches.
                assert (await client.bid(a, f"{90 - number}.00", f"bid-number-{number}"))[0] == 201
            assert wholly_read == [one.lot_id]
            async with client.stream(two.lot_id, token_of(b)) as stream:
                await stream.until(2)
            assert [client.app.feeds.get(auction.lot_id) is None for auction in (one, two)] == [True, False]
            monkeypatch.setattr(feeds, "_UNWATCHED_FOR_S", 0.0)
            while client.app.feeds.get(two.lot_id) is not None:  # noqa: ASYNC110  (they are forgotten without a word)
                await asyncio.sleep(0.01)

    run(errand())


def test_a_bid_that_nobody_knows_of_is_told_so_in_time_and_counts_once_when_sent_again(monkeypatch):
    assert max(intake._UNKNOWN_S, intake._TAKEN_BACK_S) + intake._LOOK_AGAIN_S < 5
    monkeypatch.setattr(intake, "_UNKNOWN_S", 0.1)
    monkeypatch.setattr(intake, "_LOOK_AGAIN_S", 0.05)
    auction = started_now()
    a, *_ = seats(auction)

    async def errand():
        async with gateway() as client:
            decide, held = client.app.intake._desk.decide, asyncio.Event()
            loop = asyncio.get_running_loop()

            def slow(bids):
                asyncio.run_coroutine_threadsafe(held.wait(), loop).result()
                return decide(bids)

            monkeypatch.setattr(client.app.intake._desk, "decide", slow)
            status, problem = await client.bid(a, "90.00", "nobody-knows")
            assert (status, problem["code"]) == (503, "not_recorded")
            monkeypatch.setattr(intake, "_UNKNOWN_S", PATIENCE_S)
            held.set()
            status, answer = await client.bid(a, "90.00", "nobody-knows")
            assert (status, answer["repeated"], answer["number"]) == (200, True, 3)

    run(errand())


def test_when_the_room_stands_still_a_bid_is_not_taken_rather_than_hung_on_to(monkeypatch):
    monkeypatch.setattr(intake, "_LONGEST_WAIT_S", 0.2)
    monkeypatch.setattr(intake, "_TAKEN_BACK_S", 2 * PATIENCE_S)
    monkeypatch.setattr(intake, "_LOOK_AGAIN_S", 0.05)
    auction = started_now(reference="own")
    a, b, c = seats(auction)

    async def errand():
        async with gateway() as client:
            decide, held = client.app.intake._desk.decide, asyncio.Event()
            loop = asyncio.get_running_loop()

            def slow(bids):
                asyncio.run_coroutine_threadsafe(held.wait(), loop).result()
                return decide(bids)

            monkeypatch.setattr(client.app.intake._desk, "decide", slow)
            first = asyncio.create_task(client.bid(a, "90.00", "being-decided"))
            while not client.app.intake._deciding:  # noqa: ASYNC110  (the intake tells nobody when it begins)
                await asyncio.sleep(0.01)
            second = asyncio.create_task(client.bid(b, "80.00", "waiting-long"))
            await asyncio.sleep(0.4)
            assert (await client.asked(a, "being-decided"))[1]["status"] == "pending"
            status, problem = await client.bid(c, "70.00", "not-even-queued")
            assert (status, problem["code"]) == (503, "too_busy")
            monkeypatch.setattr(intake, "_TAKEN_BACK_S", 0.5)
            status, problem = await second
            assert (status, problem["code"]) == (503, "too_busy")
            held.set()
            assert (await first)[0] == 201
            # What was said not to be taken was not.
            assert (await client.asked(b, "waiting-long"))[1]["status"] == "unknown"
            assert replay(auction.pk, await asyncio.to_thread(_events, auction)).number == 3

    run(errand())


def _events(auction):
    try:
        return list(rooms.events(auction.pk))
    finally:
        connection.close()


def test_what_became_of_a_bid_is_told_by_its_key(monkeypatch):
    auction = started_now()
    a, b, _ = seats(auction)
    looked_up, find = [], asking.kept

    def noted(*of):
        looked_up.append(clock.now())
        return find(*of)

    monkeypatch.setattr(asking, "kept", noted)

    async def told(client, seat, key):
        begun = clock.now()
        status, answer = await client.asked(seat, key)
        assert status == 200
        # Of a moment before it was looked for: what was not found may have been written since.
        assert begun <= datetime.fromisoformat(answer.pop("as_of")) <= looked_up[-1]
        return answer

    async def errand():
        async with gateway() as client:
            _, given = await client.bid(a, "90.00", "first-bid")
            await client.bid(b, "89.99", "too-small")
            assert await told(client, a, "first-bid") == {
                "status": "accepted",
                "number": 3,
                "action": "bid",
                "amount": "90.00",
                "received_at": given["received_at"],
            }
            assert await told(client, b, "too-small") == {
                "status": "refused",
                "code": "step_not_met",
                "detail": "The bid does not improve the price by the step.",
            }
            assert await told(client, b, "never-sent") == {"status": "unknown"}
            assert await told(client, b, "first-bid") == {"status": "unknown"}
            assert (await client.asked(b, "short"))[0] == 404
            assert (await client.get(f"/live/lots/{auction.lot_id}/bids/first-bid"))[0] == 401

    run(errand())


def test_who_asks_for_a_lot_that_is_held_up_is_told_so_and_holds_up_no_other(monkeypatch):
    monkeypatch.setattr(asking, "LONGEST_ASK_S", 0.5)
    held, other = running_auctions(lots=2, start=datetime.now(UTC) - timedelta(seconds=1))
    a, *_ = seats(held)
    b, *_ = seats(other)

    async def errand():
        async with gateway() as client:
            taken, given_back = asyncio.Event(), asyncio.Event()
            loop = asyncio.get_running_loop()
            holds = asyncio.create_task(asyncio.to_thread(_hold, held.lot_id, loop, taken, given_back))
            await taken.wait()
            try:
                asks = [asyncio.create_task(client.asked(a, f"bid-number-{n}")) for n in range(9)]
                async with client.stream(other.lot_id, token_of(b)) as stream:
                    await stream.until(2)
                answers = await asyncio.gather(*asks)
                assert {(status, problem["code"]) for status, problem in answers} == {(503, "not_recorded")}
                # No thread waits for the lock any more, though it is still held.
                monkeypatch.setattr(asking, "LONGEST_ASK_S", PATIENCE_S)
                assert (await client.asked(b, "bid-number-0"))[1]["status"] == "unknown"
            finally:
                given_back.set()
                await holds
            assert (await client.asked(a, "bid-number-0"))[1]["status"] == "unknown"

    run(errand())


def _hold(lot, loop, taken, given_back):
    """The lot's lock, as a batch would that gets nowhere."""
    try:
        with transaction.atomic():
            auction_log.lock([lot])
            loop.call_soon_threadsafe(taken.set)
            asyncio.run_coroutine_threadsafe(given_back.wait(), loop).result()
    finally:
        connection.close()


def test_a_body_that_does_not_come_is_given_up(monkeypatch):
    monkeypatch.setattr(asgi, "LONGEST_BODY_S", 0.2)
    monkeypatch.setattr(asgi, "_LOOK_EVERY_S", 0.05)
    auction = started_now()
    a, *_ = seats(auction)
    sent = []

    async def send(message):
        sent.append(message)

    async def errand():
        async with gateway() as client:
            app: Gateway = client.app
            parts = [{"type": "http.request", "body": b'{"amount": ', "more_body": True}]

            async def receive():
                if parts:
                    return parts.pop()
                await asyncio.Event().wait()

            await app(scope_of("POST", f"/live/lots/{auction.lot_id}/bids", token_of(a), {}), receive, send)
            assert (sent[0]["status"], json.loads(sent[1]["body"])["code"]) == (400, "body_incomplete")
            assert (await client.bid(a, "90.00", "another-one"))[0] == 201

    run(errand())
