"""How a lot's auction goes, in the words of its live page."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from marketplace.shared.errors import Sentence
from marketplace.web import formats
from procurement.rules.auction.base import AuctionKind, ExtendFrom, Reference
from procurement.rules.auction.log import Hall
from procurement.rules.auction.lot_rules import LotRules
from procurement.rules.ranking import Direction
from procurement.services import words


def how_it_goes(hall: Hall, zone: ZoneInfo) -> str:
    """Whom a bid has to beat and by how much, what a press of the button does, when it ends, in that time zone."""
    soft_close = hall.room.terms.soft_close
    stop = soft_close.hard_stop_at if soft_close else None
    told = _by_kind(hall.rules, hall.currency, stop and stop.astimezone(zone))
    if hall.room.terms.formulas:
        told.append(_("What is compared is what a price counts as, not the price alone."))
    return " ".join(map(str, told))


def _by_kind(rules: LotRules, currency: str, stop: datetime | None) -> list[Sentence]:
    match rules.kind:
        case AuctionKind.DUTCH:
            return [_("The first to accept wins the lot at the price of that moment, at once and bindingly.")]
        case AuctionKind.JAPANESE:
            return [
                _("Each bidder confirms every price before the next one comes, or is out for good."),
                _("The last one in wins, at the last price it confirmed; of several, the first to confirm it."),
            ]
        case AuctionKind.TURN_BASED:
            turn = formats.duration(rules.timetable.turn)
            return [
                _("Three rounds. In each, every bidder has a turn of %(turn)s, the worst price first.")
                % {"turn": turn},
                _step(rules, currency),
                _("A bid can be changed and taken back until the turn ends; then everybody sees it."),
            ]
        case _kind:
            return [_step(rules, currency), *_soft_close(rules, stop)]


def clock_moves(hall: Hall) -> Sentence:
    """Where the price of a clock begins, by how much it moves and how often, and where it stops; "" without a clock."""
    clock = hall.rules.clock
    if clock is None:
        return ""
    start, tick, last = (words.price(one, hall.currency) for one in (clock.start, clock.tick, clock.last))
    said = {"start": start, "tick": tick, "last": last, "span": formats.duration(clock.interval)}
    told = (
        _("From %(start)s up to %(last)s by %(tick)s at a time; each price stands for %(span)s") % said
        if clock.start < clock.last
        else _("From %(start)s down to %(last)s by %(tick)s at a time; each price stands for %(span)s") % said
    )
    return _("%(course)s, as it counts") % {"course": told} if hall.room.terms.formulas else told


def _step(rules: LotRules, currency: str) -> Sentence:
    said = {"step": words.price(rules.step, currency)}
    up = rules.direction is Direction.UP
    if rules.kind is not AuctionKind.TURN_BASED and rules.reference is Reference.LEADER:
        return (
            _("A bid is above the best one by the step of %(step)s at least.") % said
            if up
            else _("A bid is below the best one by the step of %(step)s at least.") % said
        )
    return (
        _("A bid is above the bidder’s own price by the step of %(step)s at least.") % said
        if up
        else _("A bid is below the bidder’s own price by the step of %(step)s at least.") % said
    )


def _soft_close(rules: LotRules, stop: datetime | None) -> list[str]:
    if not rules.soft_close_window or not rules.soft_close_extend or rules.max_extensions == 0:
        return []
    window, extend = rules.soft_close_window, rules.soft_close_extend
    if rules.soft_close_from is ExtendFrom.RECEIPT:
        # The end never comes earlier: a bid moves it where it leaves less time than it gives.
        said = {"window": formats.duration(min(window, extend)), "extend": formats.duration(extend)}
        told = [_("A bid with %(window)s or less to go moves the end: it is then %(extend)s after the bid.") % said]
    else:
        said = {"window": formats.duration(window), "extend": formats.duration(extend)}
        told = [_("A bid with %(window)s or less to go moves the end by %(extend)s.") % said]
    if rules.max_extensions is not None:
        most = ngettext("That happens once at most.", "That happens %(n)s times at most.", rules.max_extensions)
        told.append(most % {"n": rules.max_extensions})
    if stop is not None:
        # What gives an auction time back moves this with the end.
        said = {"moment": formats.moment_text(stop, seconds=True), "zone": formats.zone_label(stop)}
        told.append(_("The end never moves past %(moment)s (%(zone)s), unless the auction is paused.") % said)
    return told
