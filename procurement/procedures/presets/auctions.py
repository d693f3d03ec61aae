"""Auctions."""

from __future__ import annotations

from procurement.procedures.axes import Axes, Family, Rebidding
from procurement.procedures.presets.common import ABNORMALLY_LOW, DAY_KIND, LIMIT_PRICE_SHOWN, choice, days, whole
from procurement.procedures.settings import Procedure
from procurement.rules.auction.base import AuctionKind
from procurement.rules.words import gettext_noop

ENGLISH_REVERSE = Procedure(
    code="auction_english_reverse",
    version=1,
    family=Family.AUCTION,
    name=gettext_noop("English reverse auction"),
    summary=gettext_noop(
        "A sealed first bid admits a supplier; after opening the admitted ones underbid each other live, step by step, "
        "until nobody does so within the closing minutes."
    ),
    axes=Axes(rebidding=Rebidding.LIVE),
    auction=AuctionKind.ENGLISH,
    settings=(
        DAY_KIND,
        days("enquiry_period_days", gettext_noop("Questions are taken for"), 3, 1, 60),
        days("tender_period_days", gettext_noop("First bids are taken for"), 5, 2, 90),
        days("minimum_remainder_days", gettext_noop("After an amendment bids are taken for at least"), 2, 1, 30),
        days("standstill_days", gettext_noop("Standstill after the award"), 2, 0, 30),
        whole("minimum_bids", gettext_noop("Bids needed for a lot"), 1, 1, 10),
        LIMIT_PRICE_SHOWN,
        *ABNORMALLY_LOW,
        whole(
            "auction_start_delay_minutes",
            gettext_noop("The auction starts after opening by"),
            60,
            1,
            10_080,
            unit="minutes",
        ),
        whole("auction_duration_minutes", gettext_noop("The auction lasts"), 30, 2, 480, unit="minutes"),
        choice("reference", gettext_noop("A bid must beat"), "leader", "leader", "own"),
        choice("shown", gettext_noop("Bidders see"), "both", "price", "rank", "both"),
        whole(
            "soft_close_window_seconds",
            gettext_noop("A bid extends the auction when received in the last"),
            180,
            10,
            900,
            unit="seconds",
        ),
        whole("soft_close_extend_seconds", gettext_noop("It extends the auction by"), 180, 10, 900, unit="seconds"),
        choice("soft_close_from", gettext_noop("The extension counts from"), "receipt", "receipt", "end"),
        whole(
            "max_extensions",
            gettext_noop("Extensions at most"),
            None,
            0,
            1000,
            empty_means=gettext_noop("as many as bids ask for"),
        ),
        whole(
            "hard_stop_minutes",
            gettext_noop("The auction ends at the latest after"),
            None,
            2,
            2880,
            unit="minutes",
            empty_means=gettext_noop("never forced"),
        ),
        whole("minimum_participants", gettext_noop("Bidders needed for an auction"), 2, 2, 2),
    ),
)

PRESETS = (ENGLISH_REVERSE,)
