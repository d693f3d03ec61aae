"""Who owns a lead or an opportunity: settled by rule where more than one claims it, and written down either way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import date, datetime
from typing import Any, Final

from django.db import transaction
from django.db.models import Min, Q
from django.utils.translation import gettext as _

from analytics.models import Book, Lead, LeadSource, Opportunity, OwnershipDecision, Step, Territory
from analytics.permissions import require_manager, works
from analytics.rules.claims import Claim, owner
from analytics.rules.pipeline import LeadState, OpportunityState
from analytics.services.opportunities import ReasonMissing, locked, record, save
from marketplace import audit
from marketplace.models import Person
from marketplace.permissions import Actor, actor_for
from marketplace.services.notifications import notify
from marketplace.shared.errors import Invalid, NotFound

# Who registers a lead from these has found it; what comes in by itself was found by nobody.
_OWN_WORK: Final = (LeadSource.OWN, LeadSource.CARD, LeadSource.IMPORT)


def settle_lead(lead: Lead, *, by: Actor, at: datetime) -> Person | None:
    """Who owns the lead by rule, logged where more than one has a claim. None where nobody has: a manager assigns."""
    claims = _claims(lead, by=by, at=at)
    found = owner(claims, at.date())
    if found is None:
        return None
    winner = Person.objects.get(pk=found[0])
    if len(claims) > 1:
        OwnershipDecision.objects.create(
            book=lead.book,
            lead=lead,
            rule=found[1].value,
            winner=winner,
            claims=[_as_json(claim) for claim in claims],
            at=at,
        )
    return winner


@transaction.atomic
def assign_lead(lead_id: int, to: Person, *, reason: str, by: Actor, at: datetime) -> Lead:
    """A manager gives a lead to somebody, with a reason. Raises NotFound, ManagerOnly, ReasonMissing, Invalid."""
    rows = Lead.objects.select_for_update(of=("self",)).select_related("book", "representative")
    lead = rows.filter(pk=lead_id).first()
    if lead is None:
        raise NotFound
    require_manager(by, lead.book)
    _require_fit(to, lead.book, reason)
    lead.representative, lead.touched_at = to, at
    lead.version += 1
    lead.save(update_fields=["representative", "touched_at", "version"])
    OwnershipDecision.objects.create(
        book=lead.book, lead=lead, reason=reason.strip()[:500], winner=to, decided_by=by.person, at=at
    )
    audit.record("lead.assigned", lead, by=by, at=at, to=to.pk, reason=reason.strip()[:500])
    words = _("%(who)s gave you the lead %(company)s.") % {"who": by.person, "company": lead.company}
    notify(to, "lead_assigned", words, lead.get_absolute_url(), at=at)
    return lead


@transaction.atomic
def hand_over(opportunity_id: int, to: Person, *, reason: str, by: Actor, at: datetime) -> Opportunity:
    """A manager gives an opportunity and its next step to a colleague. Raises as `assign_lead`."""
    opportunity = locked(opportunity_id, by=by)
    require_manager(by, opportunity.book)
    _require_fit(to, opportunity.book, reason)
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
    notify(to, "opportunity_handed_over", words, opportunity.get_absolute_url(), at=at)
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


def _claims(lead: Lead, *, by: Actor, at: datetime) -> list[Claim]:
    """Everybody with a ground to own the lead, each once."""
    account = lead.account
    grounds: dict[int, Claim] = {}

    def claim(person_id: int | None, **ground: Any) -> None:
        if person_id is not None:
            grounds[person_id] = replace(grounds.get(person_id, Claim(person_id)), **ground)

    if account is not None:
        claim(account.representative_id, owns_account=True)
        working = Opportunity.objects.filter(account=account, status=OpportunityState.OPEN.value).order_by()
        for person_id, since in working.values_list("representative").annotate(since=Min("created_at")):
            claim(person_id, opportunity_since=since.date())
    territory = _territory_of(lead)
    if territory is not None:
        claim(territory.representative_id, owns_territory=True)
    if lead.representative_id is not None:
        claim(lead.representative_id, registered_on=lead.created_at.date(), last_step_on=lead.touched_at.date())
    if by.person is not None and lead.source in _OWN_WORK:
        known = grounds.get(by.person.pk)
        claim(by.person.pk, registered_on=(known and known.registered_on) or at.date())
    return list(grounds.values())


def _territory_of(lead: Lead) -> Territory | None:
    own: Territory | None = lead.account.territory if lead.account else None
    if own is not None:
        return own
    if not lead.country:
        return None
    fitting = Territory.objects.filter(book=lead.book, rule__countries__contains=[lead.country])
    return fitting.order_by("rank", "pk").first()


def _require_fit(to: Person, book: Book, reason: str) -> None:
    if not reason.strip():
        raise ReasonMissing(field="reason")
    try:
        actor = actor_for(to, book.owner)
    except NotFound:
        actor = Actor(None)
    if not works(actor, book):
        raise Invalid({"to": [_("%(name)s does not work in this book.") % {"name": to}]})


def _as_json(claim: Claim) -> dict[str, Any]:
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in asdict(claim).items()}
