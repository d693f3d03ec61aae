"""The pages of tariffs, as an organisation and as the desk see them."""

from datetime import timedelta
from decimal import Decimal

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from marketplace.models import Invoice, InvoiceStatus, Organisation, Plan, Role, StaffRole, Subscription
from marketplace.services import plans, tariffs
from tests.factories.clients import client_of
from tests.factories.marketplace import NOON, OrganisationFactory, PlanFactory, member, staff

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("noon")]


@pytest.fixture
def standard() -> dict[str, Plan]:
    plans.load_standard(at=NOON)
    return {plan.code: plan for plan in Plan.objects.all()}


class TestComparison:
    def test_a_visitor_sees_the_plans_and_is_asked_to_register(self, client: Client, standard: dict[str, Plan]) -> None:
        page = client.get(reverse("tariffs"))

        assert [card.plan.code for card in page.context["cards"]] == ["start", "business", "professional", "unlimited"]
        assert {str(card.action.label) for card in page.context["cards"]} == {"Register to take it"}

    def test_the_smallest_plan_that_covers_the_need_is_named(
        self, supplier: Organisation, standard: dict[str, Plan]
    ) -> None:
        need = {"bids": "30", "lot": "250,000.00", "kinds": ["auction"], "live": "on"}

        page = client_of(member(supplier)).get(reverse("tariffs"), need)

        marks = [(card.plan.code, card.fits, card.recommended) for card in page.context["cards"]]
        assert marks == [
            ("start", False, False),
            ("business", True, True),
            ("professional", True, False),
            ("unlimited", True, False),
        ]
        assert [line.holds for line in page.context["cards"][0].lines] == [False, False, False, False]

    def test_a_need_that_cannot_be_read_is_said_beside_its_field(
        self, supplier: Organisation, standard: dict[str, Plan]
    ) -> None:
        page = client_of(member(supplier)).get(reverse("tariffs"), {"lot": "much"})

        assert page.context["form"].errors == {"lot": ["Write an amount such as 50,000.00."]}
        assert {card.fits for card in page.context["cards"]} == {None}

    def test_buyers_are_shown_what_they_have_without_subscribing(self, standard: dict[str, Plan]) -> None:
        buyer = OrganisationFactory.create(is_buyer=True)

        [card] = client_of(member(buyer)).get(reverse("tariffs")).context["cards"]

        assert (card.plan.code, card.action) == ("buyer", None)

    def test_the_number_of_queries_does_not_grow_with_the_plans(self, supplier: Organisation) -> None:
        client, counts = client_of(member(supplier)), []
        for _ in range(3):
            PlanFactory.create()
            with CaptureQueriesContext(connection) as queries:
                assert len(client.get(reverse("tariffs")).context["cards"]) == len(counts) + 1
            counts.append(len(queries))

        assert counts[0] == counts[2]


class TestTaking:
    def test_the_page_says_what_it_costs_and_posting_it_leads_to_the_invoice(
        self, supplier: Organisation, standard: dict[str, Plan]
    ) -> None:
        client, url = client_of(member(supplier)), reverse("subscribe", args=[standard["business"].pk])

        assert client.get(url).context["amounts"].total.amount == Decimal("583.10")
        answer = client.post(url)

        invoice = Invoice.objects.get()
        assert answer.url == reverse("invoice", args=[invoice.pk])
        page = client.get(answer.url).content.decode()
        assert invoice.number in page
        assert "583.10" in page

    def test_a_role_that_may_not_is_told_who_may(self, supplier: Organisation, standard: dict[str, Plan]) -> None:
        answer = client_of(member(supplier, Role.OBSERVER)).post(reverse("subscribe", args=[standard["start"].pk]))

        assert answer.status_code == 403
        assert not Subscription.objects.exists()

    def test_a_refusal_is_shown_on_the_page(self, supplier: Organisation, standard: dict[str, Plan]) -> None:
        actor = member(supplier)
        tariffs.subscribe(standard["business"].pk, by=actor, at=NOON)

        answer = client_of(actor).post(reverse("subscribe", args=[standard["unlimited"].pk]))

        assert answer.status_code == 409
        assert "waits for payment" in answer.content.decode()


class TestInvoices:
    def test_the_organisation_sees_and_cancels_its_own(self, supplier: Organisation, standard: dict[str, Plan]) -> None:
        actor = member(supplier)
        invoice = tariffs.subscribe(standard["business"].pk, by=actor, at=NOON).invoice
        client = client_of(actor)

        assert "−583.10" in client.get(reverse("invoices")).content.decode().replace("-583.10", "−583.10")
        assert client.get(reverse("invoice_cancel", args=[invoice.pk])).status_code == 200
        client.post(reverse("invoice_cancel", args=[invoice.pk]))

        assert Invoice.objects.get().status == InvoiceStatus.CANCELLED

    def test_another_organisation_is_not_told_that_it_exists(
        self, supplier: Organisation, standard: dict[str, Plan]
    ) -> None:
        invoice = tariffs.subscribe(standard["business"].pk, by=member(supplier), at=NOON).invoice
        stranger = client_of(member(OrganisationFactory.create()))

        for route in ("invoice", "invoice_cancel", "invoice_desk"):
            assert stranger.get(reverse(route, args=[invoice.pk])).status_code == 404

    @pytest.mark.parametrize("route", ["tariff_desk", "subscription_desk"])
    def test_the_number_of_queries_does_not_grow_with_the_rows(self, route: str) -> None:
        client, counts = client_of(staff(StaffRole.TARIFF_MANAGER)), []
        for _ in range(3):
            other = OrganisationFactory.create(is_supplier=True)
            tariffs.subscribe(PlanFactory.create(code=f"p{other.pk}").pk, by=member(other), at=NOON)
            with CaptureQueriesContext(connection) as queries:
                assert len(client.get(reverse(route)).context["list"].rows) == len(counts) + 1
            counts.append(len(queries))

        assert counts[0] == counts[2]


class TestDesk:
    def test_confirming_a_payment_begins_the_tariff(self, supplier: Organisation, standard: dict[str, Plan]) -> None:
        invoice = tariffs.subscribe(standard["business"].pk, by=member(supplier), at=NOON).invoice
        client = client_of(staff(StaffRole.OPERATOR))

        answer = client.post(
            reverse("invoice_desk", args=[invoice.pk]), {"reference": "SEPA 17", "paid_on": NOON.date().isoformat()}
        )

        assert answer.url == reverse("tariff_desk")
        found = Subscription.objects.get()
        assert (found.status, found.starts_at) == ("active", NOON)

    def test_an_impossible_day_is_refused_beside_its_field(
        self, supplier: Organisation, standard: dict[str, Plan]
    ) -> None:
        invoice = tariffs.subscribe(standard["business"].pk, by=member(supplier), at=NOON).invoice
        yesterday = (NOON - timedelta(days=1)).date().isoformat()

        page = client_of(staff(StaffRole.OPERATOR)).post(
            reverse("invoice_desk", args=[invoice.pk]), {"reference": "R", "paid_on": yesterday}
        )

        assert page.context["form"].errors == {"paid_on": ["Choose a day from the day of the invoice to today."]}

    def test_the_export_holds_the_filtered_list_and_no_formula(
        self, supplier: Organisation, standard: dict[str, Plan]
    ) -> None:
        Organisation.objects.filter(pk=supplier.pk).update(short_name="=1+1")
        tariffs.subscribe(standard["business"].pk, by=member(supplier), at=NOON)
        client = client_of(staff(StaffRole.TARIFF_MANAGER))

        lines = b"".join(client.get(reverse("tariff_desk"), {"format": "csv"})).decode("utf-8-sig").splitlines()
        none = b"".join(client.get(reverse("tariff_desk"), {"format": "csv", "status": "paid"})).decode()

        assert len(lines) == 2
        assert lines[1].startswith("INV-2026-0000001,'=1+1,Business,490.0000,93.1000,583.1000,EUR,To be paid,")
        assert len(none.splitlines()) == 1

    def test_a_plan_is_changed_by_a_new_version(self, standard: dict[str, Plan]) -> None:
        client = client_of(staff(StaffRole.TARIFF_MANAGER))
        url = reverse("plan_edit", args=["business"])
        form = client.get(url).context["form"]
        shown = {name: "" if form[name].value() is None else form[name].value() for name in form.fields}
        sent = {name: value for name, value in shown.items() if value is not False}

        assert client.post(url, sent | {"price": "520,50"}).url == reverse("plan_desk")

        newest = Plan.objects.filter(code="business").latest("version")
        assert (newest.version, newest.price) == (2, Decimal("520.5000"))
        assert newest.permits == {
            "families": ["request_for_quotations", "auction", "request_for_proposals"],
            "max_lot_value": "250000.00",
            "bids_per_month": 30,
            "live_auctions": True,
            "publish": True,
        }
        stale = client.post(url, sent)
        assert "Version 2 was published meanwhile." in stale.context["form"].non_field_errors()

    @pytest.mark.parametrize("route", ["tariff_desk", "subscription_desk", "plan_desk", "plan_new"])
    def test_others_are_not_told_that_the_desk_exists(self, supplier: Organisation, route: str) -> None:
        for actor in (member(supplier), staff(StaffRole.AUDITOR), staff(StaffRole.REPRESENTATIVE)):
            assert client_of(actor).get(reverse(route)).status_code == 404
