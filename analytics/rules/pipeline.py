"""The sales pipeline: seven stages, what must hold to leave each, and the follow-ups.

The stages are the classical seven steps of selling; an opportunity is won or lost beside them, not as one of them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from analytics.rules.qualification import Known


class Stage(StrEnum):
    PROSPECTING = "prospecting"
    PREPARATION = "preparation"
    APPROACH = "approach"
    PRESENTATION = "presentation"
    OBJECTIONS = "objections"
    CLOSE = "close"
    FOLLOW_UP = "follow_up"


STAGES: Final = tuple(Stage)


class OpportunityState(StrEnum):
    OPEN = "open"
    WON = "won"
    LOST = "lost"


class LeadState(StrEnum):
    NEW = "new"
    WORKING = "working"
    QUALIFIED = "qualified"
    DISQUALIFIED = "disqualified"


LEAD_NEXT: Final[Mapping[LeadState, frozenset[LeadState]]] = MappingProxyType(
    {
        LeadState.NEW: frozenset({LeadState.WORKING, LeadState.QUALIFIED, LeadState.DISQUALIFIED}),
        LeadState.WORKING: frozenset({LeadState.QUALIFIED, LeadState.DISQUALIFIED}),
        LeadState.QUALIFIED: frozenset(),
        # What was given up may be taken up again: the request came once more.
        LeadState.DISQUALIFIED: frozenset({LeadState.WORKING}),
    }
)


# What is decided may be taken up again.
OPPORTUNITY_NEXT: Final[Mapping[OpportunityState, frozenset[OpportunityState]]] = MappingProxyType(
    {
        OpportunityState.OPEN: frozenset({OpportunityState.WON, OpportunityState.LOST}),
        OpportunityState.WON: frozenset({OpportunityState.OPEN}),
        OpportunityState.LOST: frozenset({OpportunityState.OPEN}),
    }
)


class Criterion(StrEnum):
    """What must hold before an opportunity leaves a stage. Facts are read from it; the others a person confirms."""

    NEED_NAMED = "need_named"
    CONTACT_REACHABLE = "contact_reachable"
    AMOUNT_KNOWN = "amount_known"
    HISTORY_READ = "history_read"
    TALKED = "talked"
    DECISION_MAKER_KNOWN = "decision_maker_known"
    BUDGET_KNOWN = "budget_known"
    OFFER_PRESENTED = "offer_presented"
    GOALS_KNOWN = "goals_known"
    GROUP_KNOWN = "group_known"
    OBJECTIONS_ANSWERED = "objections_answered"
    TERMS_AGREED = "terms_agreed"
    CLOSING_DATE_KNOWN = "closing_date_known"
    FIRST_ORDER_SEEN = "first_order_seen"
    SATISFACTION_ASKED = "satisfaction_asked"


EXIT_CRITERIA: Final[Mapping[Stage, tuple[Criterion, ...]]] = MappingProxyType(
    {
        Stage.PROSPECTING: (Criterion.NEED_NAMED, Criterion.CONTACT_REACHABLE),
        Stage.PREPARATION: (Criterion.HISTORY_READ, Criterion.AMOUNT_KNOWN),
        Stage.APPROACH: (Criterion.TALKED, Criterion.DECISION_MAKER_KNOWN, Criterion.BUDGET_KNOWN),
        Stage.PRESENTATION: (Criterion.GOALS_KNOWN, Criterion.GROUP_KNOWN, Criterion.OFFER_PRESENTED),
        Stage.OBJECTIONS: (Criterion.OBJECTIONS_ANSWERED,),
        Stage.CLOSE: (Criterion.CLOSING_DATE_KNOWN, Criterion.TERMS_AGREED),
        Stage.FOLLOW_UP: (Criterion.FIRST_ORDER_SEEN, Criterion.SATISFACTION_ASKED),
    }
)

# These no fact of the opportunity tells: a person says so, and the history tells who and when.
CONFIRMED: Final = frozenset(
    {
        Criterion.HISTORY_READ,
        Criterion.OFFER_PRESENTED,
        Criterion.TERMS_AGREED,
        Criterion.FIRST_ORDER_SEEN,
        Criterion.SATISFACTION_ASKED,
    }
)


class BuyingRole(StrEnum):
    """The part a contact plays in the buying group."""

    DECISION_MAKER = "decision_maker"
    ECONOMIC_BUYER = "economic_buyer"
    TECHNICAL_BUYER = "technical_buyer"
    USER = "user"
    INFLUENCER = "influencer"
    CHAMPION = "champion"
    GATEKEEPER = "gatekeeper"


class StepKind(StrEnum):
    CALL = "call"
    MAIL = "mail"
    MEETING = "meeting"
    PRESENTATION = "presentation"
    OFFER = "offer"
    FOLLOW_UP = "follow_up"
    OTHER = "other"


class StepResult(StrEnum):
    REACHED = "reached"
    NOT_REACHED = "not_reached"
    DONE = "done"
    DROPPED = "dropped"


class WonReason(StrEnum):
    PRICE = "price"
    RANGE = "range"
    SERVICE = "service"
    DELIVERY = "delivery"
    RELATION = "relation"
    TENDER = "tender"


class LostReason(StrEnum):
    PRICE = "price"
    COMPETITOR = "competitor"
    NO_NEED = "no_need"
    NO_BUDGET = "no_budget"
    NO_ANSWER = "no_answer"
    POSTPONED = "postponed"
    RANGE = "range"
    CLOSED_DOWN = "closed_down"
    # Says nothing about selling: it does not count in what the forecast learns from.
    DOUBLE = "double"


@dataclass(frozen=True, slots=True)
class Facts:
    """What of an opportunity the criteria look at."""

    need: Known = Known.UNKNOWN
    budget: Known = Known.UNKNOWN
    goals: str = ""
    amount: Decimal | None = None
    closes_on: date | None = None
    # The roles of its contacts who can be reached, one entry a contact.
    roles: tuple[BuyingRole, ...] = ()
    reachable_contacts: int = 0
    talks: int = 0
    open_objections: int = 0
    confirmed: frozenset[Criterion] = frozenset()


_DECIDES: Final = frozenset({BuyingRole.DECISION_MAKER, BuyingRole.ECONOMIC_BUYER})
# A buying group is more than one person: who knows only one is blind to the others.
GROUP_MIN: Final = 2


def holds(criterion: Criterion, facts: Facts) -> bool:
    """Whether a criterion holds; "no" is an answer to the question for a budget or a need, but does not fulfil it."""
    known = {Known.PARTLY, Known.YES}
    found: dict[Criterion, bool] = {
        Criterion.NEED_NAMED: facts.need in known,
        Criterion.CONTACT_REACHABLE: facts.reachable_contacts > 0,
        Criterion.AMOUNT_KNOWN: facts.amount is not None and facts.amount > 0,
        Criterion.TALKED: facts.talks > 0,
        Criterion.DECISION_MAKER_KNOWN: bool(_DECIDES & set(facts.roles)),
        Criterion.BUDGET_KNOWN: facts.budget in known,
        Criterion.GOALS_KNOWN: bool(facts.goals.strip()),
        Criterion.GROUP_KNOWN: len(facts.roles) >= GROUP_MIN,
        Criterion.OBJECTIONS_ANSWERED: facts.open_objections == 0,
        Criterion.CLOSING_DATE_KNOWN: facts.closes_on is not None,
    }
    return found.get(criterion, criterion in facts.confirmed)


def missing(stage: Stage, facts: Facts) -> tuple[Criterion, ...]:
    """The exit criteria of a stage that do not hold yet, in their order."""
    return tuple(criterion for criterion in EXIT_CRITERIA[stage] if not holds(criterion, facts))


def missing_between(before: Stage, after: Stage, facts: Facts) -> tuple[Criterion, ...]:
    """What is missing for a move: those of every stage that is left or leapt over; nothing on the way back."""
    passed = STAGES[STAGES.index(before) : STAGES.index(after)]
    return tuple(criterion for stage in passed for criterion in missing(stage, facts))


# Follow-ups

# Working days after the first, counted from the day before: close together at first, then patient.
FOLLOW_UP_GAPS: Final = (2, 3, 5, 7, 10)
FOLLOW_UPS: Final = len(FOLLOW_UP_GAPS)


def follow_up_on(number: int, after: date, holidays: Collection[date] = frozenset()) -> date:
    """The day of follow-up `number` (from 1), counted from the day the one before was done. Raises ValueError."""
    if not 1 <= number <= FOLLOW_UPS:
        raise ValueError(f"there is no follow-up {number}")
    return add_working_days(after, FOLLOW_UP_GAPS[number - 1], holidays)


def add_working_days(day: date, count: int, holidays: Collection[date] = frozenset()) -> date:
    """The day `count` working days (Monday to Friday, no holiday) after `day`."""
    while count > 0:
        day += timedelta(days=1)
        if day.weekday() < 5 and day not in holidays:
            count -= 1
    return day
