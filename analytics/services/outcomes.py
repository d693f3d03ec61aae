"""How opportunities end, and how one that ended is taken up again."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from django.db import transaction
from django.utils.translation import gettext_lazy

from analytics.models import Opportunity
from analytics.queries.pipeline import facts_of
from analytics.rules.pipeline import (
    FOLLOW_UPS,
    LostReason,
    OpportunityState,
    Stage,
    StepKind,
    StepResult,
    WonReason,
    missing_between,
)
from analytics.services.opportunities import (
    FIRST_STEP_AFTER,
    CriteriaMissing,
    ReasonMissing,
    enter,
    in_words,
    locked,
    plan,
    record,
    require_open,
    save,
)
from analytics.services.transitions import move_opportunity
from marketplace.permissions import Actor
from marketplace.shared.errors import DomainError

# Working days until one looks whether the first order has come.
AFTER_WINNING: Final = 10


class TooEarlyToGiveUp(DomainError):
    code = "follow_ups_left"
    sentence = gettext_lazy(
        "They were followed up %(done)s of %(all)s times. Most sales come after several: make the others first, "
        "or choose another reason."
    )


@transaction.atomic
def win(opportunity_id: int, because: WonReason, *, note: str = "", by: Actor, at: datetime) -> Opportunity:
    """It is won: every stage up to the close has been done with. What follows is looking after it.

    Raises CriteriaMissing and as `change`.
    """
    opportunity = locked(opportunity_id, by=by)
    if _ended_so(opportunity, OpportunityState.WON, because.value, note):
        return opportunity
    require_open(opportunity)
    gaps = missing_between(Stage(opportunity.stage), Stage.FOLLOW_UP, facts_of(opportunity))
    if gaps:
        raise CriteriaMissing(missing=in_words(gaps))
    enter(opportunity, Stage.FOLLOW_UP, "", (), by=by, at=at)
    _decide(opportunity, OpportunityState.WON, at)
    opportunity.won_because, opportunity.outcome_note = because.value, note.strip()[:1000]
    save(opportunity, "stage", "stage_since", "status", "closed_at", "won_because", "outcome_note")
    plan(opportunity, StepKind.FOLLOW_UP, AFTER_WINNING, by=by, at=at)
    record("opportunity.won", opportunity, by=by, at=at, because=because.value)
    return opportunity


@transaction.atomic
def lose(opportunity_id: int, because: LostReason, *, note: str = "", by: Actor, at: datetime) -> Opportunity:
    """It is lost. "No answer" takes all the follow-ups first. Raises TooEarlyToGiveUp and as `change`."""
    opportunity = locked(opportunity_id, by=by)
    if _ended_so(opportunity, OpportunityState.LOST, because.value, note):
        return opportunity
    require_open(opportunity)
    made = opportunity.steps.filter(follow_up__isnull=False, done_at__isnull=False).count()
    if because is LostReason.NO_ANSWER and made < FOLLOW_UPS:
        raise TooEarlyToGiveUp(done=made, all=FOLLOW_UPS)
    _decide(opportunity, OpportunityState.LOST, at)
    opportunity.lost_because, opportunity.outcome_note = because.value, note.strip()[:1000]
    save(opportunity, "status", "closed_at", "lost_because", "outcome_note")
    record("opportunity.lost", opportunity, by=by, at=at, because=because.value)
    return opportunity


@transaction.atomic
def reopen(opportunity_id: int, *, reason: str, by: Actor, at: datetime) -> Opportunity:
    """Take up again what was won or lost by mistake, or has come back; with a call as the next step.

    Raises ReasonMissing, NotFound, AnothersOpportunity.
    """
    opportunity = locked(opportunity_id, by=by)
    if opportunity.status == OpportunityState.OPEN.value:
        return opportunity
    if not reason.strip():
        raise ReasonMissing(field="reason")
    if opportunity.stage == Stage.FOLLOW_UP.value:
        enter(opportunity, Stage.CLOSE, reason.strip()[:500], (), by=by, at=at)
    _resume(opportunity, by, at)
    record("opportunity.reopened", opportunity, by=by, at=at, reason=reason.strip()[:500])
    return opportunity


def end_double(opportunity: Opportunity, *, by: Actor, at: datetime) -> None:
    """It is another one over again, which goes on. The caller holds its lock."""
    _decide(opportunity, OpportunityState.LOST, at)
    opportunity.lost_because = LostReason.DOUBLE.value
    save(opportunity, "status", "closed_at", "lost_because")
    record("opportunity.lost", opportunity, by=by, at=at, because=LostReason.DOUBLE.value)


def resume_double(opportunity_id: int, *, by: Actor, at: datetime) -> None:
    """It was none after all, and goes on with a call; unless somebody decided otherwise since."""
    rows = Opportunity.objects.select_for_update(of=("self",)).select_related("account", "book", "representative")
    opportunity = rows.filter(pk=opportunity_id, lost_because=LostReason.DOUBLE.value).first()
    if opportunity is not None:
        _resume(opportunity, by, at)
        record("opportunity.reopened", opportunity, by=by, at=at, reason="parted")


def _ended_so(opportunity: Opportunity, state: OpportunityState, because: str, note: str) -> bool:
    """Whether it has ended just so already: a form that was sent twice."""
    told = opportunity.won_because or opportunity.lost_because, opportunity.outcome_note
    return opportunity.status == state.value and told == (because, note.strip()[:1000])


def _resume(opportunity: Opportunity, by: Actor, at: datetime) -> None:
    move_opportunity(opportunity, OpportunityState.OPEN)
    opportunity.closed_at = None
    opportunity.won_because = opportunity.lost_because = ""
    save(opportunity, "stage", "stage_since", "status", "closed_at", "won_because", "lost_because")
    opportunity.steps.filter(done_at=None).delete()
    plan(opportunity, StepKind.CALL, FIRST_STEP_AFTER, by=by, at=at)


def _decide(opportunity: Opportunity, state: OpportunityState, at: datetime) -> None:
    move_opportunity(opportunity, state)
    opportunity.closed_at = at
    # What was planned is not going to happen; what was done stays.
    opportunity.steps.filter(done_at=None).update(done_at=at, result=StepResult.DROPPED.value)
