"""An auction's log as a document that anybody can check without the platform: `auction.json`.

    python -m procurement.rules.auction.document auction.json

recomputes every hash, decides every bid again by the rules, and compares what comes out with what the document says.
docs/procedures/auction-protocol.md describes the format.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Final
from zoneinfo import ZoneInfo

from procurement.rules.auction import kinds
from procurement.rules.auction.log import GENESIS, Event, EventKind, Hall, LogBroken, iso, replay

FORMAT: Final = "openlot-auction-1"
_LARGEST_EXPONENT: Final = 60
# What the document adds to a bidder, once the lot is awarded.
_NAMES: Final = ("name", "identifiers")


class DocumentWrong(ValueError):
    """The document is not one, or says something else than its own log."""


def entries(auction: int, events: Iterable[tuple[Event, str]], zone: ZoneInfo) -> Iterator[dict[str, Any]]:
    """The events as the document has them: what is hashed, the recorded hash, and the time in the tender's zone."""
    previous = GENESIS
    for event, recorded in events:
        local = event.at.astimezone(zone).isoformat(timespec="microseconds")
        yield {"content": event.content(auction, previous), "hash": recorded, "local": local}
        previous = recorded


def result(hall: Hall, events: Iterable[Event]) -> dict[str, Any]:
    """What follows from the log: who wins at which price, the ranking, the extensions, the pauses with their reasons.

    Bidders by their labels; amounts in the currency's minor unit; times UTC.
    """
    room, plain = hall.room, hall.rules.plain
    found = kinds.outcome(room)
    return {
        "status": room.status.value,
        "currency": hall.currency,
        "started_at": iso(room.starts_at),
        "ended_at": iso(room.ends_at),
        "extensions": room.extensions,
        "pauses": list(_pauses(events)),
        "winner": None if found.winner is None else hall.labels[found.winner],
        "price": None if found.price is None else plain(found.price),
        "ranking": [
            {
                "rank": line.rank,
                "label": hall.labels[line.standing.bidder],
                "amount": plain(line.standing.amount),
                **({"counts_as": hall.rules.shown_price(line.standing.effective)} if room.terms.formulas else {}),
                "received_at": iso(line.standing.received_at),
            }
            for line in room.ranking
        ],
        "events": hall.number,
        "head": hall.head,
    }


def parsed(content: bytes) -> Any:
    """The JSON of a document. Raises ValueError or RecursionError for what is none, DocumentWrong where an object names
    a member twice: a reader might take the other one."""
    return json.loads(content, object_pairs_hook=_once_each)


def check(document: Any) -> tuple[Hall, dict[str, Any]]:
    """The room at the end of the document's log, and its result.

    Raises LogBroken where the log does not hold, DocumentWrong where the document says something else than its log, or
    is none.
    """
    _require_tame(document)
    try:
        if document["format"] != FORMAT:
            raise DocumentWrong("it is not of a format that is known here")
        auction = document["auction"]
        found = [(_event(entry["content"], auction), str(entry["hash"])) for entry in document["events"]]
        said, zone = document["result"], ZoneInfo(document["tender"]["time_zone"])
        bidders = [{part: value for part, value in row.items() if part not in _NAMES} for row in document["bidders"]]
        terms = document["terms"]
        locals_ = [entry["local"] for entry in document["events"]]
        contents = [entry["content"] for entry in document["events"]]
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError, OSError) as error:
        if isinstance(error, DocumentWrong):
            raise
        raise DocumentWrong(f"it is not an auction's document: {error}") from error
    hall = _replayed(auction, found)
    again = list(entries(auction, found, zone))
    for number, (entry, content, local) in enumerate(zip(again, contents, locals_, strict=True), start=1):
        if entry["content"] != content or entry["local"] != local:
            raise DocumentWrong(f"event {number}: the document adds to what is hashed, or tells another local time")
    came_out = result(hall, [event for event, _recorded in found])
    first = dict(found[0][0].detail)
    if first.pop("bidders") != bidders:
        raise DocumentWrong("the bidders are not those of the log")
    if first != terms:
        raise DocumentWrong("the terms are not those of the log")
    for name, value in came_out.items():
        if said.get(name) != value:
            raise DocumentWrong(f"{name}: the log gives {value}, the document says {said.get(name)}")
    return hall, came_out


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise DocumentWrong("it says two things under one name")
    return found


def _require_tame(document: Any) -> None:
    """No number in it is beyond all prices: an exact fraction of ten to the billion would never be done."""
    waiting = [document]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            waiting += one.values()
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str) and one[:1] in "+-.0123456789" and "e" in one.lower():
            with suppress(InvalidOperation):
                if abs(Decimal(one).adjusted()) > _LARGEST_EXPONENT:
                    raise DocumentWrong("an amount is no price of anything")


def _replayed(auction: int, found: list[tuple[Event, str]]) -> Hall:
    try:
        return replay(auction, found)
    except LogBroken:
        raise
    except (AttributeError, KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise DocumentWrong(f"an event is not one of an auction: {error}") from error


def _event(content: Mapping[str, Any], auction: int) -> Event:
    if content["auction"] != auction:
        raise DocumentWrong(f"event {content['number']} is of another auction")
    amount = content["amount"]
    return Event(
        number=content["number"],
        kind=EventKind(content["kind"]),
        at=datetime.fromisoformat(content["at"]),
        bidder=content["bidder"],
        amount=None if amount is None else Decimal(amount),
        key=content["key"],
        person=content["person"],
        detail=content["detail"],
    )


def _pauses(events: Iterable[Event]) -> Iterator[dict[str, Any]]:
    """Each pause with the time given back after it; None for one that never ended."""
    pause: Event | None = None
    for event in events:
        if event.kind is EventKind.PAUSED:
            pause = event
        elif pause is not None and event.kind in (EventKind.RESUMED, EventKind.CANCELLED):
            resumed = event.kind is EventKind.RESUMED
            yield {
                "paused_at": iso(pause.at),
                "resumed_at": iso(event.at) if resumed else None,
                "given_back_s": event.detail["outage_s"] if resumed else None,
                "reason": pause.detail["reason"],
                "by_the_platform_itself": pause.person is None,
            }
            pause = None


def words(found: Mapping[str, Any]) -> Iterator[str]:
    """A result in lines for people."""
    yield f"{found['events']} events hold, {found['extensions']} extensions, status {found['status']}."
    for pause in found["pauses"]:
        length = timedelta(seconds=pause["given_back_s"] or 0)
        yield f"paused {pause['paused_at']}, {length} given back: {pause['reason']}"
    for line in found["ranking"]:
        yield f"{line['rank']:>3}. bidder {line['label']}  {line['amount']} {found['currency']}"
    if found["winner"] is not None:
        yield f"Winner: bidder {found['winner']} at {found['price']} {found['currency']}"
    yield f"Head of the chain: {found['head']}"


def main(arguments: list[str]) -> int:
    """0: it holds; 1: it does not; 2: it cannot be read."""
    if len(arguments) != 1:
        sys.stderr.write("One file: the auction's document, auction.json.\n")
        return 2
    try:
        with open(arguments[0], "rb") as file:
            document = parsed(file.read())
        _hall, found = check(document)
    except (LogBroken, DocumentWrong) as error:
        sys.stderr.write(f"It does not hold: {error}.\n")
        return 1
    except (OSError, ValueError, RecursionError) as error:
        sys.stderr.write(f"It cannot be read: {error}.\n")
        return 2
    sys.stdout.write("\n".join(words(found)) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
