"""Lists of procedures: the public search, the same as a spreadsheet, and a buyer's own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from babel.numbers import get_currency_name
from django import forms
from django.core.cache import cache
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_safe

from marketplace.models import Heading, Organisation, Role
from marketplace.permissions import actor_of, organisation_of
from marketplace.queries.keyset import COUNT_CAP, capped_count
from marketplace.shared import clock
from marketplace.shared.errors import Sentence
from marketplace.shared.money import Money
from marketplace.web import formats, lists
from marketplace.web.csv_export import csv_response
from marketplace.web.parts import Action
from procurement import procedures
from procurement.models import Tender
from procurement.permissions import BUYING_ROLES, NotABuyer
from procurement.queries import tenders
from procurement.queries.tenders import Filters, Standing
from procurement.rules.lifecycle import TenderStatus
from procurement.web.tender_words import FAMILY_NAMES, STANDING_NAMES, family_name, state_words
from procurement.web.tenders import limit_of

PAGE: Final = 25
EXPORT_MAX: Final = 10_000
#: Columns a list may be sorted by; the value is the key's order.
SORTS: Final = {"deadline": "tender_ends_at", "published": "published_at"}
_CURRENCIES: Final = ("EUR", "USD", "GBP", "CHF", "PLN", "CZK", "SEK", "NOK", "THB", "LAK", "SAR", "AED", "IRR", "RUB")
_COUNTRIES_KEY: Final = "countries-of-buyers"
_COUNTRIES_KEPT_SECONDS: Final = 600


class SearchForm(forms.Form):
    """The filters of the public list."""

    q = forms.CharField(label=gettext_lazy("Search"), required=False, max_length=120)
    standing = forms.ChoiceField(
        label=gettext_lazy("State"),
        required=False,
        choices=[(key.value, name) for key, name in STANDING_NAMES.items()],
        initial=Standing.OPEN.value,
    )
    family = forms.ChoiceField(label=gettext_lazy("Kind"), required=False)
    category = forms.CharField(label=gettext_lazy("Category"), required=False, max_length=200)
    country = forms.ChoiceField(label=gettext_lazy("Country of the buyer"), required=False)
    region = forms.CharField(label=gettext_lazy("Region of the buyer"), required=False, max_length=120)
    within = forms.ChoiceField(
        label=gettext_lazy("Bids close within"),
        required=False,
        choices=[
            ("", gettext_lazy("Any time")),
            ("1", gettext_lazy("24 hours")),
            ("3", gettext_lazy("3 days")),
            ("7", gettext_lazy("a week")),
            ("30", gettext_lazy("30 days")),
        ],
    )
    currency = forms.ChoiceField(label=gettext_lazy("Currency"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        offered = {preset.family for preset in procedures.catalogue()}
        families = [(key, name) for key, name in FAMILY_NAMES.items() if key in offered]
        self._choose("family", [("", _("Any kind")), *families])
        self._choose("country", [("", _("Any country")), *_countries()])
        self._choose("currency", [("", _("Any currency")), *((code, code) for code in _CURRENCIES)])
        self.fields["q"].widget.attrs |= {"placeholder": _("Words, or a number such as OL-2026-000123")}
        self.fields["category"].widget.attrs |= {
            "list": "category-options",
            "hx-get": reverse("category_options"),
            "hx-trigger": "input changed delay:250ms",
            "hx-target": "#category-options",
            "placeholder": _("Name or code"),
        }

    def clean_category(self) -> str:
        """The code at the beginning, or of the heading called so."""
        text = str(self.cleaned_data["category"]).strip()
        if not text:
            return ""
        heading = heading_of(text)
        if heading is None:
            raise forms.ValidationError(_("There is no such category. Choose one from the list."))
        return str(heading)

    def filters(self) -> Filters:
        """What was asked, as far as it could be read."""
        asked = self.cleaned_data if self.is_bound and self.is_valid() else {}
        return Filters(
            text=asked.get("q", ""),
            standing=Standing(asked.get("standing") or Standing.OPEN),
            family=asked.get("family", ""),
            category=str(asked.get("category", "")).split(" ")[0],
            country=asked.get("country", ""),
            region=asked.get("region", ""),
            currency=asked.get("currency", ""),
            deadline_within_days=int(asked["within"]) if asked.get("within") else None,
        )

    def _choose(self, name: str, choices: list[tuple[str, Sentence]]) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ChoiceField)
        field.choices = choices


class OwnForm(forms.Form):
    """The filters of a buyer's own list."""

    q = forms.CharField(label=gettext_lazy("Search"), required=False, max_length=120)
    standing = forms.ChoiceField(
        label=gettext_lazy("State"),
        required=False,
        choices=[
            ("", gettext_lazy("All")),
            ("draft", gettext_lazy("Drafts")),
            *((key.value, STANDING_NAMES[key]) for key in Standing if key is not Standing.ALL),
        ],
    )


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a list of procedures."""

    tender: Tender
    kind: Sentence
    state: Sentence
    limit: Money | None
    lots: int
    country: str


@require_safe
def public(request: HttpRequest) -> HttpResponse:
    at = clock.now()
    form = SearchForm(request.GET or None)
    found = tenders.search(form.filters(), at)
    order = _order(request, form.filters().standing)
    page = lists.listed(request, tenders.for_list(found), order, size=PAGE)
    chips = [chip for chip in lists.chips(request, form) if not _is_default(chip.label)]
    context = {
        "form": form,
        "chips": chips,
        "list": page,
        "rows": [row_of(tender, at) for tender in page.rows],
        "count": _count_words(capped_count(found)),
        "export_url": f"{reverse('tenders_export')}?{request.GET.urlencode()}",
        "at": at,
        "searched": bool(chips),
        "more_open": any(request.GET.get(name) for name in ("country", "region", "currency")),
    }
    return render(request, "procurement/tender_list.html", context)


@require_safe
def export(request: HttpRequest) -> HttpResponseBase:
    """The public list as CSV, at most EXPORT_MAX rows."""
    at = clock.now()
    form = SearchForm(request.GET or None)
    order = _order(request, form.filters().standing)
    found = tenders.for_list(tenders.search(form.filters(), at)).order_by(*order)[:EXPORT_MAX]
    return csv_response("procedures", _EXPORT_HEAD, _export_rows(found, at))


@require_safe
def own(request: HttpRequest) -> HttpResponse:
    """The buyer's procedures, newest first, drafts on top of their filter."""
    at, actor = clock.now(), actor_of(request)
    buyer = organisation_of(actor)
    if not buyer.is_buyer:
        raise NotABuyer
    form = OwnForm(request.GET or None)
    rows = tenders.of_buyer(buyer)
    if form.is_valid():
        asked = form.cleaned_data
        if asked["standing"] == "draft":
            rows = rows.filter(status__in=[TenderStatus.DRAFT.value, TenderStatus.APPROVAL.value])
        elif asked["standing"]:
            rows = tenders.search(Filters(standing=Standing(asked["standing"])), at, among=rows)
        if asked["q"]:
            rows = tenders.search(Filters(text=asked["q"], standing=Standing.ALL), at, among=rows)
    page = lists.listed(request, tenders.for_list(tenders.unanswered(rows)), ["-pk"], size=PAGE)
    allowed = actor.has(*BUYING_ROLES)
    reason = _("Your role does not allow this. It takes: %(role)s.") % {"role": Role.OFFICER.label}
    context = {
        "form": form,
        "chips": lists.chips(request, form),
        "list": page,
        "rows": [row_of(tender, at, own=True) for tender in page.rows],
        "action": Action(_("New procedure"), reverse("tender_new"), icon="plus", allowed=allowed, reason=reason),
        "at": at,
    }
    return render(request, "procurement/my_tenders.html", context)


@require_safe
def category_options(request: HttpRequest) -> HttpResponse:
    """Headings whose name or code fits what was typed, for a list beside an input."""
    typed = next((str(value).strip() for name, value in request.GET.items() if name.endswith("category")), "")
    found = Heading.objects.none()
    if len(typed) >= 2:
        found = Heading.objects.filter(code__startswith=typed.split(" ")[0])
        if not found.exists():
            found = Heading.objects.filter(name__icontains=typed)
    return render(request, "procurement/_category_options.html", {"headings": found[:20]})


def heading_of(text: str) -> Heading | None:
    """The heading whose code `text` begins with, or whose name it is."""
    by_code = Heading.objects.filter(code=text.split(" ")[0]).first()
    return by_code or Heading.objects.filter(name__iexact=text).first()


def row_of(tender: Tender, at: datetime, *, own: bool = False) -> Row:
    """A line of a list, from a tender with its lots at hand; a hidden limit price is in the buyer's own list only."""
    lots = list(tender.lots.all())
    limit = limit_of(lots) if own or tender.limit_price_shown else None
    country = str(formats.locale().territories.get(tender.buyer.country, tender.buyer.country))
    return Row(tender, family_name(tender), state_words(tender, at), limit, len(lots), country)


def _order(request: HttpRequest, standing: Standing) -> list[str]:
    """By what the reader chose; else what closes first, and among what is over the newest."""
    asked = request.GET.get("sort", "")
    column = SORTS.get(asked.removeprefix("-"))
    if column is None:
        return ["tender_ends_at", "pk"] if standing is Standing.OPEN else ["-published_at", "-pk"]
    mark = "-" if asked.startswith("-") else ""
    return [f"{mark}{column}", f"{mark}pk"]


def _is_default(label: Sentence) -> bool:
    return str(label).endswith(f": {STANDING_NAMES[Standing.OPEN]}")


def _count_words(count: int) -> str:
    if count >= COUNT_CAP:
        return _("more than %(n)s") % {"n": f"{COUNT_CAP - 1:,}"}
    return str(count)


def _countries() -> list[tuple[str, str]]:
    """Countries with buyers, by name; asked anew every ten minutes."""
    codes = cache.get(_COUNTRIES_KEY)
    if codes is None:
        codes = sorted(Organisation.objects.filter(is_buyer=True).values_list("country", flat=True).distinct())
        cache.set(_COUNTRIES_KEY, codes, _COUNTRIES_KEPT_SECONDS)
    names = formats.locale().territories
    return sorted(((code, str(names.get(code, code))) for code in codes), key=lambda pair: pair[1])


def currency_choices(also: str = "") -> list[tuple[str, str]]:
    """Currencies to choose from, with their names."""
    codes = dict.fromkeys([*_CURRENCIES, *([also] if also else [])])
    return [(code, f"{code} · {get_currency_name(code, locale=formats.locale())}") for code in codes]


_EXPORT_HEAD: Final = (
    gettext_lazy("Number"),
    gettext_lazy("Title"),
    gettext_lazy("Kind"),
    gettext_lazy("State"),
    gettext_lazy("Buyer"),
    gettext_lazy("Country"),
    gettext_lazy("Published (UTC)"),
    gettext_lazy("Questions until (UTC)"),
    gettext_lazy("Bids until (UTC)"),
    gettext_lazy("Lots"),
    gettext_lazy("Limit price"),
    gettext_lazy("Currency"),
)


def _export_rows(found: QuerySet[Tender], at: datetime) -> Iterator[list[Any]]:
    for tender in found.iterator(chunk_size=500):
        row = row_of(tender, at)
        yield [
            tender.number,
            tender.title,
            str(row.kind),
            str(row.state),
            tender.buyer.short_name,
            tender.buyer.country,
            tender.published_at,
            tender.enquiry_ends_at,
            tender.tender_ends_at,
            row.lots,
            row.limit.as_string() if row.limit else "",
            tender.currency,
        ]
