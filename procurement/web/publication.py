"""From a draft to the public: review, publish, copy, throw away."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from marketplace.entitlements import NotEntitled
from marketplace.permissions import actor_of
from marketplace.shared import clock
from marketplace.web.parts import Action, Crumb, Fact, Moment
from procurement.models import Tender
from procurement.permissions import require_tender_create
from procurement.queries import tenders as queries
from procurement.services import criteria, publishing, tenders, timetable
from procurement.services.custody import CommitteeChanged
from procurement.web import custody, tender_page
from procurement.web.draft_parts import gaps_of, own_draft
from procurement.web.tenders import auction_facts, documents_of, limit_of, of_bids


@require_safe
def review(request: HttpRequest, number: str) -> HttpResponse:
    """What is missing, and what bidders will read."""
    tender = own_draft(request, number)
    at = clock.now()
    gaps = gaps_of(tender)
    blocked = any(gap.blocking for gap in gaps)
    lots = queries.with_parts(tender)
    dates = timetable.dates_at(tender, at)
    moments = [
        Moment(_("Questions until"), dates.enquiry_ends_at, "later"),
        Moment(_("Bids until"), dates.tender_ends_at, "later"),
    ]
    if start := timetable.auction_start(tender, dates.tender_ends_at):
        moments.append(Moment(_("Live auction"), start, "later", _("planned")))
    context = {
        "tender": tender,
        "lots": lots,
        "gaps": gaps,
        "blocked": blocked,
        "moments": moments,
        "example": criteria.example(tender),
        "documents": documents_of(tender),
        **custody.summary(tender),
        "facts": [
            Fact(_("Procedure"), _(tender.preset.name)),
            Fact(_("Reserve price") if tender.preset.is_sale else _("Limit price"), limit_of(lots) or _("none")),
            *of_bids(tender),
        ],
        "auction_facts": auction_facts(tender),
        "auction_summary": _(tender.preset.summary),
        "crumbs": [
            Crumb(_("We buy"), reverse("my_tenders")),
            Crumb(tender.number, reverse("tender_edit", args=[number])),
        ],
        "actions": [Action(_("Go on editing"), reverse("tender_edit", args=[number]), icon="pencil")],
    }
    return render(request, "procurement/tender_review.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def publish(request: HttpRequest, number: str) -> HttpResponse:
    """Ask once more, then publish. A second click finds it published and leads to the same page."""
    tender = tender_page.own_tender(request, number)
    if request.method == "POST":
        try:
            publishing.publish(tender.pk, by=actor_of(request), at=clock.now())
        except publishing.AlreadyPublished:
            return redirect(tender)
        except (publishing.NotComplete, NotEntitled, CommitteeChanged) as error:
            messages.error(request, str(error))
            return redirect("tender_review", number)
        messages.success(request, _("Published. Suppliers of these categories are being told."))
        return redirect(tender)
    own_draft(request, number)
    return _confirm(
        request,
        tender,
        title=_("Publish this procedure?"),
        text=_(
            "It becomes public at once and suppliers are told. From then on it is changed only by amendments that you "
            "sign, and bids stay sealed until the deadline."
        ),
        submit_label=_("Publish"),
        back="tender_review",
    )


@require_http_methods(["GET", "HEAD", "POST"])
def copy(request: HttpRequest, number: str) -> HttpResponse:
    tender = tender_page.own_tender(request, number)
    require_tender_create(actor_of(request))
    if request.method == "POST":
        draft = tenders.copy(tender.pk, by=actor_of(request), at=clock.now())
        messages.success(request, _("This is your new draft. Check the dates and add the documents."))
        return redirect("tender_edit", draft.number)
    return _confirm(
        request,
        tender,
        title=_("Copy “%(title)s” as a new draft?") % {"title": tender.title},
        text=_("Lots, items and settings are taken over; dates and documents are not."),
        submit_label=_("Copy"),
        back="tender",
    )


@require_http_methods(["GET", "HEAD", "POST"])
def delete(request: HttpRequest, number: str) -> HttpResponse:
    tender = own_draft(request, number)
    if request.method == "POST":
        tenders.delete(tender.pk, by=actor_of(request), at=clock.now())
        messages.success(request, _("The draft was thrown away."))
        return redirect("my_tenders")
    return _confirm(
        request,
        tender,
        title=_("Throw this draft away?"),
        text=_("“%(title)s” with its lots, items and documents is gone for good.") % {"title": tender.title},
        submit_label=_("Throw away"),
        back="tender_edit",
        danger=True,
    )


def _confirm(
    request: HttpRequest, tender: Tender, *, title: str, text: str, submit_label: str, back: str, danger: bool = False
) -> HttpResponse:
    context = {
        "title": title,
        "text": text,
        "submit_label": submit_label,
        "back_url": reverse(back, args=[tender.number]),
        "danger": danger,
    }
    return render(request, "confirm.html", context)
