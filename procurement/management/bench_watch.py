"""Watchers over real connections, for the benchmark, and the plainest server that could serve them: processes of their
own that need no Django.

`watch` reads one JSON object from standard input: `port`, `lot`, `tokens` (one for each client; empty: plain sockets).
It says "ready" when every client has been told something, and at the end of its input prints when the last of them was
told each event: [number, how many were told, monotonic seconds].

`serve` reads `database`, `channel`, `port` and `bytes`: it listens to the database and writes a frame of that many
bytes to every socket for each notification.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import time
from functools import partial
from typing import Any

import psycopg
import uvloop

_AT_ONCE = 100


class Watcher(asyncio.Protocol):
    """One client: it reads whole events and remembers the last one's number."""

    def __init__(self, told: dict[int, tuple[int, float]], request: bytes) -> None:
        self._told, self._request = told, request
        self._buffer = b""
        self._seen = -1
        self.first = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: Any) -> None:
        if self._request:
            transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        self._buffer += data
        at = self._buffer.rfind(b"id: ")
        if at < 0 or b"\n\n" not in self._buffer[at:]:
            return
        number = int(self._buffer[at + 4 : self._buffer.index(b"\n", at)])
        self._buffer = b""
        for event in range(self._seen + 1, number + 1) if self._seen >= 0 else ():
            count, _ = self._told.get(event, (0, 0.0))
            self._told[event] = (count + 1, now)
        self._seen = number
        if not self.first.done():
            self.first.set_result(None)


async def watch(order: dict[str, Any]) -> None:
    """Open the streams, read until told to stop, report."""
    loop = asyncio.get_running_loop()
    told: dict[int, tuple[int, float]] = {}
    watchers = [Watcher(told, _request(order["lot"], token)) for token in order["tokens"]]
    for start in range(0, len(watchers), _AT_ONCE):
        batch = watchers[start : start + _AT_ONCE]
        for watcher in batch:
            await loop.create_connection(partial(_same, watcher), "127.0.0.1", order["port"])
        await asyncio.gather(*(watcher.first for watcher in batch))
    _tell("ready")
    await loop.run_in_executor(None, sys.stdin.readline)
    _tell([[number, count, at] for number, (count, at) in sorted(told.items())])


async def serve(order: dict[str, Any]) -> None:
    """Write to every socket what the database tells, until killed."""
    loop = asyncio.get_running_loop()
    sockets: list[socket.socket] = []
    server = socket.create_server(("127.0.0.1", order["port"]), backlog=4096)
    server.setblocking(False)
    async with await psycopg.AsyncConnection.connect(order["database"], autocommit=True) as listener:
        await listener.execute(f"LISTEN {order['channel']}")
        accepting = asyncio.create_task(_accept(loop, server, sockets, _frame(0, order["bytes"])))
        _tell("ready")
        async for notice in listener.notifies():
            frame = _frame(int(notice.payload.split(":")[1]), order["bytes"])
            for client in sockets:
                client.send(frame)
    accepting.cancel()


async def _accept(
    loop: asyncio.AbstractEventLoop, server: socket.socket, sockets: list[socket.socket], welcome: bytes
) -> None:
    while True:
        client, _ = await loop.sock_accept(server)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.send(welcome)
        sockets.append(client)


def _same(watcher: Watcher) -> Watcher:
    return watcher


def _request(lot: int, token: str) -> bytes:
    if not token:
        return b""
    return (
        f"GET /live/lots/{lot}/events HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {token}\r\n"
        "Accept: text/event-stream\r\n\r\n"
    ).encode()


def _frame(number: int, size: int) -> bytes:
    head = f"id: {number}\nevent: update\ndata: ".encode()
    return head + b"x" * max(size - len(head) - 2, 0) + b"\n\n"


def _tell(value: Any) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run({"watch": watch, "serve": serve}[sys.argv[1]](json.loads(sys.stdin.readline())))
