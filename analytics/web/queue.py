"""The representative's day: the queue of cards, in two orders, as long as the day has places."""

from __future__ import annotations

from typing import Any, Final

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from analytics import permissions
from analytics.models import Book, CardKind
from analytics.queries import cards as queries
from analytics.queries import sellers
from analytics.queries.cards import Choice, Queue
from analytics.rules.cards import Order
from analytics.rules.remarks import Odd
from analytics.services import cards as services
from analytics.web import card_words
from analytics.web.purchase_words import remarks
from analytics.web.shown_cards import shown
from marketplace.models import Person
from marketplace.permissions import Actor, actor_of, person_of
from marketplace.shared import clock
from marketplace.shared.errors import NotFound
from marketplace.web import formats, parts
from marketplace.web.lists import address, chips

# What "show more" adds to a day that is done.
MORE: Final = 5
IN_WORK: Final = 100


class QueueFilter(forms.Form):
    kind = forms.ChoiceField(
        label=gettext_lazy("Kind"), required=False, choices=[("", gettext_lazy("All")), *CardKind.choices]
    )
    size = forms.ChoiceField(
        label=gettext_lazy("Accounts"),
        required=False,
        choices=[
            ("", gettext_lazy("All")),
            ("few", gettext_lazy("Strategic and large")),
            ("tail", gettext_lazy("Long tail")),
        ],
    )
    category = forms.TypedChoiceField(label=gettext_lazy("Category"), required=False, coerce=int, empty_value=None)
    territory = forms.TypedChoiceField(label=gettext_lazy("Territory"), required=False, coerce=int, empty_value=None)

    def __init__(self, *args: Any, cards: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, found in (
            ("category", queries.categories_in(cards)),
            ("territory", queries.territories_in(cards)),
        ):
            choices = [("", _("All")), *found]
            self.fields[name].choices = choices  # type: ignore[attr-defined]  # a ChoiceField
            if len(choices) == 1:
                del self.fields[name]


@require_safe
def queue(request: HttpRequest) -> HttpResponse:
    """Today's cards of a representative; a manager may look at anybody's."""
    actor = actor_of(request)
    book = permissions.book_of(actor)
    manages = permissions.is_manager(actor, book)
    person = _whose(request, actor, book)
    order = Order.CERTAIN if request.GET.get("order") == Order.CERTAIN.value else Order.MONEY
    day = services.day_of(person, clock.now())
    own = queries.of_person(book, person).filter(queries.waiting_on(day))
    form = QueueFilter(request.GET, cards=own)
    more = MORE if request.GET.get("more") else 0
    in_work = request.GET.get("show") == "work"
    choice = _choice(form, order)
    found = queries.queue(book, person, choice, day, more=more)
    work = queries.in_work(book, person, choice)
    context = {
        "lead": _lead(book, order),
        "person": person,
        "is_own": person == actor.person,
        "order": order.value,
        "show": "work" if in_work else "",
        "queue": found,
        "shown": shown(list(work[:IN_WORK]) if in_work else found.cards, day),
        "calls": [] if in_work else shown(found.calls, day),
        "no_scores": book.run_id is None,
        "done": [(event, card_words.thing(event.card)) for event in queries.acts_of(person, book, day)[:50]],
        "form": form,
        "chips": chips(request, form),
        "clear_url": address(request, kind="", size="", category="", territory="", more=""),
        "more": parts.Action(_("Take a few more"), address(request, more="1"), icon="plus"),
        "team": parts.Action(_("Look at the team"), reverse("insights_team"), icon="users"),
        "accounts": parts.Action(_("Look through the accounts"), reverse("insights_customers"), icon="building"),
        "tabs": [
            parts.Tab(
                _("Most money"), address(request, order="", show=""), not in_work and order is Order.MONEY, icon="cash"
            ),
            parts.Tab(
                _("Most certain"),
                address(request, order=Order.CERTAIN.value, show=""),
                not in_work and order is Order.CERTAIN,
                icon="target",
            ),
            parts.Tab(_("In work"), address(request, show="work"), in_work, work.count(), icon="phone"),
        ],
        "manages": manages,
        "people": sellers.representatives(book) if manages else [],
        # The platform's roles are an operator's to give.
        "roles": parts.Action(_("To the people"), reverse("organisation_people"), icon="users")
        if book.owner_id
        else None,
        **_progress(found),
    }
    return render(request, "analytics/queue.html", context)


def _lead(book: Book, order: Order) -> str:
    """How fresh the scores are, and what makes a card come first."""
    if book.run is None:
        return ""
    words = _("Scored from purchases up to %(day)s.")
    if order is Order.MONEY:
        words = _("Scored from purchases up to %(day)s. First comes the most money times its chance.")
    told = words % {"day": formats.day(book.run.cutoff)}
    # Why there may be few cards, or none: the history ends too early.
    ends = [one for one in book.run.facts.get("remarks", []) if one["code"] in (Odd.ENDS_EARLY, Odd.OVER)]
    return " ".join([told, *(one.text for one in remarks(ends))])


def _progress(found: Queue) -> dict[str, Any]:
    return {"acted": found.acted, "capacity": found.capacity}


def _choice(form: QueueFilter, order: Order) -> Choice:
    if not form.is_valid():
        return Choice(order)
    found = form.cleaned_data
    tail = {"tail": True, "few": False}.get(found.get("size") or "")
    return Choice(order, found.get("kind") or "", found.get("category"), found.get("territory"), tail)


def _whose(request: HttpRequest, actor: Actor, book: Book) -> Person:
    """The actor, or for a manager the representative asked for. Raises NotFound for anybody else's."""
    person = person_of(actor)
    asked = request.GET.get("representative", "")
    if not asked or asked == str(person.pk):
        return person
    found = [one for one in sellers.representatives(book) if str(one.pk) == asked]
    if not found or not permissions.is_manager(actor, book):
        raise NotFound
    return found[0]
