"""Waiting in tests: for something to happen, never for a time, and long enough for a machine with much else to do."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from itertools import count
from os import environ, getpid

# Nothing here takes so long, on any machine: whoever has waited for it may give up. It costs nothing where all is well.
PATIENCE_S = 60.0

# Below those that systems hand out for connections: nobody is given one of them between our look and its use.
_FIRST_PORT, _PORTS_EACH = 20_100, 200
_numbers = count(getpid())


def wait_until(holds: Callable[[], object], seconds: float = PATIENCE_S) -> None:
    """Returns as soon as it holds. Raises AssertionError where it still does not after `seconds`."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not after {seconds:g} seconds"
        time.sleep(0.02)


def free_port() -> int:
    """A port of this machine for a server that is still to be started, and may be started there again: no other test
    process is given it."""
    worker = int(environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    for number in _numbers:
        port = _FIRST_PORT + worker * _PORTS_EACH + number % _PORTS_EACH
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("numbers never end")
