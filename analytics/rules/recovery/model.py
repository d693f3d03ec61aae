"""The fitted recovery model: everything that scoring a partition needs, as JSON."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from typing import Any

import numpy as np

from analytics.rules.clock import Clock
from analytics.rules.history import FloatArray
from analytics.rules.recovery import cycles
from analytics.rules.recovery.cycles import Prior
from analytics.rules.recovery.goods import Goods
from analytics.rules.recovery.logistic import Logistic, Recalibration
from analytics.rules.recovery.market import Market

VERSION = 3


class Fallback(StrEnum):
    """Why a level is scored by the closed-form cycle alone; NONE where the logistic model is in force."""

    NONE = ""
    NO_CLOSED_WINDOW = "no_closed_window"  # the data is too short for a window whose labels have ended
    TOO_FEW_CASES = "too_few_cases"  # closed windows have too few who left, or too few who stayed


@dataclass(frozen=True, slots=True)
class Window:
    """A past cut-off learnt from: its day, how many days ahead its labels look, its rows and how many of them fell
    silent.
    """

    cutoff: int
    horizon: int
    rows: int
    silent: int


@dataclass(frozen=True, slots=True)
class Level:
    """What was learnt for accounts, or for account × category."""

    fallback: Fallback
    dropout: float
    logistics: tuple[Logistic, ...]  # their log-odds are averaged
    cycle: float  # share that the closed-form cycle's log-odds have beside theirs, 0 to 1
    recalibration: Recalibration
    windows: tuple[Window, ...]

    def log_odds(self, columns: Mapping[str, FloatArray], survival: FloatArray, later: FloatArray) -> FloatArray:
        """Of no order within the horizon, by what was learnt; `survival` is S(r), `later` S(r + horizon)."""
        learnt = sum((one.log_odds(columns) for one in self.logistics), np.zeros(len(survival))) / len(self.logistics)
        cycle = cycles.log_odds(survival, later, self.dropout)
        return self.recalibration.apply((1 - self.cycle) * learnt + self.cycle * cycle)


@dataclass(frozen=True, slots=True)
class RecoveryModel:
    """Days are numbered from `first_day`. `categories` and `items` are the names behind the codes of the market's
    columns and goods: another history may number them differently.
    """

    cutoff: int
    horizon: int
    seed: int
    first_day: date
    clock: Clock
    categories: tuple[str, ...]
    items: tuple[str, ...]
    market: Market
    accounts: Level
    pairs: Level

    @property
    def fallback(self) -> str:
        """The fallbacks in force as `accounts:code;pairs:code`; empty if there are none. Data without categories has no
        pairs to fall back for.
        """
        levels = {"accounts": self.accounts} | ({"pairs": self.pairs} if self.categories else {})
        return ";".join(f"{name}:{level.fallback.value}" for name, level in levels.items() if level.fallback)

    def to_json(self) -> str:
        return json.dumps(
            asdict(self) | {"version": VERSION, "first_day": self.first_day.isoformat()},
            sort_keys=True,
            allow_nan=False,
        )

    @staticmethod
    def from_json(text: str) -> RecoveryModel:
        """Raises ValueError for a model of another version."""
        read: dict[str, Any] = json.loads(text)
        if read.pop("version", None) != VERSION:
            raise ValueError("a recovery model of another version")
        market = read.pop("market")
        return RecoveryModel(
            **{name: read[name] for name in ("cutoff", "horizon", "seed")},
            first_day=date.fromisoformat(read["first_day"]),
            clock=Clock(tuple((int(before), int(lost)) for before, lost in read["clock"]["holes"])),
            categories=tuple(read["categories"]),
            items=tuple(read["items"]),
            market=Market(
                _prior(market["account_prior"]),
                _prior(market["pair_prior"]),
                {name: tuple(values) for name, values in market["columns"].items()},
                tuple(tuple(row) for row in market["alike"]),
                Goods(**{name: tuple(of) for name, of in market["goods"].items()}) if market["goods"] else None,
            ),
            accounts=_level(read["accounts"]),
            pairs=_level(read["pairs"]),
        )


def _prior(read: dict[str, Any]) -> Prior:
    return Prior(read["mean"], read["variance"], tuple(read["category_mean"]), tuple(read["category_variance"]))


def _level(read: dict[str, Any]) -> Level:
    lists = ("names", "means", "scales", "weights")
    return Level(
        fallback=Fallback(read["fallback"]),
        dropout=read["dropout"],
        cycle=read["cycle"],
        logistics=tuple(Logistic(**(one | {name: tuple(one[name]) for name in lists})) for one in read["logistics"]),
        recalibration=Recalibration(**read["recalibration"]),
        windows=tuple(Window(**window) for window in read["windows"]),
    )
