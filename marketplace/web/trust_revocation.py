"""Where revocation data stands: the lists in force with their age, and the addresses they come from."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods

from marketplace.models import RevocationSource, StaffRole, TrustedCertificate
from marketplace.permissions import actor_of, require_staff
from marketplace.queries import trust as queries
from marketplace.services import revocation, revocation_sources
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound, Sentence
from marketplace.web import refusals
from marketplace.web.lists import listed
from marketplace.web.trust import crumbs, tabs

#: Tasks are taken within seconds: one that was not started for so long is not going to be.
_NO_WORKER = timedelta(minutes=2)


class ListForm(forms.Form):
    list = forms.FileField(
        label=_("Revocation list"), help_text=_("A file in PEM or DER form, signed by an authority of the store.")
    )


class AuthorityChoice(forms.ModelChoiceField):
    def label_from_instance(self, authority: Any) -> str:
        return queries.name_of(authority.subject)


class SourceForm(forms.Form):
    authority = AuthorityChoice(
        label=_("Authority"), queryset=TrustedCertificate.objects.none(), empty_label=_("Choose one")
    )
    kind = forms.ChoiceField(label=_("What it offers"), choices=RevocationSource.Kind.choices)
    url = forms.CharField(
        label=_("Address"),
        max_length=revocation_sources.URL_MAX_LENGTH,
        widget=forms.TextInput({"inputmode": "url", "placeholder": "http://crl.example.com/issuing.crl"}),
        help_text=_("As the authority publishes it. The platform asks no other address than those entered here."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["authority"]
        assert isinstance(field, AuthorityChoice)
        field.queryset = TrustedCertificate.objects.filter(enabled=True).defer("der").order_by("subject", "pk")


@require_http_methods(["GET", "HEAD", "POST"])
def lists(request: HttpRequest) -> HttpResponse:
    """The list in force of every authority, its age and when the next is due; posted, one is loaded by hand."""
    actor, now = actor_of(request), clock.now()
    require_staff(actor, StaffRole.OPERATOR)
    form = ListForm(request.POST or None, request.FILES or None) if request.method == "POST" else ListForm()
    if request.method == "POST" and form.is_valid():
        try:
            encoded = form.cleaned_data["list"].read(settings.REVOCATION_MAX_BYTES + 1)
            loaded = revocation.load_list(encoded, by=actor, at=now)
        except DomainError as error:
            refusals.show_on(form, error)
        else:
            words = gettext("The list of %(issuer)s is in force.")
            messages.success(request, words % {"issuer": queries.name_of(loaded.issuer)})
            return redirect("trust_lists")
    shown = listed(request, queries.current_lists(), ["next_update", "pk"])
    context = {
        "list": shown,
        "rows": [
            {"it": one, "name": queries.name_of(one.issuer), "dated": queries.dated(one, now)} for one in shown.rows
        ],
        "silent": [(one, queries.name_of(one.subject)) for one in queries.without_list(now)[:20]],
        "form": form,
        "tabs": tabs("trust_lists"),
        "crumbs": crumbs(),
    }
    return render(request, "marketplace/staff/trust/lists.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def sources(request: HttpRequest) -> HttpResponse:
    """The addresses that may be asked, and how they answer; posted, one is added."""
    actor, now = actor_of(request), clock.now()
    require_staff(actor, StaffRole.OPERATOR)
    form = SourceForm(request.POST if request.method == "POST" else None, initial=_initial(request))
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            kind = RevocationSource.Kind(given["kind"])
            revocation_sources.add(given["authority"].pk, kind, given["url"], by=actor, at=now)
        except DomainError as error:
            refusals.show_on(form, error)
        else:
            messages.success(request, gettext("The address is entered and is asked at once."))
            return redirect("trust_sources")
    shown = listed(request, queries.sources(), ["pk"])
    context = {
        "list": shown,
        "rows": [_row(one, now) for one in shown.rows],
        "form": form,
        "tabs": tabs("trust_sources"),
        "crumbs": crumbs(),
    }
    return render(request, "marketplace/staff/trust/sources.html", context, status=422 if form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def source(request: HttpRequest, source_id: int) -> HttpResponse:
    """One address's row, as it stands now; posted, it is asked at once, switched off or on."""
    actor, now = actor_of(request), clock.now()
    require_staff(actor, StaffRole.OPERATOR)
    if request.method == "POST":
        try:
            match request.POST.get("do"):
                case "off" | "on" as do:
                    revocation_sources.set_enabled(source_id, do == "on", by=actor, at=now)
                case _:
                    revocation_sources.ask_now(source_id, by=actor, at=now)
        except revocation_sources.SourceDisabled as error:
            messages.error(request, str(error))
    if not getattr(request, "htmx", False):
        return redirect("trust_sources")
    found = queries.sources().filter(pk=source_id).first()
    if found is None:
        raise NotFound
    return render(request, "marketplace/staff/trust/_source.html", {"row": _row(found, now)})


def _initial(request: HttpRequest) -> dict[str, str]:
    return {"authority": request.GET.get("authority", "")}


def _row(source: RevocationSource, now: datetime) -> dict[str, Any]:
    """An address with its state in words. While it is being asked, or soon will be, the page looks again."""
    asking = source.is_being_asked(now)
    waiting = source.enabled and not asking and source.next_at <= now
    state, label = _state(source, asking, waiting, now)
    return {
        "it": source,
        "name": queries.name_of(source.authority.subject),
        "state": state,
        "label": label,
        "problem": revocation_sources.problem(source) if source.enabled else "",
        "ago": now - source.fetched_at if source.fetched_at else None,
        "left": max(source.next_at - now, timedelta(0)),
        "looks_again": asking or (waiting and now - source.next_at < _NO_WORKER),
        "no_worker": waiting and now - source.next_at >= _NO_WORKER,
    }


def _state(source: RevocationSource, asking: bool, waiting: bool, now: datetime) -> tuple[str, Sentence]:
    if not source.enabled:
        return "inactive", _("Switched off")
    if not source.authority.enabled:
        return "inactive", _("Authority not trusted")
    if asking:
        return "running", _("Being asked")
    if waiting and now - source.next_at < _NO_WORKER:
        return "pending", _("About to be asked")
    if source.error:
        return ("overdue" if source.failures >= queries.FAILURES_SHOWN else "returned"), _(
            "Does not answer as it should"
        )
    return ("active", _("Answers")) if source.fetched_at else ("pending", _("Not asked yet"))
