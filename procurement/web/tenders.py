"""The pages of a procedure."""

from django.http import HttpRequest, HttpResponse


def overview(request: HttpRequest, number: str) -> HttpResponse:
    return HttpResponse(number)
