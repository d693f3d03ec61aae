"""Purchase history: what a book holds, files brought in step by step, what became of each."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any, Final

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.files.storage import default_storage
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from analytics import permissions
from analytics.models import Import, ImportKind, ImportState
from analytics.queries import history as queries
from analytics.queries import soundness
from analytics.services import books, imports
from analytics.web import charts
from analytics.web import purchase_words as words
from marketplace.permissions import Actor, actor_of
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotAllowed, NotFound
from marketplace.shared.money import Money
from marketplace.web import formats, parts, refusals
from marketplace.web.body_size import body_up_to
from marketplace.web.csv_export import csv_response
from marketplace.web.forms import posted
from marketplace.web.lists import listed

#: States in which a job is at work: the page asks again by itself.
_AT_WORK: Final = (ImportState.READING, ImportState.LOADING, ImportState.UNDOING)
_CURRENCY: Final = {"maxlength": 3, "size": 4, "autocomplete": "off", "spellcheck": "false"}


class UploadForm(forms.Form):
    file = forms.FileField(
        label=gettext_lazy("File"), widget=forms.FileInput({"accept": imports.ACCEPT}), allow_empty_file=True
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        limit = formats.filesize(settings.PURCHASES_MAX_BYTES)
        self.fields["file"].help_text = _(
            "CSV, text or Excel (XLSX), also packed (GZ), up to %(limit)s. Larger: split it by months, or use the API."
        ) % {"limit": limit}


class CurrencyForm(forms.Form):
    currency = forms.RegexField(
        r"^[A-Za-z]{3}$", label=gettext_lazy("Currency"), widget=forms.TextInput(_CURRENCY),
        help_text=gettext_lazy("Three letters, as in EUR."),
    )  # fmt: skip

    def clean_currency(self) -> str:
        return str(self.cleaned_data["currency"]).upper()


class ColumnsForm(CurrencyForm):
    """A choice of the file's heads for each of our columns, filled in as remembered or guessed."""

    day_month = forms.ChoiceField(
        label=gettext_lazy("Dates like 03/04"), required=False,
        choices=[
            ("", gettext_lazy("As the file shows")), ("dmy", gettext_lazy("Day first")),
            ("mdy", gettext_lazy("Month first")),
        ],
    )  # fmt: skip
    decimals = forms.ChoiceField(
        label=gettext_lazy("Numbers like 1,234"), required=False,
        choices=[
            ("", gettext_lazy("As the file shows")), ("comma", gettext_lazy("Comma before the fraction")),
            ("point", gettext_lazy("Point before the fraction")),
        ],
    )  # fmt: skip

    encoding = forms.ChoiceField(label=gettext_lazy("Letters"), required=False, choices=words.ENCODINGS)

    def __init__(self, batch: Import, data: Any = None) -> None:
        said = batch.mapping
        offered = said or batch.found.get("said", {})
        super().__init__(data, initial={"currency": batch.currency, **{k: offered.get(k, "") for k in imports.SAID}})
        heads = [("", "—"), *((head, head) for head in batch.found.get("head", []))]
        chosen = said.get("columns") or batch.found.get("columns", {})
        columns = {
            f"column_{name}": forms.ChoiceField(
                label=str(label), help_text=str(hint), choices=heads, required=name in _NEEDED,
                initial=chosen.get(name, ""), error_messages={"required": _("Say which column it is.")},
            )
            for name, label, hint in words.COLUMNS
        }  # fmt: skip
        self.fields["currency"].label = _("Where no column says the currency")
        if not said:
            for name in offered:
                self.fields[name].help_text = _("As with your last file.")
        self.fields = {**columns, **self.fields}

    @property
    def columns(self) -> dict[str, str]:
        """Our names to the heads chosen."""
        found = {name: self.cleaned_data.get(f"column_{name}", "") for name, _label, _hint in words.COLUMNS}
        return {name: head for name, head in found.items() if head}


_NEEDED: Final = ("account", "ts")


@body_up_to("PURCHASES_MAX_BYTES")
@require_http_methods(["GET", "HEAD", "POST"])
def purchases(request: HttpRequest) -> HttpResponse:
    """What the book holds and where it came from; posted, takes a file."""
    actor = actor_of(request)
    book = permissions.book_of(actor)
    manages = permissions.is_manager(actor, book)
    if request.method == "POST":
        permissions.require_manager(actor, book)
    form = UploadForm(posted(request), request.FILES if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        try:
            batch = imports.upload(book, form.cleaned_data["file"], by=actor, at=clock.now())
        except (NotAllowed, NotFound):
            raise
        except DomainError as refusal:
            form.add_error("file", str(refusal))
        else:
            return redirect("insights_import", batch.pk)
    page = listed(request, queries.imports(book), ["-pk"])
    context = {
        "book": book,
        "held": [(one, Money(one.amount, one.currency)) for one in queries.held(book)],
        "remarks": words.remarks([one.as_json() for one in soundness.of_book(book, imports.yesterday(clock.now()))]),
        "list": page,
        "rows": [(one, words.error(one) if one.error else "") for one in page.rows],
        "form": form if manages else None,
        "currency_form": CurrencyForm(initial={"currency": book.currency}) if manages and book.currency else None,
    }
    return render(request, "analytics/purchases.html", context, status=422 if form.is_bound and form.errors else 200)


@require_POST
def currency(request: HttpRequest) -> HttpResponse:
    """Which currency is scored."""
    actor = actor_of(request)
    book = permissions.book_of(actor)
    permissions.require_manager(actor, book)
    form = CurrencyForm(request.POST)
    if form.is_valid():
        books.score_currency(book, form.cleaned_data["currency"], by=actor, at=clock.now())
        messages.success(request, _("The next scores are of purchases in %(currency)s.") % form.cleaned_data)
    else:
        messages.error(request, _("A currency has three letters, as in EUR."))
    return redirect("insights_purchases")


@require_safe
def one(request: HttpRequest, import_id: int) -> HttpResponse:
    """An import where it stands: columns to confirm, a preview, progress, or what it brought."""
    actor = actor_of(request)
    batch = _of(actor, import_id)
    fragment = request.headers.get("HX-Request") == "true"
    template = "analytics/_import_state.html" if fragment else "analytics/import.html"
    response = render(request, template, _context(batch, actor))
    if fragment and not _waits(batch):
        response["HX-Refresh"] = "true"  # it is done: the whole page looks different now
    return response


@require_http_methods(["GET", "HEAD", "POST"])
def columns(request: HttpRequest, import_id: int) -> HttpResponse:
    """Say what the columns are, and have the file read."""
    actor = actor_of(request)
    batch = _managed(actor, import_id)
    form = ColumnsForm(batch, posted(request))
    if request.method == "POST" and form.is_valid():
        typed = form.cleaned_data
        try:
            imports.confirm_columns(
                batch.pk, form.columns, day_month=typed["day_month"], decimals=typed["decimals"],
                encoding=typed["encoding"], currency=typed["currency"], by=actor, at=clock.now(),
            )  # fmt: skip
        except (NotAllowed, NotFound):
            raise
        except DomainError as refusal:
            refusals.show_on(form, refusal)
        else:
            return redirect("insights_import", batch.pk)
    context = {**_context(batch, actor), "form": form}
    return render(request, "analytics/import.html", context, status=422 if form.is_bound and form.errors else 200)


@require_POST
def load(request: HttpRequest, import_id: int) -> HttpResponse:
    """Load what was read."""
    return _acted(request, import_id, imports.load)


@require_POST
def discard(request: HttpRequest, import_id: int) -> HttpResponse:
    """Throw the file away."""
    response = _acted(request, import_id, imports.discard)
    return redirect("insights_purchases") if response.status_code == 302 else response


@require_http_methods(["GET", "HEAD", "POST"])
def undo(request: HttpRequest, import_id: int) -> HttpResponse:
    """Ask, then take the import back."""
    if request.method == "POST":
        return _acted(request, import_id, imports.undo)
    batch = _managed(actor_of(request), import_id)
    context = {
        "title": _("Undo this import?"),
        "text": undo_words(),
        "submit_label": _("Undo it"),
        "back_url": reverse("insights_import", args=[batch.pk]),
        "danger": True,
    }
    return render(request, "confirm.html", context)


@require_safe
def rejects(request: HttpRequest, import_id: int) -> HttpResponseBase:
    """The rows that were left out, with their lines and why, as a file."""
    batch = _managed(actor_of(request), import_id)
    if not batch.rejects_path or not default_storage.exists(batch.rejects_path):
        raise NotFound
    head = [_("Line of the file"), _("Why it was left out"), _("Value"), _("Code")]
    return csv_response(f"rejected-{batch.pk}", head, _listed(batch.rejects_path))


def undo_words() -> str:
    return _(
        "Its lines go; where they had replaced earlier ones, those come back. Lines that another import has too stay."
    )


def _listed(path: str) -> Iterator[list[Any]]:
    with default_storage.open(path, "rb") as stored:
        for row in csv.DictReader(io.TextIOWrapper(stored, "utf-8", newline="")):
            yield [int(row["line"]), words.reason(row["reason"]), row["value"], row["reason"]]


def _of(actor: Actor, import_id: int) -> Import:
    """The import of the actor's own book. Raises NotFound for another's."""
    book = permissions.book_of(actor)
    found = Import.objects.select_related("book", "created_by", "undone_by").filter(book=book, pk=import_id).first()
    if found is None:
        raise NotFound
    return found


def _managed(actor: Actor, import_id: int) -> Import:
    batch = _of(actor, import_id)
    permissions.require_manager(actor, batch.book)
    return batch


def _acted(request: HttpRequest, import_id: int, act: Any) -> HttpResponse:
    actor = actor_of(request)
    batch = _managed(actor, import_id)
    try:
        act(batch.pk, by=actor, at=clock.now())
    except (NotAllowed, NotFound):
        raise
    except DomainError as refusal:
        batch.refresh_from_db()
        return render(
            request, "analytics/import.html", {**_context(batch, actor), "refusal": refusal}, status=refusal.status
        )
    return redirect("insights_import", batch.pk)


def _waits(batch: Import) -> bool:
    return batch.state in _AT_WORK or (batch.state == ImportState.UPLOADED and not batch.found)


def _context(batch: Import, actor: Actor) -> dict[str, Any]:
    manages = permissions.is_manager(actor, batch.book)
    found = batch.found
    form = None
    if manages and found.get("head") and batch.state in (ImportState.UPLOADED, ImportState.READ, ImportState.FAILED):
        form = ColumnsForm(batch)
    return {
        "batch": batch,
        "book": batch.book,
        "waits": _waits(batch),
        "percent": min(99, 100 * batch.done // batch.total) if batch.total else None,
        "next_step": words.next_step(batch),
        "error": words.error(batch) if batch.error else "",
        "notes": words.notes(batch),
        "remarks": words.remarks(
            batch.remarks, merge=manages and batch.state == ImportState.LOADED
        )
        if batch.state in (ImportState.READ, ImportState.LOADED)
        else [],
        "preview": _preview(batch),
        "facts": _facts(batch),
        "understood": [(row, Money(row.amount, row.currency)) for row in queries.understood(batch)]
        if batch.state == ImportState.READ
        else [],
        "rejects": sorted(
            ((words.reason(code), count) for code, count in batch.rejects.items()), key=lambda row: -row[1]
        ),
        "form": form,
        "manages": manages,
        "may_undo": manages and batch.state == ImportState.LOADED and batch.kind != ImportKind.CONTRACTS,
        "may_load": manages and batch.state == ImportState.READ and batch.counts.get("accepted"),
        "may_discard": manages and batch.state in (ImportState.UPLOADED, ImportState.READ, ImportState.FAILED)
        and not _waits(batch),
        "undo_words": undo_words(),
        "crumbs": [parts.Crumb(_("Purchase history"), reverse("insights_purchases"))],
    }  # fmt: skip


def _preview(batch: Import) -> list[parts.Stat]:
    """The file in figures, before it is loaded."""
    seen = batch.found.get("preview")
    if batch.state != ImportState.READ or not seen:
        return []
    number = charts.count
    money = " · ".join(_money(Money(Decimal(amount), code)) for code, amount in seen["money"].items())
    period = formats.EMPTY
    if seen["first"]:
        period = " – ".join(formats.day(date.fromisoformat(seen[end])) for end in ("first", "last"))
    left_out = batch.counts.get("rejected", 0)
    return [
        parts.Stat(
            _("Rows understood"), number(batch.counts["accepted"]),
            _("of %(all)s") % {"all": number(batch.counts["read"])},
        ),
        parts.Stat(_("Rows left out"), number(left_out), tone="warn" if left_out else ""),
        parts.Stat(_("Money"), money or formats.EMPTY),
        parts.Stat(
            _("Period"), period,
            ngettext("%(n)s day with purchases", "%(n)s days with purchases", seen["days"])
            % {"n": number(seen["days"])},
        ),
        parts.Stat(
            _("Customers"), number(seen["accounts_new"] + seen["accounts_known"]),
            _("%(new)s new, %(known)s known")
            % {"new": number(seen["accounts_new"]), "known": number(seen["accounts_known"])},
        ),
        parts.Stat(
            _("Items"), number(seen["items"]),
            ngettext("in %(n)s category", "in %(n)s categories", seen["categories"])
            % {"n": number(seen["categories"])},
        ),
        *(
            [parts.Stat(_("Rows that take back"), number(seen["taken_back"]), _("quantities below zero"))]
            if seen["taken_back"] else []
        ),
    ]  # fmt: skip


def _money(value: Money) -> str:
    return f"{formats.amount(value)} {value.currency}"


_COUNTED: Final = (
    ("new", gettext_lazy("Lines new")),
    ("changed", gettext_lazy("Lines changed")),
    ("unchanged", gettext_lazy("Lines as before")),
    ("repeated", gettext_lazy("Rows written twice")),
    ("counted_once", gettext_lazy("Lines counted as a contract on the platform")),
    ("removed", gettext_lazy("Lines taken out")),
    ("accounts_new", gettext_lazy("Customers new")),
    ("accounts_renamed", gettext_lazy("Customers renamed")),
    ("rejected", gettext_lazy("Rows left out")),
)


def _facts(batch: Import) -> list[parts.Fact]:
    """What a load did."""
    if batch.state not in (ImportState.LOADED, ImportState.UNDONE):
        return []
    return [parts.Fact(label, charts.count(batch.counts[name])) for name, label in _COUNTED if batch.counts.get(name)]
