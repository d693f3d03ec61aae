"""`make demo`: what a newcomer reads when something is in the way."""

import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from marketplace.embedded.places import PROJECT


def _demo(local: Path, **environment: str) -> tuple[int, str]:
    """Exit code and everything said by a demonstration that cannot start."""
    inherited = {name: value for name, value in os.environ.items() if name not in ("DATABASE_URL", "BROKER_URL")}
    done = subprocess.run(
        [sys.executable, "-m", "marketplace.embedded.demo"],
        check=False,
        cwd=PROJECT,
        env={**inherited, "OPENLOT_LOCAL": str(local), **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, (done.stdout + done.stderr).strip()


@contextlib.contextmanager
def _taken_port() -> Iterator[int]:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield server.getsockname()[1]


@pytest.mark.parametrize("the_gateways", [False, True])
def test_a_taken_port_is_one_sentence_with_another_port(tmp_path: Path, the_gateways: bool) -> None:
    with _taken_port() as port:
        code, said = _demo(tmp_path, PORT=str(port - the_gateways))

    assert code == 1
    assert said.startswith(f"Port {port} is taken by another program. Choose another: PORT=")
    assert said.endswith(" make demo")
    assert said.count("\n") == 0
    assert not (tmp_path / "postgres").exists()


@pytest.mark.parametrize("port", ["no", "0", "70000"])
def test_a_port_that_is_none_is_refused(tmp_path: Path, port: str) -> None:
    assert _demo(tmp_path, PORT=port) == (
        1,
        f"PORT={port} is not a port. Give a number from 1 to 65534: PORT=8001 make demo",
    )


def test_reset_never_touches_a_database_of_your_own(tmp_path: Path) -> None:
    code, said = _demo(tmp_path, RESET="1", DATABASE_URL="postgresql://example/real")

    assert code == 1
    assert said == "RESET=1 empties only the embedded database. Unset DATABASE_URL, or empty yours by hand."


def test_a_host_that_is_not_ours_is_refused(tmp_path: Path) -> None:
    code, said = _demo(tmp_path, HOST="192.0.2.1")

    assert (code, said) == (1, "HOST=192.0.2.1 is no address of this machine. Leave it out, or correct it.")
