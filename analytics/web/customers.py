"""A seller's customers: the list, and the page of one with its history, rhythm, cards and story."""

from __future__ import annotations

from datetime import UTC, date, timedelta
from decimal import Decimal
from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.utils.translation import get_language, gettext_lazy
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from analytics import permissions
from analytics.models import Account, AccountEvent, Book, CardEvent
from analytics.queries import customers as queries
from analytics.queries import sellers
from analytics.queries.customers import CategoryRow, Totals
from analytics.rules import spend
from analytics.services import customers as services
from analytics.web import card_words, charts
from analytics.web.customer_lines import NONE
from analytics.web.shown_cards import event_words, shown
from marketplace.countries import name_of
from marketplace.models import Person
from marketplace.permissions import Actor, actor_of, person_of
from marketplace.queries import keyset
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound
from marketplace.shared.money import Money
from marketplace.web import formats, parts, refusals
from marketplace.web.csv_export import csv_response
from marketplace.web.forms import posted
from marketplace.web.lists import address, chips, listed
from procurement.queries import tenders

MONTHS = 24
PROCEDURES = 5


class CustomerFilter(forms.Form):
    q = forms.CharField(
        label=gettext_lazy("Name or customer number"), required=False, widget=forms.TextInput({"type": "search"})
    )
    whose = forms.ChoiceField(label=gettext_lazy("Whose"), required=False)
    territory = forms.TypedChoiceField(label=gettext_lazy("Territory"), required=False, coerce=int, empty_value=None)
    strategic = forms.ChoiceField(
        label=gettext_lazy("Strategic"),
        required=False,
        choices=[("", gettext_lazy("All")), ("yes", gettext_lazy("Strategic only")), ("no", gettext_lazy("The rest"))],
    )

    def __init__(self, *args: Any, book: Book, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = [(str(person.pk), str(person)) for person in sellers.representatives(book)]
        self.fields["whose"].choices = [  # type: ignore[attr-defined]  # a ChoiceField
            ("", _("Everybody’s")),
            ("mine", _("Mine")),
            ("nobody", _("Nobody’s")),
            *people,
        ]
        territories = queries.territories(book)
        self.fields["territory"].choices = [("", _("All")), *territories]  # type: ignore[attr-defined]
        if not territories:
            del self.fields["territory"]


class HandOverForm(forms.Form):
    to = forms.TypedChoiceField(label=gettext_lazy("To whom"), coerce=int, required=False, empty_value=None)
    note = forms.CharField(
        label=gettext_lazy("What the next one should know"), max_length=2000, widget=forms.Textarea({"rows": 3})
    )

    def __init__(self, *args: Any, book: Book, nobody: bool = True, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        people = [(str(person.pk), str(person)) for person in sellers.representatives(book)]
        first = [("", _("To the territory’s representative"))] if nobody else []
        self.fields["to"].choices = [*first, *people]  # type: ignore[attr-defined]  # a ChoiceField
        self.fields["to"].required = not nobody


class NoteForm(forms.Form):
    note = forms.CharField(label=gettext_lazy("Note"), max_length=2000, widget=forms.Textarea({"rows": 2}))


@require_safe
def customers(request: HttpRequest) -> HttpResponseBase:
    """The book's accounts with what they bought in a year; `?format=csv` is the same list as a file."""
    actor = actor_of(request)
    book = permissions.book_of(actor)
    form = CustomerFilter(request.GET, book=book)
    rows = _narrowed(queries.of_book(book), form, actor)
    today = _today(book)
    figured = queries.with_figures(rows, book, today - timedelta(days=365))
    if request.GET.get("format") == "csv":
        return _as_csv(figured, book)
    page = listed(request, figured, ["name", "pk"])
    found = keyset.capped_count(rows)
    context = {
        "list": page,
        "rows": [_listed(row, book, today) for row in page.rows],
        "form": form,
        "chips": chips(request, form),
        "export_url": address(request, format="csv"),
        "total": _("more than 1,000") if found >= keyset.COUNT_CAP else charts.count(found),
        "currency": book.currency,
    }
    return render(request, "analytics/customers.html", context)


@require_safe
def customer(request: HttpRequest, account_id: int) -> HttpResponse:
    """One account: what it bought when, its rhythm by category, its cards, its people and what was done."""
    actor = actor_of(request)
    account = _readable(actor, account_id)
    return render(request, "analytics/customer.html", _context(account, actor))


@require_POST
def note(request: HttpRequest, account_id: int) -> HttpResponse:
    """Write a note on the account."""
    actor = actor_of(request)
    account = _readable(actor, account_id)
    form = NoteForm(request.POST)
    if not form.is_valid():
        return render(request, "analytics/customer.html", _context(account, actor) | {"note_form": form}, status=422)
    services.note(account.pk, form.cleaned_data["note"], by=actor, at=clock.now())
    messages.success(request, _("The note is kept."))
    return redirect("insights_customer", account.pk)


@require_POST
def strategic(request: HttpRequest, account_id: int) -> HttpResponse:
    """Mark the account as strategic, or no longer."""
    actor = actor_of(request)
    account = _readable(actor, account_id)
    marked = services.mark_strategic(account.pk, not account.strategic, by=actor, at=clock.now())
    messages.success(
        request, _("The account is strategic now.") if marked.strategic else _("It is no longer strategic.")
    )
    return redirect("insights_customer", account.pk)


@require_http_methods(["GET", "HEAD", "POST"])
def hand_over(request: HttpRequest, account_id: int) -> HttpResponse:
    """Give the account and its cards to another representative, with a note."""
    actor = actor_of(request)
    account = _readable(actor, account_id)
    form = HandOverForm(posted(request), book=account.book)
    if request.method == "POST" and form.is_valid():
        try:
            services.hand_over(account.pk, form.cleaned_data["to"], form.cleaned_data["note"], by=actor, at=clock.now())
        except NotFound:
            raise
        except DomainError as error:
            refusals.show_on(form, error)
        else:
            messages.success(request, _("%(account)s is handed over.") % {"account": account.name})
            return redirect("insights_customer", account.pk)
    context = {
        "title": _("Hand over %(account)s") % {"account": account.name},
        "text": _(
            "Its open cards go along, and so do the open leads and opportunities of who looks after it now. The new "
            "owner is told, and so is who had it. Everything done so far stays to be read."
        ),
        "submit_label": _("Hand over"),
        "back_url": reverse("insights_customer", args=[account.pk]),
        "form": form,
    }
    return render(request, "confirm.html", context, status=422 if form.is_bound and form.errors else 200)


def _context(account: Account, actor: Actor) -> dict[str, Any]:
    book, today = account.book, _today(account.book)
    totals, rows = queries.categories(account, today)
    own = actor.person is not None and account.representative_id == actor.person.pk
    manages = permissions.is_manager(actor, book)
    day = clock.now().astimezone(UTC).date()
    return {
        "account": account,
        "stats": _stats(totals, book),
        "chart": _by_month(account, today) if totals.rhythm.days else None,
        "rows": [_row(row, account) for row in rows],
        "cards": shown(list(queries.cards_of(account)), day, only_of=None if manages else person_of(actor)),
        "story": [_told(event, None if manages else person_of(actor)) for event in queries.story(account)],
        "note_form": NoteForm(),
        "facts": _facts(account),
        "lines_url": _lines_url(account),
        "contacts_url": reverse("insights_customer_contacts_part", args=[account.pk]),
        "procedures": list(tenders.published().filter(buyer__in=buyers).order_by("-published_at")[:PROCEDURES])
        if (buyers := queries.buyers_of(account))
        else [],
        "may_hand_over": own or manages,
        "may_mark": manages,
        "crumbs": [parts.Crumb(_("Customers"), reverse("insights_customers"))],
    }


def _stats(totals: Totals, book: Book) -> list[parts.Stat]:
    found = totals.rhythm
    change = _change(totals)
    usual = formats.EMPTY if found.gap is None else _days(max(round(found.gap), 1))
    days = _("%(n)s days with purchases") % {"n": charts.count(found.days)}
    return [
        parts.Stat(_("Bought in 12 months"), _money(totals.amount, book) or formats.EMPTY, change, icon="cash"),
        parts.Stat(_("Orders in 12 months"), charts.count(totals.orders), icon="shopping-cart"),
        parts.Stat(
            _("Usually buys every"),
            usual,
            days,
            icon="repeat",
        ),
        parts.Stat(
            _("Silent for"),
            _days(found.silent) if found.last else formats.EMPTY,
            _("since %(day)s") % {"day": formats.day(found.last)} if found.last else "",
            icon="moon",
            tone="warn" if found.is_late else "",
        ),
    ]


def _change(totals: Totals) -> str:
    if not totals.before:
        return _("nothing in the 12 months before")
    share = (totals.amount - totals.before) / totals.before
    sign = "+" if share > 0 else ""
    return _("%(change)s against the 12 months before") % {"change": sign + charts.percent(share)}


def _row(row: CategoryRow, account: Account) -> dict[str, Any]:
    book = account.book
    usual = formats.EMPTY if row.rhythm.gap is None else _days(max(round(row.rhythm.gap), 1))
    state = "" if row.rhythm.gap is not None else "unknown"
    if row.rhythm.is_late:
        state = "late"
    elif row.rhythm.gap is not None and row.rhythm.silent > 2 * row.rhythm.gap:
        state = "slow"
    return {
        "name": row.name or _("Without a category"),
        "url": _lines_url(account, category=str(row.category or NONE)),
        "days": row.rhythm.days,
        "usual": usual,
        "silent": row.rhythm.silent,
        "last": row.rhythm.last,
        "amount": _money(row.amount, book),
        "before": _money(row.before, book),
        "state": state,
    }


def _by_month(account: Account, today: date) -> parts.Chart:
    first = spend.first_of_period(today, MONTHS)
    found = queries.by_month(account, first)
    rows = [(month, *found.get(month, (Decimal(0), 0))) for month in spend.months(first, today)]
    option = {
        "xAxis": {"type": "category", "data": [charts.month_name(month) for month, _amount, _orders in rows]},
        "yAxis": {"type": "value"},
        "series": [{"type": "bar", "name": _("Bought"), "data": [float(amount) for _month, amount, _orders in rows]}],
    }
    cells = [
        (
            charts.opens(charts.month_name(month), _lines_url(account, month=f"{month:%Y-%m}"), orders),
            charts.count(orders),
            charts.figure(amount, account.book.currency),
        )
        for month, amount, orders in reversed(rows)
    ]
    columns = (_("Month"), _("Days with orders"), _("Bought"))
    return parts.Chart("by-month", _("Bought by month"), option, columns, cells, (1, 2), account.book.currency)


def _lines_url(account: Account, **narrowing: str) -> str:
    query = urlencode(narrowing)
    return reverse("insights_customer_lines", args=[account.pk]) + (f"?{query}" if query else "")


def _facts(account: Account) -> list[parts.Fact]:
    owner = account.representative or (account.territory.representative if account.territory else None)
    return [
        parts.Fact(_("Customer number"), account.external_id),
        parts.Fact(_("Country"), name_of(account.country, get_language() or "en") if account.country else ""),
        parts.Fact(_("Representative"), owner or _("nobody yet")),
        parts.Fact(_("Territory"), account.territory or ""),
        parts.Fact(_("Strategic"), _("yes") if account.strategic else _("no")),
        parts.Fact(_("Currency of the figures"), account.book.currency),
    ]


def _told(event: AccountEvent | CardEvent, only_of: Person | None) -> dict[str, Any]:
    """A line of the story; `only_of`: a reader who may open their own cards only."""
    if isinstance(event, CardEvent):
        opens = only_of is None or event.card.is_of(only_of)
        from_card = card_words.thing(event.card)
        label = event.card.get_kind_display()
        return {
            "at": event.at,
            "who": event.person,
            "what": event.get_what_display(),
            "about": f"{label} · {from_card}" if from_card else label,
            "words": event_words(event),
            "url": reverse("insights_card", args=[event.card_id]) if opens else "",
        }
    words = []
    if event.what == AccountEvent.What.HANDED_OVER:
        values = {"giver": event.giver or _("nobody"), "taker": event.taker or _("the territory")}
        words.append(_("from %(giver)s to %(taker)s") % values)
    return {
        "at": event.at,
        "who": event.by,
        "what": event.get_what_display(),
        "about": "",
        "words": [*words, *([event.text] if event.text else [])],
        "url": "",
    }


def _narrowed(rows: Any, form: CustomerFilter, actor: Actor) -> Any:
    if not form.is_valid():
        return rows
    asked = form.cleaned_data
    rows = queries.matching(rows, asked["q"].strip())
    whose = asked["whose"]
    if whose == "mine":
        rows = rows.filter(representative=actor.person)
    elif whose == "nobody":
        rows = rows.filter(representative=None)
    elif whose:
        rows = rows.filter(representative_id=int(whose))
    if asked.get("territory") is not None:
        rows = rows.filter(territory_id=asked["territory"])
    if asked["strategic"]:
        rows = rows.filter(strategic=asked["strategic"] == "yes")
    return rows


def _as_csv(rows: Any, book: Book) -> HttpResponseBase:
    head = (_("Customer number"), _("Name"), _("Country"), _("Representative"), _("Territory"), _("Strategic"),
            _("Last purchase"), _("Bought in 12 months"), _("Currency"), _("Open cards"))  # fmt: skip
    lines = (
        (row.external_id, row.name, row.country, str(row.representative or ""), str(row.territory or ""),
         _("yes") if row.strategic else "", row.last_day and row.last_day.isoformat(), str(row.spent), book.currency,
         row.open_cards)
        for row in rows.order_by("name", "pk").iterator(chunk_size=1000)
    )  # fmt: skip
    return csv_response("customers", head, lines)


def _readable(actor: Actor, account_id: int) -> Account:
    """An account of the actor's book; the one it was merged into stands for it. Raises NotFound."""
    book = permissions.book_of(actor)
    joined = Account.objects.select_related("book__run", "representative", "territory__representative", "buyer")
    account = joined.filter(book=book, pk=account_id).first()
    if account is None:
        raise NotFound
    if account.merged_into_id:
        account = joined.get(pk=account.merged_into_id)
    return account


def _money(amount: Decimal, book: Book) -> Money | None:
    return Money(amount, book.currency).rounded() if book.currency else None


def _listed(row: Any, book: Book, today: date) -> tuple[Account, Money | None, int | None]:
    """An account with what it spent in a year, and for how many days it is silent."""
    return row, _money(row.spent, book), (today - row.last_day).days if row.last_day else None


def _days(number: int) -> str:
    return formats.duration(timedelta(days=number)) if number else _("0 days")


def _today(book: Book) -> date:
    """The day up to which purchases are known, as the newest scores are; today where there are none."""
    return book.run.cutoff if book.run else clock.now().astimezone(UTC).date()
