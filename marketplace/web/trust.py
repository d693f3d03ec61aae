"""The trust store's page: the authorities whose certificates count, and how fresh their revocation lists are."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from marketplace.models import StaffRole, TrustKind
from marketplace.permissions import actor_of, require_staff
from marketplace.queries import staff as queries
from marketplace.services import revocation, trust_store
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound
from marketplace.web import parts, refusals


class AuthorityForm(forms.Form):
    kind = forms.ChoiceField(label=_("What it is"), choices=TrustKind.choices)
    certificate = forms.FileField(label=_("Certificate"), help_text=_("One certificate, PEM or DER."))
    note = forms.CharField(label=_("Note"), max_length=300, required=False)


class ListForm(forms.Form):
    list = forms.FileField(label=_("Revocation list"), help_text=_("PEM or DER, signed by an authority in this store."))


@require_http_methods(["GET", "POST"])
def store(request: HttpRequest) -> HttpResponse:
    """What is trusted; posted, an authority or a revocation list is added."""
    actor, now = actor_of(request), clock.now()
    require_staff(actor, StaffRole.OPERATOR)
    authority, crl = AuthorityForm(), ListForm()
    if request.method == "POST":
        is_list = request.POST.get("do") == "list"
        form: AuthorityForm | ListForm = (ListForm if is_list else AuthorityForm)(request.POST, request.FILES)
        if form.is_valid() and _taken(request, form):
            return redirect("trust_store")
        if isinstance(form, ListForm):
            crl = form
        else:
            authority = form
    context: dict[str, Any] = {
        "trusted": [(one, one.not_after <= now) for one in queries.trusted()],
        "lists": [(one, now - one.this_update, one.next_update <= now) for one in queries.revocation_lists()],
        "authority_form": authority,
        "list_form": crl,
        "crumbs": [parts.Crumb(_("Desk"), reverse("staff_home"))],
    }
    return render(request, "marketplace/staff/trust.html", context)


def _taken(request: HttpRequest, form: AuthorityForm | ListForm) -> bool:
    actor, now, given = actor_of(request), clock.now(), form.cleaned_data
    try:
        if isinstance(form, ListForm):
            encoded = given["list"].read(settings.REVOCATION_MAX_BYTES + 1)
            revocation.load_list(encoded, by=actor, at=now)
            messages.success(request, gettext("The revocation list is loaded."))
        else:
            encoded = given["certificate"].read(trust_store.MAX_CERTIFICATE + 1)
            trust_store.add(TrustKind(given["kind"]), encoded, by=actor, at=now, note=given["note"])
            messages.success(request, gettext("The authority is trusted now."))
    except DomainError as error:
        refusals.show_on(form, error)
        return False
    return True


@require_http_methods(["GET", "POST"])
def switch(request: HttpRequest, trusted_id: int) -> HttpResponse:
    """Asks, and posted stops or resumes trusting an authority."""
    actor = actor_of(request)
    require_staff(actor, StaffRole.OPERATOR)
    found = queries.trusted().filter(pk=trusted_id).first()
    if found is None:
        raise NotFound
    if request.method == "POST":
        act = trust_store.enable if request.POST.get("enabled") == "1" else trust_store.disable
        act(found.pk, request.POST.get("reason", "") or "-", by=actor, at=clock.now())
        messages.success(request, gettext("The trust store is changed."))
        return redirect("trust_store")
    return render(request, "marketplace/staff/trust_switch.html", {"trusted": found})
