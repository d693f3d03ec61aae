"""Opportunities: opened, written, moved through the stages.

Every service here locks the account and then the opportunity, so that two tabs, two representatives or a program and a
person never both decide.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final
from zoneinfo import ZoneInfo

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from analytics.models import Account, Lead, Opportunity, StageMove, Step
from analytics.models.pipeline_names import CRITERION_NAMES, STAGE_NAMES
from analytics.permissions import is_manager
from analytics.queries.pipeline import facts_of
from analytics.rules.pipeline import (
    CONFIRMED,
    STAGES,
    Criterion,
    OpportunityState,
    Stage,
    StepKind,
    add_working_days,
    missing_between,
)
from analytics.rules.qualification import BANT, GPCT, Known
from analytics.services.claims import log_sale, owner_of_sale
from analytics.services.contacts import lock_account, stream_of
from marketplace import audit
from marketplace.models import Person
from marketplace.permissions import Actor, person_of
from marketplace.shared.errors import DomainError, Invalid, NotAllowed, NotFound, Sentence, StaleForm

AMOUNT_MAX: Final = Decimal(10) ** 14
TEXT_MAX: Final = 2000
# The same opened by the same person within so short a time is a form that was sent twice.
SENT_TWICE_WITHIN: Final = timedelta(seconds=30)
# The first thing to do, where nothing else is said.
FIRST_STEP_AFTER: Final = 2
_DETAILS: Final = ("title", "amount", "closes_on", "bant", "gpct")


class AnothersOpportunity(NotAllowed):
    code = "anothers_opportunity"
    sentence = gettext_lazy("%(name)s works on this. Ask for it to be handed over, or leave a note on the account.")


class NotOpen(DomainError):
    code = "opportunity_decided"
    sentence = gettext_lazy("This was decided meanwhile. Take it up again if it goes on.")


class CriteriaMissing(DomainError):
    code = "criteria_missing"
    sentence = gettext_lazy("Before that: %(missing)s.")


class ReasonMissing(DomainError):
    code = "reason_missing"
    sentence = gettext_lazy("Say why.")


@dataclass(frozen=True, slots=True)
class OpportunityDetails:
    """What a person types: money in the opportunity's currency, dates of the representative's calendar."""

    title: str
    amount: Decimal | None = None
    closes_on: date | None = None
    bant: Mapping[str, str] = field(default_factory=dict)
    gpct: Mapping[str, str] = field(default_factory=dict)


@transaction.atomic
def open_for(
    account_id: int,
    details: OpportunityDetails,
    *,
    by: Actor,
    at: datetime,
    lead: Lead | None = None,
    card_id: int | None = None,
    first_step: str = "",
) -> Opportunity:
    """Open an opportunity in the first stage, with a call as the next step; a form sent twice opens one.

    Who has its lead works on it; without a lead the owner is found by the same rule as a lead's, and told.
    Raises NotFound, Invalid.
    """
    account = lock_account(account_id, by=by)
    _require_right(details)
    person = person_of(by)
    owner, claims = owner_of_sale(account, lead, by=by, at=at)
    same = Opportunity.objects.filter(account=account, lead=lead, title=details.title.strip()[:200])
    lately = same.filter(representative=owner, created_at__gt=at - SENT_TWICE_WITHIN, created_at__lte=at)
    if sent_before := lately.first():
        return sent_before
    opportunity = Opportunity(
        book=account.book,
        account=account,
        lead=lead,
        card_id=card_id,
        currency=account.book.currency or settings.DEFAULT_CURRENCY,
        representative=owner,
        created_at=at,
        stage_since=at,
    )
    _write(opportunity, details)
    opportunity.save()
    StageMove.objects.create(opportunity=opportunity, after=opportunity.stage, by=person, at=at)
    plan(opportunity, StepKind.CALL, FIRST_STEP_AFTER, text=first_step, by=by, at=at)
    log_sale(opportunity, claims, by=by, at=at)
    record("opportunity.opened", opportunity, by=by, at=at)
    return opportunity


@transaction.atomic
def change(
    opportunity_id: int, details: OpportunityDetails, *, version: int | None, by: Actor, at: datetime
) -> Opportunity:
    """Write title, money, date and qualification; `version` is what the form was opened with.

    Raises NotFound, AnothersOpportunity, NotOpen, StaleForm, Invalid.
    """
    opportunity = locked_open(opportunity_id, by=by)
    _require_right(details)
    before = [getattr(opportunity, name) for name in _DETAILS]
    _write(opportunity, details)
    if [getattr(opportunity, name) for name in _DETAILS] == before:  # sent twice
        return opportunity
    if version is not None and version != opportunity.version:
        raise StaleForm
    save(opportunity, *_DETAILS)
    record("opportunity.changed", opportunity, by=by, at=at)
    return opportunity


@transaction.atomic
def confirm(opportunity_id: int, criterion: Criterion, holds: bool, *, by: Actor, at: datetime) -> Opportunity:
    """Say that a criterion holds which no fact tells, or that it does not. Raises as `change`, and Invalid."""
    opportunity = locked(opportunity_id, by=by)
    if criterion not in CONFIRMED:
        raise Invalid({"criterion": [_("This is read from what is known and cannot be ticked by hand.")]})
    before = set(opportunity.confirmed)
    after = before | {criterion.value} if holds else before - {criterion.value}
    if after != before:
        opportunity.confirmed = sorted(after)
        save(opportunity, "confirmed")
        record("opportunity.confirmed", opportunity, by=by, at=at, criterion=criterion.value, holds=holds)
    return opportunity


@transaction.atomic
def move(opportunity_id: int, after: Stage, *, reason: str = "", by: Actor, at: datetime) -> Opportunity:
    """Move an open opportunity to another stage.

    Forward, the exit criteria of every stage left behind must hold; a manager may say why they need not. Back, a reason
    is asked. The last stage is for what is won. Raises CriteriaMissing, ReasonMissing, and as `change`.
    """
    opportunity = locked_open(opportunity_id, by=by)
    before = Stage(opportunity.stage)
    if after is before:
        return opportunity
    if after is Stage.FOLLOW_UP:
        raise Invalid({"stage": [_("An opportunity comes here when it is won.")]})
    gaps = missing_between(before, after, facts_of(opportunity))
    reason = reason.strip()[:500]
    if gaps and not (is_manager(by, opportunity.book) and reason):
        raise CriteriaMissing(missing=in_words(gaps))
    if STAGES.index(after) < STAGES.index(before) and not reason:
        raise ReasonMissing(field="reason")
    enter(opportunity, after, reason, gaps, by=by, at=at)
    save(opportunity, "stage", "stage_since")
    record("opportunity.moved", opportunity, by=by, at=at, before=before.value, after=after.value)
    return opportunity


def locked(opportunity_id: int, *, by: Actor) -> Opportunity:
    """The opportunity, locked after its account, that this actor may change. Raises NotFound, AnothersOpportunity."""
    account_id = Opportunity.objects.filter(pk=opportunity_id).values_list("account", flat=True).first()
    if account_id is None:
        raise NotFound
    account = lock_account(account_id, by=by)
    rows = Opportunity.objects.select_for_update(of=("self",)).select_related("account", "book", "representative")
    opportunity = rows.get(pk=opportunity_id)
    if opportunity.account_id != account.pk:  # parted at this very moment
        raise StaleForm
    if opportunity.representative_id != person_of(by).pk and not is_manager(by, opportunity.book):
        raise AnothersOpportunity(name=str(opportunity.representative))
    return opportunity


def locked_open(opportunity_id: int, *, by: Actor) -> Opportunity:
    """The same, of one that is not decided. Raises NotOpen."""
    opportunity = locked(opportunity_id, by=by)
    require_open(opportunity)
    return opportunity


def require_open(opportunity: Opportunity) -> None:
    """Raises NotOpen of one that is decided."""
    if opportunity.status != OpportunityState.OPEN.value:
        raise NotOpen


def today(person: Person, at: datetime) -> date:
    """The day it is for a person."""
    return at.astimezone(ZoneInfo(person.time_zone)).date()


def plan(opportunity: Opportunity, kind: StepKind, days: int, *, text: str = "", by: Actor, at: datetime) -> Step:
    """The next step, so many working days from the person's today, for whoever works on the opportunity."""
    return Step.objects.create(
        opportunity=opportunity,
        kind=kind.value,
        text=text[:1000],
        due_on=add_working_days(today(person_of(by), at), days),
        person=opportunity.representative,
        created_at=at,
    )


def _require_right(details: OpportunityDetails) -> None:
    errors: dict[str, list[Sentence]] = {}
    if not details.title.strip():
        errors["title"] = [_("Say in a few words what is sold.")]
    if details.amount is not None and not 0 <= details.amount < AMOUNT_MAX:
        errors["amount"] = [_("Give an amount from 0 on.")]
    for name, answer in details.bant.items():
        if name not in BANT or answer not in set(Known):
            errors[name] = [_("Choose one of the answers.")]
    for name, text in details.gpct.items():
        if name not in GPCT or len(text) > TEXT_MAX:
            errors[name] = [_("At most %(n)s characters.") % {"n": TEXT_MAX}]
    if errors:
        raise Invalid(errors)


def _write(opportunity: Opportunity, details: OpportunityDetails) -> None:
    opportunity.title = details.title.strip()[:200]
    opportunity.amount, opportunity.closes_on = details.amount, details.closes_on
    opportunity.bant = {name: details.bant[name] for name in BANT if name in details.bant}
    opportunity.gpct = {name: details.gpct[name].strip() for name in GPCT if details.gpct.get(name, "").strip()}


def enter(
    opportunity: Opportunity, after: Stage, reason: str, gaps: Collection[Criterion], *, by: Actor, at: datetime
) -> None:
    """Note the move and stand in the new stage; the caller saves."""
    StageMove.objects.create(
        opportunity=opportunity,
        before=opportunity.stage,
        after=after.value,
        reason=reason,
        missing=[criterion.value for criterion in gaps],
        by=by.person,
        at=at,
    )
    opportunity.stage, opportunity.stage_since = after.value, at


def save(opportunity: Opportunity, *fields: str) -> None:
    """Write the fields, and make older forms stale."""
    opportunity.version += 1
    opportunity.save(update_fields=[*fields, "version"])


def in_words(gaps: Collection[Criterion]) -> str:
    """Missing criteria as a list to read."""
    return "; ".join(str(CRITERION_NAMES[criterion]) for criterion in gaps)


def record(action: str, opportunity: Opportunity, *, by: Actor, at: datetime, **details: object) -> None:
    """Into the audit trail of the account."""
    account: Account = opportunity.account
    stage = str(STAGE_NAMES[Stage(opportunity.stage)])
    audit.record(action, opportunity, by=by, at=at, stream=stream_of(account), stage=stage, **details)
