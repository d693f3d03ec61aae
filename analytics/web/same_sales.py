"""Sales counted once: orders of the company's own system that are contracts on the platform; told apart, or not."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from analytics import permissions
from analytics.queries import history as queries
from analytics.services import same_sales as services
from marketplace.permissions import actor_of
from marketplace.shared import clock
from marketplace.shared.errors import NotFound
from marketplace.shared.money import Money
from marketplace.web import parts
from marketplace.web.lists import listed


@require_safe
def same_sales(request: HttpRequest) -> HttpResponse:
    """Orders that count as a contract, and those that were said to be sales of their own."""
    actor = actor_of(request)
    book = permissions.book_of(actor)
    orders: Any = queries.same_sales(book)  # with what the query reckons of each
    page = listed(request, orders, ["-pk"])
    context: dict[str, Any] = {
        "list": page,
        "rows": [
            (
                one,
                Money(one.amount, one.currency).rounded() if one.currency else None,
                # The platform's representatives read no contracts of others.
                _contract_url(one.contract) if book.owner_id else "",
            )
            for one in page.rows
        ],
        "manages": permissions.is_manager(actor, book),
        "crumbs": [parts.Crumb(_("Purchase history"), reverse("insights_purchases"))],
    }
    return render(request, "analytics/same_sales.html", context)


def _contract_url(number: str) -> str:
    contract, _slash, delivery = number.partition("/")
    return reverse("delivery", args=[contract, int(delivery)]) if delivery else reverse("contract", args=[contract])


@require_POST
def say(request: HttpRequest, same_sale_id: int, what: str) -> HttpResponse:
    """That an order and a contract are two sales, or one after all."""
    do = {"apart": services.tell_apart, "one": services.take_as_one}.get(what)
    if do is None:
        raise NotFound
    actor = actor_of(request)
    said = do(permissions.book_of(actor), same_sale_id, by=actor, at=clock.now())
    values = {"order": said.order, "contract": said.contract}
    words = (
        _("Order %(order)s and contract %(contract)s are two sales: both count. Scores follow with the next run.")
        if what == "apart"
        else _("Order %(order)s counts as contract %(contract)s again where it still fits it.")
    )
    messages.success(request, words % values)
    return redirect("insights_same_sales")
