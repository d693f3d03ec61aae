"""A card that is more than a call: it becomes a lead of its account, once."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from analytics.models import Card, Lead, LeadCard, LeadSource
from analytics.rules.cards import CardState
from analytics.services import cards, leads
from analytics.services.leads import LeadDetails
from marketplace.permissions import Actor
from marketplace.shared.errors import DomainError, NotFound


class CardNotAccepted(DomainError):
    code = "card_not_accepted"
    sentence = _("Only a card in work becomes a lead. Accept it first.")


@transaction.atomic
def from_card(card_id: int, need: str, *, by: Actor, at: datetime) -> tuple[Lead, bool]:
    """Make a lead of an accepted card; `need` says what it is about. Returns the lead and whether it is new.

    Where the account has an open lead, the card is added to it, once. Raises NotFound for a card that is not the
    actor's own or of a book they manage, CardNotAccepted, and as `leads.register`.
    """
    book_id = Card.objects.filter(pk=card_id).values_list("book", flat=True).first()
    if book_id is None:
        raise NotFound
    leads.lock_leads(book_id)
    card = cards.locked(card_id, by=by)
    known = Lead.objects.filter(Q(card=card) | Q(further_cards__card=card)).first()
    if known is not None:
        return known, False
    if card.state != CardState.ACCEPTED:
        raise CardNotAccepted
    details = LeadDetails(card.account.name[:200], card.account.country, need=need, account_id=card.account_id)
    lead, is_new = leads.register(card.book_id, LeadSource.CARD, details, by=by, at=at, card_id=card.pk)
    if lead.card_id is None:
        lead.card = card
        lead.save(update_fields=["card"])
    elif lead.card_id != card.pk:
        LeadCard.objects.create(lead=lead, card=card, added_at=at)
    return lead, is_new
