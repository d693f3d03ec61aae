"""Profiles of the best customers: groups of large accounts that spend their money alike, to explain what another one
misses.

The best fifth by the spend of the last year is grouped by its mix, the square roots of the shares that categories
(or, without categories, the items with the most money) have in it: so the largest category does not drown the others
(Hellinger distance). K-means with k-means++ starts drawn from the seed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from analytics.rules.growth.ledger import Float32Array, Pairs
from analytics.rules.growth.money import YEAR, Purchases
from analytics.rules.history import NONE, FloatArray, IntArray

BEST_SHARE = 0.2
LEAST_BEST = 10
MOST_BEST = 5_000
PROFILE_SIZE = 40
"""About so many best customers to a profile."""
MOST_PROFILES = 12
LEAST_SIZE = 20
"""Smaller profiles join their neighbours: a share of a handful persuades nobody."""
ROUNDS = 50
MIX_ITEMS = 300
"""Items whose shares make the mix where there are no categories."""
TOP = 3


@dataclass(frozen=True, slots=True)
class Profiles:
    """`centre` is profiles × columns of the mix; `column` gives the column of each code, NONE without."""

    centre: FloatArray
    column: IntArray
    size: IntArray  # best customers in each
    top: IntArray  # profiles × TOP: codes with the largest share of its money, NONE where there are fewer
    members: IntArray  # best accounts, sorted
    profile: IntArray  # of each member

    def __len__(self) -> int:
        return len(self.size)

    def nearest(self, mix: sparse.csr_matrix) -> IntArray:
        """The profile of each row; the first of equals. A row without a mix gets the least pronounced profile."""
        distance = (self.centre**2).sum(axis=1)[None, :] - 2 * (mix @ self.centre.T)
        return np.asarray(np.argmin(distance, axis=1), dtype=np.int32)

    def shares(self, pairs: Pairs) -> Float32Array:
        """Profiles × things: which share of a profile's best customers bought the thing in the last year."""
        place = np.full(pairs.accounts, NONE, dtype=np.int32)
        place[self.members] = self.profile
        owner = place[pairs.account]
        kept = owner != NONE
        counts = np.bincount(
            owner[kept].astype(np.int64) * pairs.things + pairs.thing[kept], minlength=len(self) * pairs.things
        )
        return (counts.reshape(len(self), pairs.things) / np.maximum(self.size, 1)[:, None]).astype(np.float32)


def mix_of(purchases: Purchases, column: IntArray, columns: int, accounts: int, cutoff: int) -> sparse.csr_matrix:
    """Accounts × columns: square roots of shares of the last year's money. `column` places the things."""
    place = column[purchases.thing]
    kept = (place != NONE) & (purchases.day > cutoff - YEAR) & (purchases.day <= cutoff)
    account = purchases.account[kept]
    money = sparse.csr_matrix((purchases.amount[kept], (account, place[kept])), shape=(accounts, columns))
    money.sum_duplicates()
    total = np.asarray(money.sum(axis=1)).ravel()
    rows = np.repeat(np.arange(accounts), np.diff(money.indptr))
    return sparse.csr_matrix((np.sqrt(money.data / total[rows]), money.indices, money.indptr), shape=money.shape)


def columns_of(purchases: Purchases, codes: int, *, most: int | None) -> IntArray:
    """A column for every code bought, or for the `most` with the most money."""
    money = np.bincount(purchases.thing, weights=purchases.amount, minlength=codes)
    ranked = np.argsort(-money, kind="stable")[:most]
    chosen = np.sort(ranked[money[ranked] > 0])
    column = np.full(codes, NONE, dtype=np.int32)
    column[chosen] = np.arange(len(chosen), dtype=np.int32)
    return column


def learn(
    purchases: Purchases, column: IntArray, spend: FloatArray, eligible: IntArray, cutoff: int, seed: int
) -> Profiles:
    """`spend` by account ranks the best; the lower code first of equals."""
    columns = int(column.max(initial=NONE)) + 1
    wanted = min(max(int(len(eligible) * BEST_SHARE), LEAST_BEST), MOST_BEST)
    best = np.sort(eligible[np.argsort(-spend[eligible], kind="stable")[:wanted]])
    mix = mix_of(purchases, column, columns, len(spend), cutoff)[best].toarray()
    count = min(max(len(best) // PROFILE_SIZE, 1), MOST_PROFILES) if len(best) and columns else 0
    centre, profile = _k_means(mix, count, np.random.default_rng(seed))
    code = np.flatnonzero(column != NONE).astype(np.int32)
    top = np.full((len(centre), TOP), NONE, dtype=np.int32)
    for number, weights in enumerate(centre):
        strongest = np.argsort(-weights, kind="stable")[:TOP]
        strongest = strongest[weights[strongest] > 0]
        top[number, : len(strongest)] = code[strongest]
    size = np.bincount(profile, minlength=len(centre)).astype(np.int32)
    return Profiles(centre, column, size, top, best.astype(np.int32), profile)


def _k_means(points: FloatArray, count: int, random: np.random.Generator) -> tuple[FloatArray, IntArray]:
    """Centres and the nearest one of each point; fewer than `count` where points coincide or a group stays small."""
    if not count:
        return np.zeros((0, points.shape[1])), np.empty(0, dtype=np.int32)
    centre = points[[random.integers(len(points))]]
    distance = _distances(points, centre)[:, 0]
    while len(centre) < count and distance.max() > 1e-9:
        drawn = random.choice(len(points), p=distance / distance.sum())
        centre = np.vstack([centre, points[drawn]])
        distance = np.minimum(distance, _distances(points, points[[drawn]])[:, 0])
    nearest = np.argmin(_distances(points, centre), axis=1)
    for _round in range(ROUNDS):
        kept, nearest = np.unique(nearest, return_inverse=True)
        centre = np.stack([points[nearest == number].mean(axis=0) for number in range(len(kept))])
        again = np.argmin(_distances(points, centre), axis=1)
        if np.array_equal(again, nearest):
            break
        nearest = again
    while len(centre) > 1 and (sizes := np.bincount(nearest, minlength=len(centre))).min() < LEAST_SIZE:
        centre = np.delete(centre, np.argmin(sizes), axis=0)
        nearest = np.argmin(_distances(points, centre), axis=1)
    return centre, nearest.astype(np.int32)


def _distances(points: FloatArray, centre: FloatArray) -> NDArray[np.float64]:
    squares = (points**2).sum(axis=1)[:, None] + (centre**2).sum(axis=1)[None, :] - 2 * points @ centre.T
    return np.asarray(np.maximum(squares, 0))
