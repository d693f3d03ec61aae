"""The cards that a figure of the dashboard, or a row of its tables, is made of."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any, Final

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from analytics.models import Card, CardKind, DismissReason
from analytics.queries import results as queries
from analytics.queries.results import Figure, Narrowed, Reach
from analytics.rules import cards as rules
from analytics.web import card_words, charts, results_words
from analytics.web.customer_lines import month_of
from analytics.web.results import FIGURES, Dashboard
from marketplace.models import Person
from marketplace.shared.errors import Sentence
from marketplace.shared.money import Money
from marketplace.web import formats, parts
from marketplace.web.forms import whole_number
from marketplace.web.lists import address, listed

_TITLES: Final[dict[Figure, Sentence]] = {
    Figure.DECIDED: gettext_lazy("Cards decided on"),
    Figure.DISMISSED: gettext_lazy("Dismissed cards"),
    Figure.MEASURED: gettext_lazy("Cards whose three months are over"),
}
_TAIL: Final = {"yes": True, "no": False}


@require_safe
def cards(request: HttpRequest) -> HttpResponse:
    """The cards a figure is made of; a representative opens their own."""
    page = Dashboard(request)
    try:
        figure = Figure(request.GET.get("figure", ""))
    except ValueError:
        raise Http404 from None
    reach = page.reach if page.manages else Reach(page.book, page.reach.since, page.person.pk)
    narrowed = _narrowed(request)
    listing = listed(request, queries.cards_of(reach, figure, narrowed), ["-by_money", "pk"])
    context = {
        "list": listing,
        "rows": [_row(card) for card in listing.rows],
        "title": FIGURES[figure][0] if figure in FIGURES else _TITLES[figure],
        "lead": "" if page.manages else _("Your own cards. The dashboard’s totals are the whole book’s."),
        "chips": _chips(request, page.reach, narrowed),
        "paid": figure in queries.PAID,
        "crumbs": [parts.Crumb(_("Results"), reverse("insights_results"))],
    }
    return render(request, "analytics/results_cards.html", context)


def _narrowed(request: HttpRequest) -> Narrowed:
    """What of the address can be read; the rest narrows nothing."""
    asked = request.GET
    place = whole_number(asked.get("chance", ""))
    return Narrowed(
        reason=asked.get("reason", "")[:40],
        person=whole_number(asked.get("person", "")),
        dismissed_for=_one_of(asked.get("dismissed", ""), DismissReason.values),
        kind=_one_of(asked.get("kind", ""), CardKind.values),
        place=place if place is not None and place < queries.BINS else None,
        long_tail=_TAIL.get(asked.get("tail", "")),
        month=month_of(asked.get("month", "")),
    )


def _one_of(asked: str, values: list[str]) -> str:
    return asked if asked in values else ""


def _chips(request: HttpRequest, whole: Reach, narrowed: Narrowed) -> list[parts.Chip]:
    found: list[tuple[str, Sentence]] = []
    if narrowed.reason:
        found.append(("reason", card_words.reason(narrowed.reason)))
    if narrowed.person is not None:
        # Named only where they have cards there: who else has an account here is not told.
        theirs = replace(whole, person=narrowed.person).cards()
        known = Person.objects.filter(pk=narrowed.person).first() if theirs.exists() else None
        found.append(("person", str(known or formats.EMPTY)))
    if narrowed.dismissed_for:
        found.append(("dismissed", DismissReason(narrowed.dismissed_for).label))
    if narrowed.kind:
        found.append(("kind", CardKind(narrowed.kind).label))
    if narrowed.place is not None:
        low, high = (end / queries.BINS for end in (narrowed.place, narrowed.place + 1))
        values = {"low": results_words.percent(low), "high": results_words.percent(high)}
        found.append(("chance", _("Given %(low)s–%(high)s") % values))
    if narrowed.long_tail is not None:
        found.append(("tail", _("Long tail") if narrowed.long_tail else _("Strategic and large")))
    if narrowed.month is not None:
        found.append(("month", _("Taken on in %(month)s") % {"month": charts.month_name(narrowed.month)}))
    return [parts.Chip(str(words), address(request, **{name: ""})) for name, words in found]


def _row(card: Card) -> dict[str, Any]:
    return {
        "card": card,
        "thing": card_words.thing(card),
        "confidence": card_words.confidence(card),
        "p": results_words.percent(card.p_made),
        "amount": Money(card.expected_amount, card.currency).rounded(),
        "bought": Money(card.bought_amount, card.currency).rounded() if card.bought else None,
        "outcome": _outcome(card),
    }


def _outcome(card: Card) -> Sentence:
    if card.bought:
        return _("bought")
    if card.measured_at is None:
        until: date = card.cutoff + rules.HORIZON
        return _("open until %(day)s") % {"day": formats.day(until)}
    return _("bought nothing")
