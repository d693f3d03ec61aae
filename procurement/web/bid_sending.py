"""Sending and withdrawing a bid: exactly what is signed, and the signature."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from marketplace.permissions import actor_of
from marketplace.shared import clock
from marketplace.shared.money import Money, minor_unit
from marketplace.web.parts import Fact
from marketplace.web.signing_page import own_request, signing_page
from procurement.models import BidSealing
from procurement.queries import bids as bid_queries
from procurement.services import bid_drafts
from procurement.services import bids as service
from procurement.web.bid_parts import answer_rows, counted, crumbs_of, documents_of, item_lines, own_bid


@require_http_methods(["GET", "HEAD", "POST"])
def sign(request: HttpRequest, bid_id: int, nonce: str) -> HttpResponse:
    """Exactly what is sent, and the signature that sends it."""
    actor, at = actor_of(request), clock.now()
    bid = own_bid(actor, bid_id)
    prepared = own_request(request, nonce, service.SUBMIT, "bid", bid.pk)
    sealed = BidSealing.objects.filter(bid=bid, request=prepared).first()
    if request.method != "POST" and (sealed is None or sealed.revision != bid.revision):
        messages.error(request, str(service.ChangedSinceReview()))
        return redirect("bid", bid.pk)
    draft = bid_drafts.read_draft(bid, by=actor)
    table = bid_drafts.price_table(bid.lot, draft)
    tender = bid.lot.tender
    answers = bid_drafts.answers_of(bid.lot, draft)
    kept_here = bid_drafts.kept_here(tender)
    files = len(sealed.manifest["files"]) if sealed else 0

    return signing_page(
        request,
        prepared,
        at=at,
        arguments={"idempotency_key": nonce},
        done_url=lambda envelope: reverse("bid_receipt", args=[bid.pk, envelope.version]),
        done_words=lambda _envelope: _("Your bid was received and sealed. This is its receipt."),
        back_url=reverse("bid_edit", args=[bid.pk]),
        title=_("Sign and send the bid"),
        facts=[
            Fact(_("You do"), _("Replace the bid you sent") if bid.version else _("Send a bid")),
            Fact(_("Procedure"), f"{tender.number} · {tender.title}"),
            Fact(_("Lot"), str(bid.lot)),
            *([Fact(_("Total"), Money(table.total, bid.currency))] if kept_here else []),
            Fact(_("VAT"), _("included") if tender.vat_included else _("not included")),
            Fact(_("Documents"), str(files) if files else _("none")),
            Fact(_("For"), bid.supplier.full_name),
        ],
        submit_label=_("Sign and send the bid"),
        crumbs=crumbs_of(bid.lot, bid),
        template="procurement/bid_sign.html",
        context={
            "bid": bid,
            "kept_here": kept_here,
            "digits": max(0, -int(minor_unit(bid.currency).as_tuple().exponent)),
            "lot": bid.lot,
            "tender": tender,
            "lines": item_lines(bid.lot, table),
            "total": Money(table.total, bid.currency),
            "questions": answer_rows(answers),
            "counts_as": counted(bid, answers, Money(table.total, bid.currency)),
            "remarks": draft.remarks,
            "documents": documents_of(bid, draft),
        },
    )


@require_http_methods(["GET", "HEAD", "POST"])
def withdraw(request: HttpRequest, bid_id: int) -> HttpResponse:
    """Take a sent bid back, with a signature. The request prepared stays the same while the page is open."""
    actor, at = actor_of(request), clock.now()
    bid = own_bid(actor, bid_id)
    nonce = request.POST.get("signing_request") or request.GET.get("request", "")
    if not nonce:
        prepared = service.prepare_withdrawal(bid.pk, by=actor, at=at)
        return redirect(f"{request.path}?request={prepared.nonce}")
    prepared = own_request(request, nonce, service.WITHDRAW, "bid", bid.pk)
    envelope = bid_queries.standing_envelope(bid)

    if request.method != "POST" and "payload" not in request.GET and envelope is None:
        return redirect("bid", bid.pk)
    return signing_page(
        request,
        prepared,
        at=at,
        arguments={"idempotency_key": nonce},
        done_url=lambda done: reverse("bid_receipt", args=[bid.pk, done.version]),
        done_words=lambda _done: _("Your bid was withdrawn. It will not be opened."),
        back_url=reverse("bid", args=[bid.pk]),
        title=_("Withdraw the bid"),
        facts=[
            Fact(_("You do"), _("Withdraw a bid: it will not be opened")),
            Fact(_("Procedure"), f"{bid.lot.tender.number} · {bid.lot.tender.title}"),
            Fact(_("Lot"), str(bid.lot)),
            Fact(_("Version of the bid"), str(bid.version)),
            Fact(_("For"), bid.supplier.full_name),
        ],
        submit_label=_("Sign and withdraw the bid"),
        crumbs=crumbs_of(bid.lot, bid),
        context={"payload_url": f"?request={nonce}&payload", "action_url": f"{request.path}?request={nonce}"},
    )
