"""Amending and cancelling a published procedure: first what and why, then the signature."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from marketplace.permissions import actor_of
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, Invalid
from marketplace.signatures.payload import parse
from marketplace.web.parts import Crumb, Fact
from marketplace.web.refusals import show_on
from marketplace.web.signing_page import own_request, signing_page
from procurement.models import Lot, Tender
from procurement.permissions import require_tender_signed
from procurement.queries import tenders as queries
from procurement.rules.lifecycle import LotStatus
from procurement.services import amendments, cancellation, criteria
from procurement.services.amendment_values import AmendmentFields, NewDocument, Proposal
from procurement.services.lots import ItemRow, LotFields
from procurement.web import tender_page
from procurement.web.criteria_forms import CriteriaForm
from procurement.web.editor import LotSection
from procurement.web.lot_forms import ImportForm, LotForm, item_table
from procurement.web.tender_forms import AmendForm, CancelForm
from procurement.web.tender_words import next_step

_DATES = ("enquiry_ends_at", "tender_ends_at")
_TEXTS = ("title", "description")


@require_http_methods(["GET", "HEAD", "POST"])
def amend(request: HttpRequest, number: str) -> HttpResponse:
    """The procedure as it is, to be changed; only what differs is signed."""
    tender = tender_page.own_tender(request, number)
    require_tender_signed(actor_of(request), tender)
    data = request.POST if request.method == "POST" else None
    form = AmendForm(tender, data, request.FILES or None)
    counting = CriteriaForm(tender, data)
    del counting.fields["revision"]
    sections = [_section(tender, lot, data) for lot in queries.with_parts(tender) if lot.status == LotStatus.ACTIVE]
    notes: list[str] = []
    valid = [
        form.is_valid(),
        counting.is_valid(),
        *(part.is_valid() for section in sections for part in (section.form, section.table)),
    ]
    if data is not None and all(valid):
        try:
            proposal = _proposal(tender, form, counting, sections)
            prepared = amendments.prepare(tender.pk, proposal, by=actor_of(request), at=clock.now())
        except DomainError as error:
            if error.status in (403, 404):
                raise
            notes = _show(error, form, counting, sections)
        else:
            return redirect("tender_amend_sign", number, prepared.nonce)
    context = {
        "tender": tender,
        "form": form,
        "criteria": counting,
        "criteria_open": counting.is_bound and (bool(counting.errors) or counting.changes(tender)),
        "example": criteria.example(tender),
        "sections": sections,
        "notes": notes,
        "next_step": next_step(tender, clock.now()),
        "crumbs": _crumbs(tender),
    }
    return render(request, "procurement/amendment.html", context, status=422 if data is not None else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def sign_amendment(request: HttpRequest, number: str, nonce: str) -> HttpResponse:
    tender = tender_page.own_tender(request, number)
    prepared = own_request(request, nonce, amendments.ACTION, "tender", tender.pk)
    content = parse(bytes(prepared.payload))["content"]
    facts = [
        Fact(_("You sign"), _("an amendment of a published procedure")),
        Fact(_("Procedure"), f"{content['tender']} · {content['tender_title']}"),
        Fact(_("Why"), content["reason"]),
        Fact(_("Bids already sent"), _("to be confirmed") if content["bids_must_be_confirmed"] else _("stay valid")),
    ]
    return signing_page(
        request,
        prepared,
        at=clock.now(),
        done_url=lambda _amendment: tender.get_absolute_url(),
        done_words=lambda _amendment: _("The procedure is amended. Bidders and askers are told."),
        back_url=tender.get_absolute_url(),
        title=_("Sign the amendment"),
        facts=facts,
        submit_label=_("Sign and amend"),
        crumbs=_crumbs(tender),
        template="procurement/tender_sign.html",
        context={"changes": content["changes"], "tender": tender},
    )


@require_http_methods(["GET", "HEAD", "POST"])
def cancel(request: HttpRequest, number: str) -> HttpResponse:
    tender = tender_page.own_tender(request, number)
    require_tender_signed(actor_of(request), tender)
    active = list(tender.lots.filter(status=LotStatus.ACTIVE.value))
    form = CancelForm(active, request.POST or None, chosen=request.GET.get("lot", ""))
    if request.method == "POST" and form.is_valid():
        what = form.cleaned_data["what"]
        lot_id = int(what) if what else None
        reason = form.cleaned_data["reason"]
        try:
            prepared = cancellation.prepare(tender.pk, lot_id, reason, by=actor_of(request), at=clock.now())
        except DomainError as error:
            if error.status in (403, 404):
                raise
            show_on(form, error)
        else:
            return redirect("tender_cancel_sign", number, prepared.nonce)
    context = {"tender": tender, "form": form, "crumbs": _crumbs(tender)}
    return render(request, "procurement/cancellation.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def sign_cancellation(request: HttpRequest, number: str, nonce: str) -> HttpResponse:
    tender = tender_page.own_tender(request, number)
    prepared = own_request(request, nonce, cancellation.ACTION, "tender", tender.pk)
    content = parse(bytes(prepared.payload))["content"]
    lots = [_("Lot %(n)s: %(title)s") % {"n": lot["number"], "title": lot["title"]} for lot in content["lots"]]
    facts = [
        Fact(_("You sign"), _("the cancellation of a published procedure")),
        Fact(_("Procedure"), f"{content['tender']} · {content['tender_title']}"),
        Fact(_("Cancelled"), _("the whole procedure") if content["whole_tender"] else ", ".join(lots)),
        Fact(_("Why"), content["reason"]),
    ]
    return signing_page(
        request,
        prepared,
        at=clock.now(),
        done_url=lambda _tender: tender.get_absolute_url(),
        done_words=lambda _tender: _("It is cancelled. Bidders and askers are told."),
        back_url=tender.get_absolute_url(),
        title=_("Sign the cancellation"),
        facts=facts,
        submit_label=_("Sign and cancel"),
        crumbs=_crumbs(tender),
        template="procurement/tender_sign.html",
        context={"tender": tender},
    )


def _section(tender: Tender, lot: Lot, data: Any) -> LotSection:
    form = LotForm(tender, lot, data)
    # An amendment names the tender's version, not a draft's revision.
    del form.fields["revision"]
    table = item_table(lot, data)
    touched = data is not None and (form.has_changed() or _differs(lot, table))
    return LotSection(lot, form, table, ImportForm(), open=touched)


def _differs(lot: Lot, table: Any) -> bool:
    return bool(table.is_valid()) and _rows_of(lot) != table.rows()


def _rows_of(lot: Lot) -> list[ItemRow]:
    return [
        ItemRow(
            item.description,
            item.category_id,
            item.quantity,
            item.unit,
            item.deliver_from,
            item.deliver_until,
            item.pk,
        )
        for item in lot.items.all()
    ]


def _proposal(tender: Tender, form: AmendForm, counting: CriteriaForm, sections: list[LotSection]) -> Proposal:
    """What differs from the procedure as it is."""
    given, changed = form.cleaned_data, set(form.changed_data)
    values = {name: given[name] for name in (*_TEXTS, *_DATES) if name in changed}
    fields = AmendmentFields(**values)  # type: ignore[typeddict-item]  # named as the service names them
    if counting.changes(tender):
        fields["criteria"] = counting.criteria()
    lots: dict[int, LotFields] = {}
    items: dict[int, list[ItemRow]] = {}
    for section in sections:
        if section.form.changed_data:
            lots[section.lot.pk] = section.form.lot_fields(section.form.changed_data)
        if (rows := section.table.rows()) != _rows_of(section.lot):
            items[section.lot.pk] = rows
    new = []
    if given["upload"]:
        series = int(given["series"]) if given["series"] else None
        new.append(NewDocument(given["upload"], given["document_title"], series))
    return Proposal(given["reason"], fields, lots, items, new)


def _show(error: DomainError, form: AmendForm, counting: CriteriaForm, sections: list[LotSection]) -> list[str]:
    """Each sentence where it belongs: on the form, in its lot, in its cell; what is left over comes back."""
    if not isinstance(error, Invalid):
        return [str(error)]
    ours = {name: told for name, told in error.errors.items() if name.startswith(f"{criteria.SECTION}-")}
    notes = counting.show(Invalid(ours), head=f"{criteria.SECTION}-")
    for name, sentences in error.errors.items():
        if name in ours:
            continue
        place, _dash, rest = name.partition("-")
        pk, _dash, field = rest.partition("-")
        section = next((one for one in sections if str(one.lot.pk) == pk), None)
        for sentence in sentences:
            if name in form.fields:
                form.add_error(name, str(sentence))
            elif section is not None and place == "lot" and field in section.form.fields:
                section.form.add_error(field, str(sentence))
                section.open = True
            elif section is not None and place == "items":
                index, _dot, cell = field.partition(".")
                section.table.kept()[int(index)].add_error(cell, str(sentence))
                section.open = True
            else:
                notes.append(str(sentence))
    return notes


def _crumbs(tender: Tender) -> list[Crumb]:
    return [Crumb(_("We buy"), reverse("my_tenders")), Crumb(tender.number, tender.get_absolute_url())]
