"""The axes of which every procedure is a point."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from procurement.rules.ranking import Direction


class Family(StrEnum):
    AUCTION = "auction"
    TENDER = "tender"
    REQUEST_FOR_PROPOSALS = "request_for_proposals"
    REQUEST_FOR_QUOTATIONS = "request_for_quotations"
    COMPETITIVE_NEGOTIATION = "competitive_negotiation"


class Access(StrEnum):
    OPEN = "open"
    INVITED = "invited"
    PREQUALIFIED_POOL = "prequalified_pool"


class PriceFormat(StrEnum):
    """What a bidder fills in: a price for each item of the lot, or one for the lot."""

    UNIT_PRICES = "unit_prices"
    LOT_TOTAL = "lot_total"


class Rebidding(StrEnum):
    NONE = "none"
    SEALED = "sealed"
    LIVE = "live"


class Award(StrEnum):
    PER_LOT = "per_lot"
    PER_ITEM = "per_item"
    FRAMEWORK = "framework"


class Negotiation(StrEnum):
    NONE = "none"
    TECHNICAL_ONLY = "technical_only"
    PARALLEL_ROUNDS = "parallel_rounds"
    SEQUENTIAL = "sequential"
    AFTER_OPENING = "after_opening"


@dataclass(frozen=True, slots=True)
class Axes:
    """`stages` and `envelopes` are 1 or 2; `direction` is down when buying, up when selling."""

    access: Access = Access.OPEN
    stages: int = 1
    prequalification: bool = False
    envelopes: int = 1
    price_format: PriceFormat = PriceFormat.UNIT_PRICES
    direction: Direction = Direction.DOWN
    rebidding: Rebidding = Rebidding.NONE
    award: Award = Award.PER_LOT
    negotiation: Negotiation = Negotiation.NONE
    binding: bool = True
