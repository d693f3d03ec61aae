"""Sealing a bid in the browser: what leaves the page, what goes wrong on the way, what the opening finds."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Request, Route, expect

from marketplace.permissions import Actor
from marketplace.services.files import open_file
from marketplace.shared import clock
from procurement.models import Bid, BidFile, Tender
from procurement.services import bid_drafts, opening
from tests.browser.desk import log_in
from tests.browser.people import Visitor
from tests.factories.bids import bidder, tender_taking_bids
from tests.factories.signatures import certificate_of, trust

REMARK = "Discreet remark of the bidder"
NAME = "offer of 7312 each.txt"
DIGITS = "7312"
MIB = 1024 * 1024


def _begun(custody: str, visit: Callable[..., Visitor], url: str) -> tuple[Visitor, Bid, Actor]:
    trust()
    now = clock.now()
    lot = tender_taking_bids(
        title="Turbines", enquiry_ends_at=now + timedelta(days=5), tender_ends_at=now + timedelta(days=10)
    ).lots.get()
    lot.limit_price = None
    lot.save()
    Tender.objects.update(key_custody=custody)
    by = bidder()
    bid = bid_drafts.start(lot.pk, by=by, at=now)
    anna = visit(f"anna-{custody}")
    log_in(anna.page, by, url)
    anna.goes_to(f"/bids/{bid.pk}/edit/")
    return anna, bid, by


def _document(folder: Path, size: int = 20 * MIB) -> Path:
    path = folder / NAME
    path.write_text((os.urandom(1000).hex() + f" {DIGITS}.91\n") * (size // 2010))
    return path


def _fill(anna: Visitor) -> None:
    for item, price in ((1, "7312.91"), (2, "4861.37")):
        anna.page.get_by_label(f"Unit price of item {item}").fill(price)
    anna.page.get_by_role("textbox", name="Remarks").fill(REMARK)


@pytest.mark.parametrize("custody", ["platform", "committee"])
def test_what_leaves_the_page_is_sealed(
    custody: str, visit: Callable[..., Visitor], live_server: Any, tmp_path: Path, transactional_db: None
) -> None:
    anna, bid, by = _begun(custody, visit, live_server.url)
    page = anna.page
    sent: list[Request] = []
    page.context.on("request", lambda request: sent.append(request) if request.method != "GET" else None)

    _fill(anna)
    page.get_by_label("Add documents").set_input_files(_document(tmp_path))
    row = page.locator("[data-documents] li").filter(has_text=NAME)
    expect(row).to_be_visible()
    anna.pictures_in_every_look("filled")
    if custody == "committee":
        anna.sees("This draft stays in this browser")
        anna.sees(re.compile("Saved in this browser"))
    anna.presses("Seal, review and sign")
    anna.reads_title("Sign and send the bid")
    anna.sees("Compared in this browser")
    for shown in ("7,312.91", "121,742.80", REMARK, NAME):
        anna.sees(shown)
    anna.pictures_in_every_look("review")

    for request in sent:
        body = request.post_data_buffer or b""
        if custody == "platform" and request.url.endswith(("/edit/", "/finish/")):
            continue  # the draft's own requests
        for secret in (b"7312", b"4861", b"Discreet", b"offer"):
            assert secret not in body, f"{secret!r} in {request.url}"

    anna.signs("Sign and send the bid", certificate_of(bid.supplier))
    anna.reads_title("Receipt: the bid was received and sealed")
    anna.picture("receipt")
    anna.follows("To the bid")
    anna.picture("bid")
    bid.refresh_from_db()
    assert (bid.draft is None) == (custody == "committee")

    Tender.objects.update(key_custody="platform")
    opening.open_tender(bid.lot.tender_id, clock.now() + timedelta(days=11))
    bid.refresh_from_db()
    assert (f"{bid.amount:.2f}", bid.remarks, bid.opening_problem) == ("121742.80", REMARK, "")
    document = bid.files.get()
    assert document.opened is not None
    with open_file(document.opened) as content:
        assert (document.name, content.read()) == (NAME, (tmp_path / NAME).read_bytes())
    assert by.organisation == bid.supplier


def test_a_draft_that_stays_in_the_browser_is_there_again_and_goes_elsewhere_as_a_file(
    visit: Callable[..., Visitor], live_server: Any, tmp_path: Path, transactional_db: None
) -> None:
    anna, bid, by = _begun("committee", visit, live_server.url)
    page = anna.page
    _fill(anna)
    page.get_by_label("Add documents").set_input_files(_document(tmp_path, MIB))
    expect(page.locator("[data-documents] li").filter(has_text=NAME)).to_be_visible()
    anna.sees(re.compile("Saved in this browser"))

    page.reload()
    expect(page.get_by_label("Unit price of item 1")).to_have_value("7312.91")
    expect(page.locator("[data-documents] li").filter(has_text=NAME)).to_be_visible()
    with page.expect_download() as download:
        anna.presses("Save draft as a file")

    colleague = visit("boris")
    log_in(colleague.page, by, live_server.url)
    colleague.goes_to(f"/bids/{bid.pk}/edit/")
    colleague.sees("Some documents were sealed in another browser")
    expect(colleague.page.get_by_label("Unit price of item 1")).to_have_value("")
    colleague.page.locator("[data-draft-import]").set_input_files(download.value.path())
    expect(colleague.page.get_by_label("Unit price of item 1")).to_have_value("7312.91")
    expect(colleague.page.locator("[data-documents] li").filter(has_text=NAME)).to_be_visible()
    bid.refresh_from_db()
    assert bid.draft is None

    (tmp_path / "other.json").write_text('{"format": "openlot-draft-1", "bid": 0}')
    colleague.page.locator("[data-draft-import]").set_input_files(tmp_path / "other.json")
    colleague.is_refused("This draft belongs to another bid.")


def test_wrong_prices_and_documents_are_told_before_anything_is_sealed(
    visit: Callable[..., Visitor], live_server: Any, tmp_path: Path, transactional_db: None
) -> None:
    anna, bid, _by = _begun("committee", visit, live_server.url)
    page = anna.page
    page.get_by_label("Unit price of item 1").fill("twelve")
    anna.presses("Seal, review and sign")
    anna.is_refused("The price table is not complete.")
    anna.sees("This is not a price. Write it like 1250.50.")
    anna.sees("Enter a unit price.")

    for name, content, sentence in (
        ("plan.exe", b"MZ", "is of a type that is not taken here"),
        ("plan.pdf", b"no PDF", "is not what its extension says"),
        ("empty.txt", b"", "“empty.txt” is empty."),
    ):
        page.get_by_label("Add documents").set_input_files(
            {"name": name, "mimeType": "application/octet-stream", "buffer": content}
        )
        anna.is_refused(re.compile(sentence))
    anna.pictures_in_every_look("errors")
    assert not BidFile.objects.filter(bid=bid).exists()


def test_a_lost_connection_costs_a_part_and_not_the_document(
    visit: Callable[..., Visitor], live_server: Any, tmp_path: Path, transactional_db: None
) -> None:
    anna, bid, _by = _begun("platform", visit, live_server.url)
    page = anna.page
    tried: list[str] = []

    def flaky(route: Route) -> None:
        tried.append(route.request.url.rsplit("offset=", 1)[1])
        if len(tried) == 2:
            route.abort("connectionreset")
        else:
            route.continue_()

    page.context.route("**/uploads/*/?offset=*", flaky)
    page.get_by_label("Add documents").set_input_files(_document(tmp_path, 20 * MIB))
    anna.sees(re.compile("The connection is lost. Goes on in"))
    anna.pictures_in_every_look("lost")
    expect(page.locator("[data-documents] li").filter(has_text=NAME)).to_be_visible()

    # The second part was sent twice, no other.
    assert len(tried) == 4
    assert tried[1] == tried[2]
    assert BidFile.objects.get(bid=bid).sealed_sha256


def test_an_upload_can_be_cancelled_and_leaves_nothing(
    visit: Callable[..., Visitor], live_server: Any, tmp_path: Path, transactional_db: None
) -> None:
    anna, bid, _by = _begun("platform", visit, live_server.url)
    page = anna.page
    page.context.route(
        "**/uploads/*/?offset=*", lambda route: None if "offset=0" not in route.request.url else route.continue_()
    )
    page.get_by_label("Add documents").set_input_files(_document(tmp_path, 20 * MIB))
    anna.sees(re.compile("MB sealed and sent"))
    anna.pictures_in_every_look("upload")
    _fill(anna)
    anna.presses("Seal, review and sign")
    anna.is_refused("Wait until the documents have arrived, or cancel those that have not.")

    with page.expect_response(lambda answer: answer.request.method == "DELETE"):
        anna.presses("Cancel")

    expect(page.locator(".upload")).to_have_count(0)
    assert not BidFile.objects.filter(bid=bid).exists()
    page.context.unroute_all(behavior="ignoreErrors")


def test_a_draft_that_is_thrown_away_is_gone_from_the_browser(
    visit: Callable[..., Visitor], live_server: Any, transactional_db: None
) -> None:
    anna, bid, _by = _begun("committee", visit, live_server.url)
    _fill(anna)
    anna.sees(re.compile("Saved in this browser"))

    anna.goes_to(f"/bids/{bid.pk}/discard/")
    anna.presses("Throw it away")
    anna.sees("The draft was thrown away.")
    anna.page.wait_for_load_state("networkidle")
    anna.presses("Prepare it again")

    expect(anna.page.get_by_label("Unit price of item 1")).to_have_value("")
    anna.sees("0 of 2 items have a price.")
