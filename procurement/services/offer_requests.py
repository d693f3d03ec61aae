"""Requests for an offer: asked of a supplier or of the platform, taken up, answered, declined or withdrawn.

Whoever keeps a pipeline for the one who is asked takes note of every change by `heard`. A job tells at once; what is
lost on the way stays unheard, and is found. What the same person does once more in the same words changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from phonenumber_field.phonenumber import to_python

from marketplace import audit
from marketplace.models import Heading, Membership, Organisation, OrganisationStatus, Person, Role, StaffRole
from marketplace.permissions import Actor, actor_for, person_of
from marketplace.services.notifications import notify, notify_staff
from marketplace.shared import jobs
from marketplace.shared.errors import DomainError, Invalid, NotAllowed, NotFound, Sentence
from marketplace.shared.money import DECIMAL_PLACES, MAX_DIGITS, Money, is_currency
from procurement import permissions
from procurement.models import ContactBy, OfferRequest, units
from procurement.rules.lifecycle import RequestStatus
from procurement.services import once
from procurement.services.once import IdempotencyKeyReused
from procurement.services.transitions import move

NEED_MIN, NEED_MAX, ANSWER_MAX, REASON_MAX = 10, 1500, 4000, 1000
#: What one organisation may ask on one day (UTC) of all, and of one supplier before it has reacted to any.
A_DAY: Final = 20
WAITING_MAX: Final = 3
AHEAD: Final = timedelta(days=5 * 365)
QUANTITY_MOST: Final = Decimal(10) ** 12
_FOUR_PLACES: Final = Decimal(1).scaleb(-DECIMAL_PLACES)
# Whoever keeps the pipeline; a name, as nothing below knows what stands above.
_TOLD: Final = "analytics.tasks.hear_request"


class TooManyRequests(DomainError):
    code, status = "too_many_requests", 429
    sentence = gettext_lazy("Your organisation has asked for %(n)s offers today. Ask again tomorrow.")


class RequestsWait(DomainError):
    code = "requests_wait"
    sentence = gettext_lazy(
        "%(n)s requests of your organisation wait for an answer there. Withdraw one, or let them be answered first."
    )


class NoSupplier(DomainError):
    code = "not_a_supplier_now"
    sentence = gettext_lazy("This organisation does not sell here now.")


class OwnOrganisation(NotAllowed):
    code = "own_organisation"
    sentence = gettext_lazy("This is your own organisation.")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for. `supplier_id` None asks the platform; a budget has its currency, a quantity its unit."""

    supplier_id: int | None
    need: str
    wanted_by: date
    category: Heading | None = None
    quantity: Decimal | None = None
    unit: str = ""
    budget: Decimal | None = None
    currency: str = ""
    contact_by: str = ContactBy.EMAIL.value
    phone: str = ""


@transaction.atomic
def ask(wanted: Wanted, *, key: str, by: Actor, at: datetime) -> OfferRequest:
    """Ask for an offer. The same key sent again is the same request, and changes nothing.

    Raises NotFound, NotAllowed, OwnOrganisation, NoSupplier, TooManyRequests, RequestsWait, Invalid and
    IdempotencyKeyReused.
    """
    asker = permissions.require_offer_asked(by)
    # One at a time for one organisation: two at once would both be the last of the day.
    Organisation.objects.select_for_update(no_key=True).get(pk=asker.pk)
    values = _values(wanted, _supplier(wanted, asker), at)
    once.hold("offer_requests.ask", key, by=by)
    known = OfferRequest.objects.filter(asked_by=person_of(by), key=key).first()
    if known is not None:
        if known.asker_id != asker.pk or any(getattr(known, name) != value for name, value in values.items()):
            raise IdempotencyKeyReused
        return known
    _require_room(asker, wanted.supplier_id, at)
    request = OfferRequest.objects.create(
        asker=asker, asked_by=person_of(by), key=key, created_at=at, changed_at=at, **values
    )
    audit.record("offer.asked", request, by=by, at=at, supplier=wanted.supplier_id)
    words = _("%(who)s asks for an offer.") % {"who": asker.short_name}
    url = request.get_absolute_url()
    if request.supplier is None:
        notify_staff([StaffRole.REPRESENTATIVE, StaffRole.SALES_MANAGER], "offer_asked", words, url, at=at)
    else:
        notify(request.supplier, "offer_asked", words, url, at=at, roles=permissions.SELLING_ROLES)
    jobs.enqueue(_TOLD, request.pk)
    return request


@transaction.atomic
def withdraw(request_id: int, *, by: Actor, at: datetime) -> OfferRequest:
    """Take the own request back, until it is answered. Raises NotFound, NotAllowed, IllegalTransition."""
    request = _locked(request_id)
    permissions.require_offer_asker(by, request)
    if request.status == RequestStatus.WITHDRAWN:
        return request
    _move(request, RequestStatus.WITHDRAWN, at)
    request.save(update_fields=_CHANGED)
    audit.record("offer.withdrawn", request, by=by, at=at)
    words = _("%(who)s has withdrawn the request for an offer.") % {"who": request.asker.short_name}
    if request.handled_by is not None:
        _tell_handler(request, request.handled_by, words, at)
    return request


@transaction.atomic
def take_up(request_id: int, *, by: Actor, at: datetime) -> OfferRequest:
    """Say that somebody is at it; also where it was declined before. Raises NotFound, NotAllowed, IllegalTransition."""
    request = _to_handle(request_id, by)
    if _was_done(request, RequestStatus.TAKEN_UP, by):
        return request
    _move(request, RequestStatus.TAKEN_UP, at)
    request.handled_by, request.declined_because = person_of(by), ""
    request.save(update_fields=[*_CHANGED, "handled_by", "declined_because"])
    audit.record("offer.taken_up", request, by=by, at=at)
    _tell_asker(request, _("%(who)s has taken up your request for an offer.") % {"who": _asked(request)}, at)
    return request


@transaction.atomic
def answer(request_id: int, text: str, *, by: Actor, at: datetime) -> OfferRequest:
    """Answer the request. Raises NotFound, NotAllowed, IllegalTransition, Invalid."""
    request = _to_handle(request_id, by)
    said = _said("answer", text, ANSWER_MAX)
    if _was_done(request, RequestStatus.ANSWERED, by) and request.answer == said:
        return request
    _move(request, RequestStatus.ANSWERED, at)
    request.handled_by, request.answer = person_of(by), said
    request.save(update_fields=[*_CHANGED, "handled_by", "answer"])
    audit.record("offer.answered", request, by=by, at=at)
    _tell_asker(request, _("%(who)s has answered your request for an offer.") % {"who": _asked(request)}, at)
    return request


@transaction.atomic
def decline(request_id: int, because: str, *, by: Actor, at: datetime) -> OfferRequest:
    """Decline the request with a reason, which the asker reads. Raises NotFound, NotAllowed, IllegalTransition,
    Invalid."""
    request = _to_handle(request_id, by)
    said = _said("because", because, REASON_MAX)
    if _was_done(request, RequestStatus.DECLINED, by) and request.declined_because == said:
        return request
    _move(request, RequestStatus.DECLINED, at)
    request.handled_by, request.declined_because = person_of(by), said
    request.save(update_fields=[*_CHANGED, "handled_by", "declined_because"])
    audit.record("offer.declined", request, by=by, at=at)
    _tell_asker(request, _("%(who)s has declined your request for an offer.") % {"who": _asked(request)}, at)
    return request


def hear(request_id: int) -> OfferRequest | None:
    """The request, locked, where something happened to it that was not taken note of; else None.

    The caller does so in its transaction and then calls `heard`.
    """
    request = _locked(request_id)
    return None if request.heard else request


def heard(request: OfferRequest) -> None:
    """All that happened to the request, which the caller has locked, was taken note of."""
    request.heard = True
    request.save(update_fields=["heard"])


def put_off(request_id: int, changed_at: datetime, *, until: datetime) -> None:
    """It could not be heard: not again before `until`, unless something has happened to it since `changed_at`."""
    OfferRequest.objects.filter(pk=request_id, changed_at=changed_at, heard=False).update(hear_after=until)


def _require_room(asker: Organisation, supplier_id: int | None, at: datetime) -> None:
    midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    own = OfferRequest.objects.filter(asker=asker)
    if own.filter(created_at__gte=midnight, created_at__lt=midnight + timedelta(days=1)).count() >= A_DAY:
        raise TooManyRequests(n=A_DAY)
    if own.filter(supplier=supplier_id, status=RequestStatus.SENT.value).count() >= WAITING_MAX:
        raise RequestsWait(n=WAITING_MAX)


def _supplier(wanted: Wanted, asker: Organisation) -> Organisation | None:
    if wanted.supplier_id is None:
        return None
    if wanted.supplier_id == asker.pk:
        raise OwnOrganisation
    found = Organisation.objects.exclude(status=OrganisationStatus.DRAFT).filter(pk=wanted.supplier_id).first()
    if found is None:
        raise NotFound
    if not found.is_supplier or found.status != OrganisationStatus.REGISTERED:
        raise NoSupplier
    return found


def _values(wanted: Wanted, supplier: Organisation | None, at: datetime) -> dict[str, Any]:
    """The columns of what is wanted. Raises Invalid with everything that is wrong."""
    errors: dict[str, list[Sentence]] = {}
    need = wanted.need.replace("\r\n", "\n").strip()
    if len(need) < NEED_MIN:
        errors["need"] = [_("Write a whole sentence, at least %(n)s characters.") % {"n": NEED_MIN}]
    elif len(need) > NEED_MAX:
        errors["need"] = [_("At most %(n)s characters.") % {"n": NEED_MAX}]
    # Somewhere it is still yesterday.
    if wanted.wanted_by < (at - timedelta(hours=12)).date():
        errors["wanted_by"] = [_("This day is over.")]
    elif wanted.wanted_by > (at + AHEAD).date():
        errors["wanted_by"] = [_("At most five years ahead.")]
    errors |= _wrong_amounts(wanted)
    if wanted.contact_by not in ContactBy.values:
        errors["contact_by"] = [_("Choose how you would like to be answered.")]
    phone: Any = to_python(wanted.phone) if wanted.phone else ""
    if wanted.phone and not (phone and phone.is_valid()):
        errors["phone"] = [_("Write the number with its country code: +49 30 901820.")]
    elif wanted.contact_by == ContactBy.PHONE and not wanted.phone:
        errors["phone"] = [_("Give the number to be called at.")]
    if errors:
        raise Invalid(errors)
    return {
        "supplier": supplier, "need": need, "wanted_by": wanted.wanted_by, "category": wanted.category,
        "quantity": wanted.quantity, "unit": wanted.unit if wanted.quantity is not None else "",
        "budget": wanted.budget, "currency": wanted.currency if wanted.budget is not None else "",
        "contact_by": wanted.contact_by, "phone": phone,
    }  # fmt: skip


def _wrong_amounts(wanted: Wanted) -> dict[str, list[Sentence]]:
    errors: dict[str, list[Sentence]] = {}
    if wanted.quantity is not None:
        if not 0 < wanted.quantity < QUANTITY_MOST or wanted.quantity % _FOUR_PLACES:
            errors["quantity"] = [_("A number above 0 with at most four decimal places.")]
        if wanted.unit not in units.NAMES:
            errors["unit"] = [_("Choose a unit.")]
    if wanted.budget is not None:
        if not is_currency(wanted.currency):
            errors["currency"] = [_("Choose the budget’s currency.")]
        elif not 0 < wanted.budget < Decimal(10) ** (MAX_DIGITS - DECIMAL_PLACES):
            errors["budget"] = [_("An amount above 0.")]
        elif not Money(wanted.budget, wanted.currency).is_whole:
            errors["budget"] = [_("%(currency)s has no smaller coins.") % {"currency": wanted.currency}]
    return errors


def _said(field: str, text: str, most: int) -> str:
    text = text.replace("\r\n", "\n").strip()
    if not text:
        raise Invalid({field: [_("Write at least a sentence: the one who asked reads it.")]})
    if len(text) > most:
        raise Invalid({field: [_("At most %(n)s characters.") % {"n": most}]})
    return text


_CHANGED: Final = ("status", "changed_at", "version", "heard", "hear_after")


def _move(request: OfferRequest, after: RequestStatus, at: datetime) -> None:
    move(request, after)
    request.changed_at, request.version, request.heard = at, request.version + 1, False
    request.hear_after = None
    jobs.enqueue(_TOLD, request.pk)


def _locked(request_id: int) -> OfferRequest:
    rows = OfferRequest.objects.select_for_update(of=("self",))
    request = rows.select_related("asker", "supplier", "asked_by", "handled_by").filter(pk=request_id).first()
    if request is None:
        raise NotFound
    return request


def _to_handle(request_id: int, by: Actor) -> OfferRequest:
    request = _locked(request_id)
    permissions.require_offer_handled(by, request)
    return request


def _was_done(request: OfferRequest, state: RequestStatus, by: Actor) -> bool:
    """Whether this very person has done it already: a form that was sent twice."""
    return request.status == state and request.handled_by == by.person


def _asked(request: OfferRequest) -> str:
    return request.supplier.short_name if request.supplier is not None else _("Our sales team")


def _tell_handler(request: OfferRequest, person: Person, words: str, at: datetime) -> None:
    """Whoever is at it, while they still may be; else who sells there."""
    kind, url = "offer_withdrawn", request.get_absolute_url()
    try:
        still = permissions.can_handle_offer(actor_for(person, request.supplier), request)
    except NotFound:
        still = False
    if still:
        notify(person, kind, words, url, at=at)
    elif request.supplier is not None:
        notify(request.supplier, kind, words, url, at=at, roles=permissions.SELLING_ROLES)
    else:
        notify_staff([StaffRole.REPRESENTATIVE, StaffRole.SALES_MANAGER], kind, words, url, at=at)


def _tell_asker(request: OfferRequest, words: str, at: datetime) -> None:
    """Whoever asked, while they still belong to the organisation; else its administrators."""
    url = request.get_absolute_url()
    there = Membership.objects.filter(person=request.asked_by, organisation=request.asker, active=True)
    if there.exists():
        notify(request.asked_by, "offer_request", words, url, at=at)
    else:
        notify(request.asker, "offer_request", words, url, at=at, roles=[Role.ADMINISTRATOR])
