"""Registration in four steps that save as they go: you, the company, addresses and headings, review and sign."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from allauth.account.models import EmailAddress
from allauth.core import ratelimit
from django import forms
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from marketplace.models import Organisation, Person, RegistrationDraft, SigningRequest
from marketplace.permissions import Actor, actor_for, actor_of, person_of
from marketplace.services import missing_revocation, organisations, people, registration
from marketplace.services.signing import SignatureWaits
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound, Sentence
from marketplace.web import refusals
from marketplace.web.account_forms import BACKEND, AccountForm, DetailsForm
from marketplace.web.forms import posted, whole_number
from marketplace.web.headings import heading_choice, ids_in
from marketplace.web.middleware import ORGANISATION_KEY
from marketplace.web.organisation_forms import AddressesForms, AddressForm, CompanyForm
from marketplace.web.signing_page import facts_of, own_request, signing_page

# What an unfinished step keeps at most: a form of ours is far smaller.
MOST_TYPED: Final = 32 * 1024
STEPS: Final[tuple[tuple[str, str, Sentence], ...]] = (
    ("you", "signup", _("You")),
    ("company", "signup_company", _("Your company")),
    ("addresses", "signup_addresses", _("Addresses and headings")),
    ("sign", "signup_sign", _("Review and sign")),
)
_UNTYPED: Final = frozenset({"csrfmiddlewaretoken", "revision", "search"})


@dataclass(frozen=True, slots=True)
class Step:
    """A step as the progress line shows it; without `url` it cannot be reached yet."""

    number: int
    label: Sentence
    url: str
    state: str


class TooManySignUps(DomainError):
    """Whether an address has an account can be asked here: not for lists of them."""

    code, status = "too_many_sign_ups", 429
    sentence = _("Many accounts were asked for from your network just now. Try again in a minute.")


@require_http_methods(["GET", "HEAD", "POST"])
def you(request: HttpRequest) -> HttpResponse:
    """Step 1. A visitor gets an account; who is logged in sees and corrects their details."""
    actor = actor_of(request)
    if actor.person is not None:
        return _your_details(request, actor, actor.person)
    form = AccountForm(posted(request))
    if request.method == "POST" and form.is_valid():
        values = form.cleaned_data
        try:
            if not ratelimit.consume(request, action="signup"):
                raise TooManySignUps
            person = people.sign_up(values["email"], values["password"], form.details(), at=clock.now())
        except DomainError as error:
            refusals.show_on(form, error)
        else:
            login(request, person, backend=BACKEND)
            EmailAddress.objects.get(user=person).send_confirmation(request, signup=True)
            return redirect("signup_company")
    return _page(request, "you", {"form": form})


def _your_details(request: HttpRequest, actor: Actor, person: Person) -> HttpResponse:
    initial = {name: getattr(person, name) for name in ("full_name", "position", "phone")}
    form = DetailsForm(posted(request), initial=initial)
    if request.method == "POST" and form.is_valid():
        try:
            people.update_details(form.details(person.time_zone), by=actor, at=clock.now())
        except DomainError as error:
            refusals.show_on(form, error)
        else:
            return _next(request, "signup_company")
    return _page(request, "you", {"form": form, "account": person.email})


@login_required
@require_safe
def begin(request: HttpRequest) -> HttpResponse:
    """Where the registration goes on: the first step that lacks something."""
    _person, draft, _actor = _whose(request)
    if draft is None:
        return redirect("signup_company")
    gaps = registration.missing(draft)
    return redirect(f"signup_{gaps[0].step}" if gaps else "signup_sign")


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def company(request: HttpRequest) -> HttpResponse:
    """Step 2. The draft is made by the first valid input."""
    person, draft, actor = _whose(request)
    if request.method == "POST" and "search" not in request.POST:
        form = CompanyForm(request.POST)
        if form.is_valid():
            try:
                saved = _save_company(form, draft, actor)
            except DomainError as error:
                refusals.show_on(form, error)
            else:
                request.session[ORGANISATION_KEY] = saved.pk
                return _next(request, "signup_addresses")
    else:
        # "search" is the button that asks for another country's numbers where there is no JavaScript.
        initial = CompanyForm.initial_of(draft) if draft else {"is_supplier": True, "email": person.email}
        typed = request.POST if request.method == "POST" else _typed(person, "company")
        form = CompanyForm(initial=_with_typed(initial, typed, CompanyForm.base_fields))
    return _page(request, "company", {"form": form})


def _save_company(form: CompanyForm, draft: Organisation | None, actor: Actor) -> Organisation:
    now, requisites = clock.now(), form.requisites()
    if draft is None:
        saved = registration.open_draft(requisites, by=actor, at=now)
    else:
        version = form.cleaned_data["revision"]
        saved = organisations.save_requisites(draft.pk, requisites, version=version, by=actor, at=now)
    registration.forget_typed("company", by=actor)
    return saved


@require_safe
def identifiers(request: HttpRequest) -> HttpResponse:
    """The number fields of the chosen country, for the page to put in place; what was typed is kept where it fits."""
    form = CompanyForm(initial={name: value for name, value in request.GET.items() if name != "revision"})
    return render(request, "marketplace/signup/_identifiers.html", {"form": form})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def addresses(request: HttpRequest) -> HttpResponse:
    """Step 3. Where the organisation is, what it sells and buys."""
    person, draft, actor = _whose(request)
    if draft is None:
        return redirect("signup_company")
    errors: list[str] = []
    searching = "search" in request.POST
    if request.method == "POST":
        forms_ = AddressesForms(request.POST)
        chosen = {name: ids_in(request.POST, name) for name in ("offered", "consumed")}
        revision = _revision(request.POST, draft)
        if not searching and forms_.is_valid():
            try:
                organisations.save_places_and_headings(
                    draft.pk, forms_.addresses(), **chosen, version=revision, by=actor, at=clock.now()
                )
            except DomainError as error:
                errors = [str(error), *map(str, getattr(error, "changes", []))]
            else:
                registration.forget_typed("addresses", by=actor)
                return _next(request, "signup_sign")
    else:
        typed = _typed(person, "addresses")
        forms_ = AddressesForms(initial=_with_typed_addresses(AddressesForms.initial_of(draft), typed))
        revision = draft.version
        chosen = {
            name: ids_in(typed, name)
            if typed
            else list(getattr(draft, f"headings_{name}").values_list("pk", flat=True))
            for name in ("offered", "consumed")
        }
    context = {
        "forms": forms_,
        "revision": revision,
        "organisation": draft,
        "refusals": errors,
        "trees": [
            heading_choice(name, chosen[name], request.POST.get(f"find_{name}", ""))
            for name in ("offered", "consumed")
            if (draft.is_supplier if name == "offered" else draft.is_buyer)
        ],
    }
    return _page(request, "addresses", context, failed=request.method == "POST" and not searching)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def sign(request: HttpRequest) -> HttpResponse:
    """Step 4. Everything in plain words; what is missing, or the signature."""
    person, draft, actor = _whose(request)
    if draft is None:
        return _registered_or_begin(request)
    gaps = registration.missing(draft)
    context = {"organisation": draft, "gaps": gaps, "steps": progress("sign", draft), "person": person}
    if gaps and request.method != "POST" and "payload" not in request.GET:
        return render(request, "marketplace/signup/sign.html", context)
    now = clock.now()
    if request.method == "POST" or "payload" in request.GET:
        nonce = request.POST.get("signing_request") or request.GET.get("payload", "")
        prepared = own_request(request, nonce, registration.ACTION, "organisation", draft.pk)
    else:
        prepared = _prepared(draft, actor, now)
    response = signing_page(
        request,
        prepared,
        at=now,
        complete=lambda cms: _register(draft.pk, prepared, cms, actor, now),
        done_url=lambda _done: reverse("home"),
        done_words=lambda done: _("%(name)s is registered. Welcome!") % {"name": done.short_name},
        back_url=reverse("signup_sign"),
        title=_("Review and sign"),
        facts=facts_of(prepared),
        submit_label=_("Sign and register"),
        template="marketplace/signup/sign.html",
        context={**context, "payload_url": f"?payload={prepared.nonce}"},
    )
    return response


def _register(draft_id: int, prepared: SigningRequest, cms: bytes, actor: Actor, now: datetime) -> Organisation:
    """A registration does not wait for revocation data: there is nobody yet who could be told. It is asked for, so
    that trying again in a minute helps."""
    try:
        return registration.complete(draft_id, prepared, cms, by=actor, at=now)
    except SignatureWaits as waits:
        if waits.report.signer is not None:
            missing_revocation.ask_for(waits.report.signer.certificate, now)
        raise


def _prepared(draft: Organisation, actor: Actor, now: datetime) -> SigningRequest:
    """The request this person has open for this version, if it lasts: loading the page again makes no other."""
    lasts = SigningRequest.objects.filter(
        action=registration.ACTION,
        object_type="organisation",
        object_id=str(draft.pk),
        object_version=draft.version,
        person=person_of(actor),
        used_at=None,
        expires_at__gt=now + registration.SIGN_WITHIN / 2,
    ).last()
    return lasts or registration.prepare(draft.pk, by=actor, at=now)


def _registered_or_begin(request: HttpRequest) -> HttpResponse:
    """A second click of "Sign and register" finds no draft any more: the first one has registered it."""
    if request.method == "POST" and actor_of(request).organisation is not None:
        messages.info(request, gettext("Your organisation is registered already."))
        return redirect("home")
    return redirect("signup_company")


@login_required
@require_POST
def keep(request: HttpRequest, step: str) -> HttpResponse:
    """Keep what is typed into a step that was not sent yet. Answers with the version to go on from."""
    if step not in ("company", "addresses"):
        raise NotFound
    _person, draft, actor = _whose(request)
    typed = {name: values for name, values in request.POST.lists() if name not in _UNTYPED}
    if sum(len(value) for values in typed.values() for value in values) > MOST_TYPED:
        return HttpResponse(status=413)
    registration.keep_typed(step, typed, by=actor, at=clock.now())
    response = HttpResponse(status=204)
    response["X-Revision"] = str(_revision(request.POST, draft))
    return response


def progress(current: str, draft: Organisation | None) -> list[Step]:
    """The four steps; one may go back to any, and forward as far as there is something to show."""
    names = [name for name, _route, _label in STEPS]
    here = names.index(current)
    gaps = {gap.step for gap in registration.missing(draft)} if draft else {"company", "addresses"}
    reachable = len(STEPS) if draft else max(here + 1, 1)
    return [
        Step(
            number + 1,
            label,
            reverse(route) if number < reachable and number != here else "",
            "current"
            if number == here
            else "done"
            if name not in gaps and number < reachable and name != "sign"
            else "later",
        )
        for number, (name, route, label) in enumerate(STEPS)
    ]


def _page(request: HttpRequest, step: str, context: dict[str, Any], *, failed: bool | None = None) -> HttpResponse:
    person = actor_of(request).person
    draft = registration.draft_of(person) if person else None
    if failed is None:
        form = context["form"]
        failed = form.is_bound and bool(form.errors)
    context = {**context, "steps": progress(step, draft), "organisation": draft, "signed_in": person is not None}
    return render(request, f"marketplace/signup/{step}.html", context, status=422 if failed else 200)


def _next(request: HttpRequest, route: str) -> HttpResponse:
    """Onwards, or out for now: what was saved waits on the first page."""
    if "leave" in request.POST:
        messages.success(request, gettext("Saved. Your registration waits here for you to finish it."))
        return redirect("home")
    return redirect(route)


def _whose(request: HttpRequest) -> tuple[Person, Organisation | None, Actor]:
    """The person, their draft, and who they are to it: the organisation chosen in the top bar may be another."""
    person = person_of(actor_of(request))
    draft = registration.draft_of(person)
    return person, draft, actor_for(person, draft) if draft else Actor(person)


def _typed(person: Person, step: str) -> QueryDict | None:
    kept = RegistrationDraft.objects.filter(person=person, step=step).first()
    if kept is None:
        return None
    typed = QueryDict(mutable=True)
    for name, values in kept.typed.items():
        typed.setlist(name, values)
    return typed


def _with_typed(initial: dict[str, Any], typed: QueryDict | None, fields: Any) -> dict[str, Any]:
    """Initial values with what was typed over them; a box that is not among it was not ticked."""
    if not typed:
        return initial
    boxes = {name: name in typed for name, field in fields.items() if isinstance(field, forms.BooleanField)}
    return initial | {name: typed[name] for name in typed if name not in _UNTYPED} | boxes


def _with_typed_addresses(initial: dict[str, dict[str, Any]], typed: QueryDict | None) -> dict[str, dict[str, Any]]:
    if not typed:
        return initial
    return {
        kind: values
        | {name: typed[f"{kind}-{name}"] for name in AddressForm.base_fields if f"{kind}-{name}" in typed}
        | {"same": f"{kind}-same" in typed}
        for kind, values in initial.items()
    }


def _revision(values: QueryDict, draft: Organisation | None) -> int:
    sent = whole_number(values.get("revision"))
    return sent if sent is not None else draft.version if draft else 0
