"""Deliveries on a contract in force: recorded by the supplier, confirmed or rejected by the buyer.

Before that either side may cancel one that is a mistake. What was confirmed stays; it is corrected by a return, which
either side records and the other confirms. Everything happens under the contract's lock. What the same person decides
once more in the same words changes nothing.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Final

from django.db import transaction
from django.db.models import Max
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace import audit
from marketplace.permissions import Actor, person_of
from marketplace.services import notifications
from marketplace.shared.errors import DomainError, NotAllowed, NotFound
from procurement import permissions
from procurement.models import Contract, ContractSide, Delivery, DeliveryKind, DeliveryLine
from procurement.queries import deliveries as queries
from procurement.queries.deliveries import PositionRow
from procurement.rules import deliveries as rules
from procurement.rules.lifecycle import ContractStatus, DeliveryStatus
from procurement.services import delivery_checks as checks
from procurement.services import once, words
from procurement.services.delivery_checks import Accepted, Came
from procurement.services.once import IdempotencyKeyReused
from procurement.services.transitions import move

#: Of one contract: past this somebody's program runs in a circle.
DELIVERIES_MAX: Final = 2000
_IN_FORCE: Final = (ContractStatus.ACTIVE, ContractStatus.COMPLETED)


class ContractNotInForce(DomainError):
    code = "contract_not_in_force"
    sentence = gettext_lazy("Deliveries are recorded on contracts in force. This one is: %(state)s.")


class MoreThanOrdered(DomainError):
    """`items` are the numbers of the positions."""

    code = "more_than_ordered"
    sentence = gettext_lazy(
        "More than was ordered would be delivered at position %(items)s. Record less, or say that the buyer knows: the "
        "buyer has to agree to it."
    )


class MoreNotAgreed(DomainError):
    code = "more_not_agreed"
    sentence = gettext_lazy(
        "More than was ordered would be accepted at position %(items)s. Accept less, or say that you agree to more."
    )


class TooManyDeliveries(DomainError):
    code = "too_many_deliveries"
    sentence = gettext_lazy("A contract takes at most %(n)s deliveries.")


class OwnRecord(NotAllowed):
    code = "own_record"
    sentence = gettext_lazy("Your side recorded this: the other side confirms or rejects it. You can cancel it.")


class NotConfirmed(DomainError):
    code = "delivery_not_confirmed"
    sentence = gettext_lazy("Only a confirmed delivery is corrected by a return. One that is not can be cancelled.")


@transaction.atomic
def record(contract_id: int, came: Came, *, key: str, more: bool = False, by: Actor, at: datetime) -> Delivery:
    """Record a delivery as the supplier. The same key sent again is the same delivery, and changes nothing.

    Beyond the ordered quantity and the contract's tolerance, counting what waits for the buyer, only with `more`: the
    buyer has to agree to it. Raises NotFound, RoleMissing, ContractNotInForce, MoreThanOrdered, Invalid.
    """
    contract = _locked(contract_id)
    permissions.require_delivery_recorder(by, contract)
    known = _known(contract, came, key, by)
    if known is not None:
        return known
    _require_in_force(contract)
    rows = {row.item.pk: row for row in queries.positions(contract)}
    errors = checks.wrong_day(contract, came.delivered_on, at) | checks.wrong_quantities(rows, came.quantities)
    if not came.note_number.strip():
        errors["note_number"] = [_("Give the number of the delivery note.")]
    checks.require_none(errors | checks.wrong_texts(came))
    beyond = [rows[pk] for pk, n in came.quantities.items() if n > rules.room(rows[pk].state, _tolerance(contract))]
    if beyond and not more:
        raise MoreThanOrdered(items=_numbers(beyond))
    delivery = _made(contract, came, key, ContractSide.SUPPLIER, by, at)
    audit.record("delivery.recorded", delivery, by=by, at=at, stream=_stream(contract), **_said(delivery))
    _tell(contract, delivery, "delivery_recorded", _("A delivery on %(contract)s waits for you."), at)
    return delivery


@transaction.atomic
def confirm(delivery_id: int, accepted: Accepted, *, agrees: bool = False, by: Actor, at: datetime) -> Delivery:
    """Confirm what the other side recorded: of a delivery how much is accepted of each line, of a return the whole.

    Beyond the ordered quantity and the tolerance only where the buyer `agrees` to more. Raises NotFound, RoleMissing,
    OwnRecord, IllegalTransition, MoreNotAgreed, Invalid.
    """
    contract, delivery = _to_decide(delivery_id, by)
    lines = list(delivery.lines.select_related("item"))
    if delivery.is_return:
        accepted = Accepted({line.item_id: line.quantity for line in lines})
    if _was_decided(delivery, DeliveryStatus.CONFIRMED, by) and all(_is_accepted(line, accepted) for line in lines):
        return delivery
    move(delivery, DeliveryStatus.CONFIRMED)
    checks.require_none(checks.wrong_acceptance(lines, accepted))
    if not delivery.is_return:
        states = {row.item.pk: row for row in queries.positions(contract)}
        beyond = [
            states[line.item_id]
            for line in lines
            if accepted.quantities[line.item_id] > rules.acceptable(states[line.item_id].state, _tolerance(contract))
        ]
        if beyond and not agrees:
            raise MoreNotAgreed(items=_numbers(beyond))
        delivery.more_agreed = bool(beyond)
    for line in lines:
        line.accepted, line.why = accepted.quantities[line.item_id], _why(line, accepted)
    DeliveryLine.objects.bulk_update(lines, ["accepted", "why"])
    _decided(delivery, by, at, "more_agreed")
    contract.deliveries_version += 1
    contract.save(update_fields=["deliveries_version"])
    in_part = any(line.accepted != line.quantity for line in lines)
    audit.record(
        "delivery.confirmed", delivery, by=by, at=at, stream=_stream(contract), in_part=in_part, **_said(delivery)
    )
    said = _("A delivery on %(contract)s is confirmed.")
    if delivery.is_return:
        said = _("A return on %(contract)s is confirmed.")
    if in_part:
        said = _("A delivery on %(contract)s is confirmed in part.")
    _tell(contract, delivery, "delivery_confirmed", said, at, back=True)
    return delivery


@transaction.atomic
def reject(delivery_id: int, reason: str, *, by: Actor, at: datetime) -> Delivery:
    """Reject what the other side recorded, with a reason. Raises NotFound, RoleMissing, OwnRecord, IllegalTransition,
    Invalid."""
    contract, delivery = _to_decide(delivery_id, by)
    if _was_decided(delivery, DeliveryStatus.REJECTED, by) and delivery.reason == reason.strip():
        return delivery
    move(delivery, DeliveryStatus.REJECTED)
    delivery.reason = checks.reason(reason)
    _decided(delivery, by, at, "reason")
    audit.record("delivery.rejected", delivery, by=by, at=at, stream=_stream(contract), reason=delivery.reason)
    _tell(contract, delivery, "delivery_rejected", _("A delivery on %(contract)s is rejected."), at, back=True)
    return delivery


@transaction.atomic
def cancel(delivery_id: int, reason: str, *, by: Actor, at: datetime) -> Delivery:
    """Cancel one that is a mistake, as either side, before it is confirmed. Raises as `reject`."""
    contract, delivery = _found(delivery_id)
    side = permissions.require_delivery_party(by, contract)
    if _was_decided(delivery, DeliveryStatus.CANCELLED, by) and delivery.reason == reason.strip():
        return delivery
    move(delivery, DeliveryStatus.CANCELLED)
    delivery.reason = checks.reason(reason)
    _decided(delivery, by, at, "reason")
    audit.record("delivery.cancelled", delivery, by=by, at=at, stream=_stream(contract), reason=delivery.reason)
    said = _("A delivery on %(contract)s is cancelled.")
    _tell(contract, delivery, "delivery_cancelled", said, at, back=side != delivery.side)
    return delivery


@transaction.atomic
def give_back(delivery_id: int, came: Came, *, key: str, by: Actor, at: datetime) -> Delivery:
    """Record a return of what was accepted of a confirmed delivery, as either side; the other confirms it.

    Raises NotFound, RoleMissing, ContractNotInForce, NotConfirmed, Invalid.
    """
    contract, delivery = _found(delivery_id)
    side = permissions.require_delivery_party(by, contract)
    known = _known(contract, came, key, by, corrects=delivery)
    if known is not None:
        return known
    _require_in_force(contract)
    if delivery.status != DeliveryStatus.CONFIRMED or delivery.is_return:
        raise NotConfirmed
    left = queries.returnable(delivery)
    errors = checks.wrong_day(contract, came.delivered_on, at, since=delivery.delivered_on)
    errors |= checks.wrong_quantities(left, came.quantities)
    for pk, quantity in came.quantities.items():
        if pk in left and quantity > left[pk]:
            errors[checks.field_of(pk)] = [_("At most %(n)s can go back.") % {"n": words.plain(left[pk])}]
    if not came.remark.strip():
        errors["remark"] = [_("Say why it goes back.")]
    checks.require_none(errors | checks.wrong_texts(came))
    found = _made(contract, came, key, side, by, at, corrects=delivery)
    audit.record("delivery.return_recorded", found, by=by, at=at, stream=_stream(contract), reason=found.remark)
    _tell(contract, found, "return_recorded", _("A return on %(contract)s waits for you."), at)
    return found


def _require_in_force(contract: Contract) -> None:
    if contract.status not in _IN_FORCE or contract.signed_at is None:
        raise ContractNotInForce(state=contract.get_status_display())


def _tolerance(contract: Contract) -> Decimal:
    return contract.delivery_tolerance


def _numbers(rows: list[PositionRow]) -> str:
    return ", ".join(str(row.item.number) for row in sorted(rows, key=lambda row: row.item.number))


# Rows


def _known(contract: Contract, came: Came, key: str, by: Actor, corrects: Delivery | None = None) -> Delivery | None:
    """What was recorded with this key already. Raises IdempotencyKeyReused where it was something else."""
    # The contract's lock keeps nobody from another contract.
    once.hold("deliveries.record", key, by=by)
    found = Delivery.objects.filter(recorded_by=person_of(by), key=key).first()
    if found is None:
        return None
    same = (
        found.contract_id == contract.pk
        and found.corrects_id == (corrects.pk if corrects else None)
        and found.delivered_on == came.delivered_on
        and found.note_number == came.note_number.strip()
        and found.remark == came.remark.strip()
        and dict(found.lines.values_list("item", "quantity")) == dict(came.quantities)
    )
    if not same:
        raise IdempotencyKeyReused
    return found


def _made(
    contract: Contract, came: Came, key: str, side: str, by: Actor, at: datetime, corrects: Delivery | None = None
) -> Delivery:
    last = contract.deliveries.aggregate(last=Max("number"))["last"] or 0
    if last >= DELIVERIES_MAX:
        raise TooManyDeliveries(n=DELIVERIES_MAX)
    delivery = Delivery.objects.create(
        contract=contract,
        number=last + 1,
        kind=DeliveryKind.RETURN if corrects else DeliveryKind.DELIVERY,
        corrects=corrects,
        delivered_on=came.delivered_on,
        note_number=came.note_number.strip(),
        remark=came.remark.strip(),
        side=side,
        recorded_by=person_of(by),
        recorded_at=at,
        key=key,
    )
    DeliveryLine.objects.bulk_create(
        [DeliveryLine(delivery=delivery, item_id=pk, quantity=quantity) for pk, quantity in came.quantities.items()]
    )
    return delivery


def _decided(delivery: Delivery, by: Actor, at: datetime, *fields: str) -> None:
    delivery.decided_by, delivery.decided_at = person_of(by), at
    delivery.save(update_fields=["status", "decided_by", "decided_at", *fields])


def _locked(contract_id: int) -> Contract:
    rows = Contract.objects.select_for_update(no_key=True, of=("self",))
    found = rows.select_related("tender", "buyer", "supplier", "award").filter(pk=contract_id).first()
    if found is None:
        raise NotFound
    return found


def _found(delivery_id: int) -> tuple[Contract, Delivery]:
    """A delivery under its contract's lock."""
    contract_id = Delivery.objects.filter(pk=delivery_id).values_list("contract", flat=True).first()
    if contract_id is None:
        raise NotFound
    contract = _locked(contract_id)
    delivery = Delivery.objects.get(pk=delivery_id)
    delivery.contract = contract
    return contract, delivery


def _to_decide(delivery_id: int, by: Actor) -> tuple[Contract, Delivery]:
    contract, delivery = _found(delivery_id)
    if permissions.require_delivery_party(by, contract) == delivery.side:
        raise OwnRecord
    return contract, delivery


def _was_decided(delivery: Delivery, state: DeliveryStatus, by: Actor) -> bool:
    """Whether this very person has decided so already: a form that was sent twice."""
    return delivery.status == state and delivery.decided_by == by.person


def _is_accepted(line: DeliveryLine, accepted: Accepted) -> bool:
    return line.accepted == accepted.quantities.get(line.item_id) and line.why == _why(line, accepted)


def _why(line: DeliveryLine, accepted: Accepted) -> str:
    """Why less is accepted than came; nothing where all of it is."""
    less = accepted.quantities.get(line.item_id, line.quantity) < line.quantity
    return accepted.why.get(line.item_id, "").strip() if less else ""


def _said(delivery: Delivery) -> dict[str, object]:
    return {"number": delivery.number, "on": words.day(delivery.delivered_on), "note": delivery.note_number}


def _tell(contract: Contract, delivery: Delivery, kind: str, text: str, at: datetime, *, back: bool = False) -> None:
    """The side that did not record it; with `back` the one that did."""
    to_supplier = (delivery.side == ContractSide.SUPPLIER) == back
    organisation = contract.supplier if to_supplier else contract.buyer
    roles = permissions.DELIVERS if to_supplier else permissions.RECEIVES
    notifications.notify(
        organisation, kind, text % {"contract": contract.number}, delivery.get_absolute_url(), at=at, roles=roles
    )


def _stream(contract: Contract) -> str:
    return f"tender:{contract.tender_id}"
