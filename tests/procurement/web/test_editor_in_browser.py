"""A buyer fills in a draft that saves itself, sees what is missing, and publishes it."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.contrib.sessions.backends.db import SessionStore
from playwright.sync_api import Page, expect

from marketplace.permissions import Actor
from procurement.models import Tender
from procurement.services import tenders
from tests.factories.marketplace import NOON, HeadingFactory, accredited_buyer, member

pytestmark = pytest.mark.django_db(transaction=True)


def log_in(page: Page, actor: Actor, address: str) -> None:
    person = actor.person
    assert person is not None
    session = SessionStore()
    session[SESSION_KEY] = str(person.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = person.get_session_auth_hash()
    session.save()
    page.context.add_cookies(
        [{"name": settings.SESSION_COOKIE_NAME, "value": str(session.session_key), "url": address}]
    )


def test_a_draft_saves_itself_and_is_published(page: Page, live_server: Any, freeze: Callable[..., Any]) -> None:
    freeze(NOON + timedelta(hours=3))
    HeadingFactory.create(code="39112000", name="Chairs")
    officer = member(accredited_buyer())
    tender = tenders.create("rfq_open", "Chairs", by=officer, at=NOON)
    lot = tender.lots.get()
    log_in(page, officer, live_server.url)
    page.goto(f"/procedures/{tender.number}/edit/")

    page.get_by_label("Description").fill("Chairs for the new building.")
    expect(page.locator("#saved-basics")).to_contain_text("Saved 15:00 UTC")
    # The section saves again under the revision that the first save gave it.
    page.get_by_label("Title", exact=True).first.fill("Office chairs")
    expect(page.locator("#id_basics-revision")).to_have_value("3")
    page.get_by_label("Title", exact=True).first.fill("")
    expect(page.locator("#saved-basics")).to_contain_text("Not saved yet: Title: This field is required.")
    page.get_by_label("Title", exact=True).first.fill("Office chairs for Rostock")
    expect(page.locator("#saved-basics")).to_contain_text("Saved")

    row = page.locator(f"#items-{lot.pk} tbody tr").first
    row.get_by_label("What is needed").fill("Office chair")
    row.get_by_label("Category").press_sequentially("Chai")
    expect(page.locator("#category-options option")).to_have_count(1)
    row.get_by_label("Category").fill("39112000 Chairs")
    row.get_by_label("Quantity").fill("12")
    expect(page.locator(f"#saved-items-{lot.pk}")).to_contain_text("Saved")
    expect(page.locator("#gaps")).not_to_contain_text("has no items")

    page.reload()
    expect(page.get_by_label("Title", exact=True).first).to_have_value("Office chairs for Rostock")
    expect(page.get_by_label("What is needed, row 1").first).to_have_value("Office chair")

    page.get_by_role("link", name="Review and publish").click()
    page.get_by_role("button", name="Publish").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("It becomes public at once")
    dialog.get_by_role("button", name="Publish").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Office chairs for Rostock")
    expect(page.locator(".page-head-meta")).to_contain_text("Open for bids")
    assert Tender.objects.get().status == "published"
