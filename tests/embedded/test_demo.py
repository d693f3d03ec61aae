"""`make demo`: what a newcomer reads when something is in the way."""

import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from marketplace.embedded.demo import Demo
from marketplace.embedded.places import PROJECT, Places
from tests.patience import free_port


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
    """A port that is taken, above one that is not, and that nobody is given meanwhile."""
    below, port = 0, free_port()
    while port != below + 1:
        below, port = port, free_port()
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind(("127.0.0.1", port))
        server.listen()
        yield port


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


def test_the_newcomer_is_told_the_people_their_passwords_and_certificates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("PORT", "HOST", "SITE_URL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "demo").mkdir()
    buyer = {"role": "buyer", "name": "Ada", "email": "ada@nord.example", "password": "open-lot-26"}
    people = [{**buyer, "certificate": "/keys/ada.p12"}, {**buyer, "role": "operator", "name": "Bo"}]
    (tmp_path / "demo" / "people.json").write_text(json.dumps(people))

    Demo(Places(tmp_path)).announce()

    said = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "Openlot is ready: http://127.0.0.1:8000" in said
    assert "buyer Ada ada@nord.example open-lot-26 ada.p12" in said
    assert "operator Bo ada@nord.example open-lot-26" in said
    assert "The certificates lie in /keys; their password: open-lot-26" in said
