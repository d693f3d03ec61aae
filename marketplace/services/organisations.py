"""What an organisation says about itself: names, registration numbers, addresses, headings.

The same writers serve the registration's draft and the registered organisation. Every change raises `version`: what is
signed names it, and a form opened before the change is told what changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Final

from django.db import IntegrityError, transaction
from django.utils.translation import gettext_lazy as _

from marketplace import audit, countries, identifiers
from marketplace.models import (
    Address,
    AddressKind,
    AuditRecord,
    Heading,
    Organisation,
    OrganisationIdentifier,
    OrganisationStatus,
    Role,
)
from marketplace.permissions import Actor, require_role
from marketplace.shared.errors import DomainError, Invalid, Sentence, StaleForm

HEADINGS_MAX: Final = 60
_CHANGED: Final = "organisation_changed"
#: What a page calls each part of an organisation's details.
WORDS: Final[Mapping[str, Sentence]] = {
    "country": _("country"),
    "legal_form": _("legal form"),
    "full_name": _("full name"),
    "short_name": _("short name"),
    "email": _("e-mail"),
    "phone": _("phone"),
    "website": _("website"),
    "is_buyer": _("buys"),
    "is_supplier": _("supplies"),
    "identifiers": _("registration numbers"),
    "addresses": _("addresses"),
    "headings_offered": _("what it offers"),
    "headings_consumed": _("what it buys"),
}
NO_SIDE: Final = _("Say whether your organisation buys, supplies, or both.")
TAKEN: Final = _(
    "An organisation with this number is registered already. Ask one of its administrators to invite you;"
    " if you think that somebody registered it without right, write to the operator."
)


class RegisteredNumberFixed(DomainError):
    code = "registered_number_fixed"
    sentence = _(
        "A registered number cannot be changed: it is in your signatures. Another number is another organisation."
    )


class TooManyHeadings(DomainError):
    code = "too_many_headings"
    status = 422
    sentence = _("Choose at most %(limit)s headings. A heading includes everything below it.")


@dataclass(frozen=True, slots=True)
class Requisites:
    """Who the organisation is. `identifiers`: number by scheme, as typed."""

    country: str
    full_name: str
    short_name: str
    legal_form: str = ""
    email: str = ""
    phone: str = ""
    website: str = ""
    is_buyer: bool = False
    is_supplier: bool = False
    identifiers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AddressDetails:
    country: str
    city: str
    street: str
    region: str = ""
    postal_code: str = ""


@transaction.atomic
def save_requisites(
    organisation_id: int, requisites: Requisites, *, version: int, by: Actor, at: datetime
) -> Organisation:
    """Write names, sides and numbers. Raises Invalid (by field), RegisteredNumberFixed, StaleForm."""
    organisation = locked(organisation_id, version=version, by=by)
    write_requisites(organisation, requisites, by=by, at=at)
    return organisation


@transaction.atomic
def save_addresses(
    organisation_id: int, addresses: Mapping[AddressKind, AddressDetails], *, version: int, by: Actor, at: datetime
) -> Organisation:
    """Write the addresses given, by kind; a kind that is not given is removed. Raises StaleForm."""
    organisation = locked(organisation_id, version=version, by=by)
    before = {a.kind: _address_values(a) for a in organisation.addresses.all()}
    after = {kind.value: asdict(details) for kind, details in addresses.items()}
    if before == after:
        return organisation
    organisation.addresses.exclude(kind__in=after).delete()
    for kind, values in after.items():
        Address.objects.update_or_create(organisation=organisation, kind=kind, defaults=values)
    _raise_version(organisation, {"addresses": [_in_words(before), _in_words(after)]}, by, at)
    return organisation


@transaction.atomic
def save_headings(
    organisation_id: int, *, offered: Iterable[int], consumed: Iterable[int], version: int, by: Actor, at: datetime
) -> Organisation:
    """What the organisation sells and buys, as ids of headings. Raises TooManyHeadings, StaleForm."""
    organisation = locked(organisation_id, version=version, by=by)
    changes: dict[str, list[Any]] = {}
    for name, wanted in (("headings_offered", offered), ("headings_consumed", consumed)):
        relation = getattr(organisation, name)
        headings = list(Heading.objects.filter(pk__in=set(wanted)))
        if len(headings) > HEADINGS_MAX:
            raise TooManyHeadings(field=name, limit=HEADINGS_MAX)
        before = sorted(relation.values_list("code", flat=True))
        after = sorted(heading.code for heading in headings)
        if before != after:
            relation.set(headings)
            changes[name] = [before, after]
    if changes:
        _raise_version(organisation, changes, by, at)
    return organisation


@transaction.atomic
def save_places_and_headings(
    organisation_id: int,
    addresses: Mapping[AddressKind, AddressDetails],
    *,
    offered: Iterable[int],
    consumed: Iterable[int],
    version: int,
    by: Actor,
    at: datetime,
) -> Organisation:
    """Both or neither: the registration asks for them on one page."""
    saved = save_addresses(organisation_id, addresses, version=version, by=by, at=at)
    return save_headings(organisation_id, offered=offered, consumed=consumed, version=saved.version, by=by, at=at)


def locked(organisation_id: int, *, version: int, by: Actor) -> Organisation:
    """The organisation under its lock, for its administrator, unchanged since `version`. Raises StaleForm."""
    require_role(by, organisation_id, Role.ADMINISTRATOR)
    organisation = Organisation.objects.select_for_update(no_key=True).get(pk=organisation_id)
    if organisation.version != version:
        raise StaleForm(changes_since(organisation, version))
    return organisation


def changes_since(organisation: Organisation, version: int) -> list[Sentence]:
    """What was changed after `version`, and by whom, in sentences."""
    records = AuditRecord.objects.filter(
        stream=f"organisation:{organisation.pk}", action=_CHANGED, details__version__gt=version
    ).select_related("person")
    return [
        _("%(person)s changed: %(fields)s.")
        % {"person": record.person, "fields": ", ".join(str(WORDS.get(f, f)) for f in record.details["changed"])}
        for record in records
    ]


def write_requisites(organisation: Organisation, requisites: Requisites, *, by: Actor, at: datetime) -> None:
    """Write to a locked organisation; nothing where nothing differs."""
    numbers = _checked(requisites)
    values = {name: value for name, value in asdict(requisites).items() if name != "identifiers"}
    before = {name: getattr(organisation, name) for name in values}
    changes = {name: [before[name], value] for name, value in values.items() if before[name] != value}
    held = {number.scheme: number.value for number in organisation.identifiers.all()}
    if held != numbers:
        _require_changeable(organisation, held, numbers)
        _claim(organisation, requisites.country, numbers)
        changes["identifiers"] = [held, numbers]
    if not changes:
        return
    for name, value in values.items():
        setattr(organisation, name, value)
    organisation.save(update_fields=[*values, "updated_at"])
    _raise_version(organisation, changes, by, at)


def _checked(requisites: Requisites) -> dict[str, str]:
    """The normalised numbers. Raises Invalid with every field that is wrong."""
    errors: dict[str, list[Sentence]] = {}
    if requisites.country not in countries.CODES:
        raise Invalid({"country": [_("Choose a country from the list.")]})
    for name in ("full_name", "short_name"):
        if not getattr(requisites, name).strip():
            errors[name] = [_("Enter the name.")]
    if not (requisites.is_buyer or requisites.is_supplier):
        errors["is_buyer"] = [NO_SIDE]
    numbers, wrong = identifiers.check(requisites.country, requisites.identifiers)
    errors |= {identifier_field(scheme): [sentence] for scheme, sentence in wrong.items()}
    if errors:
        raise Invalid(errors)
    return numbers


def identifier_field(scheme: str) -> str:
    """The name of a number's field in forms and refusals."""
    return f"identifier_{scheme}"


def _require_changeable(organisation: Organisation, held: Mapping[str, str], numbers: Mapping[str, str]) -> None:
    """Signatures name the registered numbers: they stay. A KPP follows the address; a missing number may be added."""
    if organisation.status == OrganisationStatus.DRAFT:
        return
    for scheme, value in held.items():
        if scheme not in identifiers.NOT_IDENTIFYING and numbers.get(scheme) != value:
            raise RegisteredNumberFixed(field=identifier_field(scheme))


def _claim(organisation: Organisation, country: str, numbers: Mapping[str, str]) -> None:
    """Write the numbers. One that another's unfinished registration holds is taken from it: drafts reserve nothing."""
    errors: dict[str, list[Sentence]] = {}
    for scheme, value in numbers.items():
        if scheme in identifiers.NOT_IDENTIFYING:
            continue
        others = OrganisationIdentifier.objects.select_for_update(of=("self",)).select_related("organisation")
        for other in others.filter(country=country, scheme=scheme, value=value).exclude(organisation=organisation):
            if other.organisation.status == OrganisationStatus.DRAFT:
                other.delete()
            else:
                errors[identifier_field(scheme)] = [TAKEN]
    if errors:
        raise Invalid(errors)
    try:
        with transaction.atomic():
            organisation.identifiers.all().delete()
            OrganisationIdentifier.objects.bulk_create(
                OrganisationIdentifier(organisation=organisation, country=country, scheme=scheme, value=value)
                for scheme, value in numbers.items()
            )
    except IntegrityError as error:  # somebody wrote the same number between our look and our write
        raise Invalid({identifier_field(next(iter(numbers))): [TAKEN]}) from error


def _raise_version(organisation: Organisation, changes: Mapping[str, list[Any]], by: Actor, at: datetime) -> None:
    organisation.version += 1
    organisation.save(update_fields=["version", "updated_at"])
    audit.record(
        _CHANGED, organisation, by=by, at=at, version=organisation.version, changed=list(changes), values=dict(changes)
    )


def _in_words(addresses: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    return {kind: str(Address(**values)) for kind, values in addresses.items()}


def _address_values(address: Address) -> dict[str, str]:
    return {name: getattr(address, name) for name in ("country", "city", "street", "region", "postal_code")}
