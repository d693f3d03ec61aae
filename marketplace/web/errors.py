"""The pages of errors that no view answered for. Programs, which ask below /api/, get a problem document instead."""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _

_PROGRAMS = "/api/"


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith(_PROGRAMS):
        return _problem(400, "unreadable", _("The request could not be read."))
    return render(request, "400.html", status=400)


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith(_PROGRAMS):
        return _problem(403, "not_allowed", _("You are not allowed to do this."))
    return render(request, "403.html", status=403)


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    if request.path.startswith(_PROGRAMS):
        return _problem(404, "not_found", _("There is nothing here, or it is not yours to see."))
    return render(request, "404.html", status=404)


def server_error(request: HttpRequest) -> HttpResponse:
    if request.path.startswith(_PROGRAMS):
        return _problem(500, "server_error", _("Something went wrong here. Nothing has been changed."))
    return render(request, "500.html", status=500)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """An old page or a lost session: say so, in the words of the person, not of the mechanism."""
    return render(request, "403.html", {"stale_session": True}, status=403)


def _problem(status: int, code: str, detail: str) -> JsonResponse:
    """As `marketplace.api.problems.problem`, for what fails before the API is reached."""
    body = {"type": f"urn:openlot:problem:{code}", "title": detail, "status": status, "code": code, "detail": detail}
    return JsonResponse(body, status=status, content_type="application/problem+json")
