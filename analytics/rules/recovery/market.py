"""What all accounts together say by the end of a day: priors of cycles, and how each category fares. Kept in the
model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analytics.rules.history import NONE, FloatArray
from analytics.rules.recovery import alike
from analytics.rules.recovery.cycles import Prior, pool
from analytics.rules.recovery.goods import Goods
from analytics.rules.recovery.visits import Visits

SPAN = 45
"""Days. Of the pairs with an order in the span before the last one, the share that ordered again in the last is
`kept`.
"""
SMOOTHING = 20.0
"""Orders, or pairs, of the whole market's kind that are added to each category, so that rare ones say little."""
YEAR = 365
COLUMNS = ("trend", "trend_short", "season", "size", "repeat", "kept")


@dataclass(frozen=True, slots=True)
class Market:
    """`columns` has for each feature of a category its value by category code, and last that of an unknown category;
    `alike` the weights from category to category in the same order; `goods` is None where nothing is known of items.
    """

    account_prior: Prior
    pair_prior: Prior
    columns: dict[str, tuple[float, ...]]
    alike: tuple[tuple[float, ...], ...]
    goods: Goods | None

    def reordered(self, codes: Sequence[int]) -> Market:
        """For a history that has category `codes[i]` of this market under the code i, NONE where this market does not
        know it.
        """
        prior = self.pair_prior
        if prior.category_mean:
            means, variances = (*prior.category_mean, prior.mean), (*prior.category_variance, prior.variance)
            prior = Prior(
                prior.mean, prior.variance, tuple(means[c] for c in codes), tuple(variances[c] for c in codes)
            )
        columns = {name: (*(values[c] for c in codes), values[NONE]) for name, values in self.columns.items()}
        weights = np.array(self.alike)[np.ix_([*codes, NONE], [*codes, NONE])]
        return Market(self.account_prior, prior, columns, _rows(weights), self.goods)

    def of(self, name: str, category: np.ndarray) -> FloatArray:
        return np.asarray(np.array(self.columns[name])[category])


def survey(accounts: Visits, pairs: Visits, categories: int, goods: Goods | None, cutoff: int, horizon: int) -> Market:
    """The market by the end of day `cutoff`, of all accounts; everything in the visits is known by then."""
    prior = pool(accounts, 0)
    weights = _rows(alike.learn(pairs, categories, cutoff))
    if not len(pairs):
        none = dict.fromkeys(COLUMNS, (0.0,) * (categories + 1))
        return Market(prior, pool(pairs, categories), none, weights, goods)
    code = np.where(pairs.category == NONE, categories, pairs.category)
    owner = pairs.owner()
    code_of_day, age = code[owner], (cutoff - pairs.day)

    def orders(first: int, last: int) -> FloatArray:
        """Orders of each category and of all that are `first` days old or more, and less than `last`."""
        counts = np.bincount(code_of_day[(age >= first) & (age < last)], minlength=categories + 1)[:categories]
        return np.append(counts, counts.sum()).astype(np.float64)

    def trend(late: FloatArray, early: FloatArray) -> FloatArray:
        """Log of how much more a category grew than the whole did; 0 for the whole."""
        if not early[-1] or not late[-1]:
            return np.zeros(categories + 1)
        usual = late[-1] / early[-1]
        growth = np.log((late + SMOOTHING * usual) / ((early + SMOOTHING) * usual))
        growth[-1] = 0.0
        return np.asarray(growth)

    def rate(hit: FloatArray, of: FloatArray) -> FloatArray:
        """Log-odds of the share of a category's pairs for which `hit` is 1 among those for which `of` is."""
        hits = np.bincount(code, weights=hit * of, minlength=categories + 1)[:categories]
        all_of = np.bincount(code, weights=of, minlength=categories + 1)[:categories]
        whole = (hits.sum() + 0.5) / (all_of.sum() + 1)
        share = np.append((hits + SMOOTHING * whole) / (all_of + SMOOTHING), whole)
        return np.asarray(np.log(share / (1 - share)))

    last = pairs.most(pairs.day.astype(np.float64))
    counts = pairs.counts.astype(np.float64)
    earlier = pairs.sums(((age >= SPAN) & (age < 2 * SPAN)).astype(np.float64)) > 0
    whole = orders(0, cutoff + 1)
    size = np.log((whole + 1) / (whole[-1] + 1))
    size[-1] = np.median(size[:-1]) if categories else 0.0
    before = orders(YEAR, YEAR + horizon)
    ahead = orders(YEAR - horizon, YEAR)
    columns = {
        "trend": trend(orders(0, 90), orders(90, 180)),
        "trend_short": trend(orders(0, 30), orders(30, 120)),
        "season": trend(ahead, before),
        "size": size,
        "repeat": rate((counts >= 3).astype(np.float64), np.ones(len(counts))),
        "kept": rate((cutoff - last < SPAN).astype(np.float64), earlier.astype(np.float64)),
    }
    known = {name: tuple(values.tolist()) for name, values in columns.items()}
    return Market(prior, pool(pairs, categories), known, weights, goods)


def _rows(weights: FloatArray) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(row) for row in weights.tolist())
