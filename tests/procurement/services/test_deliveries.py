"""Deliveries on a contract: recorded, confirmed in part, rejected, cancelled, sent back; and two at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from marketplace.models import AuditRecord, Notification, Role
from marketplace.permissions import Actor, RoleMissing
from marketplace.shared.errors import IllegalTransition, Invalid, NotFound
from procurement.models import Contract
from procurement.permissions import SupplierRecords
from procurement.queries import deliveries as queries
from procurement.rules.lifecycle import ContractStatus, DeliveryStatus
from procurement.services import deliveries as service
from procurement.services.delivery_checks import Accepted
from procurement.services.once import IdempotencyKeyReused
from tests.factories.at_once import at_the_same_time
from tests.factories.contracts import signed_contract
from tests.factories.deliveries import came, confirmed, items, recorded, returned
from tests.factories.marketplace import HeadingFactory, accredited_buyer, accredited_supplier, member

SIGNED = datetime(2026, 5, 1, 12, tzinfo=UTC)
AT = datetime(2026, 6, 1, 12, tzinfo=UTC)
MAY, LATE_MAY = date(2026, 5, 10), date(2026, 5, 20)


def made(status: ContractStatus = ContractStatus.ACTIVE) -> Contract:
    """Ten of each of two items, for 100 and 300."""
    lines = {HeadingFactory.create(): "100", HeadingFactory.create(): "300"}
    return signed_contract(
        accredited_buyer(), accredited_supplier(), lines, signed_at=SIGNED, status=status, quantity="10"
    )


@pytest.fixture(name="contract")
def contract_fixture(db: None) -> Contract:
    return made()


def states(contract: Contract) -> list[tuple[int, int]]:
    """By position: accepted and kept, and waiting."""
    return [(int(row.state.accepted), int(row.state.waiting)) for row in queries.positions(contract)]


def told(actor: Actor) -> list[str]:
    return list(Notification.objects.filter(person=actor.person).values_list("kind", flat=True))


def test_a_delivery_is_recorded_once_confirmed_in_part_and_both_sides_are_told(contract: Contract) -> None:
    supplier, buyer = member(contract.supplier), member(contract.buyer, Role.OFFICER)
    first, second = items(contract)
    sent = came(contract, MAY, "4", "2")
    delivery = service.record(contract.pk, sent, key="k", by=supplier, at=AT)
    assert service.record(contract.pk, sent, key="k", by=supplier, at=AT) == delivery
    for other in (came(contract, MAY, "5"), replace(sent, remark="Two parcels")):
        with pytest.raises(IdempotencyKeyReused):
            service.record(contract.pk, other, key="k", by=supplier, at=AT)
    assert states(contract) == [(0, 4), (0, 2)]
    with pytest.raises(service.OwnRecord):
        service.confirm(delivery.pk, Accepted({first.pk: Decimal(4), second.pk: Decimal(2)}), by=supplier, at=AT)
    part = {first.pk: Decimal(3), second.pk: Decimal(2)}
    with pytest.raises(Invalid) as refused:
        service.confirm(delivery.pk, Accepted(part), by=buyer, at=AT)
    assert set(refused.value.errors) == {f"why_{first.pk}"}
    done = service.confirm(delivery.pk, Accepted(part, {first.pk: "One is broken"}), by=buyer, at=AT)
    assert (done.status, states(contract)) == (DeliveryStatus.CONFIRMED, [(3, 0), (2, 0)])
    # A second click is the first; somebody else, or another quantity, comes too late.
    assert service.confirm(delivery.pk, Accepted(part, {first.pk: "One is broken"}), by=buyer, at=AT) == done
    why = {first.pk: "One is broken", second.pk: "One is broken"}
    for others, by in ((part | {second.pk: Decimal(1)}, buyer), (part, member(contract.buyer))):
        with pytest.raises(IllegalTransition):
            service.confirm(delivery.pk, Accepted(others, why), by=by, at=AT)
    contract.refresh_from_db()
    assert contract.deliveries_version == 1
    for act in (service.reject, service.cancel):
        with pytest.raises(IllegalTransition):
            act(delivery.pk, "Too late", by=buyer, at=AT)
    assert (told(buyer), told(supplier)) == (["delivery_recorded"], ["delivery_confirmed"])
    trail = AuditRecord.objects.filter(stream=f"tender:{contract.tender_id}", object_type="delivery")
    assert list(trail.order_by("number").values_list("action", flat=True)) == [
        "delivery.recorded",
        "delivery.confirmed",
    ]


def test_more_than_ordered_takes_the_buyers_agreement(contract: Contract) -> None:
    Contract.objects.filter(pk=contract.pk).update(delivery_tolerance=Decimal(10))
    recorded(contract, MAY, "8", at=AT)
    with pytest.raises(service.MoreThanOrdered):
        recorded(contract, MAY, "4", at=AT)
    recorded(contract, MAY, "3", at=AT)  # ten and one of tolerance
    more = recorded(contract, MAY, "2", at=AT, more=True)
    buyer = member(contract.buyer)
    first = items(contract)[0].pk
    rest = list(contract.deliveries.exclude(pk=more.pk))
    for one in rest:
        service.confirm(one.pk, Accepted({first: one.lines.get().quantity}), by=buyer, at=AT)
    with pytest.raises(service.MoreNotAgreed):
        service.confirm(more.pk, Accepted({first: Decimal(2)}), by=buyer, at=AT)
    assert service.confirm(more.pk, Accepted({first: Decimal(2)}), agrees=True, by=buyer, at=AT).more_agreed
    assert states(contract)[0] == (13, 0)


def test_a_rejected_or_cancelled_delivery_leaves_room_again(contract: Contract) -> None:
    buyer, supplier = member(contract.buyer), member(contract.supplier)
    rejected, cancelled = recorded(contract, MAY, "10", at=AT), recorded(contract, MAY, "0", "10", at=AT)
    with pytest.raises(Invalid):
        service.reject(rejected.pk, " ", by=buyer, at=AT)
    assert service.reject(rejected.pk, "Not what was ordered", by=buyer, at=AT).reason == "Not what was ordered"
    service.cancel(cancelled.pk, "Typed twice", by=supplier, at=AT)
    # Sent twice, each is done once.
    assert service.reject(rejected.pk, "Not what was ordered", by=buyer, at=AT).status == DeliveryStatus.REJECTED
    assert service.cancel(cancelled.pk, "Typed twice", by=supplier, at=AT).status == DeliveryStatus.CANCELLED
    with pytest.raises(IllegalTransition):
        service.reject(rejected.pk, "Another reason", by=buyer, at=AT)
    assert states(contract) == [(0, 0), (0, 0)]
    recorded(contract, MAY, "10", "10", at=AT)
    contract.refresh_from_db()
    assert contract.deliveries_version == 0


def test_what_was_confirmed_goes_back_by_a_return_that_the_other_side_confirms(contract: Contract) -> None:
    delivery = confirmed(contract, MAY, "6", "2", at=AT)
    assert returned(delivery, LATE_MAY, "4", at=AT).status == DeliveryStatus.CONFIRMED
    assert states(contract) == [(2, 0), (2, 0)]
    for day, quantity, wrong in ((LATE_MAY, "3", "quantity"), (date(2026, 5, 9), "1", "delivered_on")):
        with pytest.raises(Invalid) as refused:
            returned(delivery, day, quantity, at=AT)
        assert [name.partition("_")[0] for name in refused.value.errors] == [wrong.partition("_")[0]]
    waiting = recorded(contract, MAY, "1", at=AT)
    with pytest.raises(service.NotConfirmed):
        returned(waiting, LATE_MAY, "1", at=AT)
    contract.refresh_from_db()
    assert contract.deliveries_version == 2


def test_wrong_days_quantities_and_people_are_refused(contract: Contract) -> None:
    for day in (date(2026, 4, 30), date(2026, 6, 2)):
        with pytest.raises(Invalid) as refused:
            recorded(contract, day, "1", at=AT)
        assert set(refused.value.errors) == {"delivered_on"}
    with pytest.raises(Invalid) as refused:
        recorded(contract, MAY, "-1", "0.00001", at=AT)
    assert len(refused.value.errors) == 2
    other = made()
    with pytest.raises(Invalid):
        service.record(contract.pk, came(other, MAY, "1"), key="o", by=member(contract.supplier), at=AT)
    with pytest.raises(SupplierRecords):
        recorded(contract, MAY, "1", at=AT, by=member(contract.buyer))
    with pytest.raises(RoleMissing):
        recorded(contract, MAY, "1", at=AT, by=member(contract.supplier, Role.OBSERVER))
    with pytest.raises(NotFound):
        recorded(contract, MAY, "1", at=AT, by=member(other.supplier))
    delivery = recorded(contract, MAY, "1", at=AT)
    for act in (service.reject, service.cancel):
        with pytest.raises(NotFound):
            act(delivery.pk, "Why not", by=member(other.buyer), at=AT)
    with pytest.raises(service.ContractNotInForce):
        recorded(made(ContractStatus.SIGNING), MAY, "1", at=AT)


@pytest.mark.django_db(transaction=True)
def test_of_two_deliveries_at_once_that_are_too_much_together_one_is_refused() -> None:
    contract = made()
    one, two = member(contract.supplier), member(contract.supplier)
    answers = at_the_same_time(
        lambda: recorded(contract, MAY, "6", at=AT, by=one), lambda: recorded(contract, MAY, "6", at=AT, by=two)
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["Delivery", "MoreThanOrdered"]
    assert states(contract)[0] == (0, 6)


@pytest.mark.django_db(transaction=True)
def test_a_delivery_is_confirmed_or_cancelled_but_never_both() -> None:
    contract = made()
    delivery, buyer, supplier = recorded(contract, MAY, "6", at=AT), member(contract.buyer), member(contract.supplier)
    accepted = Accepted({items(contract)[0].pk: Decimal(6)})
    answers = at_the_same_time(
        lambda: service.confirm(delivery.pk, accepted, by=buyer, at=AT),
        lambda: service.cancel(delivery.pk, "A mistake", by=supplier, at=AT),
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["Delivery", "IllegalTransition"]
    delivery.refresh_from_db()
    assert states(contract)[0] == ((6, 0) if delivery.status == DeliveryStatus.CONFIRMED else (0, 0))


@pytest.mark.django_db(transaction=True)
def test_of_two_contracts_one_gets_the_key_that_both_are_sent_with_at_once() -> None:
    contract = made()
    lines = {HeadingFactory.create(): "100"}
    other = signed_contract(accredited_buyer(), contract.supplier, lines, signed_at=SIGNED, quantity="10")
    supplier = member(contract.supplier)
    answers = at_the_same_time(
        lambda: service.record(contract.pk, came(contract, MAY, "1"), key="k", by=supplier, at=AT),
        lambda: service.record(other.pk, came(other, MAY, "1"), key="k", by=supplier, at=AT),
    )
    assert sorted(type(answer).__name__ for answer in answers) == ["Delivery", "IdempotencyKeyReused"]
