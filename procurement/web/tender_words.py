"""A procedure in plain words: its kind, what happens next, its dates."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace.shared.errors import Sentence
from marketplace.web.formats import moment_text, zone_label, zone_of
from marketplace.web.parts import Moment
from procurement.models import KeyCustody, Tender
from procurement.procedures import Family
from procurement.queries import tenders
from procurement.queries.tenders import Standing
from procurement.rules.auction.base import AuctionKind
from procurement.rules.lifecycle import TenderStatus
from procurement.rules.ranking import Direction
from procurement.services import bid_verdicts

FAMILY_NAMES: Final[Mapping[str, Sentence]] = MappingProxyType(
    {
        Family.AUCTION: gettext_lazy("Auction"),
        Family.TENDER: gettext_lazy("Tender"),
        Family.REQUEST_FOR_PROPOSALS: gettext_lazy("Request for proposals"),
        Family.REQUEST_FOR_QUOTATIONS: gettext_lazy("Request for quotations"),
        Family.COMPETITIVE_NEGOTIATION: gettext_lazy("Competitive negotiation"),
    }
)
STANDING_NAMES: Final[Mapping[Standing, Sentence]] = MappingProxyType(
    {
        Standing.OPEN: gettext_lazy("Open for bids"),
        Standing.IN_PROGRESS: gettext_lazy("Being decided"),
        Standing.COMPLETE: gettext_lazy("Complete"),
        Standing.ENDED: gettext_lazy("Unsuccessful or cancelled"),
        Standing.ALL: gettext_lazy("All"),
    }
)


def family_name(tender: Tender) -> Sentence:
    return FAMILY_NAMES[tender.preset.family]


def state_words(tender: Tender, at: datetime) -> Sentence:
    return tenders.state_label(tender, at)


def next_step(tender: Tender, at: datetime) -> str:
    """What happens next and when, in one sentence."""
    preset = tender.preset
    match TenderStatus(tender.status):
        case TenderStatus.DRAFT:
            return _("Nobody outside your organisation sees this draft. Fill it in, review it, publish it.")
        case TenderStatus.APPROVAL:
            return _("Your colleagues decide whether it is published.")
        case TenderStatus.PUBLISHED if tender.tender_ends_at is not None and at < tender.tender_ends_at:
            if preset.live:
                after = _("the admitted bidders then compete live.")
            elif tender.criteria:
                after = _("the bid whose price counts as best wins each lot.")
            elif preset.auction is AuctionKind.SEALED_SECOND_PRICE:
                after = _("the lowest price wins each lot, at the second-lowest price.")
            elif preset.axes.direction is Direction.UP:
                after = _("the highest price wins each lot.")
            else:
                after = _("the lowest price wins each lot.")
            return _("Bids are taken until %(until)s; then they are opened, and %(after)s") % {
                "until": _moment(tender.tender_ends_at, tender),
                "after": after,
            }
        case TenderStatus.OPENING if tender.key_custody == KeyCustody.COMMITTEE and tender.opened_at is None:
            return _(
                "Bids are closed. They are opened when enough members of the buyer’s committee release their shares."
            )
        case TenderStatus.PUBLISHED if bid_verdicts.is_waited_for(tender):
            return _(
                "Bids are closed. Signatures received before the deadline are still being judged: revocation data is "
                "missing. The bids are opened when they are, at the latest on %(until)s."
            ) % {"until": _moment(bid_verdicts.judged_until(tender), tender)}
        case TenderStatus.PUBLISHED | TenderStatus.OPENING:
            return _("Bids are closed and are being opened.")
        case TenderStatus.EVALUATION:
            return _("Bids are opened. The buyer decides which are admitted.")
        case TenderStatus.AUCTION if tender.auction_starts_at is not None and at < tender.auction_starts_at:
            return _("The live auction starts on %(at)s.") % {"at": _moment(tender.auction_starts_at, tender)}
        case TenderStatus.AUCTION:
            return _("The live auction is on. When it ends, the buyer awards.")
        case TenderStatus.AWARDING:
            return _("The bids are ranked. The buyer awards each lot with a signature.")
        case TenderStatus.STANDSTILL if tenders.is_being_signed(tender, at):
            return _("Awarded, and the standstill is over. The contracts are being signed.")
        case TenderStatus.STANDSTILL if tender.standstill_ends_at is not None:
            return _("Awarded. The contract can be signed after the standstill, on %(until)s.") % {
                "until": _moment(tender.standstill_ends_at, tender)
            }
        case TenderStatus.STANDSTILL:
            return _("Awarded. The contract can be signed after the standstill.")
        case TenderStatus.COMPLETE:
            return _("It is over: the contracts are signed.")
        case TenderStatus.UNSUCCESSFUL:
            return _("It ended without a winner. %(reason)s") % {"reason": tender.closing_reason}
        case TenderStatus.CANCELLED:
            return _("The buyer cancelled it: %(reason)s") % {"reason": tender.closing_reason}
    return ""


def timeline(tender: Tender, at: datetime) -> list[Moment]:
    """The dates of the tender, done, next and later."""
    over = tender.status in (TenderStatus.COMPLETE, TenderStatus.UNSUCCESSFUL, TenderStatus.CANCELLED)
    rows: list[tuple[Sentence, datetime | None]] = [
        (_("Published"), tender.published_at),
        (_("Questions until"), tender.enquiry_ends_at),
        (_("Bids until"), tender.tender_ends_at),
    ]
    if tender.opened_at is not None:
        rows.append((_("Bids opened"), tender.opened_at))
    if tender.preset.live:
        rows.append((_("Live auction"), tender.auction_starts_at))
    if tender.standstill_ends_at is not None:
        rows.append((_("Standstill until"), tender.standstill_ends_at))
    if over:
        # What was planned for later and did not happen any more is no date of this procedure.
        rows = [(label, moment) for label, moment in rows if moment is not None and moment <= at]
        rows.append((str(tender.get_status_display()), tender.closed_at))
    coming = min((moment for _label, moment in rows if moment is not None and moment > at), default=None)
    return [
        Moment(
            label,
            moment,
            "done" if moment is not None and moment <= at else "next" if moment and moment == coming else "later",
            "" if moment or tender.published_at else _("counted from publication"),
        )
        for label, moment in rows
    ]


def _moment(moment: datetime, tender: Tender) -> str:
    local = moment.astimezone(zone_of(tender.time_zone))
    return f"{moment_text(local)} ({zone_label(local)})"
