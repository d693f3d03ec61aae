"""Two accounts become one: which of two cards for one thing stays, and which of two opportunities for one sale."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from analytics.rules.cards import CardState
from analytics.rules.pipeline import STAGES, Stage

# How much a person has done with it. What was to be withheld stays so against a card that nobody has touched.
_DONE_WITH: Final[Mapping[CardState, int]] = {
    CardState.OPEN: 0,
    CardState.WITHHELD: 1,
    CardState.SNOOZED: 2,
    CardState.ACCEPTED: 3,
}
# How a card ends that is one too many.
ENDS_AS: Final[Mapping[CardState, CardState]] = {
    CardState.OPEN: CardState.EXPIRED,
    CardState.WITHHELD: CardState.EXPIRED,
    CardState.SNOOZED: CardState.EXPIRED,
    CardState.ACCEPTED: CardState.DONE,
}


def goes_along(card: CardState) -> bool:
    """Whether a live card moves to the account that stands: a withheld one was drawn for the other's number."""
    return card is not CardState.WITHHELD


def replaces(moved: CardState, there: CardState) -> bool:
    """Whether the card that moves takes the place of the live one there: where a person has done more with it."""
    return _DONE_WITH[moved] > _DONE_WITH[there]


@dataclass(frozen=True, slots=True)
class Sale:
    """An open opportunity, as far as two of them are compared."""

    title: str
    stage: Stage
    created_at: datetime
    key: int

    def is_the_same_as(self, other: Sale) -> bool:
        """The same words, whatever their case and spacing."""
        return " ".join(self.title.casefold().split()) == " ".join(other.title.casefold().split())

    @property
    def standing(self) -> tuple[int, float, int]:
        """The higher stays: the further along, then the earlier begun."""
        return STAGES.index(self.stage), -self.created_at.timestamp(), -self.key
