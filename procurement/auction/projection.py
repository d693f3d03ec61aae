"""What the gateway tells: the room and its events as JSON, each viewer given no more than the lot shows it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any

from procurement.rules.auction.log import Event, EventKind, Hall, iso
from procurement.rules.auction.views import bidder_view, observer_view, shows_amount
from procurement.rules.ranking import Standing


def update(hall: Hall, events: Iterable[Event], viewer: str | None, now: datetime) -> dict[str, Any]:
    """The events the viewer has not seen yet, and the state after them. `viewer` is a bidder, None an observer."""
    shown = (_event(hall, event, viewer) for event in events)
    return {"events": [event for event in shown if event is not None], "state": state(hall, viewer, now)}


def state(hall: Hall, viewer: str | None, now: datetime) -> dict[str, Any]:
    """The room as the viewer sees it; amounts are strings in the currency's minor unit, times UTC."""
    room, rules = hall.room, hall.rules
    common = {
        "number": hall.number,
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
    }
    return common | (_observed(hall) if viewer is None else _own(hall, viewer))


def _observed(hall: Hall) -> dict[str, Any]:
    rows = [
        {"rank": row.rank, "label": row.label, "amount": hall.rules.plain(row.amount), "at": iso(row.received_at)}
        for row in observer_view(hall.room, dict(hall.labels))
    ]
    return {"own": None, "best": _labelled(hall, hall.room.leader), "allowed": None, "ranking": rows}


def _own(hall: Hall, viewer: str) -> dict[str, Any]:
    view = bidder_view(hall.room, viewer, hall.rules.shown)
    return {
        "own": {
            "label": hall.labels.get(viewer),
            "amount": _plain(hall, view.own_amount),
            "rank": view.own_rank,
            "leading": view.leading,
        },
        "best": _labelled(hall, hall.room.leader) if view.best_amount is not None else None,
        "allowed": _plain(hall, view.allowed_amount),
    }


def _event(hall: Hall, event: Event, viewer: str | None) -> dict[str, Any] | None:
    """The event for the viewer; None when it would tell what the lot does not show."""
    told = {"number": event.number, "kind": event.kind.value, "at": iso(event.at)}
    if event.kind is EventKind.SCHEDULED:
        return told | _first_prices(hall, event, viewer)
    if event.kind is not EventKind.BID or event.bidder is None:
        return told | ({"reason": event.detail["reason"]} if "reason" in event.detail else {})
    own, leads = event.bidder == viewer, bool(event.detail["leads"])
    if viewer is not None and not shows_amount(own=own, leads=leads, shown=hall.rules.shown):
        return None
    label, amount = hall.labels.get(event.bidder), _plain(hall, event.amount)
    return told | {"own": own, "label": label, "amount": amount, "leads": leads}


def _first_prices(hall: Hall, event: Event, viewer: str | None) -> dict[str, Any]:
    """Where the chart begins: the best of the first bids, the viewer's own, and for an observer all of them."""
    first = {row["bidder"]: Decimal(row["amount"]) for row in event.detail["bidders"]}
    best = min(first.values()) if hall.rules.direction == "down" else max(first.values())
    if viewer is not None:
        shown = hall.rules.shown.price
        return {"best": hall.rules.plain(best) if shown else None, "own": _plain(hall, first.get(viewer))}
    rows = [{"label": hall.labels[name], "amount": hall.rules.plain(amount)} for name, amount in first.items()]
    return {"best": hall.rules.plain(best), "own": None, "first": rows}


def _labelled(hall: Hall, standing: Standing | None) -> dict[str, Any] | None:
    if standing is None:
        return None
    return {"label": hall.labels.get(standing.bidder), "amount": hall.rules.plain(standing.amount)}


def _plain(hall: Hall, amount: Decimal | None) -> str | None:
    return None if amount is None else hall.rules.plain(amount)
