"""What a person was told: the list, what is new, and the way to what it is about."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_POST, require_safe

from marketplace.models import Notification
from marketplace.permissions import actor_of, person_of
from marketplace.services import notifications as service
from marketplace.shared import clock
from marketplace.shared.errors import NotFound
from marketplace.web.lists import listed
from marketplace.web.parts import Action, Tab


@login_required
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """The newest first; ?show=new leaves out what was read."""
    only_new = request.GET.get("show") == "new"
    own = Notification.objects.filter(person=person_of(actor_of(request))).select_related("organisation")
    shown = listed(request, own.filter(read_at=None) if only_new else own, ["-pk"], size=30)
    context = {
        "list": shown,
        "only_new": only_new,
        "tabs": [Tab(_("All"), "?", not only_new), Tab(_("New"), "?show=new", only_new)],
        "to_home": Action(_("To the first page"), "/", icon="home"),
    }
    return render(request, "marketplace/notifications.html", context)


@login_required
@require_safe
def follow(request: HttpRequest, notification_id: int) -> HttpResponse:
    """To what it is about; it counts as read from now on."""
    actor = actor_of(request)
    found = Notification.objects.filter(pk=notification_id, person=person_of(actor)).first()
    if found is None:
        raise NotFound
    service.mark_read(actor, at=clock.now(), notification_id=found.pk)
    if found.url and url_has_allowed_host_and_scheme(found.url, allowed_hosts=None):
        return redirect(found.url)
    return redirect("notifications")


@login_required
@require_POST
def read_all(request: HttpRequest) -> HttpResponse:
    service.mark_read(actor_of(request), at=clock.now())
    messages.success(request, gettext("Everything is marked as read."))
    return redirect("notifications")
