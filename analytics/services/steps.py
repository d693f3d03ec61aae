"""The next step of an opportunity: done with its result, moved to another day, and always followed by another."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from analytics.models import Book, Contact, Opportunity, Step
from analytics.rules.pipeline import FOLLOW_UPS, OpportunityState, StepKind, StepResult, follow_up_on
from analytics.services.opportunities import NotOpen, locked, record, save, today
from analytics.services.ownership import works_in
from marketplace.models import Person
from marketplace.permissions import Actor, person_of
from marketplace.services.notifications import notify
from marketplace.shared.errors import DomainError, Invalid, NotFound

_log = logging.getLogger(__name__)

LATEST_AFTER: Final = timedelta(days=366)


class StepDone(DomainError):
    code = "step_done"
    sentence = gettext_lazy("This step was finished meanwhile.")


class NextStepMissing(DomainError):
    code = "next_step_missing"
    sentence = gettext_lazy(
        "All %(n)s follow-ups were made. Say what comes next and when, or end the opportunity with its reason."
    )


@dataclass(frozen=True, slots=True)
class NextStep:
    """What is to be done, and on which day of the person's calendar."""

    kind: StepKind
    due_on: date
    text: str = ""
    contact_id: int | None = None


@transaction.atomic
def finish(
    step_id: int,
    result: StepResult,
    *,
    note: str = "",
    next_step: NextStep | None = None,
    by: Actor,
    at: datetime,
) -> Step | None:
    """Finish the next step and plan the one after it: what is given, else the next of the five follow-ups.

    Returns the new step; None where the opportunity is won or lost and nothing more was planned. Raises NotFound,
    AnothersOpportunity, StepDone, NextStepMissing, Invalid.
    """
    opportunity, step = _locked(step_id, by=by)
    if step.done_at is not None:
        if (step.done_by, step.result, step.result_note) != (by.person, result.value, note.strip()[:1000]):
            raise StepDone
        return opportunity.steps.filter(done_at=None).first()  # sent twice
    step.done_at, step.done_by = at, by.person
    step.result, step.result_note = result.value, note.strip()[:1000]
    step.save(update_fields=["done_at", "done_by", "result", "result_note"])
    following = _following(opportunity, step, next_step, by=by, at=at)
    save(opportunity)
    record("step.finished", opportunity, by=by, at=at, kind=step.kind, result=result.value)
    return following


@transaction.atomic
def plan_next(opportunity_id: int, next_step: NextStep, *, by: Actor, at: datetime) -> Step:
    """Put another next step in the place of the one that is planned: another day, another kind.

    Raises NotOpen for one that is lost, and as `finish`.
    """
    opportunity = locked(opportunity_id, by=by)
    # What is won is looked after; what is lost must be taken up again first.
    if opportunity.status == OpportunityState.LOST.value:
        raise NotOpen
    _require_right(opportunity, next_step, by=by, at=at)
    step = opportunity.steps.filter(done_at=None).first() or Step(
        opportunity=opportunity, person=opportunity.representative, created_at=at
    )
    # A follow-up that is moved or made otherwise stays the follow-up it is: it counts once done.
    step.kind, step.due_on = next_step.kind.value, next_step.due_on
    step.text, step.contact_id, step.reminded_on = next_step.text.strip()[:1000], next_step.contact_id, None
    step.save()
    save(opportunity)
    record("step.planned", opportunity, by=by, at=at, kind=step.kind, due_on=step.due_on.isoformat())
    return step


def remind(*, at: datetime) -> int:
    """Tell everybody once a day of the steps that are due, in one notification a person. Returns how many were told.

    A transaction each: who cannot be told holds nobody up, and is tried again by the next sweep. Who no longer works in
    a book is not told of its sales: its manager's view of the team has them. Safe to repeat.
    """
    due = Step.objects.filter(done_at=None, due_on__lte=(at + timedelta(days=1)).date(), person__is_active=True)
    told = 0
    for person in list(Person.objects.filter(pk__in=due.values("person")).order_by("pk")):
        try:
            told += _remind(person, at)
        except Exception:  # noqa: BLE001  one person's trouble is not that of the others
            _log.exception("Person %s could not be reminded of steps that are due", person.pk)
    return told


@transaction.atomic
def _remind(person: Person, at: datetime) -> bool:
    day = today(person, at)
    steps = Step.objects.select_for_update(of=("self",), skip_locked=True).select_related("opportunity")
    due = steps.filter(done_at=None, person=person, due_on__lte=day).exclude(reminded_on=day)
    books = Book.objects.select_related("owner").filter(opportunities__steps__in=due.values("pk")).distinct()
    rows = list(due.filter(opportunity__book__in=[book for book in books if works_in(person, book)]))
    rows.sort(key=lambda row: (row.due_on, row.pk))
    if not rows:
        return False
    for row in rows:
        row.reminded_on = day
    Step.objects.bulk_update(rows, ["reminded_on"])
    words = ngettext(
        "%(n)s step of your pipeline is due: %(title)s.",
        "%(n)s steps of your pipeline are due, first: %(title)s.",
        len(rows),
    ) % {"n": len(rows), "title": rows[0].opportunity.title}
    notify(person, "steps_due", words, f"{reverse('insights_pipeline')}?due=on", at=at)
    return True


def _following(opportunity: Opportunity, done: Step, given: NextStep | None, *, by: Actor, at: datetime) -> Step | None:
    if given is not None:
        _require_right(opportunity, given, by=by, at=at)
        return Step.objects.create(
            opportunity=opportunity,
            kind=given.kind.value,
            text=given.text.strip()[:1000],
            due_on=given.due_on,
            contact_id=given.contact_id,
            person=opportunity.representative,
            created_at=at,
        )
    if opportunity.status != OpportunityState.OPEN.value:
        return None
    numbers = opportunity.steps.filter(follow_up__isnull=False).values_list("follow_up", flat=True)
    number = max((number or 0 for number in numbers), default=0) + 1
    if number > FOLLOW_UPS:
        raise NextStepMissing(n=FOLLOW_UPS)
    return Step.objects.create(
        opportunity=opportunity,
        kind=StepKind.FOLLOW_UP.value,
        follow_up=number,
        due_on=follow_up_on(number, today(person_of(by), at)),
        contact_id=done.contact_id,
        person=opportunity.representative,
        created_at=at,
    )


def _require_right(opportunity: Opportunity, step: NextStep, *, by: Actor, at: datetime) -> None:
    day = today(person_of(by), at)
    if step.due_on < day:
        raise Invalid({"due_on": [_("This day is over. The next step lies ahead.")]})
    if step.due_on > day + LATEST_AFTER:
        raise Invalid({"due_on": [_("At most a year ahead: what comes later is a new opportunity.")]})
    contacts = Contact.objects.filter(account=opportunity.account_id, removed_at=None)
    if step.contact_id is not None and not contacts.filter(pk=step.contact_id).exists():
        raise Invalid({"contact": [_("Choose one of the account’s contacts.")]})


def _locked(step_id: int, *, by: Actor) -> tuple[Opportunity, Step]:
    opportunity_id = Step.objects.filter(pk=step_id).values_list("opportunity", flat=True).first()
    if opportunity_id is None:
        raise NotFound
    opportunity = locked(opportunity_id, by=by)
    return opportunity, Step.objects.select_for_update(of=("self",)).get(pk=step_id)
