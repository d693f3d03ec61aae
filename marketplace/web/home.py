"""The first page: public figures for visitors, what waits for those who are signed in."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from marketplace.permissions import actor_of


def home(request: HttpRequest) -> HttpResponse:
    if not actor_of(request).is_signed_in:
        return render(request, "marketplace/home_public.html")
    return render(request, "marketplace/home.html")
