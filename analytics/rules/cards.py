"""What a card may become, in which order the day's cards stand, and when one is not shown. Pure: no clock, no rows."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final, TypeVar

# Days after the cut-off within which an account is expected to buy: the horizon of the scores.
HORIZON: Final = timedelta(days=90)
# A card nobody has touched for so long is no longer news.
EXPIRES_AFTER: Final = timedelta(days=28)
LONGEST_SNOOZE: Final = timedelta(days=90)
WITHHELD_IN: Final = 10
CARDS_A_DAY: Final = 15
# Of the day's places, how many are kept for accounts outside the few that bring most of the revenue.
TAIL_SHARE: Final = 0.5
VITAL_SHARE: Final = 0.8
# A dismissed card comes back only where the chance has grown by this much since.
GROWN: Final = 0.05


class Kind(StrEnum):
    RECOVERY = "recovery"
    GROWTH = "growth"


class Level(StrEnum):
    ACCOUNT = "account"
    CATEGORY = "category"
    ITEM = "item"


class Order(StrEnum):
    MONEY = "money"
    CERTAIN = "certain"


class CardState(StrEnum):
    OPEN = "open"
    WITHHELD = "withheld"
    ACCEPTED = "accepted"
    SNOOZED = "snoozed"
    DISMISSED = "dismissed"
    DONE = "done"
    EXPIRED = "expired"


S = CardState
# A call in which all is said takes the card on and finishes it at once.
NEXT: Final[Mapping[CardState, frozenset[CardState]]] = {
    S.OPEN: frozenset({S.ACCEPTED, S.SNOOZED, S.DISMISSED, S.DONE, S.EXPIRED}),
    S.SNOOZED: frozenset({S.OPEN, S.ACCEPTED, S.SNOOZED, S.DISMISSED, S.DONE, S.EXPIRED}),
    S.ACCEPTED: frozenset({S.SNOOZED, S.DISMISSED, S.DONE}),
    S.WITHHELD: frozenset({S.EXPIRED}),
    S.DISMISSED: frozenset(),
    S.DONE: frozenset(),
    S.EXPIRED: frozenset(),
}
# An account has one live card for one thing.
LIVE: Final = (S.OPEN, S.WITHHELD, S.ACCEPTED, S.SNOOZED)
# What ends once its outcome is known: the withheld was only to be measured, and of the accepted nobody reported more.
AFTER_OUTCOME: Final[Mapping[CardState, CardState]] = {S.WITHHELD: S.EXPIRED, S.ACCEPTED: S.DONE}


class Closing(StrEnum):
    """Why a card left by itself."""

    OLD = "old"  # nobody touched it in time
    BOUGHT = "bought"  # the account bought before anybody acted
    FADED = "faded"  # newer scores no longer say so
    MERGED = "merged"  # its account was merged into another, which has the same card or none to be withheld


class Dismissed(StrEnum):
    """Why a representative says that a card is none."""

    SEASONAL = "seasonal"
    ONE_OFF = "one_off"
    CONTRACT_ELSEWHERE = "contract_elsewhere"
    NOT_NEEDED = "not_needed"
    KNOWN = "known"
    WRONG_DATA = "wrong_data"
    CLOSED = "closed"
    OTHER = "other"


class Heard(StrEnum):
    """What came of a call."""

    REACHED = "reached"
    NO_ANSWER = "no_answer"
    CALL_BACK = "call_back"
    ORDERED = "ordered"
    LOST = "lost"


FINAL_CALLS: Final = frozenset({Heard.ORDERED, Heard.LOST})
# After these the same card is not made again for so long: the horizon of the card itself, or longer where it is lost.
REST: Final[Mapping[StrEnum, timedelta]] = {
    Closing.OLD: HORIZON - EXPIRES_AFTER,
    Closing.BOUGHT: timedelta(0),
    Closing.FADED: timedelta(days=7),
    Closing.MERGED: timedelta(0),
    Heard.ORDERED: HORIZON,
    Heard.LOST: 2 * HORIZON,
}
# What is worth a card at all, and how many cards one account may have at a time.
LEAST_P: Final[Mapping[Kind, float]] = {Kind.RECOVERY: 0.3, Kind.GROWTH: 0.1}
MOST_OF_ACCOUNT: Final[Mapping[tuple[Kind, Level], int]] = {
    (Kind.RECOVERY, Level.ACCOUNT): 1,
    (Kind.RECOVERY, Level.CATEGORY): 3,
    (Kind.GROWTH, Level.CATEGORY): 1,
    (Kind.GROWTH, Level.ITEM): 1,
}
# A representative's stock of open cards, in days of work.
STOCK_DAYS: Final = 20


@dataclass(frozen=True, slots=True)
class Quiet:
    """How long a reason keeps a card away (None: for good), and whether it covers all cards of the account."""

    period: timedelta | None
    whole_account: bool = False


QUIET: Final[Mapping[Dismissed, Quiet]] = {
    Dismissed.SEASONAL: Quiet(timedelta(days=180)),
    Dismissed.ONE_OFF: Quiet(None),
    Dismissed.CONTRACT_ELSEWHERE: Quiet(timedelta(days=365)),
    Dismissed.NOT_NEEDED: Quiet(timedelta(days=365)),
    Dismissed.KNOWN: Quiet(timedelta(days=90)),
    Dismissed.WRONG_DATA: Quiet(timedelta(days=30)),
    Dismissed.CLOSED: Quiet(None, whole_account=True),
    Dismissed.OTHER: Quiet(timedelta(days=60)),
}
FITTING: Final[Mapping[Kind, tuple[Dismissed, ...]]] = {
    Kind.RECOVERY: tuple(reason for reason in Dismissed if reason != Dismissed.NOT_NEEDED),
    Kind.GROWTH: tuple(reason for reason in Dismissed if reason not in (Dismissed.SEASONAL, Dismissed.ONE_OFF)),
}


class Confidence(StrEnum):
    """A chance in words; the number stands beside them, never alone."""

    VERY_LIKELY = "very_likely"
    LIKELY = "likely"
    EVEN = "even"
    POSSIBLE = "possible"
    HINT = "hint"


_CONFIDENCE: Final = (
    (0.8, Confidence.VERY_LIKELY),
    (0.6, Confidence.LIKELY),
    (0.4, Confidence.EVEN),
    (0.2, Confidence.POSSIBLE),
)


def allowed(before: CardState, after: CardState) -> bool:
    return after in NEXT[before]


def may_be_taken_back(now: CardState, before: CardState) -> bool:
    """Whether an act can be taken back that led from `before` to `now`, or left the card as it was: the table, read
    backwards. What went by itself stays gone.
    """
    return now is before or (now is not S.EXPIRED and before in LIVE and allowed(before, now))


def confidence(p: float) -> Confidence:
    return next((words for least, words in _CONFIDENCE if p >= least), Confidence.HINT)


# The two orders


def worth(order: Order, p: float, amount: float) -> float:
    """What a card is ordered by: p × amount for most money, p × √amount for most certain."""
    return p * (amount if order is Order.MONEY else math.sqrt(amount))


def vital_few(amounts: Mapping[int, float], share: float = VITAL_SHARE) -> frozenset[int]:
    """The largest accounts that together bring `share` of the whole; ties by the lower key."""
    whole = sum(amounts.values())
    few, reached = set(), 0.0
    for key, amount in sorted(amounts.items(), key=lambda row: (-row[1], row[0])):
        if amount <= 0 or reached >= whole * share:
            break
        few.add(key)
        reached += amount
    return frozenset(few)


T = TypeVar("T")


def mixed(vital: Sequence[T], tail: Sequence[T], places: int, share: float = TAIL_SHARE) -> tuple[int, int]:
    """How many of each take the places: the tail's share is kept for it, and what one lacks the other has."""
    kept = min(math.ceil(places * share), len(tail))
    first = min(places - kept, len(vital))
    return first, min(places - first, len(tail))


# Who is not shown


def withheld(book: int, account: str, kind: Kind, year: int) -> bool:
    """Whether the account is in the tenth to which cards of this kind are not shown, for a year at a time.

    By hash of the account's outside name, so that it is the same on every machine, and no account is left out for ever.
    """
    digest = hashlib.blake2b(f"{book}:{kind.value}:{year}:{account}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") % WITHHELD_IN == 0


def quiet_until(reason: Dismissed, day: date) -> date | None:
    """The first day on which a card dismissed on `day` may come back; None: never."""
    period = QUIET[reason].period
    return None if period is None else day + period


def may_return(until: date | None, p_then: float, day: date, p: float) -> bool:
    """Whether a dismissed card may come back: its reason's period is over, and the chance has grown since."""
    return until is not None and day >= until and p >= p_then + GROWN


def rests_until(why: Closing | Heard, day: date) -> date:
    """The first day on which a card closed on `day` may be made again."""
    return day + REST[why]


def next_call(heard: Heard, day: date, wanted: date | None) -> date | None:
    """When to call again: as agreed, and where nobody answered the next working day."""
    if wanted is not None or heard is not Heard.NO_ANSWER:
        return wanted
    return day + timedelta(days={4: 3, 5: 2}.get(day.weekday(), 1))


def is_old(shown_on: date, day: date) -> bool:
    """Whether an open card has waited in vain."""
    return day - shown_on >= EXPIRES_AFTER
