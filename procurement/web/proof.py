"""What lets others check a procedure: the roll of bids, a bidder's proof, and the export of everything."""

from __future__ import annotations

from dataclasses import dataclass
from tempfile import SpooledTemporaryFile
from typing import Any, Final

from django.core.files.storage import default_storage
from django.http import FileResponse, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from marketplace.permissions import Actor, actor_of
from marketplace.shared import clock, keys
from marketplace.shared.errors import DomainError, NotFound
from marketplace.signatures.payload import sha256_hex
from marketplace.web.parts import Crumb
from procurement import permissions
from procurement.models import Bid, BidRoll, ExportStatus, ProcedureExport, RollLeaf, Tender
from procurement.rules.lifecycle import TenderStatus
from procurement.services import bid_roll, export_facts, export_jobs, exports
from procurement.web import tender_page

#: Leaves on a page.
_LEAVES: Final = 100
#: Up to so many bids the page compares what is stored with the roll by itself: a second's reading.
_COMPARED_AT_ONCE: Final = 200
#: Up to this size an archive stays in memory while it is built.
_IN_MEMORY: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Standing:
    """What the page of a bid says about the roll. `holds`: the bid as it is stored now is under the published root."""

    roll: BidRoll
    leaf: RollLeaf | None
    holds: bool

    @property
    def place(self) -> int:
        """From 1, by the leaves' hashes."""
        assert self.leaf is not None
        return RollLeaf.objects.filter(roll=self.roll, hash__lte=self.leaf.hash).count()


def standing_of(bid: Bid) -> Standing | None:
    """Where the bidder's own bid stands on the roll; None before there is one."""
    leaf = bid_roll.leaf_of(bid)
    if leaf is not None:
        return Standing(leaf.roll, leaf, bid_roll.holds(leaf))
    roll = bid_roll.of(bid.lot.tender)
    return Standing(roll, None, False) if roll is not None else None


@require_safe
def page(request: HttpRequest, number: str) -> HttpResponse:
    """The roll of bids for everybody, and the export for who may have one."""
    tender = _published(request, number)
    actor, roll = actor_of(request), bid_roll.of(tender)
    scope, compares = _scope(actor, tender), False
    if roll is not None and scope in ("buyer", "auditor"):
        compares = roll.size <= _COMPARED_AT_ONCE or "compare" in request.GET
    return render(
        request,
        "procurement/proof.html",
        {
            **tender_page.context(request, tender, "proof"),
            "roll": roll,
            **_leaves(roll, request.GET.get("after", "")),
            "key_prints": _key_prints(),
            "scope": scope,
            "scope_words": export_facts.scope_words(scope) if scope else "",
            "exports": ProcedureExport.objects.filter(tender=tender, requested_by=actor.person) if scope else [],
            "may_compare": scope in ("buyer", "auditor"),
            "faults": _faults(tender) if compares else None,
            "had_deadline": tender.status != TenderStatus.PUBLISHED,
        },
    )


@require_safe
def roll_file(request: HttpRequest, number: str) -> HttpResponse:
    """The signed statement, the leaves' hashes and the time stamp, for anybody."""
    roll = _roll(request, number)
    return _attached(export_facts.pretty(bid_roll.published(roll)), f"{number}-roll.json", "application/json")


@require_safe
def timestamp_file(request: HttpRequest, number: str) -> HttpResponse:
    """The authority's time stamp over the statement (RFC 3161)."""
    roll = _roll(request, number)
    if roll.timestamp is None:
        raise NotFound
    return _attached(bytes(roll.timestamp), f"{number}-roll.tsr", "application/timestamp-reply")


@require_safe
def bid_proof(request: HttpRequest, bid_id: int) -> HttpResponse:
    """The proof that the organisation's own bid stands on the roll."""
    bid = Bid.objects.select_related("lot__tender").defer("draft").filter(pk=bid_id).first()
    if bid is None:
        raise NotFound
    found = bid_roll.proof_of(bid, by=actor_of(request))
    response = _attached(export_facts.pretty(found), f"proof-{bid.lot.tender.number}-{bid_id}.json", "application/json")
    response["Cache-Control"] = "private, no-store"
    return response


@require_safe
def receipt_keys(request: HttpRequest) -> HttpResponse:
    """The public keys of receipts, as openlot-verify reads them."""
    return _attached(export_facts.pretty(exports.receipt_keys()), "receipt-keys.json", "application/json")


@require_POST
def export(request: HttpRequest, number: str) -> HttpResponseBase:
    """The archive, at once where it is small; otherwise the page on which it gets ready."""
    tender, actor, at = _published(request, number), actor_of(request), clock.now()
    reader = exports.reader_of(actor, tender, documents="documents" in request.POST)
    if not export_jobs.is_small(tender, reader):
        asked = export_jobs.ask(tender, by=actor, at=at, documents=reader.documents)
        return redirect("procedure_export_state", number, asked.pk)
    out = SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115 – the response closes it
    export_jobs.anchor(tender, reader, at=at, quickly=True)
    exports.build(tender, reader, out)  # type: ignore[arg-type]
    export_jobs.record(tender, by=actor, at=at)
    size = out.tell()
    out.seek(0)
    return _archive(out, f"{number}-{reader.scope}.zip", size)


@require_safe
def export_state(request: HttpRequest, number: str, export_id: int) -> HttpResponse:
    """How far the archive is; asked for again by itself until it is ready."""
    found = _own_export(request, number, export_id)
    done = export_jobs.progress_of(found)
    context: dict[str, Any] = {
        "export": found,
        "tender": found.tender,
        "done": done,
        "percent": min(99, 100 * done // max(1, found.total)),
        "waits": found.status in (ExportStatus.WAITING, ExportStatus.RUNNING),
        "crumbs": [Crumb(found.tender.number, reverse("tender_proof", args=[number]))],
    }
    fragment = request.headers.get("HX-Request") == "true"
    return render(request, "procurement/_export_state.html" if fragment else "procurement/export_state.html", context)


@require_safe
def export_file(request: HttpRequest, number: str, export_id: int) -> HttpResponseBase:
    found = _own_export(request, number, export_id)
    if found.status != ExportStatus.READY or not default_storage.exists(found.path):
        raise NotFound
    return _archive(default_storage.open(found.path, "rb"), f"{number}-{found.scope}.zip", found.size)


def _leaves(roll: BidRoll | None, after: str) -> dict[str, Any]:
    """A page of the roll's leaves, and after which the next begins."""
    found = bid_roll.page_of(roll, after, _LEAVES + 1) if roll is not None else []
    return {
        "leaves": found[:_LEAVES],
        "first_place": RollLeaf.objects.filter(roll=roll, hash__lte=after).count() + 1 if after else 1,
        "more_after": found[_LEAVES - 1] if len(found) > _LEAVES else "",
        "after": after,
    }


def _published(request: HttpRequest, number: str) -> Tender:
    tender = tender_page.own_tender(request, number)
    if tender.published_at is None:
        raise NotFound
    return tender


def _roll(request: HttpRequest, number: str) -> BidRoll:
    roll = bid_roll.of(_published(request, number))
    if roll is None:
        raise NotFound
    return roll


def _own_export(request: HttpRequest, number: str, export_id: int) -> ProcedureExport:
    found = export_jobs.of(export_id, by=actor_of(request))
    if found.tender.number != number:
        raise NotFound
    return found


def _scope(actor: Actor, tender: Tender) -> str:
    """The version of the export this person may have; empty for none."""
    try:
        return str(permissions.export_scope(actor, tender))
    except DomainError:
        return ""


def _faults(tender: Tender) -> list[str]:
    """What the stored bids and the roll disagree in, in words."""
    words = {
        bid_roll.Fault.ADDED: _("A bid is stored that does not stand on the roll."),
        bid_roll.Fault.CHANGED: _("A bid was changed after the roll was closed."),
        bid_roll.Fault.DROPPED: _("A bid was set aside after the roll was closed."),
        bid_roll.Fault.MISSING: _("A bid that stands on the roll is gone."),
        bid_roll.Fault.ROLL_CHANGED: _("The stored bids do not lead to the published root."),
    }
    return sorted({words[found.fault] for found in bid_roll.faults(tender)})


def _key_prints() -> list[tuple[str, str]]:
    """The receipt keys' names and fingerprints, for who checks elsewhere."""
    return [(name, sha256_hex(key)) for name, key in keys.keyring().receipt_public_keys().items()]


def _attached(content: bytes, name: str, media_type: str) -> HttpResponse:
    response = HttpResponse(content, content_type=media_type)
    response["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _archive(content: Any, name: str, size: int) -> HttpResponseBase:
    response = FileResponse(content, as_attachment=True, filename=name, content_type="application/zip")
    response["Content-Length"] = str(size)
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-store"
    return response
