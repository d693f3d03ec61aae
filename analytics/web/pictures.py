"""Small pictures of a card, drawn on the server as SVG without styles: the policy allows no inline ones.

Coordinates are whole numbers in a fixed box; colours come from classes, so that both themes fit. The same figures stand
beside the picture as a table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from analytics.queries.cards import Bought
from analytics.rules.rhythm import Rhythm

WIDTH, HEIGHT = 600, 72
_FLOOR: Final = HEIGHT - 4
_LEAST_SPAN: Final = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class Tick:
    """A day with purchases: a bar from `y` down to the floor."""

    x: int
    y: int
    height: int


@dataclass(frozen=True, slots=True)
class RhythmPicture:
    """Bars of the days with purchases, the present silence as a band, and where the next purchase was due."""

    ticks: list[Tick]
    silent_x: int
    silent_width: int
    due_x: int | None
    first: date
    today: date
    width: int = WIDTH
    height: int = HEIGHT
    floor: int = _FLOOR


def rhythm_picture(bought: Sequence[Bought], found: Rhythm, today: date) -> RhythmPicture | None:
    """None without purchases. The picture begins with the first of them, and spans three months at least."""
    if not bought or found.last is None:
        return None
    first = min(bought[0].day, today - _LEAST_SPAN)
    span = max((today - first).days, 1)

    def x(day: date) -> int:
        return round((day - first).days / span * (WIDTH - 8)) + 4

    largest = max(one.amount for one in bought)
    ticks = []
    for one in bought:
        height = max(round(float(one.amount / largest) * (_FLOOR - 6)), 6)
        ticks.append(Tick(x(one.day), _FLOOR - height, height))
    begin = x(found.last)
    due = found.due_on
    return RhythmPicture(
        ticks, begin, max(x(today) - begin, 0), x(due) if due and found.last < due <= today else None, first, today
    )
