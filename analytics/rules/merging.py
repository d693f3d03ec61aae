"""Two accounts become one: which of two cards for one thing stays, which of two opportunities for one sale, and which
contacts are one person.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
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
        return _plain(self.title) == _plain(other.title)

    @property
    def standing(self) -> tuple[int, float, int]:
        """The higher stays: the further along, then the earlier begun."""
        return STAGES.index(self.stage), -self.created_at.timestamp(), -self.key


NOTE_MAX: Final = 500


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a person at an account; empty where nothing is."""

    name: str
    position: str = ""
    email: str = ""
    phone: str = ""
    note: str = ""

    def is_the_same_as(self, other: Known) -> bool:
        """The same name, and the same mail address; or nothing known of one that the other denies.

        One mail address under two names is a shared mailbox, and stays two people.
        """
        if not self.name or _plain(self.name) != _plain(other.name):
            return False
        if self.email and self.email.casefold() == other.email.casefold():
            return True
        return not any(
            mine and theirs and _plain(mine) != _plain(theirs)
            for mine, theirs in (
                (self.position, other.position), (self.email, other.email), (self.phone, other.phone),
            )
        )  # fmt: skip

    def with_all_of(self, other: Known) -> Known | None:
        """With what only the other knows, and in the note what it knows otherwise; None where that is too much."""
        known, notes = self, [self.note] if self.note else []
        for name in ("position", "email", "phone", "note"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if not theirs or _plain(mine) == _plain(theirs):
                continue
            if name == "note" or mine:
                notes.append(theirs)
            else:
                known = replace(known, **{name: theirs})
        note = "; ".join(dict.fromkeys(notes))
        return replace(known, note=note) if len(note) <= NOTE_MAX else None


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
