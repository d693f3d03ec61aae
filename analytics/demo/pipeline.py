"""A pipeline at work: leads of every source, opportunities in every stage, some won and some lost, some steps late."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from analytics.models import Account, Book, LeadSource, Opportunity
from analytics.rules.pipeline import (
    CONFIRMED,
    STAGES,
    BuyingRole,
    LostReason,
    Stage,
    StepKind,
    StepResult,
    WonReason,
)
from analytics.services import buying_group, contacts, leads, opportunities, outcomes, steps
from analytics.services.contacts import ContactDetails
from analytics.services.leads import LeadDetails
from analytics.services.opportunities import OpportunityDetails
from analytics.services.steps import NextStep
from marketplace.permissions import Actor

_BANT: Final = {"budget": "yes", "authority": "partly", "need": "yes", "timeline": "partly"}
_GPCT: Final = {
    "goals": "Fewer suppliers for what is bought every week",
    "plans": "Put the next year’s needs together before the summer",
    "challenges": "Three sites that order by themselves",
    "time_frame": "Before the budget closes in October",
}
_PEOPLE: Final = (
    ("Mara Lindqvist", "Head of purchasing"), ("Owen Price", "Buyer"), ("Ilse Brandt", "Finance director"),
    ("Tomás Vidal", "Site manager"), ("Aino Salmi", "Maintenance engineer"), ("Lucie Marchal", "Buyer"),
)  # fmt: skip
_SALES: Final = (
    "Work clothing for two sites", "Framework for cables and boxes", "Office supplies, one supplier for all",
    "Cleaning material by the quarter", "Spare parts for the conveyor", "Safety shoes, 400 pairs",
    "Packaging for the new line", "Tools for the apprentices", "Lighting of hall 4", "Lubricants, yearly need",
    "Hand tools for service vans", "Filters and seals", "Printing paper 2027", "Hydraulic hoses",
)  # fmt: skip
_REQUESTS: Final = (
    ("Fjordbygg", "NO", "A price list for fastenings, delivered to Bergen", LeadSource.REQUEST),
    ("Atelier Roussel", "FR", "Can they order by the pallet?", LeadSource.REQUEST),
    ("Weidner Logistik", "DE", "Met at the fair: wants one supplier for packaging", LeadSource.OWN),
    ("Costa & Filhos", "PT", "Safety shoes for 120 people", LeadSource.IMPORT),
    ("Baltic Timber", "LV", "Saw blades, monthly", LeadSource.PROGRAM),
)


@dataclass(frozen=True, slots=True)
class _Way:
    """How far an opportunity has come, how old it is, and how it ended."""

    stage: Stage
    days: int
    won: WonReason | None = None
    lost: LostReason | None = None
    late: bool = False


_WAYS: Final = (
    _Way(Stage.PROSPECTING, 1), _Way(Stage.PROSPECTING, 3), _Way(Stage.PREPARATION, 6),
    _Way(Stage.PREPARATION, 9, late=True), _Way(Stage.APPROACH, 12), _Way(Stage.APPROACH, 15, late=True),
    _Way(Stage.PRESENTATION, 21), _Way(Stage.PRESENTATION, 25), _Way(Stage.OBJECTIONS, 30), _Way(Stage.CLOSE, 38),
    _Way(Stage.CLOSE, 60, won=WonReason.SERVICE), _Way(Stage.CLOSE, 75, won=WonReason.DELIVERY),
    _Way(Stage.PRESENTATION, 50, lost=LostReason.PRICE), _Way(Stage.APPROACH, 44, lost=LostReason.POSTPONED),
)  # fmt: skip


def make(book: Book, sellers: Sequence[Actor], accounts: Sequence[Account], at: datetime, chance: random.Random) -> int:
    """Fill the book's pipeline; the first seller has most of it. Returns how many opportunities there are then."""
    for (company, country, need, source), by in zip(_REQUESTS, _in_turn(sellers, len(_REQUESTS)), strict=True):
        details = LeadDetails(company, country, need=need, reference=f"demo-{company}")
        leads.register(book.pk, source, details, by=by, at=at - timedelta(days=chance.randint(0, 4), hours=2))
    for number, (way, account) in enumerate(zip(_WAYS, accounts, strict=False)):
        by = sellers[0] if number % 3 or len(sellers) == 1 else sellers[1]
        by = next((one for one in sellers if one.person == account.representative), by)
        _work(account, _SALES[number], way, by, at, chance)
    return Opportunity.objects.filter(book=book).count()


def _work(account: Account, title: str, way: _Way, by: Actor, at: datetime, chance: random.Random) -> None:
    """Open an opportunity so many days ago and take it as far as it came."""
    then = at - timedelta(days=way.days)
    details = OpportunityDetails(
        title,
        Decimal(chance.randint(12, 480) * 250),
        (at + timedelta(days=chance.randint(10, 120))).date(),
        _BANT,
        _GPCT,
    )
    found = opportunities.open_for(account.pk, details, by=by, at=then)
    people = chance.sample(_PEOPLE, 2)
    for (name, position), role in zip(people, (BuyingRole.DECISION_MAKER, BuyingRole.USER), strict=True):
        email = f"{name.split()[-1].lower()}@{account.pk}.example.com".replace("á", "a")
        contact = contacts.add(account.pk, ContactDetails(name, position, email), by=by, at=then)
        buying_group.put(found.pk, contact.pk, role, by=by, at=then)
    if way.stage is not Stage.PROSPECTING:
        later = then + timedelta(days=1)
        call = found.steps.get(done_at=None)
        steps.finish(call.pk, StepResult.REACHED, note="A good talk; they will send their list.", by=by, at=later)
        for criterion in sorted(CONFIRMED):
            opportunities.confirm(found.pk, criterion, True, by=by, at=later)
        for stage in STAGES[1 : STAGES.index(way.stage) + 1]:
            later += timedelta(days=1)
            opportunities.move(found.pk, stage, by=by, at=later)
    if way.stage is Stage.OBJECTIONS:
        buying_group.object_to(found.pk, "The delivery takes a day longer than today’s.", by=by, at=at)
    if way.won:
        outcomes.win(found.pk, way.won, by=by, at=at - timedelta(days=12))
    elif way.lost:
        outcomes.lose(found.pk, way.lost, by=by, at=at - timedelta(days=8))
    elif not way.late and way.stage is not Stage.PROSPECTING:
        ahead = NextStep(StepKind.MEETING, (at + timedelta(days=chance.randint(0, 9))).date(), "With both buyers")
        steps.plan_next(found.pk, ahead, by=by, at=at)


def _in_turn(sellers: Sequence[Actor], count: int) -> list[Actor]:
    return [sellers[number % len(sellers)] for number in range(count)]
