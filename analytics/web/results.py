"""The dashboard of the insights: figures that open into their cards, and an honest account of what they are worth."""

from __future__ import annotations

import hashlib
from datetime import UTC, timedelta
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from analytics import permissions
from analytics.models import CardKind, DismissReason
from analytics.queries import results as queries
from analytics.queries.results import Amount, Figure, Reach, Row
from analytics.rules import spend
from analytics.rules.cards import Kind
from analytics.rules.effect import Share
from analytics.web import card_words, charts, results_file, results_words
from marketplace.models import Person
from marketplace.permissions import Actor, actor_of, person_of
from marketplace.shared import clock
from marketplace.shared.errors import Sentence
from marketplace.shared.money import Money
from marketplace.web import formats, parts
from marketplace.web.xlsx_export import Sheet, xlsx_response

# So many withheld cards speak for themselves; with fewer the sentence is about the shown ones.
ENOUGH: Final = 30
PERIODS: Final = {"": 365, "90": 90, "180": 180}
# What a figure says, its icon and tone.
FIGURES: Final[dict[Figure, tuple[Sentence, Sentence, str, str]]] = {
    Figure.AT_RISK: (
        gettext_lazy("Revenue at risk"), gettext_lazy("expected loss of open cards"), "alert-triangle", "warn",
    ),
    Figure.FOUND: (gettext_lazy("Taken on"), gettext_lazy("expected loss of accepted cards"), "phone", ""),
    Figure.RECOVERED: (gettext_lazy("Recovered"), gettext_lazy("bought after the card"), "lifebuoy", "good"),
    Figure.GROWTH_OPEN: (
        gettext_lazy("Growth found"), gettext_lazy("expected purchases of open cards"), "plant-2", "",
    ),
    Figure.GROWTH_FOUND: (
        gettext_lazy("Growth taken on"), gettext_lazy("expected purchases of accepted cards"), "phone", "",
    ),
    Figure.GROWTH_WON: (gettext_lazy("Growth won"), gettext_lazy("bought after the card"), "trophy", "good"),
}  # fmt: skip


class ResultsFilter(forms.Form):
    days = forms.ChoiceField(
        label=gettext_lazy("Cards made in"),
        required=False,
        choices=[
            ("", gettext_lazy("Last 12 months")),
            ("90", gettext_lazy("Last 3 months")),
            ("180", gettext_lazy("Last 6 months")),
            ("all", gettext_lazy("All time")),
        ],
    )


@require_safe
def results(request: HttpRequest) -> HttpResponse:
    """The dashboard. A representative sees the book's totals and their own line, a manager everybody's."""
    page = Dashboard(request)
    return render(request, "analytics/results.html", page.context())


@require_safe
def live(request: HttpRequest) -> HttpResponse:
    """The dashboard without its frame, as it renews itself; only the time where the reader has seen it all."""
    page = Dashboard(request)
    found = page.live()
    if request.GET.get("seen") != found["seen"]:
        return render(request, "analytics/_results_live.html", found | {"swapped": True})
    response = render(request, "analytics/_results_now.html", found | {"swapped": True})
    # Nothing moves under the reader: charts, what is scrolled in the tables, the focus.
    response["HX-Reswap"] = "none"
    return response


@require_safe
def workbook(request: HttpRequest) -> HttpResponse:
    """Everything on the dashboard, and its cards, as a spreadsheet."""
    return xlsx_response("insights", Dashboard(request).sheets())


class Dashboard:
    """What the pages of the dashboard share: whose book, since when, who looks."""

    def __init__(self, request: HttpRequest) -> None:
        actor: Actor = actor_of(request)
        self.request = request
        self.book = permissions.book_of(actor)
        self.person = person_of(actor)
        self.manages = permissions.is_manager(actor, self.book)
        self.form = ResultsFilter(request.GET)
        if not self.form.is_valid():
            raise Http404
        days = PERIODS.get(self.form.cleaned_data["days"])
        since = clock.now().astimezone(UTC).date() - timedelta(days=days) if days else None
        self.reach = Reach(self.book, since)

    def context(self) -> dict[str, Any]:
        return self.live() | {
            "form": self.form,
            "has_cards": self.reach.everything().exists(),
            "export_url": self._link("insights_results_xlsx"),
        }

    def live(self) -> dict[str, Any]:
        """What renews itself; `seen` tells whether any of it has changed."""
        results = render_to_string("analytics/_results.html", self._results(), self.request)
        seen = hashlib.sha256(results.encode()).hexdigest()[:16]
        return {
            "results": results,
            "seen": seen,
            "live_url": self._link("insights_results_live", seen=seen),
            "now": clock.now(),
        }

    def _results(self) -> dict[str, Any]:
        found = queries.figures(self.reach)
        return {
            "stats": [self._stat(figure, found[figure]) for figure in FIGURES],
            "by_month": [chart for kind in Kind if (chart := self._months(kind))],
            "accepted": results_words.share(queries.acceptance(self.reach)),
            "effects": [self._effect(kind) for kind in Kind],
            "charts": [
                chart for chart in (self._reasons(), self._people(), self._sizes(), self._dismissals()) if chart
            ],
            "calibrations": [self._calibration(kind) for kind in Kind],
            "fallbacks": results_words.fallbacks(self.book.run.facts if self.book.run else {}),
        }

    def sheets(self) -> list[Sheet]:
        """The workbook: the cards are those the reader may open."""
        found = queries.figures(self.reach)
        reach = self.reach if self.manages else Reach(self.book, self.reach.since, self.person.pk)
        return [
            results_file.figures([(FIGURES[figure][0], found[figure]) for figure in FIGURES], self.book.currency),
            results_file.months(
                [(str(CardKind(kind.value).label), queries.by_month(self.reach, kind)) for kind in Kind],
                self.book.currency,
            ),
            results_file.rows(_("By reason"), self._named_reasons(), self.book.currency),
            results_file.rows(_("By representative"), self._named_people(), self.book.currency),
            results_file.rows(_("By size of the account"), self._named_sizes(), self.book.currency),
            *(
                results_file.calibration(f"{_('Calibration')} {CardKind(kind.value).label}",
                                         queries.calibration(self.reach, kind, withheld=True),
                                         queries.calibration(self.reach, kind, withheld=False))
                for kind in Kind
            ),
            results_file.effects([(str(CardKind(it.value).label), queries.effect(self.reach, it)) for it in Kind]),
            results_file.cards(reach.cards()),
        ]  # fmt: skip

    # The parts

    def _stat(self, figure: Figure, amount: Amount) -> parts.Stat:
        label, note, icon, tone = FIGURES[figure]
        value: Any = Money(amount.amount, self.book.currency).rounded() if self.book.currency else formats.EMPTY
        words = _("%(n)s cards: %(note)s") % {"n": charts.count(amount.cards), "note": note}
        url = self._link("insights_results_cards", figure=figure.value)
        return parts.Stat(label, value, words, url, icon, tone if amount.cards else "")  # type: ignore[arg-type]

    def _effect(self, kind: Kind) -> dict[str, Any]:
        return {
            "label": CardKind(kind.value).label,
            **results_words.effect_words(queries.effect(self.reach, kind), kind),
        }

    def _months(self, kind: Kind) -> parts.Chart | None:
        """Month by month what was taken on and what came of it; months in between without cards stand empty."""
        found = {one.first: one for one in queries.by_month(self.reach, kind)}
        if not found or not self.book.currency:
            return None
        none = Decimal(0)
        rows = [
            found.get(month) or queries.Month(month, 0, none, none) for month in spend.months(min(found), max(found))
        ]
        names = [charts.month_name(row.first) for row in rows]
        recovery = kind is Kind.RECOVERY
        taken, bought = _("Taken on"), _("Recovered") if recovery else _("Growth won")
        option = {
            "xAxis": {"type": "category", "data": names},
            "yAxis": {"type": "value"},
            "series": [
                {"type": "bar", "name": taken, "data": [float(row.taken) for row in rows]},
                {"type": "bar", "name": bought, "data": [float(row.bought) for row in rows]},
            ],
        }
        figure = Figure.FOUND if recovery else Figure.GROWTH_FOUND
        cells = [
            (
                self._opens(name, figure=figure.value, month=f"{row.first:%Y-%m}") if row.cards else name,
                charts.count(row.cards),
                charts.figure(row.taken, self.book.currency),
                charts.figure(row.bought, self.book.currency),
            )
            for name, row in reversed(list(zip(names, rows, strict=True)))
        ]
        return parts.Chart(
            f"by-month-{kind.value}", _("Month by month: %(kind)s") % {"kind": CardKind(kind.value).label}, option,
            (_("Month (UTC)"), _("Cards"), taken, bought), cells, (1, 2, 3), self.book.currency,
            _(
                "By the month in which a card was accepted: the expected amount times its chance, and what was bought"
                " since."
            ),
        )  # fmt: skip

    def _named_reasons(self) -> list[tuple[str, Row]]:
        return [(str(card_words.reason(row.key)), row) for row in queries.by_reason(self.reach)]

    def _named_people(self) -> list[tuple[str, Row]]:
        """Everybody's lines for a manager; for a representative their own and all together."""
        rows = queries.by_person(self.reach)
        own = str(self.person.pk)
        if self.manages:
            names = {str(one.pk): str(one) for one in Person.objects.filter(pk__in=[r.key for r in rows if r.key])}
            return [(names.get(row.key, _("nobody")), row) for row in rows]
        found = [(str(self.person), row) for row in rows if row.key == own]
        return [*found, *((_("The whole book"), row) for row in _summed(rows))]

    def _reasons(self) -> parts.Chart | None:
        rows = queries.by_reason(self.reach)
        if not rows:
            return None
        named = [(str(card_words.reason(row.key)), row) for row in rows]
        cells = [(self._opens(name, reason=row.key), *_cells(row, self.book.currency)) for name, row in named]
        return parts.Chart(
            "by-reason",
            _("Acceptance and success by reason"),
            _two_bars(named),
            _columns(_("Reason"), self.book.currency),
            cells,
            (1, 2, 3),
            self.book.currency,
            _(
                "A card with several reasons counts for each. Success: of the accepted cards whose three months are"
                " over, those whose account bought."
            ),
            percents=True,
        )

    def _people(self) -> parts.Chart | None:
        named = self._named_people()
        if not named:
            return None
        # What a representative opens is their own: the whole book's line leads nowhere.
        rows = [
            (self._opens(name, person=row.key) if row.key else name, *_cells(row, self.book.currency))
            for name, row in named
        ]
        return parts.Chart(
            "by-person", _("Acceptance and success by representative"), _two_bars(named),
            _columns(_("Representative"), self.book.currency), rows, (1, 2, 3), self.book.currency, percents=True,
        )  # fmt: skip

    def _named_sizes(self) -> list[tuple[str, Row]]:
        names = {"False": _("Strategic and large"), "True": _("Long tail")}
        return [(names[row.key], row) for row in sorted(queries.by_size(self.reach), key=lambda row: row.key)]

    def _sizes(self) -> parts.Chart | None:
        named = self._named_sizes()
        if not named:
            return None
        rows = [
            (self._opens(name, tail="yes" if row.key == "True" else "no"), *_cells(row, self.book.currency))
            for name, row in named
        ]
        return parts.Chart(
            "by-size", _("Acceptance and success in the long tail and beside it"), _two_bars(named),
            _columns(_("Accounts"), self.book.currency), rows, (1, 2, 3), self.book.currency,
            _(
                "Large are the accounts that together bring 80% of the year’s purchases; half of each day’s cards are"
                " kept for the others."
            ),
            percents=True,
        )  # fmt: skip

    def _dismissals(self) -> parts.Chart | None:
        found = queries.dismissals(self.reach)
        rows = [(str(DismissReason(reason).label), n) for reason, n in found]
        if not rows:
            return None
        option = {
            "xAxis": {"type": "value"},
            "yAxis": {"type": "category", "data": [name for name, _n in reversed(rows)]},
            "series": [{"type": "bar", "name": _("Cards"), "data": [n for _name, n in reversed(rows)]}],
        }
        cells = [
            (self._opens(name, figure="dismissed", dismissed=reason), charts.count(n))
            for (name, n), (reason, _n) in zip(rows, found, strict=True)
        ]
        title, columns = _("Why cards were dismissed"), (_("Reason"), _("Cards"))
        return parts.Chart("dismissals", title, option, columns, cells, (1,))

    def _calibration(self, kind: Kind) -> dict[str, Any]:
        shown, held = (queries.calibration(self.reach, kind, withheld=withheld) for withheld in (False, True))
        title = _("Were the chances right? %(kind)s") % {"kind": CardKind(kind.value).label}
        everything = {(one.low, one.high) for one in (*shown, *held)}
        by_place = {"shown": {one.low: one for one in shown}, "held": {one.low: one for one in held}}
        names, series, cells = [], {"promised": [], "shown": [], "held": []}, []  # type: ignore[var-annotated]
        for low, high in sorted(everything):
            one, other = by_place["shown"].get(low), by_place["held"].get(low)
            name = f"{results_words.percent(low)}–{results_words.percent(high)}"
            promised = (one or other).promised  # type: ignore[union-attr]  # one of them is there
            names.append(name)
            series["promised"].append(round(100 * promised, 1))
            for key, found in (("shown", one), ("held", other)):
                value = found.happened.value if found else None
                series[key].append(None if value is None else round(100 * value, 1))
            place = str(round(low * queries.BINS))
            label = self._opens(name, figure="measured", kind=kind.value, chance=place) if one else name
            cells.append(
                (label, results_words.percent(promised), results_words.of_bin(one), results_words.of_bin(other))
            )
        option = {
            "xAxis": {"type": "category", "data": names},
            "yAxis": {"type": "value", "max": 100},
            "series": [
                {"type": "line", "name": _("Promised"), "data": series["promised"]},
                {"type": "bar", "name": _("Happened, shown cards"), "data": series["shown"]},
                {"type": "bar", "name": _("Happened, withheld cards"), "data": series["held"]},
            ],
        }
        columns = (_("Chance given"), _("On average"), _("Shown cards"), _("Withheld cards"))
        note = _("What was shown was acted upon, which is meant to change it: the withheld cards are the fair measure.")
        chart = parts.Chart(
            f"calibration-{kind.value}", title, option, columns, cells, (1, 2, 3), note=note, percents=True
        )
        enough = sum(one.happened.of for one in held) >= ENOUGH
        sentence = results_words.calibration_words(held if enough else shown, kind)
        return {"chart": chart if cells else None, "sentence": sentence, "title": title}

    def _opens(self, label: str, figure: str = "decided", **narrowing: str) -> str:
        return charts.opens(label, self._link("insights_results_cards", figure=figure, **narrowing))

    def _link(self, name: str, **more: str) -> str:
        kept = {"days": self.request.GET["days"]} if self.request.GET.get("days") else {}
        query = urlencode(kept | more)
        return reverse(name) + (f"?{query}" if query else "")


def _columns(first: str, currency: str) -> tuple[str, ...]:
    return first, _("Accepted"), _("Success"), _("Bought, %(currency)s") % {"currency": currency}


def _cells(row: Row, currency: str) -> tuple[str, ...]:
    return results_words.share(row.accepted), results_words.share(row.success), charts.figure(row.amount, currency)


def _two_bars(named: list[tuple[str, Row]]) -> dict[str, Any]:
    shown = list(reversed(named[: charts.BARS]))

    def values(shares: list[Share]) -> list[float | None]:
        return [None if share.value is None else round(100 * share.value, 1) for share in shares]

    return {
        "xAxis": {"type": "value", "max": 100},
        "yAxis": {"type": "category", "data": [name if len(name) <= 28 else f"{name[:27]}…" for name, _row in shown]},
        "series": [
            {"type": "bar", "name": _("Accepted"), "data": values([row.accepted for _name, row in shown])},
            {"type": "bar", "name": _("Success"), "data": values([row.success for _name, row in shown])},
        ],
    }


def _summed(rows: list[Row]) -> list[Row]:
    if not rows:
        return []
    accepted = Share(sum(row.accepted.hits for row in rows), sum(row.accepted.of for row in rows))
    success = Share(sum(row.success.hits for row in rows), sum(row.success.of for row in rows))
    return [Row("", accepted, success, sum((row.amount for row in rows), rows[0].amount * 0))]
