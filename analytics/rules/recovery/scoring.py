"""Scores of accounts and of account × category by a fitted model: a partition is scored exactly as it is within the
whole.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from itertools import pairwise

import numpy as np
from scipy import special

from analytics.rules.clock import Clock
from analytics.rules.history import NONE, BoolArray, FloatArray, History, IntArray, Names
from analytics.rules.recovery import reasons
from analytics.rules.recovery.cycles import silent
from analytics.rules.recovery.features import Bought, Observed, observe_accounts, observe_pairs
from analytics.rules.recovery.goods import collect_lines
from analytics.rules.recovery.market import YEAR, Market
from analytics.rules.recovery.model import Level, RecoveryModel
from analytics.rules.recovery.population import JUDGED_ACCOUNTS, JUDGED_PAIRS, SCORED_ACCOUNTS, SCORED_PAIRS
from analytics.rules.recovery.reasons import Reason
from analytics.rules.recovery.visits import Visits, collect
from analytics.rules.remarks import LONGEST_FORGIVEN

AT_ONCE = 1_000_000
"""Rows of the history that are looked at together; the rest waits its turn, which bounds the memory."""


@dataclass(frozen=True, slots=True)
class Scores:
    """One row an account or pair, sorted by their codes. `category` is NONE for whole accounts.

    `p` is the chance of no order within the horizon; `expected_amount` the money of the horizon if the account goes
    on as it has; `survival` the chance that a gap of its cycle is longer than the present silence. `judged` marks
    those of the protocol, the others are just beyond its edges. `suppressed` rows are no case for a card: confirmed
    off-season.
    """

    account: IntArray
    category: IntArray
    p: FloatArray
    expected_amount: FloatArray
    survival: FloatArray
    reasons: reasons.Mask  # read by reasons.told and reasons.joined
    judged: BoolArray
    suppressed: BoolArray
    orders: IntArray  # order days
    usual_gap: FloatArray  # median, days
    silence: IntArray  # days since the last order, holes of the data left out
    last_day: IntArray  # day of the last order, as the history counts
    usual_amount: FloatArray  # money of an order day, geometric mean

    def __len__(self) -> int:
        return len(self.account)

    def reason_codes(self, row: int) -> tuple[Reason, ...]:
        return reasons.told(int(self.reasons[row]))


@dataclass(frozen=True, slots=True)
class RecoveryScores:
    accounts: Scores
    pairs: Scores


def score(model: RecoveryModel, history: History, cutoff: int) -> RecoveryScores:
    """Score every account with three order days or more that has not been silent for long, by the end of day
    `cutoff`.
    """
    known = history.until(cutoff)
    parts = [_score(model, part, cutoff) for part in _parts(known)]
    return RecoveryScores(_joined([part.accounts for part in parts]), _joined([part.pairs for part in parts]))


def _parts(history: History) -> list[History]:
    """The history in runs of whole accounts; it is sorted by account."""
    if len(history) <= AT_ONCE:
        return [history]
    cuts = np.unique(np.searchsorted(history.account, history.account[np.arange(AT_ONCE, len(history), AT_ONCE)]))
    edges = [0, *cuts[cuts > 0].tolist(), len(history)]
    return [_rows(history, slice(a, b)) for a, b in pairwise(edges)]


def _rows(history: History, rows: slice) -> History:
    columns = ("account", "category", "item", "day", "quantity", "amount")
    return replace(history, **{name: getattr(history, name)[rows] for name in columns})


def _score(model: RecoveryModel, history: History, cutoff: int) -> RecoveryScores:
    clock = model.clock.shifted((model.first_day - history.first_day).days)
    accounts, pairs = collect(history, clock)
    market = _renumbered(model, history)
    bought = Bought(pairs, collect_lines(history, clock))
    accounts = accounts.of(SCORED_ACCOUNTS.may_hold(accounts, cutoff, _lost(accounts, clock)))
    pairs = pairs.of(SCORED_PAIRS.may_hold(pairs, cutoff, _lost(pairs, clock)))
    observed = observe_accounts(accounts, market, cutoff, model.horizon)
    beside = observe_pairs(pairs, accounts, observed, bought, market, cutoff, model.horizon)
    off_season = _off_season(accounts, cutoff, model.horizon)
    late = observed.survival <= reasons.USUAL
    flags = _flags(observed, off_season) | {Reason.ACCOUNT_SILENT: late}
    of_accounts = _scores(model, model.accounts, observed, flags, clock)

    account = np.searchsorted(accounts.account, pairs.account)
    off_season = off_season[account] | _off_season(pairs, cutoff, model.horizon)
    late_here = beside.survival <= reasons.USUAL
    flags = _flags(beside, off_season) | {
        Reason.ACCOUNT_SILENT: late_here & late[account],
        Reason.CATEGORY_ONLY: late_here & ~late[account],
        Reason.CATEGORY_QUIET: beside.columns["category_trend_short"] < reasons.QUIET_TREND,
    }
    of_pairs = _scores(model, model.pairs, beside, flags, clock)
    lost, lost_here = _lost(accounts, clock), _lost(pairs, clock)
    rhythm, here = observed.rhythm, beside.rhythm
    known, known_here = _forgiven(rhythm.last_day, clock), _forgiven(here.last_day, clock)
    return RecoveryScores(
        _only(of_accounts, SCORED_ACCOUNTS.hold(rhythm, lost) & known, JUDGED_ACCOUNTS.hold(rhythm, lost)),
        _only(of_pairs, SCORED_PAIRS.hold(here, lost_here) & known_here, JUDGED_PAIRS.hold(here, lost_here)),
    )


def _forgiven(last: IntArray, clock: Clock) -> BoolArray:
    """Whether what holes take out of the present silence is little enough for its account to be still known."""
    return np.asarray(last - clock.calendar(last) <= LONGEST_FORGIVEN)


def _lost(visits: Visits, clock: Clock) -> IntArray:
    """By owner, the days since its first one that the clock has left out."""
    first = visits.day[visits.starts]
    return first - clock.calendar(first)


def _renumbered(model: RecoveryModel, history: History) -> Market:
    """The market's columns in the order of this history's category codes, and its goods in that of its item codes;
    unknown ones are as the whole.
    """
    market = model.market
    if history.has_items and market.goods is not None and history.items != model.items:
        market = replace(market, goods=market.goods.reordered(_places(model.items, history.items)))
    if not history.has_categories or history.categories == model.categories:
        return market
    return market.reordered(_places(model.categories, history.categories))


def _places(known: Names, names: Names) -> list[int]:
    place = {name: code for code, name in enumerate(known)}
    return [place.get(name, NONE) for name in names]


def _scores(
    model: RecoveryModel, level: Level, observed: Observed, flags: dict[Reason, BoolArray], clock: Clock
) -> Scores:
    rhythm = observed.rhythm
    return Scores(
        account=rhythm.account,
        category=rhythm.category,
        p=_chances(level, observed),
        expected_amount=rhythm.amount / np.maximum(rhythm.tenure, model.horizon) * model.horizon,
        survival=observed.survival,
        reasons=reasons.marked(flags, len(rhythm)),
        judged=np.ones(len(rhythm), dtype=bool),
        suppressed=flags[Reason.OFF_SEASON],
        orders=rhythm.orders.astype(np.int32),
        usual_gap=rhythm.median_gap,
        silence=rhythm.silence.astype(np.int32),
        last_day=clock.calendar(rhythm.last_day),
        usual_amount=rhythm.usual_amount,
    )


def _only(scores: Scores, scored: BoolArray, judged: BoolArray) -> Scores:
    marked = replace(scores, judged=judged)
    return Scores(**{f.name: getattr(marked, f.name)[scored] for f in fields(Scores)})


def _chances(level: Level, observed: Observed) -> FloatArray:
    if not level.logistics:
        return silent(observed.survival, observed.survival_later, level.dropout)
    return np.asarray(special.expit(level.log_odds(observed.columns, observed.survival, observed.survival_later)))


def _flags(observed: Observed, off_season: BoolArray) -> dict[Reason, BoolArray]:
    """The reasons that accounts and pairs have in common."""
    rhythm = observed.rhythm
    return {
        Reason.OVERDUE: observed.survival < reasons.LATE,
        Reason.WITHIN_CYCLE: observed.survival > reasons.USUAL,
        Reason.FADING: _fading(observed),
        Reason.ONE_OFF: rhythm.largest > reasons.LARGEST_SHARE * rhythm.amount,
        Reason.ERRATIC: rhythm.gap_cv > reasons.ERRATIC_CV,
        Reason.OFF_SEASON: off_season,
    }


def _fading(observed: Observed) -> BoolArray:
    """Orders of the last 90 days below half of what the time before leads to expect, where that is three or more."""
    rhythm = observed.rhythm
    before = rhythm.tenure - 90
    expected = (rhythm.orders - rhythm.orders_90) / np.maximum(before, 1) * 90
    return (before >= 60) & (expected >= 3) & (rhythm.orders_90 < reasons.FADING_TO * expected)


def _off_season(visits: Visits, cutoff: int, horizon: int) -> BoolArray:
    """Confirmed by two years: no order in the days to come last year nor the year before, though chance would have
    brought some.
    """
    age = cutoff - visits.day
    first = cutoff - visits.day[visits.starts] if len(visits) else np.empty(0)
    ahead = visits.sums(
        (((age < YEAR) & (age >= YEAR - horizon)) | ((age < 2 * YEAR) & (age >= 2 * YEAR - horizon))).astype(np.float64)
    )
    by_chance = visits.counts * 2.0 * horizon / np.maximum(first, 1)
    return np.asarray((first >= 2 * YEAR - horizon) & (ahead == 0) & (by_chance >= np.log(10)))


def _joined(parts: list[Scores]) -> Scores:
    if len(parts) == 1:
        return parts[0]
    return Scores(**{f.name: np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Scores)})
