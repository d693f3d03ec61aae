"""Who takes part in a customer's decision, and what they object to."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from analytics.models import Contact, GroupMember, Objection
from analytics.rules.pipeline import BuyingRole
from analytics.services.opportunities import locked, locked_open, record, save
from marketplace.permissions import Actor
from marketplace.shared.errors import DomainError, Invalid, NotFound

OBJECTIONS_MAX: Final = 100


class TooManyObjections(DomainError):
    code = "too_many_objections"
    sentence = gettext_lazy("%(n)s objections are written down already. Answer some of them first.")


@transaction.atomic
def put(opportunity_id: int, contact_id: int, role: BuyingRole, *, by: Actor, at: datetime) -> GroupMember:
    """A contact of the account takes this part in the decision. Raises NotFound, AnothersOpportunity, Invalid."""
    opportunity = locked(opportunity_id, by=by)
    contact = Contact.objects.filter(pk=contact_id, account=opportunity.account_id, removed_at=None).first()
    if contact is None:
        raise Invalid({"contact": [_("Choose one of the account’s contacts.")]})
    member, _new = GroupMember.objects.update_or_create(
        opportunity=opportunity, contact=contact, defaults={"role": role.value}
    )
    save(opportunity)
    record("buying_group.changed", opportunity, by=by, at=at, contact=contact.pk, role=role.value)
    return member


@transaction.atomic
def take_out(opportunity_id: int, contact_id: int, *, by: Actor, at: datetime) -> None:
    """The contact takes no part in this decision, or none any more. Raises NotFound, AnothersOpportunity."""
    opportunity = locked(opportunity_id, by=by)
    gone, _rows = opportunity.group.filter(contact=contact_id).delete()
    if not gone:
        if not Contact.objects.filter(pk=contact_id, account=opportunity.account_id).exists():
            raise NotFound
        return
    save(opportunity)
    record("buying_group.changed", opportunity, by=by, at=at, contact=contact_id, role="")


@transaction.atomic
def object_to(opportunity_id: int, text: str, *, by: Actor, at: datetime) -> Objection:
    """Write an objection down, once. Raises NotFound, AnothersOpportunity, NotOpen, TooManyObjections, Invalid."""
    opportunity = locked_open(opportunity_id, by=by)
    if known := opportunity.objections.filter(text=text.strip(), answered_at=None).first():
        return known
    if opportunity.objections.count() >= OBJECTIONS_MAX:
        raise TooManyObjections(n=OBJECTIONS_MAX)
    objection = Objection.objects.create(opportunity=opportunity, text=_text(text, "objection"), created_at=at)
    save(opportunity)
    record("objection.raised", opportunity, by=by, at=at, objection=objection.pk)
    return objection


@transaction.atomic
def answer(objection_id: int, text: str, *, by: Actor, at: datetime) -> Objection:
    """Write down what was answered. Raises NotFound, AnothersOpportunity, NotOpen, Invalid."""
    opportunity_id = Objection.objects.filter(pk=objection_id).values_list("opportunity", flat=True).first()
    if opportunity_id is None:
        raise NotFound
    opportunity = locked_open(opportunity_id, by=by)
    objection = Objection.objects.select_for_update().get(pk=objection_id)
    if objection.answered_at is not None and objection.answer == text.strip():  # sent twice
        return objection
    objection.answer, objection.answered_at = _text(text, "answer"), at
    objection.save(update_fields=["answer", "answered_at"])
    save(opportunity)
    record("objection.answered", opportunity, by=by, at=at, objection=objection.pk)
    return objection


def _text(text: str, field: str) -> str:
    text = text.strip()
    if not text:
        raise Invalid({field: [_("Write it down in a sentence.")]})
    if len(text) > 1000:
        raise Invalid({field: [_("At most %(n)s characters.") % {"n": 1000}]})
    return text
