"""What a tariff permits, and why not: one row for each reason."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from marketplace.entitlements import Action, Need, NotEntitled, check, decide, require
from marketplace.models import AccreditationStatus, OrganisationStatus, Side, SubscriptionStatus
from marketplace.queries.standing import FAMILY_NAMES, Offer, Permits, Standing, Taken
from marketplace.shared.money import Money
from procurement.procedures.axes import Family
from tests.factories.marketplace import (
    NOON,
    AccreditationFactory,
    OrganisationFactory,
    PlanFactory,
    SubscriptionFactory,
    accredited_buyer,
    accredited_supplier,
)

AT = datetime(2026, 3, 15, 9, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def euros(amount: str) -> Money:
    return Money(Decimal(amount), "EUR")


START = Offer(
    "Start",
    euros("0"),
    Permits(
        families=frozenset({"request_for_quotations"}),
        max_lot_value=euros("20000"),
        bids_per_month=3,
        live_auctions=False,
    ),
)
UNLIMITED = Offer("Unlimited", euros("2400"), Permits())
ACTIVE = Taken(START, SubscriptionStatus.ACTIVE, starts_at=AT - 10 * DAY, ends_at=AT + 10 * DAY)
SUPPLIER = Standing(
    status=OrganisationStatus.REGISTERED,
    on_side=True,
    accreditation=AccreditationStatus.ACCEPTED,
    accredited_until=AT + DAY,
    taken=(ACTIVE,),
    on_offer=(START, UNLIMITED),
)
QUOTATION = Need(Action.BID, "request_for_quotations", lot_value=euros("20000"), bids_this_month=2)


def test_a_need_within_every_limit_is_allowed() -> None:
    answer = decide(SUPPLIER, QUOTATION, AT)

    assert answer.allowed
    assert (answer.reasons, answer.plan, answer.bids_left) == ((), "Start", 1)


@pytest.mark.parametrize(
    ("standing", "need", "code", "sentence", "remedy"),
    [
        pytest.param(
            {"status": OrganisationStatus.DRAFT}, {}, "registration_not_finished",
            "Your organisation’s registration is not finished.",
            "Finish it: fill in what is missing and sign it.",
        ),
        pytest.param(
            {"status": OrganisationStatus.SUSPENDED}, {}, "organisation_suspended",
            "The operator has suspended your organisation.",
            "Ask the operator what has to be put right.",
        ),
        pytest.param(
            {"on_side": False}, {}, "not_on_this_side",
            "Your organisation is not registered as a supplier.",
            "Say in your organisation’s profile that you supply.",
        ),
        pytest.param(
            {"accreditation": None, "accredited_until": None}, {}, "accreditation_missing",
            "Your organisation is not accredited as a supplier.",
            "Ask for accreditation: add the documents and sign the request.",
        ),
        pytest.param(
            {"accreditation": AccreditationStatus.DRAFT, "accredited_until": None}, {}, "accreditation_missing",
            "Your organisation is not accredited as a supplier.",
            "Ask for accreditation: add the documents and sign the request.",
        ),
        pytest.param(
            {"accreditation": AccreditationStatus.SUBMITTED, "accredited_until": None}, {}, "accreditation_waiting",
            "Your accreditation as a supplier is waiting for the operator’s decision.",
            "There is nothing to do: you are told as soon as it is decided.",
        ),
        pytest.param(
            {
                "accreditation": AccreditationStatus.RETURNED,
                "accredited_until": None,
                "return_reasons": "The extract is older than six months",
            },
            {}, "accreditation_returned",
            "The operator returned your request for accreditation: “The extract is older than six months”.",
            "Put this right and send the request again.",
        ),
        pytest.param(
            {"accreditation": AccreditationStatus.REVOKED, "return_reasons": "Licence withdrawn"},
            {}, "accreditation_revoked",
            "The operator revoked your accreditation: “Licence withdrawn”.",
            "Put this right and ask for accreditation again.",
        ),
        pytest.param(
            {"accredited_until": AT}, {}, "accreditation_expired",
            "Your accreditation as a supplier ended on 15 March 2026.",
            "Renew it: check your documents and send the request again.",
        ),
        pytest.param(
            {"taken": ()}, {}, "tariff_missing",
            "Your organisation has no tariff.",
            "The tariff “Start” (0.00 EUR without VAT) permits it.",
        ),
        pytest.param(
            {"taken": (), "on_offer": ()}, {}, "tariff_missing",
            "Your organisation has no tariff.",
            "Choose a tariff.",
        ),
        pytest.param(
            {"taken": (Taken(UNLIMITED, SubscriptionStatus.PENDING, invoice="2026-000004", invoice_id=4),)}, {},
            "tariff_not_paid",
            "Your tariff “Unlimited” is not paid yet.",
            "Pay invoice 2026-000004: the tariff begins when the payment is confirmed.",
        ),
        pytest.param(
            {"taken": (replace(ACTIVE, starts_at=AT + DAY),)}, {}, "tariff_begins_later",
            "Your tariff “Start” begins on 16 March 2026.",
            "There is nothing to do but wait.",
        ),
        pytest.param(
            {"taken": (replace(ACTIVE, ends_at=AT - DAY), replace(ACTIVE, offer=UNLIMITED, ends_at=AT - 3 * DAY))}, {},
            "tariff_expired",
            "Your tariff “Start” ended on 14 March 2026.",
            "The tariff “Start” (0.00 EUR without VAT) permits it.",
        ),
        pytest.param(
            {}, {"family": "tender"}, "family_not_in_tariff",
            "Your tariff “Start” does not cover tenders.",
            "The tariff “Unlimited” (2,400.00 EUR without VAT) permits it.",
        ),
        pytest.param(
            {"on_offer": (START,)}, {"family": "tender"}, "family_not_in_tariff",
            "Your tariff “Start” does not cover tenders.",
            "Ask the operator for a tariff that permits it.",
        ),
        pytest.param(
            {}, {"action": Action.LIVE_AUCTION}, "live_auctions_not_in_tariff",
            "Your tariff “Start” does not cover live auctions.",
            "The tariff “Unlimited” (2,400.00 EUR without VAT) permits it.",
        ),
        pytest.param(
            {}, {"lot_value": euros("20000.01")}, "lot_value_over_tariff",
            "The lot’s value is 20,000.01 EUR, and your tariff “Start” covers lots up to 20,000.00 EUR.",
            "The tariff “Unlimited” (2,400.00 EUR without VAT) permits it.",
        ),
        pytest.param(
            {}, {"lot_value": Money(Decimal(5), "USD")}, "lot_currency_not_in_tariff",
            "The lot is priced in USD, and your tariff “Start” covers lots in EUR only.",
            "The tariff “Unlimited” (2,400.00 EUR without VAT) permits it.",
        ),
        pytest.param(
            {}, {"bids_this_month": 3}, "bids_of_month_used_up",
            "Your tariff “Start” covers 3 bids a month, and you have sent 3.",
            "The tariff “Unlimited” (2,400.00 EUR without VAT) permits it.",
        ),
    ],
)  # fmt: skip
def test_each_reason_says_what_is_wrong_and_what_would_change_it(
    standing: dict[str, Any], need: dict[str, Any], code: str, sentence: str, remedy: str
) -> None:
    answer = decide(replace(SUPPLIER, **standing), replace(QUOTATION, **need), AT)

    assert not answer.allowed
    assert [(reason.code, reason.sentence, reason.remedy) for reason in answer.reasons] == [(code, sentence, remedy)]


def test_all_reasons_are_given_at_once_in_the_order_of_dealing_with_them() -> None:
    standing = replace(SUPPLIER, on_side=False, accreditation=None, accredited_until=None)
    need = Need(Action.LIVE_AUCTION, "auction", lot_value=euros("50000"), bids_this_month=9)

    assert [reason.code for reason in decide(standing, need, AT).reasons] == [
        "not_on_this_side",
        "accreditation_missing",
        "family_not_in_tariff",
        "live_auctions_not_in_tariff",
        "lot_value_over_tariff",
        "bids_of_month_used_up",
    ]


@pytest.mark.parametrize(
    "status", [AccreditationStatus.DRAFT, AccreditationStatus.SUBMITTED, AccreditationStatus.RETURNED]
)
def test_while_a_renewal_is_decided_the_accreditation_counts_until_its_end(status: AccreditationStatus) -> None:
    renewing = replace(SUPPLIER, accreditation=status, accredited_until=AT + DAY)

    assert decide(renewing, QUOTATION, AT).allowed
    assert not decide(renewing, QUOTATION, AT + DAY).allowed


def test_a_lot_without_a_value_is_not_measured() -> None:
    assert decide(SUPPLIER, replace(QUOTATION, lot_value=None), AT).allowed


def test_of_two_running_tariffs_the_higher_counts() -> None:
    both = replace(SUPPLIER, taken=(replace(ACTIVE, offer=UNLIMITED), ACTIVE))

    answer = decide(both, Need(Action.LIVE_AUCTION, "auction", lot_value=euros("1000000"), bids_this_month=50), AT)

    assert (answer.allowed, answer.plan, answer.bids_left) == (True, "Unlimited", None)


@pytest.mark.parametrize(
    ("on_offer", "codes"),
    [
        pytest.param((), [], id="nothing is sold to buyers"),
        pytest.param((Offer("Buyer", euros("0"), Permits(included=True)),), [], id="one is included"),
        pytest.param((Offer("Buyer", euros("900"), Permits()),), ["tariff_missing"], id="one must be bought"),
        pytest.param(
            (Offer("Look", euros("0"), Permits(publish=False, included=True)), Offer("Buyer", euros("900"), Permits())),
            ["publishing_not_in_tariff"],
            id="the included one does not do",
        ),
    ],
)
def test_a_buyer_needs_a_tariff_only_where_one_is_sold(on_offer: tuple[Offer, ...], codes: list[str]) -> None:
    buyer = replace(SUPPLIER, taken=(), on_offer=on_offer)
    need = Need(Action.PUBLISH, "tender", side=Side.BUYER, lot_value=euros("1000000"))

    assert [reason.code for reason in decide(buyer, need, AT).reasons] == codes


def test_plans_and_procedures_name_the_same_families() -> None:
    assert set(FAMILY_NAMES) == {family.value for family in Family}


@pytest.mark.django_db
class TestLoaded:
    def test_an_accredited_supplier_with_a_tariff_may_bid_in_three_queries(
        self, django_assert_num_queries: Any
    ) -> None:
        supplier = accredited_supplier()

        with django_assert_num_queries(3):
            answer = check(supplier, QUOTATION, NOON)

        assert (answer.allowed, answer.plan) == (True, "Unlimited")

    def test_an_accredited_buyer_may_publish(self) -> None:
        need = Need(Action.PUBLISH, "auction", side=Side.BUYER)

        assert require(accredited_buyer(), need, NOON).allowed

    def test_the_accreditation_of_the_other_side_does_not_count(self) -> None:
        supplier = OrganisationFactory.create(is_supplier=True)
        AccreditationFactory.create(organisation=supplier, side=Side.BUYER)
        SubscriptionFactory.create(organisation=supplier)

        with pytest.raises(NotEntitled) as refused:
            require(supplier, QUOTATION, NOON)

        assert [reason.code for reason in refused.value.reasons] == ["accreditation_missing"]
        assert str(refused.value) == (
            "Your organisation is not accredited as a supplier. "
            "Ask for accreditation: add the documents and sign the request."
        )

    def test_limits_come_from_the_plan_that_was_bought(self) -> None:
        supplier = OrganisationFactory.create(is_supplier=True)
        AccreditationFactory.create(organisation=supplier)
        plan = PlanFactory.create(
            name="Small", permits={"max_lot_value": "1000.00", "families": ["tender"], "bids_per_month": 1}
        )
        SubscriptionFactory.create(organisation=supplier, plan=plan)

        answer = check(supplier, Need(Action.BID, "auction", lot_value=euros("1000.01"), bids_this_month=1), NOON)

        assert [reason.code for reason in answer.reasons] == [
            "family_not_in_tariff",
            "lot_value_over_tariff",
            "bids_of_month_used_up",
        ]
        assert answer.bids_left == 0

    def test_a_cancelled_subscription_is_none(self) -> None:
        supplier = OrganisationFactory.create(is_supplier=True)
        AccreditationFactory.create(organisation=supplier)
        SubscriptionFactory.create(organisation=supplier, status=SubscriptionStatus.CANCELLED)

        assert [reason.code for reason in check(supplier, QUOTATION, NOON).reasons] == ["tariff_missing"]

    def test_a_withdrawn_plan_is_not_recommended(self) -> None:
        supplier = OrganisationFactory.create(is_supplier=True)
        AccreditationFactory.create(organisation=supplier)
        PlanFactory.create(code="zero", version=1, name="Old zero", rank=0, price="0")
        PlanFactory.create(code="zero", version=2, name="New zero", rank=0, price="0", active=False)
        PlanFactory.create(code="zebra", version=1, name="Zebra", rank=0, price="0.01")

        [reason] = check(supplier, QUOTATION, NOON).reasons

        assert "zero" not in reason.remedy
