"""What growth has learnt: one value that can be stored as bytes and scores any partition of the accounts."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from analytics.rules.clock import STEADY, Clock
from analytics.rules.growth.calibration import Curve
from analytics.rules.growth.ease import Neighbours
from analytics.rules.growth.ledger import Float32Array
from analytics.rules.growth.money import Measure
from analytics.rules.growth.profiles import Profiles
from analytics.rules.growth.ranking import Weights
from analytics.rules.growth.signals import Snapshot
from analytics.rules.history import FloatArray, IntArray, Names

VERSION = 2
MAGIC = b"openlot growth\n"


class Fallback(StrEnum):
    """What is in force instead of the learnt ranking; the values are stored and shown, so they stay."""

    NONE = ""
    POPULARITY = "first_buy_popularity"  # too little has happened yet to learn from
    NOTHING = "no_items_or_categories"  # the data names neither: no lists at all


@dataclass(frozen=True, slots=True)
class Ranker:
    """For items or for categories. A "thing" is a place in `names`; beyond the bound only the most bought have one."""

    names: Names
    snapshot: Snapshot
    weights: Weights | None  # None: ranked by `base`
    base: FloatArray  # by thing: the chance of a first purchase within a horizon, as of late
    curve: Curve  # from a ranking's chance to what came of such chances
    windows: tuple[int, ...]  # cut-offs learnt from, latest first
    regularisation: float  # of EASE^R
    penalty: float  # of the ranking
    money: Measure
    quantity: Measure | None  # None for categories
    packs: IntArray  # by thing; empty for categories
    shares: Float32Array  # profiles × things

    @property
    def fallback(self) -> Fallback:
        return Fallback.NONE if self.weights else Fallback.POPULARITY


@dataclass(frozen=True, slots=True)
class GrowthModel:
    cutoff: int
    horizon: int
    seed: int
    items: Ranker | None
    categories: Ranker | None
    presence: Weights | None  # None: too little is known of who orders again
    profiles: Profiles | None
    profile_names: Names  # outside names of the codes in `profiles`: categories, or items where there are none
    profiles_of_items: bool
    clock: Clock = STEADY  # all days above are its own; models stored before there was one know of no holes

    @property
    def fallback(self) -> Fallback:
        """The weaker of both rankings."""
        rankers = [ranker for ranker in (self.items, self.categories) if ranker]
        if not rankers:
            return Fallback.NOTHING
        return max((ranker.fallback for ranker in rankers), key=lambda code: code != Fallback.NONE)

    def to_bytes(self) -> bytes:
        """Plain numbers and names, compressed; equal models give equal bytes."""
        arrays: list[np.ndarray[Any, Any]] = []
        head = json.dumps({"version": VERSION, "model": _plain(self, arrays)}, separators=(",", ":")).encode()
        body = b"".join([len(head).to_bytes(8, "little"), head, *(array.tobytes() for array in arrays)])
        return MAGIC + zlib.compress(body, 1)

    @classmethod
    def from_bytes(cls, stored: bytes) -> GrowthModel:
        """Raises ValueError if these are no such bytes, or of another version."""
        if not stored.startswith(MAGIC):
            raise ValueError("These bytes are no growth model")
        try:
            body = zlib.decompress(stored[len(MAGIC) :])
        except zlib.error as error:
            raise ValueError("The growth model is damaged") from error
        length = int.from_bytes(body[:8], "little")
        head = json.loads(body[8 : 8 + length])
        if head["version"] != VERSION:
            raise ValueError(f"Growth model of version {head['version']}, not {VERSION}")
        model = _restored(head["model"], memoryview(body)[8 + length :])
        assert isinstance(model, cls)
        return model


_KNOWN: dict[str, Callable[..., Any]] = {
    known.__name__: known
    for known in (GrowthModel, Ranker, Snapshot, Neighbours, Weights, Curve, Measure, Profiles, Clock)
}


def _plain(value: Any, arrays: list[np.ndarray[Any, Any]]) -> Any:
    if isinstance(value, np.ndarray):
        offset = sum(array.nbytes for array in arrays)
        arrays.append(np.ascontiguousarray(value))
        return {"array": value.dtype.str, "shape": value.shape, "offset": offset}
    if is_dataclass(value):
        return {"is": type(value).__name__} | {
            field.name: _plain(getattr(value, field.name), arrays) for field in fields(value)
        }
    return list(value) if isinstance(value, tuple) else value


def _restored(plain: Any, body: memoryview) -> Any:
    if isinstance(plain, list):
        return tuple(_restored(part, body) for part in plain)
    if not isinstance(plain, dict):
        return plain
    if "array" in plain:
        count = int(np.prod(plain["shape"]))
        values = np.frombuffer(body, dtype=plain["array"], count=count, offset=plain["offset"])
        return values.reshape(plain["shape"])
    kind = _KNOWN[plain.pop("is")]
    return kind(**{name: _restored(part, body) for name, part in plain.items()})
