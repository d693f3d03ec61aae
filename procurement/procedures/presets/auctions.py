"""Auctions: seven kinds. What a lot itself must say (limit price, step, the ends of a clock) is with the kind."""

from __future__ import annotations

from procurement.procedures.axes import Axes, Family, Rebidding
from procurement.procedures.presets.common import (
    ABNORMALLY_LOW,
    DAY_KIND,
    LIMIT_PRICE_ALWAYS_SHOWN,
    LIMIT_PRICE_SHOWN,
    choice,
    days,
    flag,
    whole,
)
from procurement.procedures.settings import Procedure, Setting
from procurement.rules.auction.base import AuctionKind
from procurement.rules.ranking import Direction
from procurement.rules.words import gettext_noop

_PERIODS = (
    DAY_KIND,
    days("enquiry_period_days", gettext_noop("Questions are taken for"), 3, 1, 60),
    days("tender_period_days", gettext_noop("First bids are taken for"), 5, 2, 90),
    days("minimum_remainder_days", gettext_noop("After an amendment bids are taken for at least"), 2, 1, 30),
    days("standstill_days", gettext_noop("Standstill after the award"), 2, 0, 30),
    whole("minimum_bids", gettext_noop("Bids needed for a lot"), 1, 1, 10),
)
_START_DELAY = whole(
    "auction_start_delay_minutes", gettext_noop("The auction starts after opening by"), 60, 1, 10_080, unit="minutes"
)
_PARTICIPANTS = whole("minimum_participants", gettext_noop("Bidders needed for an auction"), 2, 2, 2)
_ENGLISH = (
    _START_DELAY,
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
    flag("proxy_bids", gettext_noop("Bidders may leave a limit as far as which the system bids for them"), False),
    _PARTICIPANTS,
)
#: What a clock or a turn shows nobody: a rank there is none of, before the auction is over.
_PRICE_SHOWN = choice("shown", gettext_noop("Bidders see"), "price", "price")


def _clock(default: int) -> Setting:
    return whole("clock_interval_seconds", gettext_noop("The price moves every"), default, 5, 3600, unit="seconds")


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
    settings=(*_PERIODS, LIMIT_PRICE_SHOWN, *ABNORMALLY_LOW, *_ENGLISH),
)
ENGLISH_FORWARD = Procedure(
    code="auction_english_forward",
    version=1,
    family=Family.AUCTION,
    name=gettext_noop("English forward auction (sale)"),
    summary=gettext_noop(
        "You sell: a sealed first bid admits a buyer; after opening the admitted ones outbid each other live, step by "
        "step, until nobody does so within the closing minutes."
    ),
    axes=Axes(direction=Direction.UP, rebidding=Rebidding.LIVE),
    auction=AuctionKind.ENGLISH,
    settings=(*_PERIODS, LIMIT_PRICE_SHOWN, *_ENGLISH),
)
DUTCH = Procedure(
    code="auction_dutch",
    version=1,
    family=Family.AUCTION,
    name=gettext_noop("Dutch clock auction"),
    summary=gettext_noop(
        "The price begins low and rises by a tick at every interval, up to the limit price; the first admitted "
        "supplier to accept it wins the lot at that price. Over in minutes, and nobody sees another’s price."
    ),
    axes=Axes(rebidding=Rebidding.LIVE),
    auction=AuctionKind.DUTCH,
    settings=(*_PERIODS, LIMIT_PRICE_ALWAYS_SHOWN, _START_DELAY, _clock(60), _PRICE_SHOWN, _PARTICIPANTS),
)
JAPANESE = Procedure(
    code="auction_japanese",
    version=1,
    family=Family.AUCTION,
    name=gettext_noop("Japanese clock auction"),
    summary=gettext_noop(
        "The price begins at your limit and falls by a tick at every interval; each supplier confirms every price or "
        "is out for good. The last one in wins, at the last price it confirmed."
    ),
    axes=Axes(rebidding=Rebidding.LIVE),
    auction=AuctionKind.JAPANESE,
    settings=(*_PERIODS, LIMIT_PRICE_ALWAYS_SHOWN, _START_DELAY, _clock(60), _PRICE_SHOWN, _PARTICIPANTS),
)
SEALED_FIRST_PRICE = Procedure(
    code="auction_sealed_first_price",
    version=1,
    family=Family.AUCTION,
    name=gettext_noop("Sealed first-price auction"),
    summary=gettext_noop(
        "Every supplier sends one sealed bid, its best; after opening the best bid wins at its own price. "
        "No live bidding."
    ),
    axes=Axes(),
    auction=AuctionKind.SEALED_FIRST_PRICE,
    settings=(*_PERIODS, LIMIT_PRICE_SHOWN, *ABNORMALLY_LOW),
)
SEALED_SECOND_PRICE = Procedure(
    code="auction_sealed_second_price",
    version=1,
    family=Family.AUCTION,
    name=gettext_noop("Sealed second-price auction (Vickrey)"),
    summary=gettext_noop(
        "Every supplier sends one sealed bid; after opening the best bid wins, at the price of the second best. So it "
        "pays to bid what it is worth, and no more is gained by guessing at the others."
    ),
    axes=Axes(),
    auction=AuctionKind.SEALED_SECOND_PRICE,
    settings=(
        *_PERIODS,
        LIMIT_PRICE_SHOWN,
        *ABNORMALLY_LOW,
        choice("single_bid_price", gettext_noop("A single bid wins at"), "own", "own", "limit"),
    ),
)
TURN_BASED = Procedure(
    code="auction_turn_based",
    version=1,
    family=Family.AUCTION,
    name=gettext_noop("Auction in three rounds of turns"),
    summary=gettext_noop(
        "A sealed first bid admits a supplier; then there are three rounds. In each every bidder has a turn of its own "
        "in which it may improve its price, the worst first, and what it bid is published when the turn ends."
    ),
    axes=Axes(rebidding=Rebidding.LIVE),
    auction=AuctionKind.TURN_BASED,
    settings=(
        *_PERIODS,
        LIMIT_PRICE_SHOWN,
        *ABNORMALLY_LOW,
        _START_DELAY,
        whole("first_pause_seconds", gettext_noop("Pause before the first round"), 300, 10, 1800, unit="seconds"),
        whole("pause_seconds", gettext_noop("Pause before each later round"), 120, 10, 1800, unit="seconds"),
        whole("turn_seconds", gettext_noop("A bidder’s turn lasts"), 120, 10, 1800, unit="seconds"),
        whole(
            "announcement_seconds",
            gettext_noop("After the last turn the result is announced in"),
            120,
            10,
            1800,
            unit="seconds",
        ),
        choice("shown", gettext_noop("Bidders see"), "both", "both"),
        _PARTICIPANTS,
    ),
)

PRESETS = (
    ENGLISH_REVERSE,
    ENGLISH_FORWARD,
    DUTCH,
    JAPANESE,
    SEALED_FIRST_PRICE,
    SEALED_SECOND_PRICE,
    TURN_BASED,
)
