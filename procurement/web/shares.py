"""Shares of a committee’s key: who has one, who tried and who released it, and what to do when one is lost."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from marketplace.models import Role
from marketplace.permissions import Actor, actor_of, require_role
from marketplace.services import committee_keys
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound
from marketplace.signatures.committee import CommitteeKeyError, from_base64
from marketplace.signatures.payload import parse
from marketplace.web import refusals
from marketplace.web.forms import posted, whole_number
from marketplace.web.parts import Fact
from marketplace.web.signing_page import own_request, signing_page
from procurement.models import KeyCeremony, KeyCustody, KeyShare, Tender
from procurement.permissions import (
    can_run_tender,
    can_sign_for_tender,
    require_tender_run,
    require_tender_signed,
)
from procurement.queries import custody as queries
from procurement.rules.lifecycle import TenderStatus
from procurement.services import custody, shares, unopenable
from procurement.web import tender_page

# A release of nine shares sealed to RSA keys of 8192 bits is a tenth of it.
_MAX_BODY: Final = 100_000


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=gettext_lazy("Why"),
        max_length=2000,
        widget=forms.Textarea({"rows": 3}),
        help_text=gettext_lazy("It stays in the audit trail."),
    )


@require_safe
def page(request: HttpRequest, number: str) -> HttpResponse:
    """Every share and what it has come to; for its holder, the way to try or release it."""
    tender, ceremony = _own(request, number)
    return _shown(request, tender, ceremony)


@require_safe
def state(request: HttpRequest, number: str) -> HttpResponse:
    """The table alone, asked for again and again while shares are awaited."""
    tender, ceremony = _own(request, number)
    return render(request, "procurement/_share_rows.html", _progress(tender, ceremony))


@require_POST
def confirm(request: HttpRequest, number: str) -> HttpResponse:
    """The holder says: I can open my share."""
    tender, ceremony = _own(request, number)
    try:
        answer = from_base64(request.POST.get("answer", "")[:_MAX_BODY])
        shares.confirm(tender.pk, request.POST.get("token", ""), answer, by=actor_of(request), at=clock.now())
    except CommitteeKeyError:
        return _shown(request, tender, ceremony, committee_keys.NotProved())
    except DomainError as error:
        if error.status in (403, 404):
            raise
        return _shown(request, tender, ceremony, error)
    messages.success(request, _("Your share opens. It will be needed after the deadline; you will be told."))
    return redirect("tender_shares", number)


@require_POST
def release(request: HttpRequest, number: str) -> HttpResponse:
    """A share, sealed to the other members; the answer is what they have released to this one. JSON."""
    tender, ceremony = _own(request, number)

    def done(given: dict[str, Any], actor: Actor) -> dict[str, Any]:
        releases = {whole_number(index) or 0: from_base64(sealed) for index, sealed in given["releases"].items()}
        share = shares.release(tender.pk, releases, by=actor, at=clock.now())
        return _state_for(tender, KeyCeremony.objects.get(pk=share.ceremony_id), share)

    return _answered(request, ceremony, done)


@require_POST
def wrong(request: HttpRequest, number: str) -> HttpResponse:
    """Released shares that are not the announced ones. JSON."""
    tender, ceremony = _own(request, number)

    def done(given: dict[str, Any], actor: Actor) -> dict[str, Any]:
        places = [place for place in map(whole_number, given["wrong"]) if place is not None]
        shares.report_wrong(tender.pk, places, by=actor, at=clock.now())
        return {}

    return _answered(request, ceremony, done)


@require_POST
def key(request: HttpRequest, number: str) -> HttpResponse:
    """The seed that enough shares made. JSON."""
    tender, ceremony = _own(request, number)

    def done(given: dict[str, Any], actor: Actor) -> dict[str, Any]:
        shares.receive_seed(tender.pk, from_base64(given["seed"]), by=actor, at=clock.now())
        return {"complete": True}

    return _answered(request, ceremony, done)


@require_http_methods(["GET", "HEAD", "POST"])
def escrow(request: HttpRequest, number: str) -> HttpResponse:
    """Ask for the platform's share."""
    tender, ceremony = _own(request, number)
    if not ceremony.with_escrow:
        raise NotFound
    require_tender_run(actor_of(request), tender)

    def release_it(reason: str, actor: Actor) -> str:
        shares.release_escrow(tender.pk, reason, by=actor, at=clock.now())
        messages.success(request, _("The platform’s share is released."))
        return reverse("tender_shares", args=[number])

    return _with_reason(
        request,
        tender,
        release_it,
        title=_("Use the platform’s share?"),
        text=_(
            "Do this when a member’s share is lost. The platform releases its share to the members at once; at least "
            "one of them is still needed to open the bids. Everybody on the committee is told, and why."
        ),
        submit_label=_("Use the platform’s share"),
    )


@require_http_methods(["GET", "HEAD", "POST"])
def give_up(request: HttpRequest, number: str) -> HttpResponse:
    """Declare that the bids can never be opened: first why, then the signature."""
    tender, _ceremony = _own(request, number)
    require_tender_signed(actor_of(request), tender)

    def prepared(reason: str, actor: Actor) -> str:
        nonce = unopenable.prepare(tender.pk, reason, by=actor, at=clock.now()).nonce
        return reverse("shares_give_up_sign", args=[number, nonce])

    return _with_reason(
        request,
        tender,
        prepared,
        title=_("Declare the procedure unsuccessful?"),
        text=_(
            "Only when too many shares are lost for good. The bids stay sealed for ever, every bidder is told that the "
            "key was lost, and the procedure has to be repeated. This cannot be undone, and is signed."
        ),
        submit_label=_("Continue to the signature"),
        danger=True,
    )


@require_http_methods(["GET", "HEAD", "POST"])
def sign_giving_up(request: HttpRequest, number: str, nonce: str) -> HttpResponse:
    tender, _ceremony = _own(request, number)
    prepared = own_request(request, nonce, unopenable.ACTION, "tender", tender.pk)
    content = parse(bytes(prepared.payload))["content"]
    shares_words = _("%(released)s of the %(needed)s that are needed are released")
    facts = [
        Fact(_("You sign"), _("that the bids can never be opened")),
        Fact(_("Procedure"), f"{content['tender']} · {content['tender_title']}"),
        Fact(
            _("Shares"),
            shares_words % {"released": content["shares_released"], "needed": content["shares_needed"]},
        ),
        Fact(_("Why"), content["reason"]),
    ]
    return signing_page(
        request,
        prepared,
        at=clock.now(),
        done_url=lambda _tender: tender.get_absolute_url(),
        done_words=lambda _tender: _("The procedure has ended; every bidder is told why."),
        back_url=reverse("tender_shares", args=[number]),
        title=_("Sign that the bids can never be opened"),
        facts=facts,
        submit_label=_("Sign and declare it unsuccessful"),
        template="procurement/tender_sign.html",
        context={"tender": tender},
    )


@require_POST
def remind(request: HttpRequest, number: str) -> HttpResponse:
    tender, _ceremony = _own(request, number)
    if shares.remind(tender.pk, by=actor_of(request), at=clock.now()):
        messages.success(request, _("The members whose shares are missing were reminded."))
    else:
        messages.info(request, _("Nobody was reminded: they were just now, or no share is missing."))
    return redirect("tender_shares", number)


def _own(request: HttpRequest, number: str) -> tuple[Tender, KeyCeremony]:
    """The buyer's own tender with a committee whose keys are made. Raises NotFound."""
    tender = tender_page.own_tender(request, number)
    require_role(actor_of(request), tender.buyer_id, *Role)
    ceremony = queries.standing(tender)
    if tender.key_custody != KeyCustody.COMMITTEE or ceremony is None or ceremony.made_at is None:
        raise NotFound
    return tender, ceremony


def _shown(
    request: HttpRequest, tender: Tender, ceremony: KeyCeremony, refusal: DomainError | None = None
) -> HttpResponse:
    actor, at = actor_of(request), clock.now()
    own = queries.own_share(ceremony, actor.person)
    progress = _progress(tender, ceremony)
    waits = bool(progress["waits"])
    context = tender_page.context(request, tender, "shares") | progress
    escrow_holding = next((one for one in progress["holdings"] if one.is_escrow), None)
    context |= {
        "ceremony": ceremony,
        "own": own,
        "own_key": own.key if own else None,
        "own_key_wrapped": json.dumps(own.key.wrapped) if own and own.key and own.key.wrapped else "",
        "challenge": committee_keys.challenge(own.key, at) if own and own.key and not waits else None,
        "state": _state_for(tender, ceremony, own) if own else None,
        "can_try": own is not None and tender.opened_at is None and not (waits or progress["is_opening"]),
        "runs": can_run_tender(actor, tender),
        "signs": can_sign_for_tender(actor, tender),
        "own_wrong": own is not None
        and any(one.found_wrong and one.share.pk == own.pk for one in progress["holdings"]),
        "escrow_offered": waits and escrow_holding is not None and escrow_holding.share.released_at is None,
        "may_give_up": waits
        and not progress["suffices"]
        and tender.tender_ends_at is not None
        and at >= tender.tender_ends_at + shares.a_day(),
        "refusal": refusal,
        "action": None,
    }
    return render(request, "procurement/shares.html", context, status=refusal.status if refusal else 200)


def _progress(tender: Tender, ceremony: KeyCeremony) -> dict[str, Any]:
    holdings = queries.holdings(ceremony, tender.buyer_id)
    members = sum(not holding.is_escrow for holding in holdings)
    released = sum(holding.share.released_at is not None for holding in holdings)
    waits = tender.status == TenderStatus.OPENING and ceremony.seed_received_at is None
    possible = sum(holding.can_release or holding.share.released_at is not None for holding in holdings)
    return {
        "tender": tender,
        "ceremony": ceremony,
        "holdings": holdings,
        "released": released,
        "waits": waits,
        "is_opening": tender.status == TenderStatus.OPENING and ceremony.seed_received_at is not None,
        "impossible": waits and possible < ceremony.threshold,
        "enough": released >= ceremony.threshold,
        "suffices": sum(one.share.released_at is not None and not one.found_wrong for one in holdings)
        >= ceremony.threshold,
        "loss": custody.loss_in_words(ceremony.threshold, members, escrow=ceremony.with_escrow),
    }


def _state_for(tender: Tender, ceremony: KeyCeremony, own: KeyShare) -> dict[str, Any]:
    """What assets/src/committee/shares.ts works from: the own share, and what the others have released to it."""
    own.ceremony = ceremony
    released = queries.released_to(own)
    to_own = custody.recipient_of(own)
    others = []
    for holding in queries.holdings(ceremony, tender.buyer_id):
        share = holding.share
        if share.pk == own.pk:
            continue
        share.ceremony = ceremony
        to = custody.recipient_of(share)
        sealed = released.get(share.index)
        others.append(
            {
                "index": share.index,
                "name": str(share.member or _("the platform")),
                "commitment": share.commitment,
                "recipient": None
                if holding.is_escrow
                else {"algorithm": to.algorithm, "key": custody.as_base64(to.public)},
                "infoTo": shares.release_info(tender, own, share, to),
                "released": custody.as_base64(sealed) if sealed else None,
                "infoFrom": shares.release_info(tender, share, own, to_own),
            }
        )
    return {
        "threshold": ceremony.threshold,
        "own": {
            "index": own.index,
            "sealed": custody.as_base64(bytes(own.sealed or b"")),
            "info": custody.share_info(tender, own, to_own),
            "commitment": own.commitment,
        },
        "others": others,
        "lots": ceremony.lot_keys,
        "complete": ceremony.seed_received_at is not None,
    }


def _answered(
    request: HttpRequest, ceremony: KeyCeremony, done: Callable[[dict[str, Any], Actor], dict[str, Any]]
) -> JsonResponse:
    """The page's own script asks, for who holds a share; a refusal is its sentence."""
    try:
        if queries.own_share(ceremony, actor_of(request).person) is None:
            raise shares.NoShare
        if len(request.body) > _MAX_BODY:
            raise shares.ReleaseRefused
        return JsonResponse(done(json.loads(request.body), actor_of(request)))
    except DomainError as error:
        return JsonResponse({"error": str(error), "code": error.code}, status=error.status)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, CommitteeKeyError):
        refusal = shares.ReleaseRefused()
        return JsonResponse({"error": str(refusal), "code": refusal.code}, status=refusal.status)


def _with_reason(request: HttpRequest, tender: Tender, act: Callable[[str, Actor], str], **words: Any) -> HttpResponse:
    """A confirmation that takes a reason; `act` answers where to go on."""
    back = reverse("tender_shares", args=[tender.number])
    form = ReasonForm(posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            return redirect(act(form.cleaned_data["reason"], actor_of(request)))
        except DomainError as error:
            if error.status in (403, 404):
                raise
            refusals.show_on(form, error)
    context = {"form": form, "back_url": back, "danger": False, **words}
    return render(request, "confirm.html", context, status=422 if form.errors else 200)
