"""What every test stands on: a fresh database cloned from a migrated template, a clock to hold, a real browser."""

import contextlib
import hashlib
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import connection
from django.db.backends.utils import CursorWrapper
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from playwright.sync_api import Browser, Page, sync_playwright

from marketplace.shared import clock

# A busy machine makes a property slow, not wrong.
hypothesis_settings.register_profile("openlot", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.load_profile("openlot")

ROOT = Path(__file__).resolve().parents[1]
BROWSER_REQUIRED = bool(os.environ.get("OPENLOT_REQUIRE_BROWSER"))
# Any number of our own: whoever makes or clones the template database holds this advisory lock.
_TEMPLATE_LOCK = 20_711


# Database ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None, django_db_blocker: Any, django_db_modify_db_settings: None
) -> Iterator[None]:
    """A database of this test process's own, cloned from a template that is migrated once per set of migrations."""
    name = connection.settings_dict["TEST"]["NAME"]
    usual = connection.settings_dict["NAME"]
    with django_db_blocker.unblock():
        with connection._nodb_cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [_TEMPLATE_LOCK])
            template = _template(cursor)
            cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
            cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
        _use_database(name)
    yield
    with django_db_blocker.unblock():
        _use_database(usual)
        with connection._nodb_cursor() as cursor:
            cursor.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _template(cursor: CursorWrapper) -> str:
    """The name of the migrated template database, made where it is missing; those of other migrations are dropped."""
    name = f"openlot_template_{_migrations_digest()}"
    cursor.execute(r"SELECT datname FROM pg_database WHERE datname LIKE 'openlot\_template\_%'")
    present = [row[0] for row in cursor.fetchall()]
    if name not in present:
        for old in present:
            cursor.execute(f'DROP DATABASE "{old}" WITH (FORCE)')
        unfinished = "openlot_template_unfinished"
        cursor.execute(f'DROP DATABASE IF EXISTS "{unfinished}" WITH (FORCE)')
        cursor.execute(f'CREATE DATABASE "{unfinished}"')
        _use_database(unfinished)
        call_command("migrate", verbosity=0, interactive=False)
        _let_tests_empty_tables()
        connection.close()
        cursor.execute(f'ALTER DATABASE "{unfinished}" RENAME TO "{name}"')
    return name


def _let_tests_empty_tables() -> None:
    """A test with transactions of its own leaves by TRUNCATE, which append-only tables refuse outside tests."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'no_truncate'")
        for (table,) in cursor.fetchall():
            cursor.execute(f"ALTER TABLE {table} DISABLE TRIGGER no_truncate")


def _migrations_digest() -> str:
    digest = hashlib.sha256(repr(django_settings.INSTALLED_APPS).encode())
    digest.update((ROOT / "requirements" / "dev.txt").read_bytes())
    for path in sorted(ROOT.glob("*/migrations/*.py")):
        digest.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _use_database(name: str) -> None:
    connection.close()
    connection.settings_dict["NAME"] = name
    django_settings.DATABASES["default"]["NAME"] = name


# Files and time ----------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _own_files(settings: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Uploaded files of a test never land among those of the demonstration."""
    settings.MEDIA_ROOT = tmp_path_factory.getbasetemp() / "media"


class FrozenClock:
    """The edge's clock, held still in every thread and moved by hand."""

    def __init__(self, holds: contextlib.ExitStack, at: datetime) -> None:
        self._holds = holds
        self.move_to(at)

    def move_to(self, at: datetime) -> datetime:
        """Hold the clock at `at` (aware)."""
        self.at = at
        self._holds.enter_context(clock.frozen(at))
        return at

    def advance(self, by: timedelta) -> datetime:
        """Move the held clock on by `by`."""
        return self.move_to(self.at + by)


@pytest.fixture
def freeze() -> Iterator[Callable[[datetime], FrozenClock]]:
    """Hold the clock: `now = freeze(at)`, then `now.advance(timedelta(hours=1))`. It runs again after the test."""
    with contextlib.ExitStack() as holds:
        yield lambda at: FrozenClock(holds, at)


# Browser -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def browser(monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    """The system's Chromium, driven by Playwright. Where there is none the test is skipped, or fails if required."""
    program = os.environ.get("OPENLOT_CHROMIUM") or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if program is None:
        pytest.skip("no Chromium on this machine: install the system's package chromium, or set OPENLOT_CHROMIUM")
    # Playwright's synchronous API keeps an event loop running in this thread, and Django would take the test's own
    # queries for queries inside asynchronous code. Only for the life of this fixture: elsewhere that guard stays.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    quiet = ["background-networking", "component-update", "sync", "quic", "default-apps", "dev-shm-usage"]
    options = ["--no-first-run", *(f"--disable-{name}" for name in quiet)]
    if os.geteuid() == 0:
        options.append("--no-sandbox")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=options)
        yield chromium
        chromium.close()
        # Under that loop this thread has a database connection apart, which nobody else would close.
        connection.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Open a page of a new person: `page = open_page(base_url=live_server.url)`, with options of a browser context.

    The test fails at its end where a page raised an error in its script or broke the content security policy.
    """
    complaints: list[str] = []

    def open_one(**options: Any) -> Page:
        context = browser.new_context(**{"viewport": {"width": 1440, "height": 900}, "locale": "en-GB", **options})
        page = context.new_page()
        page.on("pageerror", lambda error: complaints.append(f"{page.url}: {error}"))
        page.on(
            "console",
            lambda message: (
                complaints.append(f"{page.url}: {message.text}") if "Content Security Policy" in message.text else None
            ),
        )
        return page

    yield open_one
    assert complaints == []


@pytest.fixture
def page(open_page: Callable[..., Page], live_server: Any) -> Page:
    """One person's page on the test server."""
    return open_page(base_url=live_server.url)


class Gateway:
    """The live auctions' gateway as a process of its own on the test's database, by the real clock."""

    def __init__(self, port: int, environment: dict[str, str], log: Path) -> None:
        # The live server names itself so, and a page may talk to its own host only.
        self.address = f"http://localhost:{port}"
        self._environment = environment
        self._log = log
        # Streams that browsers still hold open would keep it from ending.
        options = [
            "--interface",
            "asgi",
            "--runtime-mode",
            "st",
            "--port",
            str(port),
            "--no-ws",
            "--workers-kill-timeout",
            "1",
        ]
        self._command = [sys.executable, "-m", "granian", *options, "procurement.auction.gateway:application"]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it answers."""
        with open(self._log, "ab") as output:
            self._process = subprocess.Popen(
                self._command,
                cwd=ROOT,
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        _wait_until_ready(f"{self.address}/healthz", self._process, self._log)

    def stop(self) -> None:
        """Cuts every stream."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(15)
            self._process = None


@pytest.fixture
def gateway(live_server: Any, settings: Any, tmp_path: Path) -> Iterator[Gateway]:
    """A running gateway; the pages of the test server lead to it."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    database = urlsplit(settings.DATABASE_URL)._replace(path=f"/{connection.settings_dict['NAME']}")
    environment = {
        **os.environ,
        "DATABASE_URL": urlunsplit(database),
        "BROKER_URL": "memory://",
        "SITE_URL": live_server.url,
        "OPENLOT_KEYS_FILE": str(settings.OPENLOT_KEYS_FILE),
        "PERIOD_UNIT": settings.PERIOD_UNIT,
    }
    settings.GATEWAY_ORIGIN = f":{port}"
    running = Gateway(port, environment, tmp_path / "gateway.log")
    try:
        running.start()
        yield running
    finally:
        running.stop()


def _wait_until_ready(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 30
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=2):
            return
        time.sleep(0.1)
    pytest.fail(f"the gateway does not answer:\n{log.read_text(errors='replace')}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "browser" in getattr(item, "fixturenames", ()) or (ROOT / "tests" / "browser") in item.path.parents:
            item.add_marker("browser")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Where browser tests are required, a skipped one is a failure."""
    report = yield
    if BROWSER_REQUIRED and report.skipped and item.get_closest_marker("browser"):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"a browser test was skipped where it is required: {reason}"
    return report
