"""Learning the recovery model from past windows of the data at hand: nothing is tuned on anything else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import special

from analytics.rules import clock as clocks
from analytics.rules import metrics
from analytics.rules.history import FloatArray, History
from analytics.rules.one_thread import one_thread
from analytics.rules.protocol import HORIZON
from analytics.rules.recovery import cycles, goods, logistic
from analytics.rules.recovery.cases import Cases, Past, Seen, look, windows
from analytics.rules.recovery.market import survey
from analytics.rules.recovery.model import Fallback, Level, RecoveryModel
from analytics.rules.recovery.visits import IndexArray, Visits, collect

MOST_ORDER_DAYS = 2_000_000
"""Order days of pairs, or of accounts, that windows are made of; beyond, of a random sample of accounts."""
FEWEST = 20
"""Cases that fell silent, and that did not, below which nothing is learnt but the dropout."""
MOST_CHOICE_ROWS = 30_000
PENALTIES = (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
FOLDS = 4
TOLD_APART = (0.75, 0.9)
"""AUC of the closed-form cycle on closed windows up to which it has no say of its own, and from which on all of it."""
CYCLE_CASES = 100.0
"""Silent cases of the whole horizon at which all of its say is half of the log-odds."""
LENT = 300.0
"""Silent cases of the whole horizon beyond which shorter horizons count ever less: they stand in where these are few.
"""
HORIZON_SCALE = 4.0
"""Times the log of the part of the horizon makes a column about as wide as the others."""
ANCHOR = 100.0
"""Silent cases of the whole horizon that the closed-form cycle counts as, where both say how many will fall silent."""
HELD = (40.0, 40.0)
"""How strongly the recalibration is held to "no change", in the units of `logistic.recalibrate`."""


@one_thread()
def fit(history: History, cutoff: int, *, horizon: int = HORIZON, seed: int = 0) -> RecoveryModel:
    """Learn from what is known at the end of day `cutoff`; later rows of `history` are not looked at. Deterministic for
    a seed.
    """
    known = history.until(cutoff)
    clock = clocks.find(known.day)
    accounts, pairs = collect(known, clock)
    categories = len(history.categories) if history.has_categories else 0
    sold = goods.collect_sold(known, clock)
    market = survey(accounts, pairs, categories, sold.goods(cutoff) if sold else None, cutoff, horizon)
    random = np.random.default_rng(seed)
    accounts, pairs = _sampled(accounts, pairs, random)
    past = Past(accounts, pairs, goods.collect_lines(known, clock), sold, categories)
    of_accounts, of_pairs = Cases(), Cases()
    first = int(accounts.day.min()) if len(accounts) else cutoff
    for day, horizons in windows(first, cutoff, horizon):
        seen, wait, seen_pairs, pairs_wait = look(past, day, horizon, random)
        of_accounts.add(seen, wait, day, horizons)
        of_pairs.add(seen_pairs, pairs_wait, day, horizons)
    now, _, pairs_now, _ = look(past, cutoff, horizon, random)
    items: tuple[str, ...] = ()
    if sold is not None and market.goods is not None:
        codes, most_sold = market.goods.most_sold(sold.lines())
        items, market = tuple(known.items[code] for code in codes), replace(market, goods=most_sold)
    return RecoveryModel(
        cutoff=cutoff,
        horizon=horizon,
        seed=seed,
        first_day=known.first_day,
        clock=clock,
        categories=tuple(history.categories) if categories else (),
        items=items,
        market=market,
        accounts=_learn(of_accounts, now, horizon, seed),
        pairs=_learn(of_pairs, pairs_now, horizon, seed),
    )


def _sampled(accounts: Visits, pairs: Visits, random: np.random.Generator) -> tuple[Visits, Visits]:
    """All accounts with their pairs, or as many at random as keep within the order days that windows are made of."""
    share = min(1.0, MOST_ORDER_DAYS / max(len(pairs.day), len(accounts.day), 1))
    if share == 1.0:
        return accounts, pairs
    chosen = random.random(len(accounts)) < share
    return accounts.of(chosen), pairs.of(chosen[np.searchsorted(accounts.account, pairs.account)])


def _learn(cases: Cases, now: Seen, whole: int, seed: int) -> Level:
    full = [i for i, window in enumerate(cases.windows) if window.horizon == whole]
    silent, survival, later = (
        np.concatenate([np.empty(0), *(column[i][cases.judged[i]] for i in full)])
        for column in (cases.silent, cases.survival, cases.survival_later)
    )
    dropout = cycles.fit_dropout(survival, later, silent)
    if min(silent.sum(), (1 - silent).sum()) < FEWEST:
        fallback = Fallback.TOO_FEW_CASES if full else Fallback.NO_CLOSED_WINDOW
        return Level(fallback, dropout, (), 1.0, logistic.Recalibration(), tuple(cases.windows))
    return _learn_logistic(cases, now, whole, dropout, seed)


def _learn_logistic(cases: Cases, now: Seen, whole: int, dropout: float, seed: int) -> Level:
    """Two models are averaged: one of the columns as they are, one of the columns relative to the others of their day.

    The first knows what a silence of 60 days is; the second is not led astray by counts and sums that grow because the
    history does, or by a lull or a rush of everybody.
    """
    random = np.random.default_rng(seed)
    silent, account = np.concatenate(cases.silent), np.concatenate(cases.account)
    counts = [window.rows for window in cases.windows]
    ahead = np.repeat([np.log(window.horizon / whole) for window in cases.windows], counts)
    day = np.repeat([window.cutoff for window in cases.windows], counts)
    judged = np.concatenate(cases.judged) & (ahead == 0)
    some = np.arange(len(silent))
    if len(some) > MOST_CHOICE_ROWS:
        some = np.sort(random.choice(len(silent), MOST_CHOICE_ROWS, replace=False))
    lent = min(1.0, LENT / max(float(silent[judged].sum()), 1.0))
    weights = np.where(ahead == 0, 1.0, lent)
    fold = (random.permutation(int(account.max()) + 1) % FOLDS)[account[some]]
    models, unseen = [], np.zeros(len(some))
    for rows, scale in ((np.vstack(cases.rows), None), (np.vstack(cases.relative), now.scaling)):
        own = logistic.scaling(rows)
        rows = np.column_stack([own.apply(rows), HORIZON_SCALE * ahead])
        log_odds = _unseen(rows[some], silent[some], weights[some], fold)
        best = int(np.argmin(logistic.losses(silent[some], log_odds)[:, judged[some]].mean(axis=1)))
        beta = logistic.fit(rows, silent, weights, PENALTIES[best])
        unseen += log_odds[best] / 2
        models.append(logistic.named(cases.names, own if scale is None else own.after(scale), beta, PENALTIES[best]))
    last = judged[some]
    cycle = cycles.log_odds(np.concatenate(cases.survival), np.concatenate(cases.survival_later), dropout)
    share = _share(silent[judged], cycle[judged])
    mixed = (1 - share) * unseen[last] + share * cycle[some][last]
    recalibration = _recalibration(silent[some][last], mixed, day[some][last], whole)
    level = Level(Fallback.NONE, dropout, tuple(models), share, recalibration, tuple(cases.windows))
    return _anchored(level, now, ANCHOR / (ANCHOR + float(silent[judged].sum())))


def _share(silent: FloatArray, cycle: FloatArray) -> float:
    """How much the closed-form cycle has to say beside what was learnt: much where it alone told apart who would fall
    silent in the closed windows, and these have few cases for columns by the dozen to be learnt from.
    """
    low, high = TOLD_APART
    told = (metrics.auc(silent > 0, cycle) - low) / (high - low)
    return min(max(told, 0.0), 1.0) * CYCLE_CASES / (CYCLE_CASES + float(silent.sum()))


def _anchored(level: Level, now: Seen, share: float) -> Level:
    """The same order, but as many as will fall silent moved by `share` towards what the closed-form cycle expects.

    How many fall silent differs from window to window. Where few closed windows are known, theirs say little of the
    next; the cycle goes by the rhythms of the day itself and has one number to learn.
    """
    if not now.judged.any():
        return level
    columns = dict(zip(now.names, now.rows[now.judged].T, strict=True))
    survival, later = now.survival[now.judged], now.survival_later[now.judged]
    log_odds = level.log_odds(columns, survival, later)
    cycle = cycles.silent(survival, later, level.dropout)
    mean = (1 - share) * float(special.expit(log_odds).mean()) + share * float(cycle.mean())
    moved = level.recalibration.shift + logistic.shift_to(log_odds, mean)
    return replace(level, recalibration=replace(level.recalibration, shift=moved))


def _recalibration(silent: FloatArray, log_odds: FloatArray, day: IndexArray, whole: int) -> logistic.Recalibration:
    """That of the latest closed window, if past windows were foretold better by that of the one closed before them."""
    gain, past = 0.0, np.unique(day)
    for then in past[np.isin(past - whole, past)]:
        before, later = day == then - whole, day == then
        learnt = logistic.recalibrate(silent[before], log_odds[before], HELD)
        gain += float(logistic.losses(silent[later], log_odds[later]).sum())
        gain -= float(logistic.losses(silent[later], learnt.apply(log_odds[later])).sum())
    if gain <= 0:
        return logistic.Recalibration()
    latest = day == past[-1]
    return logistic.recalibrate(silent[latest], log_odds[latest], HELD)


def _unseen(rows: FloatArray, silent: FloatArray, weights: FloatArray, fold: IndexArray) -> FloatArray:
    """Log-odds by penalty (first axis) of each row, learnt from the accounts of the other folds."""
    log_odds = np.zeros((len(PENALTIES), len(rows)))
    for one in range(FOLDS):
        out = fold == one
        beta = None
        for i, penalty in enumerate(PENALTIES):
            beta = logistic.fit(rows[~out], silent[~out], weights[~out], penalty, beta)
            log_odds[i, out] = rows[out] @ beta[:-1] + beta[-1]
    return log_odds
