"""What every page of a draft shares: the draft itself, what it still lacks, and the places where that is mended."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse

from marketplace.permissions import actor_of
from marketplace.shared import clock
from marketplace.shared.errors import NotFound, Sentence
from procurement.models import Tender
from procurement.permissions import require_tender_run
from procurement.rules.lifecycle import TenderStatus
from procurement.services import completeness
from procurement.services.drafts import NotADraft
from procurement.web import tender_page


@dataclass(frozen=True, slots=True)
class Gap:
    """Something missing, with the place in the editor where it is mended."""

    sentence: Sentence
    url: str
    blocking: bool


def own_draft(request: HttpRequest, number: str) -> Tender:
    """The draft of that number, where this person may edit it. Raises NotFound, NotAllowed, NotADraft."""
    tender = tender_page.own_tender(request, number)
    if not actor_of(request).acts_for(tender.buyer_id):
        raise NotFound
    require_tender_run(actor_of(request), tender)
    if tender.status != TenderStatus.DRAFT:
        raise NotADraft
    return tender


def gaps_of(tender: Tender) -> list[Gap]:
    """What is missing, each with its link into the editor."""
    return [
        Gap(
            problem.sentence,
            problem.url or _place_url(tender, problem.place),
            problem.blocking,
        )
        for problem in completeness.missing(tender, clock.now())
    ]


def _place_url(tender: Tender, place: str) -> str:
    if place == "custody":
        return reverse("tender_custody", args=[tender.number])
    return anchor(tender, place.replace(":", "-")) if place else ""


def anchor(tender: Tender, place: str) -> str:
    """A section of the editor."""
    return f"{reverse('tender_edit', args=[tender.number])}#{place}"
