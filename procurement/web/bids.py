"""The supplier's bids: all of them, beginning one, and one from draft to result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from django import forms
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_safe

from marketplace import entitlements
from marketplace.models import QueuedSignature, Role
from marketplace.permissions import Actor, actor_of, organisation_of
from marketplace.shared import clock
from marketplace.shared.errors import NotFound, Sentence
from marketplace.shared.money import Money
from marketplace.web import lists
from marketplace.web.parts import Action, Fact, Moment, Reason
from procurement import permissions
from procurement.models import Bid, Lot
from procurement.queries import bids as bid_queries
from procurement.rules.lifecycle import BidStatus, LotStatus, TenderStatus
from procurement.services import bid_drafts
from procurement.services import bids as service
from procurement.web.bid_parts import (
    amendments_since,
    answer_rows,
    answers_of,
    counted,
    crumbs_of,
    documents_of,
    own_bid,
    sent_or_drafted,
    total_of,
)
from procurement.web.bid_words import state_of
from procurement.web.proof import standing_of

READ_ONLY: Final = gettext_lazy("A bid manager of your organisation can change it.")
PAGE: Final = 30


class BidFilter(forms.Form):
    """The filters of “Our bids”."""

    q = forms.CharField(label=gettext_lazy("Search"), required=False, max_length=80)
    state = forms.ChoiceField(
        label=gettext_lazy("State"),
        required=False,
        choices=[
            ("", gettext_lazy("All")),
            ("draft", gettext_lazy("Drafts")),
            ("sent", gettext_lazy("Sent, sealed")),
            ("confirm", gettext_lazy("To confirm")),
            ("opened", gettext_lazy("Being decided")),
            ("won", gettext_lazy("Won")),
            ("lost", gettext_lazy("Not selected or rejected")),
            ("withdrawn", gettext_lazy("Withdrawn or not sent")),
        ],
    )


_STATES: Final = {
    "draft": [BidStatus.DRAFT],
    "sent": [BidStatus.SUBMITTED],
    "confirm": [BidStatus.INVALIDATED],
    "opened": [BidStatus.OPENED, BidStatus.ADMITTED],
    "won": [BidStatus.WINNING],
    "lost": [BidStatus.LOSING, BidStatus.REJECTED],
    "withdrawn": [BidStatus.WITHDRAWN],
}


@require_safe
def my_bids(request: HttpRequest) -> HttpResponse:
    """Every bid of the organisation, newest first."""
    at, actor = clock.now(), actor_of(request)
    supplier = organisation_of(actor)
    permissions.require_bids_reader(actor, supplier.pk)
    form = BidFilter(request.GET or None)
    found = lists.listed(request, _filtered(bid_queries.own(supplier), form), ["-pk"], size=PAGE)
    waiting = bid_queries.waiting_signatures(found.rows)
    rows = [(bid, state_of(bid, at, judged=_is_judged(waiting.get(bid.pk, [])))) for bid in found.rows]
    filtered = bool(lists.chips(request, form))
    return render(
        request,
        "procurement/bid_list.html",
        {
            "form": form,
            "chips": lists.chips(request, form),
            "list": found,
            "rows": rows,
            "find": Action(_("Find procedures"), reverse("tenders"), icon="list-search"),
            "filtered": filtered,
            "at": at,
        },
    )


@require_http_methods(["GET", "HEAD", "POST"])
def start(request: HttpRequest, number: str, lot: int) -> HttpResponse:
    """“Can I bid?” with every reason; a post begins the bid, or leads to the one there is."""
    at, actor = clock.now(), actor_of(request)
    found = (
        Lot.objects.select_related("tender__buyer")
        .filter(tender__number=number, number=lot, tender__published_at__isnull=False)
        .first()
    )
    if found is None:
        raise NotFound
    supplier = organisation_of(actor)
    existing = Bid.objects.filter(lot=found, supplier=supplier).exclude(status=BidStatus.WITHDRAWN.value).first()
    if existing:
        return redirect("bid", existing.pk)
    if request.method == "POST":
        return redirect("bid_edit", bid_drafts.start(found.pk, by=actor, at=at).pk)
    reasons = _can_bid(found, actor, at)
    return render(
        request,
        "procurement/bid_start.html",
        {
            "lot": found,
            "tender": found.tender,
            "allowed": all(reason.holds for reason in reasons),
            "reasons": reasons,
            "action": Action(_("Prepare a bid"), request.path, icon="file-plus", method="post"),
            "crumbs": crumbs_of(found),
        },
    )


@require_safe
def detail(request: HttpRequest, bid_id: int) -> HttpResponse:
    """One bid: its state in words, what was sent, the receipts, the result."""
    at, actor = clock.now(), actor_of(request)
    bid = own_bid(actor, bid_id)
    waiting = bid_queries.waiting_signatures([bid]).get(bid.pk, [])
    state = state_of(bid, at, judged=_is_judged(waiting))
    draft = bid_drafts.read_draft(bid, by=actor)
    readable = bid.opened_at is not None or bid_drafts.kept_here(bid.lot.tender)
    table = sent_or_drafted(bid, draft) if readable else []
    answers, total = answers_of(bid, draft), total_of(bid, draft)
    envelopes = list(
        bid.envelopes.select_related("signature__certificate", "signature__person", "signature__stamp").order_by(
            "-version"
        )
    )
    return render(
        request,
        "procurement/bid.html",
        {
            "bid": bid,
            "lot": bid.lot,
            "tender": bid.lot.tender,
            "kept_here": bid_drafts.kept_here(bid.lot.tender),
            "over": bid.opened_at is not None or (bid.status == BidStatus.WITHDRAWN and bid.version == 0),
            "state": state,
            "crumbs": crumbs_of(bid.lot, bid),
            "lines": table,
            "total": total,
            "questions": answer_rows(answers) if readable else [],
            "counts_as": counted(bid, answers, total),
            "remarks": bid.remarks or draft.remarks,
            "documents": documents_of(bid, draft),
            "envelopes": envelopes,
            "waiting_signatures": waiting,
            "action": _main_action(bid, actor, at),
            "actions": _other_actions(bid, actor, at, waiting),
            "moments": _timeline(bid, at),
            "result": _result(bid),
            "amendments": amendments_since(bid),
            "deadline_open": bid_queries.is_open(bid.lot, at),
            "standing": standing_of(bid) if bid.version else None,
        },
    )


def _filtered(rows: QuerySet[Bid], form: BidFilter) -> QuerySet[Bid]:
    if not form.is_valid():
        return rows
    words, state = form.cleaned_data["q"].strip(), form.cleaned_data["state"]
    if words:
        rows = rows.filter(
            Q(lot__tender__number__icontains=words)
            | Q(lot__tender__title__icontains=words)
            | Q(lot__title__icontains=words)
        )
    return rows.filter(status__in=[status.value for status in _STATES[state]]) if state else rows


def _is_judged(waiting: Sequence[QueuedSignature]) -> bool:
    """Whether a sent version of the bid waits for the verdict on its signature."""
    return any(row.request.action == service.SUBMIT for row in waiting)


def _main_action(bid: Bid, actor: Actor, at: datetime) -> Action | None:
    """The one thing to do: go on with the draft, confirm, sign the contract, or go to the auction."""
    tender = bid.lot.tender
    if bid_queries.is_open(bid.lot, at):
        if bid.status == BidStatus.WITHDRAWN:
            url = reverse("bid_start", args=[tender.number, bid.lot.number])
            return Action(_("Prepare it again"), url, icon="pencil", method="post")
        label = {
            BidStatus.DRAFT: _("Go on with the draft"),
            BidStatus.INVALIDATED: _("Check and confirm"),
        }.get(BidStatus(bid.status), _("Change the bid"))
        allowed = actor.has(Role.BID_MANAGER)
        return Action(label, reverse("bid_edit", args=[bid.pk]), icon="pencil", allowed=allowed, reason=READ_ONLY)
    contract = _contract_of(bid)
    if contract is not None:
        return Action(_("Open the contract"), reverse("contract", args=[contract]), icon="writing-sign")
    if bid.status == BidStatus.ADMITTED and tender.status == TenderStatus.AUCTION and hasattr(bid, "participant"):
        url = reverse("auction", args=[tender.number, bid.lot.number])
        return Action(_("Go to the auction"), url, icon="gavel")
    return None


def _other_actions(bid: Bid, actor: Actor, at: datetime, waiting: Sequence[QueuedSignature]) -> list[Action]:
    if not bid_queries.is_open(bid.lot, at):
        return []
    if bid.status == BidStatus.DRAFT and bid.version == 0 and actor.has(Role.BID_MANAGER):
        throw_away = Action(_("Throw away"), reverse("bid_discard", args=[bid.pk]), icon="trash")
        if not waiting:
            return [throw_away]
        reason = _("It was sent, and its signature is being judged.")
        cancel = reverse("waiting_signature", args=[waiting[0].pk])
        return [replace(throw_away, allowed=False, reason=reason, remedy_label=_("Cancel it"), remedy_url=cancel)]
    if bid.status in (BidStatus.SUBMITTED, BidStatus.INVALIDATED) and actor.has(Role.SIGNER):
        withdraw = Action(_("Withdraw"), reverse("bid_withdraw", args=[bid.pk]), icon="arrow-back-up")
        newer = next((row for row in waiting if row.request.action == service.SUBMIT), None)
        if newer is None:
            return [withdraw]
        reason = _("A newer version was sent, and its signature is being judged.")
        cancel = reverse("waiting_signature", args=[newer.pk])
        return [replace(withdraw, allowed=False, reason=reason, remedy_label=_("Cancel it"), remedy_url=cancel)]
    return []


def _contract_of(bid: Bid) -> str | None:
    award = bid.awards.filter(contract__isnull=False).order_by("-pk").values_list("contract__number", flat=True)
    return award.first()


def _result(bid: Bid) -> list[Fact]:
    """What came out: told once the lot is decided, so that an auction's first bids betray nothing."""
    if bid.opened_at is None or bid.status not in (BidStatus.WINNING, BidStatus.LOSING, BidStatus.REJECTED):
        return []
    facts = []
    if bid.amount is not None:
        facts.append(Fact(_("Your final price"), Money(bid.amount, bid.currency)))
        if counts := counted(bid, bid.lot.answers(bid.answers), Money(bid.amount, bid.currency)):
            facts.append(Fact(_("It counts as"), f"{counts.amount.as_string()} {bid.currency}: {counts.arithmetic}"))
    if bid.rank is not None:
        facts.append(Fact(_("Your rank"), str(bid.rank)))
    if bid.opening_problem:
        facts.append(Fact(_("At the opening"), bid.opening_problem))
    facts.append(Fact(_("Reason"), bid.decision_reason))
    return facts


def _timeline(bid: Bid, at: datetime) -> list[Moment]:
    tender = bid.lot.tender
    moments: list[tuple[Sentence, datetime | None]] = [
        (_("Questions until"), tender.enquiry_ends_at),
        (_("Sent"), bid.received_at if bid.version else None),
        (_("Bids until"), tender.tender_ends_at),
        (_("Opened"), bid.opened_at),
    ]
    if tender.auction_starts_at:
        moments.append((_("Auction"), tender.auction_starts_at))
    if tender.standstill_ends_at:
        moments.append((_("Standstill until"), tender.standstill_ends_at))
    known = sorted(((label, moment) for label, moment in moments if moment is not None), key=lambda row: row[1])
    if bid.lot.status in (LotStatus.CANCELLED, LotStatus.UNSUCCESSFUL):
        # What was planned for later does not happen any more.
        known = [(label, moment) for label, moment in known if moment <= at]
        if tender.closed_at is not None:
            known.append((str(bid.lot.get_status_display()), tender.closed_at))
    upcoming = next((moment for _label, moment in known if moment > at), None)
    return [
        Moment(label, moment, "done" if moment <= at else "next" if moment == upcoming else "later")
        for label, moment in known
    ]


def _can_bid(lot: Lot, actor: Actor, at: datetime) -> list[Reason]:
    """Every reason for and against, each with what would change it."""
    tender, supplier = lot.tender, organisation_of(actor)
    if tender.buyer_id == supplier.pk:
        return [Reason(False, str(bid_drafts.OwnTender()))]
    open_now = bid_queries.is_open(lot, at)
    if lot.status != LotStatus.ACTIVE:
        found = [Reason(False, str(bid_drafts.LotNotOpen(state=lot.get_status_display())))]
    elif not open_now and tender.tender_ends_at is not None and at >= tender.tender_ends_at:
        found = [Reason(False, _("The time for bids is over."))]
    else:
        found = [Reason(open_now, _("Bids are taken now.") if open_now else str(bid_drafts.TenderNotOpen()))]
    if actor.has(Role.BID_MANAGER):
        found.append(Reason(True, _("You are a bid manager of your organisation.")))
    else:
        found.append(
            Reason(False, _("You are not a bid manager. An administrator of your organisation can make you one."))
        )
    answer = entitlements.check(supplier, bid_queries.need_of(lot, supplier.pk, at), at)
    found += [Reason(False, reason.sentence, reason.remedy, reason.url) for reason in answer.reasons]
    if answer.allowed:
        found.append(Reason(True, _("Your accreditation and tariff permit it.")))
    return found
