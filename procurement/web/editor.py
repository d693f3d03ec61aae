"""The draft editor: one page of sections, each saved on its own as it is filled in, with or without JavaScript."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from django import forms
from django.contrib import messages
from django.db import transaction
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from marketplace.permissions import Actor, actor_of
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, Invalid, StaleForm
from marketplace.web.forms import whole_number
from marketplace.web.parts import Action, Crumb
from marketplace.web.refusals import show_on
from procurement.models import Lot, Tender
from procurement.permissions import require_tender_create
from procurement.queries import tenders as queries
from procurement.services import criteria, documents, lots, tenders, timetable
from procurement.web.criteria_forms import CriteriaForm
from procurement.web.draft_parts import anchor, gaps_of, own_draft
from procurement.web.item_table import COLUMNS, cells_of, decoded
from procurement.web.lot_forms import ImportForm, ItemTable, LotForm, initial_of, item_table, prefix_of
from procurement.web.setting_words import PERIODS
from procurement.web.tender_forms import (
    BasicsForm,
    DocumentForm,
    NewForm,
    TermsForm,
    TimetableForm,
    zone_names,
)
from procurement.web.tenders import documents_of


@dataclass(slots=True)
class LotSection:
    """A lot in the editor: its own form, its table, the box to paste into."""

    lot: Lot
    form: LotForm
    table: ItemTable
    importing: ImportForm
    open: bool = False


@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """A title and a kind: the rest comes from the procedure's defaults."""
    require_tender_create(actor_of(request))
    form = NewForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            tender = tenders.create(given["procedure"], given["title"], by=actor_of(request), at=clock.now())
        except Invalid as error:
            show_on(form, error)
        else:
            return redirect("tender_edit", tender.number)
    crumbs = [Crumb(_("We buy"), reverse("my_tenders"))]
    return render(request, "procurement/tender_new.html", {"form": form, "crumbs": crumbs})


@require_safe
def edit(request: HttpRequest, number: str) -> HttpResponse:
    tender = own_draft(request, number)
    return _page(request, tender)


@require_POST
def save_basics(request: HttpRequest, number: str) -> HttpResponse:
    tender = own_draft(request, number)
    form = BasicsForm(tender, request.POST)

    def write(actor: Actor) -> None:
        given = {name: value for name, value in form.cleaned_data.items() if name != "revision"}
        fields = tenders.TenderFields(**given)  # type: ignore[typeddict-item]  # named as the service names them
        revision = form.cleaned_data["revision"]
        tenders.update(tender.pk, "basics", fields, revision=revision, by=actor, at=clock.now())

    return _save(request, tender, "basics", form, write)


@require_POST
def save_terms(request: HttpRequest, number: str) -> HttpResponse:
    tender = own_draft(request, number)
    form = TermsForm(tender, request.POST)

    def write(actor: Actor) -> None:
        revision = form.cleaned_data["revision"]
        tenders.update_settings(tender.pk, "terms", form.given(), revision=revision, by=actor, at=clock.now())

    return _save(request, tender, "terms", form, write)


@require_POST
def save_criteria(request: HttpRequest, number: str) -> HttpResponse:
    """What counts besides the price; “More rows” saves and comes back with a blank one."""
    tender = own_draft(request, number)
    form = CriteriaForm(tender, request.POST)

    def write(actor: Actor) -> None:
        revision = form.cleaned_data["revision"]
        criteria.update(tender.pk, form.criteria(), revision=revision, by=actor, at=clock.now())

    return _save(request, tender, criteria.SECTION, form, write)


@require_POST
def save_timetable(request: HttpRequest, number: str) -> HttpResponse:
    tender = own_draft(request, number)
    form = TimetableForm(tender, request.POST)

    @transaction.atomic
    def write(actor: Actor) -> None:
        given, at = form.cleaned_data, clock.now()
        counted = given["mode"] == "counted"
        periods = {name: given[name] for name in PERIODS if counted and given[name] is not None}
        saved = tenders.update_settings(tender.pk, "timetable", periods, revision=given["revision"], by=actor, at=at)
        fields = tenders.TenderFields(
            enquiry_ends_at=None if counted else given["enquiry_ends_at"],
            tender_ends_at=None if counted else given["tender_ends_at"],
        )
        tenders.update(tender.pk, "timetable", fields, revision=saved.revision, by=actor, at=at)

    return _save(request, tender, "timetable", form, write)


@require_POST
def save_lot(request: HttpRequest, number: str, lot_id: int) -> HttpResponse:
    tender = own_draft(request, number)
    lot = _lot_of(tender, lot_id)
    form = LotForm(tender, lot, request.POST)

    def write(actor: Actor) -> None:
        revision = form.cleaned_data["revision"]
        lots.update(tender.pk, lot.pk, form.lot_fields(), revision=revision, by=actor, at=clock.now())

    return _save(request, tender, f"lot-{lot.pk}", form, write)


@require_POST
def save_items(request: HttpRequest, number: str, lot_id: int) -> HttpResponse:
    """The whole table of a lot; “More rows” saves and comes back with blank rows."""
    tender = own_draft(request, number)
    lot = _lot_of(tender, lot_id)
    return _save_table(request, tender, lot, item_table(lot, request.POST))


@require_POST
def import_items(request: HttpRequest, number: str, lot_id: int) -> HttpResponse:
    """Add pasted or uploaded rows behind those there are; where a cell is wrong nothing is saved and all is shown."""
    tender = own_draft(request, number)
    lot = _lot_of(tender, lot_id)
    form = ImportForm(request.POST, request.FILES, prefix=f"import-{lot.pk}")
    if not form.is_valid():
        return _page(request, tender, {f"import-{lot.pk}": form}, status=422)
    upload = form.cleaned_data["table"]
    try:
        rows = cells_of(decoded(upload.read()) if upload else form.cleaned_data["pasted"])
    except DomainError as error:
        form.add_error(error.field, str(error))
        return _page(request, tender, {f"import-{lot.pk}": form}, status=422)
    if not rows:
        form.add_error("pasted", _("There are no rows in this."))
        return _page(request, tender, {f"import-{lot.pk}": form}, status=422)
    table = item_table(lot, _table_data(lot, rows, tender.revision))
    return _save_table(request, tender, lot, table)


@require_POST
def add_lot(request: HttpRequest, number: str) -> HttpResponse:
    tender = own_draft(request, number)
    lot = lots.add(tender.pk, by=actor_of(request), at=clock.now())
    return redirect(anchor(tender, f"lot-{lot.pk}"))


@require_POST
def remove_lot(request: HttpRequest, number: str, lot_id: int) -> HttpResponse:
    tender = own_draft(request, number)
    try:
        lots.remove(tender.pk, lot_id, by=actor_of(request), at=clock.now())
    except (lots.LastLot, StaleForm) as error:
        messages.error(request, str(error))
    return redirect(anchor(tender, "lots"))


@require_POST
def move_lot(request: HttpRequest, number: str, lot_id: int) -> HttpResponse:
    """One place up."""
    tender = own_draft(request, number)
    order = list(tender.lots.values_list("pk", flat=True))
    place = order.index(lot_id) if lot_id in order else 0
    if place > 0:
        order[place - 1], order[place] = order[place], order[place - 1]
        lots.reorder(tender.pk, order, by=actor_of(request), at=clock.now())
    return redirect(anchor(tender, f"lot-{lot_id}"))


@require_POST
def add_document(request: HttpRequest, number: str) -> HttpResponse:
    tender = own_draft(request, number)
    form = DocumentForm(tender, request.POST, request.FILES)
    if form.is_valid():
        given = form.cleaned_data
        try:
            documents.add(
                tender.pk,
                given["upload"],
                title=given["title"],
                lot_id=int(given["lot"]) if given["lot"] else None,
                series=int(given["series"]) if given["series"] else None,
                by=actor_of(request),
                at=clock.now(),
            )
        except DomainError as error:
            if error.status == 403:
                raise
            form.add_error("upload", str(error))
        else:
            messages.success(request, _("The document was added."))
            return redirect(anchor(tender, "documents"))
    return _page(request, tender, {"document": form}, status=422)


@require_POST
def remove_document(request: HttpRequest, number: str, document_id: int) -> HttpResponse:
    tender = own_draft(request, number)
    documents.remove(tender.pk, document_id, by=actor_of(request), at=clock.now())
    return redirect(anchor(tender, "documents"))


def _save_table(request: HttpRequest, tender: Tender, lot: Lot, table: ItemTable) -> HttpResponse:
    section = prefix_of(lot)

    def write(actor: Actor) -> None:
        revision = whole_number(table.data.get("revision")) or 0
        try:
            lots.replace_items(tender.pk, lot.pk, table.rows(), revision=revision, by=actor, at=clock.now())
        except Invalid as error:
            _show_in_rows(table, error)
            raise

    return _save(request, tender, section, table, write)


def _show_in_rows(table: ItemTable, error: Invalid) -> None:
    """The service counts the rows that stay; put each sentence into its cell."""
    kept = table.kept()
    for name, sentences in error.errors.items():
        index, _dot, field = name.partition(".")
        for sentence in sentences:
            kept[int(index)].add_error(field, str(sentence))


def _save(
    request: HttpRequest,
    tender: Tender,
    section: str,
    form: forms.BaseForm | ItemTable,
    write: Callable[[Actor], None],
) -> HttpResponse:
    """Save a section. A script gets what became of it; a person the page, with the input kept where it was refused."""
    problems: list[str] = []
    if form.is_valid():
        try:
            write(actor_of(request))
        except (Invalid, StaleForm) as error:
            problems = _told(form, error)
        else:
            tender.refresh_from_db()
            if request.headers.get("HX-Request"):
                return _fragment(request, tender, section, [])
            messages.success(request, _("Saved."))
            return redirect(anchor(tender, section))
    if request.headers.get("HX-Request"):
        return _fragment(request, tender, section, problems or _sentences(form))
    return _page(request, tender, {section: form}, status=422, notes=problems)


def _told(form: forms.BaseForm | ItemTable, error: Invalid | StaleForm) -> list[str]:
    if isinstance(error, StaleForm):
        sentences = [str(error), *(str(change) for change in error.changes)]
        if isinstance(form, forms.BaseForm):
            show_on(form, error)
        return sentences
    if isinstance(form, CriteriaForm):
        for sentence in form.show(error):
            form.add_error(None, sentence)
    elif isinstance(form, forms.BaseForm):
        show_on(form, error)
    return [str(sentence) for sentences in error.errors.values() for sentence in sentences]


def _sentences(form: forms.BaseForm | ItemTable) -> list[str]:
    """Every error with the name of its field."""
    several: Sequence[forms.BaseForm] = form.forms if isinstance(form, ItemTable) else [form]
    found = []
    for one in several:
        for name, errors in one.errors.items():
            label = one.fields[name].label if name in one.fields else ""
            found += [f"{label}: {sentence}" if label else str(sentence) for sentence in errors]
    return found


def _fragment(request: HttpRequest, tender: Tender, section: str, problems: list[str]) -> HttpResponse:
    context = {
        "tender": tender,
        "section": section,
        "problems": problems,
        "at": clock.now(),
        "gaps": gaps_of(tender),
        "example": criteria.example(tender) if section == criteria.SECTION else None,
    }
    return render(request, "procurement/_saved.html", context)


def _page(
    request: HttpRequest,
    tender: Tender,
    bound: dict[str, Any] | None = None,
    status: int = 200,
    notes: Sequence[str] = (),
) -> HttpResponse:
    """The whole editor; `bound` holds the section that was refused, with its input."""
    given = bound or {}
    at = clock.now()
    stored = queries.with_parts(tender)
    sections = [
        LotSection(
            lot,
            given.get(f"lot-{lot.pk}") or LotForm(tender, lot),
            given.get(prefix_of(lot)) or item_table(lot),
            given.get(f"import-{lot.pk}") or ImportForm(prefix=f"import-{lot.pk}"),
            open=f"import-{lot.pk}" in given,
        )
        for lot in stored
    ]
    gaps = gaps_of(tender)
    context = {
        "tender": tender,
        "at": at,
        "basics": given.get("basics") or BasicsForm(tender),
        "terms": given.get("terms") or TermsForm(tender),
        "criteria": given.get(criteria.SECTION) or CriteriaForm(tender),
        "example": criteria.example(tender),
        "timetable": given.get("timetable") or TimetableForm(tender),
        "counted": timetable.suggested(tender, at),
        "sections": sections,
        "document_form": given.get("document") or DocumentForm(tender),
        "documents": documents_of(tender),
        "document_rows": tender.documents.select_related("file", "lot"),
        "gaps": gaps,
        "zones": zone_names(),
        "notes": notes,
        "refused": next(iter(given), ""),
        "crumbs": [Crumb(_("We buy"), reverse("my_tenders"))],
        "action": Action(_("Review and publish"), reverse("tender_review", args=[tender.number]), icon="checklist"),
        "actions": [Action(_("Throw the draft away"), reverse("tender_delete", args=[tender.number]), icon="trash")],
    }
    return render(request, "procurement/editor.html", context, status=status)


def _table_data(lot: Lot, rows: Sequence[dict[str, str]], revision: int) -> QueryDict:
    """The table as if the rows had been typed behind those there are."""
    data = QueryDict(mutable=True)
    prefix = prefix_of(lot)
    stored = list(lot.items.select_related("category"))
    for index, item in enumerate(stored):
        for name, value in initial_of(item).items():
            data[f"{prefix}-{index}-{name}"] = "" if value is None else str(value)
    for index, row in enumerate(rows, start=len(stored)):
        for column in COLUMNS:
            data[f"{prefix}-{index}-{column}"] = row[column]
    data[f"{prefix}-TOTAL_FORMS"] = str(len(stored) + len(rows))
    data[f"{prefix}-INITIAL_FORMS"] = str(len(stored))
    data["revision"] = str(revision)
    return data


def _lot_of(tender: Tender, lot_id: int) -> Lot:
    lot = tender.lots.filter(pk=lot_id).first()
    if lot is None:
        raise StaleForm([_("This lot has been removed from the procedure.")])
    return lot
