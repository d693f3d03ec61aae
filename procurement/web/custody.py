"""Before publication: who holds the keys, the committee's members, and the ceremony in which its keys are made."""

from __future__ import annotations

import json
from typing import Any, Final

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from marketplace.permissions import actor_of
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound
from marketplace.signatures.committee import CommitteeKeyError, from_base64
from marketplace.web import refusals
from marketplace.web.committee_key import grouped
from marketplace.web.forms import posted, whole_number
from marketplace.web.parts import Crumb
from procurement.models import KeyCeremony, KeyCustody, Tender
from procurement.queries import custody as queries
from procurement.queries.custody import Candidate
from procurement.services import custody
from procurement.services.custody import MEMBERS_MAX, THRESHOLD_MIN, Made, Plan, SealedShare
from procurement.web.draft_parts import own_draft

# Larger than any ceremony of 1,000 lots and ten shares.
_MAX_TEXT: Final = 500_000


class CustodyForm(forms.Form):
    """The choice, and the committee; members are offered with their keys."""

    custody = forms.ChoiceField(
        label=gettext_lazy("Who holds the keys?"), choices=KeyCustody.choices, widget=forms.RadioSelect
    )
    members = forms.TypedMultipleChoiceField(
        label=gettext_lazy("Members"), coerce=int, required=False, widget=forms.CheckboxSelectMultiple
    )
    threshold = forms.TypedChoiceField(
        label=gettext_lazy("How many of them open the bids together?"),
        coerce=int,
        choices=[(k, str(k)) for k in range(THRESHOLD_MIN, MEMBERS_MAX + 1)],
        initial=THRESHOLD_MIN,
    )
    escrow = forms.BooleanField(label=gettext_lazy("One share more for the platform, in escrow"), required=False)

    def __init__(self, tender: Tender, candidates: list[Candidate], data: Any = None) -> None:
        ceremony = queries.standing(tender) if tender.key_custody == KeyCustody.COMMITTEE else None
        chosen = [share.member_id for share in ceremony.shares.all() if share.member_id] if ceremony else []
        with_key = [one.person.pk for one in candidates if one.key is not None]
        initial = {
            "custody": tender.key_custody,
            "members": chosen or with_key[:3],
            "threshold": ceremony.threshold if ceremony else THRESHOLD_MIN,
            "escrow": ceremony.with_escrow if ceremony else False,
        }
        super().__init__(data, initial=initial)
        members = self.fields["members"]
        assert isinstance(members, forms.TypedMultipleChoiceField)
        members.choices = [(pk, pk) for pk in with_key]

    def plan(self) -> Plan:
        given = self.cleaned_data
        return Plan(given["members"], given["threshold"], given["escrow"])

    def chosen_members(self) -> list[int]:
        """What is ticked, for the template that draws the table of members."""
        ticked = (whole_number(pk) for pk in self["members"].value() or [])
        return [pk for pk in ticked if pk is not None]


@require_http_methods(["GET", "HEAD", "POST"])
def choose(request: HttpRequest, number: str) -> HttpResponse:
    """Plain words about both ways, and the committee."""
    tender = own_draft(request, number)
    actor = actor_of(request)
    candidates = queries.candidates(tender.buyer)
    form = CustodyForm(tender, candidates, posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            if form.cleaned_data["custody"] == KeyCustody.PLATFORM:
                custody.choose_platform(tender.pk, by=actor, at=clock.now())
                messages.success(request, _("The platform holds the keys."))
                return redirect("tender_review", number)
            custody.plan(tender.pk, form.plan(), by=actor, at=clock.now())
        except DomainError as error:
            if error.status in (403, 404):
                raise
            refusals.show_on(form, error)
        else:
            return redirect("tender_ceremony", number)
    context = {
        "tender": tender,
        "form": form,
        "candidates": [
            {"person": one.person, "key": one.key, "fingerprint": grouped(one.key.fingerprint[:16]) if one.key else ""}
            for one in candidates
        ],
        "chosen": form.chosen_members(),
        "losses": [
            {"k": k, "n": n, "words": custody.loss_in_words(k, n, escrow=False)} for k, n in ((2, 3), (3, 5), (2, 2))
        ],
        "has_auction": tender.preset.live,
        "crumbs": _crumbs(tender),
    }
    return render(request, "procurement/custody.html", context, status=422 if form.errors else 200)


@require_POST
def invite(request: HttpRequest, number: str) -> HttpResponse:
    """Ask a colleague to make a committee key."""
    tender = own_draft(request, number)
    person = whole_number(request.POST.get("person")) or 0
    asked = custody.invite(tender.pk, person, by=actor_of(request), at=clock.now())
    messages.success(request, _("%(name)s was asked to make a committee key.") % {"name": asked})
    return redirect("tender_custody", number)


@require_http_methods(["GET", "HEAD", "POST"])
def ceremony(request: HttpRequest, number: str) -> HttpResponse:
    """The page on which the keys are made; what comes back are public keys and sealed shares."""
    tender = own_draft(request, number)
    planned = queries.standing(tender) if tender.key_custody == KeyCustody.COMMITTEE else None
    if planned is None:
        return redirect("tender_custody", number)
    refusal: DomainError | None = None
    if request.method == "POST":
        try:
            custody.keep(_ceremony_of(request, tender), _made(request), by=actor_of(request), at=clock.now())
        except DomainError as error:
            if error.status in (403, 404):
                raise
            refusal = error
        else:
            messages.success(request, _("The keys are made, and the members are asked to try their shares."))
            return redirect("tender_review", number)
    holdings = queries.holdings(planned, tender.buyer_id)
    members = sum(not holding.is_escrow for holding in holdings)
    context = {
        "tender": tender,
        "ceremony": planned,
        "holdings": [
            {"holding": holding, "fingerprint": grouped(custody.recipient_of(holding.share).fingerprint)}
            for holding in holdings
        ],
        "members": members,
        "shares": len(holdings),
        "loss": custody.loss_in_words(planned.threshold, members, escrow=planned.with_escrow),
        "plan": _plan_for_page(tender, planned, holdings),
        "refusal": refusal,
        "crumbs": _crumbs(tender),
    }
    return render(request, "procurement/ceremony.html", context, status=refusal.status if refusal else 200)


def summary(tender: Tender) -> dict[str, Any]:
    """Who holds the keys, for the page of review and the page of publication."""
    ceremony = queries.standing(tender) if tender.key_custody == KeyCustody.COMMITTEE else None
    holdings = queries.holdings(ceremony, tender.buyer_id) if ceremony else []
    members = sum(not holding.is_escrow for holding in holdings)
    return {
        "custody_ceremony": ceremony,
        "custody_holdings": holdings,
        "custody_words": custody.in_words(ceremony, len(holdings)) if ceremony else "",
        "custody_loss": custody.loss_in_words(ceremony.threshold, members, escrow=ceremony.with_escrow)
        if ceremony
        else "",
    }


def _plan_for_page(tender: Tender, planned: KeyCeremony, holdings: list[queries.Holding]) -> dict[str, Any]:
    """What assets/src/committee/ceremony.ts works from."""
    members = []
    for holding in holdings:
        to = custody.recipient_of(holding.share)
        members.append(
            {
                "index": holding.share.index,
                "algorithm": to.algorithm,
                "key": custody.as_base64(to.public),
                "info": custody.share_info(tender, holding.share, to),
            }
        )
    lots = list(tender.lots.order_by("number").values_list("pk", flat=True))
    return {"threshold": planned.threshold, "lots": lots, "members": members}


def _ceremony_of(request: HttpRequest, tender: Tender) -> int:
    """The committee that the form was made for."""
    sent = whole_number(request.POST.get("ceremony"))
    if sent is None or not KeyCeremony.objects.filter(pk=sent, tender=tender).exists():
        raise NotFound
    return sent


def _made(request: HttpRequest) -> Made:
    """The form's JSON, of the right shape. Raises CeremonyRefused."""
    try:
        given = json.loads(request.POST.get("made", "")[:_MAX_TEXT])
        return Made(
            {_number(lot): from_base64(key) for lot, key in given["lot_keys"].items()},
            [_sealed_share(one) for one in given["shares"]],
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, CommitteeKeyError) as error:
        raise custody.CeremonyRefused(why=_("they did not arrive whole.")) from error


def _sealed_share(given: dict[str, Any]) -> SealedShare:
    commitment = str(given["commitment"])
    if len(bytes.fromhex(commitment)) != 32 or commitment != commitment.lower():
        raise ValueError("no SHA-256")
    return SealedShare(_number(given["index"]), from_base64(given["sealed"]), commitment)


def _number(sent: object) -> int:
    found = whole_number(sent)
    if found is None:
        raise ValueError("no number")
    return found


def _crumbs(tender: Tender) -> list[Crumb]:
    return [
        Crumb(_("We buy"), reverse("my_tenders")),
        Crumb(tender.number, reverse("tender_edit", args=[tender.number])),
        Crumb(_("Review"), reverse("tender_review", args=[tender.number])),
    ]
