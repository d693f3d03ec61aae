"""The lists of what each account should buy and does not, with what speaks for it. A partition scores as it does in the
whole.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from analytics.rules.growth import money, presence, profiles, signals
from analytics.rules.growth.ease import Neighbours
from analytics.rules.growth.ledger import Activity, Calendar, Float32Array, ledger_of
from analytics.rules.growth.model import Fallback, GrowthModel, Ranker
from analytics.rules.history import NONE, BoolArray, FloatArray, History, IntArray, Names

TOP = 20


@dataclass(frozen=True, slots=True)
class GrowthList:
    """One row a suggestion, sorted by account and rank. Codes are those of the history that was scored.

    What is foretold is what cards are judged by (`analytics.services.card_outcomes`): that the account buys anything of
    the item, or of the category, in the days (cut-off, cut-off + horizon], in any quantity that is not taken back.
    """

    account: IntArray
    code: IntArray  # item or category
    rank: IntArray  # from 1
    score: FloatArray  # probability of a first purchase within the horizon, as such lists turned out in past windows
    expected_amount: FloatArray  # money within the horizon: the probability × what a first purchase brings this account
    quantity: FloatArray  # to suggest for the first order, in whole packs; NaN for categories
    pack: IntArray  # 1 without a clear one, 0 where not sold in whole units or a category
    profile: IntArray  # the nearest profile of best customers, NONE where there is none
    share: Float32Array  # of that profile's best customers who bought this in the last year
    because: IntArray  # code of the purchase that speaks most for it, NONE if none does

    def __len__(self) -> int:
        return len(self.account)


@dataclass(frozen=True, slots=True)
class ProfileSummary:
    """A group of best customers: how many, and the codes (of categories; of items without any) it spends most on."""

    size: int
    top: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class GrowthScores:
    items: GrowthList | None  # None where the data has none
    categories: GrowthList | None
    profiles: tuple[ProfileSummary, ...]
    profiles_of_items: bool
    fallback: Fallback


def score(
    model: GrowthModel, history: History, cutoff: int, *, top: int = TOP, orders: FloatArray | None = None
) -> GrowthScores:
    """Of the accounts of `history` with two order days or more, the last at most 180 days before `cutoff`.

    The history must reach back as far as the one that was learnt from; it may hold fewer accounts. `orders` is, by
    account, the chance that it orders anything within the horizon, NaN where nobody knows: no suggestion is told to be
    likelier than that.
    """
    past = history.until(cutoff)
    past = replace(past, day=model.clock.running(past.day))
    days = past.account_days()
    activity = Calendar(days.account, days.day, len(past.accounts)).at(cutoff)
    accounts = activity.eligible()
    present = presence.chance(model.presence, activity, accounts)
    nearest = _nearest(model, past, cutoff)
    spend = money.spend_in_horizon(days, cutoff, model.horizon, len(past.accounts))
    most = np.fmin(orders, 1.0) if orders is not None else np.ones(len(past.accounts))
    lists = {
        of: _ranked(ranker, past, of, activity, accounts, present, most, nearest, spend, top) if ranker else None
        for of, ranker in (("items", model.items), ("categories", model.categories))
    }
    summaries = []
    if model.profiles:
        codes = codes_in(model.profile_names, past.items if model.profiles_of_items else past.categories)
        for size, names in zip(model.profiles.size, model.profiles.top, strict=True):
            known = codes[names[names != NONE]]
            summaries.append(ProfileSummary(int(size), tuple(int(code) for code in known if code != NONE)))
    return GrowthScores(lists["items"], lists["categories"], tuple(summaries), model.profiles_of_items, model.fallback)


def codes_in(names: Names, there: Names) -> IntArray:
    """The code of each name in another list of names; NONE where it is not there."""
    if names == there:
        return np.arange(len(names), dtype=np.int32)
    place = {name: code for code, name in enumerate(there)}
    return np.array([place.get(name, NONE) for name in names], dtype=np.int32)


def _nearest(model: GrowthModel, past: History, cutoff: int) -> IntArray:
    """The profile of every account; NONE without any."""
    if not model.profiles or not len(model.profiles):
        return np.full(len(past.accounts), NONE, dtype=np.int32)
    of, names = ("items", past.items) if model.profiles_of_items else ("categories", past.categories)
    bought = money.purchases_of(past, of=of, places=codes_in(names, model.profile_names))
    columns = model.profiles.centre.shape[1]
    return model.profiles.nearest(profiles.mix_of(bought, model.profiles.column, columns, len(past.accounts), cutoff))


def _ranked(
    ranker: Ranker,
    past: History,
    of: str,
    activity: Activity,
    accounts: IntArray,
    present: FloatArray,
    most: FloatArray,
    nearest: IntArray,
    spend: FloatArray,
    top: int,
) -> GrowthList:
    column, names = (past.item, past.items) if of == "items" else (past.category, past.categories)
    places = codes_in(names, ranker.names)
    pairs = ledger_of(past, column, places, len(ranker.names)).at(activity.cutoff)
    bought = money.purchases_of(past, of=of, places=places)
    size = money.sizes(bought, bought.amount, ranker.money.typical, len(past.accounts))
    parts = []
    for block in signals.candidates(ranker.snapshot, pairs, activity, accounts):
        place, thing, chance = _best_of(ranker, block, present[block.accounts], top)
        because = _because(ranker.snapshot.neighbours, block.bought, place, thing)
        parts.append((accounts[block.accounts][place], thing, chance, because))
    empty = (np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0), np.empty(0, np.int32))
    account, thing, chance, because = (np.concatenate(part) for part in zip(empty, *parts, strict=True))
    chance = np.minimum(chance, most[account])
    amount = np.minimum(ranker.money.foretell(thing, size[account]), spend[account])
    quantity, pack = np.full(len(thing), np.nan), np.zeros(len(thing), dtype=np.int32)
    if ranker.quantity:
        pack = ranker.packs[thing]
        larger = money.sizes(bought, bought.quantity, ranker.quantity.typical, len(past.accounts))
        quantity = money.in_packs(ranker.quantity.foretell(thing, larger[account]), pack)
    codes = np.append(codes_in(ranker.names, names), np.int32(NONE))  # the last one is where NONE itself leads
    profile = nearest[account]
    share = ranker.shares[profile, thing] if len(ranker.shares) else np.zeros(len(thing), dtype=np.float32)
    begins = np.searchsorted(account, account)
    return GrowthList(
        account=account,
        code=codes[thing],
        rank=(np.arange(len(account)) - begins + 1).astype(np.int32),
        score=chance,
        expected_amount=chance * amount,
        quantity=quantity,
        pack=pack,
        profile=profile,
        share=share,
        because=codes[because],
    )


def _best_of(
    ranker: Ranker, block: signals.Candidates, present: FloatArray, top: int
) -> tuple[NDArray[np.int64], IntArray, FloatArray]:
    """Place in the block, thing and probability of the first `top` of each account; the lower thing first of equals."""
    given = ranker.weights.probability(block.signals) if ranker.weights else ranker.base[block.thing]
    chance = np.where(block.real, given, -1.0)
    order = np.argsort(-chance, axis=1, kind="stable")[:, :top]
    chance, thing = np.take_along_axis(chance, order, 1), np.take_along_axis(block.thing, order, 1)
    kept = chance > 0
    place = np.nonzero(kept)[0]
    return place, thing[kept], ranker.curve.apply(chance[kept], present[place])


def _because(neighbours: Neighbours, bought: BoolArray, place: NDArray[np.int64], thing: IntArray) -> IntArray:
    """The thing bought whose weight towards each suggestion is largest; NONE if no weight is above zero."""
    if not neighbours.things.shape[1]:
        return np.full(len(thing), NONE, dtype=np.int32)
    near = neighbours.things[thing]
    weight = np.where(bought[place[:, None], near], neighbours.weights[thing], 0)
    strongest = np.argmax(weight, axis=1)[:, None]
    found = np.take_along_axis(near, strongest, 1)[:, 0]
    return np.where(np.take_along_axis(weight, strongest, 1)[:, 0] > 0, found, NONE).astype(np.int32)
