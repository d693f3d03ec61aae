"""The public page of a procedure, tab by tab."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from marketplace.models import StoredFile
from marketplace.permissions import actor_of
from marketplace.shared.errors import NotFound, Sentence
from marketplace.shared.money import Money
from marketplace.web import lists
from marketplace.web.files import download
from marketplace.web.parts import Fact
from procurement import permissions
from procurement.models import Amendment, Bid, KeyCustody, Lot, Tender, TenderDocument
from procurement.procedures import Setting
from procurement.queries import audit as audit_queries
from procurement.queries import custody as custody_queries
from procurement.rules.lifecycle import BidStatus, LotStatus
from procurement.services import criteria, custody, timetable
from procurement.web import tender_page, tender_words
from procurement.web.audit_words import AuditRow, rows_of
from procurement.web.setting_words import OF_BIDS, PERIODS, in_words, label_of

AUDIT_PAGE = 50


# Periods stand in the timetable, the rest among the facts of the procedure.
@dataclass(frozen=True, slots=True)
class Document:
    """A document as the list component shows it."""

    name: str
    url: str
    size: int
    sha256: str
    uploaded_at: datetime
    version: int
    note: Sentence = ""


@dataclass(frozen=True, slots=True)
class LotCard:
    """A lot with this organisation's own bid for it, and whether one can be prepared."""

    lot: Lot
    limit: Money | None
    bid: Bid | None
    bid_url: str
    takes_bids: bool


@require_safe
def overview(request: HttpRequest, number: str) -> HttpResponse:
    tender = tender_page.own_tender(request, number)
    context = tender_page.context(request, tender, "overview")
    actor, at = actor_of(request), context["at"]
    answer = tender_page.can_i_bid(actor, tender, context["lots"], at)
    return render(
        request,
        "procurement/tender.html",
        context
        | {
            "facts": _facts(tender, context["lots"], context["shows_limit"]),
            "auction_facts": auction_facts(tender),
            "auction_summary": _(tender.preset.summary),
            "moments": tender_words.timeline(tender, at),
            "answer": answer,
            "amendments": _amendments(tender),
            "example": criteria.example(tender),
            "documents": documents_of(tender)[:5],
            "bids_counted": _bids_counted(tender) if context["is_buyer"] and tender.published_at else None,
        },
    )


@require_safe
def lots(request: HttpRequest, number: str) -> HttpResponse:
    tender = tender_page.own_tender(request, number)
    context = tender_page.context(request, tender, "lots")
    own = {bid.lot_id: bid for bid in context["own_bids"] if bid.status != BidStatus.WITHDRAWN}
    cards = [
        LotCard(
            lot,
            Money(lot.limit_price, lot.currency) if lot.limit_price is not None and context["shows_limit"] else None,
            own.get(lot.pk),
            reverse("bid_start", args=[tender.number, lot.number]),
            context["takes_bids"] and lot.status == LotStatus.ACTIVE and not context["is_buyer"],
        )
        for lot in context["lots"]
    ]
    return render(request, "procurement/tender_lots.html", context | {"cards": cards})


@require_safe
def documents(request: HttpRequest, number: str) -> HttpResponse:
    tender = tender_page.own_tender(request, number)
    context = tender_page.context(request, tender, "documents")
    current, older = documents_of(tender), documents_of(tender, older=True)
    return render(request, "procurement/tender_documents.html", context | {"documents": current, "older": older})


@require_safe
def document(request: HttpRequest, number: str, document_id: int) -> HttpResponseBase:
    """A document's bytes, for everybody who may see the procedure."""
    tender = tender_page.own_tender(request, number)
    found = TenderDocument.objects.select_related("file").filter(tender=tender, pk=document_id).first()
    if found is None:
        raise NotFound
    stored: StoredFile = found.file
    return download(stored)


@require_safe
def dates(request: HttpRequest, number: str) -> HttpResponse:
    tender = tender_page.own_tender(request, number)
    if tender.published_at is None:
        raise NotFound
    context = tender_page.context(request, tender, "timetable")
    terms = tender.terms
    reckoning = timetable.reckoning_of(tender)
    rules = [
        Fact(_("Time zone of the procedure"), tender.time_zone),
        Fact(_("Bidding time left after an amendment"), timetable.length(terms.minimum_remainder_days, reckoning)),
        Fact(_("Standstill after the award"), timetable.length(terms.standstill_days, reckoning)),
    ]
    moments = tender_words.timeline(tender, context["at"])
    return render(request, "procurement/tender_timetable.html", context | {"moments": moments, "rules": rules})


@require_safe
def audit(request: HttpRequest, number: str) -> HttpResponse:
    """Who did what: for the buyer's people and the platform's auditors."""
    tender = tender_page.own_tender(request, number)
    if not permissions.can_see_tender_audit(actor_of(request), tender):
        raise NotFound
    found = lists.listed(request, audit_queries.of_tender(tender), ["-number"], size=AUDIT_PAGE)
    rows: list[AuditRow] = rows_of(found.rows, tender)
    context = tender_page.context(request, tender, "audit")
    return render(request, "procurement/tender_audit.html", context | {"rows": rows, "list": found})


def documents_of(tender: Tender, *, older: bool = False) -> list[Document]:
    """The newest version of each document, or the versions before it."""
    seen: set[int] = set()
    found = []
    for row in tender.documents.select_related("file", "lot").order_by("series", "-version"):
        newest = row.series not in seen
        seen.add(row.series)
        if newest == older:
            continue
        found.append(
            Document(
                name=row.title,
                url=reverse("tender_document", args=[tender.number, row.pk]),
                size=row.file.size,
                sha256=row.file.sha256,
                uploaded_at=row.added_at,
                version=row.version,
                note=_("Lot %(n)s") % {"n": row.lot.number} if row.lot else "",
            )
        )
    return found


def limit_of(lots: list[Lot]) -> Money | None:
    """The limit prices of all lots together; None where one has none, or the currencies differ."""
    if not lots or any(lot.limit_price is None for lot in lots) or len({lot.currency for lot in lots}) != 1:
        return None
    return Money(sum((lot.limit_price or Decimal(0) for lot in lots), Decimal(0)), lots[0].currency)


def _facts(tender: Tender, lots: list[Lot], with_limit: bool) -> list[Fact]:
    limit = limit_of(lots)
    places = list(dict.fromkeys(lot.delivery_place for lot in lots if lot.delivery_place))
    vat = _("with VAT") if tender.vat_included else _("without VAT")
    facts = [
        Fact(_("Procedure"), _(tender.preset.name)),
        Fact(_("Seller") if tender.preset.is_sale else _("Buyer"), tender.buyer.full_name),
        Fact(
            _("Reserve price") if tender.preset.is_sale else _("Limit price"),
            limit if with_limit and limit else _("not shown") if not with_limit else _("none"),
        ),
        Fact(_("Prices"), _("in %(currency)s, %(vat)s") % {"currency": tender.currency, "vat": vat}),
        Fact(_("Delivery"), "; ".join(places)),
        Fact(_("Keys to the bids"), _keys_of(tender)),
        Fact(_("Bids needed"), str(tender.settings.get("minimum_bids", tender.preset.setting("minimum_bids").default))),
    ]
    return [fact for fact in facts if fact.value]


def of_bids(tender: Tender) -> list[Fact]:
    """What the buyer set for the bids and the award, deadlines left out."""
    return [
        Fact(label_of(setting, is_sale=tender.preset.is_sale), in_words(setting, _given(tender, setting)))
        for setting in tender.preset.settings
        if setting.name in OF_BIDS and setting.name not in PERIODS
    ]


def _given(tender: Tender, setting: Setting) -> object:
    return tender.settings.get(setting.name, setting.default)


def auction_facts(tender: Tender) -> list[Fact]:
    """How the auction goes: what whoever bids has to know of its rules."""
    if tender.preset.auction is None:
        return []
    return [
        Fact(_(setting.label), in_words(setting, _given(tender, setting)))
        for setting in tender.preset.settings
        if setting.name not in OF_BIDS
    ]


def _keys_of(tender: Tender) -> Sentence:
    """Who can open the bids after the deadline, for whoever thinks of sending one."""
    if tender.key_custody == KeyCustody.PLATFORM:
        return _("held by the platform")
    ceremony = custody_queries.standing(tender)
    if ceremony is None:
        return _("held by the buyer’s committee")
    shares = custody.in_words(ceremony, ceremony.shares.count())
    return _("held by the buyer’s committee: %(shares)s") % {"shares": shares}


def _amendments(tender: Tender) -> list[Amendment]:
    return list(tender.amendments.select_related("signature__certificate", "signature__stamp").order_by("-version"))


def _bids_counted(tender: Tender) -> int:
    """How many bids are sent: the number and nothing else."""
    kept = [BidStatus.DRAFT.value, BidStatus.WITHDRAWN.value]
    return Bid.objects.filter(lot__tender=tender).exclude(status__in=kept).count()
