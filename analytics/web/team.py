"""The sales manager's pages: the team in figures, and the territories with who looks after them."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import get_language, gettext_lazy, ngettext
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from analytics import permissions
from analytics.models import Book, Territory
from analytics.queries import customers as customer_queries
from analytics.queries import team as queries
from analytics.rules import territories as rules
from analytics.services import cards as card_services
from analytics.services import customers as services
from analytics.web import charts
from analytics.web.customers import HandOverForm
from marketplace.countries import name_of
from marketplace.permissions import Actor, actor_of
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound
from marketplace.shared.money import Money
from marketplace.web import formats, parts, refusals
from marketplace.web.forms import posted


class CapacityForm(forms.Form):
    cards_a_day = forms.IntegerField(label=gettext_lazy("Cards a day"), min_value=0, max_value=200)


class TerritoryForm(forms.Form):
    name = forms.CharField(label=gettext_lazy("Name"), max_length=120)
    countries = forms.CharField(
        label=gettext_lazy("Countries"),
        required=False,
        help_text=gettext_lazy("Codes of two letters, apart by commas: DE, AT"),
    )
    prefixes = forms.CharField(
        label=gettext_lazy("Customer numbers that begin with"),
        required=False,
        help_text=gettext_lazy("Apart by commas."),
    )
    accounts = forms.CharField(
        label=gettext_lazy("Single customer numbers"),
        required=False,
        widget=forms.Textarea({"rows": 3}),
        help_text=gettext_lazy("Apart by commas or lines."),
    )
    rank = forms.IntegerField(
        label=gettext_lazy("Order"),
        min_value=0,
        max_value=9999,
        initial=0,
        help_text=gettext_lazy("The territory with the lowest number whose rule fits takes the account."),
    )


@require_safe
def team(request: HttpRequest) -> HttpResponse:
    """Every representative: capacity, what waits, what was done and what came of it."""
    actor = actor_of(request)
    book = _managed(actor)
    now = clock.now()
    members = queries.members(book, card_services.day_of(actor.person, now), now)
    context = {
        "rows": [_row(member, book) for member in members],
        "unowned": customer_queries.unowned(book),
        "crumbs": [],
    }
    return render(request, "analytics/team.html", context)


@require_POST
def capacity(request: HttpRequest, person_id: int) -> HttpResponse:
    """Say how many cards a day somebody works."""
    actor = actor_of(request)
    book = _managed(actor)
    form = CapacityForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Cards a day: a whole number from 0 to 200."))
        return redirect("insights_team")
    found = services.set_capacity(book.pk, person_id, form.cleaned_data["cards_a_day"], by=actor, at=clock.now())
    words = _("%(name)s has %(n)s cards a day now.")
    messages.success(request, words % {"name": found.person, "n": charts.count(found.cards_a_day)})
    return redirect("insights_team")


@require_safe
def territories(request: HttpRequest) -> HttpResponse:
    """Territories with their rules, who looks after them, and how many accounts they hold."""
    book = _managed(actor_of(request))
    counts = customer_queries.counts_by_territory(book)
    rows = book.territories.select_related("representative").order_by("rank", "pk")
    context = {
        "rows": [(row, _rule_words(row), counts.get(row.pk, 0)) for row in rows],
        "outside": counts.get(None, 0),
        "action": parts.Action(_("New territory"), reverse("insights_territory_new"), "plus"),
    }
    return render(request, "analytics/territories.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def territory(request: HttpRequest, territory_id: int | None = None) -> HttpResponse:
    """A new territory, or the rule of one; saved, the accounts are sorted anew."""
    actor = actor_of(request)
    book = _managed(actor)
    found = _territory(book, territory_id) if territory_id is not None else None
    form = TerritoryForm(posted(request), initial=_initial(found) if found else {"rank": book.territories.count()})
    if request.method == "POST" and form.is_valid():
        typed = form.cleaned_data
        rule = rules.typed(typed["countries"], typed["prefixes"], typed["accounts"])
        try:
            services.save_territory(book.pk, territory_id, typed["name"], rule, typed["rank"], by=actor, at=clock.now())
        except NotFound:
            raise
        except DomainError as error:
            refusals.show_on(form, error)
        else:
            messages.success(request, _("The territory is kept, and the accounts are sorted anew."))
            return redirect("insights_territories")
    context = {"form": form, "territory": found, "crumbs": [_crumb()]}
    return render(request, "analytics/territory.html", context, status=422 if form.is_bound and form.errors else 200)


@require_POST
def delete(request: HttpRequest, territory_id: int) -> HttpResponse:
    """Take a territory away."""
    actor = actor_of(request)
    _territory(_managed(actor), territory_id)
    services.delete_territory(territory_id, by=actor, at=clock.now())
    messages.success(request, _("The territory is gone; its accounts went to the next that fits."))
    return redirect("insights_territories")


@require_http_methods(["GET", "HEAD", "POST"])
def hand_over(request: HttpRequest, territory_id: int) -> HttpResponse:
    """Give a whole territory to another representative, with a note."""
    actor = actor_of(request)
    book = _managed(actor)
    found = _territory(book, territory_id)
    form = HandOverForm(posted(request), book=book, nobody=False)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            moved = services.hand_over_territory(found.pk, data["to"], data["note"], by=actor, at=clock.now())
        except NotFound:
            raise
        except DomainError as error:
            refusals.show_on(form, error)
        else:
            words = ngettext(
                "%(name)s is handed over, with %(n)s account.", "%(name)s is handed over, with %(n)s accounts.", moved
            )
            messages.success(request, words % {"name": found.name, "n": charts.count(moved)})
            return redirect("insights_territories")
    context = {
        "title": _("Hand over the territory %(name)s") % {"name": found.name},
        "text": _(
            "Its accounts that are its representative’s or nobody’s go along, with their open cards. Accounts that"
            " somebody else looks after stay where they are."
        ),
        "submit_label": _("Hand over"),
        "back_url": reverse("insights_territories"),
        "form": form,
    }
    return render(request, "confirm.html", context, status=422 if form.is_bound and form.errors else 200)


def _managed(actor: Actor) -> Book:
    book = permissions.book_of(actor)
    permissions.require_manager(actor, book)
    return book


def _territory(book: Book, territory_id: int) -> Territory:
    found = book.territories.filter(pk=territory_id).first()
    if found is None:
        raise NotFound
    return found


def _row(member: queries.Member, book: Book) -> dict[str, Any]:
    success = formats.EMPTY
    if member.success.of:
        success = _("%(hits)s of %(of)s") % {
            "hits": charts.count(member.success.hits),
            "of": charts.count(member.success.of),
        }
    return {
        "member": member,
        "success": success,
        "recovered": Money(member.recovered, book.currency).rounded() if book.currency else None,
        "won": Money(member.won, book.currency).rounded() if book.currency else None,
    }


def _rule_words(territory: Territory) -> list[str]:
    rule = rules.read(territory.rule)
    found = []
    if rule.countries:
        language = get_language() or "en"
        found.append(", ".join(name_of(code, language) for code in rule.countries))
    if "" in rule.prefixes:
        found.append(_("everybody whom no territory above takes"))
    elif rule.prefixes:
        found.append(
            _("customer numbers that begin with %(list)s")
            % {"list": ", ".join(f"{prefix}…" for prefix in rule.prefixes)}
        )
    if rule.accounts:
        number = len(rule.accounts)
        found.append(ngettext("%(n)s single account", "%(n)s single accounts", number) % {"n": charts.count(number)})
    return found or [_("no rule: nobody is in it")]


def _initial(territory: Territory) -> dict[str, Any]:
    rule = rules.read(territory.rule)
    return {
        "name": territory.name,
        "countries": ", ".join(rule.countries),
        "prefixes": ", ".join(rule.prefixes),
        "accounts": "\n".join(rule.accounts),
        "rank": territory.rank,
    }


def _crumb() -> parts.Crumb:
    return parts.Crumb(_("Territories"), reverse("insights_territories"))
