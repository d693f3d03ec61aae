"""Auctions."""

from __future__ import annotations

from procurement.procedures.axes import Axes, Family, Rebidding
from procurement.procedures.presets.common import ABNORMALLY_LOW, DAY_KIND, LIMIT_PRICE_SHOWN, choice, days, whole
from procurement.procedures.settings import Procedure
from procurement.rules.auction.base import AuctionKind

ENGLISH_REVERSE = Procedure(
    code="auction_english_reverse",
    version=1,
    family=Family.AUCTION,
    name="English reverse auction",
    summary=(
        "A sealed first bid admits a supplier; after opening the admitted ones underbid each other live, step by step, "
        "until nobody does so within the closing minutes."
    ),
    axes=Axes(rebidding=Rebidding.LIVE),
    auction=AuctionKind.ENGLISH,
    settings=(
        DAY_KIND,
        days("enquiry_period_days", "Questions are taken for", 3, 1, 60),
        days("tender_period_days", "First bids are taken for", 5, 2, 90),
        days("minimum_remainder_days", "After an amendment bids are taken for at least", 2, 1, 30),
        days("standstill_days", "Standstill after the award", 2, 0, 30),
        whole("minimum_bids", "Bids needed for a lot", 1, 1, 10),
        LIMIT_PRICE_SHOWN,
        *ABNORMALLY_LOW,
        whole("auction_start_delay_minutes", "The auction starts after opening by", 60, 1, 10_080, unit="minutes"),
        whole("auction_duration_minutes", "The auction lasts", 30, 2, 480, unit="minutes"),
        choice("reference", "A bid must beat", "leader", "leader", "own"),
        choice("shown", "Bidders see", "both", "price", "rank", "both"),
        whole(
            "soft_close_window_seconds",
            "A bid extends the auction when received in the last",
            180,
            10,
            900,
            unit="seconds",
        ),
        whole("soft_close_extend_seconds", "It extends the auction by", 180, 10, 900, unit="seconds"),
        choice("soft_close_from", "The extension counts from", "receipt", "receipt", "end"),
        whole("max_extensions", "Extensions at most", None, 0, 1000, empty_means="as many as bids ask for"),
        whole(
            "hard_stop_minutes",
            "The auction ends at the latest after",
            None,
            2,
            2880,
            unit="minutes",
            empty_means="never forced",
        ),
        whole("minimum_participants", "Bidders needed for an auction", 2, 2, 2),
    ),
)

PRESETS = (ENGLISH_REVERSE,)
