"""Scores of a history, from learning to files: what `score_accounts` writes and `evaluate_insights` measures."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from analytics.rules import growth, protocol, recovery
from analytics.rules.growth import GrowthList, GrowthModel, GrowthScores
from analytics.rules.history import NONE, FloatArray, History, IntArray, Names
from analytics.rules.recovery import RecoveryModel, RecoveryScores, Scores, joined
from analytics.rules.recovery.model import Level

TOP = 20
CHURN, DEFECTION = "account_churn.csv", "category_defection.csv"
GROWTH_ITEMS, GROWTH_CATEGORIES = "growth_items.csv", "growth_categories.csv"
_CHANCE_DIGITS, _MONEY_DIGITS = 6, 2
OUTPUTS = (CHURN, DEFECTION, GROWTH_ITEMS, GROWTH_CATEGORIES)


@dataclass(frozen=True, slots=True)
class Insights:
    """Everything that is told of the accounts at the end of day `cutoff`."""

    cutoff: int
    recovery_model: RecoveryModel
    recovery: RecoveryScores
    growth_model: GrowthModel
    growth: GrowthScores


def insights(history: History, cutoff: int, *, horizon: int = protocol.HORIZON, seed: int = 0) -> Insights:
    """Learnt from what is known by `cutoff`, and scored at it."""
    past = history.until(cutoff)
    model = recovery.fit(past, cutoff, horizon=horizon, seed=seed)
    scores = recovery.score(model, past, cutoff)
    of_growth = growth.fit(past, cutoff, horizon=horizon, seed=seed)
    stays = growth.chance_of_ordering(scores.accounts.account, scores.accounts.p, len(past.accounts))
    grown = growth.score(of_growth, past, cutoff, top=TOP, orders=stays)
    return Insights(cutoff, model, scores, of_growth, grown)


def write(found: Insights, history: History, out: Path) -> dict[str, int]:
    """The files that the data allows, and the rows of each; those of an earlier run that it does not allow are removed.

    Rows are in the order of the accounts' names. Chances and scores have six digits, money two.
    """
    frames = {CHURN: _silence(found.recovery.accounts, history, by_category=False)}
    if history.has_categories:
        frames[DEFECTION] = _silence(found.recovery.pairs, history, by_category=True)
    if found.growth.items is not None:
        frames[GROWTH_ITEMS] = _growth(found.growth.items, "item", history.items, history, found.growth)
    if found.growth.categories is not None:
        frames[GROWTH_CATEGORIES] = _growth(
            found.growth.categories, "category", history.categories, history, found.growth
        )
    for name in OUTPUTS:
        if name in frames:
            frames[name].write_csv(out / name)
        else:
            (out / name).unlink(missing_ok=True)
    return {name: len(frame) for name, frame in frames.items()}


def left_out(history: History, written: Collection[str]) -> dict[str, str]:
    """Why there is no such file; stable codes."""
    lacking = {}
    for name in OUTPUTS:
        if name not in written:
            by_item = name == GROWTH_ITEMS
            has = history.has_items if by_item else history.has_categories
            lacking[name] = "no_purchases" if has else "no_items" if by_item else "no_categories"
    return lacking


def learnt_from(found: Insights, history: History) -> dict[str, Any]:
    """The windows that each model was trained on, by their first days foretold, and the fallbacks in force."""

    def windows(level: Level) -> list[dict[str, Any]]:
        return [
            {
                "cutoff": str(history.date_of(window.cutoff + 1)),
                "horizon": window.horizon,
                "cases": window.rows,
                "silent": window.silent,
            }
            for window in level.windows
        ]

    model, grown = found.recovery_model, found.growth_model
    levels = {"account_churn": model.accounts}
    if history.has_categories:
        levels["category_defection"] = model.pairs
    return {
        name: {"windows": windows(level), "fallback": level.fallback.value or None} for name, level in levels.items()
    } | {
        f"growth_{name}": {
            "windows": [str(history.date_of(day + 1)) for day in ranker.windows],
            "fallback": ranker.fallback.value or None,
            "looked_back_at": {"suggestions": ranker.curve.suggestions, "bought": ranker.curve.bought},
        }
        for name, ranker in (("items", grown.items), ("categories", grown.categories))
        if ranker
    }


def _silence(scores: Scores, history: History, *, by_category: bool) -> pl.DataFrame:
    columns = {
        "account": _named(scores.account, history.accounts),
        "p": _chance(scores.p),
        "expected_amount": _rounded(scores.expected_amount, _MONEY_DIGITS),
    }
    if by_category:
        columns |= {
            "category": _named(scores.category, history.categories),
            "survival": _rounded(scores.survival, _CHANCE_DIGITS),
        }
    columns["reasons"] = pl.Series(joined(scores.reasons), dtype=pl.String)
    order = ("account", "category", "p", "expected_amount", "survival", "reasons")
    return pl.DataFrame({name: columns[name] for name in order if name in columns})


def _growth(ranked: GrowthList, kind: str, names: Names, history: History, scores: GrowthScores) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "account": _named(ranked.account, history.accounts),
            kind: _named(ranked.code, names),
            "rank": pl.Series(ranked.rank, dtype=pl.Int32),
            "score": _rounded(ranked.score, _CHANCE_DIGITS),
            "expected_amount": _rounded(ranked.expected_amount, _MONEY_DIGITS),
            "evidence": _evidence(ranked, names, scores),
        }
    )


def _evidence(ranked: GrowthList, names: Names, scores: GrowthScores) -> pl.Series:
    """JSON: profile and size, share of its best customers who buy this, the purchase that speaks for it, quantity."""
    sizes = [profile.size for profile in scores.profiles]
    told = []
    for profile, share, because, quantity in zip(
        ranked.profile.tolist(), ranked.share.tolist(), ranked.because.tolist(), ranked.quantity.tolist(), strict=True
    ):
        facts: dict[str, Any] = {}
        if profile != NONE:
            facts = {"profile": profile, "best_customers": sizes[profile], "share": round(share, 3)}
        if because != NONE:
            facts["because"] = names[because]
        if quantity == quantity:  # NaN where none is suggested
            facts["quantity"] = round(quantity, 2)
        told.append(json.dumps(facts, ensure_ascii=False, separators=(",", ":")))
    return pl.Series(told, dtype=pl.String)


def _named(codes: IntArray, names: Names) -> pl.Series:
    return pl.Series(names, dtype=pl.String).gather(pl.Series(codes))


def _chance(p: FloatArray) -> pl.Series:
    """Rounded, and never quite 0 or 1: nothing is certain, and whoever takes its logarithm is right to."""
    least = 10.0**-_CHANCE_DIGITS
    return _rounded(np.clip(p, least, 1 - least), _CHANCE_DIGITS)


def _rounded(values: FloatArray, digits: int) -> pl.Series:
    return pl.Series(np.round(values, digits), dtype=pl.Float64)
