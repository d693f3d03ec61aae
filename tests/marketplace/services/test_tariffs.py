"""Taking a plan, its invoice, the payment, and what runs when."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from django.db import transaction

from marketplace.models import (
    AuditRecord,
    Invoice,
    InvoiceStatus,
    LedgerEntry,
    Notification,
    Organisation,
    OrganisationStatus,
    Plan,
    Role,
    StaffRole,
    Subscription,
    SubscriptionStatus,
)
from marketplace.permissions import OrganisationNotActive, RoleMissing
from marketplace.queries import tariffs as queries
from marketplace.services import invoices, plans, tariffs
from marketplace.shared.errors import Invalid, NotFound, StaleForm
from tests.factories.at_once import at_the_same_time
from tests.factories.marketplace import NOON, OrganisationFactory, PlanFactory, SubscriptionFactory, member, staff

DAY = timedelta(days=1)


@pytest.fixture
def supplier() -> Organisation:
    return OrganisationFactory.create(is_supplier=True)


def paid(plan: Plan, organisation: Organisation, at: Any = NOON, reference: str = "R-1") -> Subscription:
    """The plan taken and paid at once."""
    subscription = tariffs.subscribe(plan.pk, by=member(organisation), at=at)
    desk = staff(StaffRole.TARIFF_MANAGER)
    return tariffs.confirm_payment(subscription.invoice.pk, reference=reference, paid_at=at, by=desk, at=at)


@pytest.mark.django_db
class TestSubscribing:
    def test_taking_a_plan_issues_an_invoice_that_waits_for_payment(self, supplier: Organisation) -> None:
        plan = PlanFactory.create(price="490.00", vat_rate="19.00")

        subscription = tariffs.subscribe(plan.pk, by=member(supplier), at=NOON)

        invoice = subscription.invoice
        assert (subscription.status, subscription.starts_at) == (SubscriptionStatus.PENDING, None)
        assert (invoice.number, invoice.status, invoice.due_at) == (
            "INV-2026-0000001",
            InvoiceStatus.ISSUED,
            NOON + 14 * DAY,
        )
        assert (invoice.net, invoice.vat, invoice.total) == (Decimal("490.00"), Decimal("93.10"), Decimal("583.10"))
        assert list(LedgerEntry.objects.values_list("kind", "amount")) == [("invoice", Decimal("-583.1000"))]
        assert [record.action for record in AuditRecord.objects.filter(stream=f"organisation:{supplier.pk}")] == [
            "subscription_requested",
            "invoice_issued",
        ]

    def test_a_double_click_takes_the_plan_once(self, supplier: Organisation) -> None:
        plan, actor = PlanFactory.create(), member(supplier)

        first = tariffs.subscribe(plan.pk, by=actor, at=NOON)
        second = tariffs.subscribe(plan.pk, by=actor, at=NOON)

        assert first == second
        assert Invoice.objects.count() == 1

    def test_another_plan_waits_until_the_first_is_paid_or_cancelled(self, supplier: Organisation) -> None:
        actor = member(supplier)
        tariffs.subscribe(PlanFactory.create(name="One").pk, by=actor, at=NOON)

        with pytest.raises(tariffs.AnotherPending) as refused:
            tariffs.subscribe(PlanFactory.create().pk, by=actor, at=NOON)

        assert str(refused.value) == (
            "“One” (invoice INV-2026-0000001) waits for payment. Pay or cancel it before you choose another plan."
        )

    def test_a_plan_free_of_charge_begins_at_once_without_an_invoice(self, supplier: Organisation) -> None:
        plan, actor = PlanFactory.create(price=0, period_days=365), member(supplier)

        subscription = tariffs.subscribe(plan.pk, by=actor, at=NOON)
        again = tariffs.subscribe(plan.pk, by=actor, at=NOON + DAY)

        assert (subscription.status, subscription.ends_at) == (SubscriptionStatus.ACTIVE, NOON + 365 * DAY)
        assert again == subscription
        assert not Invoice.objects.exists()

    def test_a_free_plan_is_renewed_towards_its_end_and_follows_on(self, supplier: Organisation) -> None:
        plan, actor = PlanFactory.create(price=0, period_days=365), member(supplier)
        first = tariffs.subscribe(plan.pk, by=actor, at=NOON)

        second = tariffs.subscribe(plan.pk, by=actor, at=NOON + 340 * DAY)

        assert (second.starts_at, second.ends_at) == (first.ends_at, NOON + 730 * DAY)

    def test_an_old_version_of_a_plan_is_not_sold(self, supplier: Organisation) -> None:
        old = PlanFactory.create(code="p", version=1)
        PlanFactory.create(code="p", version=2)

        with pytest.raises(tariffs.PlanNotOnOffer):
            tariffs.subscribe(old.pk, by=member(supplier), at=NOON)

    def test_an_included_plan_is_not_subscribed_to(self, supplier: Organisation) -> None:
        with pytest.raises(tariffs.PlanIncluded):
            tariffs.subscribe(PlanFactory.create(permits={"included": True}).pk, by=member(supplier), at=NOON)

    def test_a_plan_of_the_other_side_is_refused(self, supplier: Organisation) -> None:
        with pytest.raises(tariffs.PlanOfOtherSide):
            tariffs.subscribe(PlanFactory.create(side="buyer").pk, by=member(supplier), at=NOON)

    def test_only_an_administrator_or_signer_takes_a_plan(self, supplier: Organisation) -> None:
        with pytest.raises(RoleMissing):
            tariffs.subscribe(PlanFactory.create().pk, by=member(supplier, Role.BID_MANAGER), at=NOON)

    def test_an_unfinished_registration_takes_no_plan(self) -> None:
        draft = OrganisationFactory.create(is_supplier=True, status=OrganisationStatus.DRAFT)

        with pytest.raises(OrganisationNotActive):
            tariffs.subscribe(PlanFactory.create().pk, by=member(draft), at=NOON)


@pytest.mark.django_db
class TestPaying:
    def test_the_confirmed_payment_begins_the_subscription(self, supplier: Organisation) -> None:
        subscription = paid(PlanFactory.create(period_days=365), supplier)

        invoice = Invoice.objects.get()
        assert (subscription.status, subscription.starts_at, subscription.ends_at) == (
            SubscriptionStatus.ACTIVE,
            NOON,
            NOON + 365 * DAY,
        )
        assert (invoice.status, invoice.payment_reference, invoice.paid_at) == (InvoiceStatus.PAID, "R-1", NOON)
        assert queries.balances(supplier.pk) == []
        assert Notification.objects.filter(organisation=supplier, kind="subscription_begun").count() == 1

    def test_the_same_payment_confirmed_twice_is_noted_once(self, supplier: Organisation) -> None:
        subscription = paid(PlanFactory.create(), supplier)
        desk = staff(StaffRole.OPERATOR)

        again = tariffs.confirm_payment(
            subscription.invoice.pk, reference=" R-1 ", paid_at=NOON, by=desk, at=NOON + DAY
        )

        assert (again.starts_at, again.ends_at) == (subscription.starts_at, subscription.ends_at)
        assert LedgerEntry.objects.filter(kind="payment").count() == 1

    def test_a_second_payment_is_not_taken_for_the_first(self, supplier: Organisation) -> None:
        subscription = paid(PlanFactory.create(), supplier)

        with pytest.raises(invoices.InvoicePaid):
            tariffs.confirm_payment(
                subscription.invoice.pk, reference="R-2", paid_at=NOON, by=staff(StaffRole.OPERATOR), at=NOON
            )

    @pytest.mark.parametrize(
        ("reference", "days", "field"), [("", 0, "reference"), ("R", 1, "paid_on"), ("R", -1, "paid_on")]
    )
    def test_a_payment_needs_a_reference_and_a_possible_day(
        self, supplier: Organisation, reference: str, days: int, field: str
    ) -> None:
        subscription = tariffs.subscribe(PlanFactory.create().pk, by=member(supplier), at=NOON)

        with pytest.raises(Invalid) as refused:
            tariffs.confirm_payment(
                subscription.invoice.pk,
                reference=reference,
                paid_at=NOON + days * DAY,
                by=staff(StaffRole.TARIFF_MANAGER),
                at=NOON,
            )

        assert list(refused.value.errors) == [field]
        assert Invoice.objects.get().status == InvoiceStatus.ISSUED

    def test_the_renewal_of_a_plan_follows_on(self, supplier: Organisation) -> None:
        plan = PlanFactory.create(rank=20, period_days=100)
        first = paid(plan, supplier)

        second = paid(plan, supplier, at=NOON + 90 * DAY, reference="R-2")

        assert (second.starts_at, second.ends_at) == (first.ends_at, NOON + 200 * DAY)

    def test_a_higher_plan_begins_at_once_and_a_lower_one_after_it(self, supplier: Organisation) -> None:
        low, high = PlanFactory.create(rank=10, period_days=100), PlanFactory.create(rank=20, period_days=50)
        paid(low, supplier)

        up = paid(high, supplier, at=NOON + DAY, reference="R-2")
        down = paid(low, supplier, at=NOON + 2 * DAY, reference="R-3")

        assert (up.starts_at, up.ends_at) == (NOON + DAY, NOON + 51 * DAY)
        assert down.starts_at == NOON + 100 * DAY

    def test_others_do_not_learn_that_the_invoice_exists(self, supplier: Organisation) -> None:
        subscription = tariffs.subscribe(PlanFactory.create().pk, by=member(supplier), at=NOON)

        for stranger in (member(supplier), staff(StaffRole.AUDITOR), staff(StaffRole.REPRESENTATIVE)):
            with pytest.raises(NotFound):
                tariffs.confirm_payment(subscription.invoice.pk, reference="R", paid_at=NOON, by=stranger, at=NOON)


@pytest.mark.django_db
class TestCancelling:
    def test_what_waits_for_payment_is_cancelled_and_the_account_balanced(self, supplier: Organisation) -> None:
        subscription = tariffs.subscribe(PlanFactory.create().pk, by=member(supplier), at=NOON)

        tariffs.cancel(subscription.invoice.pk, by=member(supplier), at=NOON)
        tariffs.cancel(subscription.invoice.pk, by=member(supplier), at=NOON)

        assert Subscription.objects.get().status == SubscriptionStatus.CANCELLED
        assert Invoice.objects.get().status == InvoiceStatus.CANCELLED
        assert (queries.balances(supplier.pk), LedgerEntry.objects.count()) == ([], 2)

    def test_what_was_paid_is_not_cancelled(self, supplier: Organisation) -> None:
        subscription = paid(PlanFactory.create(), supplier)

        with pytest.raises(tariffs.NotPending):
            tariffs.cancel(subscription.invoice.pk, by=member(supplier), at=NOON)

    def test_a_cancelled_invoice_cannot_be_paid(self, supplier: Organisation) -> None:
        subscription = tariffs.subscribe(PlanFactory.create().pk, by=member(supplier), at=NOON)
        desk = staff(StaffRole.TARIFF_MANAGER)
        tariffs.cancel(subscription.invoice.pk, by=desk, at=NOON)

        with pytest.raises(invoices.InvoiceCancelled):
            tariffs.confirm_payment(subscription.invoice.pk, reference="R", paid_at=NOON, by=desk, at=NOON)

        assert Notification.objects.filter(organisation=supplier, kind="invoice_cancelled").count() == 1

    def test_another_organisation_does_not_learn_that_it_exists(self, supplier: Organisation) -> None:
        subscription = tariffs.subscribe(PlanFactory.create().pk, by=member(supplier), at=NOON)

        with pytest.raises(NotFound):
            tariffs.cancel(subscription.invoice.pk, by=member(OrganisationFactory.create()), at=NOON)


@pytest.mark.django_db
class TestAmounts:
    @pytest.mark.parametrize(
        ("price", "rate", "currency", "vat", "total"),
        [
            ("490.00", "19.00", "EUR", "93.10", "583.10"),
            ("0.50", "19.00", "EUR", "0.10", "0.60"),  # 0.095 is rounded half up
            ("0.10", "5.00", "EUR", "0.01", "0.11"),  # 0.005 too
            ("1000", "10.00", "JPY", "100", "1100"),
            ("15", "10.00", "JPY", "2", "17"),
        ],
    )
    def test_vat_is_rounded_half_up_to_the_minor_unit(
        self, price: str, rate: str, currency: str, vat: str, total: str
    ) -> None:
        plan = Plan(price=Decimal(price), vat_rate=Decimal(rate), currency=currency)

        charged = invoices.amounts(plan)

        assert (charged.vat.amount, charged.total.amount) == (Decimal(vat), Decimal(total))

    def test_numbers_have_no_gap_where_a_transaction_is_rolled_back(self, supplier: Organisation) -> None:
        other = OrganisationFactory.create(is_supplier=True)
        plan = PlanFactory.create()
        with transaction.atomic():
            tariffs.subscribe(plan.pk, by=member(supplier), at=NOON)
            transaction.set_rollback(True)

        numbers = [tariffs.subscribe(plan.pk, by=member(one), at=NOON).invoice.number for one in (supplier, other)]

        assert numbers == ["INV-2026-0000001", "INV-2026-0000002"]


@pytest.mark.django_db
def test_an_organisation_is_reminded_once_of_each_end(supplier: Organisation) -> None:
    member(supplier)
    ending = SubscriptionFactory.create(organisation=supplier, ends_at=NOON + 10 * DAY)
    followed = OrganisationFactory.create(is_supplier=True)
    SubscriptionFactory.create(organisation=followed, ends_at=NOON + 10 * DAY)
    SubscriptionFactory.create(organisation=followed, ends_at=NOON + 300 * DAY)

    assert (tariffs.remind(at=NOON), tariffs.remind(at=NOON + DAY)) == (1, 0)
    Subscription.objects.filter(pk=ending.pk).update(ends_at=NOON + 12 * DAY)
    assert tariffs.remind(at=NOON + DAY) == 1
    assert Notification.objects.filter(kind="subscription_ends_soon").count() == 2


@pytest.mark.django_db
class TestPlans:
    TERMS = plans.Terms(side="supplier", name="Small", price=Decimal("10.00"), currency="EUR", period_days=30, rank=5)

    def test_a_change_is_a_new_version_and_what_was_bought_stays(self, supplier: Organisation) -> None:
        desk = staff(StaffRole.TARIFF_MANAGER)
        first = plans.create("small", self.TERMS, by=desk, at=NOON)
        bought = paid(first, supplier)

        second = plans.revise(
            "small", 1, plans.Terms(**{**vars_of(self.TERMS), "price": Decimal("12.00")}), by=desk, at=NOON
        )

        bought.refresh_from_db()
        assert (second.version, bought.plan.price) == (2, Decimal("10.0000"))
        assert [plan for plan in queries.plans_on_offer("supplier") if plan.code == "small"] == [second]

    def test_two_managers_at_once_are_told(self) -> None:
        desk = staff(StaffRole.TARIFF_MANAGER)
        plans.create("small", self.TERMS, by=desk, at=NOON)
        plans.revise("small", 1, self.TERMS, by=desk, at=NOON)

        with pytest.raises(StaleForm):
            plans.revise("small", 1, self.TERMS, by=desk, at=NOON)

    @pytest.mark.parametrize(
        ("change", "field"),
        [
            ({"price": Decimal("-1")}, "price"),
            ({"price": Decimal("1.001")}, "price"),
            ({"currency": "XXX1"}, "currency"),
            ({"period_days": 0}, "period_days"),
            ({"vat_rate": Decimal(100)}, "vat_rate"),
            ({"permits": {"families": ["lottery"]}}, "families"),
            ({"permits": {"max_lot_value": "0"}}, "max_lot_value"),
            ({"permits": {"included": True}}, "included"),
            ({"name": " "}, "name"),
        ],
    )
    def test_terms_that_make_no_sense_are_refused_beside_their_field(self, change: dict[str, Any], field: str) -> None:
        with pytest.raises(Invalid) as refused:
            plans.create(
                "small", plans.Terms(**{**vars_of(self.TERMS), **change}), by=staff(StaffRole.TARIFF_MANAGER), at=NOON
            )

        assert list(refused.value.errors) == [field]

    def test_others_cannot_publish(self) -> None:
        with pytest.raises(NotFound):
            plans.create("small", self.TERMS, by=staff(StaffRole.OPERATOR), at=NOON)

    def test_the_standard_plans_are_valid_and_loaded_once(self) -> None:
        assert (plans.load_standard(at=NOON), plans.load_standard(at=NOON)) == (5, 0)
        assert [plan.code for plan in queries.plans_on_offer("supplier")] == [
            "start",
            "business",
            "professional",
            "unlimited",
        ]


def vars_of(terms: plans.Terms) -> dict[str, Any]:
    return {name: getattr(terms, name) for name in plans.Terms.__dataclass_fields__}


@pytest.mark.django_db(transaction=True)
class TestAtOnce:
    def test_two_clicks_at_once_make_one_subscription(self) -> None:
        supplier, plan = OrganisationFactory.create(is_supplier=True), PlanFactory.create()
        actor = member(supplier)

        first, second = at_the_same_time(*[lambda: tariffs.subscribe(plan.pk, by=actor, at=NOON)] * 2)

        assert first == second
        assert Invoice.objects.count() == 1

    def test_eight_organisations_at_once_get_eight_numbers_without_a_gap(self) -> None:
        plan = PlanFactory.create()
        actors = [member(OrganisationFactory.create(is_supplier=True)) for _ in range(8)]

        at_the_same_time(*[lambda actor=actor: tariffs.subscribe(plan.pk, by=actor, at=NOON) for actor in actors])  # type: ignore[misc]

        numbers = sorted(Invoice.objects.values_list("number", flat=True))
        assert numbers == [f"INV-2026-{number:07d}" for number in range(1, 9)]

    def test_a_payment_and_a_cancellation_at_once_leave_one_of_them(self) -> None:
        supplier, desk = OrganisationFactory.create(is_supplier=True), staff(StaffRole.TARIFF_MANAGER)
        invoice = tariffs.subscribe(PlanFactory.create().pk, by=member(supplier), at=NOON).invoice

        at_the_same_time(
            lambda: tariffs.confirm_payment(invoice.pk, reference="R", paid_at=NOON, by=desk, at=NOON),
            lambda: tariffs.cancel(invoice.pk, by=desk, at=NOON),
        )

        found = Invoice.objects.select_related("subscription").get()
        assert (found.status, found.subscription.status) in {
            (InvoiceStatus.PAID, SubscriptionStatus.ACTIVE),
            (InvoiceStatus.CANCELLED, SubscriptionStatus.CANCELLED),
        }
        assert queries.balances(supplier.pk) == []
