"""Learning the recovery model from past windows of the data at hand: nothing is tuned on anything else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from analytics.rules.history import BoolArray, FloatArray, History
from analytics.rules.protocol import FIRST_CUTOFF, HORIZON, STEP
from analytics.rules.recovery import clock as clocks
from analytics.rules.recovery import logistic
from analytics.rules.recovery.cycles import fit_dropout
from analytics.rules.recovery.features import Observed, observe_accounts, observe_pairs
from analytics.rules.recovery.market import survey
from analytics.rules.recovery.model import Fallback, Level, RecoveryModel, Window
from analytics.rules.recovery.population import JUDGED_ACCOUNTS, JUDGED_PAIRS, Limits
from analytics.rules.recovery.visits import IndexArray, Visits, collect

MOST_WINDOWS = 18
SHORTER = (1 / 2, 2 / 3, 5 / 6)
"""Parts of the horizon whose labels reach where those of the whole one are not closed yet."""
MOST_ORDER_DAYS = 600_000
"""Order days of pairs, or of accounts, that windows are made of; beyond, of a random sample of accounts."""
MOST_ROWS = 120_000
MOST_CHOICE_ROWS = 30_000
FEWEST = 20
"""Cases that fell silent, and that did not, below which nothing is learnt but the dropout."""
PENALTIES = (0.3, 0.1, 0.03, 0.01, 0.003)
FOLDS = 4
HELD = (40.0, 40.0)
"""How strongly the recalibration is held to "no change", in the units of `logistic.recalibrate`."""


@dataclass(slots=True)
class Cases:
    """Rows of past windows: columns, labels, whose they are, the window's part of the horizon."""

    names: tuple[str, ...] = ()
    rows: list[FloatArray] = field(default_factory=list)
    silent: list[FloatArray] = field(default_factory=list)
    account: list[IndexArray] = field(default_factory=list)
    survival: list[FloatArray] = field(default_factory=list)
    survival_later: list[FloatArray] = field(default_factory=list)
    windows: list[Window] = field(default_factory=list)

    def add(self, observed: Observed, wait: FloatArray, limits: Limits, cutoff: int, horizon: int, whole: int) -> None:
        kept = limits.hold(observed.rhythm)
        columns = observed.columns | {"horizon": np.full(len(kept), np.log(horizon / whole))}
        self.names = tuple(columns)
        silent = (wait > horizon)[kept].astype(np.float64)
        self.rows.append(np.column_stack([columns[name][kept] for name in self.names]))
        self.silent.append(silent)
        self.account.append(observed.rhythm.account[kept].astype(np.int64))
        self.survival.append(observed.survival[kept])
        self.survival_later.append(observed.survival_later[kept])
        self.windows.append(Window(cutoff, horizon, len(silent), int(silent.sum())))


def fit(history: History, cutoff: int, *, horizon: int = HORIZON, seed: int = 0) -> RecoveryModel:
    """Learn from what is known at the end of day `cutoff`; later rows of `history` are not looked at. Deterministic
    for a seed.
    """
    known = history.until(cutoff)
    clock = clocks.find(known.day)
    accounts, pairs = collect(known, clock)
    categories = len(history.categories) if history.has_categories else 0
    market = survey(accounts, pairs, categories, cutoff, horizon)
    random = np.random.default_rng(seed)
    learnt, learnt_pairs = _sampled(accounts, pairs, random)
    of_accounts, of_pairs = Cases(), Cases()
    first = int(accounts.day.min()) if len(accounts) else cutoff
    for day, horizons in _windows(first, cutoff, horizon):
        _look_back(learnt, learnt_pairs, categories, day, horizons, horizon, of_accounts, of_pairs)
    return RecoveryModel(
        cutoff=cutoff,
        horizon=horizon,
        seed=seed,
        first_day=known.first_day,
        clock=clock,
        categories=tuple(history.categories) if categories else (),
        market=market,
        accounts=_learn(of_accounts, horizon, seed),
        pairs=_learn(of_pairs, horizon, seed),
    )


def _windows(first: int, cutoff: int, horizon: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """Past cut-offs, latest first, each with the horizons that have closed and are learnt from there."""
    shorter: dict[int, set[int]] = {}
    for part in SHORTER:
        ahead = round(horizon * part)
        for day in range(cutoff - ahead, cutoff - horizon, -STEP):
            shorter.setdefault(day, set()).add(ahead)
    whole = range(cutoff - horizon, cutoff - horizon - MOST_WINDOWS * STEP, -STEP)
    for day in sorted({*shorter, *whole}, reverse=True):
        if day - first >= FIRST_CUTOFF:
            yield day, tuple(sorted(shorter.get(day, set()) | ({horizon} if day in whole else set())))


def _look_back(
    accounts: Visits,
    pairs: Visits,
    categories: int,
    day: int,
    horizons: tuple[int, ...],
    whole: int,
    of_accounts: Cases,
    of_pairs: Cases,
) -> None:
    """Add the cases of one past cut-off, seen as they were to be seen then."""
    then, pairs_then = accounts.until(day), pairs.until(day)
    wait, pairs_wait = accounts.next_order(day), pairs.next_order(day)
    market = survey(then, pairs_then, categories, day, whole)
    some, some_pairs = JUDGED_ACCOUNTS.may_hold(then, day), JUDGED_PAIRS.may_hold(pairs_then, day)
    then, wait = then.of(some), wait[some]
    pairs_then, pairs_wait = pairs_then.of(some_pairs), pairs_wait[some_pairs]
    if not len(then):
        return
    for horizon in horizons:
        observed = observe_accounts(then, market, day, horizon)
        of_accounts.add(observed, wait, JUDGED_ACCOUNTS, day, horizon, whole)
        if len(pairs_then):
            beside = observe_pairs(pairs_then, then, observed, market, day, horizon)
            of_pairs.add(beside, pairs_wait, JUDGED_PAIRS, day, horizon, whole)


def _sampled(accounts: Visits, pairs: Visits, random: np.random.Generator) -> tuple[Visits, Visits]:
    """All accounts with their pairs, or as many at random as keep within the order days that windows are made of."""
    share = min(1.0, MOST_ORDER_DAYS / max(len(pairs.day), len(accounts.day), 1))
    if share == 1.0:
        return accounts, pairs
    chosen = random.random(len(accounts)) < share
    return accounts.of(chosen), pairs.of(chosen[np.searchsorted(accounts.account, pairs.account)])


def _learn(cases: Cases, whole: int, seed: int) -> Level:
    full = [i for i, window in enumerate(cases.windows) if window.horizon == whole]
    silent = sum(cases.windows[i].silent for i in full)
    staying = sum(cases.windows[i].rows for i in full) - silent
    gone = np.concatenate([np.empty(0), *(cases.silent[i] for i in full)])
    dropout = fit_dropout(
        np.concatenate([np.empty(0), *(cases.survival[i] for i in full)]),
        np.concatenate([np.empty(0), *(cases.survival_later[i] for i in full)]),
        gone,
    )
    windows = tuple(cases.windows)
    if min(silent, staying) < FEWEST:
        fallback = Fallback.TOO_FEW_CASES if full else Fallback.NO_CLOSED_WINDOW
        return Level(fallback, dropout, None, logistic.Recalibration(), 0.0, windows)
    return _learn_logistic(cases, full, dropout, seed)


def _learn_logistic(cases: Cases, full: list[int], dropout: float, seed: int) -> Level:
    random = np.random.default_rng(seed)
    rows, silent = np.vstack(cases.rows), np.concatenate(cases.silent)
    window = np.repeat(np.arange(len(cases.windows)), [w.rows for w in cases.windows])
    account = np.concatenate(cases.account)
    if len(rows) > MOST_ROWS:
        kept = np.sort(random.choice(len(rows), MOST_ROWS, replace=False))
        rows, silent, window, account = rows[kept], silent[kept], window[kept], account[kept]
    judged = np.isin(window, full)
    weights = np.ones(len(rows))
    scale = logistic.scaling(rows, weights)
    rows = scale.apply(rows)
    fold = random.permutation(int(account.max()) + 1)[account] % FOLDS
    penalty = _best_penalty(rows, silent, weights, account, fold, judged, random)
    latest = window == full[0]
    unseen = np.zeros(len(rows))
    for one in range(FOLDS):
        out = fold == one
        beta = logistic.fit(rows[~out], silent[~out], weights[~out], penalty)
        unseen[out] = rows[out] @ beta[:-1] + beta[-1]
    beta = logistic.fit(rows, silent, weights, penalty)
    recalibration = logistic.recalibrate(silent[latest], unseen[latest], HELD)
    model = logistic.named(cases.names, scale, beta)
    return Level(Fallback.NONE, dropout, model, recalibration, penalty, tuple(cases.windows))


def _best_penalty(
    rows: FloatArray,
    silent: FloatArray,
    weights: FloatArray,
    account: IndexArray,
    fold: IndexArray,
    judged: BoolArray,
    random: np.random.Generator,
) -> float:
    """The strongest penalty whose log-loss on accounts not learnt from is within one standard error of the least.

    Days to come differ from the past by more than accounts differ from accounts, which the least alone would not
    allow for (the one-standard-error rule: Breiman et al., "Classification and Regression Trees", 1984, section
    3.4.3).
    """
    if len(rows) > MOST_CHOICE_ROWS:
        kept = np.sort(random.choice(len(rows), MOST_CHOICE_ROWS, replace=False))
        rows, silent, weights, account = rows[kept], silent[kept], weights[kept], account[kept]
        fold, judged = fold[kept], judged[kept]
    losses = np.zeros((len(PENALTIES), int(judged.sum())))
    owner = account[judged]
    for one in range(FOLDS):
        out = fold == one
        asked = out & judged
        beta = None
        for i, penalty in enumerate(PENALTIES):
            beta = logistic.fit(rows[~out], silent[~out], weights[~out], penalty, beta)
            losses[i, out[judged]] = logistic.losses(silent[asked], rows[asked] @ beta[:-1] + beta[-1])
    means = losses.mean(axis=1)
    best = int(np.argmin(means))
    error = float(losses[best].std()) / np.sqrt(len(np.unique(owner)))
    return PENALTIES[int(np.flatnonzero(means <= means[best] + error)[0])]
