"""Receipts of bids: shown, downloaded, and checked for anybody who holds one."""

from __future__ import annotations

import base64
from datetime import datetime
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from marketplace.permissions import Actor, actor_of
from marketplace.services import arrival_receipts
from marketplace.services.signing_words import ACTIONS
from marketplace.shared import keys
from marketplace.shared.errors import NotFound
from marketplace.signatures.payload import sha256_hex
from marketplace.web.parts import Crumb, Fact
from procurement import permissions
from procurement.models import BidEnvelope
from procurement.services import bid_roll, receipts


@require_safe
def receipt(request: HttpRequest, bid_id: int, version: int) -> HttpResponse:
    """What the platform confirmed about one envelope."""
    envelope = _own_envelope(actor_of(request), bid_id, version)
    bid = envelope.bid
    return render(
        request,
        "procurement/bid_receipt.html",
        {
            "envelope": envelope,
            "bid": bid,
            "tender": bid.lot.tender,
            "lot": bid.lot,
            "content": envelope.receipt["content"],
            "signature": envelope.signature,
            "crumbs": [
                Crumb(_("Our bids"), reverse("my_bids")),
                Crumb(_("Bid"), reverse("bid", args=[bid.pk])),
            ],
        },
    )


@require_safe
def download(request: HttpRequest, bid_id: int, version: int, kind: str) -> HttpResponse:
    """The signed receipt as a file: `received` or `withdrawn`."""
    envelope = _own_envelope(actor_of(request), bid_id, version)
    document = {"received": envelope.receipt, "withdrawn": envelope.withdrawal_receipt}.get(kind)
    if document is None:
        raise NotFound
    response = HttpResponse(receipts.as_bytes(document), content_type="application/json")
    response["Content-Disposition"] = f'attachment; filename="receipt-{bid_id}-{version}-{kind}.json"'
    response["Cache-Control"] = "private, no-store"
    return response


@require_http_methods(["GET", "HEAD", "POST"])
def verify(request: HttpRequest) -> HttpResponse:
    """Whether a receipt is genuine, for whoever holds it; without logging in."""
    context: dict[str, Any] = {
        "keys": [
            (key_id, base64.b64encode(public).decode(), sha256_hex(public))
            for key_id, public in keys.keyring().receipt_public_keys().items()
        ]
    }
    if request.method == "POST":
        upload = request.FILES.get("receipt")
        if upload is None:
            context["missing"] = _("Choose the file of the receipt or the proof.")
        else:
            context |= _checked(upload.read(receipts.LARGEST_RECEIPT + 1))
    return render(request, "procurement/receipt_verify.html", context)


def _checked(document: bytes) -> dict[str, Any]:
    """The verdict on a receipt, or on a proof that a bid stands on the roll."""
    if bid_roll.is_proof(document):
        proof = bid_roll.check(document)
        return {"proof": proof, "facts": _proof_facts(proof)}
    verdict = receipts.verify(document)
    return {"verdict": verdict, "facts": _facts(verdict)}


def _proof_facts(verdict: bid_roll.ProofVerdict) -> list[Fact]:
    leaf, content = verdict.leaf, verdict.content
    if leaf is None or content is None:
        return []
    received, closed = (datetime.fromisoformat(str(at)) for at in (leaf["received_at"], content["closed_at"]))
    return [
        Fact(_("Procedure"), leaf["tender"]),
        Fact(_("Lot"), leaf["lot"]),
        Fact(_("Version of the bid"), leaf["bid_version"]),
        Fact(_("Received"), f"{received:%Y-%m-%d %H:%M:%S.%f} UTC"),
        Fact(_("Roll closed"), f"{closed:%Y-%m-%d %H:%M:%S.%f} UTC"),
        Fact(_("Bids on the roll"), content["size"]),
        Fact(_("Root (SHA-256)"), content["root"]),
        Fact(_("SHA-256 of the signature"), leaf["signature_sha256"]),
    ]


def _facts(verdict: receipts.Verdict) -> list[Fact]:
    content = verdict.content
    # The platform signs other things with the same key, which are no receipts.
    if not verdict.genuine or "received_at" not in content:
        return []
    kinds = {receipts.RECEIVED: _("A bid was received"), receipts.WITHDRAWN: _("A bid was withdrawn")}
    received = datetime.fromisoformat(str(content["received_at"]))
    if content.get("kind") == arrival_receipts.KIND:
        return [
            Fact(_("What happened"), _("A signature was received")),
            Fact(_("Action"), ACTIONS.get(content["action"], content["action"])),
            Fact(_("Organisation"), ", ".join(content["organisation"])),
            Fact(_("Received"), f"{received:%Y-%m-%d %H:%M:%S.%f} UTC"),
            Fact(_("SHA-256 of what was signed"), content["signed_payload_sha256"]),
            Fact(_("SHA-256 of the signature"), content["signature_sha256"]),
        ]
    return [
        Fact(_("What happened"), kinds.get(content.get("kind", ""), "")),
        Fact(_("Procedure"), content.get("tender")),
        Fact(_("Lot"), content.get("lot")),
        Fact(_("Version of the bid"), content.get("bid_version")),
        Fact(_("Received"), f"{received:%Y-%m-%d %H:%M:%S.%f} UTC"),
        Fact(_("Supplier"), f"{content.get('supplier_name')} ({', '.join(content.get('supplier', []))})"),
        Fact(_("Signed by"), content.get("signer")),
        Fact(_("SHA-256 of the sealed content"), content.get("content", {}).get("sha256")),
    ]


def _own_envelope(actor: Actor, bid_id: int, version: int) -> BidEnvelope:
    envelope = (
        BidEnvelope.objects.filter(bid=bid_id, version=version)
        .select_related(
            "bid__lot__tender", "bid__supplier", "signature__certificate", "signature__person", "signature__stamp"
        )
        .first()
    )
    if envelope is None:
        raise NotFound
    permissions.require_bidder(actor, envelope.bid)
    return envelope
