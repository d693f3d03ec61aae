"""A card as a page shows it: its evidence in words and a picture, its money, what can be done with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from analytics.models import CallResult, Card, CardEvent, Closing, DismissReason
from analytics.queries import cards as queries
from analytics.queries.cards import Bought, Peer
from analytics.rules import cards as rules
from analytics.rules.cards import Kind
from analytics.rules.rhythm import Rhythm, rhythm
from analytics.web import card_words, pictures
from analytics.web.pictures import RhythmPicture
from marketplace.models import Person
from marketplace.shared.errors import Sentence
from marketplace.shared.money import Money

_SNOOZES: Final = ((1, gettext_lazy("Tomorrow")), (7, gettext_lazy("In a week")), (30, gettext_lazy("In a month")))


@dataclass(frozen=True, slots=True)
class Shown:
    """A card as a page shows it."""

    card: Card
    sentence: str
    # Of one that is no alarm: why it stands there all the same.
    why_here: str
    confidence: Sentence
    chance: str
    thing: str
    amount: Money
    # The amount times the chance: what the queue is ordered by.
    at_stake: Money
    reasons: list[Sentence]
    suggestion: str
    rhythm: Rhythm
    picture: RhythmPicture | None
    bought: list[Bought]
    # What, its share as a number of HTML and in words, and whether it is the card's own thing.
    peers: list[tuple[str, str, str, bool]]
    dismissals: list[tuple[str, Sentence, date | None]]
    snoozes: list[tuple[date, Sentence]]
    # Whether the reader may act on it and open its page.
    is_theirs: bool = True

    @property
    def call_results(self) -> list[tuple[str, Sentence]]:
        return list(CallResult.choices)


def shown(cards: Sequence[Card], day: date, *, only_of: Person | None = None) -> list[Shown]:
    """Cards with their evidence; a fixed number of queries. `only_of`: a reader who may act on their own only."""
    bought, peers, companions = queries.purchases(cards), queries.peers(cards), queries.companions(cards)
    found = [
        _shown(card, bought.get(card.pk, []), peers.get(card.pk, []), companions.get(card.pk, ""), day)
        for card in cards
    ]
    return [replace(one, is_theirs=only_of is None or one.card.representative_id == only_of.pk) for one in found]


def _shown(card: Card, bought: list[Bought], peers: list[Peer], companion: str, day: date) -> Shown:
    known = card.run.cutoff if card.run else card.cutoff
    found = rhythm((one.day for one in bought), known)
    recovery = card.kind == Kind.RECOVERY.value
    return Shown(
        card,
        card_words.sentence(card, found, companion),
        card_words.why_here(card, found),
        card_words.confidence(card),
        card_words.chance(card),
        card_words.thing(card),
        Money(card.expected_amount, card.currency).rounded(),
        Money(Decimal(repr(card.by_money)), card.currency).rounded(),
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
