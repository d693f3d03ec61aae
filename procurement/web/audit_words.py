"""The audit trail of a procedure in words. Who bids is not told before the opening, nor during a live auction."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace.models import AuditRecord
from marketplace.shared.errors import Sentence
from procurement.models import Tender
from procurement.queries.audit import hides_bidders
from procurement.services.drafts import Change

_ACTIONS: Final[Mapping[str, Sentence]] = MappingProxyType(
    {
        "tender.created": gettext_lazy("Draft created"),
        "tender.edited": gettext_lazy("Draft edited"),
        "tender.deleted": gettext_lazy("Draft deleted"),
        "tender.published": gettext_lazy("Published"),
        "tender.amended": gettext_lazy("Amended"),
        "tender.roll_closed": gettext_lazy("Roll of bids closed: no bid can be added, dropped or changed"),
        "tender.roll_stamped": gettext_lazy("Roll of bids time-stamped"),
        "tender.opened": gettext_lazy("Bids opened"),
        "tender.complete": gettext_lazy("Complete"),
        "tender.unsuccessful": gettext_lazy("Ended without a winner"),
        "tender.cancelled": gettext_lazy("Cancelled"),
        "lot.cancelled": gettext_lazy("Lot cancelled"),
        "lot.unsuccessful": gettext_lazy("Lot ended without a winner"),
        "lot.completed": gettext_lazy("Lot complete"),
        "keys.made": gettext_lazy("Keys made and split among the committee"),
        "keys.put_together": gettext_lazy("The committee’s key put together from its shares"),
        "keys.lost": gettext_lazy("Given up: too many shares of the key are lost"),
        "share.confirmed": gettext_lazy("Share of the key tried by its holder"),
        "share.released": gettext_lazy("Share of the key released"),
        "share.wrong": gettext_lazy("A member found that a released share is not the announced one"),
        "share.replaced": gettext_lazy("A share that was found wrong released anew"),
        "shares.destroyed": gettext_lazy("Released shares destroyed"),
        "lot.key_destroyed": gettext_lazy("Key of a lot that ends unopened destroyed"),
        "lot.key_used": gettext_lazy("Key of the lot used to open its bids"),
        "question.asked": gettext_lazy("Question asked"),
        "question.answered": gettext_lazy("Question answered"),
        "bid.submitted": gettext_lazy("Bid received and sealed"),
        "bid.withdrawn": gettext_lazy("Bid withdrawn"),
        "bid.signature_expired": gettext_lazy("Signature of a bid, received in time, could not be judged in time"),
        "bid.invalidated": gettext_lazy("Bid to be confirmed after an amendment"),
        "bid.dropped": gettext_lazy("Unfinished bid dropped at the deadline"),
        "bid.opened": gettext_lazy("Bid opened"),
        "bid.admitted": gettext_lazy("Bid admitted"),
        "bid.rejected": gettext_lazy("Bid rejected"),
        "protocol.signed": gettext_lazy("Protocol signed"),
        "award.decided": gettext_lazy("Awarded"),
        "award.fell_away": gettext_lazy("Award fallen away"),
        "contract.drafted": gettext_lazy("Contract drafted"),
        "contract.edited": gettext_lazy("Contract edited"),
        "contract.signed": gettext_lazy("Contract signed"),
        "contract.in_force": gettext_lazy("Contract in force"),
        "contract.terminated": gettext_lazy("Contract terminated"),
        "delivery.recorded": gettext_lazy("Delivery recorded"),
        "delivery.confirmed": gettext_lazy("Delivery confirmed"),
        "delivery.rejected": gettext_lazy("Delivery rejected"),
        "delivery.cancelled": gettext_lazy("Delivery cancelled"),
        "delivery.return_recorded": gettext_lazy("Return recorded"),
        "auction.scheduled": gettext_lazy("Auction scheduled"),
        "auction.started": gettext_lazy("Auction started"),
        "auction.ended": gettext_lazy("Auction ended"),
        "auction.paused": gettext_lazy("Auction paused"),
        "auction.resumed": gettext_lazy("Auction resumed"),
        "auction.cancelled": gettext_lazy("Auction cancelled"),
    }
)


@dataclass(frozen=True, slots=True)
class AuditRow:
    """A line for components/_audit.html."""

    at: datetime
    actor: Sentence
    action: Sentence
    detail: Sentence
    hash: str


def rows_of(records: Iterable[AuditRecord], tender: Tender) -> list[AuditRow]:
    """The records in words, in their order."""
    return [
        AuditRow(record.at, _actor(record, tender), _action(record), _detail(record), record.hash) for record in records
    ]


def _actor(record: AuditRecord, tender: Tender) -> Sentence:
    if record.object_type == "bid" and record.organisation_id != tender.buyer_id and hides_bidders(tender):
        return _("A bidder")
    if record.action == "question.asked":
        return _("A supplier")
    if record.person is None:
        return _("The platform")
    return f"{record.person} · {record.organisation}" if record.organisation else str(record.person)


def _action(record: AuditRecord) -> Sentence:
    return _ACTIONS.get(record.action) or record.action.replace(".", " ").replace("_", " ").capitalize()


def _detail(record: AuditRecord) -> str:
    details: dict[str, Any] = record.details
    if record.action in ("tender.edited", "tender.amended"):
        return " ".join(Change.of_json(change).sentence for change in details.get("changes", []))
    if record.action.startswith("share."):
        share = _("Share %(n)s: %(holder)s.") % {"n": details.get("index"), "holder": details.get("holder")}
        return f"{share} {details.get('reason', '')}".rstrip()
    if "reason" in details:
        return str(details["reason"])
    if record.object_type == "clarification" and "number" in details:
        return _("Question %(n)s") % {"n": details["number"]}
    return ""
