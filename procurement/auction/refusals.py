"""Why the gateway refuses, in a sentence: one for every code of the rules and of the gateway itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from marketplace.shared.errors import Sentence
from procurement.rules.auction.base import Refused


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP status, a stable code and a sentence; `members` are added to the problem document."""

    status: int
    code: str
    sentence: Sentence
    members: Mapping[str, Any]

    def problem(self) -> dict[str, Any]:
        """The problem document (RFC 9457)."""
        sentence = str(self.sentence)
        return {
            "type": f"urn:openlot:problem:{self.code}",
            "title": sentence,
            "status": self.status,
            "code": self.code,
            "detail": sentence,
            **self.members,
        }


_SENTENCES: Final[Mapping[str, tuple[int, Sentence]]] = {
    Refused.NOT_STARTED: (409, _("The auction has not started yet.")),
    Refused.OVER: (409, _("The auction was over when your bid arrived.")),
    Refused.PAUSED: (409, _("The auction is paused. The time lost will be given back.")),
    Refused.CANCELLED: (409, _("The auction was cancelled.")),
    Refused.NOT_A_PARTICIPANT: (403, _("You do not take part in this auction.")),
    "not_entitled": (
        403,
        _("Your organisation’s tariff or accreditation ended before the auction began. Renew it, and you can bid."),
    ),
    Refused.WRONG_ACTION: (409, _("This is not done in an auction of this kind.")),
    Refused.ALREADY_LEADING: (409, _("Yours is the best bid already. You cannot bid against yourself.")),
    Refused.NOT_POSITIVE: (422, _("A bid is above zero.")),
    Refused.TOO_PRECISE: (422, _("The amount has more decimal places than the currency.")),
    Refused.TOO_LARGE: (422, _("The amount is too large.")),
    Refused.LIMIT_NOT_MET: (409, _("The bid does not meet the limit price or, in a sale, the reserve price.")),
    Refused.STEP_NOT_MET: (409, _("The bid does not improve the price by the step.")),
    Refused.NO_ROOM_LEFT: (409, _("No better bid is possible any more.")),
    Refused.PRICE_MOVED: (409, _("The price has moved on since you saw it.")),
    Refused.OUT: (409, _("You did not confirm a price in time and take part no more.")),
    Refused.ALREADY_CONFIRMED: (409, _("You have confirmed this price already.")),
    Refused.NOT_YOUR_TURN: (409, _("It is not your turn.")),
    Refused.NOTHING_TO_WITHDRAW: (409, _("You have made no bid in this turn.")),
    "no_auction": (404, _("There is nothing here, or it is not yours to see.")),
    "not_found": (404, _("There is nothing here, or it is not yours to see.")),
    "idempotency_key_reused": (409, _("This key was already used for another move.")),
    "proxies_without_end": (
        409,
        _("The steps are so small that limits so far away would be bid towards without end. Choose a nearer one."),
    ),
    "move_expired": (409, _("This came after the time until which it was to count. It was not taken.")),
    "ticket_refused": (401, _("Your ticket to the auction is not valid any more. Load the page again.")),
    "bidding_role_missing": (403, _("Your role does not allow bidding.")),
    "origin_not_allowed": (403, _("This site may not use the gateway.")),
    "method_not_allowed": (405, _("This address does not take that method.")),
    "body_too_large": (413, _("The request is too large for a bid.")),
    "body_incomplete": (400, _("The request ended before the bid was complete.")),
    "not_json": (422, _("The bid is not a JSON object.")),
    "amount_not_a_number": (422, _("The amount is not a number. Write it like 1234.50.")),
    "key_malformed": (422, _("The idempotency key is 8 to 64 letters, digits, hyphens or underscores.")),
    "not_recorded": (503, _("Your bid could not be recorded just now. Send it again; it counts once.")),
    "not_after_malformed": (422, _("“not_after” is not a moment. Write it like 2026-03-04T12:00:00Z.")),
    "action_unknown": (422, _("This is not something that can be done in an auction.")),
    "too_many_bids": (
        429,
        _("You are sending more bids than are taken. What you just sent was not taken; wait a moment."),
    ),
    "too_many_repeats": (
        429,
        _("You are sending again or asking too often. What was taken before still counts; wait a moment."),
    ),
    "too_many_streams": (429, _("You are watching this auction in too many places. Close one of them.")),
    "unavailable": (503, _("The auction cannot be shown just now. Try again in a moment.")),
    "too_busy": (
        503,
        _("Too many bids are waiting. What you just sent was not taken. Send it again in a moment; it counts once."),
    ),
}


def refusal(code: str, **members: Any) -> Refusal:
    """The refusal of that code."""
    status, sentence = _SENTENCES[code]
    return Refusal(status, str(code), sentence, {name: value for name, value in members.items() if value is not None})
