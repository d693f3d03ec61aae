"""The main pages as everybody may meet them: wide and narrow, light and dark, by eye and by screen reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Page

from analytics.models import Account, Opportunity
from analytics.services import card_making, opportunities
from analytics.services.opportunities import OpportunityDetails
from marketplace.models import AccreditationStatus, RevocationSource, Side, StaffRole, TrustedCertificate
from marketplace.permissions import NOBODY, Actor
from marketplace.shared import clock
from procurement.services import custody
from procurement.services.custody import Plan
from tests.browser.people import Visitor
from tests.conftest import ROOT
from tests.factories import insights
from tests.factories.auctions import running_auction
from tests.factories.bids import bidder, drafted_bid, opened_lot, tender_taking_bids
from tests.factories.committee import held_draft, holder_of
from tests.factories.contracts import signed_contract
from tests.factories.deliveries import confirmed, recorded
from tests.factories.marketplace import AccreditationFactory, HeadingFactory, OrganisationFactory, member, staff
from tests.factories.offers import asked
from tests.factories.procurement import draft_tender
from tests.factories.signatures import trust
from tests.gateway import Gateway

AXE = ROOT / "assets" / "node_modules" / "axe-core" / "axe.min.js"
LOOKS = (
    ("wide-light", 1440, "light"),
    ("narrow-light", 390, "light"),
    ("wide-dark", 1440, "dark"),
    ("narrow-dark", 390, "dark"),
)
# Structure is the same in every look, and is checked in one; what themes and widths change is checked once in each.
CHANGES_WITH_LOOKS = ["color-contrast", "scrollable-region-focusable", "target-size"]
CHECKED_BY_AXE: dict[str, dict[str, object]] = {"wide-light": {}, "narrow-dark": {"runOnly": CHANGES_WITH_LOOKS}}


@dataclass(frozen=True)
class Seen:
    """A page and who looks at it."""

    name: str
    by: str
    url: str


def test_main_pages_in_every_look(visit: Callable[..., Visitor], gateway: Gateway, live_server: Any) -> None:
    people, pages = _world()
    axe, found = AXE.read_text("utf-8"), []
    for name, actor in people.items():
        visitor = visit(name, reduced_motion="reduce", locale="en-GB")
        page = visitor.page
        complaints = _complaints(page)
        _is_logged_in(page, actor, live_server.url)
        for seen in (one for one in pages if one.by == name):
            page.set_viewport_size({"width": 1440, "height": 900})
            answer = page.goto(seen.url)
            assert answer is not None
            found += [f"{seen.name}: {answer.status}"] * (answer.status != 200)
            page.evaluate(axe)
            for look, width, theme in LOOKS:
                page.set_viewport_size({"width": width, "height": 900})
                page.emulate_media(color_scheme=theme)  # type: ignore[arg-type]  # one of the two
                found += [f"{seen.name}, {look}: {problem}" for problem in _problems(page, look)]
                visitor.picture(f"{seen.name}-{look}")
            found += [f"{seen.name}: {complaint}" for complaint in complaints]
            complaints.clear()
    assert found == []


def _world() -> tuple[dict[str, Actor], list[Seen]]:
    now = clock.now()
    trust()
    call_command("load_plans", verbosity=0)
    supplier = bidder()
    operator = staff(StaffRole.OPERATOR, StaffRole.TARIFF_MANAGER)
    representative = staff(StaffRole.REPRESENTATIVE, StaffRole.SALES_MANAGER)
    customer, opportunity = _customer(representative, now)
    tender = tender_taking_bids(
        title="Office chairs for the town hall",
        description="Chairs for two floors.",
        enquiry_ends_at=now + timedelta(days=5),
        tender_ends_at=now + timedelta(days=10),
    )
    draft = drafted_bid(tender.lots.get(), ["59.90", "120.00"], by=supplier, at=now)
    opened = opened_lot(["61.50", "119.90"], ["59.90", "120.00"], ["80.00", "20.00"], admit=False)
    buyer = member(opened.tender.buyer)
    assert supplier.organisation is not None
    auction = running_auction("100.00", "99.00", start=now - timedelta(minutes=1), suppliers=[supplier.organisation])
    AccreditationFactory.create(
        organisation=OrganisationFactory.create(is_supplier=True),
        side=Side.SUPPLIER,
        status=AccreditationStatus.SUBMITTED,
        submitted_at=now - timedelta(hours=3),
        decided_at=None,
        valid_until=None,
    )
    chairs, desks = (HeadingFactory.create(name=name) for name in ("Chairs", "Desks"))
    for days, chair_price, desk_price in ((40, "300.00", "500.00"), (90, "250.00", "410.00")):
        contract = signed_contract(
            opened.tender.buyer,
            supplier.organisation,
            {chairs: chair_price, desks: desk_price},
            signed_at=now - timedelta(days=days),
            quantity="10",
        )
    confirmed(contract, now.date() - timedelta(days=9), "6", "4", at=now, accepted=["6", "3"])
    delivery = recorded(contract, now.date() - timedelta(days=2), "2", at=now)
    request = asked(supplier.organisation, buyer, at=now, wanted_by=now.date() + timedelta(days=30))
    RevocationSource.objects.create(
        authority=TrustedCertificate.objects.latest("pk"), kind="crl", url="http://crl.example/issuing.crl",
        added_at=now, next_at=now + timedelta(hours=1), failures=2, error="status:503",
    )  # fmt: skip
    held = held_draft(buyer=opened.tender.buyer, officers=[holder_of(buyer)], escrow=True)
    planned = draft_tender(buyer=opened.tender.buyer, procedure="auction_english_forward")
    members = [one.actor.person.pk for one in held.holders if one.actor.person]
    custody.plan(planned.pk, Plan(members, 2), by=buyer, at=now)
    people = {
        "visitor": NOBODY,
        "supplier": supplier,
        "buyer": buyer,
        "operator": operator,
        "representative": representative,
    }
    lot = [opened.tender.number, opened.number]
    room = [auction.lot.tender.number, auction.lot.number]
    return people, [
        Seen("first-page", "visitor", "/"),
        Seen("sign-up", "visitor", reverse("signup")),
        Seen("log-in", "visitor", reverse("account_login")),
        Seen("procedures", "visitor", reverse("tenders")),
        Seen("signature-check", "visitor", reverse("signature_check")),
        Seen("signing-explained", "visitor", reverse("bundles")),
        Seen("procedure", "supplier", reverse("tender", args=[tender.number])),
        Seen("bid", "supplier", reverse("bid_edit", args=[draft.pk])),
        Seen("auction", "supplier", reverse("auction", args=room)),
        Seen("auctions", "supplier", reverse("auctions")),
        Seen("record-a-delivery", "supplier", reverse("delivery_new", args=[contract.number])),
        Seen("request-for-an-offer", "supplier", request.get_absolute_url()),
        Seen("organisation", "supplier", reverse("organisation")),
        Seen("tariffs", "supplier", reverse("tariffs")),
        Seen("home-of-buyer", "buyer", "/"),
        Seen("comparison", "buyer", reverse("comparison", args=lot)),
        Seen("contract", "buyer", reverse("contract", args=[contract.number])),
        Seen("delivery", "buyer", delivery.get_absolute_url()),
        Seen("requests-for-offers", "buyer", reverse("offer_requests")),
        Seen("committee-key", "buyer", reverse("committee_key")),
        Seen("custody", "buyer", reverse("tender_custody", args=[held.tender.number])),
        Seen("draft-of-an-auction", "buyer", reverse("tender_edit", args=[planned.number])),
        Seen("ceremony", "buyer", reverse("tender_ceremony", args=[planned.number])),
        Seen("review-with-committee", "buyer", reverse("tender_review", args=[held.tender.number])),
        Seen("shares", "buyer", reverse("tender_shares", args=[held.tender.number])),
        Seen("auctions-of-all", "operator", reverse("auctions")),
        Seen("outages", "operator", reverse("outages")),
        Seen("queue", "operator", reverse("accreditation_queue")),
        Seen("trust-store", "operator", reverse("trust_store")),
        Seen("authority", "operator", reverse("trusted", args=[TrustedCertificate.objects.latest("pk").pk])),
        Seen("add-authority", "operator", reverse("trust_add")),
        Seen("revocation-lists", "operator", reverse("trust_lists")),
        Seen("addresses", "operator", reverse("trust_sources")),
        Seen("account", "representative", reverse("insights_account", args=[opened.tender.buyer_id])),
        Seen("queue-of-cards", "representative", reverse("insights_queue")),
        Seen("customer", "representative", reverse("insights_customer", args=[customer.pk])),
        Seen("pipeline", "representative", reverse("insights_pipeline")),
        Seen("opportunity", "representative", reverse("insights_opportunity", args=[opportunity.pk])),
        Seen("results", "representative", reverse("insights_results")),
        Seen("team", "representative", reverse("insights_team")),
    ]


def _customer(owner: Actor, now: datetime) -> tuple[Account, Opportunity]:
    """Somebody who has bought every twenty days until two months ago, and what is being sold to them."""
    book = insights.platform_book()
    customer = insights.account(book, owner, name="Machine works")
    until = now.date() - timedelta(days=55)
    insights.buys_every(customer, 20, until, category=insights.category(book, "Paper"), amount="400.00")
    run = insights.whole_run(book, now.date() - timedelta(days=1))
    insights.at_risk(run, customer, reasons=["overdue"])
    insights.could_buy(run, customer, insights.category(book, "Toner"))
    card_making.refresh(run.pk, at=now)
    return customer, opportunities.open_for(customer.pk, OpportunityDetails("Cables"), by=owner, at=now)


def _is_logged_in(page: Page, actor: Actor, address: str) -> None:
    if actor.person is None:
        return
    client = Client()
    client.force_login(actor.person)
    cookie = client.cookies[settings.SESSION_COOKIE_NAME]
    page.context.add_cookies([{"name": cookie.key, "value": cookie.value, "url": address}])


def _complaints(page: Page) -> list[str]:
    """What the browser complains about from now on: scripts, requests, the content security policy."""
    heard: list[str] = []
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("console", lambda message: heard.append(message.text) if message.type in ("error", "warning") else None)
    return heard


def _problems(page: Page, look: str) -> Iterator[str]:
    wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if wide > 0:
        yield f"the page scrolls sideways by {wide} pixels"
    if look in CHECKED_BY_AXE:
        options = {"resultTypes": ["violations"], **CHECKED_BY_AXE[look]}
        read = page.evaluate("options => axe.run(options)", options)
        assert read["passes"]
        for violation in read["violations"]:
            if violation["impact"] in ("serious", "critical"):
                where = "; ".join(" ".join(node["target"]) for node in violation["nodes"][:4])
                why = violation["nodes"][0]["failureSummary"].splitlines()[-1].strip()
                yield f"{violation['help']} ({where}): {why}"
