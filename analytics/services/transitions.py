"""How imports, runs, cards, leads and opportunities move from state to state: the one place that assigns a state."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Final, TypeVar

from analytics.models import (
    Card,
    CardStatus,
    Import,
    ImportState,
    Lead,
    Opportunity,
    PartState,
    RunPartition,
    RunState,
    ScoringRun,
)
from analytics.models.pipeline_names import LEAD_NAMES, OPPORTUNITY_NAMES
from analytics.rules import cards
from analytics.rules.cards import CardState
from analytics.rules.pipeline import LEAD_NEXT, OPPORTUNITY_NEXT, LeadState, OpportunityState
from marketplace.shared.errors import IllegalTransition, Sentence

State = TypeVar("State", ImportState, RunState, PartState, LeadState, OpportunityState)

_I, _R, _P = ImportState, RunState, PartState

IMPORT: Final[Mapping[ImportState, set[ImportState]]] = {
    _I.UPLOADED: {_I.READING, _I.FAILED, _I.DISCARDED},
    _I.READING: {_I.READ, _I.FAILED},
    # Other columns may be confirmed while nothing is loaded.
    _I.READ: {_I.READING, _I.LOADING, _I.DISCARDED},
    _I.LOADING: {_I.LOADED, _I.FAILED},
    _I.LOADED: {_I.UNDOING},
    # What cannot be undone stands.
    _I.UNDOING: {_I.UNDONE, _I.LOADED},
    _I.UNDONE: set(),
    _I.FAILED: {_I.READING, _I.DISCARDED},
    _I.DISCARDED: set(),
}
RUN: Final[Mapping[RunState, set[RunState]]] = {
    _R.WAITING: {_R.LEARNING, _R.FAILED},
    # Who learnt was lost: somebody else learns anew.
    _R.LEARNING: {_R.LEARNING, _R.SCORING, _R.FAILED},
    _R.SCORING: {_R.WHOLE, _R.FAILED},
    _R.WHOLE: set(),
    _R.FAILED: {_R.SCORING},
}
PART: Final[Mapping[PartState, set[PartState]]] = {
    _P.WAITING: {_P.RUNNING},
    _P.RUNNING: {_P.RUNNING, _P.WAITING, _P.DONE, _P.FAILED},
    _P.DONE: set(),
    _P.FAILED: {_P.WAITING},
}


def move_import(batch: Import, after: ImportState) -> None:
    """Set the state; the caller holds the row's lock and saves. Raises IllegalTransition, as all of these."""
    batch.state = _allowed(IMPORT, ImportState(batch.state), after)


def move_run(run: ScoringRun, after: RunState) -> None:
    run.state = _allowed(RUN, RunState(run.state), after)


def move_part(part: RunPartition, after: PartState) -> None:
    part.state = _allowed(PART, PartState(part.state), after)


def move_lead(lead: Lead, after: LeadState) -> None:
    lead.status = _allowed(LEAD_NEXT, LeadState(lead.status), after, LEAD_NAMES).value


def move_opportunity(opportunity: Opportunity, after: OpportunityState) -> None:
    before = OpportunityState(opportunity.status)
    opportunity.status = _allowed(OPPORTUNITY_NEXT, before, after, OPPORTUNITY_NAMES).value


def move_card(card: Card, after: CardState) -> str:
    """Set the state, by the table of the rules; returns the one before. Raises IllegalTransition."""
    return _set_card(card, after, cards.allowed)


def take_card_back(card: Card, before: CardState) -> str:
    """Set the state that an act had changed; returns the one it had led to. Raises IllegalTransition."""
    return _set_card(card, before, cards.may_be_taken_back)


def _set_card(card: Card, wanted: CardState, may: Callable[[CardState, CardState], bool]) -> str:
    now = CardState(card.state)
    if not may(now, wanted):
        raise IllegalTransition(str(CardStatus(now).label), str(CardStatus(wanted).label))
    card.state = wanted.value
    return now.value


def _allowed(
    table: Mapping[State, Collection[State]], before: State, after: State, names: Mapping[State, Sentence] | None = None
) -> State:
    """`after`, where the table leads there. Raises IllegalTransition, in words where there are names."""
    if after not in table[before]:
        raise IllegalTransition(*(str(names[one]) if names else str(one) for one in (before, after)))
    return after
