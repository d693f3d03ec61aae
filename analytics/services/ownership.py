"""Leads and opportunities given to somebody: one by one by a manager, or along with an account; written down each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from analytics.models import Book, Lead, Opportunity, OwnershipDecision, Step
from analytics.permissions import require_manager, works
from analytics.rules.pipeline import LeadState, OpportunityState
from analytics.services.opportunities import ReasonMissing, locked, record, save
from marketplace import audit
from marketplace.models import Person
from marketplace.permissions import Actor, actor_for
from marketplace.services.notifications import notify
from marketplace.shared.errors import Invalid, NotFound


@transaction.atomic
def assign_lead(lead_id: int, to: Person, *, reason: str, by: Actor, at: datetime) -> Lead:
    """A manager gives a lead to somebody, with a reason. They and who had it are told.

    Raises NotFound, ManagerOnly, ReasonMissing, Invalid.
    """
    rows = Lead.objects.select_for_update(of=("self",)).select_related("book", "representative")
    lead = rows.filter(pk=lead_id).first()
    if lead is None:
        raise NotFound
    require_manager(by, lead.book)
    _require_fit(to, lead.book, reason)
    giver = lead.representative
    if giver == to:
        return lead
    lead.representative, lead.touched_at = to, at
    lead.version += 1
    lead.save(update_fields=["representative", "touched_at", "version"])
    OwnershipDecision.objects.create(
        book=lead.book, lead=lead, reason=reason.strip()[:500], winner=to, decided_by=by.person, at=at
    )
    audit.record("lead.assigned", lead, by=by, at=at, to=to.pk, reason=reason.strip()[:500])
    words = _("%(who)s gave you the lead %(company)s.") % {"who": by.person, "company": lead.company}
    notify(to, "lead_assigned", words, lead.get_absolute_url(), at=at)
    words = _("%(who)s gave your lead %(company)s to %(to)s: %(reason)s")
    values = {"who": by.person, "company": lead.company, "to": to, "reason": reason.strip()}
    tell_giver(giver, to, lead.book, "lead_gone", words % values, lead.get_absolute_url(), by=by, at=at)
    return lead


@transaction.atomic
def hand_over(opportunity_id: int, to: Person, *, reason: str, by: Actor, at: datetime) -> Opportunity:
    """A manager gives an opportunity and its next step to a colleague. Both are told. Raises as `assign_lead`."""
    opportunity = locked(opportunity_id, by=by)
    require_manager(by, opportunity.book)
    _require_fit(to, opportunity.book, reason)
    giver = opportunity.representative
    if giver == to:
        return opportunity
    opportunity.representative = to
    save(opportunity, "representative")
    opportunity.steps.filter(done_at=None).update(person=to, reminded_on=None)
    OwnershipDecision.objects.create(
        book=opportunity.book,
        opportunity=opportunity,
        reason=reason.strip()[:500],
        winner=to,
        decided_by=by.person,
        at=at,
    )
    words = _("%(who)s handed “%(title)s” over to you.") % {"who": by.person, "title": opportunity.title}
    url = opportunity.get_absolute_url()
    notify(to, "opportunity_handed_over", words, url, at=at)
    words = _("%(who)s handed your “%(title)s” over to %(to)s: %(reason)s")
    values = {"who": by.person, "title": opportunity.title, "to": to, "reason": reason.strip()}
    tell_giver(giver, to, opportunity.book, "opportunity_gone", words % values, url, by=by, at=at)
    record("opportunity.handed_over", opportunity, by=by, at=at, to=to.pk, reason=reason.strip()[:500])
    return opportunity


def pass_on(givers: Mapping[int, int], heir: Person, reason: str, *, by: Actor, at: datetime) -> int:
    """With accounts that are handed over go the open leads and opportunities of who gives them, next steps included.

    `givers`: who gives, by account; what others work on there stays theirs. The caller holds the accounts' locks.
    Returns how many went.
    """
    decision: dict[str, Any] = {"reason": reason.strip()[:500], "winner": heir, "decided_by": by.person, "at": at}
    decisions = []
    for model, field, are_open in (
        (Lead, "lead", Q(status__in=[LeadState.NEW.value, LeadState.WORKING.value])),
        (Opportunity, "opportunity", Q(status=OpportunityState.OPEN.value)),
    ):
        kept: Any = model._default_manager
        rows = kept.select_for_update(of=("self",)).filter(are_open, account__in=list(givers))
        going: list[Any] = [
            row
            for row in rows.exclude(representative=heir).order_by("pk")
            if row.account_id is not None and row.representative_id == givers[row.account_id]
        ]
        for row in going:
            row.representative, row.version = heir, row.version + 1
            decisions.append(OwnershipDecision(book_id=row.book_id, **{field: row}, **decision))
        kept.bulk_update(going, ["representative", "version"], batch_size=1000)
        if model is Opportunity:
            Step.objects.filter(opportunity__in=going, done_at=None).update(person=heir, reminded_on=None)
    OwnershipDecision.objects.bulk_create(decisions, batch_size=1000)
    return len(decisions)


def tell_giver(
    giver: Person | None, taker: Person | None, book: Book, kind: str, text: str, url: str, *, by: Actor, at: datetime
) -> None:
    """Tell who had it until now that it is another's, unless they did it themselves."""
    if giver is not None and giver not in (taker, by.person):
        tell(giver, book, kind, text, url, at=at)


def tell(person: Person, book: Book, kind: str, text: str, url: str, *, at: datetime) -> None:
    """Notify somebody, unless they no longer work in the book: then its customers are not theirs to know of."""
    if works_in(person, book):
        notify(person, kind, text, url, at=at)


def _require_fit(to: Person, book: Book, reason: str) -> None:
    if not reason.strip():
        raise ReasonMissing(field="reason")
    if not works_in(to, book):
        raise Invalid({"to": [_("%(name)s does not work in this book.") % {"name": to}]})


def works_in(person: Person, book: Book) -> bool:
    """Whether the person works in the book now."""
    try:
        return person.is_active and works(actor_for(person, book.owner), book)
    except NotFound:
        return False
