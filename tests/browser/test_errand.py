"""The whole errand of the marketplace as people do it: from sign-up to a contract signed by both sides."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management import call_command
from playwright.sync_api import Locator, expect

from marketplace.models import Invoice, Organisation, StaffRole
from marketplace.permissions import Actor
from marketplace.signatures.authority import Authority
from marketplace.signatures.sign import Credential
from procurement.auction import clock
from procurement.models import Award, BidEnvelope, Contract, Lot
from procurement.rules.lifecycle import ContractStatus
from tests.browser.people import Visitor
from tests.factories.bids import sent_bid
from tests.factories.marketplace import NOON, accredited_buyer, accredited_supplier, member, staff
from tests.factories.signatures import authority, certificate_of, trust

# The buyer's dates, as the editor's inputs take them (Europe/Berlin), and the moment bids are opened.
QUESTIONS_UNTIL, BIDS_UNTIL = "2026-03-10T12:00", "2026-03-16T12:00"
CLOSES = datetime(2026, 3, 16, 11, 0, tzinfo=UTC)
# The smallest file that is taken for a PDF.
PDF = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\ntrailer<</Root 1 0 R>>\n%%EOF\n"
TITLE = "Office chairs for the town hall"


def test_from_sign_up_to_the_signed_contract(visit: Callable[..., Visitor], freeze: Callable[..., Any]) -> None:
    now = freeze(NOON)
    call_command("load_headings", verbosity=0)
    call_command("load_plans", verbosity=0)
    trust()
    anna = visit("anna")
    key = _signs_up(anna)
    olga = visit("olga")
    olga.logs_in(_named(staff(StaffRole.OPERATOR, StaffRole.TARIFF_MANAGER), "Olga Sommer"))
    _is_accredited(anna, olga, key)
    _takes_a_tariff(anna, olga)

    buyer = accredited_buyer(short_name="Townhall", full_name="Townhall Services AG")
    bert = visit("bert")
    bert.logs_in(_named(member(buyer), "Bert Clerk"))
    _publishes(bert)
    _ask_and_answer(anna, bert)
    _bids(anna, key)
    lot = Lot.objects.get()
    sent_bid(lot, ["61.50", "119.90"], by=member(accredited_supplier(short_name="Südsitz")), at=now.at)
    bert.menu("Home")
    expect(bert.page.get_by_role("region", name="Running procedures")).to_contain_text("2 sealed bids")
    bert.follows(TITLE)
    bert.sees("sent and sealed. They are opened by themselves at the deadline; nobody reads them before.")
    bert.picture("two-sealed-bids")

    clock.tick(now.move_to(CLOSES + timedelta(seconds=5)))
    _compares(bert)
    _awards(bert, certificate_of(buyer))
    anna.goes_to("/")
    anna.picture("home-after-award")
    results = anna.page.get_by_role("region", name="Results of our bids")
    expect(results).to_contain_text("3,297.00 EUR")
    anna.follows(TITLE, within=results)
    anna.sees("Won")
    anna.sees("The contract is ready to be signed after the standstill.")
    anna.picture("won")

    clock.tick(now.move_to(Award.objects.get().standstill_ends_at))
    _sign_the_contract(anna, key, bert, certificate_of(buyer))


def _named(actor: Actor, name: str) -> str:
    """Give the person a name people have; their e-mail."""
    assert actor.person is not None
    actor.person.full_name = name
    actor.person.save(update_fields=["full_name"])
    return actor.person.email


def _certificate(person: str, organisation: str, identifier: str, issuer: Authority | None = None) -> Credential:
    return (issuer or authority()).issue(person=person, organisation=organisation, identifiers=[identifier], at=NOON)


def _signs_up(anna: Visitor) -> Credential:
    page = anna.page
    anna.goes_to("/")
    anna.picture("first-page")
    anna.follows("Register")
    anna.reads_title("Register your organisation")
    page.get_by_label("Your name").fill("Anna Berg")
    page.get_by_label("E-mail").fill("anna@nordwand.example")
    page.get_by_label("Password").fill("a sentence to remember")
    page.get_by_label("Position").fill("Head of sales")
    anna.picture("you")
    anna.presses("Make the account and go on")

    page.get_by_label("Country of registration").select_option(label="Germany")
    page.get_by_label(re.compile("VAT")).fill("DE 136 695 977")
    page.get_by_label("Full name").fill("Nordwand Büromöbel GmbH")
    page.get_by_label("Short name").fill("Nordwand")
    page.get_by_label("Legal form").fill("GmbH")
    anna.presses("Save and go on")
    anna.is_refused("mistyped")
    anna.picture("company-refused")
    page.get_by_label(re.compile("VAT")).fill("DE 136 695 976")
    anna.presses("Save and go on")

    legal = page.get_by_role("group", name="Legal address")
    legal.get_by_label("City").fill("Rostock")
    legal.get_by_label("Street and number").fill("Lange Straße 1")
    legal.get_by_label("Postal code").fill("18055")
    page.get_by_label("Find a heading").fill("chairs")
    page.get_by_label(re.compile("Chairs")).first.check()
    anna.picture("addresses")
    anna.presses("Save and go on")

    key = _certificate("Anna Berg", "Nordwand Büromöbel GmbH", "VATDE-136695976")
    anna.sees("Nordwand Büromöbel GmbH (VATDE-136695976)")
    anna.picture("review")
    anna.presses("Sign and register")
    anna.is_refused("Choose your key file")
    anna.chooses_key(key, "not the password")
    anna.presses("Sign and register")
    anna.is_refused("Wrong password. It is the one chosen when the key file was made.")
    anna.picture("wrong-password")
    anna.signs("Sign and register", _certificate("Mallory", "Südwand GmbH", "VATDE-811569869"))
    anna.is_refused("This certificate belongs to Südwand GmbH")
    anna.picture("other-company")
    stranger = Authority.create(NOON, name="Unknown")
    anna.signs("Sign and register", _certificate("Anna Berg", "Nordwand", "VATDE-136695976", stranger))
    anna.is_refused("The certificate was not issued by an authority this platform trusts.")
    anna.picture("foreign-certificate")
    anna.signs("Sign and register", key, twice=True)
    anna.is_told("Nordwand is registered. Welcome!")
    anna.picture("home")
    assert Organisation.objects.count() == 1
    return key


def _is_accredited(anna: Visitor, olga: Visitor, key: Credential) -> None:
    page = anna.page
    anna.follows("Ask for accreditation as a supplier")
    anna.sees("Begin a request, add the documents and sign it.")
    anna.presses("Begin the request")
    anna.sees("2 documents are still missing.")
    for kind in ("Extract from the commercial register (Handelsregister)", "Authority of the person who signs"):
        page.get_by_label("What it is").select_option(label=kind)
        page.get_by_label("File").set_input_files(
            {"name": "register.pdf", "mimeType": "application/pdf", "buffer": PDF + kind.encode()}
        )
        anna.presses("Add the document")
        expect(
            page.get_by_role("listitem").filter(has_text=kind).get_by_role("link", name="register.pdf")
        ).to_be_visible()
    anna.picture("accreditation-documents")
    anna.follows("Sign and send")
    anna.signs("Sign and send the request", key)
    anna.is_told("Your request is with the operator.")
    anna.sees("An operator is looking at it")
    anna.picture("accreditation-sent")

    olga.picture("home")
    olga.menu("Accreditation")
    olga.picture("queue")
    olga.follows("Nordwand")
    olga.sees("Passed")
    olga.picture("request")
    olga.presses(re.compile("^Accept$"))
    olga.is_told("Nordwand is accredited.")
    page.reload()
    anna.sees("Your accreditation is valid until")
    anna.picture("accredited")


def _takes_a_tariff(anna: Visitor, olga: Visitor) -> None:
    anna.menu("Home")
    anna.follows("Choose a tariff")
    anna.picture("tariffs")
    business = anna.page.get_by_role("region", name="Business")
    expect(business).to_contain_text("490.00")
    anna.follows(re.compile("."), within=business)
    anna.sees("583.10")
    anna.picture("tariff")
    anna.presses("Take it and get the invoice")
    anna.picture("invoice")
    anna.sees("The tariff begins when the payment is confirmed.")
    number = Invoice.objects.get().number

    olga.menu("Tariffs")
    olga.follows(number)
    olga.page.get_by_label("Payment reference").fill("SEPA 4711")
    olga.page.get_by_label("Paid on").fill("2026-03-02")
    olga.presses("Confirm the payment")
    olga.picture("payment")
    anna.goes_to("/tariffs/")
    anna.sees("Your tariff: Business")
    anna.picture("tariff-runs")


def _publishes(bert: Visitor) -> None:
    page = bert.page
    bert.picture("home")
    bert.menu("We buy")
    bert.follows("New procedure")
    page.get_by_label("What do you want to buy or sell?").fill(TITLE)
    page.get_by_label(re.compile("^Open request for quotations")).check()
    bert.picture("new")
    bert.presses("Begin the draft")

    basics = page.get_by_role("region", name="What is bought")
    basics.get_by_label("Description").fill("Chairs for two floors, delivered and put together.")
    bert.presses("Save", within=basics)
    bert.is_told("Saved.")
    lot = page.get_by_role("region", name=re.compile("^Lot 1"))
    lot.get_by_label("Title of the lot").fill("Chairs")
    lot.get_by_label("Limit price").fill("4500.00")
    lot.get_by_label("VAT, %").fill("19")
    lot.get_by_label("Place of delivery").fill("Neuer Markt 1, Rostock")
    bert.presses(re.compile("^Save$"), within=lot)
    bert.is_told("Saved.")
    lot = page.get_by_role("region", name="Lot 1: Chairs")
    for row, (what, quantity) in enumerate(
        [("Office chair, adjustable", "30"), ("Visitor chair, stackable", "12.5")], 1
    ):
        lot.get_by_label(f"What is needed, row {row}").fill(what)
        lot.get_by_label(f"Category, row {row}").fill("39112000")
        lot.get_by_label(f"Quantity, row {row}").fill(quantity)
    bert.presses("Save, and more rows", within=lot)
    bert.is_told("Saved.")
    bert.picture("editor")
    timetable = page.get_by_role("region", name="Timetable")
    timetable.get_by_label("Fixed dates").check()
    timetable.get_by_label("Questions until").fill(QUESTIONS_UNTIL)
    timetable.get_by_label("Bids until").fill(BIDS_UNTIL)
    bert.presses("Save", within=timetable)
    bert.is_told("Saved.")

    bert.follows("Review and publish")
    bert.sees("Read it as a bidder will, then publish.")
    bert.picture("review")
    bert.presses("Publish", within=page.get_by_role("region", name="Before you publish"))
    bert.presses("Publish", within=page.get_by_role("dialog"))
    bert.reads_title(TITLE)
    bert.sees(re.compile("Bids close in"))
    bert.picture("published")


def _ask_and_answer(anna: Visitor, bert: Visitor) -> None:
    anna.menu("Procedures")
    anna.picture("list")
    anna.follows(TITLE)
    anna.sees("Can I bid?")
    expect(anna.page.get_by_role("region", name="Can I bid?")).to_contain_text("Yes")
    anna.picture("procedure")
    anna.follows(re.compile("^Questions"))
    anna.page.get_by_label("Your question").fill("Are castors for hard floors wanted?")
    anna.presses("Ask anonymously")
    anna.sees("Only you and the buyer see it until it is answered")
    anna.picture("asked")

    bert.menu("Home")
    bert.follows("Answer 1 question")
    expect(bert.page.get_by_role("main")).not_to_contain_text("Nordwand")
    bert.page.get_by_label("Your answer, for everybody").fill("Yes, for hard floors.")
    bert.presses("Answer in public")
    bert.sees("Answered")
    bert.picture("answered")
    anna.page.reload()
    anna.sees("Yes, for hard floors.")


def _bids(anna: Visitor, key: Credential) -> None:
    page = anna.page
    anna.follows("Prepare a bid")
    anna.picture("can-i-bid")
    anna.presses("Prepare a bid")
    prices = [page.get_by_label(f"Unit price of item {item}") for item in (1, 2)]
    prices[0].fill("130")
    prices[1].fill("65")
    anna.sees("The total is above the limit price: such a bid is not taken.")
    prices[0].fill("59,90")
    prices[1].fill("120.00")
    prices[1].press("Tab")
    expect(page.get_by_role("table")).to_contain_text("3,297.00")
    page.get_by_role("textbox", name="Remarks").fill("With five years of warranty.")
    page.get_by_label("Add documents").set_input_files(
        {"name": "leaflet.pdf", "mimeType": "application/pdf", "buffer": PDF}
    )
    anna.sees("2 of 2 items have a price.")
    anna.picture("prices")
    anna.presses("Seal, review and sign")
    anna.sees("This is sealed and sent")
    anna.sees("3,297.00")
    anna.picture("sign")
    anna.signs("Sign and send the bid", key, twice=True)
    anna.reads_title("Receipt: the bid was received and sealed")
    anna.picture("receipt")
    with page.expect_download() as download:
        anna.follows("Download the receipt")
    assert "3297" not in download.value.path().read_text()
    anna.follows("To the bid")
    anna.sees("Sent and sealed")
    anna.sees("It is sealed, and opened after the deadline.")
    anna.picture("bid")
    assert BidEnvelope.objects.count() == 1


def _compares(bert: Visitor) -> None:
    page = bert.page
    bert.menu("Home")
    bert.picture("home-after-opening")
    bert.menu("We buy")
    bert.follows(TITLE)
    bert.picture("after-opening")
    bert.follows("Compare the bids")
    bert.picture("comparison")
    table = page.get_by_role("table", name=re.compile("Lot 1")).or_(page.get_by_role("table")).first
    expect(table.get_by_role("columnheader")).to_contain_text(["Item", "Rank 1", "Rank 2"])
    expect(table.get_by_role("columnheader")).to_contain_text(["EUR, without VAT", "Nordwand", "Südsitz"])
    totals = table.get_by_role("row", name=re.compile("^Total"))
    assert [_words(cell) for cell in totals.get_by_role("cell").all()] == ["3,297.00", "3,343.75"]
    bert.presses("Admit all 2 bids")
    bert.follows("Award the lot")


def _words(locator: Locator) -> str:
    return " ".join(locator.inner_text().split())


def _awards(bert: Visitor, key: Credential) -> None:
    page = bert.page
    bert.picture("award")
    expect(page.get_by_role("radio", name=re.compile("Nordwand"))).to_be_checked()
    bert.presses("Go on to sign")
    bert.picture("award-sign")
    bert.signs("Sign and award the lot", key, twice=True)
    bert.is_told("The lot is awarded. All bidders are told.")
    bert.sees("Awarded to Nordwand")
    bert.picture("awarded")


def _sign_the_contract(anna: Visitor, annas: Credential, bert: Visitor, berts: Credential) -> None:
    anna.menu("Contracts")
    anna.picture("contracts")
    anna.follows(TITLE)
    anna.picture("contract")
    anna.presses("Sign the contract")
    anna.picture("contract-sign")
    anna.signs("Sign the contract", annas)
    anna.picture("contract-signed-by-one")
    bert.menu("Home")
    bert.picture("home-contract")
    bert.menu("Contracts")
    bert.follows(TITLE)
    bert.presses("Sign the contract")
    bert.signs("Sign the contract", berts, twice=True)
    bert.sees("In force since")
    bert.picture("contract-in-force")
    assert Contract.objects.get().status == ContractStatus.ACTIVE.value
    anna.page.reload()
    anna.sees("In force since")
