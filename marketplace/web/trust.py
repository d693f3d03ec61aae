"""The trust store's pages: the authorities that count, adding one, and everything about one of them."""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Any

from cryptography import x509
from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from marketplace.models import StaffRole, TrustedCertificate, TrustKind
from marketplace.permissions import Actor, actor_of, require_staff
from marketplace.queries import trust as queries
from marketplace.services import revocation, trust_store
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound, Sentence
from marketplace.web import parts, refusals, trust_words
from marketplace.web.lists import chips, listed
from marketplace.web.staff import record_rows

_STATES: tuple[tuple[str, Sentence], ...] = (
    ("", _("All")),
    (queries.State.TRUSTED, _("Trusted")),
    (queries.State.PROPOSED, _("Waiting for a second operator")),
    (queries.State.EXPIRED, _("Expired")),
    (queries.State.DISABLED, _("Not trusted")),
)
# As which of the states that the design knows each one is shown.
_LOOKS = {
    queries.State.TRUSTED: "active",
    queries.State.PROPOSED: "pending",
    queries.State.EXPIRED: "expired",
    queries.State.DISABLED: "ended",
}


class StoreFilter(forms.Form):
    q = forms.CharField(label=_("Name or fingerprint"), required=False, widget=forms.TextInput({"type": "search"}))
    kind = forms.ChoiceField(label=_("What it is"), required=False, choices=[("", _("All")), *TrustKind.choices])
    state = forms.ChoiceField(label=_("State"), required=False, choices=_STATES)


class AuthorityForm(forms.Form):
    """The first step: which certificate, as what, and why."""

    kind = forms.ChoiceField(
        label=_("What it is"),
        choices=TrustKind.choices,
        widget=forms.RadioSelect,
        help_text=_(
            "Signatures end at an anchor. An intermediate stands between an anchor and the signers, and counts only "
            "below one. Time-stamping authorities are trusted for time stamps alone."
        ),
    )
    certificate = forms.FileField(label=_("Certificate"), required=False, help_text=_("A file in PEM or DER form, or:"))
    pem = forms.CharField(
        label=_("Certificate as text"),
        required=False,
        widget=forms.Textarea({"rows": 4, "spellcheck": "false", "placeholder": "-----BEGIN CERTIFICATE-----"}),
    )
    note = forms.CharField(
        label=_("Why it is to be trusted"),
        max_length=trust_store.NOTE_MAX_LENGTH,
        widget=forms.Textarea({"rows": 2}),
        help_text=_("Who asked for it, on what grounds, where its fingerprint was published. Kept with the record."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in ("certificate", "pem"):
            # Neither is optional, and neither is required: the template calls them nothing.
            self.fields[name].one_of_several = True  # type: ignore[attr-defined]

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if not given.get("certificate") and not given.get("pem") and "certificate" not in self.errors:
            self.add_error("certificate", _("Choose a file, or paste the certificate as text."))
        return given

    def encoded(self) -> bytes:
        """What was given, cut where it is too long anyway."""
        upload = self.cleaned_data.get("certificate")
        if upload:
            return bytes(upload.read(trust_store.MAX_CERTIFICATE + 1))
        return str(self.cleaned_data["pem"]).strip().encode()


class ConfirmForm(forms.Form):
    """The second step, after what the certificate says was shown."""

    kind = forms.ChoiceField(choices=TrustKind.choices, widget=forms.HiddenInput)
    der = forms.CharField(widget=forms.HiddenInput)
    note = forms.CharField(max_length=trust_store.NOTE_MAX_LENGTH, widget=forms.HiddenInput)
    compared = forms.BooleanField(
        label=_("I compared the fingerprint with the one the authority publishes, by another way than this file came.")
    )

    def encoded(self) -> bytes:
        try:
            return base64.b64decode(self.cleaned_data["der"], validate=True)
        except (binascii.Error, ValueError):
            return b""


class ReasonForm(forms.Form):
    reason = forms.CharField(
        label=_("Reason"), max_length=trust_store.NOTE_MAX_LENGTH, widget=forms.Textarea({"rows": 2})
    )


@require_safe
def store(request: HttpRequest) -> HttpResponse:
    """What is trusted, what waits for a second operator, what no longer counts."""
    now = _operators_now(request)
    form = StoreFilter(request.GET)
    chosen = form.cleaned_data if form.is_valid() else {}
    rows = queries.authorities(
        at=now, text=chosen.get("q", ""), kind=chosen.get("kind", ""), state=chosen.get("state", "")
    )
    shown = listed(request, rows, ["kind", "subject", "pk"])
    silent = set(queries.without_list(now).values_list("pk", flat=True))
    context = {
        "list": shown,
        "rows": [
            {
                "it": one,
                "name": queries.name_of(one.subject),
                "state": queries.state_of(one, now),
                "silent": one.pk in silent,
            }
            for one in shown.rows
        ],
        "form": form,
        "chips": chips(request, form),
        "stats": _stats(now, silent),
        "action": parts.Action(_("Add an authority"), reverse("trust_add"), "plus"),
        "tabs": tabs("trust_store"),
        "crumbs": crumbs(),
    }
    return render(request, "marketplace/staff/trust/store.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """A certificate is given; what it says is shown; then it is trusted, or proposed to another operator."""
    now, actor = _operators_now(request), actor_of(request)
    form, confirmation, said = AuthorityForm(initial={"kind": TrustKind.ANCHOR}), None, None
    if request.method == "POST" and request.POST.get("do") == "trust":
        confirmation = ConfirmForm(request.POST)
        if confirmation.is_valid() and (trusted := _added(request, confirmation, actor, now)):
            return redirect(trusted)
        said = _read_again(confirmation, now)
        if said is None:
            form, confirmation = AuthorityForm(), None
    elif request.method == "POST":
        form = AuthorityForm(request.POST, request.FILES)
        if form.is_valid():
            said, confirmation = _read(form, now)
    context = {
        "form": form,
        "confirmation": confirmation,
        "said": said,
        "facts": trust_words.facts(said) if said else (),
        "cautions": list(trust_words.cautions(said, TrustKind(confirmation["kind"].value()), now))
        if said and confirmation
        else (),
        "kind_label": TrustKind(confirmation["kind"].value()).label if said and confirmation else "",
        "note": confirmation["note"].value() if confirmation else "",
        "takes_two": bool(confirmation and trust_store.takes_two(TrustKind(confirmation["kind"].value()), actor)),
        "crumbs": [*crumbs(), parts.Crumb(_("Trust store"), reverse("trust_store"))],
    }
    status = 200 if request.method != "POST" or said else 422
    return render(request, "marketplace/staff/trust/add.html", context, status=status)


@require_http_methods(["GET", "HEAD", "POST"])
def authority(request: HttpRequest, trusted_id: int) -> HttpResponse:
    """All about one authority; posted with a reason, it is trusted no longer, or again; a proposal is confirmed."""
    now, actor = _operators_now(request), actor_of(request)
    form = ReasonForm(request.POST if request.method == "POST" and request.POST.get("do") != "confirm" else None)
    refusal = ""
    if request.method == "POST":
        try:
            if (words := _acted(request, trusted_id, form, actor, now)) is not None:
                messages.success(request, words)
                return redirect("trusted", trusted_id)
        except DomainError as error:
            if error.status == 404:
                raise
            if error.field in form.fields and form.is_bound:
                refusals.show_on(form, error)
            else:
                refusal = str(error)
    found = queries.authorities(at=now).filter(pk=trusted_id).defer(None).first()
    if found is None:
        raise NotFound
    said = trust_store.describe(x509.load_der_x509_certificate(bytes(found.der)))
    state = queries.state_of(found, now)
    context = {
        "it": found,
        "name": queries.name_of(found.subject),
        "standing": state,
        "state": _LOOKS[state],
        "state_label": dict(_STATES)[state],
        "next_step": _next_step(found, state, actor, now),
        "facts": trust_words.facts(said),
        "form": form,
        "refusal": refusal,
        "own_proposal": found.proposed_by_id is not None and found.proposed_by == actor.person,
        "takes_two": trust_store.takes_two(TrustKind(found.kind), actor),
        "lists": [(one, queries.dated(one, now)) for one in queries.lists_of(found)[:10]],
        "sources": queries.sources(authority_id=found.pk),
        "history": record_rows(queries.trail(revocation.STREAM, found).order_by("-pk")[:20]),
        "now": now,
        "crumbs": [*crumbs(), parts.Crumb(_("Trust store"), reverse("trust_store"))],
    }
    return render(request, "marketplace/staff/trust/authority.html", context, status=422 if refusal else 200)


@require_safe
def certificate(request: HttpRequest, trusted_id: int) -> HttpResponse:
    """The certificate itself, DER."""
    _operators_now(request)
    found = TrustedCertificate.objects.filter(pk=trusted_id).first()
    if found is None:
        raise NotFound
    return HttpResponse(
        bytes(found.der),
        content_type="application/pkix-cert",
        headers={"Content-Disposition": f'attachment; filename="{found.sha256[:16]}.cer"'},
    )


@require_safe
def history(request: HttpRequest) -> HttpResponse:
    """Who changed what is trusted, and why; the lists that came in between."""
    _operators_now(request)
    shown = listed(request, queries.trail(revocation.STREAM), ["-pk"])
    context = {
        "list": shown,
        "rows": record_rows(shown.rows),
        "check_url": f"{reverse('audit_browser')}?stream={revocation.STREAM}&check=1",
        "tabs": tabs("trust_history"),
        "crumbs": crumbs(),
    }
    return render(request, "marketplace/staff/trust/history.html", context)


def tabs(current: str) -> list[parts.Tab]:
    pages = (
        ("trust_store", _("Authorities"), "shield-check"),
        ("trust_lists", _("Revocation lists"), "list-check"),
        ("trust_sources", _("Addresses"), "world-download"),
        ("trust_waiting", _("Waiting signatures"), "signature"),
        ("trust_history", _("History"), "history"),
    )
    return [parts.Tab(label, reverse(name), name == current, icon=icon) for name, label, icon in pages]


def crumbs() -> list[parts.Crumb]:
    return [parts.Crumb(_("Desk"), reverse("staff_home"))]


def _operators_now(request: HttpRequest) -> datetime:
    """The time, where it is an operator who asks."""
    require_staff(actor_of(request), StaffRole.OPERATOR)
    return clock.now()


def _stats(now: datetime, silent: set[int]) -> list[parts.Stat]:
    waiting, ageing = queries.proposed().count(), queries.ageing(now)
    overdue = sum(one.freshness == queries.Freshness.OVERDUE for one in ageing)
    due, lists = len(ageing) - overdue, reverse("trust_lists")
    by_state = f"{reverse('trust_store')}?state="
    soon = ngettext("%(n)s more due soon", "%(n)s more due soon", due) % {"n": due} if due else ""
    trusted = queries.authorities(at=now, state=queries.State.TRUSTED).count()
    return [
        parts.Stat(_("Trusted"), trusted, url=f"{by_state}{queries.State.TRUSTED}", icon="shield-check"),
        parts.Stat(
            _("Waiting for a second operator"),
            waiting,
            url=f"{by_state}{queries.State.PROPOSED}",
            icon="users",
            tone="warn" if waiting else "",
        ),
        parts.Stat(
            _("Without revocation data"),
            len(silent),
            _("nothing they issued passes") if silent else "",
            lists,
            "list-check",
            "bad" if silent else "good",
        ),
        parts.Stat(
            _("Lists out of date"), overdue, soon, lists, "clock", "bad" if overdue else "warn" if due else "good"
        ),
    ]


# Adding


def _read(form: AuthorityForm, now: datetime) -> tuple[trust_store.AuthorityDetails | None, ConfirmForm | None]:
    kind = TrustKind(form.cleaned_data["kind"])
    try:
        said = trust_store.read(form.encoded(), now, kind)
    except DomainError as error:
        field = "certificate" if form.cleaned_data.get("certificate") else "pem"
        form.add_error(field, str(error))
        return None, None
    der = base64.b64encode(said.der).decode()
    return said, ConfirmForm(initial={"kind": kind.value, "der": der, "note": form.cleaned_data["note"]})


def _read_again(confirmation: ConfirmForm, now: datetime) -> trust_store.AuthorityDetails | None:
    try:
        kind = TrustKind(str(confirmation["kind"].value()))
        return trust_store.read(base64.b64decode(str(confirmation["der"].value() or "")), now, kind)
    except (DomainError, ValueError):
        return None


def _added(request: HttpRequest, confirmation: ConfirmForm, actor: Actor, now: datetime) -> TrustedCertificate | None:
    given = confirmation.cleaned_data
    try:
        trusted = trust_store.add(
            TrustKind(given["kind"]), confirmation.encoded(), by=actor, at=now, note=given["note"]
        )
    except DomainError as error:
        confirmation.add_error(None, str(error))
        return None
    if trusted.enabled:
        messages.success(request, gettext("The authority is trusted now."))
    else:
        messages.success(request, gettext("Another operator has to confirm it now. They have been told."))
    return trusted


# One authority


def _acted(request: HttpRequest, trusted_id: int, form: ReasonForm, actor: Actor, now: datetime) -> str | None:
    """What was done, in words; None where the form is to be corrected."""
    do = request.POST.get("do")
    if do == "confirm":
        trust_store.confirm(trusted_id, by=actor, at=now)
        return gettext("Confirmed: the authority counts from now on.")
    if not form.is_valid():
        return None
    if do == "enable":
        trusted = trust_store.enable(trusted_id, form.cleaned_data["reason"], by=actor, at=now)
        if trusted.enabled:
            return gettext("The authority is trusted again.")
        return gettext("Another operator has to confirm it now. They have been told.")
    trust_store.disable(trusted_id, form.cleaned_data["reason"], by=actor, at=now)
    return gettext("The authority counts no longer.")


def _next_step(found: TrustedCertificate, state: queries.State, actor: Actor, now: datetime) -> Sentence:
    match state:
        case queries.State.PROPOSED if found.proposed_by == actor.person:
            return _("It waits for another operator’s confirmation. Until then no signature passes by it.")
        case queries.State.PROPOSED:
            return _("%(person)s asks you to confirm it. Compare its fingerprint first.") % {
                "person": found.proposed_by
            }
        case queries.State.EXPIRED:
            return _("It has expired: nothing it issued passes any more.")
        case queries.State.DISABLED:
            return _("It does not count. Signatures taken before keep their verdict.")
    if queries.without_list(now).filter(pk=found.pk).exists():
        return _(
            "Nothing is known about revoked certificates: enter an address or load a list, until then none passes."
        )
    return _("It counts for every signature that is checked.")
