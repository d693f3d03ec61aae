"""What of the pipeline waits for a person: steps that are due, leads that nobody has qualified or looks after."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from zoneinfo import ZoneInfo

from django.db.models import Count, Min, Q
from django.urls import reverse
from django.utils.translation import ngettext

from analytics.models import Book, Lead, Step
from analytics.permissions import SELLERS, is_manager, sells
from analytics.rules.pipeline import LeadState
from marketplace.permissions import Actor
from marketplace.waiting import Task, Tone


def tasks(actor: Actor, at: datetime) -> Iterator[Task]:
    """At most three lines for whoever sells; nothing for anybody else, and no book is begun by looking."""
    if actor.person is None or not sells(actor):
        return
    owner = actor.organisation.pk if actor.organisation and actor.is_supplier and actor.has(*SELLERS) else None
    book = Book.objects.select_related("owner").filter(owner=owner).first()
    if book is None:
        return
    today = at.astimezone(ZoneInfo(actor.person.time_zone)).date()
    due = Step.objects.filter(person=actor.person, done_at=None, due_on__lte=today, opportunity__book=book)
    steps = due.aggregate(n=Count("pk"), first=Min("due_on"))
    if steps["n"]:
        words = ngettext("%(n)s step of the pipeline is due", "%(n)s steps of the pipeline are due", steps["n"])
        tone: Tone = "warn" if steps["first"] < today else ""
        url = f"{reverse('insights_pipeline')}?due=on&who={actor.person.pk}"
        yield Task(words % {"n": steps["n"]}, url, "calendar-event", tone=tone, count=steps["n"])
    leads = Lead.objects.filter(book=book, status=LeadState.NEW.value).aggregate(
        own=Count("pk", filter=Q(representative=actor.person)), nobodys=Count("pk", filter=Q(representative=None))
    )
    if leads["own"]:
        words = ngettext("%(n)s new lead to qualify", "%(n)s new leads to qualify", leads["own"])
        yield Task(words % {"n": leads["own"]}, f"{reverse('insights_leads')}?mine=on", "user-plus", count=leads["own"])
    if leads["nobodys"] and is_manager(actor, book):
        words = ngettext("%(n)s lead has no owner yet", "%(n)s leads have no owner yet", leads["nobodys"])
        yield Task(words % {"n": leads["nobodys"]}, reverse("insights_leads"), "user-question", count=leads["nobodys"])
