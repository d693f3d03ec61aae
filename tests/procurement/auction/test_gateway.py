"""The gateway on a real PostgreSQL, as browsers use it: bids, streams, what each may see."""

import asyncio
import json
import time
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError, connection

from marketplace.models import Person, StaffRole
from marketplace.shared import clock
from procurement.auction import feeds, intake, moves, tokens
from procurement.auction import gateway as bare
from procurement.auction.asgi import PREFLIGHT
from procurement.auction.room import Desk
from procurement.queries import auctions as rooms
from procurement.rules.auction.log import replay
from procurement.services import auctions, pulse
from tests.factories.auctions import running_auction, running_auctions, seats
from tests.factories.marketplace import member, staff
from tests.patience import PATIENCE_S
from tests.procurement.auction.asgi_client import gateway, observer_token, run, token_of

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def in_database():
    """Run a function that asks the database, from inside an errand."""

    def ask(function, *arguments):
        def asked():
            try:
                return function(*arguments)
            finally:
                connection.close()

        return sync_to_async(asked, thread_sensitive=False)()

    return ask


def started_now(*amounts, **settings):
    """An auction that runs in earnest: it started a moment ago."""
    return running_auction(*amounts, start=datetime.now(UTC) - timedelta(seconds=1), **settings)


async def until_it_is_past(moment):
    """By the gateway's time, which is the database's as far as it knows it."""
    while clock.now() <= moment:  # noqa: ASYNC110  (time tells nobody)
        await asyncio.sleep(0.01)


def test_two_bidders_see_the_same_within_a_second():
    auction = started_now()
    a, b, _ = seats(auction)

    async def errand():
        async with (
            gateway() as client,
            client.stream(auction.lot_id, token_of(a)) as first,
            client.stream(auction.lot_id, token_of(b)) as second,
        ):
            await first.until(2)
            await second.until(2)
            status, answer = await client.bid(a, "95.00", "first-bid")
            assert (status, answer["accepted"], answer["number"], answer["amount"]) == (201, True, 3, "95.00")
            (id_a, seen_a), (id_b, seen_b) = await first.next(), await second.next()
            assert id_a == id_b == 3
            label = a.participant.label
            bid = {"number": 3, "kind": "bid", "at": answer["received_at"], "label": label, "amount": "95.00"}
            assert seen_a["events"] == [{**bid, "own": True, "leads": True}]
            assert seen_b["events"] == [{**bid, "own": False, "leads": True}]
            for seen in (seen_a, seen_b):
                assert seen["state"]["best"] == {"label": label, "amount": "95.00"}
            own = {"label": label, "amount": "95.00", "rank": 1, "leading": True, "made": None, "limit": None}
            assert seen_a["state"]["own"] == own
            assert seen_a["state"]["allowed"] is None
            assert seen_b["state"]["own"]["rank"] == 3
            assert seen_b["state"]["allowed"] == "94.00"
            # A machine with much else to do may hold up some of them.
            for euros in range(94, 54, -1):
                assert (await client.bid((a, b)[euros % 2 == 0], f"{euros}.00", f"euros-{euros}"))[0] == 201
                told = time.monotonic()
                await first.next()
                await second.next()
                if time.monotonic() - told < 1:
                    break
            else:
                pytest.fail("none of forty bids was told within a second")

    run(errand())


def test_a_stream_begins_with_all_that_happened_and_goes_on_where_it_was_cut():
    auction = started_now()
    a, b, _ = seats(auction)

    async def errand():
        async with gateway() as client:
            async with client.stream(auction.lot_id, token_of(b)) as stream:
                last, opening = await stream.next()
                assert (stream.status, last) == (200, 2)
                assert [event["kind"] for event in opening["events"]] == ["scheduled", "started"]
                assert opening["events"][0]["best"] == "98.00"
                assert opening["events"][0]["own"] == "99.00"
                state = opening["state"]
                assert (state["status"], state["currency"], state["step"], state["bidders"]) == (
                    "running", "EUR", "1.00", 3,
                )  # fmt: skip
            for number, seat in enumerate([a, b] * 5):
                status, _ = await client.bid(seat, f"{90 - number}.00", f"bid-number-{number}")
                assert status == 201
            async with client.stream(auction.lot_id, token_of(b), last_event=4) as again:
                events = await again.until(12)
                assert [event["number"] for event in events] == list(range(5, 13))
            async with client.stream(auction.lot_id, token_of(b), last_event=99) as mistaken:
                assert len(await mistaken.until(12)) == 12

    run(errand())


def test_who_was_told_more_than_this_gateway_knows_is_not_told_all_again(monkeypatch):
    auction = started_now()
    a, b, _ = seats(auction)

    async def errand():
        async with gateway() as client:
            async with client.stream(auction.lot_id, token_of(b)) as stream:
                await stream.until(2)
            monkeypatch.setattr(feeds.Feeds, "_heard", lambda self, payload: None)
            for number, seat in enumerate([a, b, a]):
                assert (await client.bid(seat, f"{90 - number}.00", f"bid-number-{number}"))[0] == 201
            async with client.stream(auction.lot_id, token_of(b), last_event=4) as again:
                assert [event["number"] for event in (await again.next())[1]["events"]] == [5]

    run(errand())


def test_bids_written_by_another_process_reach_the_stream(in_database):
    auction = started_now()
    a, b, _ = seats(auction)

    async def errand():
        async with gateway() as client, client.stream(auction.lot_id, token_of(b)) as stream:
            await stream.until(2)
            await in_database(Desk().decide, [a.bid("90.00", datetime.now(UTC))])
            assert (await stream.until(3))[0]["amount"] == "90.00"

    run(errand())


def test_an_auction_goes_on_though_no_clock_lives():
    """Nobody may lose a turn, or a price, that the page did not show."""
    auction = started_now(
        "98.00",
        "97.00",
        procedure="auction_dutch",
        lot={"clock_price": Decimal("60.00"), "step_value": Decimal("10.00")},
        clock_interval_seconds=60,
    )
    (a, _) = seats(auction)

    async def errand():
        async with gateway() as client, client.stream(auction.lot_id, token_of(a)) as stream:
            assert [event["kind"] for event in await stream.until(3)] == ["scheduled", "started", "tick"]

    run(errand())


def test_a_bidder_is_shown_what_the_lot_shows_and_an_observer_everything():
    auction = started_now(shown="rank", reference="own")
    a, b, _ = seats(auction)
    buyer = member(auction.lot.tender.buyer)

    async def errand():
        async with (
            gateway() as client,
            client.stream(auction.lot_id, token_of(b)) as bidder,
            client.stream(auction.lot_id, observer_token(auction.lot_id, buyer)) as observer,
        ):
            _, opening = await bidder.next()
            assert opening["events"][0]["best"] is None
            await observer.until(2)
            await client.bid(a, "90.00", "first-bid")
            _, seen = await bidder.next()
            assert seen["events"] == []
            assert (seen["state"]["best"], seen["state"]["own"]["rank"]) == (None, 3)
            assert "90.00" not in json.dumps(seen)
            _, seen = await observer.next()
            assert [(row["rank"], row["amount"]) for row in seen["state"]["ranking"]] == [
                (1, "90.00"), (2, "98.00"), (3, "99.00"),
            ]  # fmt: skip
            assert seen["events"][0]["label"] == a.participant.label
            assert a.participant.supplier.short_name not in json.dumps(seen)

    run(errand())


def test_a_refusal_is_a_problem_document_and_says_what_would_do():
    auction = started_now()
    a, _, c = seats(auction)

    async def errand():
        async with gateway() as client:
            status, problem = await client.bid(a, "97.01", "too-small-a-step")
            assert (status, problem["code"], problem["allowed_amount"]) == (409, "step_not_met", "97.00")
            assert problem["type"] == "urn:openlot:problem:step_not_met"
            assert problem["detail"] == "The bid does not improve the price by the step."
            for seat, amount, expected in (
                (c, "90.00", (409, "already_leading")),
                (a, "0", (422, "amount_not_positive")),
                (a, "96.001", (422, "amount_too_precise")),
                (a, "a lot", (422, "amount_not_a_number")),
                (a, 96.5, (422, "amount_not_a_number")),
                (a, "9" * 40, (422, "amount_too_large")),
            ):
                status, problem = await client.bid(seat, amount, "a-key-of-mine")
                assert (status, problem["code"]) == expected

    run(errand())


def test_an_amount_is_taken_in_the_digits_of_any_script():
    auction = started_now()
    a, *_ = seats(auction)

    async def errand():
        async with gateway() as client:
            status, answer = await client.bid(a, "٩٥٫٥٠", "persian-digits")
            assert (status, answer["amount"]) == (201, "95.50")

    run(errand())


def test_a_hopeless_bid_is_refused_from_memory_but_a_repeated_one_is_not(monkeypatch):
    monkeypatch.setattr(moves, "_TAKES_PART_S", 3 * PATIENCE_S)
    auction = started_now()
    a, b, _ = seats(auction)

    async def errand():
        async with gateway() as client, client.stream(auction.lot_id, token_of(a)) as stream:
            await client.bid(a, "95.00", "first-bid")
            await client.bid(b, "90.00", "second-bid")
            await stream.until(4)
            decided = []
            submit = client.app.intake.submit

            async def counted(bid):
                decided.append(bid.key)
                return await submit(bid)

            client.app.intake.submit = counted
            assert (await client.bid(a, "94.00", "hopeless-bid"))[0] == 409
            assert (await client.asked(a, "hopeless-bid"))[1]["code"] == "step_not_met"
            status, answer = await client.bid(a, "95.00", "first-bid")
            assert (status, answer["number"], answer["repeated"]) == (200, 3, True)
            assert decided == ["first-bid"]

    run(errand())


def test_who_has_left_the_supplier_is_not_told_what_would_be_allowed(in_database, monkeypatch):
    auction = started_now()
    a, b, _ = seats(auction)

    async def errand():
        async with gateway() as client, client.stream(auction.lot_id, token_of(b)) as stream:
            await client.bid(a, "95.00", "first-bid")
            await client.bid(b, "90.00", "second-bid")
            await stream.until(4)
            status, problem = await client.bid(a, "94.00", "still-member")
            assert (status, problem["code"], problem["allowed_amount"]) == (409, "step_not_met", "89.00")
            await in_database(lambda: a.by.person.memberships.update(active=False))
            monkeypatch.setattr(moves, "_TAKES_PART_S", 0.0)  # so much later
            status, problem = await client.bid(a, "94.00", "member-no-more")
            assert (status, problem["code"], "allowed_amount" in problem) == (403, "not_a_participant", False)
            monkeypatch.setattr(moves, "_TAKES_PART_S", 3 * PATIENCE_S)
            assert (await client.bid(a, "95.00", "first-bid"))[0] == 200  # of what was accepted everybody is told again
            status, problem = await client.bid(a, "94.00", "member-no-more-2")
            assert (status, problem["code"]) == (403, "not_a_participant")

    run(errand())


def test_a_task_of_the_gateway_that_fails_is_begun_anew(monkeypatch):
    monkeypatch.setattr(bare, "_BEGUN_ANEW_S", 0.0)
    auction = started_now()
    a, *_ = seats(auction)

    async def errand():
        async with gateway() as client:
            intake = client.app.intake
            still, next_batch = iter([True]), intake._next_batch

            def stumble():
                if next(still, False):
                    raise ValueError("nobody thought of it")
                return next_batch()

            monkeypatch.setattr(intake, "_next_batch", stumble)
            assert (await client.bid(a, "95.00", "after-the-fall"))[0] == 201

    run(errand())


def test_a_late_bid_is_refused_and_the_stream_tells_the_end(in_database):
    auction = running_auction(start=datetime.now(UTC) - timedelta(seconds=599), max_extensions=0)
    a, b, _ = seats(auction)

    async def errand():
        async with gateway() as client, client.stream(auction.lot_id, token_of(b)) as stream:
            await stream.until(2)
            await until_it_is_past(auction.ends_at)
            status, problem = await client.bid(a, "90.00", "a-late-bid")
            assert (status, problem["code"]) == (409, "auction_over")
            closing = auction.ends_at + auctions.DRAIN
            while not await in_database(pulse.drained, auction.ends_at, closing):  # noqa: ASYNC110  (the gateway says so)
                await asyncio.sleep(0.05)
            await in_database(lambda: auctions.end(auction.pk, at=closing))
            _, content = await stream.next()
            assert (content["events"][0]["kind"], content["state"]["status"]) == ("ended", "ended")

    run(errand())


def test_a_bid_just_late_is_in_time_when_an_earlier_one_of_another_process_moved_the_end(in_database, monkeypatch):
    # Looked at again for as long as this machine may take over what follows.
    monkeypatch.setattr(intake, "_SECOND_LOOK", timedelta(seconds=PATIENCE_S))
    monkeypatch.setattr(intake, "_LOOKS", 10 * PATIENCE_S)
    auction = running_auction(start=datetime.now(UTC) - timedelta(seconds=599.5))
    a, b, _ = seats(auction)

    async def errand():
        async with gateway() as client:
            await until_it_is_past(auction.ends_at)
            late = asyncio.create_task(client.bid(a, "80.00", "just-too-late"))
            await asyncio.sleep(0.1)
            in_time = b.bid("90.00", auction.ends_at - timedelta(milliseconds=10))
            assert (await in_database(Desk().decide, [in_time]))[0].accepted
            assert (await late)[0] == 201

    run(errand())


def test_many_bids_at_once_are_all_answered_and_all_in_the_log():
    auctions_now = running_auctions(*["100.00"] * 5, lots=2, start=datetime.now(UTC) - timedelta(seconds=1))
    bidders = [seats(auction) for auction in auctions_now]

    async def errand():
        async with gateway() as client:
            bids = [client.bid(bidders[n % 2][n % 5], f"{99 - n / 4:.2f}", f"bid-number-{n}") for n in range(200)]
            return await asyncio.gather(*bids)

    answers = asyncio.run(errand())
    accepted = [answer["number"] for status, answer in answers if status == 201]
    assert {status for status, _ in answers} <= {201, 409}
    halls = [replay(auction.pk, rooms.events(auction.pk)) for auction in auctions_now]
    assert len(accepted) == sum(hall.number - 2 for hall in halls) > 20


def test_without_a_database_a_bid_is_not_recorded_and_can_be_sent_again(monkeypatch):
    auction = started_now()
    a, *_ = seats(auction)

    async def errand():
        async with gateway() as client:
            desk = client.app.intake._desk
            with monkeypatch.context() as broken:
                broken.setattr(desk, "decide", _no_database)
                status, problem = await client.bid(a, "90.00", "sent-twice")
                assert (status, problem["code"]) == (503, "not_recorded")
            assert (await client.bid(a, "90.00", "sent-twice"))[0] == 201

    run(errand())


def _no_database(bids):
    raise OperationalError("the server closed the connection")


def test_one_bad_lot_stops_no_other(monkeypatch):
    good, bad = running_auctions(lots=2, start=datetime.now(UTC) - timedelta(seconds=1))
    a, b = seats(good)[0], seats(bad)[0]

    async def errand():
        async with gateway() as client:
            desk = client.app.intake._desk
            decide = desk.decide

            def stumble(bids):
                if any(bid.lot == bad.lot_id for bid in bids):
                    raise KeyError("step")
                return decide(bids)

            monkeypatch.setattr(desk, "decide", stumble)
            answers = await asyncio.gather(
                client.bid(b, "90.00", "bad-lot-key"), client.bid(a, "90.00", "good-lot-key")
            )
            assert [status for status, _ in answers] == [503, 201]

    run(errand())


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 422, "not_json"),
        (b"[]", 422, "not_json"),
        (b'{"amount": "95.00", "amount": "1.00", "idempotency_key": "said-twice"}', 422, "not_json"),
        (b"[" * 2000, 422, "not_json"),
        (b"\xff", 422, "not_json"),
        (b'{"amount": "1.00"}', 422, "key_malformed"),
        (b'{"amount": "1.00", "idempotency_key": "short"}', 422, "key_malformed"),
        *(
            (
                b'{"amount": "1.00", "idempotency_key": "long-enough", "not_after": %s}' % moment,
                422,
                "not_after_malformed",
            )
            for moment in (b"null", b"1", b'"soon"', b'"2026-03-04T12:00:00"', b'"0001-01-01T00:00:00+01:00"')
        ),
        (b'{"idempotency_key": "long-enough"}', 422, "amount_not_a_number"),
        (b" " * 2049, 413, "body_too_large"),
    ],
)
def test_a_malformed_bid_is_refused(body, status, code):
    auction = started_now()
    a, *_ = seats(auction)

    async def errand():
        async with gateway() as client:
            path = f"/live/lots/{auction.lot_id}/bids"
            answered, headers, problem = await client.request("POST", path, token=token_of(a), body=body)
            assert (answered, problem["code"]) == (status, code)
            assert headers["content-type"] == "application/problem+json"

    run(errand())


def test_only_a_ticket_of_the_lot_opens_it(settings):
    one, two = running_auctions(lots=2, start=datetime.now(UTC) - timedelta(seconds=1))
    a, b = seats(one)[0], seats(two)[0]
    expired, buyer = token_of(a), member(one.lot.tender.buyer)

    async def errand():
        async with gateway() as client:
            bids, events = f"/live/lots/{one.lot_id}/bids", f"/live/lots/{one.lot_id}/events"
            for token in ("", "forged", token_of(a)[:-2] + "xx", token_of(b)):
                for method, path in (("POST", bids), ("GET", events)):
                    status, headers, problem = await client.request(method, path, token=token)
                    assert (status, problem["code"]) == (401, "ticket_refused")
                    assert headers["www-authenticate"] == "Bearer"
            for token in (token_of(a, may_bid=False), observer_token(one.lot_id, buyer)):
                status, _, problem = await client.request("POST", bids, token=token)
                assert (status, problem["code"]) == (403, "bidding_role_missing")
            settings.GATEWAY_TOKEN_SECONDS = 0
            await asyncio.sleep(0.01)
            assert (await client.get(events, token=expired))[0] == 401

    run(errand())


def test_who_has_left_the_supplier_sees_nothing_any_more(in_database):
    auction = started_now()
    a, *_ = seats(auction)

    async def errand():
        async with gateway() as client:
            await in_database(lambda: a.by.person.memberships.update(active=False))
            status, _, problem = await client.get(f"/live/lots/{auction.lot_id}/events", token=token_of(a))
            assert (status, problem["code"]) == (403, "not_a_participant")

    run(errand())


def test_who_leaves_the_supplier_is_shown_out(in_database, monkeypatch):
    monkeypatch.setattr(feeds, "_HEARTBEAT_S", 0.05)
    auction = started_now()
    a, b, _ = seats(auction)

    async def errand():
        async with (
            gateway() as client,
            client.stream(auction.lot_id, token_of(a)) as leaver,
            client.stream(auction.lot_id, token_of(b)) as other,
        ):
            await leaver.until(2)
            await in_database(lambda: a.by.person.memberships.update(active=False))
            await asyncio.wait_for(leaver.ended.wait(), PATIENCE_S)
            assert not other.ended.is_set()

    run(errand())


def test_who_leaves_the_buyer_or_the_platform_is_shown_out(in_database, monkeypatch):
    monkeypatch.setattr(feeds, "_HEARTBEAT_S", 0.05)
    auction = started_now()
    buyer, colleague = member(auction.lot.tender.buyer), member(auction.lot.tender.buyer)
    auditor = staff(StaffRole.AUDITOR)

    async def errand():
        async with (
            gateway() as client,
            client.stream(auction.lot_id, observer_token(auction.lot_id, buyer)) as leaver,
            client.stream(auction.lot_id, observer_token(auction.lot_id, auditor)) as dismissed,
            client.stream(auction.lot_id, observer_token(auction.lot_id, colleague)) as other,
        ):
            await leaver.until(2)
            await in_database(lambda: buyer.person.memberships.update(active=False))
            await asyncio.wait_for(leaver.ended.wait(), PATIENCE_S)
            assert not dismissed.ended.is_set()
            await in_database(lambda: Person.objects.filter(pk=auditor.person.pk).update(staff_roles=[]))
            await asyncio.wait_for(dismissed.ended.wait(), PATIENCE_S)
            assert not other.ended.is_set()
            token = observer_token(auction.lot_id, buyer)
            status, _, problem = await client.get(f"/live/lots/{auction.lot_id}/events", token=token)
            assert (status, problem["code"]) == (403, "not_a_participant")

    run(errand())


def test_the_gateway_outlives_its_connections_to_the_database(in_database):
    auction = started_now()
    a, b, _ = seats(auction)

    def cut():
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )

    async def errand():
        async with gateway() as client, client.stream(auction.lot_id, token_of(b)) as stream:
            await stream.until(2)
            assert (await client.bid(a, "95.00", "before-the-cut"))[0] == 201
            await stream.until(3)
            await in_database(cut)
            answers = [await client.bid(b, "90.00", "after-the-cut") for _ in range(2)]
            assert [status for status, _ in answers] == [503, 201]
            assert (await stream.until(4))[-1]["amount"] == "90.00"

    run(errand())
    connection.close()  # the cut took this thread's as well


def test_only_the_webs_own_origin_may_use_it(settings):
    settings.SITE_URL, settings.GATEWAY_ORIGIN = "https://openlot.example:8000", ":8001"

    async def errand():
        async with gateway() as client:
            for origin, host in (
                ("https://openlot.example:8000", "openlot.example:8001"),
                ("http://192.0.2.7:8000", "192.0.2.7:8001"),
                ("http://localhost:8001", "localhost:8001"),
            ):
                status, headers, _ = await client.get("/live/time", headers={"origin": origin, "host": host})
                assert (status, headers["access-control-allow-origin"], headers["vary"]) == (200, origin, "Origin")
                status, headers, _ = await client.request(
                    "OPTIONS", "/live/lots/1/bids", headers={"origin": origin, "host": host}
                )
                assert status == 204
                assert {name.decode() for name, _ in PREFLIGHT} < set(headers)
            for origin in ("https://evil.example", "http://localhost:9999", "null", "http://[bad"):
                headers = {"origin": origin, "host": "localhost:8001"}
                status, headers, problem = await client.get("/live/time", headers=headers)
                assert (status, problem["code"]) == (403, "origin_not_allowed")
                assert "access-control-allow-origin" not in headers

    run(errand())


def test_the_server_tells_its_time_and_keeps_the_stream_open(monkeypatch):
    monkeypatch.setattr(feeds, "_HEARTBEAT_S", 0.05)
    auction = started_now()
    a, *_ = seats(auction)

    async def errand():
        async with gateway() as client:
            assert (await client.get("/live/healthz"))[2] == {"status": "ready"}
            before = datetime.now(UTC) - timedelta(seconds=1)
            status, headers, content = await client.get("/live/time")
            assert (status, headers["cache-control"]) == (200, "no-store")
            assert before < datetime.fromisoformat(content["now"]) < datetime.now(UTC) + timedelta(seconds=1)
            async with client.stream(auction.lot_id, token_of(a)) as stream:
                await stream.until(2)
                beats = [await asyncio.wait_for(stream.comments.get(), PATIENCE_S) for _ in range(4)]
                times = [datetime.fromisoformat(beat.removeprefix(": ")) for beat in beats]
                assert times == sorted(times)
                assert all(at.tzinfo is not None for at in times)

    run(errand())


def test_unknown_addresses_and_methods_are_refused():
    auction, auditor = started_now(), staff(StaffRole.AUDITOR)

    async def errand():
        async with gateway() as client:
            assert (await client.get("/"))[0] == 404
            assert (await client.get("/live/lots/x/bids"))[0] == 404
            assert (await client.get("/live/lots/1/bids"))[0] == 405
            assert (await client.request("DELETE", "/live/lots/1/events"))[0] == 405
            nothing = observer_token(auction.lot_id + 1000, auditor)
            status, _, problem = await client.get(f"/live/lots/{auction.lot_id + 1000}/events", token=nothing)
            assert (status, problem["code"]) == (404, "no_auction")

    run(errand())


def test_a_stopping_gateway_ends_its_streams_and_forgets_its_feeds():
    auction = started_now()
    a, *_ = seats(auction)

    async def errand():
        async with gateway() as client, client.stream(auction.lot_id, token_of(a)) as stream:
            await stream.until(2)
            await client.app.aclose()
            await asyncio.wait_for(stream.ended.wait(), PATIENCE_S)
            assert client.app.feeds.get(auction.lot_id) is None

    run(errand())


def test_a_ticket_says_what_its_person_may():
    auction = started_now()
    a, *_ = seats(auction)
    lot = auction.lot
    ticket = tokens.ticket_for(a.by, lot)
    assert ticket == tokens.Ticket(lot.pk, a.by.person.pk, a.participant.pk, may_bid=True)
    assert tokens.read(tokens.issue(ticket)) == ticket
