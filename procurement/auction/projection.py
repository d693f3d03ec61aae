"""What the gateway tells: the room and its events as JSON, each viewer given no more than the lot shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final

from procurement.rules.auction import kinds
from procurement.rules.auction.log import HAPPENINGS, MOVES, Event, EventKind, Hall, is_confidential, iso
from procurement.rules.auction.views import BidderView, bidder_view, observer_view, shows_amount
from procurement.rules.effective import PRICE_ALONE
from procurement.rules.ranking import Standing

# What gives an auction time back tells until when it goes on.
_GO_ON_LATER: Final = frozenset({EventKind.RESUMED, EventKind.RETIMED})


def never(_number: int) -> bool:
    """Of an auction in which no event moves the end."""
    return False


def update(
    hall: Hall,
    events: Iterable[Event],
    viewer: str | None,
    now: datetime,
    moved_end: Callable[[int], bool] = never,
) -> dict[str, Any]:
    """The events the viewer has not seen yet, up to the last, and the state after them. `viewer` is a bidder, None an
    observer."""
    noticed = [event for event in events if not goes_unnoticed(hall, event, viewer)]
    after = hall.number_for(viewer) - len(noticed)
    return {"events": told(hall, noticed, viewer, after, moved_end), "state": state(hall, viewer, now)}


def told(
    hall: Hall, noticed: Iterable[Event], viewer: str | None, after: int, moved_end: Callable[[int], bool]
) -> list[dict[str, Any]]:
    """What the viewer is told of events that it may notice. It counts the one before them as `after`: numbers without
    gaps, which would tell of what it may not notice. `moved_end` is asked by the event's own number."""
    found = []
    for number, event in enumerate(noticed, after + 1):
        shown = shown_event(hall, event, viewer, number)
        if moved_end(event.number):
            shown = _with_end(shown, event, number)
        if shown is not None:
            found.append(shown)
    return found


def _with_end(shown: dict[str, Any] | None, event: Event, number: int) -> dict[str, Any]:
    """The event with the end as it moved it. That is everybody's to know, also where the bid is not: then it is told
    to the second, as the page shows times."""
    if shown is None:
        shown = {"number": number, "kind": "extended", "at": iso(event.at.replace(microsecond=0))}
    return {**shown, "ends_at": event.detail["ends_at"]}


def looks_alike(event: Event, viewer: str | None) -> bool:
    """Whether the viewer is told of the event what every other bidder is told whose own it is not."""
    return viewer is not None and event.kind in MOVES and event.bidder != viewer


def goes_unnoticed(hall: Hall, event: Event, viewer: str | None) -> bool:
    """Whether the viewer may not learn that there was such an event: another bidder's confidential move."""
    return viewer is not None and event.bidder != viewer and is_confidential(hall.rules, event)


def for_all(hall: Hall, now: datetime) -> dict[str, Any]:
    """What every viewer of the room sees alike."""
    room, rules = hall.room, hall.rules
    return {
        "kind": rules.kind.value,
        "status": room.status.value,
        "now": iso(now),
        "starts_at": iso(room.starts_at),
        "ends_at": iso(room.ends_at),
        "extensions": room.extensions,
        "currency": hall.currency,
        "direction": rules.direction.value,
        "step": rules.plain(rules.step),
        "reference": rules.reference.value,
        "shown": rules.shown.value,
        "bidders": len(room.bidders),
        "proxy_bids": rules.proxy_bids,
    }


def state(hall: Hall, viewer: str | None, now: datetime) -> dict[str, Any]:
    """The room as the viewer sees it; amounts are strings in the currency's minor unit, times UTC."""
    return {"number": hall.number_for(viewer), **for_all(hall, now), **for_viewer(hall, viewer, now)}


def for_viewer(hall: Hall, viewer: str | None, now: datetime) -> dict[str, Any]:
    """What the viewer sees of the room beside what is `for_all`."""
    own = _observed(hall) if viewer is None else _own(hall, viewer, now)
    return {"course": _course(hall, viewer, now), "clock": _clock(hall, viewer), **own}


def _course(hall: Hall, viewer: str | None, now: datetime) -> dict[str, Any] | None:
    """Which tick, pause or turn it is, for everybody; the price of a tick is effective."""
    course = kinds.course(hall.room, now)
    if course is None:
        return None
    return {
        "kind": course.kind.value,
        "number": course.number,
        "last": course.last,
        "until": None if course.until is None else iso(course.until),
        "price": None if course.price is None else hall.rules.shown_price(course.price),
        "label": None if course.bidder is None else hall.labels.get(course.bidder),
        "own": course.bidder is not None and course.bidder == viewer,
        "order": [hall.labels.get(bidder) for bidder in course.order],
    }


def _clock(hall: Hall, viewer: str | None) -> dict[str, Any] | None:
    """How the price of a clock moves on, for whom it is the same price: then the next one needs no message."""
    clock = hall.rules.clock
    if clock is None or (viewer is not None and hall.room.terms.formula(viewer) != PRICE_ALONE):
        return None
    interval = clock.interval // timedelta(seconds=1)
    return {"tick": hall.rules.plain(clock.tick), "interval_s": interval, "last": hall.rules.plain(clock.last)}


def _observed(hall: Hall) -> dict[str, Any]:
    rows = [
        {
            "rank": row.rank,
            "label": row.label,
            "amount": hall.rules.plain(row.amount),
            **_counts_as(hall, line.standing.bidder, row.amount),
            "at": iso(row.received_at),
        }
        for row, line in zip(observer_view(hall.room, dict(hall.labels)), hall.room.ranking, strict=True)
    ]
    start = hall.room.terms.limit
    return {
        "own": None,
        "best": _labelled(hall, hall.room.leader),
        "allowed": None,
        "ranking": rows,
        "start_price": _plain(hall, start),
    }


def _own(hall: Hall, viewer: str, now: datetime) -> dict[str, Any]:
    view = bidder_view(hall.room, viewer, hall.rules.shown, now)
    return {
        "own": {
            "label": hall.labels.get(viewer),
            "amount": _plain(hall, view.own_amount),
            **_counts_as(hall, viewer, view.own_amount),
            "rank": view.own_rank,
            "leading": view.leading,
            "made": _plain(hall, view.made),
            "limit": _plain(hall, view.limit),
        },
        "best": _labelled(hall, hall.room.leader) if view.best_amount is not None else None,
        "allowed": _plain(hall, view.allowed_amount),
        **_effect(hall, viewer, view),
        "actions": [action.value for action in view.actions],
        "until": None if view.until is None else iso(view.until),
        "refused": view.refused.value if view.refused else None,
    }


def _effect(hall: Hall, viewer: str, view: BidderView) -> dict[str, Any]:
    """Where more than the price counts: the viewer's own formula, and what the amount allowed counts as."""
    if not hall.room.terms.formulas:
        return {}
    formula, allowed = hall.room.terms.formula(viewer), view.allowed_amount
    return {
        "formula": {"factor": str(formula.factor), "addend": str(formula.addend)},
        "allowed_counts_as": None if allowed is None else hall.rules.shown_price(formula.of(allowed)),
    }


def _counts_as(hall: Hall, bidder: str, amount: Decimal | None) -> dict[str, str | None]:
    """What an amount of the bidder counts as; nothing where the price alone counts."""
    if not hall.room.terms.formulas:
        return {}
    effective = None if amount is None else hall.room.terms.formula(bidder).of(amount)
    return {"counts_as": None if effective is None else hall.rules.shown_price(effective)}


def shown_event(hall: Hall, event: Event, viewer: str | None, number: int) -> dict[str, Any] | None:
    """The event for the viewer, who counts it as `number`; None when it would tell what the lot does not show."""
    told = {"number": number, "kind": event.kind.value, "at": iso(event.at)}
    if event.kind is EventKind.SCHEDULED:
        return told | _first_prices(hall, event, viewer)
    if event.kind in MOVES:
        shown = _move(hall, event, viewer)
    elif event.kind in HAPPENINGS:
        shown = _happening(hall, event, viewer)
    elif event.kind is EventKind.LIMIT_DROPPED:
        shown = {"own": True} if event.bidder == viewer else None
    else:
        wanted = ("reason", "ends_at") if event.kind in _GO_ON_LATER else ("reason",)
        shown = {name: event.detail[name] for name in wanted if name in event.detail}
    return None if shown is None else told | shown


def _move(hall: Hall, event: Event, viewer: str | None) -> dict[str, Any] | None:
    """A move: to its own bidder always, to others what they may know at once. Nobody watches a limit, or a turn while
    it is made."""
    own, leads = event.bidder == viewer, bool(event.detail["leads"])
    if not own and not kinds.told_at_once(hall.rules.kind, MOVES[event.kind]):
        return None
    if viewer is not None and not shows_amount(own=own, leads=leads, shown=hall.rules.shown):
        return None
    told = {"own": own, "label": hall.labels.get(event.bidder or ""), "amount": _plain(hall, event.amount)}
    return {**told, **_counts_as(hall, event.bidder or "", event.amount), "leads": leads}


def _happening(hall: Hall, event: Event, viewer: str | None) -> dict[str, Any] | None:
    """What time brought about. Who left at a tick is told to who left and to observers."""
    detail = event.detail
    rows = [row for row in (_bid_made(hall, bid, viewer) for bid in detail["bids"]) if row is not None]
    if event.kind is EventKind.AUTOMATIC_BIDS and not rows:
        return None
    out = [hall.labels.get(bidder) for bidder in detail["out"] if viewer is None or bidder == viewer]
    return {
        "until": detail["until"],
        "course": detail["number"],
        "price": None if detail["price"] is None else _plain(hall, Decimal(detail["price"])),
        "label": None if event.bidder is None else hall.labels.get(event.bidder),
        "own": event.bidder is not None and event.bidder == viewer,
        "bids": rows,
        "out": out,
    }


def _bid_made(hall: Hall, bid: Mapping[str, Any], viewer: str | None) -> dict[str, Any] | None:
    own, leads = bid["bidder"] == viewer, bool(bid["leads"])
    if viewer is not None and not shows_amount(own=own, leads=leads, shown=hall.rules.shown):
        return None
    amount = Decimal(bid["amount"])
    told = {"own": own, "label": hall.labels.get(bid["bidder"]), "amount": _plain(hall, amount)}
    return {**told, **_counts_as(hall, bid["bidder"], amount), "leads": leads}


def _first_prices(hall: Hall, event: Event, viewer: str | None) -> dict[str, Any]:
    """Where the chart begins: the best of the first bids, the viewer's own, and for an observer all of them."""
    rows = event.detail["bidders"]
    first = {row["bidder"]: Decimal(row["amount"]) for row in rows if row["amount"] is not None}
    effects = {name: hall.room.terms.formula(name).of(amount) for name, amount in first.items()}
    pick = min if hall.rules.direction == "down" else max
    leader = pick(effects, key=lambda name: effects[name], default=None)
    if viewer is not None and not hall.rules.shown.price:
        leader = None
    prices = {
        "best": _plain(hall, first.get(leader or "")),
        "own": _plain(hall, first.get(viewer or "")),
        **_first_counts(hall, {"best": leader, "own": viewer}, effects),
    }
    if viewer is not None:
        return prices
    told = [{"label": hall.labels[name], "amount": hall.rules.plain(amount)} for name, amount in first.items()]
    return {**prices, "first": told}


def _first_counts(
    hall: Hall, whose: Mapping[str, str | None], effects: Mapping[str, Fraction]
) -> dict[str, str | None]:
    """What they count as, as `best_counts_as` and `own_counts_as`; nothing where the price alone counts."""
    if not hall.room.terms.formulas:
        return {}
    shown = {name: hall.rules.shown_price(effect) for name, effect in effects.items()}
    return {f"{place}_counts_as": shown.get(name or "") for place, name in whose.items()}


def _labelled(hall: Hall, standing: Standing | None) -> dict[str, Any] | None:
    if standing is None:
        return None
    counts = _counts_as(hall, standing.bidder, standing.amount)
    return {"label": hall.labels.get(standing.bidder), "amount": hall.rules.plain(standing.amount), **counts}


def _plain(hall: Hall, amount: Decimal | None) -> str | None:
    return None if amount is None else hall.rules.plain(amount)
