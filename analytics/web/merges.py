"""Two accounts that are one customer: found, merged, parted again."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from analytics import permissions
from analytics.models import Account, AccountMerge, Book
from analytics.queries import history as queries
from analytics.services import merged_work
from analytics.services import merges as services
from marketplace.permissions import actor_of
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotAllowed, NotFound
from marketplace.web import parts, refusals
from marketplace.web.forms import posted
from marketplace.web.lists import listed

#: Customers offered for a merge: the search narrows them.
OFFERED = 50


class SearchForm(forms.Form):
    q = forms.CharField(
        label=gettext_lazy("Name or customer number"), required=False, widget=forms.TextInput({"type": "search"})
    )


class MergeForm(forms.Form):
    source = forms.ChoiceField(
        label=gettext_lazy("This customer"), help_text=gettext_lazy("It no longer stands for itself.")
    )
    target = forms.ChoiceField(
        label=gettext_lazy("is the same as"), help_text=gettext_lazy("The purchases of both count for this one.")
    )

    def __init__(self, offered: list[Account], data: Any = None) -> None:
        super().__init__(data)
        choices = [("", "—"), *((str(one.pk), f"{one.name} · {one.external_id}") for one in offered)]
        for name in ("source", "target"):
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            field.choices = choices


@require_http_methods(["GET", "HEAD", "POST"])
def merges(request: HttpRequest) -> HttpResponse:
    """Merges so far, and two customers to merge; posted, merges them."""
    actor = actor_of(request)
    book = permissions.book_of(actor)
    permissions.require_manager(actor, book)
    text = request.GET.get("q", "").strip()[:100]
    offered = _offered(book, text)
    form = MergeForm(offered, posted(request))
    if request.method == "POST" and form.is_valid():
        typed = form.cleaned_data
        try:
            merged = services.merge(book, int(typed["source"]), int(typed["target"]), by=actor, at=clock.now())
        except (NotAllowed, NotFound):
            raise
        except DomainError as refusal:
            refusals.show_on(form, refusal)
        else:
            words = _("%(source)s counts as %(target)s now. Scores follow with the next run.")
            messages.success(request, words % {"source": merged.source, "target": merged.target})
            return redirect("insights_merges")
    page = listed(request, queries.merges(book), ["-pk"])
    context = {
        "form": form if len(offered) > 1 or form.is_bound else None,
        "search": SearchForm({"q": text}),
        "asked": text,
        "more": len(offered) == OFFERED,
        "list": page,
        "rows": _shown(list(page.rows)),
        "crumbs": [parts.Crumb(_("Purchase history"), reverse("insights_purchases"))],
    }
    return render(request, "analytics/merges.html", context, status=422 if form.is_bound and form.errors else 200)


@require_POST
def undo(request: HttpRequest, merge_id: int) -> HttpResponse:
    """Part the two again."""
    actor = actor_of(request)
    book = permissions.book_of(actor)
    parted = services.undo(book, merge_id, by=actor, at=clock.now())
    words = _("%(source)s and %(target)s are two customers again.")
    messages.success(request, words % {"source": parted.source, "target": parted.target})
    return redirect("insights_merges")


@require_POST
def bring(request: HttpRequest, merge_id: int) -> HttpResponse:
    """Bring along what an old merge left where it was."""
    actor = actor_of(request)
    book = permissions.book_of(actor)
    brought = services.bring_work(book, merge_id, by=actor, at=clock.now())
    words = _("What people work on at %(source)s is with the customer now that it counts as.")
    messages.success(request, words % {"source": brought.source})
    return redirect("insights_merges")


def _shown(rows: list[AccountMerge]) -> list[tuple[AccountMerge, bool]]:
    """Merges, and whether people's work was left behind."""
    standing = [one.source_id for one in rows if one.undone_at is None]
    left = set(merged_work.left_behind(Account.objects.filter(pk__in=standing)).values_list("pk", flat=True))
    return [(one, one.undone_at is None and one.source_id in left) for one in rows]


def _offered(book: Book, text: str) -> list[Account]:
    """Customers by the search; each word may find another one, so that "acme akme" offers both."""
    found: dict[int, Account] = {}
    for word in text.split()[:4] or [""]:
        found |= {one.pk: one for one in queries.accounts(book, text=word)[:OFFERED]}
    return sorted(found.values(), key=lambda one: (one.name, one.pk))[:OFFERED]
