"""Runs: how far one is, what it learnt from and what it fell back to, and what failed and can be tried again."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from django.contrib import messages
from django.db.models import Count, Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_POST, require_safe

from analytics import permissions
from analytics.features.remark_words import unscored
from analytics.models import RUN_OPEN, PartState, RunState, ScoringRun
from analytics.queries import history
from analytics.queries import runs as runs_of
from analytics.services import runs as services
from analytics.web import charts, purchase_words
from marketplace.permissions import Actor, actor_of
from marketplace.shared import clock
from marketplace.shared.errors import NotFound, Sentence
from marketplace.shared.money import Money
from marketplace.web import formats, parts
from marketplace.web.lists import listed

_ERRORS: Final[dict[str, Sentence]] = {
    services.NO_PURCHASES: gettext_lazy("There are no purchases to learn from. Bring in the purchase history first."),
    services.LEARNING_FAILED: gettext_lazy(
        "Something went wrong on our side while learning. The scores before stand; the operator can see why."
    ),
    services.LEARNING_TOO_LONG: gettext_lazy(
        "Learning took too long and was broken off. The scores before stand; the operator can give it more time."
    ),
    services.PARTS_FAILED: gettext_lazy("Some parts failed. The scores before stand; try the failed parts again."),
}
_FALLBACKS: Final[dict[str, Sentence]] = {
    "no_closed_window": gettext_lazy("the history is too short to check forecasts against: the rhythm alone speaks"),
    "too_few_cases": gettext_lazy("too few customers have left, or stayed, to learn from: the rhythm alone speaks"),
    "first_buy_popularity": gettext_lazy("too little to learn from: what others buy first is suggested"),
    "no_items_or_categories": gettext_lazy("the purchases name neither items nor categories: nothing is suggested"),
}
_LEVELS: Final[dict[str, Sentence]] = {
    "accounts": gettext_lazy("Whole customers"), "pairs": gettext_lazy("Customers in a category"),
}  # fmt: skip


@require_safe
def runs(request: HttpRequest) -> HttpResponse:
    """Every run with its state, the newest first."""
    actor = actor_of(request)
    book = permissions.book_of(actor)
    rows = ScoringRun.objects.filter(book=book).select_related("asked_by")
    page = listed(request, rows, ["-pk"])
    manages = permissions.is_manager(actor, book)
    running = rows.filter(state__in=RUN_OPEN).exists()
    has_purchases = bool(history.held(book)) or book.owner_id is None
    context = {
        "list": page,
        "rows": [(run, _ERRORS.get(run.error, "")) for run in page.rows],
        "shown_run": book.run_id,
        "manages": manages,
        "has_purchases": has_purchases,
        "crumbs": [_way_back()],
        "action": parts.Action(
            _("Run now"), reverse("insights_run_start"), icon="player-play", method="post",
            allowed=manages and not running and has_purchases,
            reason=_why_not(manages, running),
            remedy_label="" if has_purchases or not manages else _("Purchase history"),
            remedy_url="" if has_purchases or not manages else reverse("insights_purchases"),
        ),
    }  # fmt: skip
    return render(request, "analytics/runs.html", context)


def _way_back() -> parts.Crumb:
    return parts.Crumb(_("Purchase history"), reverse("insights_purchases"))


def _why_not(manages: bool, running: bool) -> str:
    if not manages:
        return _("A sales manager can start a run. One starts by itself every night.")
    if running:
        return _("A run is on its way already.")
    return _("There are no purchases yet.")


@require_POST
def start(request: HttpRequest) -> HttpResponse:
    """Start a run now, or lead to the one that is on its way."""
    actor = actor_of(request)
    run = services.start(permissions.book_of(actor), by=actor, at=clock.now())
    return redirect("insights_run", run.pk)


@require_safe
def one(request: HttpRequest, run_id: int) -> HttpResponse:
    """A run's progress, asked again by itself until it is over; then what it found."""
    run = _of(actor_of(request), run_id)
    fragment = request.headers.get("HX-Request") == "true"
    template = "analytics/_run_state.html" if fragment else "analytics/run.html"
    response = render(request, template, _context(run, actor_of(request)))
    if fragment and run.state not in RUN_OPEN:
        response["HX-Refresh"] = "true"
    return response


@require_POST
def retry(request: HttpRequest, run_id: int) -> HttpResponse:
    """Try the failed parts again."""
    actor = actor_of(request)
    run = _of(actor, run_id)
    services.retry(run.book, run.pk, by=actor, at=clock.now())
    messages.success(request, _("The failed parts are tried again."))
    return redirect("insights_run", run.pk)


def _of(actor: Actor, run_id: int) -> ScoringRun:
    book = permissions.book_of(actor)
    found = ScoringRun.objects.select_related("book", "asked_by").filter(book=book, pk=run_id).first()
    if found is None:
        raise NotFound
    return found


def _context(run: ScoringRun, actor: Actor) -> dict[str, Any]:
    without = runs_of.unscored(run)
    counts = run.partitions.aggregate(
        all=Count("pk"), done=Count("pk", filter=Q(state=PartState.DONE)),
        failed=Count("pk", filter=Q(state=PartState.FAILED)),
    )  # fmt: skip
    failed = run.partitions.filter(state=PartState.FAILED)
    newest = not ScoringRun.objects.filter(book=run.book, pk__gt=run.pk).exists()
    return {
        "run": run,
        "title": _("Scores as of %(day)s") % {"day": formats.day(run.cutoff)},
        "book": run.book,
        "waits": run.state in RUN_OPEN,
        "percent": 100 * counts["done"] // counts["all"] if counts["all"] else None,
        "counts": counts,
        "failed": list(failed[:20]),
        "error": _ERRORS.get(run.error, ""),
        "is_shown": run.book.run_id == run.pk,
        "may_retry": run.state == RunState.FAILED and counts["failed"] and newest
        and permissions.is_manager(actor, run.book),
        "facts": _facts(run),
        "fallbacks": _fallbacks(run),
        "remarks": purchase_words.remarks(run.facts.get("remarks", [])),
        "unscored": unscored(without, number=charts.count),
        "scored": _scored(run, sum(without.values())),
        "others": [
            (code, Money(Decimal(sum_), code)) for code, sum_ in run.facts.get("other_currencies", {}).items()
        ],
        "crumbs": [_way_back(), parts.Crumb(_("Scoring runs"), reverse("insights_runs"))],
    }  # fmt: skip


def _scored(run: ScoringRun, without: int) -> str:
    """How many customers have a score of leaving, where some have none."""
    if run.state != RunState.WHOLE or not without:
        return ""
    everybody = run.facts.get("accounts", 0)
    if everybody <= without:
        return _("Nobody’s leaving is scored.")
    return ngettext(
        "%(n)s of %(all)s customers is scored. Not scored:", "%(n)s of %(all)s customers are scored. Not scored:",
        everybody - without,
    ) % {"n": charts.count(everybody - without), "all": charts.count(everybody)}  # fmt: skip


def _facts(run: ScoringRun) -> list[parts.Fact]:
    said = run.facts
    found = [
        parts.Fact(_("Purchases until"), formats.day(run.cutoff)),
        parts.Fact(_("Looks ahead"), _("%(n)s days") % {"n": charts.count(run.horizon)}),
        parts.Fact(_("Currency"), run.currency),
    ]
    names = (
        ("accounts", _("Customers")), ("categories", _("Categories")), ("items", _("Items")),
        ("purchase_days", _("Purchases by customer, item and day")),
    )  # fmt: skip
    found += [parts.Fact(label, charts.count(said[name])) for name, label in names if name in said]
    if said.get("first_day"):
        found.append(parts.Fact(_("Purchases since"), formats.day(date.fromisoformat(said["first_day"]))))
    if run.finished_at and run.started_at:
        took = run.finished_at - run.started_at
        words = formats.duration(took) if took >= timedelta(seconds=1) else _("under a second")
        found.append(parts.Fact(_("Took"), words))
    found.append(parts.Fact(_("Started by"), run.asked_by or _("nightly, by itself")))
    return found


def _fallbacks(run: ScoringRun) -> list[tuple[Sentence, Sentence]]:
    """Where too little was there to learn from: what is in force instead."""
    found: list[tuple[Sentence, Sentence]] = []
    for part in filter(None, str(run.facts.get("recovery_fallback", "")).split(";")):
        level, _colon, code = part.partition(":")
        found.append((_LEVELS.get(level, level), _FALLBACKS.get(code, code)))
    if code := str(run.facts.get("growth_fallback", "")):
        found.append((_("Growth"), _FALLBACKS.get(code, code)))
    return found
