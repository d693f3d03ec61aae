"""The representative's day: the queue of cards, one card with all about it, and what is done with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
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
from analytics.models import Book, CallResult, Card, CardEvent, CardKind, Closing, DismissReason
from analytics.queries import cards as queries
from analytics.queries import sellers
from analytics.queries.cards import Bought, Choice, Peer, Queue
from analytics.rules import cards as rules
from analytics.rules.cards import CardState, Dismissed, Heard, Kind, Order
from analytics.rules.rhythm import Rhythm, rhythm
from analytics.services import cards as services
from analytics.web import card_words, pictures
from analytics.web.pictures import RhythmPicture
from marketplace.models import Person
from marketplace.permissions import Actor, actor_of, person_of
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound, Sentence
from marketplace.shared.money import Money
from marketplace.web import formats, parts
from marketplace.web.lists import address, chips

# What "show more" adds to a day that is done.
MORE: Final = 5
IN_WORK: Final = 100
_SNOOZES: Final = ((1, gettext_lazy("Tomorrow")), (7, gettext_lazy("In a week")), (30, gettext_lazy("In a month")))


@dataclass(frozen=True, slots=True)
class Shown:
    """A card as a page shows it."""

    card: Card
    sentence: str
    confidence: Sentence
    chance: str
    thing: str
    amount: Money
    reasons: list[Sentence]
    suggestion: str
    rhythm: Rhythm
    picture: RhythmPicture | None
    bought: list[Bought]
    # What, its share as a number of HTML and in words, and whether it is the card's own thing.
    peers: list[tuple[str, str, str, bool]]
    dismissals: list[tuple[str, Sentence, date | None]]
    snoozes: list[tuple[date, Sentence]]

    @property
    def call_results(self) -> list[tuple[str, Sentence]]:
        return list(CallResult.choices)


class QueueFilter(forms.Form):
    kind = forms.ChoiceField(
        label=gettext_lazy("Kind"), required=False, choices=[("", gettext_lazy("All")), *CardKind.choices]
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
def queue(request: HttpRequest) -> HttpResponse:
    """Today's cards of a representative; a manager may look at anybody's."""
    actor = actor_of(request)
    book = permissions.book_of(actor)
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
        "clear_url": address(request, kind="", category="", territory="", more=""),
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
        "people": sellers.representatives(book) if permissions.is_manager(actor, book) else [],
        **_progress(found),
    }
    return render(request, "analytics/queue.html", context)


@require_safe
def card(request: HttpRequest, card_id: int) -> HttpResponse:
    """One card with its evidence and everything that was done with it."""
    found = _readable(actor_of(request), card_id)
    return _card_page(request, found)


@require_POST
def act(request: HttpRequest, card_id: int, what: str) -> HttpResponse:
    """Accept, snooze, dismiss, note or call; then back to where it was done, or the card's fragment for HTMX."""
    actor, now = actor_of(request), clock.now()
    card = _readable(actor, card_id)
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


def shown(cards: Sequence[Card], day: date) -> list[Shown]:
    """Cards with their evidence; a fixed number of queries."""
    bought, peers, companions = queries.purchases(cards), queries.peers(cards), queries.companions(cards)
    return [
        _shown(card, bought.get(card.pk, []), peers.get(card.pk, []), companions.get(card.pk, ""), day)
        for card in cards
    ]


def _shown(card: Card, bought: list[Bought], peers: list[Peer], companion: str, day: date) -> Shown:
    known = card.run.cutoff if card.run else card.cutoff
    found = rhythm((one.day for one in bought), known)
    recovery = card.kind == Kind.RECOVERY.value
    return Shown(
        card,
        card_words.sentence(card, found, companion),
        card_words.confidence(card),
        card_words.chance(card),
        card_words.thing(card),
        Money(card.expected_amount, card.currency).rounded(),
        [card_words.reason(code) for code in card.reasons],
        card_words.suggestion(card),
        found,
        pictures.rhythm_picture(bought, found, known) if recovery else None,
        bought,
        [(peer.name, f"{peer.share:.3f}", card_words.percent_of(peer.share), peer.is_this) for peer in peers],
        [
            (reason.value, DismissReason(reason.value).label, rules.quiet_until(reason, day))
            for reason in rules.FITTING[Kind(card.kind)]
        ],
        [(day + timedelta(days=days), label) for days, label in _SNOOZES],
    )


def _card_page(
    request: HttpRequest, card: Card, form: forms.Form | None = None, what: str = "", status: int = 200
) -> HttpResponse:
    day = services.day_of(actor_of(request).person, clock.now())
    events = card.events.select_related("person", "undoes").order_by("-at", "-pk")[:100]
    context = {
        "one": shown([card], day)[0],
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


def event_words(event: CardEvent) -> list[Sentence]:
    """What an event says besides its name: the reason, the day, the words typed."""
    found: list[Sentence] = []
    if event.what == CardEvent.What.DISMISSED:
        found.append(DismissReason(event.reason).label)
    elif event.what == CardEvent.What.CALL:
        found.append(CallResult(event.reason).label)
    elif event.what == CardEvent.What.MEASURED:
        found.append(_("Bought within the horizon") if event.reason == "bought" else _("Bought nothing"))
    elif event.what == CardEvent.What.EXPIRED and event.reason:
        found.append(Closing(event.reason).label)
    if event.text:
        found.append(event.text)
    return found


def _refused(request: HttpRequest, card: Card, form: forms.Form, what: str) -> HttpResponse:
    if getattr(request, "htmx", False):
        day = services.day_of(actor_of(request).person, clock.now())
        context = {"one": shown([card], day)[0], "refused": form, "refused_act": what}
        # HTMX swaps successful answers only; the sentence of the refusal stands in the card.
        return render(request, "analytics/_card.html", context)
    return _card_page(request, card, form, what, status=422)


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


def _lead(book: Book, order: Order) -> str:
    """How fresh the scores are, and what makes a card come first."""
    if book.run is None:
        return ""
    words = _("Scored from purchases up to %(day)s.")
    if order is Order.MONEY:
        words = _("Scored from purchases up to %(day)s. First comes the most money times its chance.")
    return words % {"day": formats.day(book.run.cutoff)}


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


def _progress(found: Queue) -> dict[str, Any]:
    return {"acted": found.acted, "capacity": found.capacity}


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


def _choice(form: QueueFilter, order: Order) -> Choice:
    if not form.is_valid():
        return Choice(order)
    found = form.cleaned_data
    return Choice(order, found.get("kind") or "", found.get("category"), found.get("territory"))


def _seen(request: HttpRequest) -> CardState | None:
    try:
        return CardState(request.POST.get("seen", ""))
    except ValueError:
        return None


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


def _readable(actor: Actor, card_id: int) -> Card:
    """A card of one's own, or for a manager of the book. Raises NotFound."""
    book = permissions.book_of(actor)
    cards = Card.objects.filter(book=book, withheld=False)
    if not permissions.is_manager(actor, book):
        cards = cards.filter(representative=actor.person)
    found = _joined(cards).filter(pk=card_id).first()
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
    if url_has_allowed_host_and_scheme(asked, {request.get_host()}, require_https=request.is_secure()):
        return asked
    return reverse("insights_queue")
