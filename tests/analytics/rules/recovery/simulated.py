"""Buyers whose behaviour is known, drawn from a seed: a grocer's households, a CD shop, a supplier's accounts."""

from datetime import date

import numpy as np

from analytics.rules.history import FloatArray, History, IntArray, collapse

FIRST_DAY = date(2022, 1, 1)
KINDS = ("regular", "leaver", "seasonal", "single", "one_off", "erratic")


def history(
    account: list[int] | IntArray,
    day: list[int] | IntArray,
    amount: list[float] | FloatArray | None = None,
    category: list[int] | IntArray | None = None,
    *,
    first_day: date = FIRST_DAY,
) -> History:
    """Lines as a history; the item of a line is its category, if it has one."""
    codes = np.asarray(account, dtype=np.int32)
    kinds = None if category is None else np.asarray(category, dtype=np.int32)
    names = () if kinds is None else tuple(f"category {code}" for code in range(int(kinds.max()) + 1))
    return collapse(
        account=codes,
        day=np.asarray(day, dtype=np.int32),
        quantity=np.ones(len(codes)),
        amount=np.full(len(codes), 10.0) if amount is None else np.asarray(amount, dtype=np.float64),
        accounts=tuple(f"account {code}" for code in range(int(codes.max()) + 1)),
        first_day=first_day,
        category=kinds,
        item=kinds,
        categories=names,
        items=tuple(f"item of {name}" for name in names),
    )


def households(seed: int = 0, *, accounts: int = 40, categories: int = 16, days: int = 400) -> History:
    """Weekly rhythms, hardly anybody leaves; interests in categories come and go."""
    random = np.random.default_rng(seed)
    lines: list[tuple[int, int, int]] = []
    for account in range(accounts):
        likes = random.beta(0.6, 2.0, categories)
        until = random.exponential(700, categories)
        for day in range(int(random.integers(0, 7)), days, 7):
            bought = random.random(categories) < np.where(day < until, likes, 0.0)
            lines += [(account, day + int(random.integers(0, 2)), int(code)) for code in np.flatnonzero(bought)]
    account, day, category = (np.array(column) for column in zip(*lines, strict=True))
    return history(account, day, np.exp(random.normal(1, 0.5, len(day))), category)


def cohort(seed: int = 0, *, accounts: int = 3000, days: int = 540) -> History:
    """Pareto/NBD: all join within twelve weeks, mostly one to three orders, no categories."""
    random = np.random.default_rng(seed)
    rate, death = random.gamma(0.55, 1 / 74, accounts), random.gamma(0.61, 1 / 82, accounts)
    join = random.integers(0, 84, accounts)
    life = join + random.exponential(1 / np.maximum(death, 1e-9))
    who, when, now = [np.arange(accounts)], [join], join.astype(np.float64)
    alive = np.ones(accounts, dtype=bool)
    while alive.any():
        now = now + random.exponential(1 / np.maximum(rate, 1e-9))
        alive &= (now < days) & (now < life)
        who.append(np.flatnonzero(alive))
        when.append(now[alive].astype(np.int64))
    account, day = np.concatenate(who), np.concatenate(when)
    return history(account, day, random.gamma(6.0, 5.0, len(day)))


def supplier(seed: int = 0, *, accounts: int = 300, days: int = 1095) -> tuple[History, list[str], list[int]]:
    """Three years of businesses of six kinds: the history, each one's kind, and the day the leavers left (else
    `days`).
    """
    random = np.random.default_rng(seed)
    kinds = [str(kind) for kind in random.choice(KINDS, accounts, p=(0.35, 0.15, 0.2, 0.05, 0.1, 0.15))]
    left = [int(random.integers(365, days)) if kind == "leaver" else days for kind in kinds]
    who: list[int] = []
    when: list[int] = []
    what: list[int] = []
    much: list[float] = []
    for account, kind in enumerate(kinds):
        value = float(np.exp(random.normal(5, 1)))
        categories = random.choice(8, 3, replace=False)
        for number, day in enumerate(_order_days(kind, min(days, left[account]), random)):
            bought = random.permutation(categories)[: int(random.integers(1, 4))]
            size = 100.0 if kind == "one_off" and number == 5 else 1.0
            for category in bought:
                who.append(account)
                when.append(day)
                what.append(int(category))
                much.append(size * value * float(np.exp(random.normal(0, 0.3))))
    return history(who, when, much, what), kinds, left


def _order_days(kind: str, until: int, random: np.random.Generator) -> list[int]:
    if kind == "seasonal":  # twelve weeks a year, every week or two
        start, days = int(random.integers(0, 365)), []
        for year in range(-1, 4):
            begin = start + 365 * year + random.normal(0, 5)
            days += list(begin + np.cumsum(random.uniform(5, 15, 8)))
    elif kind == "single":  # an order or two, and never again
        days = list(random.uniform(0, until - 60) + np.array([0, 20][: int(random.integers(1, 3))]))
    elif kind == "erratic":  # gaps from days to months
        days = list(random.uniform(0, 30) + np.cumsum(np.exp(random.normal(np.log(18), 1.2, 120))))
    else:  # one_off: regular, but for one order many times larger than all others
        gap = random.uniform(7, 30)
        days = list(random.uniform(0, 30) + np.cumsum(gap * np.exp(random.normal(0, 0.3, int(2 * until / gap)))))
    return sorted({int(day) for day in days if 0 <= day < until})
