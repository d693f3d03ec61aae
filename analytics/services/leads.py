"""Leads: registered once, owned by rule, qualified into an opportunity or given up with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from analytics.models import Account, Book, Contact, Lead, LeadRequest, LeadSource, Opportunity
from analytics.permissions import is_manager, require_seller
from analytics.rules.pipeline import LeadState
from analytics.rules.qualification import BANT, GPCT, Fit, Known, fit
from analytics.services import lead_requests, opportunities
from analytics.services.claims import settle_lead
from analytics.services.contacts import ContactDetails, lock_account, require_right, require_room
from analytics.services.contract_history import PREFIX
from analytics.services.opportunities import AnothersOpportunity, OpportunityDetails
from analytics.services.ownership import tell, tell_giver
from analytics.services.transitions import move_lead
from marketplace import audit
from marketplace.models import Person
from marketplace.permissions import Actor, person_of
from marketplace.services.notifications import notify
from marketplace.shared.errors import DomainError, Invalid, NotFound, Sentence, StaleForm

NEED_MAX: Final = 2000
# Open leads of a book: past this somebody pours in addresses.
LEADS_MAX: Final = 50_000
_OPEN: Final = [LeadState.NEW.value, LeadState.WORKING.value]


class NotQualified(DomainError):
    code = "not_qualified"
    sentence = gettext_lazy(
        "This lead has %(points)s of 8 points. It takes 4, with a need and somebody who may decide."
    )


class TooManyLeads(DomainError):
    code = "too_many_leads"
    sentence = gettext_lazy("The book holds %(n)s open leads already. Qualify some of them, or give them up.")


@dataclass(frozen=True, slots=True)
class LeadDetails:
    """What is known of somebody who may buy; `reference` is what the system it came from calls it, `buyer_id` the
    organisation here that asks and reads what becomes of it."""

    company: str
    country: str = ""
    contact_name: str = ""
    email: str = ""
    phone: str = ""
    need: str = ""
    reference: str = ""
    account_id: int | None = None
    buyer_id: int | None = None


@transaction.atomic
def register(
    book_id: int, source: LeadSource, details: LeadDetails, *, by: Actor, at: datetime, card_id: int | None = None
) -> tuple[Lead, bool]:
    """Register a lead, or add what is new to the open one that is the same. Returns the lead and whether it is new.

    The same is: the same reference of the same source, the same account, the same mail address, or the same company in
    the same country. Who owns it is decided by rule and logged where more than one has a claim. Raises NotFound,
    TooManyLeads, Invalid.
    """
    book = Book.objects.filter(pk=book_id).first()
    if book is None:
        raise NotFound
    require_seller(by, book)
    return take_in(book, source, details, by=by, at=at, card_id=card_id)


def take_in(
    book: Book, source: LeadSource, details: LeadDetails, *, by: Actor, at: datetime, card_id: int | None = None
) -> tuple[Lead, bool]:
    """As `register`, for what came in by itself too (`by` is nobody). In the caller's transaction."""
    lock_leads(book.pk)
    _require_right(details)
    details = _with_account(book, details)
    same = _same(book, source, details)
    if same is not None:
        return _added_to(same, details, by=by, at=at), False
    if Lead.objects.filter(book=book, status__in=_OPEN).count() >= LEADS_MAX:
        raise TooManyLeads(n=LEADS_MAX)
    lead = Lead(
        book=book,
        account_id=details.account_id,
        card_id=card_id,
        source=source.value,
        reference=details.reference[:80],
        registered_by=by.person,
        created_at=at,
        touched_at=at,
    )
    _write(lead, details)
    lead.save()
    lead.representative = settle_lead(lead, by=by, at=at)
    lead.save(update_fields=["representative"])
    audit.record("lead.registered", lead, by=by, at=at, source=source.value)
    if lead.representative is not None and lead.representative != by.person:
        words = _("A new lead is yours: %(company)s.") % {"company": lead.company}
        notify(lead.representative, "lead_assigned", words, lead.get_absolute_url(), at=at)
    return lead, True


def lock_leads(book_id: int) -> None:
    """Nobody else registers a lead of the book until the transaction ends.

    Not the book's own lock: that is held while purchases are loaded, for minutes.
    """
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"leads:{book_id}"])


@transaction.atomic
def qualify(
    lead_id: int, bant: Mapping[str, str], gpct: Mapping[str, str], *, version: int | None, by: Actor, at: datetime
) -> Lead:
    """Write down the answers. Raises NotFound, AnothersOpportunity, StaleForm, Invalid."""
    lead = _locked(lead_id, by=by)
    errors: dict[str, list[Sentence]] = {}
    for name, value in bant.items():
        if name not in BANT or value not in set(Known):
            errors[name] = [_("Choose one of the answers.")]
    for name, value in gpct.items():
        if name not in GPCT or len(value) > NEED_MAX:
            errors[name] = [_("At most %(n)s characters.") % {"n": NEED_MAX}]
    if errors:
        raise Invalid(errors)
    before = lead.status, lead.bant, lead.gpct
    lead.bant = {name: bant[name] for name in BANT if name in bant}
    lead.gpct = {name: gpct[name].strip() for name in GPCT if gpct.get(name, "").strip()}
    if before == (LeadState.WORKING.value, lead.bant, lead.gpct):  # sent twice
        return lead
    if version is not None and version != lead.version:
        raise StaleForm
    if lead.status == LeadState.NEW.value:
        move_lead(lead, LeadState.WORKING)
    lead_requests.taken_up(lead, by=by, at=at)
    save(lead, at, "bant", "gpct", "status")
    audit.record("lead.qualified", lead, by=by, at=at, points=fit_of(lead).points)
    return lead


@transaction.atomic
def convert(lead_id: int, title: str, *, account_id: int | None = None, by: Actor, at: datetime) -> Opportunity:
    """Make an opportunity of a qualified lead, with its contact at the account; a new account where there is none.

    Where it has become one already, that. Raises NotQualified, TooManyContacts, IllegalTransition, and as `qualify`.
    """
    # The account first, as everywhere; what comes of the lead is asked under its lock.
    seen = _own(Lead.objects, lead_id, by=by)
    account = lock_account(account_id or seen.account_id or _account_for(seen, at).pk, by=by)
    lead = _locked(lead_id, by=by)
    if done := Opportunity.objects.filter(lead=lead).first():
        return done
    known = fit_of(lead)
    if not known.qualified:
        raise NotQualified(points=known.points)
    if account.book_id != lead.book_id:
        raise NotFound
    move_lead(lead, LeadState.QUALIFIED)
    lead.account = account
    save(lead, at, "status", "account")
    if lead.contact_name and not _knows(account, lead):
        require_room(account)
        Contact.objects.create(
            account=account, name=lead.contact_name, email=lead.email, phone=lead.phone, created_at=at
        )
    details = OpportunityDetails(title=title or lead.company, bant=lead.bant, gpct=lead.gpct)
    opportunity = opportunities.open_for(
        account.pk, details, by=by, at=at, lead=lead, card_id=lead.card_id, first_step=lead.need[:1000]
    )
    lead_requests.taken_up(lead, by=by, at=at)
    audit.record("lead.converted", lead, by=by, at=at, opportunity=opportunity.pk)
    return opportunity


@transaction.atomic
def give_up(lead_id: int, because: str, *, said: str = "", by: Actor, at: datetime) -> Lead:
    """Give a lead up, with the reason; `said` is what a customer reads who asked for an offer and still waits.

    Raises NotFound, AnothersOpportunity, IllegalTransition, Invalid.
    """
    lead = _locked(lead_id, by=by)
    if not because.strip():
        raise Invalid({"because": [_("Say why.")]})
    if (lead.status, lead.given_up_because) == (LeadState.DISQUALIFIED.value, because.strip()[:500]):  # sent twice
        return lead
    if lead_requests.waits(lead):
        if not said.strip():
            raise Invalid({"said": [_("They asked for an offer and wait: say what they are to read.")]})
        lead_requests.declined(lead, said, by=by, at=at)
    move_lead(lead, LeadState.DISQUALIFIED)
    lead.given_up_because = because.strip()[:500]
    save(lead, at, "status", "given_up_because")
    audit.record("lead.given_up", lead, by=by, at=at, because=lead.given_up_because)
    return lead


@transaction.atomic
def take_up(lead_id: int, *, by: Actor, at: datetime) -> Lead:
    """Take a lead up that was given up. Raises NotFound, AnothersOpportunity, IllegalTransition."""
    lead = _locked(lead_id, by=by)
    if lead.status == LeadState.WORKING.value:  # sent twice
        return lead
    move_lead(lead, LeadState.WORKING)
    lead.given_up_because = ""
    lead_requests.taken_up(lead, again=True, by=by, at=at)
    save(lead, at, "status", "given_up_because")
    audit.record("lead.taken_up", lead, by=by, at=at)
    return lead


def note_taken_up(lead: Lead, *, at: datetime) -> None:
    """Somebody took up the customer's request elsewhere. The caller holds the lead's lock."""
    move_lead(lead, LeadState.WORKING)
    lead.given_up_because = ""
    save(lead, at, "status", "given_up_because")
    audit.record("lead.taken_up", lead, by=None, at=at)


def note_over(lead: Lead, because: str, *, at: datetime) -> None:
    """The customer waits no longer: an open lead ends, and who looks after it is told. The caller holds its lock."""
    if lead.status not in _OPEN:
        return
    move_lead(lead, LeadState.DISQUALIFIED)
    lead.given_up_because = because[:500]
    save(lead, at, "status", "given_up_because")
    audit.record("lead.given_up", lead, by=None, at=at, because=lead.given_up_because)
    if lead.representative is not None:
        words = _("%(company)s: the lead has ended. %(because)s") % {"company": lead.company, "because": because}
        tell(lead.representative, lead.book, "lead_over", words, lead.get_absolute_url(), at=at)


def fit_of(lead: Lead) -> Fit:
    """How well it is qualified so far."""
    return fit({name: Known(value) for name, value in lead.bant.items()}, lead.gpct)


def _same(book: Book, source: LeadSource, details: LeadDetails) -> Lead | None:
    if details.reference:
        found = Lead.objects.filter(book=book, source=source.value, reference=details.reference[:80]).first()
        if found is not None:
            return found
    alike = Q(company__iexact=details.company.strip(), country=details.country)
    if details.account_id is not None:
        alike |= Q(account=details.account_id)
    if details.email.strip():
        alike |= Q(email__iexact=details.email.strip())
    rows = Lead.objects.filter(alike, book=book, status__in=_OPEN)
    if details.buyer_id is not None:
        # What one organisation is told of its request is not another's, be they of one name or one person.
        anothers = LeadRequest.objects.filter(lead=OuterRef("pk")).exclude(request__asker=details.buyer_id)
        theirs = Q(account=None) | Q(account__buyer=None) | Q(account__buyer=details.buyer_id)
        if details.account_id is not None:
            theirs |= Q(account=details.account_id)
        rows = rows.filter(theirs, ~Exists(anothers))
    # Locked here: one that is given up or converted at this very moment is none to add to.
    return rows.select_for_update(of=("self",)).order_by("pk").first()


def _added_to(lead: Lead, details: LeadDetails, *, by: Actor, at: datetime) -> Lead:
    """The same lead once more: nothing of it is lost, and whoever owns it learns that they asked again."""
    rows = Lead.objects.select_for_update(of=("self",)).select_related("book", "account", "representative")
    lead = rows.get(pk=lead.pk)
    before = lead.representative
    # Before it counts as touched by this: one that was let lie goes to who comes with it now.
    lead.representative = _owner_again(lead, by=by, at=at)
    new = details.need.strip()
    if new and new not in lead.need:
        lead.need = f"{lead.need}\n\n{new}".strip()[-NEED_MAX:]
    lead.contact_name = lead.contact_name or details.contact_name.strip()[:200]
    for name in ("email", "phone"):
        if not getattr(lead, name):
            setattr(lead, name, getattr(details, name).strip())
    save(lead, at, "need", "contact_name", "email", "phone", "representative")
    audit.record("lead.registered_again", lead, by=by, at=at)
    owner = lead.representative
    if owner is not None and owner != before:
        audit.record("lead.assigned", lead, by=by, at=at, to=owner.pk, reason="asked again")
    if owner is not None and owner != by.person:
        told, words = "lead_again", _("%(company)s asked again.")
        if owner != before:
            told, words = "lead_assigned", _("%(company)s asked again: the lead is yours now.")
        tell(owner, lead.book, told, words % {"company": lead.company}, lead.get_absolute_url(), at=at)
    if owner != before:
        words = _("%(company)s asked again: by rule the lead is %(to)s’s now.") % {"company": lead.company, "to": owner}
        tell_giver(before, owner, lead.book, "lead_gone", words, lead.get_absolute_url(), by=by, at=at)
    return lead


def _owner_again(lead: Lead, *, by: Actor, at: datetime) -> Person | None:
    """Who owns an open lead that came once more: by rule, unless a manager has decided it."""
    if lead.status not in _OPEN or lead.ownership_decisions.filter(decided_by__isnull=False).exists():
        return lead.representative
    return settle_lead(lead, by=by, at=at) or lead.representative


def _with_account(book: Book, details: LeadDetails) -> LeadDetails:
    """The account as it stands: the one an account was merged into; a company known by exactly its name."""
    accounts = Account.objects.filter(book=book)
    if details.account_id is not None:
        found = accounts.filter(pk=details.account_id).first()
        if found is None:
            raise NotFound
        return replace(details, account_id=found.merged_into_id or found.pk)
    named = accounts.filter(name__iexact=details.company.strip(), merged_into=None)
    if details.buyer_id is not None:
        named = named.filter(Q(buyer=None) | Q(buyer=details.buyer_id))
    found_ids = list(named.values_list("pk", flat=True)[:2])
    return replace(details, account_id=found_ids[0]) if len(found_ids) == 1 else details


def _account_for(lead: Lead, at: datetime) -> Account:
    """A new account; of an organisation that asked for an offer here, the one that its contracts come to as well."""
    buyer = next((request.asker for request in lead_requests.of(lead)), None)
    known = Account.objects.filter(book=lead.book, buyer=buyer, merged_into=None).order_by("-pk").first()
    if buyer is not None and known is not None:
        return known
    account, _new = Account.objects.get_or_create(
        book=lead.book,
        external_id=f"{PREFIX}{buyer.pk}" if buyer else f"lead-{lead.pk}",
        defaults={
            "name": lead.company,
            "buyer": buyer,
            "country": lead.country,
            "representative": lead.representative,
            "created_at": at,
        },
    )
    return account


def _knows(account: Account, lead: Lead) -> bool:
    same = Q(name__iexact=lead.contact_name)
    if lead.email:
        same |= Q(email__iexact=lead.email)
    return Contact.objects.filter(same, account=account, removed_at=None).exists()


def _locked(lead_id: int, *, by: Actor) -> Lead:
    return _own(Lead.objects.select_for_update(of=("self",)), lead_id, by=by)


def _own(rows: Any, lead_id: int, *, by: Actor) -> Lead:
    lead: Lead | None = rows.select_related("book", "representative").filter(pk=lead_id).first()
    if lead is None:
        raise NotFound
    require_seller(by, lead.book)
    owner = lead.representative
    if owner is not None and owner != person_of(by) and not is_manager(by, lead.book):
        raise AnothersOpportunity(name=str(owner))
    return lead


def _require_right(details: LeadDetails) -> None:
    errors: dict[str, list[Sentence]] = {}
    if not details.company.strip():
        errors["company"] = [_("Give the company’s name.")]
    if len(details.need) > NEED_MAX:
        errors["need"] = [_("At most %(n)s characters.") % {"n": NEED_MAX}]
    try:
        require_right(ContactDetails(details.contact_name or "-", "", details.email, details.phone))
    except Invalid as wrong:
        errors |= wrong.errors
    if errors:
        raise Invalid(errors)


def _write(lead: Lead, details: LeadDetails) -> None:
    lead.company = details.company.strip()[:200]
    lead.country = details.country
    lead.contact_name, lead.email = details.contact_name.strip()[:200], details.email.strip()
    lead.phone, lead.need = details.phone.strip(), details.need.strip()


def save(lead: Lead, at: datetime, *fields: str) -> None:
    """Write the fields, and make older forms stale."""
    lead.version += 1
    lead.touched_at = at
    lead.save(update_fields=[*fields, "touched_at", "version"])
