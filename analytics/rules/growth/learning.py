"""Learning growth from the past windows of the data at hand: signals at T − H, T − H − 30, … against what was bought
first then.

Nothing is fixed in advance that the data can choose: the regularisation of EASE^R and the penalty of the ranking are
those that would have ranked best in the latest window that has ended.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from analytics.rules import clock as clocks
from analytics.rules.clock import STEADY, Clock
from analytics.rules.growth import calibration, ease, lookback, money, presence, profiles, ranking, signals
from analytics.rules.growth.ledger import Activity, Calendar, Ledger, Pairs, ledger_of
from analytics.rules.growth.model import GrowthModel, Ranker
from analytics.rules.history import NONE, BoolArray, FloatArray, History, IntArray, OrderDays
from analytics.rules.one_thread import one_thread
from analytics.rules.protocol import HORIZON, STEP, training_cutoffs

MOST_THINGS = 10_000
"""Items beyond this are left out, each category keeping its most bought ones."""
LEARNT_THINGS = 4_000
"""With more things, the regularisation is chosen on so many of the most bought, and `FEW_WINDOWS` are learnt from."""
FEW_WINDOWS = 2
LEARNT_ACCOUNTS = 3_000
"""Accounts drawn for each past window."""
MEASURED_ACCOUNTS = 10_000
"""Accounts drawn to learn from what first purchases brought."""
MOST_WINDOWS = 4
YEAR = 365
BASE_PRIOR = 10.0
"""Accounts' worth of doubt about how often a single thing is bought first."""
LEAST_FIRSTS = 100
"""With fewer first purchases among the candidates of past windows, the ranking is by popularity."""
REGULARISATIONS = (50.0, 200.0, 800.0)
REGULARISATION = 200.0
EASE_ALONE = signals.SIGNALS.index("ease")


@dataclass(frozen=True, slots=True)
class Known:
    """What both rankings share. Days are the clock's: holes in the history are taken out of them."""

    history: History
    clock: Clock
    calendar: Calendar
    days: OrderDays
    cutoff: int
    horizon: int
    windows: tuple[int, ...]
    seed: int
    presence: ranking.Weights | None

    def spend(self, cutoff: int) -> FloatArray:
        return money.spend_in_horizon(self.days, cutoff, self.horizon, len(self.history.accounts))


@one_thread()
def fit(history: History, cutoff: int, *, horizon: int = HORIZON, seed: int = 0) -> GrowthModel:
    """Learns from what is known at the end of day `cutoff`; deterministic for a seed."""
    past = history.until(cutoff)
    clock = clocks.find(past.day)
    past = replace(past, day=clock.running(past.day))
    days = past.account_days()
    calendar = Calendar(days.account, days.day, len(past.accounts))
    windows = windows_of(cutoff, horizon, clock)
    orders = presence.learn(calendar, windows, horizon)
    known = Known(past, clock, calendar, days, cutoff, horizon, windows, seed, orders)
    grouped = past.has_categories and len(past) > 0
    named = past.has_items and len(past) > 0
    if not grouped and not named:
        return GrowthModel(cutoff, horizon, seed, None, None, orders, None, (), False, clock)
    groups = _profiles(known, "categories" if grouped else "items")
    return GrowthModel(
        cutoff=cutoff,
        horizon=horizon,
        seed=seed,
        items=_ranker(known, "items", groups) if named else None,
        categories=_ranker(known, "categories", groups) if grouped else None,
        presence=orders,
        profiles=groups,
        profile_names=past.categories if grouped else past.items,
        profiles_of_items=not grouped,
        clock=clock,
    )


def windows_of(cutoff: int, horizon: int, clock: Clock = STEADY) -> tuple[int, ...]:
    """The latest windows whose labels have ended, and the one of a year ago, which saw the same season; in the clock's
    days, of which the first with data is 0 and what the holes take out.
    """
    begin, year_ago = (int(day) for day in clock.running(np.array([0, cutoff - YEAR], dtype=np.int32)))
    ended = tuple(begin + past for past in training_cutoffs(cutoff - begin, horizon=horizon))
    latest = ended[:MOST_WINDOWS]
    same_season = [past for past in ended[MOST_WINDOWS:] if abs(year_ago - past) <= STEP // 2]
    return latest + tuple(same_season[:1])


def _profiles(known: Known, of: str) -> profiles.Profiles:
    codes = len(known.history.categories if of == "categories" else known.history.items)
    bought = money.purchases_of(known.history, of=of, places=np.arange(codes, dtype=np.int32))
    column = profiles.columns_of(bought, codes, most=None if of == "categories" else profiles.MIX_ITEMS)
    eligible = known.calendar.at(known.cutoff).eligible()
    return profiles.learn(bought, column, known.spend(known.cutoff), eligible, known.cutoff, known.seed)


def _ranker(known: Known, of: str, groups: profiles.Profiles) -> Ranker:
    history = known.history
    column, names = (history.item, history.items) if of == "items" else (history.category, history.categories)
    group = history.item_category if of == "items" else np.full(len(names), NONE, dtype=np.int32)
    codes = most_bought(history, column, group, MOST_THINGS)
    ledger = _ledger(history, column, codes)
    pairs, activity = ledger.at(known.cutoff), known.calendar.at(known.cutoff)
    regularisation = _regularisation(known, column, group, codes, ledger)
    windows = _windows(known, ledger, group[codes], regularisation)
    learnt = sum(int(window.bought.sum()) for window in windows) >= LEAST_FIRSTS
    penalty = ranking.best_penalty(windows) if learnt else ranking.PENALTY
    neighbours = ease.learn(pairs.matrix(), regularisation) if learnt else ease.Neighbours.none(len(codes))
    if learnt:
        weights, lists = _weights(windows, penalty)
    else:
        weights, lists = None, [lookback.listed(window, _by_popularity(window)) for window in windows]
    curve = calibration.learn(lists)
    amount, quantity, packs = _measures(known, of, codes, lists, curve)
    return Ranker(
        names=tuple(names[code] for code in codes),
        snapshot=_snapshot(known, ledger, pairs, activity, neighbours, group[codes]),
        weights=weights,
        base=base_chances(pairs, activity, known.horizon),
        curve=curve,
        windows=tuple(window.cutoff for window in windows),
        regularisation=regularisation,
        penalty=penalty,
        money=amount,
        quantity=quantity,
        packs=packs,
        shares=groups.shares(pairs.where(pairs.last > known.cutoff - YEAR)),
    )


def _weights(windows: list[ranking.Window], penalty: float) -> tuple[ranking.Weights, list[lookback.Suggested]]:
    rows = ranking.design(windows)
    solution = ranking.fitted(rows, penalty)
    return rows.weights(solution), lookback.looked_back(windows, penalty, solution, rows)


def _by_popularity(window: ranking.Window) -> FloatArray:
    return np.asarray(window.base[window.thing])


def base_chances(pairs: Pairs, activity: Activity, horizon: int) -> FloatArray:
    """By thing, the chance that an account buys it first within a horizon: first purchases in the last one over the
    time for which the accounts asked for were known in it. Of an account's first order all is new: it tells nothing."""
    after = activity.cutoff - horizon
    known = np.zeros(len(activity.first))
    asked = activity.eligible()
    known[asked] = np.minimum(activity.cutoff - activity.first[asked], horizon) / horizon
    new = (pairs.first > after) & (pairs.first > activity.first[pairs.account]) & (known[pairs.account] > 0)
    firsts = np.bincount(pairs.thing[new], minlength=pairs.things)
    had = pairs.first <= after
    time = known.sum() - np.bincount(pairs.thing[had], weights=known[pairs.account[had]], minlength=pairs.things)
    usual = firsts.sum() / max(float(time.sum()), 1.0)
    return np.asarray(-np.expm1(-(firsts + BASE_PRIOR * usual) / (time + BASE_PRIOR)))


def most_bought(history: History, column: IntArray, group: IntArray, most: int) -> IntArray:
    """Codes with a purchase, rising. Beyond `most`: half go round the categories, half to the most bought."""
    bought = np.bincount(column[column != NONE], minlength=len(group))
    codes = np.flatnonzero(bought)
    if len(codes) > most:
        ranked = codes[np.argsort(-bought[codes], kind="stable")]
        by_group = ranked[np.argsort(group[ranked], kind="stable")]
        starts = np.searchsorted(group[by_group], group[by_group])
        turns = by_group[np.argsort(np.arange(len(by_group)) - starts, kind="stable")]
        taken = turns[: most // 2]
        rest = ranked[~np.isin(ranked, taken)]
        codes = np.sort(np.concatenate([taken, rest[: most - len(taken)]]))
    return codes.astype(np.int32)


def _ledger(history: History, column: IntArray, codes: IntArray) -> Ledger:
    return ledger_of(history, column, _places(codes, int(column.max(initial=NONE)) + 1), len(codes))


def _places(codes: IntArray, count: int) -> IntArray:
    places = np.full(count, NONE, dtype=np.int32)
    places[codes] = np.arange(len(codes), dtype=np.int32)
    return places


def _snapshot(
    known: Known, ledger: Ledger, pairs: Pairs, activity: Activity, neighbours: ease.Neighbours, group: IntArray
) -> signals.Snapshot:
    sold = np.bincount(pairs.thing, minlength=pairs.things) > 0
    traits = signals.traits_of(ledger, pairs, activity, known.horizon, known.clock)
    return signals.Snapshot(activity.cutoff, known.horizon, neighbours, traits, sold, group)


def _regularisation(known: Known, column: IntArray, group: IntArray, codes: IntArray, ledger: Ledger) -> float:
    """The one that ranked best by EASE^R alone in the latest past window, among the most bought things."""
    if not known.windows:
        return REGULARISATION
    if len(codes) > LEARNT_THINGS:
        codes = most_bought(known.history, column, group, LEARNT_THINGS)
        ledger = _ledger(known.history, column, codes)
    cutoff = known.windows[0]
    together = ease.gram(ledger.at(cutoff).matrix())
    figures = [
        (
            _window(known, ledger, group[codes], cutoff, ease.learn_from(together.copy(), tried)).merit_of(EASE_ALONE),
            tried,
        )
        for tried in REGULARISATIONS
    ]
    return max(figures)[1]


def _windows(known: Known, ledger: Ledger, group: IntArray, regularisation: float) -> list[ranking.Window]:
    cutoffs = known.windows if ledger.things <= LEARNT_THINGS else known.windows[:FEW_WINDOWS]
    windows = [
        _window(known, ledger, group, cutoff, ease.learn(ledger.at(cutoff).matrix(), regularisation))
        for cutoff in cutoffs
    ]
    return [window for window in windows if window.real.any()]


def _window(known: Known, ledger: Ledger, group: IntArray, cutoff: int, neighbours: ease.Neighbours) -> ranking.Window:
    pairs, activity = ledger.at(cutoff), known.calendar.at(cutoff)
    snapshot = _snapshot(known, ledger, pairs, activity, neighbours, group)
    accounts = activity.eligible()
    accounts = accounts[_drawn(len(accounts), LEARNT_ACCOUNTS, [known.seed, cutoff])]
    later = ledger.first_bought(cutoff, cutoff + known.horizon)[accounts]
    parts = []
    for block in signals.candidates(snapshot, pairs, activity, accounts):
        bought = np.zeros((block.accounts.stop - block.accounts.start, snapshot.things), dtype=bool)
        rows = later[block.accounts]
        bought[np.repeat(np.arange(len(bought)), np.diff(rows.indptr)), rows.indices] = True
        came = np.take_along_axis(bought, block.thing, 1) & block.real
        parts.append((block.signals, block.real, came, block.thing))
    width = min(signals.CANDIDATES if snapshot.things > signals.ALL_THINGS else snapshot.things, snapshot.things)
    empty = (
        np.zeros((0, width, len(signals.SIGNALS)), np.float32),
        np.zeros((0, width), bool),
        np.zeros((0, width), bool),
        np.zeros((0, width), np.int32),
    )
    matrix, real, bought, thing = (np.concatenate(part) for part in zip(empty, *parts, strict=True))
    sold = later[:, np.flatnonzero(snapshot.sold)]
    return ranking.Window(
        cutoff=cutoff,
        accounts=accounts,
        thing=thing,
        signals=matrix,
        real=real,
        bought=bought,
        relevant=np.asarray(sold.sum(axis=1)).ravel().astype(np.int64),
        present=presence.chance(known.presence, activity, accounts),
        base=base_chances(pairs, activity, known.horizon),
    )


def _drawn(count: int, most: int, seed: list[int]) -> BoolArray:
    """Which of `count` are in a sample of at most `most`."""
    drawn = np.ones(count, dtype=bool)
    if count > most:
        drawn[np.random.default_rng(seed).choice(count, count - most, replace=False)] = False
    return drawn


def _measures(
    known: Known, of: str, codes: IntArray, lists: list[lookback.Suggested], curve: calibration.Curve
) -> tuple[money.Measure, money.Measure | None, IntArray]:
    count = len(known.history.items if of == "items" else known.history.categories)
    bought = money.purchases_of(known.history, of=of, places=_places(codes, count))
    sample = bought.where(_drawn(len(known.history.accounts), MEASURED_ACCOUNTS, [known.seed])[bought.account])
    firsts = [
        money.firsts_of(sample, past, known.horizon, known.calendar.at(past).eligible(), known.spend(past), len(codes))
        for past in known.windows
    ]
    typical = money.typical_logs(bought, bought.amount, len(codes))
    amount = money.learn(typical, [first for first, _quantity in firsts], to_the_sum=True)
    if lists:
        amount = money.scaled(amount, _brought(known, bought, sample, lists[0], curve, len(codes)))
    if of != "items":
        return amount, None, np.empty(0, dtype=np.int32)
    typical = money.typical_logs(bought, bought.quantity, len(codes))
    quantity = money.learn(typical, [first for _money, first in firsts], to_the_sum=False)
    return amount, quantity, money.packs_of(bought, len(codes))


def _brought(
    known: Known, bought: money.Purchases, sample: money.Purchases, lists: lookback.Suggested,
    curve: calibration.Curve, things: int,
) -> money.Brought:  # fmt: skip
    """What the lists of a past window brought, beside what was known of it then."""
    listed = np.zeros(len(known.history.accounts), dtype=bool)
    listed[lists.account] = True
    own = bought.where(listed[bought.account])
    past = sample.until(lists.cutoff)
    typical = money.typical_logs(past, past.amount, things)
    before = own.until(lists.cutoff)
    size = money.sizes(before, before.amount, typical, len(listed))[lists.account]
    brought = own.spent_on(lists.account, lists.thing, lists.cutoff, lists.cutoff + known.horizon)
    cap = known.spend(lists.cutoff)[lists.account]
    chance = curve.apply(lists.chance, lists.present)
    chance = chance * lists.bought.sum() / max(float(chance.sum()), 1e-9)  # what drifts is no matter of money
    return money.Brought(typical[lists.thing], size, cap, chance, brought)
