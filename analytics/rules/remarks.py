"""What is thin or odd about a purchase history, and as of which day it can be scored: the same for files on the command
line, for uploads and for nightly runs.

Everything is judged by the days on which anybody bought, in plain Python: some thousands of them at most, and pages
that show remarks stay without numpy.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from enum import StrEnum
from itertools import pairwise
from statistics import median
from typing import Any, Final

from analytics.rules.cards import HORIZON

SHORTEST_HOLE = 21
"""Days. Shops close for a week or two; nobody buying anywhere for three weeks is a gap in the data."""
FEWEST_DAYS = 60
"""Order days of the whole data below which its own rhythm is not known well enough to take a gap out of silences."""
BEYOND_USUAL = 6
"""How often longer than the 95th per cent of the breaks between the data's order days a hole is. Holes of their own are
among the breaks: three of them in a year of sixty order days must not become what is usual."""
LONGEST_FORGIVEN = 183
"""Days of holes that are taken out of an account's present silence. Of one last seen half a year before that nothing is
known any more, whoever is to blame."""
MOVED_AFTER = 30
"""Days without a purchase in the currency that is scored, of an account that bought in another one since: it did not
fall silent, and its days in the one say nothing of it."""
THIN_HOLE = 45
"""Days. A shorter gap of a history with fewer order days than that may well be its rhythm."""
STALE_AFTER = 14
"""Days. A history that ends longer ago has probably stopped being told of purchases, if its own rhythm agrees."""
SURELY_STALE = 60
"""Days after which that holds whatever the rhythm was."""
FIRST_WINDOW = 90
"""Days of a history before the first past day on which forecasts can be tried out: those of `protocol.FIRST_CUTOFF`."""
FEW_PURCHASES = 100
"""Order days of accounts. Of fewer there are never enough past cases to learn from."""
MOST_NAMED = 5
"""Examples, or holes, that are named; all are counted."""


class Odd(StrEnum):
    """Stable codes: in run.json, in stored reports, in answers of the API."""

    NOTHING = "no_purchase_before_the_cut_off"
    NOTHING_LEFT = "nothing_but_taken_back"
    ONE_DAY = "all_purchases_on_one_day"
    ONE_ACCOUNT = "one_account_only"
    FEW = "too_few_purchases_to_learn_from"
    SHORT = "history_too_short_to_check_forecasts"
    HOLES = "no_purchases_by_anybody_for_weeks"
    ENDS_EARLY = "days_before_the_cut_off_without_a_purchase_by_anybody"
    OVER = "history_ends_before_what_could_be_foretold"
    OWN_ENDS_EARLY = "own_system_ends_before_the_platform_s_contracts"
    OTHER_CURRENCIES = "other_currencies_not_scored"
    DUPLICATES = "equal_rows_of_an_order_counted_once"
    DUPLICATES_KEPT = "equal_rows_kept_because_there_is_no_order_id"
    RENAMED = "accounts_with_another_name"
    NAMESAKES = "one_name_under_several_numbers"
    MERGED = "accounts_merged_into_others"
    ALL_NEW = "no_account_known_from_before"
    MOSTLY_REJECTED = "most_rows_rejected"


#: What changes with everything that comes in; the others are about one file.
OF_HISTORY: Final = frozenset(
    {
        *(Odd.NOTHING, Odd.ONE_DAY, Odd.ONE_ACCOUNT, Odd.FEW, Odd.SHORT, Odd.HOLES, Odd.ENDS_EARLY, Odd.OVER),
        *(Odd.OWN_ENDS_EARLY, Odd.OTHER_CURRENCIES),
    }
)


@dataclass(frozen=True, slots=True)
class Remark:
    """`details` are plain JSON: counts, days as ISO dates, examples."""

    code: Odd
    details: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        return {"code": self.code.value, **self.details}


NOTHING_LEFT: Final = Remark(Odd.NOTHING_LEFT)


@dataclass(frozen=True, slots=True)
class Outline:
    """A history in figures: the days on which anybody bought, rising and each once, and how much there is of it.

    Whoever counts `accounts` or `purchases` (order days of accounts) may stop at 2 and at FEW_PURCHASES.
    """

    days: Sequence[date]
    accounts: int
    purchases: int


@dataclass(frozen=True, slots=True)
class Hole:
    """Nobody bought from `first` to `last`, both included. `left_out`: the models do not take it for silence."""

    first: date
    last: date
    left_out: bool

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1


def shortest_hole(breaks: Sequence[int]) -> float | None:
    """Of the breaks between a history's order days, those above this are holes in the data; None where its own rhythm
    is not known well enough to leave any out."""
    if len(breaks) + 1 < FEWEST_DAYS:
        return None
    return max(SHORTEST_HOLE, BEYOND_USUAL * usual_break(breaks))


def usual_break(breaks: Sequence[int]) -> int:
    """The 95th per cent of the breaks between order days, at least one day."""
    return max(sorted(breaks)[int(0.95 * (len(breaks) - 1))], 1) if breaks else 1


def holes(days: Sequence[date]) -> list[Hole]:
    """Weeks in which nobody bought, though the history has somebody buying nearly all the time; earliest first."""
    breaks = [(after - before).days for before, after in pairwise(days)]
    if not breaks:
        return []
    known = shortest_hole(breaks)
    longest = max(THIN_HOLE, BEYOND_USUAL * median(breaks)) if known is None else known
    day = timedelta(days=1)
    return [
        Hole(before + day, after - day, left_out=known is not None)
        for (before, after), length in zip(pairwise(days), breaks, strict=True)
        if length > longest
    ]


def as_of(days: Sequence[date], until: date) -> date:
    """The last day whose purchases are known, where `until` is the newest that could be: `until`, or the last day with
    a purchase if the history ends so long before that its end is no silence of everybody."""
    if not days:
        return until
    return days[-1] if (until - days[-1]).days > _patience(days) else until


def _patience(days: Sequence[date]) -> int:
    usual = usual_break([(after - before).days for before, after in pairwise(days)])
    return min(max(STALE_AFTER, 3 * usual), SURELY_STALE)


def has_moved_on(here: int, elsewhere: int, until: int) -> bool:
    """Whether an account buys in another currency now, by the numbers of the days on which it bought last in the one
    that is scored and in others, `until` being the last known day."""
    return elsewhere > here and until - here > MOVED_AFTER


def of_history(
    outline: Outline, until: date, *, horizon: int = HORIZON.days, own_until: date | None = None
) -> list[Remark]:
    """What whoever reads scores as of `until` should know of the history. `own_until` is the last day told of by the
    seller's own system, where contracts on the platform count besides: they may go on when that has ended, and whoever
    buys elsewhere then seems to leave. Their own rhythm says nothing of holes."""
    days = outline.days
    if not days:
        return [Remark(Odd.NOTHING)]
    found = [Remark(Odd.ONE_ACCOUNT)] if outline.accounts == 1 else []
    if len(days) == 1:
        return [Remark(Odd.ONE_DAY, {"day": days[0].isoformat()}), *found]
    known_until = as_of(days, until)
    span, needed = (known_until - days[0]).days + 1, FIRST_WINDOW + horizon
    if outline.purchases < FEW_PURCHASES:
        found.append(Remark(Odd.FEW, {"purchases": outline.purchases}))
    elif span <= needed:
        found.append(Remark(Odd.SHORT, {"days": span, "needed": needed + 1}))
    own_ended = own_until is not None and (known_until - own_until).days > _patience(days)
    if missing := [hole for hole in holes(days) if not own_ended or own_until is None or hole.first <= own_until]:
        found.append(_of_holes(missing))
    if known_until < until:
        code = Odd.OVER if (until - known_until).days >= horizon else Odd.ENDS_EARLY
        found.append(Remark(code, {"last": known_until.isoformat(), "days": (until - known_until).days}))
    elif own_ended and own_until is not None:
        found.append(Remark(Odd.OWN_ENDS_EARLY, {"last": own_until.isoformat()}))
    return found


def _of_holes(missing: Sequence[Hole]) -> Remark:
    longest = sorted(sorted(missing, key=lambda hole: -hole.days)[:MOST_NAMED], key=lambda hole: hole.first)
    spans = [{"from": hole.first.isoformat(), "until": hole.last.isoformat(), "days": hole.days} for hole in longest]
    return Remark(Odd.HOLES, {"count": len(missing), "left_out": missing[0].left_out, "holes": spans})


def of_rows(read: int, rejected: int) -> list[Remark]:
    """Whether so many rows were rejected that something else than rows is wrong."""
    return [Remark(Odd.MOSTLY_REJECTED, {"rows": rejected, "of": read})] if 0 < read < 2 * rejected else []


def of_currencies(scored: str, others: Sequence[str]) -> list[Remark]:
    return [Remark(Odd.OTHER_CURRENCIES, {"scored": scored, "others": sorted(others)})] if others else []


def of_equal_rows(rows: int, *, has_orders: bool) -> list[Remark]:
    """Rows that are equal to an earlier one in everything."""
    return [Remark(Odd.DUPLICATES if has_orders else Odd.DUPLICATES_KEPT, {"rows": rows})] if rows else []


def renamed(count: int, examples: Sequence[tuple[str, str, str]]) -> list[Remark]:
    """Accounts that have another name than before; examples are number, name before, name now."""
    named = [{"number": number, "before": before, "now": now} for number, before, now in examples[:MOST_NAMED]]
    return [Remark(Odd.RENAMED, {"count": count, "examples": named})] if count else []


def namesakes(count: int, examples: Sequence[tuple[str, Sequence[str]]]) -> list[Remark]:
    """Names that stand under several numbers; examples are a name and its numbers."""
    named = [{"name": name, "numbers": list(numbers)[:MOST_NAMED]} for name, numbers in examples[:MOST_NAMED]]
    return [Remark(Odd.NAMESAKES, {"count": count, "examples": named})] if count else []


def merged(count: int, examples: Sequence[tuple[str, str]]) -> list[Remark]:
    """Accounts whose purchases count for another; examples are the number and the one it counts as."""
    named = [{"number": number, "counts_as": other} for number, other in examples[:MOST_NAMED]]
    return [Remark(Odd.MERGED, {"count": count, "examples": named})] if count else []


def of_names(names: Mapping[str, Sequence[str]]) -> list[Remark]:
    """What the names of a file alone tell: by account number, its names in the order in which they came."""
    many = [(number, given[0], given[-1]) for number, given in sorted(names.items()) if len({*given}) > 1]
    numbers: dict[str, list[str]] = {}
    shown: dict[str, str] = {}
    for number, given in sorted(names.items()):
        key = same_name(given[-1])
        shown.setdefault(key, given[-1])
        numbers.setdefault(key, []).append(number)
    shared = [(shown[key], of_name) for key, of_name in numbers.items() if len(of_name) > 1]
    return [*renamed(len(many), many), *namesakes(len(shared), shared)]


def same_name(name: str) -> str:
    """What two spellings of one name have in common: neither capitals nor blanks tell names apart."""
    return " ".join(name.split()).upper()
