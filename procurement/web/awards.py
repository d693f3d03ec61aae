"""Awarding a lot: the proposal, its signature, and what happens when a winner falls away."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods

from marketplace.permissions import actor_of
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound
from marketplace.shared.money import Money
from marketplace.web import refusals
from marketplace.web.parts import Crumb, Fact
from marketplace.web.signing_page import own_request, signing_page
from procurement import permissions
from procurement.models import Award, Lot
from procurement.queries import awards as award_queries
from procurement.queries import bids as bid_queries
from procurement.rules.lifecycle import AwardStatus
from procurement.services import awards as service
from procurement.web.bid_parts import counted
from procurement.web.opening import FLAGS, crumbs_of, own_lot


class AwardForm(forms.Form):
    """The winner, chosen among the admitted bids best first, and why."""

    bid = forms.TypedChoiceField(label=gettext_lazy("Winner"), coerce=int, widget=forms.RadioSelect)
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        required=False,
        max_length=2000,
        help_text=gettext_lazy("Needed when the winner is not the best-ranked bid. The other bidders read it."),
        widget=forms.Textarea({"rows": 3}),
    )


class FallAwayForm(forms.Form):
    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=2000,
        help_text=gettext_lazy("For example: documents missing, security not given, refused to sign."),
        widget=forms.Textarea({"rows": 4}),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def propose(request: HttpRequest, number: str, lot: int) -> HttpResponse:
    """Choose the winner; a post prepares the award for the signature."""
    at, actor = clock.now(), actor_of(request)
    found = own_lot(actor, number, lot)
    permissions.require_awarder(actor, found)
    compared = award_queries.comparison(found, at)
    standing = [
        (column, bid, counted(bid, found.answers(bid.answers), Money(column.total, bid.currency)))
        for column, bid in compared.columns
        if bid.status in bid_queries.STANDING
    ]
    pending = Award.objects.filter(lot=found, status=AwardStatus.PENDING.value).first()
    best = standing[0][1].pk if standing else None
    form = AwardForm(request.POST or None, initial={"bid": pending.bid_id if pending else best})
    form.fields["bid"].choices = [(bid.pk, bid.supplier.short_name) for _column, bid, _counts in standing]  # type: ignore[attr-defined]
    if request.method == "POST" and form.is_valid():
        try:
            chosen, reason = form.cleaned_data["bid"], form.cleaned_data["reason"]
            prepared = service.propose(found.pk, chosen, reason, by=actor, at=at)
        except DomainError as error:
            if error.status in (403, 404):
                raise
            refusals.show_on(form, error)
        else:
            return redirect("award_sign", number, lot, prepared.nonce)
    return render(
        request,
        "procurement/award.html",
        {
            "tender": found.tender,
            "lot": found,
            "form": form,
            "standing": standing,
            "chosen": str(form["bid"].value()),
            "flags": FLAGS,
            "crumbs": _crumbs(found),
            "back_url": reverse("comparison", args=[number, lot]),
        },
        status=422 if form.errors else 200,
    )


@require_http_methods(["GET", "HEAD", "POST"])
def sign(request: HttpRequest, number: str, lot: int, nonce: str) -> HttpResponse:
    """The award in plain words, and the signature that puts it in force."""
    at, actor = clock.now(), actor_of(request)
    found = own_lot(actor, number, lot)
    award = Award.objects.filter(lot=found).select_related("bid__supplier").order_by("-pk").first()
    if award is None:
        raise NotFound
    prepared = own_request(request, nonce, service.AWARD, "award", award.pk)

    return signing_page(
        request,
        prepared,
        at=at,
        arguments={"idempotency_key": nonce},
        done_url=lambda _award: reverse("comparison", args=[number, lot]),
        done_words=lambda _award: _("The lot is awarded. All bidders are told."),
        back_url=reverse("award", args=[number, lot]),
        title=_("Sign the award"),
        facts=_facts(award, found),
        submit_label=_("Sign and award the lot"),
        crumbs=_crumbs(found),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def fall_away(request: HttpRequest, number: str, lot: int) -> HttpResponse:
    """The winner falls away, with a reason; the next-ranked bid is proposed."""
    at, actor = clock.now(), actor_of(request)
    found = own_lot(actor, number, lot)
    permissions.require_awarder(actor, found)
    award = award_queries.of_tender(found.tender).filter(lot=found, status=AwardStatus.ACTIVE.value).first()
    if award is None:
        raise NotFound
    form = FallAwayForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            following = service.fall_away(award.pk, form.cleaned_data["reason"], by=actor, at=at)
        except DomainError as error:
            if error.status in (403, 404):
                raise
            refusals.show_on(form, error)
        else:
            return _after_fall(request, found, following)
    return render(
        request,
        "confirm.html",
        {
            "title": _("Does %(winner)s fall away?") % {"winner": award.bid.supplier.short_name},
            "text": _("Its bid is rejected with this reason, and the next-ranked bid is proposed for the award."),
            "submit_label": _("The winner falls away"),
            "back_url": reverse("comparison", args=[number, lot]),
            "form": form,
            "danger": True,
        },
        status=422 if form.errors else 200,
    )


def _after_fall(request: HttpRequest, lot: Lot, following: Award | None) -> HttpResponse:
    if following is None:
        messages.warning(request, _("Nobody else is left: the lot is unsuccessful."))
        return redirect("comparison", lot.tender.number, lot.number)
    words = _("The next-ranked bid is that of %(supplier)s. Award the lot to it, or to another with a reason.")
    messages.success(request, words % {"supplier": following.bid.supplier.short_name})
    return redirect("award", lot.tender.number, lot.number)


def _facts(award: Award, lot: Lot) -> list[Fact]:
    tender = lot.tender
    vat = _("VAT included") if tender.vat_included else _("VAT not included")
    facts: list[Any] = [
        Fact(_("You do"), _("Award a lot")),
        Fact(_("Procedure"), f"{tender.number} · {tender.title}"),
        Fact(_("Lot"), str(lot)),
        Fact(_("Winner"), award.bid.supplier.full_name),
        Fact(_("Price"), Money(award.amount, award.currency)),
        *_own_bid(award),
        Fact(_("VAT"), vat),
        Fact(_("Reason"), award.reason),
    ]
    return facts


def _own_bid(award: Award) -> list[Fact]:
    """Where the price is not the winner's own: its bid beside it."""
    if award.bid.amount is None or award.bid.amount == award.amount:
        return []
    return [Fact(_("Its own bid"), Money(award.bid.amount, award.currency))]


def _crumbs(lot: Lot) -> list[Crumb]:
    url = reverse("comparison", args=[lot.tender.number, lot.number])
    return [*crumbs_of(lot.tender), Crumb(_("Comparison of lot %(lot)s") % {"lot": lot.number}, url)]
