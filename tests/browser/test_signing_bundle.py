"""The scripts that sign, as a real deployment serves them: under their published hashes, and not a byte otherwise."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.test.testcases import LiveServerThread, _StaticFilesHandler
from playwright.sync_api import Page, Route, expect

from marketplace.shared import clock
from marketplace.web import bundle
from procurement.services import bid_drafts
from tests.browser.desk import Desk, log_in, open_desk
from tests.browser.people import Visitor
from tests.conftest import ROOT
from tests.factories.bids import bidder, tender_taking_bids
from tests.factories.marketplace import NOON


@pytest.fixture
def site(transactional_db: None, settings: Any, tmp_path: Path) -> Iterator[str]:
    """The address of a server that serves collected files, under names with their hashes, as in production."""
    settings.STATIC_ROOT = tmp_path / "static"
    settings.STORAGES = settings.STORAGES | {
        "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"}
    }
    settings.ALLOWED_HOSTS = ["localhost"]
    bundle._collected.cache_clear()
    call_command(
        "collectstatic", interactive=False, verbosity=0, ignore_patterns=["drf_spectacular*", "rest_framework"]
    )
    thread = LiveServerThread("localhost", static_handler=_StaticFilesHandler)
    thread.daemon = True
    thread.start()
    thread.is_ready.wait()
    assert thread.error is None
    yield f"http://localhost:{thread.port}"
    thread.terminate()
    bundle._collected.cache_clear()


@pytest.fixture
def desk(site: str, open_page: Callable[..., Page], freeze: Callable[..., Any], tmp_path: Path) -> Desk:
    freeze(NOON)
    return open_desk(Visitor("bert", open_page(base_url=site), tmp_path), site)


def hash_of(content: bytes) -> str:
    return "sha384-" + base64.b64encode(hashlib.sha384(content).digest()).decode()


def test_every_script_is_served_under_the_hash_that_the_page_and_the_about_page_name(desk: Desk) -> None:
    page = desk.page
    named: dict[str, str] = {}
    for tag in page.locator("script[src]").all():
        address = tag.get_attribute("src") or ""
        named[file_of(address)] = tag.get_attribute("integrity") or ""
        assert hash_of(page.request.get(address).body()) == named[file_of(address)]
    form = page.locator("form[data-sign]")
    forge = form.get_attribute("data-forge") or ""
    named[file_of(forge)] = form.get_attribute("data-forge-integrity") or ""
    assert hash_of(page.request.get(forge).body()) == named[file_of(forge)]
    assert {"theme.js", "app.js", "signing.js", "forge.js"} <= set(named)

    page.goto("/about/signing/")
    rows = page.get_by_role("row").filter(has=page.get_by_role("rowheader")).all()
    published = {
        row.get_by_role("rowheader").inner_text(): re.search(r"sha384-\S+", row.inner_text())[0]  # type: ignore[index]
        for row in rows
        if "sha384-" in row.inner_text()
    }
    built = {path.name: hash_of(path.read_bytes()) for path in (ROOT / "marketplace/static/build").glob("*.js")}
    assert published == built
    assert named.items() <= published.items()
    for link in page.locator("th a[href$='.js']").all():
        address = link.get_attribute("href") or ""
        assert hash_of(page.request.get(address).body()) == published[file_of(address)]


def file_of(address: str) -> str:
    """The name of a file as it was built, without the hash that the name was given for caches."""
    return re.sub(r"\.[0-9a-f]{12}\.js$", ".js", address.rsplit("/", 1)[-1])


def test_a_changed_script_does_not_run(desk: Desk) -> None:
    page = desk.page

    def change(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text() + ";globalThis.changed = true;")

    press = page.locator("[data-sign-button]")
    press.click()
    desk.visitor.is_refused("Choose your key file (.p12 or .pfx).")
    page.route("**/signing.*.js", change)
    with page.expect_console_message(lambda said: "integrity" in said.text and "signing." in said.text):
        page.reload()
    page.wait_for_load_state("networkidle")
    press.click()
    expect(page.locator("[data-sign-error]:not([hidden])")).to_have_count(0)
    assert page.evaluate("globalThis.changed") is None


def test_every_page_of_ours_is_held_to_scripts_with_hashes(site: str, open_page: Callable[..., Page]) -> None:
    page = open_page(base_url=site)
    for address in ("/", "/signup/", "/signatures/check/", "/procedures/", "/nothing/here/"):
        answer = page.goto(address)
        assert answer is not None
        assert answer.headers["integrity-policy"] == "blocked-destinations=(script)"
        expect(page.locator("html.has-js")).to_be_attached()  # and its own scripts do run


def runs(page: Page, **script: str | None) -> bool:
    """Whether the browser runs a script that is added to the page."""
    return bool(
        page.evaluate(
            """given => new Promise(done => {
                const script = Object.assign(document.createElement("script"), { crossOrigin: "anonymous" }, given);
                script.addEventListener("load", () => done(true));
                script.addEventListener("error", () => done(false));
                document.head.append(script);
            })""",
            script,
        )
    )


def test_a_signing_page_runs_the_part_for_old_files_under_its_hash_only(desk: Desk) -> None:
    page = desk.page
    form = page.locator("form[data-sign]")
    source, integrity = form.get_attribute("data-forge"), form.get_attribute("data-forge-integrity")
    assert source
    assert integrity
    assert not runs(page, src=source)  # without a hash: the page's policy
    assert not runs(page, src=source, integrity=hash_of(b"another"))
    assert page.evaluate("globalThis.openlotOldCiphers") is None
    assert runs(page, src=source, integrity=integrity)
    page.route("**/forge.*", lambda route: route.fulfill(body="globalThis.changed = true"))
    assert not runs(page, src=source + "?again", integrity=integrity)
    assert page.evaluate("globalThis.changed") is None


def test_a_changed_worker_seals_nothing_and_the_published_one_does(site: str, open_page: Callable[..., Page]) -> None:
    """The worker is started from the very bytes that the browser compared with their hash, and from no address."""
    now = clock.now()
    lot = tender_taking_bids(
        enquiry_ends_at=now + timedelta(days=5), tender_ends_at=now + timedelta(days=10)
    ).lots.get()
    by = bidder()
    bid = bid_drafts.start(lot.pk, by=by, at=now)
    page = open_page(base_url=site)
    log_in(page, by, site)
    policy = page.goto(f"/bids/{bid.pk}/edit/")
    assert policy is not None
    assert "worker-src blob:;" in f"{policy.headers['content-security-policy']};"

    def change(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text() + ";postMessage({kind: 'sent'});")

    plan = {"name": "plan.txt", "mimeType": "text/plain", "buffer": b"the plan"}
    page.route("**/sealing-worker.*.js", change)
    page.get_by_label("Add documents").set_input_files([plan])
    row = page.locator("[data-uploads] li").filter(has_text="plan.txt")
    expect(row).to_contain_text("The part of the page that seals documents could not be loaded.")
    assert not bid.files.exists()

    page.unroute("**/sealing-worker.*.js")
    row.locator("[data-upload-retry]").click()
    expect(page.locator("[data-documents] li").filter(has_text="plan.txt")).to_contain_text("sealed")
    assert bid.files.get().sealed_path
