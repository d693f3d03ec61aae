"""The people at an account, beside its leads and opportunities; also as a part of the account's page."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django.views.decorators.http import require_http_methods, require_safe

from analytics.models import Account, Contact
from analytics.permissions import book_of
from analytics.queries import pipeline as queries
from analytics.queries.customers import standing
from analytics.services import contacts
from analytics.web.pipeline_forms import ContactForm, KnownContactForm
from marketplace.permissions import actor_of
from marketplace.shared import clock
from marketplace.shared.errors import DomainError, NotFound, StaleForm
from marketplace.web import refusals
from marketplace.web.forms import posted
from marketplace.web.parts import Action, Crumb


@require_http_methods(["GET", "HEAD", "POST"])
def of_account(request: HttpRequest, account_id: int) -> HttpResponse:
    """Contacts, open leads and opportunities of an account; posted, adds a contact."""
    account = _own(request, account_id)
    form = ContactForm(posted(request))
    if request.method == "POST" and form.is_valid():
        try:
            contacts.add(account.pk, form.details(), by=actor_of(request), at=clock.now())
        except DomainError as error:
            refusals.show_on(form, error)
        else:
            messages.success(request, _("The contact is kept."))
            return redirect("insights_customer_contacts", account.pk)
    context = _context(account) | {"form": form, "crumbs": [Crumb(_("Pipeline"), reverse("insights_pipeline"))]}
    return render(request, "analytics/contacts.html", context, status=422 if form.is_bound and form.errors else 200)


@require_safe
def part(request: HttpRequest, account_id: int) -> HttpResponse:
    """The same as a part of another page."""
    return render(request, "analytics/_contacts.html", _context(_own(request, account_id)))


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, contact_id: int) -> HttpResponse:
    """Change a contact."""
    contact = _contact(request, contact_id)
    form = KnownContactForm(posted(request), initial=_known(contact))
    if request.method == "POST" and form.is_valid():
        version = form.cleaned_data["version"]
        try:
            contacts.change(contact.pk, form.details(), version=version, by=actor_of(request), at=clock.now())
        except DomainError as error:
            refusals.show_on(form, error)
            if isinstance(error, StaleForm):
                form.freshen(_known(_contact(request, contact_id)))
        else:
            messages.success(request, _("Saved."))
            return redirect("insights_customer_contacts", contact.account_id)
    back = reverse("insights_customer_contacts", args=[contact.account_id])
    context = {"form": form, "contact": contact, "crumbs": [Crumb(contact.account.name, back)]}
    return render(request, "analytics/contact.html", context, status=422 if form.is_bound and form.errors else 200)


@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: HttpRequest, contact_id: int) -> HttpResponse:
    """Asks, and posted forgets a contact's name and address."""
    contact = _contact(request, contact_id)
    back = reverse("insights_customer_contacts", args=[contact.account_id])
    if request.method == "POST":
        contacts.remove(contact.pk, by=actor_of(request), at=clock.now())
        messages.success(request, _("The contact is removed."))
        return redirect(back)
    context = {
        "title": gettext("Remove %(name)s?") % {"name": contact.name},
        "text": _("Name, mail address and phone number are deleted. The steps taken stay. This cannot be undone."),
        "submit_label": _("Remove the contact"),
        "back_url": back,
        "danger": True,
    }
    return render(request, "confirm.html", context)


def _own(request: HttpRequest, account_id: int) -> Account:
    found = standing(book_of(actor_of(request)), account_id)
    if found is None:
        raise NotFound
    return found


def _contact(request: HttpRequest, contact_id: int) -> Contact:
    rows = Contact.objects.select_related("account").filter(removed_at=None, account__book=book_of(actor_of(request)))
    found = rows.filter(pk=contact_id).first()
    if found is None:
        raise NotFound
    return contacts.standing(found)


def _known(contact: Contact) -> dict[str, object]:
    """What the form of a contact holds."""
    return {name: getattr(contact, name) for name in ("version", "name", "position", "email", "phone", "note")}


def _context(account: Account) -> dict[str, object]:
    return {
        "account": account,
        "contacts": list(contacts.of(account)),
        "opportunities": queries.opportunities(account.book)
        .filter(account=account)
        .order_by("-created_at", "-pk")[:20],
        "leads": queries.open_leads(account.book).filter(account=account)[:20],
        "open_opportunity": Action(
            _("Open an opportunity"), reverse("insights_opportunity_new", args=[account.pk]), "target-arrow"
        ),
    }
