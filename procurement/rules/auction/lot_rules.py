"""What a lot's auction is fixed to when it is scheduled, as it is kept in JSON: amounts are decimal strings there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from procurement.rules.auction.base import AuctionKind, ExtendFrom, Reference, SoftClose, Terms
from procurement.rules.auction.timetable import THREE_ROUNDS, PriceClock, Timetable
from procurement.rules.auction.views import Shown
from procurement.rules.effective import EffectivePrice, half_up_to
from procurement.rules.ranking import Direction

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class LotRules:
    """The rules of one lot's auction. Parts that its kind has not are as if never set.

    `clock` is of the Dutch and the Japanese kind, `timetable` of the turn-based one.
    """

    direction: Direction
    minor_unit: Decimal
    step: Decimal
    reference: Reference
    shown: Shown
    soft_close_window: timedelta = timedelta()
    soft_close_extend: timedelta = timedelta()
    soft_close_from: ExtendFrom = ExtendFrom.RECEIPT
    max_extensions: int | None = 0
    kind: AuctionKind = AuctionKind.ENGLISH
    proxy_bids: bool = False
    clock: PriceClock | None = None
    timetable: Timetable = THREE_ROUNDS

    def as_json(self) -> dict[str, Any]:
        return {
            "kind": self.kind.value,
            "direction": self.direction.value,
            "minor_unit": str(self.minor_unit),
            "step": self.plain(self.step),
            "reference": self.reference.value,
            "shown": self.shown.value,
            "soft_close": {
                "window_s": self.soft_close_window // _SECOND,
                "extend_s": self.soft_close_extend // _SECOND,
                "from": self.soft_close_from.value,
                "max_extensions": self.max_extensions,
            },
            "proxy_bids": self.proxy_bids,
            "clock": self.clock and self._clock_json(self.clock),
            "timetable": {
                "pauses_s": [pause // _SECOND for pause in self.timetable.pauses],
                "turn_s": self.timetable.turn // _SECOND,
                "announcement_s": self.timetable.announcement // _SECOND,
            },
        }

    def plain(self, amount: Decimal) -> str:
        """The amount in whole minor units, as JSON carries it."""
        return f"{amount.quantize(self.minor_unit):f}"

    def shown_price(self, effective: Fraction) -> str:
        """An effective price for show, rounded half up to the minor unit."""
        return f"{half_up_to(effective, self.minor_unit):f}"

    def _clock_json(self, clock: PriceClock) -> dict[str, Any]:
        return {
            "start": self.plain(clock.start),
            "tick": self.plain(clock.tick),
            "interval_s": clock.interval // _SECOND,
            "last": self.plain(clock.last),
        }

    @classmethod
    def from_json(cls, rules: Mapping[str, Any]) -> LotRules:
        soft = rules["soft_close"]
        return cls(
            direction=Direction(rules["direction"]),
            minor_unit=Decimal(rules["minor_unit"]),
            step=Decimal(rules["step"]),
            reference=Reference(rules["reference"]),
            shown=Shown(rules["shown"]),
            soft_close_window=timedelta(seconds=soft["window_s"]),
            soft_close_extend=timedelta(seconds=soft["extend_s"]),
            soft_close_from=ExtendFrom(soft["from"]),
            max_extensions=soft["max_extensions"],
            kind=AuctionKind(rules["kind"]),
            proxy_bids=rules.get("proxy_bids", False),
            clock=_clock(rules.get("clock")),
            timetable=_timetable(rules.get("timetable")),
        )

    def terms(
        self,
        start_price: Decimal | None,
        hard_stop_at: datetime | None,
        formulas: Mapping[str, EffectivePrice] | None = None,
    ) -> Terms:
        """The terms by which moves are decided. A clock has its own prices, and needs no limit beside them."""
        soft_close = SoftClose(
            self.soft_close_window, self.soft_close_extend, self.soft_close_from, self.max_extensions, hard_stop_at
        )
        return Terms(
            self.direction,
            self.minor_unit,
            None if self.clock else start_price,
            self.step,
            Reference.OWN if self.kind is AuctionKind.TURN_BASED else self.reference,
            soft_close,
            dict(formulas or {}),
            kind=self.kind,
            clock=self.clock,
            timetable=self.timetable,
            proxy_bids=self.proxy_bids,
        )


def _clock(kept: Mapping[str, Any] | None) -> PriceClock | None:
    if kept is None:
        return None
    interval = timedelta(seconds=kept["interval_s"])
    return PriceClock(Decimal(kept["start"]), Decimal(kept["tick"]), interval, Decimal(kept["last"]))


def _timetable(kept: Mapping[str, Any] | None) -> Timetable:
    if kept is None:
        return THREE_ROUNDS
    pauses = tuple(timedelta(seconds=pause) for pause in kept["pauses_s"])
    return Timetable(pauses, timedelta(seconds=kept["turn_s"]), timedelta(seconds=kept["announcement_s"]))
