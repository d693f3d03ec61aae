"""A page of the product that waits for a signature, for tests of signing in a real browser."""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field

from django.conf import settings
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page, Route

from marketplace.models import SigningRequest
from marketplace.permissions import Actor
from marketplace.services import signing
from procurement.services import cancellation
from tests.browser.key_files import KeyFile
from tests.browser.people import Visitor
from tests.factories.marketplace import NOON, member
from tests.factories.procurement import published_tender
from tests.factories.signatures import trust


@dataclass
class Desk:
    """A page that waits for a signature and stays: what it would send is kept here instead."""

    visitor: Visitor
    request: SigningRequest
    identifiers: list[str]
    path: str
    sent: list[str] = field(default_factory=list)

    @property
    def page(self) -> Page:
        return self.visitor.page

    def signs(self, file: KeyFile) -> bytes:
        """Sign with a file; the signature that the page sends, with nothing of the key beside it."""
        self.gives(file.name, file.content, file.typed)
        return self.sends(file)

    def gives(self, name: str, content: bytes, password: str) -> None:
        path = self.visitor.files / f"{name}.p12"
        path.write_bytes(content)
        self.page.get_by_label("Key file (.p12 or .pfx)").set_input_files(path)
        self.page.get_by_label("Password of the key file").fill(password)

    def presses(self) -> None:
        # The page believes that it sends and goes; it is to send again.
        self.page.evaluate("delete document.querySelector('form[data-sign]').dataset.sending")
        self.page.locator("[data-sign-button]").click()

    def sends(self, file: KeyFile) -> bytes:
        """The signature that the page sends for this press of the button."""
        with self.page.expect_request(lambda request: request.method == "POST") as waited:
            self.presses()
        body = waited.value.post_data_buffer or b""
        names = re.findall(rb'name="(\w+)"', body)
        assert sorted(names) == [b"csrfmiddlewaretoken", b"signature", b"signature_file", b"signing_request"]
        assert not file.typed or file.typed.encode() not in body
        found = re.search(rb'name="signature"\r\n\r\n([A-Za-z0-9+/=]+)\r\n', body)
        assert found, file.name
        return base64.b64decode(found[1], validate=True)


def log_in(page: Page, by: Actor, site: str) -> None:
    """Let the page's browser be this person's at the site's address."""
    client = Client()
    assert by.person is not None
    client.force_login(by.person)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": site}])


def open_desk(visitor: Visitor, site: str) -> Desk:
    """A buyer about to sign the cancellation of a procedure, logged in at the site's address."""
    trust()
    tender = published_tender()
    buyer = member(tender.buyer)
    request = cancellation.prepare(tender.pk, None, "The chairs are not needed any more", by=buyer, at=NOON)
    log_in(visitor.page, buyer, site)
    path = reverse("tender_cancel_sign", args=[tender.number, request.nonce])
    desk = Desk(visitor, request, signing.identifiers_of(tender.buyer), path)

    def keep(route: Route) -> None:
        if route.request.method != "POST":
            route.continue_()
            return
        desk.sent.append(route.request.url)
        route.fulfill(status=204)

    visitor.page.route(f"**{path}", keep)
    visitor.goes_to(path)
    return desk
