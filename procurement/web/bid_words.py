"""A bid's state in the supplier's words: what it means here and now, and what happens next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.utils.translation import gettext as _

from marketplace.shared.errors import Sentence
from procurement.models import Bid, KeyCustody
from procurement.rules.lifecycle import BidStatus, LotStatus, TenderStatus


@dataclass(frozen=True, slots=True)
class State:
    """`tone` is one of the status component's: quiet, wait, open, work, good, warn, bad."""

    label: Sentence
    tone: str
    next_step: Sentence


def state_of(bid: Bid, at: datetime, *, judged: bool = False) -> State:
    """The bid's lot and tender are loaded. `judged`: it was sent, and its signature waits for the verdict."""
    status = BidStatus(bid.status)
    tender, lot = bid.lot.tender, bid.lot
    running = tender.tender_ends_at is not None and at < tender.tender_ends_at
    if tender.status == TenderStatus.CANCELLED or lot.status == LotStatus.CANCELLED:
        return State(_("Cancelled by the buyer"), "bad", _cancelled(bid, tender.closing_reason or lot.closing_reason))
    if judged and status in (BidStatus.DRAFT, BidStatus.INVALIDATED):
        waits = _("It was received. Its signature is being judged, and you are told what came of it.")
        return State(_("Received, being judged"), "wait", waits)
    if status is BidStatus.DRAFT:
        if running:
            return State(_("Draft, not sent"), "quiet", _("Nobody else can read it. Send it before the deadline."))
        return State(_("Not sent in time"), "quiet", _("The deadline has passed; a draft takes no part."))
    if status is BidStatus.WITHDRAWN:
        return _withdrawn(bid, running)
    if status is BidStatus.INVALIDATED:
        return State(
            _("Needs your confirmation"), "warn",
            _("The buyer amended the procedure. Check your prices and confirm the bid with a signature."),
        )  # fmt: skip
    if status is BidStatus.SUBMITTED:
        return _submitted(bid, running)
    return _opened(bid, status)


def _cancelled(bid: Bid, reason: str) -> str:
    why = _("The buyer’s reason: %(reason)s") % {"reason": reason}
    if bid.version == 0 or bid.opened_at is not None:
        return why
    # A committee's key is its members', and not ours to destroy.
    if bid.lot.wrapped_private_key is None and bid.lot.tender.key_custody == KeyCustody.PLATFORM:
        return f"{_('Your bid was never opened, and the key to it was destroyed.')} {why}"
    return f"{_('Your bid was never opened.')} {why}"


def _withdrawn(bid: Bid, running: bool) -> State:
    if bid.version == 0 or bid.withdrawn_at is None:
        label = _("Not sent") if not bid.decision_reason else _("Not sent in time")
        return State(label, "quiet", bid.decision_reason or _("The draft was thrown away."))
    again = _("You may prepare it again until the deadline.") if running else ""
    return State(_("Withdrawn"), "quiet", again)


def _submitted(bid: Bid, running: bool) -> State:
    if bid.lot.status == LotStatus.UNSUCCESSFUL:
        return State(_("Not opened"), "quiet", bid.lot.closing_reason)
    if running and bid.revision > bid.sent_revision:
        return State(
            _("Sent; changes not sent"), "warn",
            _("What you sent stands. You changed the draft since: sign and send it to replace what was sent."),
        )  # fmt: skip
    if running:
        sealed = _("It is sealed, and opened after the deadline.")
        if bid.lot.tender.key_custody == KeyCustody.COMMITTEE:
            sealed = _(
                "It is sealed to the buyer’s committee: nobody reads it before the deadline, not even the operator."
            )
        return State(_("Sent and sealed"), "good", sealed)
    if bid.lot.tender.key_custody == KeyCustody.COMMITTEE:
        waits = _("The time for bids is over. The bids are opened when the buyer’s committee has put its key together.")
        return State(_("Waiting to be opened"), "wait", waits)
    return State(_("Waiting to be opened"), "wait", _("The time for bids is over; the bids are being opened."))


def _opened(bid: Bid, status: BidStatus) -> State:
    tender = bid.lot.tender
    if status is BidStatus.REJECTED:
        return State(_("Rejected"), "bad", bid.decision_reason)
    if status is BidStatus.WINNING:
        return State(_("Won"), "good", _("The contract is ready to be signed after the standstill."))
    if status is BidStatus.LOSING:
        return State(_("Not selected"), "quiet", bid.decision_reason)
    if bid.lot.status == LotStatus.UNSUCCESSFUL:
        return State(_("Lot without a winner"), "quiet", bid.lot.closing_reason)
    if status is BidStatus.ADMITTED and tender.status == TenderStatus.AUCTION:
        return State(_("Admitted to the auction"), "live", _("Your first bid stands in the live auction already."))
    if status is BidStatus.ADMITTED:
        return State(_("Admitted"), "work", _("The buyer is choosing the winner."))
    return State(_("Opened"), "open", _("The buyer is checking the bids."))
