"""`make demo`: everything the marketplace needs on this machine, with a world of made-up people in it.

The settings come from the environment: PORT (8000; the live auctions' gateway takes the next one, and
the demonstration's authority the one after that, or any free one), HOST (127.0.0.1),
RESET=1 for a new world, DATABASE_URL and BROKER_URL for services other than the embedded ones.
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import shutil
import socket
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from marketplace import embedded
from marketplace.embedded import postgres
from marketplace.embedded.places import PROJECT, EmbeddedError, Places, disk_full
from marketplace.embedded.supervisor import Child, Supervisor, say

_SECONDS_TO_BE_READY = 60.0
# One thread takes the requests: with several, bids would reach the room in another order than they came in. Streams
# have no end of their own: there must be room for many, and at the end their readers come back by themselves.
_GATEWAY = ("--runtime-mode", "st", "--backpressure", "24000", "--workers-kill-timeout", "2")
_WEB_THREADS = ("--workers", "2", "--blocking-threads", "4")
_APPS = ("marketplace", "procurement", "analytics")


class Told(Exception):
    """The demonstration was told to stop while it was starting."""


def main() -> int:
    places = embedded.here()
    try:
        places.make()
        places.need_space()
        with _only_one(places):
            return Demo(places).run()
    except EmbeddedError as error:
        print(error, file=sys.stderr)
        return 1
    except Told:
        say("Stopped.")
        return 0
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print(disk_full(places.local), file=sys.stderr)
        return 1


class Demo:
    """One run of the demonstration."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.folder = places.local / "demo"
        self.host = os.environ.get("HOST") or "127.0.0.1"
        self.port = _port(os.environ.get("PORT") or "8000")
        self.reset = os.environ.get("RESET", "") not in ("", "0")
        self.own_database = not os.environ.get("DATABASE_URL")
        self.own_broker = not os.environ.get("BROKER_URL")
        if self.reset and not self.own_database:
            raise EmbeddedError(
                "RESET=1 empties only the embedded database. Unset DATABASE_URL, or empty yours by hand."
            )

    def run(self) -> int:
        for port in (self.port, self.port + 1):
            _check_free(self.host, port)
        self.supervisor = Supervisor(self.places.logs, self._environment())
        self.supervisor.heed_signals()
        services = [name for name, ours in (("postgres", self.own_database), ("valkey", self.own_broker)) if ours]
        started = embedded.ensure_running(*services, places=self.places) if services else []
        later = threading.Thread(target=self._make_insights)
        try:
            self._prepare()
            say("Starting web, gateway, worker and clock")
            self._start_processes()
            self.announce()
            later.start()
            self.supervisor.run(lambda: self._keep(services, started))
            say("Stopping …")
        finally:
            self.supervisor.stop()
            self.supervisor.stopping.set()
            if later.ident:
                later.join()
            if started:
                embedded.stop(*started, places=self.places)
        say("Stopped.")
        return 0

    def _environment(self) -> dict[str, str]:
        broker = embedded.valkey.url(self.places)
        # Named one by one, so that an .env written for a real platform does not reach the demonstration.
        defaults = {
            "OPENLOT_ENVIRONMENT": "development",
            "ALLOWED_HOSTS": "*",
            "DATABASE_URL": postgres.url(self.places),
            "BROKER_URL": broker,
            "CACHE_URL": embedded.cache_url(os.environ.get("BROKER_URL") or broker),
            "EMAIL_URL": "filemail:",
            "MEDIA_ROOT": str(self.places.local / "media"),
            "OPENLOT_KEYS_FILE": str(self.places.local / "keys.json"),
            # The demonstration's own time-stamp authority: a key file, and the clock of this machine.
            "TIMESTAMP_AUTHORITY_URLS": "local:",
            "SITE_URL": f"http://{'127.0.0.1' if self.host == '0.0.0.0' else self.host}:{self.port}",
            "GATEWAY_ORIGIN": f":{self.port + 1}",
            # The demonstration's own authority publishes its revocation lists on this machine.
            "REVOCATION_PRIVATE_ADDRESSES": "1",
            # Its auctions are staged with a past of eight days, in which the lists of then count.
            "REVOCATION_KEEP_OLDER_DAYS": "400",
            # A period of a day passes in a minute, so that a newcomer sees a whole procurement in ten.
            "PERIOD_UNIT": "minute",
            "DJANGO_SETTINGS_MODULE": "marketplace.config.settings",
            "PYTHONUNBUFFERED": "1",
            # The scores are reckoned beside the web on a small machine: one thread each.
            "OPENBLAS_NUM_THREADS": "1",
        }
        return {**defaults, **{name: value for name, value in os.environ.items() if value}}

    # Before the processes start ------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        self.folder.mkdir(exist_ok=True)
        if self.own_database:
            postgres.ensure_database(self.places)
            if self.reset or (self.folder / "unfinished").exists():
                say("Emptying the demonstration's database")
                postgres.recreate_database(self.places)
                for name in ("demo", "media", "mail"):
                    shutil.rmtree(self.places.local / name, ignore_errors=True)
                self.folder.mkdir()
        database = self._database()
        migrations = database + _digest(PROJECT.glob("*/migrations/*.py"))
        self._once("migrated", migrations, "Bringing the database up to date", "migrate", "--verbosity", "0")
        collect = ("collectstatic", "--no-input", "--verbosity", "0")
        self._once("collected", _digest(_static_files()), "Collecting the static files", *collect)
        self._make_world(database)
        self._once("time-stamps", database, "Making the demonstration's time-stamp authority", "demo_ca", "time-stamps")

    def _database(self) -> str:
        """What tells this database from another."""
        return postgres.identity(self.places) if self.own_database else os.environ["DATABASE_URL"]

    def _make_insights(self) -> None:
        """While people look around already: the representatives' customers, what they buy, and the scores of it."""
        if not (self.folder / "people.json").exists() or self._is_done("insights", self._database()):
            return
        title = "\nThe insights are still being made: customers and three years of purchases (20 seconds, once)"
        try:
            self._once("insights", self._database(), title, "demo_insights", beside=True)
            say("The insights are there.")
        except Told:
            pass
        except EmbeddedError as error:
            say(str(error))

    def _make_world(self, database: str) -> None:
        """Fill an empty database; a world whose making was interrupted is begun anew at the next start."""
        if self._is_done("world", database):
            return
        unfinished = self.folder / "unfinished"
        if postgres.has_rows(self._environment()["DATABASE_URL"], "marketplace_organisation"):
            say("The database holds organisations already: they stay. For the demonstration's: RESET=1 make demo")
            return
        unfinished.touch()
        self._once("world", database, "Making the demonstration's world (up to 90 seconds, once)", "demo_world")
        unfinished.unlink()

    def _is_done(self, name: str, state: str) -> bool:
        stamp = self.folder / f"{name}.done"
        return stamp.exists() and stamp.read_text() == state

    def _once(self, name: str, state: str, title: str, *arguments: str, beside: bool = False) -> None:
        """Run a command of manage.py unless it has been run for this very state of things; `beside` others gently."""
        if self._is_done(name, state):
            return
        say(title)
        gently = ["nice"] if beside and shutil.which("nice") else []
        code = self.supervisor.run_step(name, *gently, sys.executable, str(PROJECT / "manage.py"), *arguments)
        if self.supervisor.stopping.is_set():
            raise Told
        if code != 0:
            raise EmbeddedError(
                f"{title}: this step failed, and the reason is above. Mend it and start again; "
                "RESET=1 make demo begins with an empty database."
            )
        (self.folder / f"{name}.done").write_text(state)

    # The processes -------------------------------------------------------------------------------------------------

    def _start_processes(self) -> None:
        manage = (sys.executable, str(PROJECT / "manage.py"))
        celery = (sys.executable, "-m", "celery", "-A", "marketplace.config")
        servers = [
            self._serve("web", "wsgi", self.port, "marketplace.config.wsgi:application", *_WEB_THREADS),
            self._serve("gateway", "asgi", self.port + 1, "procurement.auction.gateway:application", *_GATEWAY),
        ]
        for port, server in enumerate(servers, start=self.port):
            self._wait_until_ready(server, port)
        # Only now, so that the pages do not wait for their turn on a small machine.
        self.supervisor.add("clock", *manage, "clock")
        self.supervisor.add("worker", *celery, "worker", "--concurrency", "2", "--loglevel", "INFO")
        if (self.folder / "people.json").exists():  # in a world of our making
            self.supervisor.add("bidders", *manage, "demo_bidders")
            authority = ("--folder", str(self.folder / "authority"), "serve", "--port", str(self.port + 2))
            self.supervisor.add("authority", *manage, "demo_ca", *authority)

    def _serve(self, name: str, interface: str, port: int, application: str, *options: str) -> Child:
        granian = (sys.executable, "-m", "granian", "--interface", interface, "--host", self.host, "--port", str(port))
        return self.supervisor.add(name, *granian, "--no-ws", "--log-level", "warning", *options, application)

    def _wait_until_ready(self, child: Child, port: int) -> None:
        deadline = time.monotonic() + _SECONDS_TO_BE_READY
        while not _answers(self._local_host(), port):
            if self.supervisor.stopping.wait(0.1):
                raise Told
            ended = child.process is not None and child.process.poll() is not None
            if ended or time.monotonic() > deadline:
                state = "ended" if ended else f"does not answer after {_SECONDS_TO_BE_READY:.0f} s"
                raise EmbeddedError(
                    f"The process {child.name} {state}: {child.last_words()} The whole story is in {child.log}."
                )

    def _local_host(self) -> str:
        return "127.0.0.1" if self.host == "0.0.0.0" else self.host

    def _keep(self, services: list[str], started: list[str]) -> None:
        """Start again a database or broker that somebody killed; from then on it is ours to stop."""
        if not services:
            return
        try:
            for name in embedded.ensure_running(*services, places=self.places):
                say(f"{name} was stopped or killed by somebody; it runs again.")
                if name not in started:
                    started.append(name)
        except EmbeddedError as error:
            say(f"{error}\n  Another try in 10 s.")
            self.supervisor.stopping.wait(10)

    def announce(self) -> None:
        """Say where it is, who the people are and how it ends."""
        say(f"\nOpenlot is ready: {self._environment()['SITE_URL']}\n")
        people = self.folder / "people.json"
        if people.exists():
            rows = json.loads(people.read_text())
            certificates = [Path(row["certificate"]) for row in rows if row.get("certificate")]
            for row in rows:
                row["file"] = Path(row.get("certificate") or "").name
            columns = {"role": "Role", "name": "Name", "email": "E-mail", "password": "Password", "file": "Certificate"}
            width = {key: max(len(str(row.get(key, ""))) for row in [columns, *rows]) for key in columns}
            for row in [columns, *rows]:
                say("  " + "  ".join(str(row.get(key, "")).ljust(width[key]) for key in columns).rstrip())
            if certificates:
                # The first person's password opens every certificate of the demonstration.
                say(f"\n  The certificates lie in {certificates[0].parent}; their password: {rows[0]['password']}")
        say(f"  The processes' logs: {self.places.logs}\n\nCtrl-C stops it all.")


@contextlib.contextmanager
def _only_one(places: Places) -> Iterator[None]:
    """Hold the lock of this checkout's demonstration."""
    path = places.local / "demo.lock"
    with open(path, "a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EmbeddedError(
                "A demonstration of this checkout runs already. Stop it with Ctrl-C in its terminal, then start again."
            ) from None
        yield


def _port(text: str) -> int:
    if text.isdecimal() and 1 <= int(text) <= 65534:
        return int(text)
    raise EmbeddedError(f"PORT={text} is not a port. Give a number from 1 to 65534: PORT=8001 make demo")


def _check_free(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            raise EmbeddedError(
                f"This user may not open port {port}. Choose one above 1024: PORT=8000 make demo"
            ) from None
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise EmbeddedError(
                    f"HOST={host} is no address of this machine. Leave it out, or correct it."
                ) from None
            raise EmbeddedError(
                f"Port {port} is taken by another program. Choose another: PORT={_free_pair(host, port + 1)} make demo"
            ) from None


def _free_pair(host: str, start: int) -> int:
    """The first port from `start` that is free together with the next one."""
    for port in range(start, 65534):
        with contextlib.suppress(OSError), socket.socket() as first, socket.socket() as second:
            first.bind((host, port))
            second.bind((host, port + 1))
            return port
    return start


def _answers(host: str, port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{host}:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False


def _static_files() -> Iterator[Path]:
    yield PROJECT / "requirements" / "dev.txt"
    yield Path(sys.prefix) / ".requirements"
    for app in _APPS:
        yield from (PROJECT / app / "static").rglob("*")


def _digest(files: Iterator[Path]) -> str:
    """What tells one state of these files from another: their names, sizes and times."""
    digest = hashlib.sha256()
    for path in sorted(files):
        if path.is_file():
            facts = path.stat()
            digest.update(f"{path} {facts.st_size} {facts.st_mtime_ns}\n".encode())
    return digest.hexdigest()


if __name__ == "__main__":
    sys.exit(main())
