"""Asking another server for a file: bounded in size and time, never redirected, never led into the own network.

    answer = fetch("https://crl.example/root.crl", most_bytes=32_000_000, seconds=60)

The name is resolved once, the address is checked, and exactly that address is connected to: a name server that answers
something else the second time gains nothing. Standard library only; no Django.
"""

from __future__ import annotations

import contextlib
import http.client
import ipaddress
import queue
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from time import monotonic
from typing import Final, TypeVar
from urllib.parse import SplitResult, urlsplit

Answered = TypeVar("Answered")
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
_PORTS: Final = {"http": 80, "https": 443}
_CHUNK: Final = 64 * 1024
#: What the internet assigns to anybody: the rest is local, reserved, or not there yet.
_EVERYBODYS: Final = ipaddress.IPv6Network("2000::/3")
#: IPv4 in disguise: compatible and mapped (RFC 4291), translated (RFC 2765), NAT64 (RFC 6052).
_IN_THE_LAST_BITS: Final = tuple(
    map(ipaddress.IPv6Network, ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96"))
)
#: NAT64 for local use (RFC 8215): where the IPv4 address stands in it is each network's own choice.
_TRANSLATORS: Final = ipaddress.IPv6Network("64:ff9b:1::/48")
#: Where some clouds' machines get their secrets beside 169.254.169.254: AWS, Google, Alibaba, Azure.
_METADATA: Final = frozenset(
    map(ipaddress.ip_address, ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16"))
)


class OutboundError(Exception):
    """There is no answer that may be used. `code` is stable; `detail` fills its sentence, in the caller's words."""

    def __init__(self, code: str, detail: str = "") -> None:
        super().__init__(f"{code}: {detail}" if detail else code)
        self.code, self.detail = code, detail


@dataclass(frozen=True, slots=True)
class Answer:
    """`body` is empty for the status 304. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def fetch(
    url: str,
    *,
    most_bytes: int,
    seconds: float,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    private: bool = False,
) -> Answer:
    """GET `url`, or POST `body` to it. Takes a status of 200, and of 304 where a header made the request conditional.

    `seconds` bound everything together, `most_bytes` the body. With `private` the server may stand in a private
    network or on this machine. Raises OutboundError.
    """
    deadline = monotonic() + seconds
    parts = check_address(url)
    address = _checked_address(parts, private, deadline)
    connection = _connect(parts, address, deadline)
    try:
        with _cut_off(connection, deadline):
            return _ask(connection, parts, most_bytes, deadline, body, dict(headers or {}))
    except OutboundError:
        raise
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _because(error, deadline) from error
    finally:
        connection.close()


def check_address(url: str) -> SplitResult:
    """The parts of an address of http or https with a host and without a password. Raises OutboundError."""
    try:
        parts = urlsplit(url)
        usable = parts.scheme in _PORTS and parts.hostname and parts.port != 0
    except ValueError:
        raise OutboundError("no_address") from None
    if not usable or not url.isascii() or any(character <= " " for character in url):
        raise OutboundError("no_address")
    if parts.username is not None or parts.password is not None:
        raise OutboundError("password_in_address")
    return parts


def is_public(address: Address) -> bool:
    """Whether anybody may be sent there: no private, local, reserved or multicast address, in any disguise."""
    inside = _inside(address)
    if inside is not None:
        return is_public(inside)
    if isinstance(address, ipaddress.IPv6Address) and (address not in _EVERYBODYS or address.teredo):
        return False
    return address.is_global and not address.is_multicast and address not in _METADATA


def _inside(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that is really meant: some IPv6 addresses only carry one."""
    if not isinstance(address, ipaddress.IPv6Address) or int(address) <= 1:  # :: and ::1 are themselves
        return None
    if any(address in network for network in _IN_THE_LAST_BITS):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.sixtofour


def _allowed(address: Address, private: bool) -> bool:
    if not private:
        return is_public(address)
    inside = _inside(address)
    if inside is not None:
        return _allowed(inside, private)
    # Not even then: the addresses at which clouds hand out their machines' credentials, and those of a translator of
    # this network, which may hide any of them anywhere.
    refused = address.is_link_local or address.is_multicast or address.is_unspecified
    return not (refused or address in _METADATA or address in _TRANSLATORS)


def _checked_address(parts: SplitResult, private: bool, deadline: float) -> tuple[str, int]:
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    try:
        found = _within(deadline, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except (OSError, UnicodeError) as error:
        raise OutboundError("no_such_host", host) from error
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    for address in addresses:
        if _allowed(ipaddress.ip_address(address.partition("%")[0]), private):
            return address, port
    raise OutboundError("private_address", host)


def _connect(parts: SplitResult, address: tuple[str, int], deadline: float) -> http.client.HTTPConnection:
    """A connection to this very address, on which the server is asked by its name."""
    host = parts.hostname or ""
    try:
        plain = socket.create_connection(address, timeout=_left(deadline))
    except OSError as error:
        raise _because(error, deadline) from error
    connection = http.client.HTTPConnection(host, address[1])
    connection.sock = plain
    if parts.scheme == "https":
        try:
            plain.settimeout(_left(deadline))
            connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
        except (OSError, ValueError) as error:
            plain.close()
            raise _because(error, deadline) from error
    return connection


def _ask(
    connection: http.client.HTTPConnection,
    parts: SplitResult,
    most_bytes: int,
    deadline: float,
    body: bytes | None,
    headers: dict[str, str],
) -> Answer:
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    # A compressed answer could unfold to any size.
    sent = {"Host": parts.netloc, "Accept-Encoding": "identity", "Connection": "close", **headers}
    connection.request("GET" if body is None else "POST", path, body, sent)
    answer = connection.getresponse()
    said = {name.lower(): value for name, value in answer.getheaders()}
    if answer.status == 304 and any(name.lower().startswith("if-") for name in headers):
        return Answer(304, said, b"")
    if 300 <= answer.status < 400:
        raise OutboundError("redirected", said.get("location", "")[:200])
    if answer.status != 200:
        raise OutboundError("status", str(answer.status))
    if said.get("content-encoding", "identity").lower() != "identity":
        raise OutboundError("compressed")
    return Answer(200, said, _body(answer, most_bytes, deadline))


def _body(answer: http.client.HTTPResponse, most_bytes: int, deadline: float) -> bytes:
    if answer.length is not None and answer.length > most_bytes:
        raise OutboundError("too_large")
    found = bytearray()
    while chunk := answer.read1(_CHUNK):
        found += chunk
        if len(found) > most_bytes:
            raise OutboundError("too_large")
        _left(deadline)
    _left(deadline)
    # A connection that ended early looks like the end of the file.
    if answer.length:
        raise OutboundError("cut_off")
    return bytes(found)


@contextlib.contextmanager
def _cut_off(connection: http.client.HTTPConnection, deadline: float) -> Iterator[None]:
    """Ends the connection at the deadline: a server may drip its headers, and each drop is in time for a timeout."""
    wire: socket.socket = connection.sock

    def cut() -> None:
        with contextlib.suppress(OSError):
            # Past the TLS layer, which the waiting thread is using.
            socket.socket.shutdown(wire, socket.SHUT_RDWR)

    wire.settimeout(_left(deadline))
    timer = threading.Timer(_left(deadline), cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _within(deadline: float, ask: Callable[[], Answered]) -> Answered:
    """The answer of what knows no timeout of its own; a thread that is still waiting is left to itself."""
    answers: queue.SimpleQueue[tuple[Answered | None, Exception | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            answers.put((ask(), None))
        except (OSError, UnicodeError) as error:
            answers.put((None, error))

    threading.Thread(target=run, daemon=True).start()
    try:
        found, error = answers.get(timeout=_left(deadline))
    except queue.Empty:
        raise OutboundError("too_slow") from None
    if error is not None:
        raise error
    return found  # type: ignore[return-value]  # there is no error, so there is an answer


def _left(deadline: float) -> float:
    left = deadline - monotonic()
    if left <= 0:
        raise OutboundError("too_slow")
    return left


def _because(error: Exception, deadline: float) -> OutboundError:
    if isinstance(error, TimeoutError) or monotonic() >= deadline:
        return OutboundError("too_slow")
    if isinstance(error, ssl.SSLCertVerificationError):
        return OutboundError("false_certificate", error.verify_message)
    return OutboundError("unreachable", type(error).__name__)
