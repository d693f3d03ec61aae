"""The live auctions' gateway as a process of its own, under the server it runs on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection

from tests.patience import PATIENCE_S, free_port, wait_until

ROOT = Path(__file__).resolve().parents[1]
A_DAY_S = 86_400
# Where the database is taken away: when a process is to give up waiting for it.
GIVES_UP_SOON = {"DATABASE_POOL_TIMEOUT_SECONDS": "2"}


def database_url() -> str:
    """Where this test's database is, for another process."""
    return urlsplit(settings.DATABASE_URL)._replace(path=f"/{connection.settings_dict['NAME']}").geturl()


class Gateway:
    """Stopped or killed, it can be started again at the same address. `environment` is besides what it inherits.

    However long this machine keeps it from giving a sign of life, that is no outage unless the environment says so.
    """

    def __init__(self, log: Path, *, host: str = "127.0.0.1", **environment: str) -> None:
        port = free_port()
        self.address = f"http://{host}:{port}"
        self._log = log
        usual = {"DATABASE_URL": database_url(), "OPENLOT_ENVIRONMENT": "development"}
        self._environment = {**os.environ, **usual, "OUTAGE_TOLERANCE_SECONDS": str(A_DAY_S), **environment}
        # Streams that browsers still hold open would keep it from ending.
        options = ["--interface", "asgi", "--runtime-mode", "st", "--no-ws", "--workers-kill-timeout", "1"]
        place = ["--host", "127.0.0.1", "--port", str(port)]
        self._command = [sys.executable, "-m", "granian", *options, *place, "procurement.auction.gateway:application"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        self._process = started(self._command, self._environment, self._log)
        wait_until(self._answers)

    def stop(self) -> None:
        """Cuts every stream."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE_S)
            self._process = None

    def kill(self) -> None:
        """As a failure of the machine would end it: at once, without a word to anybody."""
        if self._process is not None:
            kill(self._process)
            self._process = None

    def now(self) -> datetime:
        """What time it is for the gateway."""
        with urllib.request.urlopen(f"{self.address}/live/time", timeout=PATIENCE_S) as answer:
            return datetime.fromisoformat(json.load(answer)["now"])

    def _answers(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"the gateway ended:\n{self._log.read_text(errors='replace')}"
        try:
            with urllib.request.urlopen(f"{self.address}/live/healthz", timeout=PATIENCE_S) as answer:
                return answer.status == 200  # type: ignore[no-any-return]
        except OSError:
            return False


@contextmanager
def running(log: Path, **environment: str) -> Iterator[Gateway]:
    """A gateway, killed at the end if it was not before."""
    gateway = Gateway(log, **environment)
    try:
        gateway.start()
        yield gateway
    finally:
        gateway.kill()


def started(command: list[str], environment: Mapping[str, str], log: Path) -> subprocess.Popen[bytes]:
    """A process of the product, which heads a group of its own and writes to that log."""
    with open(log, "ab") as output:
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def kill(process: subprocess.Popen[bytes]) -> None:
    """The process and all that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(PATIENCE_S)
