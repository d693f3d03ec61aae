"""What a representative does with a card. Every act locks the card, is kept as an event, and can be taken back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from django.db import transaction
from django.utils.translation import gettext_lazy as _

from analytics import permissions
from analytics.models import Card, CardEvent, CardStatus, Dismissal
from analytics.rules import cards as rules
from analytics.rules.cards import CardState, Dismissed, Heard, Kind
from analytics.services.transitions import move_card, take_card_back
from marketplace import audit
from marketplace.models import Person
from marketplace.permissions import Actor, person_of
from marketplace.shared.errors import DomainError, NotFound, Sentence

What = CardEvent.What
# An act is taken back while it is fresh: later others may have built on it.
UNDO_WITHIN: Final = timedelta(hours=24)
# The same act by the same person within so short a time is a form that was sent twice.
SENT_TWICE_WITHIN: Final = timedelta(seconds=30)
_KEPT: Final = (
    "shown_on", "due_on", "accepted_at", "accepted_by_id", "heard", "dismissed_for", "closing", "closed_on",
)  # fmt: skip
_LIVE: Final = [state.value for state in rules.LIVE]
_FIELDS: Final = {field.attname: field for field in Card._meta.concrete_fields}


class CardTaken(DomainError):
    code = "card_taken"
    sentence = _("This card has changed meanwhile: it is “%(state)s” now, by %(person)s. Nothing was done.")


class CardClosed(DomainError):
    code = "card_closed"
    sentence = _("This card is “%(state)s”: nothing more can be done with it.")


class DayMissing(DomainError):
    code = "card_day_missing"
    status = 422
    sentence = _("Say on which day: from tomorrow, within %(days)s days.")


class ReasonUnfit(DomainError):
    code = "card_reason_unfit"
    status = 422
    sentence = _("This reason does not fit this card.")


class NoteMissing(DomainError):
    code = "card_note_missing"
    status = 422
    sentence = _("Say in a few words why.")


class CannotUndo(DomainError):
    code = "card_cannot_undo"
    sentence = _("This can no longer be taken back: something was done with the card since, or a day has passed.")


@dataclass(frozen=True, slots=True)
class Act:
    """What was done: the card as it is now, and the event that can be taken back."""

    card: Card
    event: CardEvent


@transaction.atomic
def accept(card_id: int, *, seen: CardState | None = None, by: Actor, at: datetime) -> Act:
    """Take the card on. `seen`: the state the reader saw. Raises NotFound, CardTaken, CardClosed."""
    card = locked(card_id, by=by)
    if done := _sent_again(card, What.ACCEPTED, by, at):
        return done
    _require_seen(card, seen)
    return _step(card, CardState.ACCEPTED, What.ACCEPTED, by, at, accepted_at=at, accepted_by=by.person, due_on=None)


@transaction.atomic
def snooze(card_id: int, until: date | None, *, seen: CardState | None = None, by: Actor, at: datetime) -> Act:
    """Put the card away until a day, on which it comes back. Raises DayMissing besides."""
    card = locked(card_id, by=by)
    day = _later(until, by, at)
    if done := _sent_again(card, What.SNOOZED, by, at, due_on=day):
        return done
    _require_seen(card, seen)
    return _step(card, CardState.SNOOZED, What.SNOOZED, by, at, event={"due_on": day}, due_on=day)


@transaction.atomic
def dismiss(
    card_id: int, reason: Dismissed, *, note: str = "", seen: CardState | None = None, by: Actor, at: datetime
) -> Act:
    """Say that the card is none, and why: it stays away as long as the reason holds, and becomes a label.

    Raises ReasonUnfit, and NoteMissing for "another reason" without words, besides.
    """
    card = locked(card_id, by=by)
    if done := _sent_again(card, What.DISMISSED, by, at, reason=reason.value, text=note.strip()):
        return done
    _require_seen(card, seen)
    if reason not in rules.FITTING[Kind(card.kind)]:
        raise ReasonUnfit(field="reason")
    if reason is Dismissed.OTHER and not note.strip():
        raise NoteMissing(field="note")
    day = day_of(by.person, at)
    event = {"reason": reason.value, "text": note.strip()}
    act = _step(
        card,
        CardState.DISMISSED,
        What.DISMISSED,
        by,
        at,
        event=event,
        dismissed_for=reason.value,
        due_on=None,
        closed_on=day,
    )
    Dismissal.objects.create(
        card=card, event=act.event, account_id=card.account_id, reason=reason.value, p=card.p, day=day,
        until=rules.quiet_until(reason, day), whole_account=rules.QUIET[reason].whole_account,
    )  # fmt: skip
    return act


@transaction.atomic
def note(card_id: int, text: str, *, by: Actor, at: datetime) -> Act:
    """Write a note on the card. Raises NoteMissing."""
    card = locked(card_id, by=by)
    if not text.strip():
        raise NoteMissing(field="note")
    if done := _sent_again(card, What.NOTE, by, at, text=text.strip()):
        return done
    return _step(card, None, What.NOTE, by, at, event={"text": text.strip()})


@transaction.atomic
def call(card_id: int, heard: Heard, *, again_on: date | None = None, note: str = "", by: Actor, at: datetime) -> Act:
    """Keep what came of a call. A call is an acceptance; "ordered" and "lost" finish the card.

    "Call back" needs a day (DayMissing); without one nobody's answer is tried again the next working day.
    """
    card = locked(card_id, by=by)
    if done := _sent_again(card, What.CALL, by, at, reason=heard.value, text=note.strip()):
        return done
    if again_on is not None or heard is Heard.CALL_BACK:
        again_on = _later(again_on, by, at)
    day = day_of(by.person, at)
    final = heard in rules.FINAL_CALLS
    changes: dict[str, Any] = {"heard": heard.value, "due_on": None if final else rules.next_call(heard, day, again_on)}
    if card.state != CardState.ACCEPTED:
        _require_step(card, CardState.ACCEPTED)
        changes |= {"accepted_at": at, "accepted_by": by.person}
    if final:
        changes["closed_on"] = day
    after = CardState.DONE if final else CardState.ACCEPTED
    event = {"reason": heard.value, "text": note.strip(), "due_on": changes["due_on"]}
    return _step(card, None if card.state == after else after, What.CALL, by, at, event=event, **changes)


@transaction.atomic
def undo(event_id: int, *, by: Actor, at: datetime) -> Act:
    """Take back the last act on a card, one's own. Raises NotFound, CannotUndo."""
    event = CardEvent.objects.filter(pk=event_id, person=person_of(by)).first()
    if event is None:
        raise NotFound
    card = locked(event.card_id, by=by)
    # Nothing since, not even by the night: it builds on what it finds.
    newest = card.events.order_by("-pk").first()
    if newest is None or newest.pk != event.pk or not event.previous or at - event.at > UNDO_WITHIN:
        raise CannotUndo
    before = CardState(event.before)
    if card.state != before and _has_another(card):
        raise CannotUndo
    now = take_card_back(card, before)
    for name in _KEPT:
        setattr(card, name, _FIELDS[name].to_python(event.previous[name]))
    _keep(card)
    Dismissal.objects.filter(event=event).update(undone_at=at)
    undone = CardEvent.objects.create(
        card=card, at=at, person=by.person, what=What.UNDONE, before=now, after=card.state, undoes=event
    )
    audit.record("card_act_undone", card, by=by, at=at, event=event.pk)
    return Act(card, undone)


def day_of(person: Person | None, at: datetime) -> date:
    """The day it is where the person is (their chosen time zone, else UTC)."""
    zone = getattr(person, "time_zone", "") or "UTC"
    return at.astimezone(ZoneInfo(zone)).date()


def locked(card_id: int, *, by: Actor) -> Card:
    """The card, nobody else's until the end of the transaction, if the actor may act on it. Raises NotFound.

    One's own, or for a manager anybody's of the book; never a withheld one.
    """
    card = Card.objects.select_for_update(of=("self",)).select_related("book", "account").filter(pk=card_id).first()
    if card is None or card.withheld or not permissions.works(by, card.book):
        raise NotFound
    own = by.person is not None and card.representative_id == by.person.pk
    if not own and not permissions.is_manager(by, card.book):
        raise NotFound
    return card


def _require_seen(card: Card, seen: CardState | None) -> None:
    if seen is not None and card.state != seen:
        raise CardTaken(state=card.get_state_display(), person=_last_person(card))


def _sent_again(card: Card, what: CardEvent.What, by: Actor, at: datetime, **same: Any) -> Act | None:
    """What was done, where a form is sent twice: the newest event is this very act, of the same person, just now."""
    newest = card.events.order_by("-pk").first()
    if newest is None or newest.what != what or newest.person != by.person or at - newest.at > SENT_TWICE_WITHIN:
        return None
    if any(getattr(newest, name) != value for name, value in same.items()):
        return None
    return Act(card, newest)


def _last_person(card: Card) -> Sentence:
    newest = card.events.exclude(person=None).select_related("person").order_by("-pk").first()
    return str(newest.person) if newest else _("the nightly scores")


def _has_another(card: Card) -> bool:
    """Whether the account has a live card for the same thing by now, or counts as another account."""
    same = Card.objects.filter(
        account=card.account_id, kind=card.kind, level=card.level, category=card.category_id, item=card.item_id
    )
    return card.account.merged_into_id is not None or same.filter(state__in=_LIVE).exclude(pk=card.pk).exists()


def _require_step(card: Card, after: CardState) -> None:
    if not rules.allowed(CardState(card.state), after):
        raise CardClosed(state=CardStatus(card.state).label)


def _step(
    card: Card,
    after: CardState | None,
    what: CardEvent.What,
    by: Actor,
    at: datetime,
    *,
    event: Mapping[str, Any] | None = None,
    **changes: Any,
) -> Act:
    """Move the card (None: it stays in its state), keep what it held before, and write both trails."""
    previous = {name: _plain(getattr(card, name)) for name in _KEPT}
    before = card.state
    if after is not None:
        _require_step(card, after)
        move_card(card, after)
    for name, value in changes.items():
        setattr(card, name, value)
    _keep(card)
    kept = CardEvent.objects.create(
        card=card,
        at=at,
        person=by.person,
        what=what,
        before=before,
        after=card.state,
        previous=previous,
        **(event or {}),
    )
    if what != What.NOTE:
        audit.record(f"card_{what.value}", card, by=by, at=at, before=before, after=card.state)
    return Act(card, kept)


def _keep(card: Card) -> None:
    card.save(update_fields=["state", *(name.removesuffix("_id") for name in _KEPT)])


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _later(day: date | None, by: Actor, at: datetime) -> date:
    today = day_of(by.person, at)
    if day is None or not today < day <= today + rules.LONGEST_SNOOZE:
        raise DayMissing(field="until", days=rules.LONGEST_SNOOZE.days)
    return day
