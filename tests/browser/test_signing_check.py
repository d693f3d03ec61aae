"""Checking a signature as a visitor does: files dropped on the page, the report kept; and the same without scripts."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from marketplace.signatures.sign import sign
from tests.browser.people import Visitor
from tests.factories.marketplace import NOON
from tests.factories.signatures import authority, trust

DOCUMENT = b"The delivery was accepted on 1 March 2026.\n"
NUMBER = "VATDE-811569869"

# What a browser does when a person lets go of files over the page.
DROP = """files => {
    const dropped = new DataTransfer();
    for (const [name, bytes] of files) dropped.items.add(new File([new Uint8Array(bytes)], name));
    document.body.dispatchEvent(new DragEvent("drop", { dataTransfer: dropped, bubbles: true, cancelable: true }));
}"""


@pytest.fixture
def signature(freeze: Callable[..., Any], live_server: Any) -> bytes:
    freeze(NOON)
    trust()
    signer = authority().issue(
        person="Anna Berg", organisation="Nordwand GmbH", identifiers=[NUMBER], at=NOON - timedelta(days=1)
    )
    return sign(DOCUMENT, signer, NOON)


def drop(page: Page, **files: bytes) -> None:
    page.evaluate(DROP, [[name.replace("_", "."), list(content)] for name, content in files.items()])


def test_dropped_files_find_their_fields_and_the_report_can_be_kept(
    visit: Callable[..., Visitor], signature: bytes
) -> None:
    visitor = visit("visitor", accept_downloads=True)
    page = visitor.page
    visitor.goes_to("/")
    visitor.follows("Check a signature", within=page.get_by_role("contentinfo"))
    visitor.reads_title("Check a signature")
    page.wait_for_load_state()  # its script listens for files only then
    drop(page, act_bin=signature, act_txt=DOCUMENT)  # known by what is in it, not by its name
    visitor.is_told("Signature: act.bin · Document: act.txt")
    visitor.picture("dropped")
    visitor.presses("Check the signature")
    expect(page.get_by_role("heading", name="Valid", exact=True)).to_be_visible()
    visitor.picture("valid")
    with page.expect_download() as download:
        visitor.follows("Download the report (JSON)")
    told = json.loads(Path(download.value.path()).read_bytes())
    assert (told["indication"], told["signer"]["identifiers"]) == ("TOTAL-PASSED", [NUMBER])

    drop(page, act_txt=DOCUMENT + b" ", act_p7s=signature)
    visitor.is_told("Document: act.txt · Signature: act.p7s")
    visitor.presses("Check the signature")
    expect(page.get_by_role("heading", name="Not valid", exact=True)).to_be_visible()
    visitor.sees("the document was changed after it was signed")
    visitor.picture("not-valid")


def test_without_scripts_it_works_as_well(visit: Callable[..., Visitor], signature: bytes, tmp_path: Path) -> None:
    visitor = visit("plain", java_script_enabled=False)
    page = visitor.page
    visitor.goes_to("/signatures/check/")
    expect(page.get_by_text("Drop the document")).to_be_hidden()
    for label, name, content in (
        ("Document that was signed", "act.txt", DOCUMENT),
        ("Signature (.p7s)", "act.txt.p7s", signature),
    ):
        (tmp_path / name).write_bytes(content)
        page.get_by_label(label).set_input_files(tmp_path / name)
    page.get_by_label("Who should have signed").fill("VATDE-136695976")
    visitor.presses("Check the signature")
    expect(page.get_by_role("heading", name="Not to be relied on: it cannot be confirmed")).to_be_visible()
    visitor.sees("it is not the organisation’s that should have signed")
    visitor.picture("another-organisation")
