"""Asking other servers: what is bounded, what is refused, where a name may lead."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
import time
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from marketplace.shared import outbound
from marketplace.shared.outbound import OutboundError, fetch
from tests.factories.web_server import Asked, send, served
from tests.patience import PATIENCE_S


def reply_with(body: bytes, status: int = 200, **headers: str) -> Any:
    return lambda handler, _asked: send(handler, body, status, **headers)


def code_of(url: str, **options: Any) -> str:
    with pytest.raises(OutboundError) as refused:
        fetch(url, **{"most_bytes": 1000, "seconds": 5, "private": True, **options})
    return refused.value.code


def test_a_file_is_fetched_with_its_headers() -> None:
    with served(reply_with(b"bytes", ETag='"1"')) as server:
        answer = fetch(f"{server.url}/a.crl?x=1", most_bytes=1000, seconds=5, private=True)

    assert (answer.status, answer.body, answer.headers["etag"]) == (200, b"bytes", '"1"')
    (asked,) = server.asked
    assert (asked.path, asked.headers["accept-encoding"]) == ("/a.crl?x=1", "identity")
    assert asked.headers["host"] == f"127.0.0.1:{server.server_port}"


def test_a_body_is_posted() -> None:
    with served(lambda handler, asked: send(handler, asked.body[::-1])) as server:
        assert fetch(server.url, most_bytes=9, seconds=5, body=b"abc", private=True).body == b"cba"

    assert server.asked[0].method == "POST"


def test_an_answer_is_bounded_whether_or_not_it_says_its_length() -> None:
    def endless(handler: BaseHTTPRequestHandler, _asked: Asked) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b"x" * 500)

    with served(reply_with(b"x" * 1001)) as said, served(endless) as unsaid:
        assert (code_of(said.url), code_of(unsaid.url)) == ("too_large", "too_large")


@pytest.mark.parametrize("dripping", ["headers", "body"])
def test_an_answer_that_drips_is_cut_off_at_the_deadline(dripping: str) -> None:
    def drip(handler: BaseHTTPRequestHandler, _asked: Asked) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n" + (b"X-Slow: " if dripping == "headers" else b"\r\n"))
        for _ in range(10 * int(PATIENCE_S)):
            handler.wfile.write(b"x")
            time.sleep(0.1)

    with served(drip) as server:
        start = time.monotonic()
        assert code_of(server.url, seconds=0.5) == "too_slow"

    assert time.monotonic() - start < PATIENCE_S


def test_an_answer_that_breaks_off_is_none() -> None:
    with served(reply_with(b"half", content_length="9")) as server:
        assert code_of(server.url) == "cut_off"


def test_no_redirect_is_followed() -> None:
    with (
        served(reply_with(b"inner")) as inner,
        served(reply_with(b"", 302, Location=f"{inner.url}/")) as outer,
        pytest.raises(OutboundError) as refused,
    ):
        fetch(outer.url, most_bytes=1000, seconds=5, private=True)

    assert (refused.value.code, refused.value.detail) == ("redirected", f"{inner.url}/")
    assert inner.asked == []


def test_unchanged_is_an_answer_only_to_a_condition() -> None:
    with served(reply_with(b"", 304)) as server:
        asked = {"most_bytes": 10, "seconds": 5, "private": True}
        assert fetch(server.url, **asked, headers={"If-None-Match": '"1"'}).status == 304  # type: ignore[arg-type]
        assert code_of(server.url) == "redirected"


@pytest.mark.parametrize(("status", "headers", "code"), [
    (404, {}, "status"), (200, {"Content-Encoding": "gzip"}, "compressed"), (206, {}, "status"),
])  # fmt: skip
def test_other_answers_are_refused(status: int, headers: dict[str, str], code: str) -> None:
    with served(reply_with(b"x", status, **headers)) as server:
        assert code_of(server.url) == code


@pytest.mark.parametrize("url", [
    "", "x", "ftp://a/b", "file:///etc/passwd", "http://", "http://a:99999/", "http://a/ b", "http://a/\r\nX: y",
    "http://bücher.example/",
])  # fmt: skip
def test_what_is_no_address_of_the_web_is_refused(url: str) -> None:
    assert code_of(url) == "no_address"


def test_an_address_with_a_password_is_refused() -> None:
    assert code_of("http://a:b@example.com/") == "password_in_address"


class TestWhereANameMayLead:
    @pytest.mark.parametrize("address", [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:10.0.0.1", "2002:7f00:1::",
        "64:ff9b::a00:1", "2001:0:53aa:64c:0:fbff:f5ff:fffe", "2001:0:a00:1:0:fbff:a247:27dd", "::10.0.0.1",
        "::127.0.0.1", "::169.254.169.254", "::ffff:127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::169.254.169.254",
        "64:ff9b:1::808:808", "fec0::1", "5f00::1", "168.63.129.16", "::ffff:168.63.129.16",
    ])  # fmt: skip
    def test_into_no_network_of_our_own(self, address: str) -> None:
        assert not outbound.is_public(ipaddress.ip_address(address))

    @pytest.mark.parametrize("address", [
        "::ffff:169.254.169.254", "::169.254.169.254", "::ffff:0:169.254.169.254", "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::a9fe:a9fe", "64:ff9b:1:a9fe:a9:fe00::", "2002:a9fe:a9fe::1", "fe80::1", "::", "::ffff:0.0.0.0",
        "::ffff:224.0.0.1", "fd00:ec2::254", "100.100.100.200", "::ffff:100.100.100.200",
    ])  # fmt: skip
    def test_nor_to_a_machines_credentials_where_private_networks_are_allowed(self, address: str) -> None:
        assert not outbound._allowed(ipaddress.ip_address(address), private=True)

    @pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "::1", "fd12::1", "::ffff:10.0.0.1", "93.184.216.34"])
    def test_into_a_private_network_where_that_is_allowed(self, address: str) -> None:
        assert outbound._allowed(ipaddress.ip_address(address), private=True)

    @pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1", "64:ff9b::5db8:d822"])
    def test_to_everybody_elses(self, address: str) -> None:
        assert outbound.is_public(ipaddress.ip_address(address))

    def test_a_private_server_is_not_even_connected_to(self) -> None:
        with served(reply_with(b"secret")) as server:
            assert code_of(server.url, private=False) == "private_address"
            assert code_of(server.url.replace("127.0.0.1", "localhost"), private=False) == "private_address"

        assert server.asked == []

    def test_where_clouds_keep_their_secrets_is_never_asked(self) -> None:
        assert code_of("http://169.254.169.254/latest/meta-data/") == "private_address"

    def test_the_address_that_was_checked_is_the_one_connected_to(self, monkeypatch: pytest.MonkeyPatch) -> None:
        answers = iter(["93.184.216.34", "127.0.0.1"])
        connected: list[Any] = []

        def resolve(host: str, port: int, **_more: Any) -> list[Any]:
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

        def connect(address: Any, **_more: Any) -> Any:
            connected.append(address)
            raise ConnectionRefusedError

        monkeypatch.setattr(socket, "getaddrinfo", resolve)
        monkeypatch.setattr(socket, "create_connection", connect)

        assert code_of("https://crl.example/a", private=False) == "unreachable"
        assert connected == [("93.184.216.34", 443)]

    def test_an_unknown_name_is_said_to_be_unknown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def resolve(*_args: Any, **_more: Any) -> list[Any]:
            raise socket.gaierror(-2, "Name or service not known")

        monkeypatch.setattr(socket, "getaddrinfo", resolve)

        assert code_of("http://nowhere.example/") == "no_such_host"

    def test_a_name_server_that_does_not_answer_costs_no_more_than_the_time_allowed(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        over = threading.Event()
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_more: over.wait())

        assert code_of("http://slow.example/", seconds=0.2) == "too_slow"
        over.set()


def test_a_server_that_cannot_show_a_true_certificate_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    class Strict(ssl.SSLContext):
        def wrap_socket(self, *_args: Any, **options: Any) -> Any:
            assert options["server_hostname"] == "localhost"
            error = ssl.SSLCertVerificationError("failed")
            error.verify_message = "self-signed certificate"
            raise error

    with served(reply_with(b"")) as server:
        monkeypatch.setattr(ssl, "create_default_context", lambda: Strict(ssl.PROTOCOL_TLS_CLIENT))
        url = server.url.replace("http://127.0.0.1", "https://localhost")
        assert code_of(url) in ("false_certificate", "unreachable")
