"""How signing in the browser is protected, with the hashes of every script this site serves."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from marketplace.web import bundle


@require_GET
def about(request: HttpRequest) -> HttpResponse:
    """Public: whoever rebuilds the scripts from the sources can compare."""
    scripts = [(name, digest) for name, digest in sorted(bundle.hashes().items()) if name.endswith(".js")]
    return render(request, "marketplace/bundles.html", {"scripts": scripts})
