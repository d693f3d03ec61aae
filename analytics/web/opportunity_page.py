"""The page of an opportunity: its stage, what is missing, the next step, the buying group, the history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from analytics.models import Opportunity
from analytics.models.pipeline_names import CRITERION_NAMES, STAGE_HINTS, STAGE_NAMES
from analytics.permissions import is_manager
from analytics.queries import pipeline as queries
from analytics.queries import sellers
from analytics.rules.forecast import shares
from analytics.rules.pipeline import CONFIRMED, EXIT_CRITERIA, STAGES, OpportunityState, Stage, holds
from analytics.services import opportunities
from analytics.web import pipeline_forms as fields
from analytics.web.charts import percent
from marketplace.permissions import actor_of, person_of
from marketplace.shared import clock
from marketplace.shared.money import Money
from marketplace.web.parts import Crumb, Fact


def form_for(what: str, form: type[forms.Form], opportunity: Opportunity, sent: Any = None, **more: Any) -> forms.Form:
    """The form with what it must know of the opportunity; several stand on one page, so each has ids of its own."""
    if issubclass(form, fields.PlanForm | fields.GroupForm):
        more["account"] = opportunity.account
    if issubclass(form, fields.AssignForm):
        everybody = {*sellers.representatives(opportunity.book), *sellers.managers(opportunity.book)}
        more["people"] = [person for person in everybody if person.pk != opportunity.representative_id]
    found = form(sent, auto_id=f"id_{what}_%s", **more)
    if "amount" in found.fields:
        found.fields["amount"].help_text = opportunity.currency
    return found


def details_of(opportunity: Opportunity) -> dict[str, Any]:
    """What the form of details holds."""
    return {
        "version": opportunity.version,
        "title": opportunity.title,
        "amount": opportunity.amount,
        "closes_on": opportunity.closes_on,
        **opportunity.bant,
        **opportunity.gpct,
    }


def shown(
    request: HttpRequest,
    opportunity: Opportunity,
    acts: Mapping[str, type[forms.Form]],
    sent: Mapping[str, forms.Form] | None = None,
) -> HttpResponse:
    """The page, with the form of every act; those of `sent` as they were sent."""
    sent = sent or {}
    actor = actor_of(request)
    manages = is_manager(actor, opportunity.book)
    writes = manages or opportunity.representative_id == person_of(actor).pk
    stage, is_open = Stage(opportunity.stage), opportunity.status == OpportunityState.OPEN.value
    facts = queries.facts_of(opportunity)
    waiting = opportunity.steps.filter(done_at=None).select_related("person", "contact").first()
    following = STAGES[min(STAGES.index(stage) + 1, len(STAGES) - 2)]
    initial: dict[str, dict[str, Any]] = {
        "details": details_of(opportunity),
        "move": {"stage": following.value},
        "plan": {
            "kind": waiting and waiting.kind,
            "due_on": waiting and waiting.due_on,
            "text": waiting and waiting.text,
            "contact": waiting and waiting.contact_id,
        },
        "finish": {"kind": "follow_up", "step": waiting and waiting.pk},
    }
    context = {
        "opportunity": opportunity,
        "stage_name": STAGE_NAMES[stage],
        "stage_hint": STAGE_HINTS[stage],
        "stages": [
            (STAGE_NAMES[one], "now" if one is stage else "done" if STAGES.index(one) < STAGES.index(stage) else "")
            for one in STAGES
        ],
        "criteria": [
            (one.value, CRITERION_NAMES[one], holds(one, facts), one in CONFIRMED) for one in EXIT_CRITERIA[stage]
        ],
        "forms": {
            name: sent.get(name) or form_for(name, one, opportunity, initial=initial.get(name, {}))
            for name, one in acts.items()
        },
        "refused": next((form for form in sent.values() if form.errors), None),
        "sent": next(iter(sent), ""),
        "writes": writes,
        "manages": manages,
        "is_open": is_open,
        "waiting": waiting,
        "today": opportunities.today(person_of(actor), clock.now()),
        "events": _events(opportunity),
        "group": opportunity.group.select_related("contact"),
        "objections": [
            (row, None if row.answered_at else sent.get(f"o{row.pk}") or fields.AnswerForm(prefix=f"o{row.pk}"))
            for row in opportunity.objections.all()
        ],
        "decisions": opportunity.ownership_decisions.select_related("winner", "decided_by"),
        "facts": _facts(opportunity, stage, is_open),
        "crumbs": [
            Crumb(_("Pipeline"), reverse("insights_pipeline")),
            Crumb(opportunity.account.name, reverse("insights_customer_contacts", args=[opportunity.account_id])),
        ],
    }
    refused = any(form.errors for form in sent.values())
    return render(request, "analytics/opportunity.html", context, status=422 if refused else 200)


@dataclass(frozen=True, slots=True)
class Event:
    """A line of what happened."""

    at: datetime
    icon: str
    text: str
    note: str


def _events(opportunity: Opportunity) -> list[Event]:
    """Steps that were done and moves between stages, the newest first."""
    done = [
        Event(
            step.done_at,
            "check",
            f"{step.get_kind_display()}{f' {step.follow_up}' if step.follow_up else ''}: {step.get_result_display()}",
            step.result_note,
        )
        for step in opportunity.steps.exclude(done_at=None)
        if step.done_at
    ]
    moves = [
        Event(
            move.at,
            "arrow-right",
            " → ".join(str(name) for name in (move.get_before_display(), move.get_after_display()) if name),
            move.reason,
        )
        for move in opportunity.moves.all()
    ]
    return sorted([*done, *moves], key=lambda event: event.at, reverse=True)


def _facts(opportunity: Opportunity, stage: Stage, is_open: bool) -> list[Fact]:
    share = shares(queries.passed(opportunity.book))[stage] if is_open else None
    money = Money(opportunity.amount, opportunity.currency).rounded() if opportunity.amount is not None else None
    found = [
        Fact(_("Representative"), opportunity.representative),
        Fact(_("Expected amount"), money),
    ]
    if share is not None:
        found.append(Fact(_("Won from this stage"), percent(share)))
        if money is not None:
            found.append(Fact(_("Counts in the forecast"), Money(money.amount * share, money.currency).rounded()))
    return found
