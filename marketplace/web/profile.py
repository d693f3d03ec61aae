"""The person's own details and the organisations they act for."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.views.decorators.http import require_http_methods

from marketplace.permissions import actor_of, person_of
from marketplace.services import people
from marketplace.shared import clock
from marketplace.shared.errors import DomainError
from marketplace.web import refusals
from marketplace.web.account_forms import ProfileForm
from marketplace.web.forms import posted


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    actor = actor_of(request)
    person = person_of(actor)
    initial = {name: getattr(person, name) for name in ("full_name", "position", "phone", "time_zone")}
    form = ProfileForm(posted(request), initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            people.update_details(form.details(), by=actor, at=clock.now())
        except DomainError as error:
            refusals.show_on(form, error)
        else:
            messages.success(request, gettext("Saved."))
            return redirect("person")
    memberships = [(one, people.labels(one.roles)) for one in getattr(request, "memberships", [])]
    context = {"form": form, "person": person, "own_memberships": memberships}
    status = 422 if form.is_bound and form.errors else 200
    return render(request, "marketplace/people/profile.html", context, status=status)
