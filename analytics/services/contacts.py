"""The people at an account."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, validate_email
from django.db import transaction
from django.db.models import QuerySet
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from phonenumber_field.phonenumber import to_python

from analytics.models import Account, Contact
from analytics.permissions import require_seller
from marketplace import audit
from marketplace.permissions import Actor
from marketplace.shared.errors import DomainError, Invalid, NotFound, Sentence, StaleForm

CONTACTS_MAX: Final = 200
_DETAILS: Final = ("name", "position", "email", "phone", "note")


class TooManyContacts(DomainError):
    code = "too_many_contacts"
    sentence = gettext_lazy("An account holds at most %(n)s contacts. Remove those who have left.")


@dataclass(frozen=True, slots=True)
class ContactDetails:
    name: str
    position: str = ""
    email: str = ""
    phone: str = ""
    note: str = ""


@transaction.atomic
def add(account_id: int, details: ContactDetails, *, by: Actor, at: datetime) -> Contact:
    """Add a contact; one who is there already with the same details is the same. Raises NotFound, Invalid,
    TooManyContacts.
    """
    account = lock_account(account_id, by=by)
    require_right(details)
    contact = Contact(account=account, created_at=at)
    _write(contact, details)
    alike = of(account).filter(name=contact.name, email=contact.email)
    if known := alike.filter(phone=contact.phone, position=contact.position, note=contact.note).first():
        return known
    require_room(account)
    contact.save()
    audit.record("contact.added", contact, by=by, at=at, stream=stream_of(account))
    return contact


@transaction.atomic
def change(contact_id: int, details: ContactDetails, *, version: int | None = None, by: Actor, at: datetime) -> Contact:
    """Change a contact's details; `version` is what the form was opened with. Raises NotFound, StaleForm, Invalid."""
    contact = _locked(contact_id, by=by)
    require_right(details)
    before = [getattr(contact, name) for name in _DETAILS]
    _write(contact, details)
    if [getattr(contact, name) for name in _DETAILS] == before:
        return contact
    if version is not None and version != contact.version:
        raise StaleForm
    contact.version += 1
    contact.save(update_fields=[*_DETAILS, "version"])
    audit.record("contact.changed", contact, by=by, at=at, stream=stream_of(contact.account))
    return contact


@transaction.atomic
def remove(contact_id: int, *, by: Actor, at: datetime) -> None:
    """Forget a contact's name and address, also where they were known at an account that was merged into this one; the
    steps taken with it stay. Raises NotFound.
    """
    contact = _locked(contact_id, by=by)
    for one in _with_joined(contact):
        _write(one, ContactDetails(name=""))
        one.removed_at, one.version = at, one.version + 1
        one.save(update_fields=[*_DETAILS, "removed_at", "version"])
        one.memberships.all().delete()
    audit.record("contact.removed", contact, by=by, at=at, stream=stream_of(contact.account))


def of(account: Account) -> QuerySet[Contact]:
    """The people at an account who are not removed."""
    return Contact.objects.filter(account=account, removed_at=None, joined_into=None)


def require_room(account: Account, more: int = 1) -> None:
    """Raises TooManyContacts where the account, which the caller has locked, has no room for so many more."""
    if more and of(account).count() + more > CONTACTS_MAX:
        raise TooManyContacts(n=CONTACTS_MAX)


def require_right(details: ContactDetails) -> None:
    """Raises Invalid for a name that is missing, a mail address or a phone number that is none."""
    errors: dict[str, list[Sentence]] = {}
    if not details.name.strip():
        errors["name"] = [_("Give a name.")]
    if details.email.strip():
        try:
            validate_email(details.email.strip())
            MaxLengthValidator(254)(details.email.strip())  # RFC 5321; what the column holds
        except ValidationError:
            errors["email"] = [_("This is no e-mail address.")]
    phone = to_python(details.phone.strip())
    if details.phone.strip() and not (phone and phone.is_valid()):
        errors["phone"] = [_("Give the number with its country code, e.g. +49 30 901820.")]
    if errors:
        raise Invalid(errors)


def lock_account(account_id: int, *, by: Actor) -> Account:
    """The account, or the one that stands for it after a merge, locked; of a book that the actor works in.

    Raises NotFound, and StaleForm where it is merged at this very moment.
    """
    roots = Account.objects.filter(pk=account_id).annotate(root=Coalesce("merged_into_id", "pk"))
    # Rows that name the account are not hindered: whoever writes one may hold what the caller locks next.
    rows = Account.objects.select_for_update(no_key=True, of=("self",)).select_related("book")
    account = rows.filter(pk__in=roots.values("root")).first()
    if account is None:
        raise NotFound
    require_seller(by, account.book)
    if account.merged_into_id is not None:
        raise StaleForm
    return account


def stream_of(account: Account) -> str:
    """The audit trail that everything about an account goes to."""
    return f"account:{account.pk}"


def standing(contact: Contact) -> Contact:
    """The contact, or the one it was joined with when its account was merged."""
    while contact.joined_into is not None:
        contact = contact.joined_into
    return contact


def _locked(contact_id: int, *, by: Actor) -> Contact:
    found = Contact.objects.filter(pk=contact_id, removed_at=None).first()
    if found is None:
        raise NotFound
    found = standing(found)
    lock_account(found.account_id, by=by)
    contact = Contact.objects.select_for_update(of=("self",)).select_related("account").get(pk=found.pk)
    if contact.removed_at is not None:
        raise NotFound
    if contact.joined_into_id is not None:  # its account was merged at this very moment
        raise StaleForm
    return contact


def _with_joined(contact: Contact) -> list[Contact]:
    """The contact with those that were joined with it, and with these in turn."""
    found = [contact]
    for one in found:
        found += one.joined.select_for_update(of=("self",)).order_by("pk")
    return found


def _write(contact: Contact, details: ContactDetails) -> None:
    contact.name = details.name.strip()[:200]
    contact.position = details.position.strip()[:120]
    contact.email = details.email.strip()
    contact.phone = details.phone.strip()
    contact.note = details.note.strip()[:500]
