"""A made-up shop whose accounts buy in two tastes, for tests that need something to learn from."""

from __future__ import annotations

from datetime import date

import numpy as np

from analytics.rules.history import History, collapse

FIRST_DAY = date(2023, 1, 1)
ITEMS_PER_CATEGORY = 6
CATEGORIES = 10


def shop(
    accounts: int = 240, days: int = 330, *, seed: int = 7, items: bool = True, categories: bool = True
) -> History:
    """Accounts order about each fortnight, nine tenths of it from the half of the categories that is their taste."""
    random = np.random.default_rng(seed)
    taste = np.arange(accounts) % 2
    size = np.exp(random.normal(0, 0.7, accounts))
    account, item, day = [], [], []
    for code in range(accounts):
        for when in np.flatnonzero(random.random(days) < 1 / 14):
            lines = 1 + random.poisson(1.5)
            own = random.random(lines) < 0.9
            category = random.integers(0, CATEGORIES // 2, lines) * 2 + np.where(own, taste[code], 1 - taste[code])
            account += [code] * lines
            day += [int(when)] * lines
            item += list(category * ITEMS_PER_CATEGORY + random.integers(0, ITEMS_PER_CATEGORY, lines))
    accounts_of, items_of = np.array(account, dtype=np.int32), np.array(item, dtype=np.int32)
    quantity = 6.0 * np.maximum(np.round(size[accounts_of] * np.exp(random.normal(0, 0.3, len(items_of)))), 1)
    kinds = CATEGORIES * ITEMS_PER_CATEGORY
    return collapse(
        account=accounts_of,
        day=np.array(day, dtype=np.int32),
        quantity=quantity,
        amount=quantity * (1 + items_of % 5),
        accounts=tuple(f"A{code:04}" for code in range(accounts)),
        first_day=FIRST_DAY,
        item=items_of if items else None,
        category=(items_of // ITEMS_PER_CATEGORY).astype(np.int32) if categories else None,
        items=tuple(f"I{code:03}" for code in range(kinds)) if items else (),
        categories=tuple(f"C{code}" for code in range(CATEGORIES)) if categories else (),
    )
