"""Moves at the gateway, mostly bids: read from the wire, measured, refused where they are hopeless, handed to the room,
and answered; and told by their keys to bidders whose answer was lost."""

from __future__ import annotations

import asyncio
import json
import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.db import DatabaseError

from marketplace.shared import clock
from marketplace.shared.money import parse_decimal
from procurement.auction.asgi import JSON, Headers, Patience, Request, refuse
from procurement.auction.asking import Asking
from procurement.auction.feeds import Feeds
from procurement.auction.intake import Intake, NotRecorded, TooBusy
from procurement.auction.liveness import Liveness
from procurement.auction.refusals import refusal
from procurement.auction.room import (
    ENDLESS,
    HELD,
    KEY_REUSED,
    NOT_ENTITLED,
    UNKNOWN_AUCTION,
    Answer,
    WaitingBid,
    answer_of,
)
from procurement.auction.throttle import Throttle
from procurement.auction.tokens import Ticket
from procurement.rules.auction import kinds
from procurement.rules.auction.base import Action, Refused
from procurement.rules.auction.log import iso

_MOST_BODY = 2048
_KEY = re.compile(r"[A-Za-z0-9_-]{8,64}")
_PLAIN_AMOUNT = re.compile(r"[0-9]{1,16}(\.[0-9]{1,4})?")
_ACTIONS = {action.value: action for action in Action}
# What would be answered without end takes a third of a second to refuse; it is asked no more often than that.
_AFTER_ENDLESS_S = 10.0
# That a bidder takes part was lately found true by the room: then what is hopeless is refused without asking again.
_TAKES_PART_S = 10.0
_MOST_REMEMBERED = 20_000
# What is answered before the room asks whether the bidder takes part.
_WITHOUT_ASKING = {KEY_REUSED, UNKNOWN_AUCTION, HELD.code}
# What a stale room may refuse: it can only have got harder since.
_CERTAIN = {Refused.STEP_NOT_MET, Refused.LIMIT_NOT_MET, Refused.NO_ROOM_LEFT, Refused.TOO_LARGE, Refused.NOT_POSITIVE}


class Moves:
    """What bidders send to one process's gateway, and ask of it. Made in the event loop."""

    def __init__(self, intake: Intake, feeds: Feeds, liveness: Liveness) -> None:
        self._intake, self._feeds, self._liveness = intake, feeds, liveness
        self.patience = Patience()
        self._asking = Asking()
        self._throttle = Throttle(settings.GATEWAY_BIDS_PER_SECOND)
        self._now = asyncio.get_running_loop().time
        self._taking_part: dict[tuple[int, int, int], float] = {}

    def close(self) -> None:
        """Nobody asks any more."""
        self._asking.close()

    async def take(self, request: Request, ticket: Ticket, allowed: Headers) -> None:
        """Read a move, have it decided, and answer. Raises Refuse."""
        if ticket.participant is None or not ticket.may_bid:
            raise refuse("bidding_role_missing")
        if not self._liveness.able and not await self._liveness.ready():
            raise refuse("not_recorded")
        if self._liveness.owes(ticket.lot):
            raise refuse("not_recorded")
        body = await request.body(_MOST_BODY, self.patience)
        # The stamp: when the whole bid was here, before anything else takes time.
        bid = _parsed(body, ticket, ticket.participant, clock.now())
        if wait := self._throttle.wait(bid.lot, bid.participant, bid.key):
            repeated = self._throttle.knows(bid.lot, bid.participant, bid.key)
            raise refuse("too_many_repeats" if repeated else "too_many_bids", retry_after=wait)
        answer = self._at_once(ticket, bid)
        if answer is None:
            try:
                answer = await self._intake.submit(bid)
            except TooBusy:
                raise refuse("too_busy") from None
            except NotRecorded:
                raise refuse("not_recorded") from None
            self._note_whether_it_takes_part(ticket, answer)
        else:
            self._intake.remember(bid, answer)
        if answer.code == ENDLESS:
            self._throttle.charge(bid.lot, bid.participant, _AFTER_ENDLESS_S)
        if answer.code is not None:
            raise refuse(answer.code, allowed_amount=answer.allowed_amount, received_at=iso(bid.received_at))
        await request.send_json(200 if answer.repeated else 201, _accepted(bid, answer), JSON, allowed)

    def _at_once(self, ticket: Ticket, bid: WaitingBid) -> Answer | None:
        """The refusal of a bid that is hopeless by what is remembered here; None when only the room can tell."""
        feed = self._feeds.get(bid.lot)
        if feed is None or feed.hall is None:
            return None
        if self._now() - self._taking_part.get(ticket.seat, -_TAKES_PART_S) >= _TAKES_PART_S:
            return None
        move = bid.move
        if feed.known(move.bidder, bid.key) or not kinds.hopeless(feed.hall.room, move):
            return None
        decision, _ = kinds.decide(feed.hall.room, move)
        return answer_of(feed.hall, decision) if decision.code in _CERTAIN else None

    def _note_whether_it_takes_part(self, ticket: Ticket, answer: Answer) -> None:
        if answer.code in (Refused.NOT_A_PARTICIPANT, NOT_ENTITLED):
            self._taking_part.pop(ticket.seat, None)
            return
        if answer.repeated or answer.code in _WITHOUT_ASKING:
            return
        if len(self._taking_part) >= _MOST_REMEMBERED:
            self._taking_part.clear()
        self._taking_part[ticket.seat] = self._now()

    async def tell(self, request: Request, ticket: Ticket, key: str, allowed: Headers) -> None:
        """Answer what became of a move whose answer was lost. Raises Refuse."""
        if ticket.participant is None:
            raise refuse("bidding_role_missing")
        if wait := self._throttle.wait(ticket.lot, ticket.participant, f"?{key}"):
            raise refuse("too_many_repeats", retry_after=wait)
        # Before it is looked for: what is not in the log may have come into it since.
        as_of = iso(clock.now())
        found = await self._found(ticket, ticket.participant, key)
        await request.answer(200, {**found, "as_of": as_of}, extra=allowed)

    async def _found(self, ticket: Ticket, participant: int, key: str) -> dict[str, Any]:
        if self._intake.holds(participant, key):
            return {"status": "pending"}
        try:
            written = await self._asking.kept(ticket.lot, participant, key)
        except (DatabaseError, TimeoutError):
            raise refuse("not_recorded") from None
        if written is not None:
            return {
                "status": "accepted",
                "number": written.number,
                "action": written.action,
                "amount": written.amount,
                "received_at": iso(written.received_at),
            }
        refused = self._intake.refused(participant, key)
        if refused is None or refused.code is None:
            return {"status": "unknown"}
        why = refusal(refused.code)
        return {"status": "refused", "code": why.code, "detail": str(why.sentence)}


def _once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(members)
    if len(found) < len(members):
        raise ValueError("two things are said under one name")
    return found


_decoded = json.JSONDecoder(object_pairs_hook=_once).decode


def _accepted(bid: WaitingBid, answer: Answer) -> bytes:
    """The answer as JSON. Put together by hand, being most of what this process writes: no member needs escaping."""
    amount = "null" if answer.amount is None else f'"{answer.amount}"'
    ends_at = f'"{iso(answer.ends_at)}"' if answer.ends_at else "null"
    repeated = "true" if answer.repeated else "false"
    return (
        f'{{"accepted":true,"number":{answer.number},"amount":{amount},'
        f'"received_at":"{iso(bid.received_at)}","ends_at":{ends_at},"repeated":{repeated}}}'
    ).encode()


def _parsed(body: bytes, ticket: Ticket, participant: int, received_at: datetime) -> WaitingBid:
    try:
        content = _decoded(str(body, "utf-8"))
    except (ValueError, RecursionError):
        raise refuse("not_json") from None
    if not isinstance(content, dict):
        raise refuse("not_json")
    key = content.get("idempotency_key")
    if not isinstance(key, str) or not _KEY.fullmatch(key):
        raise refuse("key_malformed", field="idempotency_key")
    action = _ACTIONS.get(str(content.get("action", "bid")))
    if action is None:
        raise refuse("action_unknown", field="action")
    amount = None
    if content.get("amount") is not None or action is Action.BID:
        amount = _amount(content.get("amount"))
    not_after = _moment(content["not_after"]) if "not_after" in content else None
    return WaitingBid(ticket.lot, participant, ticket.person, amount, key, received_at, action, not_after)


def _amount(value: Any) -> Decimal:
    if not isinstance(value, str):  # a JSON number has already been through a float
        raise refuse("amount_not_a_number", field="amount")
    if _PLAIN_AMOUNT.fullmatch(value):  # as the page sends it
        return Decimal(value)
    try:
        return parse_decimal(value)
    except ValueError:
        raise refuse("amount_not_a_number", field="amount") from None


def _moment(value: Any) -> datetime:
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, TypeError, OverflowError):
        pass
    raise refuse("not_after_malformed", field="not_after")
