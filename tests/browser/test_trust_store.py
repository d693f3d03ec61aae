"""Two operators trust an authority and have its revocation lists fetched, in real browsers, in every look."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

from marketplace.models import RevocationList, RevocationSource, StaffRole, TrustedCertificate
from marketplace.services import revocation, trust_store
from marketplace.shared import clock
from marketplace.signatures.authority import Authority
from marketplace.signatures.publication import Publication
from tests.browser.people import Visitor
from tests.factories.marketplace import staff
from tests.factories.web_server import Asked, send, served


def test_an_authority_is_trusted_by_two_and_its_lists_are_fetched(
    visit: Callable[..., Visitor], settings: Any, tmp_path: Path
) -> None:
    settings.REVOCATION_PRIVATE_ADDRESSES = True
    now = clock.now()
    authority = Authority.create(now, "National Trust Centre")
    authority.revoked = {(900 + number) ** 9: now - timedelta(days=number) for number in range(1, 1800)}
    public = Publication(authority)
    (tmp_path / "root.cer").write_bytes(authority.root.pem)
    first, second = (staff(StaffRole.OPERATOR).person for _ in range(2))
    assert first is not None
    assert second is not None
    olena, idris = visit("olena"), visit("idris")
    for visitor, person in ((olena, first), (idris, second)):
        visitor.logs_in(person.email)

    # One proposes.
    olena.goes_to("/staff/trust/")
    olena.sees("Nobody is trusted yet")
    olena.pictures_in_every_look("empty")
    olena.follows("Add an authority")
    olena.page.get_by_label("Certificate", exact=True).set_input_files(tmp_path / "root.cer")
    olena.page.get_by_label("Why it is to be trusted").fill("Accredited by the ministry; fingerprint read by phone.")
    olena.pictures_in_every_look("add")
    olena.presses("Look at it")
    olena.sees("itself: a root")
    olena.pictures_in_every_look("look")
    olena.page.get_by_role("checkbox").check()
    olena.presses("Propose it")
    olena.is_told("Another operator has to confirm it now")
    olena.pictures_in_every_look("proposed")

    # The other confirms, after reading about it on the first page.
    idris.goes_to("/")
    idris.follows("Confirm an authority, or turn it down")
    idris.sees("asks you to confirm it")
    idris.pictures_in_every_look("to-confirm")
    idris.presses("Confirm: trust it")
    idris.is_told("the authority counts from now on")
    anchor = TrustedCertificate.objects.get()
    assert anchor.enabled

    # Its list is fetched from the address entered.
    trust_store.add(trust_store.TrustKind.INTERMEDIATE, authority.issuing.der, by=None, at=now, note="Below the root")
    answers = {"/root.crl": authority.crls(now)[0]}

    def reply(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        found = answers.get(asked.path)
        send(handler, found or b"", 200 if found else 404)

    with served(reply) as server:
        for name, choice in (
            ("root.crl", "National Trust Centre Root CA"),
            ("gone.crl", "National Trust Centre Issuing CA"),
        ):
            olena.goes_to("/staff/trust/sources/")
            olena.page.get_by_role("combobox", name="Authority").select_option(choice)
            olena.page.get_by_role("textbox", name="Address").fill(f"{server.url}/{name}")
            olena.presses("Enter it")
            olena.is_told("The address is entered and is asked at once.")
        olena.sees("It answered with the status 404.")
        olena.pictures_in_every_look("sources")
        assert RevocationList.objects.count() == 1

        answers["/gone.crl"] = public.lists(now)["issuing.crl"]
        row = olena.page.get_by_role("row").filter(has_text="gone.crl")
        olena.presses("Fetch now", within=row)
        row.get_by_text("Answers", exact=True).wait_for()
        assert olena.page.get_by_text("404").count() == 0

    revocation.load_list(
        Authority(authority.root, authority.issuing).crls(now, timedelta(minutes=70))[0], by=None, at=now
    )
    olena.goes_to("/staff/trust/lists/")
    olena.sees("1,799")
    olena.sees("Next one due soon")
    olena.pictures_in_every_look("lists")
    olena.goes_to(f"/staff/trust/{anchor.pk}/")
    olena.pictures_in_every_look("authority")
    olena.page.get_by_label("Reason").fill("Its key was stolen: the ministry’s warning of today")
    olena.presses("Stop trusting it")
    olena.is_told("The authority counts no longer.")
    olena.goes_to("/staff/trust/")
    olena.pictures_in_every_look("store")
    olena.goes_to("/staff/trust/history/")
    olena.sees("stolen")
    olena.pictures_in_every_look("history")
    assert RevocationSource.objects.filter(error="").count() == 2
