"""The platform's own pages: queues, organisations, staff roles, the audit trail, the processes."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from marketplace import audit
from marketplace.models import AuditRecord, Organisation, OrganisationStatus, StaffRole
from marketplace.permissions import Actor, actor_of, person_of, require_staff
from marketplace.queries import accreditations, keyset, signatures, tariffs, trust
from marketplace.queries import audit as trail
from marketplace.queries import staff as queries
from marketplace.services import staff as service
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound, Sentence
from marketplace.web import formats, parts, refusals
from marketplace.web.forms import whole_number
from marketplace.web.lists import chips, listed

_OFFICE = (StaffRole.OPERATOR, StaffRole.TARIFF_MANAGER, StaffRole.AUDITOR)
_AUDIT = (StaffRole.AUDITOR, StaffRole.OPERATOR)


class OrganisationFilter(forms.Form):
    q = forms.CharField(
        label=_("Name or registration number"), required=False, widget=forms.TextInput({"type": "search"})
    )
    status = forms.ChoiceField(label=_("State"), required=False, choices=[("", _("All")), *OrganisationStatus.choices])


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"),
        max_length=1000,
        widget=forms.Textarea({"rows": 3}),
        help_text=_("The organisation reads it."),
    )


class RolesForm(forms.Form):
    email = forms.EmailField(label=_("E-mail of the person"))
    roles = forms.MultipleChoiceField(
        label=_("Roles"),
        required=False,
        choices=StaffRole.choices,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("None marked takes all roles away."),
    )


class AuditFilter(forms.Form):
    stream = forms.CharField(
        label=_("Stream"), required=False, widget=forms.TextInput({"placeholder": "organisation:4, tender:7"})
    )
    action = forms.ChoiceField(label=_("What happened"), required=False)
    email = forms.EmailField(label=_("E-mail of the person"), required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field = self.fields["action"]
        assert isinstance(field, forms.ChoiceField)
        field.choices = [("", _("Everything")), *((action, in_words(action)) for action in trail.actions())]


def in_words(action: str) -> str:
    """ "payment_confirmed" as "Payment confirmed"."""
    words = action.replace("_", " ").replace(".", " ")
    return words[:1].upper() + words[1:]


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What waits, how long, and whether the platform is well."""
    actor, now = actor_of(request), clock.now()
    require_staff(actor, *_OFFICE)
    context = {"stats": _stats(actor, now), "links": _links(actor)}
    return render(request, "marketplace/staff/home.html", context)


def _stats(actor: Actor, now: datetime) -> list[parts.Stat]:
    found = []
    if actor.is_a(StaffRole.OPERATOR):
        waiting = queries.accreditation_queue()
        found.append(_stat(_("Requests for accreditation"), waiting, "accreditation_queue", "certificate", now, days=2))
    if actor.is_a(StaffRole.OPERATOR, StaffRole.TARIFF_MANAGER):
        found.append(_stat(_("Invoices to be paid"), queries.unpaid_invoices(), "tariff_desk", "receipt", now))
        overdue = queries.overdue_invoices(now)
        found.append(_stat(_("Overdue invoices"), overdue, "tariff_desk", "alert-triangle", now, days=0))
    if actor.is_a(StaffRole.OPERATOR):
        stale = sum(one.freshness == trust.Freshness.OVERDUE for one in trust.ageing(now))
        silent = sum(not alive for _beat, alive in queries.heartbeats(now))
        found += [
            parts.Stat(
                _("Outdated revocation lists"), stale, url=reverse("trust_lists"), icon="shield-check",
                tone="bad" if stale else "good",
            ),
            _stat(_("Late time stamps"), signatures.late_stamps(now), "staff_signatures", "clock-check", now, days=0),
            parts.Stat(
                _("Processes that do not answer"), silent, url=reverse("system_health"), icon="activity",
                tone="bad" if silent else "good",
            ),
        ]  # fmt: skip
    return found


def _stat(
    label: Sentence, queue: queries.Queue, route: str, icon: str, now: datetime, days: int | None = None
) -> parts.Stat:
    """`days`: how long the first may wait before the figure warns."""
    value = _("more than 1,000") if queue.count >= keyset.COUNT_CAP else queue.count
    note = gettext("the first for %(age)s") % {"age": formats.duration(now - queue.oldest)} if queue.oldest else ""
    late = days is not None and queue.oldest is not None and (now - queue.oldest).days >= days
    return parts.Stat(label, value, note, reverse(route), icon, "warn" if late else "")


def _links(actor: Actor) -> list[tuple[Sentence, Sentence, str, str]]:
    """Title, what it is for, address and picture of each page this person may open."""
    both, operator = (StaffRole.OPERATOR, StaffRole.AUDITOR), (StaffRole.OPERATOR,)
    desk = (StaffRole.TARIFF_MANAGER, StaffRole.OPERATOR)
    pages: list[tuple[tuple[StaffRole, ...], Sentence, Sentence, str, str]] = [
        (both, _("Organisations"), _("Look up, suspend, restore"), "staff_organisations", "building"),
        (operator, _("Accreditation"), _("Accept requests or return them"), "accreditation_queue", "certificate"),
        (desk, _("Tariffs"), _("Invoices, subscriptions, plans"), "tariff_desk", "receipt"),
        (operator, _("Trust store"), _("Authorities and revocation lists"), "trust_store", "shield-check"),
        (both, _("Signatures"), _("Time stamps, evidence, judging again"), "staff_signatures", "signature"),
        (operator, _("Staff"), _("Who may do what on the platform"), "staff_roles", "users"),
        (
            _AUDIT,
            _("Audit trail"),
            _("Who did what, and proof that nothing is missing"),
            "audit_browser",
            "list-search",
        ),
        (both, _("Live auctions"), _("What runs, what is late, outages"), "outages", "broadcast"),
        (both, _("Health"), _("Processes and their heartbeats"), "system_health", "activity"),
    ]
    return [(title, text, reverse(route), icon) for roles, title, text, route, icon in pages if actor.is_a(*roles)]


# Organisations


@require_safe
def organisations(request: HttpRequest) -> HttpResponse:
    require_staff(actor_of(request), StaffRole.OPERATOR, StaffRole.AUDITOR)
    form = OrganisationFilter(request.GET)
    chosen = form.cleaned_data if form.is_valid() else {}
    rows = queries.organisations(text=chosen.get("q", ""), status=chosen.get("status", ""))
    context = {
        "list": listed(request, rows, ["short_name", "pk"]),
        "form": form,
        "chips": chips(request, form),
        "crumbs": _crumbs(),
    }
    return render(request, "marketplace/staff/organisations.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def organisation(request: HttpRequest, organisation_id: int) -> HttpResponse:
    """An organisation as the operator sees it; posted with a reason, suspends or restores it."""
    actor, now = actor_of(request), clock.now()
    require_staff(actor, StaffRole.OPERATOR, *([StaffRole.AUDITOR] if request.method != "POST" else []))
    form = ReasonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        act = service.restore if request.POST.get("do") == "restore" else service.suspend
        try:
            changed = act(organisation_id, form.cleaned_data["reason"], by=actor, at=now)
        except DomainError as error:
            if error.status == 404:
                raise
            refusals.show_on(form, error)
        else:
            words = gettext("%(organisation)s: %(status)s.")
            messages.success(request, words % {"organisation": changed, "status": changed.get_status_display()})
            return redirect("staff_organisation", organisation_id)
    found = Organisation.objects.prefetch_related("identifiers", "addresses").filter(pk=organisation_id).first()
    if found is None:
        raise NotFound
    context = {
        "organisation": found,
        "form": form,
        "may_change": actor.is_a(StaffRole.OPERATOR) and found.status != OrganisationStatus.DRAFT,
        "accreditations": [(one, one.is_valid(now)) for one in accreditations.of_organisation(found.pk)],
        "subscriptions": tariffs.subscriptions(at=now).filter(organisation=found).order_by("-pk")[:10],
        "members": found.memberships.filter(active=True).select_related("person"),
        "history": record_rows(trail.records(stream=f"organisation:{found.pk}").order_by("-number")[:20]),
        "audit_url": f"{reverse('audit_browser')}?stream=organisation:{found.pk}" if actor.is_a(*_AUDIT) else "",
        "now": now,
        "crumbs": [*_crumbs(), parts.Crumb(_("Organisations"), reverse("staff_organisations"))],
    }
    return render(request, "marketplace/staff/organisation.html", context)


# People


@require_http_methods(["GET", "HEAD", "POST"])
def roles(request: HttpRequest) -> HttpResponse:
    """Who works for the platform; a person's roles are given by their e-mail address."""
    actor = actor_of(request)
    require_staff(actor, StaffRole.OPERATOR)
    chosen = queries.people().filter(email=request.GET.get("email", "")).first()
    initial = {"email": chosen.email, "roles": chosen.staff_roles} if chosen else {}
    if request.POST.get("do") in ("confirm", "turn_down"):
        return _decided(request, actor)
    form = RolesForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            person = service.grant(form.cleaned_data["email"], form.cleaned_data["roles"], by=actor, at=clock.now())
        except DomainError as error:
            refusals.show_on(form, error)
        else:
            waits = set(form.cleaned_data["roles"]) != set(person.staff_roles)
            words = (
                gettext("Another operator has to confirm that %(person)s becomes one. They are told.")
                if waits
                else gettext("The roles of %(person)s are changed.")
            )
            messages.success(request, words % {"person": person})
            return redirect("staff_roles")
    labels = dict(StaffRole.choices)
    people = [(person, ", ".join(str(labels[role]) for role in person.staff_roles)) for person in queries.people()]
    proposals = [
        (one, ", ".join(str(labels[role]) for role in one.roles), one.proposed_by_id != person_of(actor).pk)
        for one in queries.role_proposals()
    ]
    context = {"form": form, "people": people, "proposals": proposals, "me": actor.person, "crumbs": _crumbs()}
    return render(request, "marketplace/staff/roles.html", context)


def _decided(request: HttpRequest, actor: Actor) -> HttpResponse:
    confirms = request.POST["do"] == "confirm"
    act = service.confirm if confirms else service.turn_down
    try:
        person = act(whole_number(request.POST.get("proposal")) or 0, by=actor, at=clock.now())
    except DomainError as error:
        messages.error(request, str(error))
    else:
        words = (
            gettext("The roles of %(person)s are changed.") if confirms else gettext("%(person)s keeps their roles.")
        )
        messages.success(request, words % {"person": person})
    return redirect("staff_roles")


# The audit trail


@require_safe
def audit_browser(request: HttpRequest) -> HttpResponse:
    """Every record, filtered; a single stream can be checked for gaps and changes."""
    require_staff(actor_of(request), *_AUDIT)
    form = AuditFilter(request.GET)
    chosen = form.cleaned_data if form.is_valid() else {}
    stream = chosen.get("stream", "")
    rows = trail.records(stream=stream, action=chosen.get("action", ""), email=chosen.get("email", ""))
    shown = listed(request, rows, ["-pk"])
    context = {
        "list": shown,
        "rows": record_rows(shown.rows),
        "form": form,
        "chips": chips(request, form),
        "stream": stream,
        "verdict": _verdict(stream) if stream and "check" in request.GET else None,
        "crumbs": _crumbs(),
    }
    return render(request, "marketplace/staff/audit.html", context)


def _verdict(stream: str) -> parts.Reason:
    """Whether the stream's chain is whole, in words."""
    broken = audit.broken_at(trail.chain(stream))
    if broken is not None:
        words = gettext(
            "The chain of %(stream)s breaks at record %(number)s: it was changed, or one before it is missing."
        )
        return parts.Reason(False, words % {"stream": stream, "number": broken})
    last = AuditRecord.objects.filter(stream=stream).order_by("-number").first()
    if last is None:
        return parts.Reason(False, gettext("There is no stream %(stream)s.") % {"stream": stream})
    words = gettext("The chain of %(stream)s is whole: %(number)s records, the last with the hash %(hash)s")
    return parts.Reason(True, words % {"stream": stream, "number": last.number, "hash": f"{last.hash[:16]}…"})


def record_rows(records: QuerySet[AuditRecord] | list[AuditRecord]) -> list[dict[str, Any]]:
    """Records as a table shows them."""
    return [
        {
            "at": record.at,
            "actor": _who(record),
            "action": in_words(record.action),
            "detail": "; ".join(f"{in_words(name).lower()}: {_said(value)}" for name, value in record.details.items()),
            "hash": record.hash,
            "stream": record.stream,
            "number": record.number,
        }
        for record in records
    ]


def _said(value: Any) -> str:
    """A detail short enough for a table: lists of things are counted, hashes and long texts cut."""
    if isinstance(value, dict):
        return ", ".join(in_words(name) for name in value)[:80]
    if isinstance(value, list):
        return str(len(value)) if any(isinstance(one, dict | list) for one in value) else ", ".join(map(str, value))
    text = str(value)
    if len(text) == 64 and text.isalnum():
        return f"{text[:12]}…"
    return text if len(text) <= 120 else f"{text[:119]}…"


def _who(record: AuditRecord) -> str:
    if record.person is None:
        return gettext("The platform")
    return f"{record.person} · {record.organisation}" if record.organisation else str(record.person)


# Health


@require_safe
def health(request: HttpRequest) -> HttpResponse:
    now = clock.now()
    require_staff(actor_of(request), StaffRole.OPERATOR, StaffRole.AUDITOR)
    beats = [(beat, alive, now - beat.at) for beat, alive in queries.heartbeats(now)]
    context = {"beats": beats, "crumbs": _crumbs()}
    return render(request, "marketplace/staff/health.html", context)


def _crumbs() -> list[parts.Crumb]:
    return [parts.Crumb(_("Desk"), reverse("staff_home"))]
