"""Signing the protocols of the opening and of the evaluation."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from marketplace.permissions import actor_of
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound
from marketplace.shared.money import Money
from marketplace.signatures.payload import parse
from marketplace.web.parts import Fact
from marketplace.web.signing_page import own_request, signing_page
from procurement import permissions
from procurement.models import ProtocolKind
from procurement.services import protocols
from procurement.web.opening import crumbs_of, own_tender


@require_POST
def prepare(request: HttpRequest, number: str, kind: str) -> HttpResponse:
    """Prepares what the protocol says now, and leads to the page that signs it."""
    actor, wanted = actor_of(request), _kind(kind)
    tender = own_tender(actor, number)
    permissions.require_protocol_signer(actor, tender)
    try:
        prepared = protocols.prepare(tender.pk, wanted, by=actor, at=clock.now())
    except DomainError as error:
        if error.status in (403, 404):
            raise
        messages.error(request, str(error))
        return redirect("opening_protocol", number)
    return redirect("protocol_sign", number, kind, prepared.nonce)


@require_http_methods(["GET", "HEAD", "POST"])
def sign(request: HttpRequest, number: str, kind: str, nonce: str) -> HttpResponse:
    actor, wanted = actor_of(request), _kind(kind)
    tender = own_tender(actor, number)
    permissions.require_protocol_signer(actor, tender)
    prepared = own_request(request, nonce, wanted.value, protocols.OBJECT, tender.pk)
    back = reverse("opening_protocol", args=[number])
    content = parse(bytes(prepared.payload))["content"]
    return signing_page(
        request,
        prepared,
        at=clock.now(),
        done_url=lambda _signed: back,
        done_words=lambda _signed: _("You have signed the protocol."),
        back_url=back,
        title=wanted.label,
        facts=_facts(wanted, content),
        submit_label=_("Sign the protocol"),
        crumbs=crumbs_of(tender),
        template="procurement/protocol_sign.html",
        context={"lots": _lots(content), "kind": wanted.value, "tender": tender},
    )


def _facts(kind: ProtocolKind, content: dict[str, Any]) -> list[Fact]:
    signs = {
        ProtocolKind.OPENING: _("that the bids above were opened as it says"),
        ProtocolKind.EVALUATION: _("that the bids above were decided as it says"),
    }
    facts = [
        Fact(_("You sign"), signs[kind]),
        Fact(_("Procedure"), f"{content['tender']} · {content['tender_title']}"),
        Fact(_("Opened"), f"{datetime.fromisoformat(content['opened_at']):%Y-%m-%d %H:%M:%S} UTC"),
    ]
    if "roll_root" in content:
        facts.append(Fact(_("Root of the roll of bids"), content["roll_root"]))
    return facts


def _lots(content: dict[str, Any]) -> list[dict[str, Any]]:
    """What the bytes say, with amounts and moments as pages write them."""
    return [{**lot, "bids": [_bid(bid) for bid in lot["bids"]]} for lot in content["lots"]]


def _bid(said: dict[str, Any]) -> dict[str, Any]:
    received = said.get("received_at")
    return {
        **said,
        "amount": Money(Decimal(said["amount"]), said["currency"]) if said["amount"] else None,
        "received_at": datetime.fromisoformat(received) if received else None,
    }


def _kind(kind: str) -> ProtocolKind:
    try:
        return ProtocolKind(kind)
    except ValueError:
        raise NotFound from None
