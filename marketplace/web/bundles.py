"""How signing in the browser is protected, with the hashes of every script this site serves."""

from __future__ import annotations

from typing import Final, NamedTuple

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_safe

from marketplace.shared.errors import Sentence
from marketplace.web import bundle

#: What a script is there for. One that is missing here is listed all the same.
PURPOSES: Final[dict[str, Sentence]] = {
    "app.js": _("On every page: menus, forms that lose nothing, the clock"),
    "charts.js": _("Charts"),
    "check.js": _("Checking a signature: files may be dropped on the page"),
    "committee.js": _("Keys of committee members: made, kept and given up for an opening"),
    "forge.js": _("Opens key files of older tools; loaded only when one is chosen"),
    "live.js": _("Live auctions"),
    "sealing.js": _("Seals bids and opens shares of keys"),
    "sealing-worker.js": _("Seals large documents beside the page"),
    "signing.js": _("Opens your key file and signs"),
    "theme.js": _("On every page: light or dark before the first paint"),
}


class Script(NamedTuple):
    name: str
    digest: str
    url: str
    purpose: Sentence


@require_safe
def about(request: HttpRequest) -> HttpResponse:
    """Public: whoever rebuilds the scripts from the sources, or fetches the files, can compare."""
    scripts = [
        Script(name, digest, bundle.url(name), PURPOSES.get(name, ""))
        for name, digest in sorted(bundle.hashes().items())
        if name.endswith(".js")
    ]
    context = {
        "scripts": scripts,
        "is_collected": bundle.is_collected(),
        "signing_url": request.build_absolute_uri(bundle.url("signing.js")),
    }
    return render(request, "marketplace/bundles.html", context)
