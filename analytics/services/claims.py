"""Who owns a lead or an opportunity where more than one has a claim: by rule, and written down."""

from __future__ import annotations

from dataclasses import asdict, replace
from datetime import date, datetime
from typing import Any, Final

from django.db.models import Min
from django.utils.translation import gettext as _

from analytics.models import Account, Book, Lead, LeadSource, Opportunity, OwnershipDecision, Territory
from analytics.queries import sellers
from analytics.rules.claims import Claim, OwnershipRule, owner
from analytics.rules.pipeline import OpportunityState
from marketplace.models import Person
from marketplace.permissions import Actor, person_of
from marketplace.services.notifications import notify

# Who registers a lead from these has found it; what comes in by itself was found by nobody.
_OWN_WORK: Final = (LeadSource.OWN, LeadSource.CARD, LeadSource.IMPORT)


def settle_lead(lead: Lead, *, by: Actor, at: datetime) -> Person | None:
    """Who owns the lead by rule, logged where more than one has a claim. None where nobody has: a manager assigns."""
    claims = _Claims(lead.book)
    claims.of_account(lead.account, lead.country)
    if lead.representative_id is not None:
        claims.add(lead.representative_id, registered_on=lead.created_at.date(), last_step_on=lead.touched_at.date())
    if by.person is not None and lead.source in _OWN_WORK:
        claims.first(by.person, at.date())
    found = claims.decided(at.date())
    if found is None:
        return None
    winner, rule = found
    if len(claims.grounds) > 1:
        OwnershipDecision.objects.create(
            book=lead.book, lead=lead, rule=rule.value, winner=winner, claims=claims.as_json(), at=at
        )
    return winner


def owner_of_sale(account: Account, lead: Lead | None, *, by: Actor, at: datetime) -> tuple[Person, _Claims]:
    """Who is to work on an opportunity with the account: who has the lead it comes of, else by the same rule.

    With the claims, which `log_sale` writes down once the opportunity is there.
    """
    claims, person = _Claims(account.book), person_of(by)
    if lead is not None and lead.representative is not None and claims.work(lead.representative):
        return lead.representative, claims
    claims.of_account(account, account.country)
    claims.first(person, at.date())
    found = claims.decided(at.date())
    return (found[0] if found else person), claims


def log_sale(opportunity: Opportunity, claims: _Claims, *, by: Actor, at: datetime) -> None:
    """Write down who was given the opportunity where more than one had a claim, and tell them."""
    found = claims.decided(at.date())
    if found is None or len(claims.grounds) < 2:
        return
    winner, rule = found
    OwnershipDecision.objects.create(
        book=opportunity.book, opportunity=opportunity, rule=rule.value, winner=winner, claims=claims.as_json(), at=at
    )
    if winner != by.person:
        words = _("%(who)s opened “%(title)s” with a customer of yours: you work on it.")
        values = {"who": by.person, "title": opportunity.title}
        notify(winner, "opportunity_yours", words % values, opportunity.get_absolute_url(), at=at)


class _Claims:
    """Everybody with a ground, each once; who no longer works in the book has none."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._people = {person.pk: person for person in (*sellers.representatives(book), *sellers.managers(book))}
        self.grounds: dict[int, Claim] = {}

    def work(self, person: Person) -> bool:
        """Whether the person works in the book."""
        return person.pk in self._people

    def add(self, person_id: int | None, **ground: Any) -> None:
        if person_id in self._people:
            self.grounds[person_id] = replace(self.grounds.get(person_id, Claim(person_id)), **ground)

    def of_account(self, account: Account | None, country: str) -> None:
        """Who looks after the account, who sells to it already, whose territory it is in."""
        if account is not None:
            self.add(account.representative_id, owns_account=True)
            working = Opportunity.objects.filter(account=account, status=OpportunityState.OPEN.value).order_by()
            for person_id, since in working.values_list("representative").annotate(since=Min("created_at")):
                self.add(person_id, opportunity_since=since.date())
        territory = self._territory(account, country)
        if territory is not None:
            self.add(territory.representative_id, owns_territory=True)

    def first(self, person: Person, day: date) -> None:
        """Who comes with it now, unless they have come with it before."""
        known = self.grounds.get(person.pk)
        self.add(person.pk, registered_on=(known and known.registered_on) or day)

    def decided(self, day: date) -> tuple[Person, OwnershipRule] | None:
        found = owner(list(self.grounds.values()), day)
        return found and (self._people[found[0]], found[1])

    def as_json(self) -> list[dict[str, Any]]:
        return [
            {name: value.isoformat() if isinstance(value, date) else value for name, value in asdict(claim).items()}
            for claim in self.grounds.values()
        ]

    def _territory(self, account: Account | None, country: str) -> Territory | None:
        if account is not None and account.territory is not None:
            return account.territory
        if not country:
            return None
        fitting = Territory.objects.filter(book=self._book, rule__countries__contains=[country])
        return fitting.order_by("rank", "pk").first()
