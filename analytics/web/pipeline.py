"""The pipeline: the board by stage, the list, and what it is likely to bring."""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from analytics.models import Book
from analytics.models.pipeline_names import LOST_NAMES, OPPORTUNITY_NAMES, STAGE_HINTS, STAGE_NAMES, WON_NAMES
from analytics.permissions import book_of
from analytics.queries import pipeline as queries
from analytics.queries import sellers
from analytics.rules.forecast import shares, weighted
from analytics.rules.pipeline import LostReason, OpportunityState, Stage, WonReason
from analytics.services.opportunities import today
from analytics.web import charts
from marketplace.permissions import actor_of, person_of
from marketplace.shared import clock
from marketplace.shared.errors import Sentence
from marketplace.shared.money import Money, minor_unit
from marketplace.web import parts
from marketplace.web.csv_export import csv_response
from marketplace.web.forms import whole_number
from marketplace.web.lists import address, chips, listed

# Who is asked for where whoever works on it no longer works in the book.
LEFT: Final = "left"


class PipelineFilter(forms.Form):
    q = forms.CharField(label=_("Title or account"), required=False, max_length=200)
    who = forms.ChoiceField(label=_("Representative"), required=False)
    stage = forms.ChoiceField(
        label=_("Stage"),
        required=False,
        choices=[("", _("All")), *((one.value, name) for one, name in STAGE_NAMES.items())],
    )
    due = forms.BooleanField(label=_("Step due"), required=False)

    def __init__(self, *args: Any, book: Book, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = {*sellers.representatives(book), *sellers.managers(book)}
        self.people = [person.pk for person in people]
        field: Any = self.fields["who"]
        named = sorted(((str(person.pk), str(person)) for person in people), key=lambda one: one[1])
        field.choices = [("", _("Everybody")), *named, (LEFT, _("Somebody who has left"))]

    def narrow(self, rows: Any, day: date) -> Any:
        """The rows that the filter leaves; what cannot be read narrows nothing."""
        if not self.is_valid():
            return rows
        sent = self.cleaned_data
        return queries.narrowed(
            rows,
            representative_id=whole_number(sent["who"]),
            none_of=self.people if sent["who"] == LEFT else None,
            stage=sent["stage"],
            text=sent["q"],
            due_by=day if sent["due"] else None,
        )


@require_safe
def board(request: HttpRequest) -> HttpResponse:
    """A column for each of the seven stages."""
    actor = actor_of(request)
    book = book_of(actor)
    day = today(person_of(actor), clock.now())
    form = PipelineFilter(request.GET, book=book)
    columns = queries.board(form.narrow(queries.opportunities(book), day))
    context = {
        "columns": [
            {
                "value": column.stage.value,
                "name": STAGE_NAMES[column.stage],
                "hint": STAGE_HINTS[column.stage],
                "rows": [_shown(row) for row in column.rows],
                "count": column.count,
                "more": column.count - len(column.rows),
                "totals": [_money(amount, currency) for currency, amount in sorted(column.totals.items())],
            }
            for column in columns
        ],
        "empty": not any(column.count for column in columns),
        "today": day,
        "form": form,
        "chips": chips(request, form),
        "tabs": tabs("board"),
        "open_leads": queries.open_leads(book).count(),
        "actions": [parts.Action(_("Read leads from a file"), reverse("insights_leads_import"), "upload")],
        "action": parts.Action(_("New lead"), reverse("insights_lead_new"), "plus"),
    }
    return render(request, "analytics/pipeline.html", context)


@require_safe
def listing(request: HttpRequest) -> HttpResponseBase:
    """Every opportunity, those that ended too; `?format=csv` is the same list as a file."""
    actor = actor_of(request)
    book = book_of(actor)
    day = today(person_of(actor), clock.now())
    form = PipelineFilter(request.GET, book=book)
    state = request.GET.get("state", "")
    rows = form.narrow(queries.opportunities(book), day)
    if state in set(OpportunityState):
        rows = rows.filter(status=state)
    if request.GET.get("format") == "csv":
        return _as_csv(rows)
    page = listed(request, rows, ["-created_at", "-pk"])
    context = {
        "list": page,
        "rows": [_shown(row) for row in page.rows],
        "today": day,
        "form": form,
        "chips": chips(request, form),
        "export_url": address(request, format="csv"),
        "tabs": tabs("list"),
        "states": [
            parts.Tab(name, address(request, state=value), state == value)
            for value, name in [("", _("All")), *((one.value, words) for one, words in OPPORTUNITY_NAMES.items())]
        ],
    }
    return render(request, "analytics/opportunities.html", context)


@require_safe
def forecast(request: HttpRequest) -> HttpResponse:
    """What is open, weighted by the share won from each stage; a block for each currency."""
    actor = actor_of(request)
    book = book_of(actor)
    form = PipelineFilter(request.GET, book=book)
    who = form.cleaned_data["who"] if form.is_valid() else ""
    passed = queries.passed(book)
    share = shares(passed)
    amounts: dict[str, list[tuple[Stage, date | None, Decimal]]] = defaultdict(list)
    whose = whole_number(who), form.people if who == LEFT else None
    for stage, currency, month, total in queries.open_amounts(book, *whose):
        amounts[currency].append((stage, month, total))
    context = {
        "blocks": [_block(currency, rows, share) for currency, rows in sorted(amounts.items())],
        "shares": [
            (STAGE_NAMES[stage], charts.percent(share[stage]), passed[stage].closed if stage in passed else 0)
            for stage in share
            if stage is not Stage.FOLLOW_UP
        ],
        "results": _results(book),
        "form": form,
        "who": who,
        "tabs": tabs("forecast"),
    }
    return render(request, "analytics/forecast.html", context)


def _block(
    currency: str, rows: list[tuple[Stage, date | None, Decimal]], share: dict[Stage, Decimal]
) -> dict[str, object]:
    unit = minor_unit(currency)
    by_stage: dict[Stage, Decimal] = defaultdict(Decimal)
    by_month: dict[date | None, list[tuple[Stage, Decimal]]] = defaultdict(list)
    for stage, month, amount in rows:
        by_stage[stage] += amount
        by_month[month].append((stage, amount))
    months = sorted(by_month, key=lambda month: month or date.max)
    named = [charts.month_name(month) if month else gettext("No date yet") for month in months]
    figures = [weighted(by_month[month], share, unit) for month in months]
    stages = [stage for stage in share if stage in by_stage]
    return {
        "total": Money(sum(by_stage.values(), Decimal(0)), currency).rounded(),
        "weighted": Money(weighted(by_stage.items(), share, unit), currency),
        "chart": parts.Chart(
            f"forecast-{currency}",
            _("Forecast by month of closing"),
            {
                "xAxis": {"type": "category", "data": named},
                "yAxis": {"type": "value"},
                "series": [{"type": "bar", "name": gettext("Forecast"), "data": [float(one) for one in figures]}],
            },
            (_("Closes in"), _("Forecast")),
            [(name, _words(Money(one, currency))) for name, one in zip(named, figures, strict=True)],
            (1,),
            currency,
        ),
        "stages": [
            (
                stage.value,
                STAGE_NAMES[stage],
                Money(by_stage[stage], currency).rounded(),
                charts.percent(share[stage]),
                Money(weighted([(stage, by_stage[stage])], share, unit), currency),
            )
            for stage in stages
        ],
    }


def _results(book: Book) -> list[tuple[Sentence, Sentence, int, list[Money]]]:
    """Won and lost by reason: state, reason, how many, their money by currency."""
    found: list[tuple[Sentence, Sentence, int, list[Money]]] = []
    for state, reason, count, totals in queries.by_reason(book):
        names: Any = WON_NAMES if state is OpportunityState.WON else LOST_NAMES
        word: Any = WonReason(reason) if state is OpportunityState.WON else LostReason(reason)
        money = [Money(amount, currency).rounded() for currency, amount in sorted(totals.items())]
        found.append((OPPORTUNITY_NAMES[state], names[word], count, money))
    return found


def _shown(row: Any) -> tuple[Any, Money | None, Any]:
    """An opportunity with its money and its next step."""
    return row, _money(row.amount, row.currency), next(iter(row.next_steps), None)


def _money(amount: Decimal | None, currency: str) -> Money | None:
    return None if amount is None else Money(amount, currency).rounded()


def _words(money: Money) -> str:
    return charts.figure(money.amount, money.currency)


def tabs(current: str) -> list[parts.Tab]:
    """The pages of the pipeline, with the one that is open marked."""
    return [
        parts.Tab(_("Board"), reverse("insights_pipeline"), current == "board", icon="layout-kanban"),
        parts.Tab(_("List"), reverse("insights_opportunities"), current == "list", icon="list"),
        parts.Tab(_("Leads"), reverse("insights_leads"), current == "leads", icon="user-plus"),
        parts.Tab(_("Forecast"), reverse("insights_forecast"), current == "forecast", icon="chart-bar"),
    ]


def _as_csv(rows: Any) -> HttpResponseBase:
    head = (
        _("Opportunity"), _("Account"), _("State"), _("Stage"), _("Expected amount"), _("Currency"),
        _("Expected closing"), _("Representative"), _("Next step on"), _("Opened (UTC)"), _("Ended (UTC)"), _("Reason"),
    )  # fmt: skip
    lines = (
        (
            row.title, row.account.name, row.get_status_display(), row.get_stage_display(),
            None if row.amount is None else Money(row.amount, row.currency).rounded().as_string(), row.currency,
            row.closes_on and row.closes_on.isoformat(), str(row.representative),
            row.next_steps[0].due_on.isoformat() if row.next_steps else "",
            row.created_at, row.closed_at, row.get_won_because_display() or row.get_lost_because_display(),
        )
        for row in rows.order_by("-created_at", "-pk").iterator(chunk_size=500)
    )  # fmt: skip
    return csv_response("opportunities", head, lines)
