"""One card: its page with everything done with it, and what is done, from here or from the queue."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from analytics import permissions
from analytics.models import Book, CallResult, Card, CardEvent, DismissReason
from analytics.queries import cards as queries
from analytics.rules import cards as rules
from analytics.rules.cards import CardState, Dismissed, Heard
from analytics.services import cards as services
from analytics.web import card_words
from analytics.web.shown_cards import Shown, event_words, shown
from marketplace.models import Person
from marketplace.permissions import Actor, actor_of, person_of
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound
from marketplace.shared.money import Money
from marketplace.web import formats, parts


class NoteForm(forms.Form):
    note = forms.CharField(
        label=gettext_lazy("Note"), max_length=2000, widget=forms.Textarea({"rows": 3}), required=False
    )


class SnoozeForm(forms.Form):
    """A day; "tomorrow" and the like are forms of their own with the same field."""

    until = forms.DateField(label=gettext_lazy("Until"), required=False, widget=forms.DateInput({"type": "date"}))


class DismissForm(NoteForm):
    reason = forms.ChoiceField(label=gettext_lazy("Reason"), choices=DismissReason.choices)


class CallForm(NoteForm):
    heard = forms.ChoiceField(label=gettext_lazy("What came of it"), choices=CallResult.choices)
    again_on = forms.DateField(
        label=gettext_lazy("Call again on"), required=False, widget=forms.DateInput({"type": "date"})
    )


@require_safe
def card(request: HttpRequest, card_id: int) -> HttpResponse:
    """One card with its evidence and everything that was done with it."""
    found = readable(actor_of(request), card_id)
    return _card_page(request, found)


@require_POST
def act(request: HttpRequest, card_id: int, what: str) -> HttpResponse:
    """Accept, snooze, dismiss, note or call; then back to where it was done, or the card's fragment for HTMX."""
    actor, now = actor_of(request), clock.now()
    card = readable(actor, card_id)
    doing = _ACTS.get(what)
    if doing is None:
        raise Http404
    form_class, do = doing
    form = form_class(request.POST)
    try:
        if not form.is_valid():
            raise FormWrong
        done = do(card.pk, form.cleaned_data, {"by": actor, "at": now}, _seen(request))
    except NotFound:
        raise
    except (DomainError, FormWrong) as error:
        if isinstance(error, DomainError):
            form.add_error(error.field if error.field in form.fields else None, str(error))
        card.refresh_from_db()
        return _refused(request, card, form, what)
    said = _said(done)
    if getattr(request, "htmx", False):
        return _after(request, done.card, done.event, said)
    messages.success(request, said)
    return redirect(_back(request, done.card))


@require_POST
def undo(request: HttpRequest, event_id: int) -> HttpResponse:
    """Take one's last act on a card back."""
    done = services.undo(event_id, by=actor_of(request), at=clock.now())
    said = _("Taken back: %(account)s is as it was before.") % {"account": done.card.account.name}
    if getattr(request, "htmx", False):
        person = done.card.representative or person_of(actor_of(request))
        day = services.day_of(person, clock.now())
        one = shown([_full(done.card)], day)[0]
        context = {"one": one, "back": True, "said": said, **_day(done.card.book, person, day)}
        return render(request, "analytics/_card_again.html", context)
    messages.success(request, said)
    return redirect(_back(request, done.card))


class FormWrong(Exception):
    """The form says what is wrong."""


# What is done, by the last part of the address.

_Do = Callable[[int, dict[str, Any], dict[str, Any], CardState | None], services.Act]


def _accept(pk: int, _data: dict[str, Any], by: dict[str, Any], seen: CardState | None) -> services.Act:
    return services.accept(pk, seen=seen, **by)


def _snooze(pk: int, data: dict[str, Any], by: dict[str, Any], seen: CardState | None) -> services.Act:
    return services.snooze(pk, data["until"], seen=seen, **by)


def _dismiss(pk: int, data: dict[str, Any], by: dict[str, Any], seen: CardState | None) -> services.Act:
    return services.dismiss(pk, Dismissed(data["reason"]), note=data["note"], seen=seen, **by)


def _note(pk: int, data: dict[str, Any], by: dict[str, Any], _seen: CardState | None) -> services.Act:
    return services.note(pk, data["note"], **by)


def _call(pk: int, data: dict[str, Any], by: dict[str, Any], _seen: CardState | None) -> services.Act:
    return services.call(pk, Heard(data["heard"]), again_on=data["again_on"], note=data["note"], **by)


_ACTS: Final[dict[str, tuple[type[forms.Form], _Do]]] = {
    "accept": (forms.Form, _accept),
    "snooze": (SnoozeForm, _snooze),
    "dismiss": (DismissForm, _dismiss),
    "note": (NoteForm, _note),
    "call": (CallForm, _call),
}


# Showing


def _card_page(
    request: HttpRequest, card: Card, form: forms.Form | None = None, what: str = "", status: int = 200
) -> HttpResponse:
    day = services.day_of(actor_of(request).person, clock.now())
    events = card.events.select_related("person", "undoes").order_by("-at", "-pk")[:100]
    context = {
        "one": _one(request, card, day),
        "events": [(event, event_words(event)) for event in events],
        "refused": form,
        "refused_act": what,
        "facts": _facts(card),
        "crumbs": [
            parts.Crumb(_("Today’s queue"), reverse("insights_queue")),
            parts.Crumb(card.account.name, reverse("insights_customer", args=[card.account_id])),
        ],
    }
    return render(request, "analytics/card.html", context, status=status)


def _refused(request: HttpRequest, card: Card, form: forms.Form, what: str) -> HttpResponse:
    if getattr(request, "htmx", False):
        day = services.day_of(actor_of(request).person, clock.now())
        context = {"one": _one(request, card, day), "refused": form, "refused_act": what}
        # HTMX swaps successful answers only; the sentence of the refusal stands in the card.
        return render(request, "analytics/_card.html", context)
    return _card_page(request, card, form, what, status=422)


def _one(request: HttpRequest, card: Card, day: date) -> Shown:
    """The card for whoever reads it; who took it on once and has handed it over only reads."""
    actor = actor_of(request)
    return shown([card], day, only_of=None if permissions.is_manager(actor, card.book) else person_of(actor))[0]


def _after(request: HttpRequest, card: Card, event: CardEvent, said: str) -> HttpResponse:
    person = card.representative or person_of(actor_of(request))
    day = services.day_of(person, clock.now())
    context = {"card": card, "event": event, "said": said, **_day(card.book, person, day)}
    if event.what == CardEvent.What.NOTE:
        context |= {"one": shown([_full(card)], day)[0], "back": True}
        return render(request, "analytics/_card_again.html", context)
    return render(request, "analytics/_card_done.html", context)


def _day(book: Book, person: Person, day: date) -> dict[str, Any]:
    acted, capacity = queries.acted_on(person, book, day), queries.capacity_of(book, person)
    return {"acted": acted, "capacity": capacity}


def _facts(card: Card) -> list[parts.Fact]:
    made = _("%(p)s on %(day)s") % {"p": card_words.percent_of(card.p_made), "day": formats.day(card.cutoff)}
    expires = card.shown_on + rules.EXPIRES_AFTER
    found = [
        parts.Fact(_("Chance, by the newest scores"), card_words.percent_of(card.p)),
        parts.Fact(_("Chance when the card was made"), made),
        parts.Fact(_("Expected, times the chance"), Money(Decimal(repr(card.by_money)), card.currency).rounded()),
        parts.Fact(_("Representative"), card.representative or _("nobody yet")),
    ]
    if card.state == CardState.OPEN:
        found.append(parts.Fact(_("Goes by itself on"), formats.day(expires)))
    if card.bought is not None:
        words = _("Bought for %(amount)s") if card.bought else _("Bought nothing")
        amount = formats.amount(Money(card.bought_amount, card.currency))
        found.append(parts.Fact(_("Since the cut-off"), words % {"amount": f"{amount} {card.currency}"}))
    return found


def _said(done: services.Act) -> str:
    account, event = done.card.account.name, done.event
    if event.what == CardEvent.What.ACCEPTED:
        return _("%(account)s is yours to call: you find it under “In work”.") % {"account": account}
    if event.what == CardEvent.What.SNOOZED:
        return _("%(account)s comes back on %(day)s.") % {"account": account, "day": _day_words(event.due_on)}
    if event.what == CardEvent.What.DISMISSED:
        until = rules.quiet_until(Dismissed(event.reason), services.day_of(event.person, event.at))
        if until is None:
            return _("%(account)s is dismissed for good.") % {"account": account}
        return _("%(account)s is dismissed and not shown before %(day)s.") % {
            "account": account,
            "day": _day_words(until),
        }
    if event.what == CardEvent.What.NOTE:
        return _("Your note on %(account)s is kept.") % {"account": account}
    return _("The call to %(account)s is kept.") % {"account": account}


def _day_words(day: date | None) -> str:
    return "" if day is None else formats.day(day)


# Reading


def _seen(request: HttpRequest) -> CardState | None:
    try:
        return CardState(request.POST.get("seen", ""))
    except ValueError:
        return None


def readable(actor: Actor, card_id: int) -> Card:
    """A card of one's own, now or when it was accepted, or for a manager of the book. Raises NotFound."""
    found = _joined(permissions.cards_open_to(actor)).filter(pk=card_id).first()
    if found is None:
        raise NotFound
    return found


def _joined(cards: Any) -> Any:
    return cards.select_related("book", "account__territory", "category", "item", "run", "representative")


def _full(card: Card) -> Card:
    found: Card = _joined(Card.objects).get(pk=card.pk)
    return found


def _back(request: HttpRequest, card: Card) -> str:
    asked = request.POST.get("next", "")
    ours = url_has_allowed_host_and_scheme(asked, {request.get_host()}, require_https=request.is_secure())
    # A path only: `redirect` takes any other word for the name of a page.
    return asked if ours and asked.startswith("/") else reverse("insights_queue")
