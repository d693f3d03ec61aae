"""Preparing a bid: the price table that saves itself, remarks and documents."""

from __future__ import annotations

import re
import tempfile
from datetime import datetime
from typing import Any, Final

from django.conf import settings
from django.contrib import messages
from django.http import FileResponse, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from marketplace.models import Role
from marketplace.permissions import Actor, actor_of
from marketplace.services import files
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, Invalid, NotFound, StaleForm
from marketplace.shared.money import Money, minor_unit
from marketplace.web import bundle
from procurement import permissions
from procurement.models import Bid, BidFile
from procurement.queries import bids as bid_queries
from procurement.rules.ranking import Direction
from procurement.services import bid_checks, bid_content, bid_documents, bid_drafts, bid_uploads
from procurement.services import bids as service
from procurement.services.bid_drafts import Draft, DraftDocument
from procurement.web.bid_parts import (
    amendments_since,
    answer_rows,
    attachment,
    counted,
    crumbs_of,
    documents_of,
    item_lines,
    own_bid,
)

#: Numbers of rows and revisions as forms send them: Python reads no number of thousands of digits.
_NUMBER: Final = re.compile(r"[0-9]{1,18}")
_MIB: Final = 1024 * 1024
_PRICE: Final = re.compile(r"price_[0-9]{1,18}")


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, bid_id: int) -> HttpResponse:
    """The price table, remarks and documents. Saves itself as it is filled in, and as a whole without JavaScript."""
    at, actor = clock.now(), actor_of(request)
    bid = own_bid(actor, bid_id)
    permissions.require_bid_manager(actor, bid.supplier_id)
    if request.method == "POST":
        if request.headers.get("X-Autosave"):
            return _autosave(request, bid, actor, at)
        return _save_and_go_on(request, bid, actor, at)
    if not bid_queries.is_open(bid.lot, at) or bid.status not in bid_drafts.EDITABLE:
        return redirect("bid", bid.pk)
    return _edit_page(request, bid, bid_drafts.read_draft(bid, by=actor), at)


@require_POST
def review(request: HttpRequest, bid_id: int) -> HttpResponse:
    """Seal the bid as it stands, and go to the page where it is signed."""
    actor, at = actor_of(request), clock.now()
    bid = own_bid(actor, bid_id)
    try:
        prepared = service.prepare_submission(bid.pk, by=actor, at=at)
    except Invalid as error:
        draft = bid_drafts.read_draft(bid, by=actor)
        return _edit_page(request, bid, draft, at, status=error.status, checked=True)
    except DomainError as error:
        if error.status in (403, 404):
            raise
        messages.error(request, str(error))
        return redirect("bid_edit", bid.pk)
    return redirect("bid_sign", bid.pk, prepared.nonce)


@require_safe
def download_file(request: HttpRequest, bid_id: int, file_id: int) -> FileResponse:
    """A document of the own bid, decrypted for its owner."""
    actor = actor_of(request)
    bid = own_bid(actor, bid_id)
    document = BidFile.objects.filter(bid=bid, pk=file_id).first()
    if document is None:
        raise NotFound
    document.bid = bid
    if document.opened is not None:
        return attachment(files.open_file(document.opened), document.name, document.media_type)
    plain = tempfile.TemporaryFile()  # noqa: SIM115  # the response closes it
    about = bid_documents.read(document, plain, by=actor)
    plain.seek(0)
    return attachment(plain, about.name, about.media_type)


@require_POST
def remove_file(request: HttpRequest, bid_id: int, file_id: int) -> HttpResponse:
    actor = actor_of(request)
    bid_documents.remove(own_bid(actor, bid_id).pk, file_id, by=actor, at=clock.now())
    messages.success(request, _("The document was removed from the bid."))
    return redirect(reverse("bid_edit", args=[bid_id]) + "#documents")


@require_http_methods(["GET", "HEAD", "POST"])
def discard(request: HttpRequest, bid_id: int) -> HttpResponse:
    actor = actor_of(request)
    bid = own_bid(actor, bid_id)
    permissions.require_bid_manager(actor, bid.supplier_id)
    if request.method == "POST":
        bid_drafts.discard(bid.pk, by=actor, at=clock.now())
        messages.success(request, _("The draft was thrown away."))
        # That page has the browser forget what it kept.
        return redirect("my_bids") if bid_drafts.kept_here(bid.lot.tender) else redirect("bid", bid.pk)
    return render(
        request,
        "confirm.html",
        {
            "title": _("Throw this draft away?"),
            "text": _("Prices, remarks and documents are erased. Nothing was sent, so nobody is told."),
            "submit_label": _("Throw it away"),
            "back_url": reverse("bid", args=[bid.pk]),
            "danger": True,
        },
    )


def _autosave(request: HttpRequest, bid: Bid, actor: Actor, at: datetime) -> HttpResponse:
    prices, remarks, revision = _typed(request)
    answers = _answered(request, bid)
    try:
        saved = bid_drafts.save(
            bid.pk, prices=prices, remarks=remarks, answers=answers, revision=revision, by=actor, at=at
        )
    except DomainError as error:
        return JsonResponse({"code": error.code, "detail": str(error)}, status=error.status)
    draft = bid_drafts.read_draft(saved, by=actor)
    table = bid_drafts.price_table(saved.lot, draft)
    checks = render_to_string("procurement/_bid_checks.html", {"checks": bid_checks.checks(saved, draft, table, at=at)})
    answer = JsonResponse(
        {
            "revision": saved.revision,
            "total": f"{table.total}",
            "complete": table.complete,
            "parts": {"checks": checks},
        }
    )
    answer["X-Revision"] = str(saved.revision)
    return answer


def _save_and_go_on(request: HttpRequest, bid: Bid, actor: Actor, at: datetime) -> HttpResponse:
    """Save what was typed, then do what the pressed button says: stay, add the chosen document, or review."""
    prices, remarks, revision = _typed(request)
    answers = _answered(request, bid)
    try:
        bid = bid_drafts.save(
            bid.pk, prices=prices, remarks=remarks, answers=answers, revision=revision, by=actor, at=at
        )
        for upload in request.FILES.getlist("file"):
            bid_documents.add(bid.pk, upload, by=actor, at=at)
    except DomainError as error:
        if error.status in (403, 404):
            raise
        kept = bid_drafts.read_draft(bid, by=actor)
        typed = Draft({**kept.prices, **prices}, remarks, kept.documents, {**kept.answers, **answers})
        return _edit_page(request, bid, typed, at, error=error, status=error.status)
    if request.POST.get("then") == "review":
        return review(request, bid.pk)
    messages.success(request, _("Saved. Nothing has been sent yet."))
    return redirect("bid_edit", bid.pk)


def _typed(request: HttpRequest) -> tuple[dict[int, str], str, int]:
    prices = {
        int(name.removeprefix("price_")): str(value) for name, value in request.POST.items() if _PRICE.fullmatch(name)
    }
    revision = request.POST.get("revision", "")
    remarks = request.POST.get("remarks", "").replace("\r\n", "\n")
    return prices, remarks, int(revision) if _NUMBER.fullmatch(revision) else 0


def _answered(request: HttpRequest, bid: Bid) -> dict[str, str]:
    """The answers that were sent, by the question's name. A field is named after its question: one that was amended
    meanwhile has no answer yet."""
    questions = bid.lot.tender.price_criteria.questions
    sent = {question.name: request.POST.get(f"answer_{question.key}") for question in questions}
    return {name: text for name, text in sent.items() if text is not None}


def _sealing(bid: Bid, draft: Draft) -> dict[str, Any]:
    """What the page's script needs to seal the bid: assets/src/sealing.ts."""
    unfinished = {upload.file_id: upload for upload in bid_uploads.unfinished(bid)}
    documents = [
        {
            "id": document.pk,
            "name": about.name,
            "media_type": about.media_type,
            "size": document.size,
            "sha256": about.sha256,
            "arrived": document.pk not in unfinished and bool(document.sealed_path),
        }
        for document in bid.files.filter(removed_at=None)
        for about in [draft.documents.get(document.pk, DraftDocument(""))]
    ]
    return {
        "terms": bid_content.terms(bid),
        "limits": {
            "file_bytes": settings.BID_FILE_MAX_BYTES,
            "bid_bytes": settings.BID_MAX_BYTES,
            "files": bid_content.FILES_AT_MOST,
            "types": {extension: kind.media_type for extension, kind in files.DOCUMENT_TYPES.items()},
        },
        "documents": documents,
        "problems": {problem.value: str(sentence) for problem, sentence in bid_checks.PRICE_PROBLEMS.items()},
        "answerProblems": {problem.value: str(sentence) for problem, sentence in bid_checks.ANSWER_PROBLEMS.items()},
        "keptHere": bid_drafts.kept_here(bid.lot.tender),
        "uploads": reverse("api_bid_uploads", args=[bid.pk]),
        "prepare": reverse("api_bid_prepare_sealed", args=[bid.pk]),
        "sign": reverse("bid_sign", args=[bid.pk, "NONCE"]),
        "worker": bundle.url("sealing-worker.js"),
        "workerIntegrity": bundle.integrity("sealing-worker.js"),
    }


def _edit_page(
    request: HttpRequest,
    bid: Bid,
    draft: Draft,
    at: datetime,
    *,
    error: DomainError | None = None,
    status: int = 200,
    checked: bool = False,
) -> HttpResponse:
    """`checked` marks every line that is not a price yet; otherwise only what was typed wrongly is marked."""
    lot, tender = bid.lot, bid.lot.tender
    table = bid_drafts.price_table(lot, draft)
    lines = item_lines(lot, table, mark_missing=checked)
    answers = bid_drafts.answers_of(lot, draft)
    questions = answer_rows(answers, mark_missing=checked)
    total = Money(table.total, bid.currency)
    actor = actor_of(request)
    # What the person sees is what is kept now; the next save goes on from there.
    current = Bid.objects.only("revision").get(pk=bid.pk)
    response = render(
        request,
        "procurement/bid_edit.html",
        {
            "bid": bid,
            "revision": current.revision,
            "lot": lot,
            "tender": tender,
            "crumbs": crumbs_of(lot, bid),
            "lines": lines,
            "table": table,
            "total": total,
            "questions": questions,
            "counts_as": counted(bid, answers, total if table.priced else None),
            "lots_limit": Money(lot.limit_price, bid.currency) if lot.limit_price is not None else None,
            "limit": Money(table.limit, bid.currency) if table.limit is not None else None,
            "is_sale": table.direction is Direction.UP,
            "digits": max(0, -int(minor_unit(bid.currency).as_tuple().exponent)),
            "draft": draft,
            "documents": documents_of(bid, draft, editing=True),
            "kept_here": bid_drafts.kept_here(tender),
            "sealing": _sealing(bid, draft),
            "amendments": amendments_since(bid),
            "accept": files.ACCEPT,
            "files_most": bid_content.FILES_AT_MOST,
            "file_mb": settings.BID_FILE_MAX_BYTES // _MIB,
            "bid_mb": settings.BID_MAX_BYTES // _MIB,
            "checks": bid_checks.checks(bid, draft, table, at=at)
            if bid_drafts.kept_here(tender)
            else bid_checks.entitlement_checks(bid, at=at),
            "errors": [
                *((row.item.description, f"price_{row.item.pk}", row.error) for row in lines if row.error),
                *((row.question.name, row.name, row.error) for row in questions if row.error),
            ]
            if checked
            else [],
            "sentence": str(error) if error else "",
            "error_field": error.field if error else "",
            "changes": error.changes if isinstance(error, StaleForm) else [],
            "may_sign": actor.has(Role.SIGNER),
            "remarks_length": bid_content.REMARKS_LENGTH,
        },
        status=status,
    )
    # The page's script fetches the worker under its hash and starts those very bytes: from an address the browser would
    # fetch it a second time, and compare nothing.
    response._csp_replace = {"worker-src": ["blob:"]}  # type: ignore[attr-defined]  # django-csp's own hook
    return response
