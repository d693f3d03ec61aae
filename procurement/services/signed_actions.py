"""What is done under signatures here: how each is carried out when its verdict comes late, and what waits for it.

A bid counts as received when its signature was. Everything else takes effect when its signature is judged: it begins
periods for others, and changes what they saw meanwhile. docs/decisions/0013-signatures-that-wait.md has the reasons.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.urls import reverse
from django.utils.translation import gettext as _

from marketplace.models import SigningRequest
from marketplace.services.signing_words import ACTIONS as NAMES
from marketplace.signatures.payload import parse
from marketplace.signed_actions import Sent, SignedAction
from procurement.models import BidEnvelope, ProtocolKind, Tender
from procurement.services import (
    amendments,
    awards,
    bid_drafts,
    bid_verdicts,
    bids,
    cancellation,
    contracts,
    protocols,
    unopenable,
)

_KEY: Final = frozenset({"idempotency_key"})


# Bids ----------------------------------------------------------------------------------------------------------------


def _submit(sent: Sent, _at: datetime) -> BidEnvelope:
    return bids.submit(
        sent.request.pk, sent.cms, by=sent.by, at=sent.received_at, verdict=sent.verdict, **_key_of(sent)
    )


def _withdraw(sent: Sent, _at: datetime) -> BidEnvelope:
    return bids.withdraw(
        sent.request.pk, sent.cms, by=sent.by, at=sent.received_at, verdict=sent.verdict, **_key_of(sent)
    )


def _hold(request: SigningRequest) -> None:
    bid_drafts.keep_sealed(_tender_of(request).pk)
    bid_drafts.alone_with(int(request.object_id))


def _tender_of(request: SigningRequest) -> Tender:
    return Tender.objects.defer("search").get(lots__bids=int(request.object_id))


# The buyer's acts, and contracts -------------------------------------------------------------------------------------


def _amend(sent: Sent, at: datetime) -> Any:
    return amendments.sign(sent.request.pk, sent.cms, by=sent.by, at=at, verdict=sent.verdict)


def _cancel(sent: Sent, at: datetime) -> Any:
    return cancellation.sign(sent.request.pk, sent.cms, by=sent.by, at=at, verdict=sent.verdict)


def _declare_lost(sent: Sent, at: datetime) -> Any:
    return unopenable.declare(sent.request.pk, sent.cms, by=sent.by, at=at, verdict=sent.verdict)


def _sign_protocol(sent: Sent, at: datetime) -> Any:
    return protocols.sign(sent.request.pk, sent.cms, by=sent.by, at=at, verdict=sent.verdict)


def _award(sent: Sent, at: datetime) -> Any:
    return awards.decide(sent.request.pk, sent.cms, by=sent.by, at=at, verdict=sent.verdict, **_key_of(sent))


def _sign_contract(sent: Sent, at: datetime) -> Any:
    return contracts.sign(sent.request.pk, sent.cms, by=sent.by, at=at, verdict=sent.verdict, **_key_of(sent))


def _key_of(sent: Sent) -> Any:
    return {"idempotency_key": sent.arguments["idempotency_key"]}


def _content(request: SigningRequest) -> Any:
    return parse(bytes(request.payload))["content"]


def _about(request: SigningRequest) -> str:
    """As in: Send the bid · OL-2026-000123 · lot 1."""
    content = _content(request)
    named = content.get("contract") or content.get("tender", "")
    lot = content.get("lot")
    return " · ".join([str(NAMES[request.action]), str(named), *([_("lot %(lot)s") % {"lot": lot}] if lot else [])])


def _url_of_tender(request: SigningRequest) -> str:
    return Tender.objects.defer("search").get(pk=int(request.object_id)).get_absolute_url()


ACTIONS: Final = (
    SignedAction(
        bids.SUBMIT, _submit, _about, lambda request: reverse("bid", args=[request.object_id]), _KEY,
        last=lambda request, _received_at: bid_verdicts.judged_until(_tender_of(request)),
        binds_from=lambda request: _tender_of(request).tender_ends_at,
        hold=_hold,
        holds=lambda request: bid_verdicts.opening_of(_tender_of(request).pk),
    ),
    SignedAction(
        bids.WITHDRAW, _withdraw, _about, lambda request: reverse("bid", args=[request.object_id]), _KEY,
        last=lambda request, _received_at: bid_verdicts.judged_until(_tender_of(request)),
        binds_from=lambda request: _tender_of(request).tender_ends_at,
        hold=_hold,
        holds=lambda request: bid_verdicts.opening_of(_tender_of(request).pk),
    ),
    # What is left to bidders after an amendment is counted from its preparation: it waits no longer than it may be
    # signed, and never past the deadline, at which the service looks itself.
    SignedAction(amendments.ACTION, _amend, _about, _url_of_tender, last=lambda request, _at: request.expires_at),
    SignedAction(cancellation.ACTION, _cancel, _about, _url_of_tender),
    SignedAction(unopenable.ACTION, _declare_lost, _about, _url_of_tender),
    *(
        SignedAction(
            kind.value, _sign_protocol, _about,
            lambda request: reverse("opening_protocol", args=[_content(request)["tender"]]),
        )
        for kind in ProtocolKind
    ),
    SignedAction(
        awards.AWARD, _award, _about,
        lambda request: reverse("comparison", args=[_content(request)["tender"], _content(request)["lot"]]), _KEY,
    ),
    SignedAction(
        contracts.CONTRACT, _sign_contract, _about,
        lambda request: reverse("contract", args=[_content(request)["contract"]]), _KEY,
    ),
)  # fmt: skip
