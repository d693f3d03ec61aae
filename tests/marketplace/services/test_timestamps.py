from __future__ import annotations

import base64
import hashlib
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from marketplace.models import TrustedCertificate, TrustKind
from marketplace.services import timestamps
from marketplace.services.timestamps import TimeStampUnavailable
from marketplace.shared import clock
from marketplace.signatures import timestamps as tokens
from marketplace.signatures.timestamp_authority import DemoTimeStamps, TimeStampAuthority, credential
from tests.factories.marketplace import NOON

pytestmark = pytest.mark.django_db
DIGEST = hashlib.sha256(b"a signature").digest()


@pytest.fixture
def demo(tsa: DemoTimeStamps) -> DemoTimeStamps:
    return tsa


class Tsa(ThreadingHTTPServer):
    """An authority under an address; `reply` is what it does with a request's bytes."""

    daemon_threads = True

    def __init__(self, reply: Callable[[BaseHTTPRequestHandler, bytes], None]) -> None:
        self.asked: list[dict[str, str]] = []

        class Handler(BaseHTTPRequestHandler):
            def do_POST(handler) -> None:
                body = handler.rfile.read(int(handler.headers["Content-Length"]))
                self.asked.append(dict(handler.headers))
                reply(handler, body)

            def log_message(handler, *args: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_port}/tsa"


@pytest.fixture
def serve() -> Iterator[Callable[..., Tsa]]:
    """`tsa = serve(reply)`."""
    running: list[Tsa] = []

    def start(reply: Callable[[BaseHTTPRequestHandler, bytes], None]) -> Tsa:
        server = Tsa(reply)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


def answer(handler: BaseHTTPRequestHandler, body: bytes, kind: str = "application/timestamp-reply") -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", kind)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


def as_it_should(demo: DemoTimeStamps) -> Callable[[BaseHTTPRequestHandler, bytes], None]:
    return lambda handler, body: answer(handler, demo.server.answer(body, clock.now()))


def test_the_local_authority_stamps_what_the_trust_store_trusts(demo: DemoTimeStamps) -> None:
    token = tokens.read(timestamps.stamp(DIGEST))

    assert token.imprint == DIGEST
    assert token.generated_at == NOON
    assert token.authority_name == "Openlot Demo Time Stamps TSA"
    made = timestamps.stamped(DIGEST)
    assert made.trust.chain == (demo.server.credential.der, demo.above.issuing.der, demo.above.root.der)
    assert len(made.trust.revocation) == 2


def test_a_stamp_is_fetched_by_address(demo: DemoTimeStamps, serve: Callable[..., Tsa], settings: Any) -> None:
    tsa = serve(as_it_should(demo))
    settings.TIMESTAMP_AUTHORITY_URLS = [tsa.url.replace("http://", "http://me:p%40ss@")]

    assert tokens.read(timestamps.stamp(DIGEST)).imprint == DIGEST
    (asked,) = tsa.asked
    assert asked["Content-Type"] == "application/timestamp-query"
    assert asked["Authorization"] == f"Basic {base64.b64encode(b'me:p@ss').decode()}"


def test_the_second_authority_serves_where_the_first_is_dead(
    demo: DemoTimeStamps, serve: Callable[..., Tsa], settings: Any
) -> None:
    dead = serve(lambda handler, _body: handler.send_error(503))
    alive = serve(as_it_should(demo))
    settings.TIMESTAMP_AUTHORITY_URLS = [dead.url, alive.url]

    timestamps.stamp(DIGEST)
    timestamps.stamp(DIGEST)

    assert (len(dead.asked), len(alive.asked)) == (1, 2)  # for a while the dead one is not asked first


def _drip(handler: BaseHTTPRequestHandler, _body: bytes) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/timestamp-reply")
    handler.end_headers()
    for _ in range(40):
        handler.wfile.write(b"0")
        handler.wfile.flush()
        time.sleep(0.1)


def _redirect(handler: BaseHTTPRequestHandler, _body: bytes) -> None:
    handler.send_response(307)
    handler.send_header("Location", "http://127.0.0.1:1/")
    handler.end_headers()


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (lambda handler, _body: handler.send_error(500), "the status 500"),
        (lambda handler, _body: answer(handler, b"<html>", "text/html"), "something else than a time stamp"),
        (lambda handler, _body: answer(handler, b"<html>"), "no time-stamp response"),
        (lambda handler, _body: answer(handler, b""), "no time-stamp response"),
        (lambda handler, _body: answer(handler, b"0" * 200_000), "too large"),
        (_redirect, "another address"),
        (_drip, "too long"),
    ],
)
def test_an_authority_that_misbehaves_gives_no_stamp(
    demo: DemoTimeStamps, serve: Callable[..., Tsa], settings: Any, reply: Any, why: str
) -> None:
    settings.TIMESTAMP_AUTHORITY_URLS = [serve(reply).url]
    settings.TIMESTAMP_SECONDS = 1

    with pytest.raises(TimeStampUnavailable, match=why):
        timestamps.stamp(DIGEST)


@pytest.mark.parametrize(("off", "taken"), [(timedelta(seconds=30), True), (timedelta(minutes=10), False)])
@pytest.mark.parametrize("sign", [1, -1])
def test_an_authority_whose_clock_is_off_is_none(
    demo: DemoTimeStamps, serve: Callable[..., Tsa], settings: Any, off: timedelta, taken: bool, sign: int
) -> None:
    at = NOON + sign * off
    settings.TIMESTAMP_AUTHORITY_URLS = [serve(lambda handler, body: answer(handler, demo.server.answer(body, at))).url]

    if taken:
        assert tokens.read(timestamps.stamp(DIGEST)).generated_at == at
    else:
        with pytest.raises(TimeStampUnavailable, match="Its clock says"):
            timestamps.stamp(DIGEST)


def test_an_authority_that_nobody_trusts_gives_no_stamp(demo: DemoTimeStamps) -> None:
    TrustedCertificate.objects.filter(kind=TrustKind.TSA).update(enabled=False)

    with pytest.raises(TimeStampUnavailable, match="No authority is trusted yet"):
        timestamps.stamp(DIGEST)


def test_a_revoked_authority_gives_no_stamp(demo: DemoTimeStamps) -> None:
    demo.above.revoke(demo.server.credential.serial, NOON - timedelta(hours=1))
    for crl in demo.above.crls(NOON + timedelta(seconds=1), timedelta(days=400)):
        timestamps.revocation.load_list(crl, by=None, at=NOON)
    demo.above.revoked.clear()

    with pytest.raises(TimeStampUnavailable, match="revoked on"):
        timestamps.stamp(DIGEST)


def test_a_certificate_for_time_stamps_may_be_trusted_by_itself(
    demo: DemoTimeStamps, serve: Callable[..., Tsa], settings: Any
) -> None:
    TrustedCertificate.objects.all().delete()
    alone = credential(DemoTimeStamps.create(NOON).above, NOON)
    TrustedCertificate.objects.create(
        kind=TrustKind.TSA, sha256="aa" * 32, der=alone.der, subject="TSA", not_after=NOON, added_at=NOON
    )
    tsa = TimeStampAuthority(alone)
    url = serve(lambda handler, body: answer(handler, tsa.answer(body, NOON))).url
    settings.TIMESTAMP_AUTHORITY_URLS = [url]

    assert timestamps.stamped(DIGEST).trust.chain == (alone.der,)


def test_without_an_authority_there_is_no_stamp(settings: Any) -> None:
    settings.TIMESTAMP_AUTHORITY_URLS = []

    with pytest.raises(TimeStampUnavailable, match="No time-stamp authority is set"):
        timestamps.stamp(DIGEST)


def test_the_demonstrations_authority_does_not_serve_in_production(demo: DemoTimeStamps, settings: Any) -> None:
    settings.PRODUCTION = True

    with pytest.raises(TimeStampUnavailable, match="does not serve in production"):
        timestamps.stamp(DIGEST)
    with pytest.raises(ImproperlyConfigured):
        timestamps.trust_demo(settings.TIMESTAMP_LOCAL_DIR, at=NOON)


def test_a_password_in_an_address_is_not_told() -> None:
    assert timestamps.name_of("https://me:secret@tsa.example:8443/tsr") == "https://tsa.example/tsr"
    assert timestamps.name_of("local:") == "local (demonstration only)"
