"""What every tab of a procedure's page shows: header, next step, the one action, the tabs.

A tab's view gives `context(request, tender, "bids")` to a template that extends procurement/tender_base.html.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from marketplace import entitlements
from marketplace.models import Role
from marketplace.permissions import Actor, actor_of
from marketplace.shared import clock
from marketplace.shared.errors import NotFound
from marketplace.web.parts import Action, Crumb, Reason, Tab
from procurement import permissions
from procurement.models import Bid, KeyCustody, Lot, Tender
from procurement.queries import bids as bid_queries
from procurement.queries import clarifications, tenders
from procurement.rules.lifecycle import LotStatus, TenderStatus
from procurement.services.cancellation import can_be_cancelled
from procurement.services.clarifications import takes_questions
from procurement.web import tender_words


@dataclass(frozen=True, slots=True)
class CanIBid:
    """The answer for one organisation, with what holds and what is missing."""

    allowed: bool
    reasons: list[Reason]


def own_tender(request: HttpRequest, number: str) -> Tender:
    """The tender of that number, where this person may see it. Raises NotFound."""
    tender = Tender.objects.select_related("buyer").defer("search").filter(number=number).first()
    if tender is None:
        raise NotFound
    permissions.require_tender_visible(actor_of(request), tender)
    return tender


def context(request: HttpRequest, tender: Tender, tab: str) -> dict[str, Any]:
    """The context of tender_base.html, with `tender`, `lots`, `at` and `runs` (may run it) for the tab itself."""
    at, actor = clock.now(), actor_of(request)
    lots = tenders.with_parts(tender)
    open_questions = clarifications.open_count(tender) if actor.acts_for(tender.buyer_id) else 0
    own_bids = _own_bids(actor, tender)
    return {
        "tender": tender,
        "lots": lots,
        "at": at,
        "tab": tab,
        "runs": permissions.can_run_tender(actor, tender),
        "is_buyer": actor.acts_for(tender.buyer_id),
        "own_bids": own_bids,
        "kind": _(tender.preset.name),
        "state_words": tender_words.state_words(tender, at),
        "next_step": tender_words.next_step(tender, at),
        "crumbs": _crumbs(actor, tender),
        "action": _action(actor, tender, lots, own_bids, open_questions, at),
        "actions": _actions(actor, tender, at),
        "tabs": _tabs(actor, tender, lots, tab, open_questions, at),
        "takes_bids": takes_bids(tender, at),
        "shows_limit": shows_limit(actor, tender),
    }


def takes_bids(tender: Tender, at: datetime) -> bool:
    """Whether bids are taken now."""
    return tender.status == TenderStatus.PUBLISHED and tender.tender_ends_at is not None and at < tender.tender_ends_at


def shows_limit(actor: Actor, tender: Tender) -> bool:
    """The limit price is for everybody where the buyer says so, and always for the buyer."""
    return tender.limit_price_shown or actor.acts_for(tender.buyer_id)


def can_i_bid(actor: Actor, tender: Tender, lots: list[Lot], at: datetime) -> CanIBid | None:
    """“Can I bid?” for the first lot that takes bids; None for the buyer, for staff, and once nothing takes bids."""
    lot = next((lot for lot in lots if lot.status == LotStatus.ACTIVE), None)
    if lot is None or not takes_bids(tender, at) or actor.acts_for(tender.buyer_id):
        return None
    if actor.organisation is None:
        if actor.staff_roles:
            return None
        if actor.is_signed_in:
            why = _("You are not acting for an organisation. Register one, or ask a colleague for an invitation.")
            return CanIBid(False, [Reason(False, why, _("Register an organisation"), reverse("signup"))])
        why = _("You are not logged in. Any accredited supplier with a tariff can bid.")
        url = f"{reverse('account_login')}?next={tender.get_absolute_url()}"
        return CanIBid(False, [Reason(False, why, _("Log in"), url)])
    need = bid_queries.need_of(lot, actor.organisation.pk, at)
    answer = entitlements.check(actor.organisation, need, at)
    reasons = [Reason(True, _("Bids are taken now."))]
    if actor.has(Role.BID_MANAGER):
        reasons.append(Reason(True, _("You are a bid manager of your organisation.")))
    else:
        why = _("You are not a bid manager. An administrator of your organisation can make you one.")
        reasons.append(Reason(False, why))
    if answer.allowed:
        reasons.append(Reason(True, _("Your accreditation and tariff permit it.")))
    reasons += [
        Reason(False, reason.sentence, reason.remedy or _("What to do"), reason.url or "") for reason in answer.reasons
    ]
    return CanIBid(all(reason.holds for reason in reasons), reasons)


def _own_bids(actor: Actor, tender: Tender) -> list[Bid]:
    if actor.organisation is None or actor.acts_for(tender.buyer_id):
        return []
    return list(bid_queries.own(actor.organisation).filter(lot__tender=tender).order_by("lot__number"))


def _crumbs(actor: Actor, tender: Tender) -> list[Crumb]:
    if actor.acts_for(tender.buyer_id):
        return [Crumb(_("We buy"), reverse("my_tenders"))]
    return [Crumb(_("Procedures"), reverse("tenders"))]


def _tabs(actor: Actor, tender: Tender, lots: list[Lot], tab: str, open_questions: int, at: datetime) -> list[Tab]:
    number = tender.number
    found = [
        ("overview", _("Overview"), "tender", None),
        ("lots", _("Lots and items"), "tender_lots", len(lots)),
        ("documents", _("Documents"), "tender_documents", None),
        ("questions", _("Questions"), "tender_questions", open_questions or None),
        ("timetable", _("Timetable"), "tender_timetable", None),
    ]
    if actor.acts_for(tender.buyer_id) and tender.key_custody == KeyCustody.COMMITTEE:
        found.append(("shares", _("Keys"), "tender_shares", None))
    if tender.opened_at is not None:
        found.append(("protocol", _("Bids and protocol"), "opening_protocol", None))
    found.append(("proof", _("Proof"), "tender_proof", None))
    if permissions.can_see_tender_audit(actor, tender):
        found.append(("audit", _("Audit"), "tender_audit", None))
    if tender.published_at is None:
        found = [row for row in found if row[0] in ("overview", "lots", "documents", "audit")]
    return [Tab(label, reverse(route, args=[number]), key == tab, count) for key, label, route, count in found]


def _action(
    actor: Actor, tender: Tender, lots: list[Lot], own_bids: list[Bid], open_questions: int, at: datetime
) -> Action | None:
    """The page's one primary button."""
    if actor.acts_for(tender.buyer_id):
        return _buyers_action(actor, tender, lots, open_questions, at)
    if own_bids and (len(lots) == 1 or not takes_bids(tender, at)):
        auction = _auction_of(tender, own_bids)
        return auction or Action(_("Our bid"), reverse("bid", args=[own_bids[0].pk]), icon="file-dollar")
    if actor.staff_roles and actor.organisation is None:  # the platform's own people never bid
        return None
    if takes_bids(tender, at) and len(lots) == 1:
        return Action(_("Prepare a bid"), reverse("bid_start", args=[tender.number, lots[0].number]), icon="file-plus")
    if takes_bids(tender, at):
        return Action(_("Choose a lot to bid for"), reverse("tender_lots", args=[tender.number]), icon="file-plus")
    return None


def _auction_of(tender: Tender, own_bids: list[Bid]) -> Action | None:
    if tender.status != TenderStatus.AUCTION:
        return None
    url = reverse("auction", args=[tender.number, own_bids[0].lot.number])
    return Action(_("Go to the auction"), url, icon="gavel")


def _buyers_action(actor: Actor, tender: Tender, lots: list[Lot], open_questions: int, at: datetime) -> Action | None:
    runs = permissions.can_run_tender(actor, tender)
    reason = _("Your role does not allow this. It takes: %(role)s.") % {"role": Role.OFFICER.label}
    match TenderStatus(tender.status):
        case TenderStatus.DRAFT:
            url = reverse("tender_edit", args=[tender.number])
            return Action(_("Go on with the draft"), url, icon="pencil", allowed=runs, reason=reason)
        case TenderStatus.PUBLISHED if open_questions:
            label = ngettext("Answer %(n)s question", "Answer %(n)s questions", open_questions) % {"n": open_questions}
            url = reverse("tender_questions", args=[tender.number])
            return Action(label, url, icon="message-question", allowed=runs, reason=reason)
        case TenderStatus.OPENING if tender.key_custody == KeyCustody.COMMITTEE:
            return Action(_("See who holds the key"), reverse("tender_shares", args=[tender.number]), icon="key")
        case TenderStatus.EVALUATION:
            return _to_lot("comparison", _("Compare the bids"), "table", tender, lots)
        case TenderStatus.AUCTION:
            return _to_lot("auction", _("Watch the auction"), "gavel", tender, lots)
        case TenderStatus.AWARDING:
            return _to_lot("comparison", _("Compare and award"), "award", tender, lots)
        case TenderStatus.STANDSTILL | TenderStatus.COMPLETE:
            return Action(_("Open the contracts"), reverse("contracts"), icon="writing-sign")
    return None


def _to_lot(route: str, label: str, icon: str, tender: Tender, lots: list[Lot]) -> Action | None:
    active = next((lot for lot in lots if lot.status == LotStatus.ACTIVE), None)
    return Action(label, reverse(route, args=[tender.number, active.number]), icon=icon) if active else None


def _actions(actor: Actor, tender: Tender, at: datetime) -> list[Action]:
    """Quiet buttons beside the primary one."""
    number = tender.number
    found = []
    if actor.acts_for(tender.buyer_id):
        if takes_bids(tender, at) and permissions.can_sign_for_tender(actor, tender):
            found.append(Action(_("Amend"), reverse("tender_amend", args=[number]), icon="pencil"))
        if can_be_cancelled(tender) and permissions.can_sign_for_tender(actor, tender):
            found.append(Action(_("Cancel"), reverse("tender_cancel", args=[number]), icon="ban"))
        if tender.published_at is not None and permissions.can_run_tender(actor, tender):
            found.append(Action(_("Copy as a draft"), reverse("tender_copy", args=[number]), icon="copy"))
    elif actor.is_supplier and takes_questions(tender, at):
        url = f"{reverse('tender_questions', args=[number])}#ask"
        found.append(Action(_("Ask a question"), url, icon="message-question"))
    return found
