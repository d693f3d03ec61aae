"""Why an account is on the list, or why one need not worry: stable codes, the words are made where they are shown."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from analytics.rules.history import BoolArray

Mask = NDArray[np.int32]


class Reason(StrEnum):
    """Stable: they are kept with cards and stand in files. The order is that in which they are told."""

    OVERDUE = "overdue"  # silent for longer than 95% of its gaps would be
    WITHIN_CYCLE = "within_own_cycle"  # a gap as long as the silence is nothing special, S > .25
    ACCOUNT_SILENT = "account_silent"  # nothing in any category for longer than is usual
    CATEGORY_ONLY = "category_only"  # overdue here while the account goes on buying
    FADING = "fading"  # orders of the last 90 days below half of what they used to be
    CATEGORY_QUIET = "category_quiet"  # the category goes badly with everybody
    ONE_OFF = "one_off"  # the largest order is more than half of all money
    ERRATIC = "erratic"  # gaps vary by more than their mean
    OFF_SEASON = "off_season"  # two years show no orders in the days to come: no card is made


ORDER: Final = tuple(Reason)

LATE, USUAL = 0.05, 0.25
"""Survival of the present silence below which it is overdue, and above which it is within the cycle."""
LARGEST_SHARE = 0.5
ERRATIC_CV = 1.0
FADING_TO = 0.5
QUIET_TREND = float(np.log(0.6))
"""Orders of the category's last 30 days against the 90 before, both as shares of the whole market."""


def bit(reason: Reason) -> int:
    return 1 << ORDER.index(reason)


def marked(flags: dict[Reason, BoolArray], length: int) -> Mask:
    """One number a row, a bit a reason."""
    mask = np.zeros(length, dtype=np.int32)
    for reason, flag in flags.items():
        mask |= np.where(flag, np.int32(bit(reason)), np.int32(0))
    return mask


def told(mask: int) -> tuple[Reason, ...]:
    return tuple(reason for reason in ORDER if mask & bit(reason))


def joined(mask: Mask) -> list[str]:
    """The codes of each row joined by ";" for files."""
    known = {value: ";".join(told(value)) for value in np.unique(mask).tolist()}
    return [known[value] for value in mask.tolist()]
