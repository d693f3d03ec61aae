"""What every test stands on: a fresh database cloned from a migrated template, a clock to hold, a real browser."""

import asyncio
import contextlib
import gc
import os
import shutil
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import pytest
from django.db import connection, transaction
from django.template import Context, Template
from django.test import TransactionTestCase, override_settings
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from playwright.sync_api import Browser, Page, sync_playwright

from marketplace.shared import clock
from marketplace.signatures import bounded
from tests import database
from tests.gateway import A_DAY_S, Gateway
from tests.patience import PATIENCE_S

# Before numpy is first imported: threads of its own that wait for each other take most of a busy machine's time.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Until the tests begin nothing becomes garbage worth looking for (pytest_collection_finish).
gc.disable()
# A busy machine makes a property slow, not wrong, and whether tests pass is no matter of luck: the cases are the same
# every time. Whoever looks for what nobody thought of draws others: --hypothesis-profile=explore.
hypothesis_settings.register_profile("explore", deadline=None, suppress_health_check=[HealthCheck.too_slow])
hypothesis_settings.register_profile("openlot", hypothesis_settings.get_profile("explore"), derandomize=True)
hypothesis_settings.load_profile("openlot")

ROOT = Path(__file__).resolve().parents[1]
ALL_REQUIRED = bool(os.environ.get("OPENLOT_REQUIRE_ALL"))


# Database ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def django_db_setup(
    django_test_environment: None, django_db_blocker: Any, django_db_modify_db_settings: None
) -> Iterator[None]:
    """A database of this test process's own, copied from a migrated template, and emptied after tests that commit."""
    name, usual = connection.settings_dict["TEST"]["NAME"], connection.settings_dict["NAME"]
    with django_db_blocker.unblock(), pytest.MonkeyPatch.context() as patch:
        database.create(name)
        patch.setattr(TransactionTestCase, "_fixture_teardown", lambda _self: database.empty())
        yield
        database.drop(name, usual)


@pytest.fixture(scope="session")
def shared_world(
    django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], contextlib.AbstractContextManager[None]]:
    """For a fixture that serves several tests, of a module or a class: what it makes within `with shared_world():` is
    there for all of them, each of which undoes what it changes itself, and is rolled back at the end.

    Only where no test of the module has transactions of its own.
    """

    @contextlib.contextmanager
    def shared() -> Iterator[None]:
        media = override_settings(MEDIA_ROOT=tmp_path_factory.getbasetemp() / "media")
        with django_db_blocker.unblock(), media, transaction.atomic():
            yield
            transaction.set_rollback(True)

    return shared


# Files and time ----------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _own_files(settings: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Uploaded files of a test never land among those of the demonstration."""
    settings.MEDIA_ROOT = tmp_path_factory.getbasetemp() / "media"


@pytest.fixture(autouse=True, scope="session")
def _unhurried_verdicts() -> Iterator[None]:
    """A signature is judged in milliseconds, but this machine may have much else to do. Tests of the limit set it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounded, "WALL_SECONDS", PATIENCE_S)
        patch.setattr(bounded, "_START_SECONDS", PATIENCE_S)
        patch.setattr(bounded, "_QUEUE_SECONDS", PATIENCE_S)
        yield


@pytest.fixture(autouse=True, scope="session")
def _contexts_of_pages(django_test_environment: None) -> Iterator[None]:
    """The test client keeps a copy of the context of all that is rendered, for every option of every list of a form:
    half the time of a page. Here it keeps that of the page."""
    keeping = Template._render

    def render(template: Template, context: Context) -> str:
        is_part = context.template is not template or (template.name or "").startswith("django/")
        return template.nodelist.render(context) if is_part else keeping(template, context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Template, "_render", render)
        yield


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


class Chromium(NamedTuple):
    """The browser, and the event loop that Playwright's synchronous API has in this thread."""

    browser: Browser
    loop: asyncio.AbstractEventLoop


@pytest.fixture(scope="session")
def chromium() -> Iterator[Chromium]:
    """The system's Chromium, started once. Where there is none the tests are skipped, or fail if they are required."""
    program = os.environ.get("OPENLOT_CHROMIUM") or next(
        filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
    )
    if program is None:
        pytest.skip("no Chromium on this machine: install the system's package chromium, or set OPENLOT_CHROMIUM")
    quiet = ["background-networking", "component-update", "sync", "quic", "default-apps", "dev-shm-usage"]
    options = ["--no-first-run", *(f"--disable-{name}" for name in quiet)]
    if os.geteuid() == 0:
        options.append("--no-sandbox")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=program, args=options)
        found = Chromium(launched, asyncio.get_running_loop())
        asyncio._set_running_loop(None)
        yield found
        asyncio._set_running_loop(found.loop)
        launched.close()


@pytest.fixture
def browser(chromium: Chromium, monkeypatch: pytest.MonkeyPatch) -> Iterator[Browser]:
    """Chromium with nobody's pages open. What a test leaves open is closed."""
    # Django would take the test's own queries for queries inside asynchronous code. That guard and the tests that run a
    # loop of their own want this one out of sight, so it is there only for the life of this fixture.
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
    asyncio._set_running_loop(chromium.loop)
    try:
        yield chromium.browser
        for context in chromium.browser.contexts:
            context.close()
        # Under that loop this thread has a database connection apart, which nobody else would close.
        connection.close()
    finally:
        asyncio._set_running_loop(None)


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


@pytest.fixture
def gateway(live_server: Any, settings: Any, tmp_path: Path) -> Iterator[Gateway]:
    """A running gateway on the test's database; the pages of the test server lead to it."""
    settings.OUTAGE_TOLERANCE_SECONDS = A_DAY_S
    # The live server names itself localhost, and a page may talk to its own host only.
    running = Gateway(
        tmp_path / "gateway.log",
        host="localhost",
        BROKER_URL="memory://",
        SITE_URL=live_server.url,
        OPENLOT_KEYS_FILE=str(settings.OPENLOT_KEYS_FILE),
        PERIOD_UNIT=settings.PERIOD_UNIT,
    )
    settings.GATEWAY_ORIGIN = f":{urlsplit(running.address).port}"
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "chromium" in getattr(item, "fixturenames", ()) or (ROOT / "tests" / "browser") in item.path.parents:
            item.add_marker("browser")
    items[:] = _spread(items)


def pytest_collection_finish() -> None:
    """Hundreds of thousands of objects stay for good: to look through them again and again, and as often as Python
    does by itself, takes a tenth of the tests' time."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


def _spread(items: list[pytest.Item]) -> list[pytest.Item]:
    """Those that wait for a browser or another process, evenly among those that keep a processor busy.

    At the end, one after the other, they would leave the processors idle. Modules stay in one piece: what a module's
    tests share is made once.
    """
    modules = [list(found) for _, found in groupby(items, lambda item: item.path)]
    waiting = [found for found in modules if any(map(_waits, found))]
    busy = [found for found in modules if found not in waiting]
    if not waiting or not busy:
        return items
    # The last of them well before the end.
    every, since, spread = 0.8 * sum(map(len, busy)) / len(waiting), 0.0, list[pytest.Item]()
    for module in busy:
        while waiting and since <= 0:
            spread += waiting.pop(0)
            since += every
        spread += module
        since -= len(module)
    return spread + [item for module in waiting for item in module]


def _waits(item: pytest.Item) -> bool:
    return any(item.iter_markers("browser")) or any(item.iter_markers("slow"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Where all tests are required, one that is skipped for what the machine has not is a failure."""
    report = yield
    if ALL_REQUIRED and report.skipped and any(item.get_closest_marker(name) for name in ("browser", "system")):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome, report.longrepr = "failed", f"skipped where all tests are required: {reason}"
    return report
