"""Requests for an offer: who may ask, how often, and what becomes of it."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pytest

from marketplace.models import AuditRecord, Membership, Notification, Organisation, OrganisationStatus, Role, StaffRole
from marketplace.permissions import Actor, OrganisationNotActive, RoleMissing, actor_for
from marketplace.shared.errors import IllegalTransition, Invalid, NotFound
from procurement.models import OfferRequest
from procurement.permissions import ObserversRead
from procurement.rules.lifecycle import RequestStatus
from procurement.services import offer_requests as service
from procurement.services.once import IdempotencyKeyReused
from tests.factories.at_once import at_the_same_time
from tests.factories.marketplace import (
    NOON,
    MembershipFactory,
    OrganisationFactory,
    accredited_buyer,
    accredited_supplier,
    member,
    staff,
)
from tests.factories.offers import asked, wanted

TOMORROW = NOON + timedelta(days=1)


@pytest.fixture(name="buyer")
def buyer_fixture(db: None) -> Actor:
    return member(accredited_buyer(), Role.OFFICER)


@pytest.fixture(name="supplier")
def supplier_fixture(db: None) -> Organisation:
    return accredited_supplier()


def told(actor: Actor) -> list[str]:
    return list(Notification.objects.filter(person=actor.person).order_by("pk").values_list("kind", flat=True))


def test_a_request_is_asked_once_taken_up_and_answered_and_both_sides_are_told(
    buyer: Actor, supplier: Organisation
) -> None:
    seller, bystander = member(supplier, Role.REPRESENTATIVE), member(supplier, Role.OBSERVER)
    request = service.ask(wanted(supplier), key="k", by=buyer, at=NOON)
    assert service.ask(wanted(supplier), key="k", by=buyer, at=NOON) == request
    with pytest.raises(IdempotencyKeyReused):
        service.ask(wanted(supplier, need="Something else altogether."), key="k", by=buyer, at=NOON)
    assert OfferRequest.objects.count() == 1
    assert (told(seller), told(bystander)) == (["offer_asked"], [])

    with pytest.raises(RoleMissing):
        service.take_up(request.pk, by=bystander, at=NOON)
    for _click in range(2):  # a second click is the first
        service.take_up(request.pk, by=seller, at=NOON)
    with pytest.raises(Invalid):
        service.answer(request.pk, "  ", by=seller, at=NOON)
    for _click in range(2):
        request = service.answer(request.pk, "Forty at 120 EUR each.", by=seller, at=NOON)
    with pytest.raises(IllegalTransition):
        service.answer(request.pk, "Forty at 110 EUR each.", by=seller, at=NOON)
    assert (request.status, request.answer, request.handled_by) == (
        RequestStatus.ANSWERED, "Forty at 120 EUR each.", seller.person,
    )  # fmt: skip
    assert told(buyer) == ["offer_request", "offer_request"]
    with pytest.raises(IllegalTransition):
        service.withdraw(request.pk, by=buyer, at=NOON)
    trail = AuditRecord.objects.filter(stream=f"offerrequest:{request.pk}").order_by("number")
    assert list(trail.values_list("action", flat=True)) == ["offer.asked", "offer.taken_up", "offer.answered"]


def test_a_declined_request_says_why_may_be_taken_up_after_all_and_withdrawn(
    buyer: Actor, supplier: Organisation
) -> None:
    seller = member(supplier, Role.SALES_MANAGER)
    request = asked(supplier, buyer)
    for _click in range(2):
        assert service.decline(request.pk, "Not before May.", by=seller, at=NOON).declined_because == "Not before May."
    assert service.take_up(request.pk, by=seller, at=NOON).declined_because == ""
    for _click in range(2):
        assert service.withdraw(request.pk, by=buyer, at=NOON).status == RequestStatus.WITHDRAWN
    assert told(seller) == ["offer_asked", "offer_withdrawn"]
    # Who was at it and has left is told nothing; who sells there now is.
    later, colleague = asked(supplier, buyer), member(supplier, Role.REPRESENTATIVE)
    service.take_up(later.pk, by=seller, at=NOON)
    Membership.objects.filter(person=seller.person).update(active=False)
    service.withdraw(later.pk, by=buyer, at=NOON)
    assert (told(seller)[2:], told(colleague)) == (["offer_asked"], ["offer_withdrawn"])
    with pytest.raises(IllegalTransition):
        service.take_up(request.pk, by=seller, at=NOON)


def test_nobody_but_the_two_sides_may_do_anything_with_it(buyer: Actor, supplier: Organisation) -> None:
    stranger = member(accredited_supplier())
    for request in (asked(supplier, buyer), asked(None, buyer)):
        for act in (service.take_up, service.withdraw):
            with pytest.raises(NotFound):
                act(request.pk, by=stranger, at=NOON)
        with pytest.raises(NotFound):
            service.decline(request.pk, "No.", by=stranger, at=NOON)
        with pytest.raises(NotFound):
            service.answer(request.pk, "Yes.", by=buyer, at=NOON)
    of_the_platform = OfferRequest.objects.get(supplier=None)
    assert service.take_up(of_the_platform.pk, by=staff(StaffRole.REPRESENTATIVE), at=NOON).status == "taken_up"
    with pytest.raises(NotFound):
        service.withdraw(of_the_platform.pk, by=staff(StaffRole.OPERATOR), at=NOON)


def test_a_suspended_organisation_asks_no_more_but_withdraws_what_it_asked(
    buyer: Actor, supplier: Organisation
) -> None:
    assert buyer.organisation is not None
    request = asked(supplier, buyer)
    buyer.organisation.status = OrganisationStatus.SUSPENDED
    buyer.organisation.save(update_fields=["status"])
    with pytest.raises(ObserversRead):
        service.withdraw(request.pk, by=member(buyer.organisation, Role.OBSERVER), at=NOON)
    with pytest.raises(OrganisationNotActive):
        asked(supplier, buyer)
    assert service.withdraw(request.pk, by=buyer, at=NOON).status == RequestStatus.WITHDRAWN


def test_who_may_not_ask_and_who_cannot_be_asked(buyer: Actor, supplier: Organisation) -> None:
    assert buyer.organisation is not None
    with pytest.raises(ObserversRead):
        asked(supplier, member(buyer.organisation, Role.OBSERVER))
    with pytest.raises(OrganisationNotActive):
        asked(supplier, member(OrganisationFactory.create(status=OrganisationStatus.SUSPENDED)))
    with pytest.raises(service.OwnOrganisation):
        asked(supplier, member(supplier))
    with pytest.raises(service.NoSupplier):
        asked(accredited_buyer(), buyer)
    with pytest.raises(NotFound):
        asked(OrganisationFactory.create(is_supplier=True, status=OrganisationStatus.DRAFT), buyer)


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ({"need": "Chairs"}, {"need"}),
        ({"need": "x" * 1501}, {"need"}),
        ({"wanted_by": date(2026, 3, 1)}, {"wanted_by"}),
        ({"wanted_by": date(2036, 3, 1)}, {"wanted_by"}),
        ({"quantity": Decimal(40)}, {"unit"}),
        ({"quantity": Decimal(0), "unit": "H87"}, {"quantity"}),
        ({"quantity": Decimal("0.00001"), "unit": "H87"}, {"quantity"}),
        ({"quantity": Decimal("1e40"), "unit": "H87"}, {"quantity"}),
        ({"budget": Decimal(40)}, {"currency"}),
        ({"budget": Decimal("0.005"), "currency": "EUR"}, {"budget"}),
        ({"budget": Decimal("10.5"), "currency": "JPY"}, {"budget"}),
        ({"budget": Decimal("1e20"), "currency": "EUR"}, {"budget"}),
        ({"contact_by": "pigeon"}, {"contact_by"}),
        ({"contact_by": "phone"}, {"phone"}),
        ({"phone": "12"}, {"phone"}),
        ({"need": "", "budget": Decimal(-1), "currency": "EUR"}, {"need", "budget"}),
    ],
)
def test_what_is_wrong_stands_beside_its_field(
    fields: dict[str, Any], wrong: set[str], buyer: Actor, supplier: Organisation
) -> None:
    with pytest.raises(Invalid) as refused:
        asked(supplier, buyer, **fields)
    assert set(refused.value.errors) == wrong


def test_a_flood_stops_at_the_days_limit_and_at_what_waits_with_one_supplier(
    buyer: Actor, supplier: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "A_DAY", 4)
    for _number in range(service.WAITING_MAX):
        last = asked(supplier, buyer)
    with pytest.raises(service.RequestsWait):
        asked(supplier, buyer)
    service.withdraw(last.pk, by=buyer, at=NOON)
    asked(supplier, buyer)
    with pytest.raises(service.TooManyRequests):
        asked(accredited_supplier(), buyer)
    asked(accredited_supplier(), buyer, at=TOMORROW)


@pytest.mark.django_db(transaction=True)
def test_the_last_request_of_the_day_is_one_however_many_ask_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "A_DAY", 1)
    buyer, first, second = member(accredited_buyer()), accredited_supplier(), accredited_supplier()
    answers = at_the_same_time(lambda: asked(first, buyer), lambda: asked(second, buyer))
    assert sorted(type(answer).__name__ for answer in answers) == ["OfferRequest", "TooManyRequests"]


@pytest.mark.django_db(transaction=True)
def test_of_two_organisations_one_gets_the_key_that_a_person_asks_with_for_both_at_once() -> None:
    one, supplier = member(accredited_buyer()), accredited_supplier()
    second = MembershipFactory.create(person=one.person, organisation=accredited_buyer(), roles=[Role.OFFICER.value])
    other = actor_for(second.person, second.organisation)
    answers = at_the_same_time(
        lambda: service.ask(wanted(supplier), key="k", by=one, at=NOON),
        lambda: service.ask(wanted(supplier), key="k", by=other, at=NOON),
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["IdempotencyKeyReused", "OfferRequest"]
