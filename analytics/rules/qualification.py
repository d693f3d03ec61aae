"""How well a lead is qualified: BANT (budget, authority, need, timeline) and GPCT (goals, plans, challenges, time)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final


class Known(StrEnum):
    """An answer of the qualification (BANT)."""

    UNKNOWN = "unknown"
    NO = "no"
    PARTLY = "partly"
    YES = "yes"


BANT: Final = ("budget", "authority", "need", "timeline")
GPCT: Final = ("goals", "plans", "challenges", "time_frame")
_POINTS: Final[Mapping[Known, int]] = MappingProxyType({Known.UNKNOWN: 0, Known.NO: 0, Known.PARTLY: 1, Known.YES: 2})


@dataclass(frozen=True, slots=True)
class Fit:
    """How well a lead is qualified: points of 8 (BANT) and how many of the four questions of GPCT are answered."""

    points: int
    answered: int
    refused: tuple[str, ...]

    @property
    def qualified(self) -> bool:
        """At least half of the points, and nothing that rules it out: no need at all, nobody who may decide."""
        return self.points >= 4 and not {"need", "authority"} & set(self.refused)


def fit(bant: Mapping[str, Known], gpct: Mapping[str, str]) -> Fit:
    """Points of a qualification; what is not asked is unknown."""
    answers = {name: bant.get(name, Known.UNKNOWN) for name in BANT}
    return Fit(
        points=sum(_POINTS[answer] for answer in answers.values()),
        answered=sum(1 for name in GPCT if gpct.get(name, "").strip()),
        refused=tuple(name for name, answer in answers.items() if answer is Known.NO),
    )
