"""The searchable tree of headings, shown with boxes; HTMX replaces what was found, a plain form searches as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from marketplace.queries import organisations as queries
from marketplace.shared.errors import NotFound

LONGEST_ID = 19
_WORDS = {
    "offered": (_("What you offer"), _("You are told about procurements under these headings.")),
    "consumed": (_("What you buy"), _("Suppliers find you by these headings.")),
}


@require_safe
def found(request: HttpRequest) -> HttpResponse:
    """The tree filtered by what was typed, with the chosen headings kept."""
    name = request.GET.get("name", "")
    if name not in _WORDS:
        raise NotFound
    tree = heading_choice(name, ids_in(request.GET, name), request.GET.get(f"find_{name}", ""))
    return render(request, "marketplace/signup/_headings_found.html", {"tree": tree})


def heading_choice(name: str, chosen: Sequence[int], text: str) -> dict[str, Any]:
    """What the tree `name` ("offered" or "consumed") shows: those chosen first, then what is found among the others."""
    branches = queries.heading_tree(text.strip())
    every = queries.heading_tree() if text.strip() else branches
    known = {h.pk: h for b in every for h in (b.division, *(heading for _depth, heading in b.headings))}
    title, hint = _WORDS[name]
    return {
        "name": name,
        "title": title,
        "hint": hint,
        "text": text,
        "chosen": [known[pk] for pk in chosen if pk in known],
        "wanted": set(chosen),
        "branches": branches,
    }


def ids_in(values: QueryDict | None, name: str) -> list[int]:
    """The ids sent under `name`; what cannot be one is left out."""
    sent = values.getlist(name) if values else []
    return [int(value) for value in sent if value.isascii() and value.isdigit() and len(value) < LONGEST_ID]
