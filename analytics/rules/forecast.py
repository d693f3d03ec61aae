"""What the pipeline is likely to bring: amounts weighted by the share won from each stage."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from types import MappingProxyType
from typing import Final

from analytics.rules.pipeline import STAGES, Stage

# What is taken for the share of opportunities won from each stage until the book has its own history.
USUAL_SHARES: Final[Mapping[Stage, Decimal]] = MappingProxyType(
    {
        Stage.PROSPECTING: Decimal("0.05"),
        Stage.PREPARATION: Decimal("0.10"),
        Stage.APPROACH: Decimal("0.20"),
        Stage.PRESENTATION: Decimal("0.40"),
        Stage.OBJECTIONS: Decimal("0.55"),
        Stage.CLOSE: Decimal("0.75"),
        # Won already: what is left is to look after it.
        Stage.FOLLOW_UP: Decimal("1"),
    }
)
# The usual share weighs as much as this many closed opportunities of one's own.
USUAL_WEIGHT: Final = 20


@dataclass(frozen=True, slots=True)
class Passed:
    """How many closed opportunities once reached a stage, and how many of them were won."""

    closed: int
    won: int


def shares(passed: Mapping[Stage, Passed]) -> dict[Stage, Decimal]:
    """The share won from each stage: one's own history, drawn to the usual share while there is little of it.

    Beta-binomial mean: (won + w·usual) / (closed + w). Never falls from one stage to the next.
    """
    found: dict[Stage, Decimal] = {}
    highest = Decimal(0)
    for stage in STAGES:
        own = passed.get(stage, Passed(0, 0))
        usual = USUAL_SHARES[stage]
        share = (own.won + USUAL_WEIGHT * usual) / (own.closed + USUAL_WEIGHT)
        highest = max(highest, share if stage is not Stage.FOLLOW_UP else Decimal(1))
        found[stage] = highest
    return found


def weighted(amounts: Iterable[tuple[Stage, Decimal]], share: Mapping[Stage, Decimal], unit: Decimal) -> Decimal:
    """The forecast of open opportunities in one currency: Σ amount × share, rounded half up to `unit`, once."""
    total = sum((amount * share[stage] for stage, amount in amounts), Decimal(0))
    return total.quantize(unit, ROUND_HALF_UP)
