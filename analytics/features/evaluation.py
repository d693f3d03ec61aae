"""The protocol run on a history: the product beside its baselines at past cut-offs, as figures and as curves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from analytics.features import baselines
from analytics.features.insights import Insights, insights
from analytics.rules import cards, metrics, protocol, recovery, remarks
from analytics.rules.cards import Kind, Order
from analytics.rules.growth import GrowthList
from analytics.rules.history import BoolArray, FloatArray, History
from analytics.rules.metrics import CalibrationBin
from analytics.rules.protocol import Eligible
from analytics.rules.recovery import Scores

PRODUCT = "the product"
CLOSED_FORM = "closed-form cycle with dropout"
CONTROL, ORACLE = "expected spend alone (the control)", "nobody can do better"
CUTOFFS = 4
TOP = 500
LISTED = 10
"""Suggestions of an account whose chances are judged."""
CARD_RANK = 5
"""A card comes from an account's first so many."""
_CURVE_POINTS = 60

Figures = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Cutoff:
    """One cut-off: figures by level and name, and for the curves what was foretold and what came."""

    day: int
    figures: Mapping[str, Mapping[str, Figures]]  # level → name → metric → value
    foretold: Mapping[str, tuple[FloatArray, BoolArray]]  # level → p and lost
    gains: Mapping[str, Mapping[str, FloatArray]]  # level → name → share of the lost found, over shares of the list
    captures: Mapping[str, FloatArray]  # name → money caught by the first k, over `capture_steps`
    fallbacks: Mapping[str, str]
    suggested: Mapping[str, tuple[FloatArray, BoolArray]]  # lists and cards of growth → p and bought


@dataclass(frozen=True, slots=True)
class Evaluation:
    cutoffs: tuple[Cutoff, ...]
    horizon: int
    calibration: Mapping[str, tuple[CalibrationBin, ...]] = field(default_factory=dict)

    def names(self, level: str) -> list[str]:
        """Baselines first, in their order, the product last."""
        found = dict.fromkeys(name for cutoff in self.cutoffs for name in cutoff.figures.get(level, {}))
        return [name for name in found if name != PRODUCT] + [name for name in found if name == PRODUCT]

    def mean(self, level: str, name: str) -> dict[str, float]:
        """Means over the cut-offs at which the figure can be had."""
        rows = [cutoff.figures[level][name] for cutoff in self.cutoffs if name in cutoff.figures.get(level, {})]
        metric_names = dict.fromkeys(metric for row in rows for metric in row)
        return {metric: _mean([row.get(metric, np.nan) for row in rows]) for metric in metric_names}


LEVELS = ("account churn", "category defection", "growth, items", "growth, categories")
CARDS = {LEVELS[2]: "growth cards, items", LEVELS[3]: "growth cards, categories"}


def default_cutoffs(history: History, *, horizon: int = protocol.HORIZON) -> tuple[int, ...]:
    """Four, a month apart, the last one whose labels have just ended; fewer where no training window would be left.

    None is followed by a hole of the data: who bought in it nobody knows.
    """
    last = history.last_day - horizon
    earliest = protocol.FIRST_CUTOFF + horizon
    days = range(last, earliest - 1, -protocol.STEP) or ([last] if last >= protocol.MIN_TENURE else [])
    followed = followed_by_holes(history, days, horizon)
    return tuple(sorted([day for day in days if day not in followed][:CUTOFFS]))


def followed_by_holes(history: History, days: Iterable[int], horizon: int) -> list[int]:
    """The days of which some of those foretold from their end on lie in a hole of the data."""
    holes = remarks.holes(history.dates())
    return [
        day
        for day in days
        if any(history.day_of(hole.first) <= day + horizon and history.day_of(hole.last) > day for hole in holes)
    ]


def evaluate(
    history: History,
    cutoffs: Sequence[int],
    *,
    horizon: int = protocol.HORIZON,
    seed: int = 0,
    say: Callable[[str], object] = lambda _line: None,
) -> Evaluation:
    found = []
    for day in cutoffs:
        say(f"cut-off {history.date_of(day + 1)}: learning from what came before")
        found.append(_at(history, day, insights(history, day, horizon=horizon, seed=seed), horizon))
    calibration = {}
    for name in (*LEVELS, *CARDS.values()):
        told = [{**cutoff.foretold, **cutoff.suggested} for cutoff in found]
        pooled = [one[name] for one in told if name in one]
        if pooled:
            p, came = (np.concatenate(parts) for parts in zip(*pooled, strict=True))
            calibration[name] = metrics.calibration(came, p)
    return Evaluation(tuple(found), horizon, calibration)


def capture_steps() -> list[int]:
    return list(range(50, 2_001, 50))


def gain_shares() -> FloatArray:
    return np.linspace(0.0, 1.0, _CURVE_POINTS + 1)


def _at(history: History, day: int, found: Insights, horizon: int) -> Cutoff:
    figures: dict[str, dict[str, Figures]] = {}
    foretold: dict[str, tuple[FloatArray, BoolArray]] = {}
    gains: dict[str, dict[str, FloatArray]] = {}
    captures: dict[str, FloatArray] = {}
    suggested: dict[str, tuple[FloatArray, BoolArray]] = {}
    closed = recovery.score(_closed_form(found), history.until(day), day)
    accounts = protocol.eligible_accounts(history, day)
    if len(accounts):
        lost = protocol.churned(history, day, accounts, horizon=horizon)
        p = _of(found.recovery.accounts, accounts, history).p
        scores = baselines.of_accounts(history, day, accounts, horizon)
        scores |= {CLOSED_FORM: _of(closed.accounts, accounts, history).p, PRODUCT: p}
        figures[LEVELS[0]] = {name: _ranking(lost, score) for name, score in scores.items()}
        for name in (CLOSED_FORM, PRODUCT):
            figures[LEVELS[0]][name] = {
                **figures[LEVELS[0]][name],
                "ECE": metrics.calibration_error(lost, scores[name]),
            }
        foretold[LEVELS[0]] = p, lost
        gains[LEVELS[0]] = {name: _gains(lost, score) for name, score in scores.items()}
    pairs = protocol.eligible_pairs(history, day)
    if len(pairs):
        lost = protocol.defected(history, day, pairs, horizon=horizon)
        ours = _of(found.recovery.pairs, pairs, history)
        scores = baselines.of_pairs(history, day, pairs)
        scores |= {CLOSED_FORM: _of(closed.pairs, pairs, history).p, PRODUCT: ours.p}
        figures[LEVELS[1]] = {name: _pair_ranking(lost, score) for name, score in scores.items()}
        for name in (CLOSED_FORM, PRODUCT):
            figures[LEVELS[1]][name] = {
                **figures[LEVELS[1]][name],
                "ECE": metrics.calibration_error(lost, scores[name]),
            }
        foretold[LEVELS[1]] = ours.p, lost
        gains[LEVELS[1]] = {name: _gains(lost, score) for name, score in scores.items()}
        expected = protocol.spend_behind(history, day, pairs, horizon=horizon)
        by_money = {
            "revenue drop": scores["revenue drop, by money"],
            CONTROL: expected,
            "p × expected spend": ours.p * expected,
            "p × the money that the product expects": ours.p * ours.expected_amount,
            ORACLE: metrics.unbeaten(lost, expected),
        }
        figures["capture"] = {
            name: {f"capture@{TOP}": metrics.capture(TOP, lost, score, expected)} for name, score in by_money.items()
        }
        captures = {
            name: np.array([metrics.capture(k, lost, score, expected) for k in capture_steps()])
            for name, score in by_money.items()
        }
    for level, of, ranked in (
        (LEVELS[2], "items", found.growth.items),
        (LEVELS[3], "categories", found.growth.categories),
    ):
        if ranked is not None:
            figures[level] = _growth(history, day, of, ranked, horizon)
            came = Came.of(history, day, of, ranked, horizon)
            figures[level][PRODUCT] = {**figures[level][PRODUCT], **came.figures()}
            suggested |= {level: came.told(came.listed), CARDS[level]: came.told(came.cards)}
    suggested = {name: told for name, told in suggested.items() if len(told[0])}
    return Cutoff(day, figures, foretold, gains, captures, _fallbacks(found), suggested)


def _closed_form(found: Insights) -> recovery.RecoveryModel:
    """The same model without what it learnt of features: the rhythm and the dropout alone."""
    model = found.recovery_model
    return replace(model, accounts=replace(model.accounts, logistics=()), pairs=replace(model.pairs, logistics=()))


@dataclass(frozen=True, slots=True)
class _Ours:
    p: FloatArray
    expected_amount: FloatArray


def _of(scores: Scores, eligible: Eligible, history: History) -> _Ours:
    """The scores of the eligible. Raises LookupError if one has none: everybody of the protocol is scored."""
    keys = protocol.pair_keys(history, scores.account, scores.category)
    wanted = protocol.pair_keys(history, eligible.account, eligible.category)
    at = np.searchsorted(keys, wanted)
    if not len(keys) or not np.array_equal(keys[np.minimum(at, len(keys) - 1)], wanted):
        raise LookupError("an eligible account or category has no score")
    return _Ours(scores.p[at], scores.expected_amount[at])


def _ranking(lost: BoolArray, score: FloatArray) -> dict[str, float]:
    return {
        "AUC": metrics.auc(lost, score),
        "AP": metrics.average_precision(lost, score),
        "lift@10%": metrics.lift(lost, score),
        "P@100": metrics.precision_at(100, lost, score),
    }


def _pair_ranking(lost: BoolArray, score: FloatArray) -> dict[str, float]:
    return _ranking(lost, score) | {"P@500": metrics.precision_at(500, lost, score)}


def _gains(lost: BoolArray, score: FloatArray) -> FloatArray:
    """The share of the lost that stands in the first part of the list, for each share of the list."""
    found = np.concatenate([[0], np.cumsum(lost[np.argsort(-score, kind="stable")])])
    at = np.round(gain_shares() * len(lost)).astype(int)
    return found[at] / max(int(lost.sum()), 1)


def _growth(history: History, day: int, of: str, ranked: GrowthList, horizon: int) -> dict[str, Figures]:
    case = protocol.growth_case(history, day, of=of, horizon=horizon)
    lists = dict(baselines.of_growth(history, day, case, of=of, horizon=horizon))
    lists[PRODUCT] = ranked.account, ranked.code, ranked.rank
    found: dict[str, Figures] = {}
    for name, (account, code, rank) in lists.items():
        figures = metrics.growth_figures(case, account, code, rank)
        found[name] = {"recall@10": figures.recall, "NDCG@10": figures.ndcg, "hit@5": figures.hit}
    return found


@dataclass(frozen=True, slots=True)
class Came:
    """Suggestions, and what came of them: the money that each account spent on each within the horizon."""

    ranked: GrowthList
    money: FloatArray

    @classmethod
    def of(cls, history: History, day: int, of: str, ranked: GrowthList, horizon: int) -> Came:
        later = history.between(day, day + horizon)
        column, codes = (later.item, history.items) if of == "items" else (later.category, history.categories)
        keys, place = np.unique(later.account.astype(np.int64) * (len(codes) + 1) + column + 1, return_inverse=True)
        sums = np.append(np.bincount(place, weights=later.amount, minlength=len(keys)), 0.0)
        wanted = ranked.account.astype(np.int64) * (len(codes) + 1) + ranked.code + 1
        at = np.searchsorted(keys, wanted)
        return cls(ranked, np.where(np.append(keys, -1)[at] == wanted, sums[at], 0.0))

    @property
    def listed(self) -> BoolArray:
        return np.asarray(self.ranked.rank <= LISTED)

    @property
    def cards(self) -> BoolArray:
        """Those that would be cards: the best of each account by money, of which so many by money or by certainty."""
        p, expected = self.ranked.score, self.ranked.expected_amount
        fit = np.flatnonzero((self.ranked.rank <= CARD_RANK) & (p >= cards.LEAST_P[Kind.GROWTH]) & (expected > 0))
        by_account = fit[np.lexsort((-expected[fit], self.ranked.account[fit]))]
        best = by_account[np.unique(self.ranked.account[by_account], return_index=True)[1]]
        worth = {order: [cards.worth(order, p[row], expected[row] / p[row]) for row in best] for order in Order}
        chosen = np.zeros(len(p), dtype=bool)
        for values in worth.values():
            chosen[best[np.argsort(-np.array(values), kind="stable")[:TOP]]] = True
        return chosen

    def told(self, rows: BoolArray) -> tuple[FloatArray, BoolArray]:
        return self.ranked.score[rows], self.money[rows] > 0

    def figures(self) -> dict[str, float]:
        """The calibration errors of lists and cards, and the money expected of the lists over that which came."""
        (p, bought), (p_cards, bought_cards) = self.told(self.listed), self.told(self.cards)
        came = float(self.money[self.listed].sum())
        return {
            "ECE": metrics.calibration_error(bought, p),
            "ECE of cards": metrics.calibration_error(bought_cards, p_cards),
            "expected ÷ bought": float(self.ranked.expected_amount[self.listed].sum()) / came if came else float("nan"),
        }


def _fallbacks(found: Insights) -> dict[str, str]:
    named = {"recovery": found.recovery_model.fallback, "growth": found.growth_model.fallback.value}
    return {name: code for name, code in named.items() if code}


def _mean(values: list[float]) -> float:
    known = [value for value in values if not np.isnan(value)]
    return float(np.mean(known)) if known else float("nan")
