"""The buyer's pages after the deadline: the opening protocol, the comparison of a lot, admitting and rejecting bids."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from marketplace.models import Role
from marketplace.permissions import Actor, actor_of
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound
from marketplace.shared.money import Money
from marketplace.web import refusals
from marketplace.web.csv_export import csv_response
from marketplace.web.files import download as file_response
from marketplace.web.parts import Action, Crumb, Tab
from procurement import permissions
from procurement.models import Bid, BidFile, Lot, Tender
from procurement.queries import awards as award_queries
from procurement.queries import bids as bid_queries
from procurement.queries.awards import LotComparison
from procurement.rules.criteria import Question
from procurement.rules.lifecycle import AwardStatus, BidStatus, TenderStatus
from procurement.services import bid_roll, evaluation, protocols
from procurement.web import tender_page
from procurement.web.bid_parts import AnswerRow, CountsAs, answer_rows, counted

FLAGS = {
    "below_mean": gettext_lazy("Far below the mean of the others"),
    "below_next": gettext_lazy("Far below the next bid"),
}


class RejectForm(forms.Form):
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=2000,
        help_text=gettext_lazy("The supplier reads it, and so does whoever checks the procedure later."),
        widget=forms.Textarea({"rows": 4}),
    )


@require_safe
def protocol(request: HttpRequest, number: str) -> HttpResponse:
    """Who bid how much when, lot by lot, under whose signature. Others than the buyer read how many bid and who won."""
    at, actor = clock.now(), actor_of(request)
    tender = tender_page.own_tender(request, number)
    if tender.published_at is None:
        raise NotFound
    full = permissions.can_read_opened_bids(actor, tender)
    if actor.acts_for(tender.buyer_id) and not full:
        permissions.require_reader_of_opened_bids(actor, tender)
    found = bid_queries.opened_of_tender(tender, at).prefetch_related(
        "envelopes__signature__certificate", "envelopes__signature__stamp"
    )
    opened = list(found) if full else []
    by_lot = {lot.pk: lot for lot in tender.lots.prefetch_related("items")}
    for lot in by_lot.values():
        lot.tender = tender
    for bid in opened:
        bid.lot = by_lot[bid.lot_id]
    counts = bid_queries.counts_by_lot(tender) if full or tender.opened_at else {}
    awards = {award.lot_id: award for award in award_queries.of_tender(tender).filter(status=AwardStatus.ACTIVE.value)}
    lots = [
        {
            "lot": lot,
            "bids": [(bid, _counted(bid)) for bid in opened if bid.lot_id == lot.pk],
            "count": counts.get(lot.pk, 0),
            "award": awards.get(lot.pk),
        }
        for lot in by_lot.values()
    ]
    return render(
        request,
        "procurement/opening_protocol.html",
        {
            **tender_page.context(request, tender, "protocol"),
            "opened_lots": lots,
            "full": full,
            "opened": tender.opened_at is not None and tender.opened_at <= at,
            "in_auction": tender.status == TenderStatus.AUCTION,
            "roll": bid_roll.of(tender),
            "protocols": protocols.shown(tender, by=actor, at=at) if full else [],
            "may_sign_protocols": permissions.may_sign_protocols(actor, tender),
        },
    )


@require_safe
def comparison(request: HttpRequest, number: str, lot: int) -> HttpResponse:
    """Items by bidders, the best price of each marked; admitting, rejecting and the way to the award."""
    at, actor = clock.now(), actor_of(request)
    found = own_lot(actor, number, lot)
    tender = found.tender
    compared = award_queries.comparison(found, at)
    awards = list(award_queries.of_tender(tender).filter(lot=found))
    may_decide = actor.has(Role.OFFICER, Role.EVALUATOR) and tender.status in _DECIDING
    return render(
        request,
        "procurement/comparison.html",
        {
            **tender_page.context(request, tender, "protocol"),
            "lot": found,
            "compared": compared,
            "answers": _answers(found, compared),
            "effects": _effects(compared),
            "flags": FLAGS,
            "awards": awards,
            "live_award": next((award for award in awards if award.status == AwardStatus.ACTIVE), None),
            "may_decide": may_decide,
            "undecided": sum(bid.status == BidStatus.OPENED for _column, bid in compared.columns),
            "lot_tabs": _tabs(tender, found),
            "action": _award_action(actor, found, compared),
            "actions": [],
            "next_step": next_step(tender, at),
            "opened": tender.opened_at is not None,
            "in_auction": tender.status == TenderStatus.AUCTION,
            "export_url": reverse("comparison_csv", args=[number, lot]),
        },
    )


@require_safe
def comparison_csv(request: HttpRequest, number: str, lot: int) -> HttpResponseBase:
    at, actor = clock.now(), actor_of(request)
    found = own_lot(actor, number, lot)
    compared = award_queries.comparison(found, at)
    head = [_("Number"), _("Item"), _("Quantity"), _("Unit")]
    for _column, bid in compared.columns:
        head += [f"{bid.supplier.short_name}: {_('unit price')}", f"{bid.supplier.short_name}: {_('amount')}"]
    return csv_response(f"{tender_file_name(found)}-comparison", head, _csv_rows(compared))


@require_POST
def admit_all(request: HttpRequest, number: str, lot: int) -> HttpResponse:
    actor = actor_of(request)
    found = own_lot(actor, number, lot)
    return _decided(request, found, lambda at: evaluation.admit_all(found.pk, by=actor, at=at), _("All are admitted."))


@require_POST
def admit(request: HttpRequest, number: str, bid_id: int) -> HttpResponse:
    actor = actor_of(request)
    bid = opened_bid(actor, number, bid_id)
    return _decided(request, bid.lot, lambda at: evaluation.admit(bid.pk, by=actor, at=at), _("The bid is admitted."))


@require_http_methods(["GET", "HEAD", "POST"])
def reject(request: HttpRequest, number: str, bid_id: int) -> HttpResponse:
    actor = actor_of(request)
    bid = opened_bid(actor, number, bid_id)
    permissions.require_evaluator(actor, bid.lot)
    back = reverse("comparison", args=[number, bid.lot.number])
    form = RejectForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            evaluation.reject(bid.pk, form.cleaned_data["reason"], by=actor, at=clock.now())
        except DomainError as error:
            if error.status in (403, 404):
                raise
            refusals.show_on(form, error)
        else:
            messages.success(request, _("The bid is rejected, and the supplier is told why."))
            return redirect(back)
    return render(
        request,
        "confirm.html",
        {
            "title": _("Reject the bid of %(supplier)s?") % {"supplier": bid.supplier.short_name},
            "text": _("It takes no part in the award. This cannot be undone."),
            "submit_label": _("Reject the bid"),
            "back_url": back,
            "form": form,
            "danger": True,
        },
        status=422 if form.errors else 200,
    )


@require_safe
def download(request: HttpRequest, number: str, bid_id: int, file_id: int) -> HttpResponseBase:
    """A document of an opened bid."""
    bid = opened_bid(actor_of(request), number, bid_id)
    document = BidFile.objects.filter(bid=bid, pk=file_id, opened__isnull=False).select_related("opened").first()
    if document is None or document.opened is None:
        raise NotFound
    return file_response(document.opened)


# Shared by the buyer's pages --------------------------------------------------------------------------------------

_DECIDING = (TenderStatus.EVALUATION, TenderStatus.AWARDING)


def own_tender(actor: Actor, number: str) -> Tender:
    """The buyer's own published tender, for a person who may read its opened bids."""
    tender = Tender.objects.select_related("buyer").filter(number=number, published_at__isnull=False).first()
    if tender is None:
        raise NotFound
    permissions.require_reader_of_opened_bids(actor, tender)
    return tender


def own_lot(actor: Actor, number: str, lot: int) -> Lot:
    tender = own_tender(actor, number)
    found = Lot.objects.filter(tender=tender, number=lot).first()
    if found is None:
        raise NotFound
    found.tender = tender
    return found


def opened_bid(actor: Actor, number: str, bid_id: int) -> Bid:
    """An opened bid of the buyer's own tender; a sealed one is not there."""
    tender = own_tender(actor, number)
    bid = bid_queries.opened_of_tender(tender, clock.now()).select_related("lot").filter(pk=bid_id).first()
    if bid is None:
        raise NotFound
    bid.lot.tender = tender
    return bid


def crumbs_of(tender: Tender) -> list[Crumb]:
    """The way back from the pages that the buyer alone has."""
    return [Crumb(_("We buy"), reverse("my_tenders")), Crumb(tender.number, tender.get_absolute_url())]


def tender_file_name(lot: Lot) -> str:
    return f"{lot.tender.number}-{lot.number}"


def next_step(tender: Tender, at: datetime) -> str:
    """What happens next, in the buyer's words."""
    if tender.status == TenderStatus.STANDSTILL and tender.standstill_ends_at and tender.standstill_ends_at <= at:
        return _("The standstill is over. What remains are the signatures of the contracts.")
    words = {
        TenderStatus.PUBLISHED: _("Bids are sealed. They are opened by themselves when the time for bids is over."),
        TenderStatus.EVALUATION: _("Admit or reject every bid; then the lots can be awarded."),
        TenderStatus.AUCTION: _("The live auction decides the prices; after it the lots can be awarded."),
        TenderStatus.AWARDING: _("Award each lot to the best bid, or to another with a reason."),
        TenderStatus.STANDSTILL: _("The award stands still; after that the contracts are signed."),
        TenderStatus.UNSUCCESSFUL: tender.closing_reason,
        TenderStatus.CANCELLED: tender.closing_reason,
        TenderStatus.COMPLETE: _("The contracts are signed by both sides."),
    }
    return words.get(TenderStatus(tender.status), "")


def _decided(request: HttpRequest, lot: Lot, decide: Any, words: str) -> HttpResponse:
    try:
        decide(clock.now())
    except DomainError as error:
        if error.status in (403, 404):
            raise
        messages.error(request, str(error))
    else:
        messages.success(request, words)
    return redirect("comparison", lot.tender.number, lot.number)


def _tabs(tender: Tender, current: Lot) -> list[Tab]:
    lots = list(tender.lots.all())
    if len(lots) < 2:
        return []
    return [
        Tab(str(lot), reverse("comparison", args=[tender.number, lot.number]), current=lot.pk == current.pk)
        for lot in lots
    ]


def _award_action(actor: Actor, lot: Lot, compared: LotComparison) -> Action | None:
    tender = lot.tender
    if tender.status not in _DECIDING or lot.status != "active" or not compared.columns:
        return None
    url = reverse("award", args=[tender.number, lot.number])
    if not actor.has(Role.SIGNER):
        return Action(
            _("Award the lot"), url, icon="trophy", allowed=False, reason=_("A signer of your organisation awards.")
        )
    if tender.status == TenderStatus.EVALUATION:
        reason = _("Every bid of every lot has to be admitted or rejected first.")
        return Action(_("Award the lot"), url, icon="trophy", allowed=False, reason=reason)
    return Action(_("Award the lot"), url, icon="trophy")


def _counted(bid: Bid) -> CountsAs | None:
    total = None if bid.amount is None else Money(bid.amount, bid.currency)
    return counted(bid, bid.lot.answers(bid.answers), total)


def _effects(compared: LotComparison) -> list[CountsAs]:
    """What each column's total counts as; empty where the price alone counts."""
    found = [_counted(bid) for _column, bid in compared.columns]
    return [counts for counts in found if counts is not None]


def _answers(lot: Lot, compared: LotComparison) -> list[tuple[Question, list[AnswerRow]]]:
    """What counts besides the price, each with the answers in the columns' order."""
    given = [answer_rows(lot.answers(bid.answers)) for _column, bid in compared.columns]
    return [(question, [rows[n] for rows in given]) for n, question in enumerate(lot.tender.price_criteria.questions)]


def _csv_rows(compared: LotComparison) -> Iterator[list[Any]]:
    for row in compared.rows:
        line: list[Any] = [row.item.number, row.item.description, row.item.quantity, str(row.item.unit_name)]
        for cell in row.cells:
            line += [cell.unit_price, cell.amount]
        yield line
    total: list[Any] = ["", _("Total"), "", ""]
    rank: list[Any] = ["", _("Rank"), "", ""]
    for column, bid in compared.columns:
        total += ["", Money(column.total, bid.currency).rounded().amount]
        rank += ["", column.rank]
    yield total
    for question, answers in _answers(compared.lot, compared):
        yield ["", question.name, "", "", *(cell for row in answers for cell in ("", row.answer.plain))]
    if effects := _effects(compared):
        yield ["", _("Counts as"), "", "", *(cell for counts in effects for cell in ("", counts.amount.amount))]
    yield rank
