"""Whose an account is: notes on it, hand-overs of one or of a whole territory, what counts as strategic."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from analytics import permissions
from analytics.models import Account, AccountEvent, Book, Capacity, Card, CardEvent, Territory
from analytics.queries import sellers
from analytics.rules import cards as card_rules
from analytics.rules import territories as rules
from analytics.rules.territories import Rule
from analytics.services import ownership
from analytics.services.busy import bounded_wait
from analytics.services.contacts import lock_account
from marketplace import audit
from marketplace.models import Person
from marketplace.permissions import Actor
from marketplace.services.notifications import notify
from marketplace.shared.errors import DomainError, NotFound

# The same note of the same person within so short a time is a form that was sent twice.
_SENT_TWICE = timedelta(seconds=30)
_LIVE = [state.value for state in card_rules.LIVE]


class NotARepresentative(DomainError):
    code = "not_a_representative"
    status = 422
    sentence = gettext_lazy("This person is no representative of this book. A manager can give them the role.")


class NoteMissing(DomainError):
    code = "note_missing"
    status = 422
    sentence = gettext_lazy("Say in a few words what the next one should know.")


class NotYours(DomainError):
    code = "account_not_yours"
    status = 403
    sentence = gettext_lazy("You may hand over your own accounts only; a sales manager hands over anybody’s.")


class TooManyEntries(DomainError):
    code = "territory_too_large"
    status = 422
    sentence = gettext_lazy("A territory takes at most %(most)s entries. Use a country or the beginning of numbers.")


class NameTaken(DomainError):
    code = "territory_name_taken"
    status = 422
    sentence = gettext_lazy("There is a territory of this name already.")


class CapacityTooLarge(DomainError):
    code = "capacity_too_large"
    status = 422
    sentence = gettext_lazy("From 0 to 200 cards a day.")


@transaction.atomic
def note(account_id: int, text: str, *, by: Actor, at: datetime) -> AccountEvent:
    """Write a note on the account. Raises NotFound, NoteMissing."""
    account = lock_account(account_id, by=by)
    if not text.strip():
        raise NoteMissing(field="note")
    newest = account.events.first()
    if newest is not None and newest.by == by.person and newest.text == text.strip() and at - newest.at < _SENT_TWICE:
        return newest
    return AccountEvent.objects.create(
        account=account, at=at, by=by.person, what=AccountEvent.What.NOTE, text=text.strip()
    )


@transaction.atomic
def mark_strategic(account_id: int, strategic: bool, *, by: Actor, at: datetime) -> Account:
    """Mark an account as strategic, or no longer: a manager's decision. Raises NotFound, ManagerOnly."""
    account = lock_account(account_id, by=by)
    permissions.require_manager(by, account.book)
    if account.strategic == strategic:
        return account
    account.strategic = strategic
    account.save(update_fields=["strategic"])
    what = AccountEvent.What.STRATEGIC if strategic else AccountEvent.What.NOT_STRATEGIC
    AccountEvent.objects.create(account=account, at=at, by=by.person, what=what)
    audit.record(f"account_{what.value}", account, by=by, at=at)
    return account


@bounded_wait()
def hand_over(account_id: int, to: int | None, text: str, *, by: Actor, at: datetime) -> Account:
    """Give an account to another representative (None: to its territory's), with a note.

    Its live cards go along, and so do the open leads and opportunities of the one who gives it.
    A representative gives their own only. Both owners are told. Raises NotFound, NotYours, NotARepresentative,
    NoteMissing, BookBusy.
    """
    account = lock_account(account_id, by=by)
    own = by.person is not None and account.representative_id == by.person.pk
    if not own and not permissions.is_manager(by, account.book):
        raise NotYours
    taker = _seller(account.book, to)
    if account.representative_id == (taker.pk if taker else None):
        return account
    of_territory = account.territory.representative if account.territory else None
    giver, heir = account.representative or of_territory, taker or of_territory
    sales = _give([account], taker, heir, text, by, at)
    account.representative = taker
    audit.record("account_handed_over", account, by=by, at=at, to=taker.pk if taker else None, sales=sales)
    url = reverse("insights_customer", args=[account.pk])
    values = {"giver": by.person, "account": account.name, "to": heir or _("nobody yet"), "note": text.strip()}
    if heir is not None and heir != by.person:
        words = _("%(giver)s handed %(account)s over to you: %(note)s")
        ownership.tell(heir, account.book, "account_handed_over", words % values, url, at=at)
    words = _("%(giver)s handed your customer %(account)s over to %(to)s: %(note)s")
    ownership.tell_giver(giver, heir, account.book, "account_gone", words % values, url, by=by, at=at)
    return account


@bounded_wait()
def hand_over_territory(territory_id: int, to: int, text: str, *, by: Actor, at: datetime) -> int:
    """Give a territory to another representative, with every account of it that was its old one's or nobody's.

    Returns how many accounts went. A manager's decision. Raises NotFound, ManagerOnly, NotARepresentative, NoteMissing,
    BookBusy.
    """
    territory = _territory(territory_id, by)
    taker = _seller(territory.book, to)
    assert taker is not None
    before, giver = territory.representative_id, territory.representative
    unmerged = Account.objects.filter(territory=territory, merged_into=None)
    accounts = unmerged.select_for_update(no_key=True, of=("self",)).select_related("territory")
    theirs = accounts.filter(Q(representative=before) | Q(representative=None)).exclude(representative=taker)
    moved = list(theirs.order_by("pk"))
    sales = _give(moved, taker, taker, text, by, at)
    territory.representative = taker
    territory.save(update_fields=["representative"])
    audit.record(
        "territory_handed_over", territory, by=by, at=at, before=before, after=taker.pk, accounts=len(moved),
        sales=sales,
    )  # fmt: skip
    url = reverse("insights_customers")
    values = {"giver": by.person, "name": territory.name, "n": len(moved), "to": taker, "note": text.strip()}
    if taker != by.person:
        words = _("%(giver)s handed the territory %(name)s with %(n)s accounts over to you: %(note)s")
        notify(taker, "territory_handed_over", words % values, url, at=at)
    words = _("%(giver)s handed your territory %(name)s with %(n)s accounts over to %(to)s: %(note)s")
    ownership.tell_giver(giver, taker, territory.book, "territory_gone", words % values, url, by=by, at=at)
    return len(moved)


@bounded_wait()
def save_territory(
    book_id: int, territory_id: int | None, name: str, rule: Rule, rank: int, *, by: Actor, at: datetime
) -> Territory:
    """Write a territory and sort the book's accounts anew.

    Raises NotFound, ManagerOnly, TooManyEntries, NameTaken, BookBusy.
    """
    book = Book.objects.select_for_update(no_key=True).filter(pk=book_id).first()
    if book is None:
        raise NotFound
    permissions.require_manager(by, book)
    if sum(map(len, (rule.countries, rule.prefixes, rule.accounts))) > rules.MOST_ENTRIES:
        raise TooManyEntries(field="accounts", most=rules.MOST_ENTRIES)
    if Territory.objects.filter(book=book, name=name).exclude(pk=territory_id or 0).exists():
        raise NameTaken(field="name")
    territory = Territory(book=book) if territory_id is None else _territory(territory_id, by)
    territory.name, territory.rule, territory.rank = name, rule.as_json(), rank
    territory.save()
    audit.record("territory_saved", territory, by=by, at=at, name=name, rule=territory.rule, rank=rank)
    sort_accounts(book)
    return territory


@bounded_wait()
def delete_territory(territory_id: int, *, by: Actor, at: datetime) -> None:
    """Take a territory away; its accounts go to the next whose rule fits. Raises NotFound, ManagerOnly,
    BookBusy.
    """
    territory = _territory(territory_id, by)
    audit.record("territory_deleted", territory, by=by, at=at, name=territory.name)
    book = territory.book
    territory.delete()
    sort_accounts(book)


def sort_accounts(book: Book) -> None:
    """Give every account of the book the first territory whose rule fits; those that stay are not written."""
    accounts = Account.objects.filter(book=book)
    taken = Q(pk__in=[])
    for territory in book.territories.order_by("rank", "pk"):
        fitting = _fitting(rules.read(territory.rule))
        accounts.filter(fitting & ~taken).exclude(territory=territory).update(territory=territory)
        taken |= fitting
    accounts.exclude(taken).exclude(territory=None).update(territory=None)


def place_new(book: Book) -> None:
    """Give the accounts that came since, and are in no territory, the first whose rule fits. Under the book's lock."""
    for territory in book.territories.order_by("rank", "pk"):
        nowhere = Account.objects.filter(book=book, territory=None)
        nowhere.filter(_fitting(rules.read(territory.rule))).update(territory=territory)


@transaction.atomic
def set_capacity(book_id: int, person_id: int, cards_a_day: int, *, by: Actor, at: datetime) -> Capacity:
    """How many cards a day somebody works; 0 while they are away. Raises NotFound, ManagerOnly."""
    book = Book.objects.filter(pk=book_id).first()
    if book is None:
        raise NotFound
    permissions.require_manager(by, book)
    person = next((one for one in sellers.representatives(book) if one.pk == person_id), None)
    if person is None:
        raise NotFound
    if not 0 <= cards_a_day <= 200:
        raise CapacityTooLarge(field="cards_a_day")
    found, _created = Capacity.objects.update_or_create(book=book, person=person, defaults={"cards_a_day": cards_a_day})
    audit.record("capacity_set", found, by=by, at=at, person=person_id, cards=cards_a_day)
    return found


def _give(
    accounts: Sequence[Account], taker: Person | None, heir: Person | None, text: str, by: Actor, at: datetime
) -> int:
    """The accounts go to the taker, their live cards and open sales to the heir; every one keeps who gave it to whom,
    and why. Returns how many leads and opportunities went.
    """
    if not text.strip():
        raise NoteMissing(field="note")
    AccountEvent.objects.bulk_create(
        [
            AccountEvent(
                account=account, at=at, by=by.person, what=AccountEvent.What.HANDED_OVER,
                giver_id=account.representative_id, taker=taker, text=text.strip(),
            )
            for account in accounts
        ],
        batch_size=1000,
    )  # fmt: skip
    ids = [account.pk for account in accounts]
    Account.objects.filter(pk__in=ids).update(representative=taker)
    cards = Card.objects.select_for_update().filter(account__in=ids, state__in=_LIVE).order_by("pk")
    what = CardEvent.What.HANDED_OVER
    CardEvent.objects.bulk_create(
        [
            CardEvent(card=card, at=at, person=by.person, what=what, before=card.state, after=card.state)
            for card in cards
        ],
        batch_size=1000,
    )
    Card.objects.filter(account__in=ids, state__in=_LIVE).update(representative=heir)
    if heir is None:
        return 0
    givers = {
        account.pk: giver
        for account in accounts
        if (giver := account.representative_id or (account.territory.representative_id if account.territory else None))
    }
    return ownership.pass_on(givers, heir, text, by=by, at=at)


def _fitting(rule: Rule) -> Q:
    found = Q(country__in=rule.countries) | Q(external_id__in=rule.accounts)
    for prefix in rule.prefixes:
        found |= Q(external_id__startswith=prefix)
    return found


def _territory(territory_id: int, by: Actor) -> Territory:
    """The territory, under the lock of its book: accounts are sorted by all territories at once."""
    seen = Territory.objects.select_related("book").filter(pk=territory_id).first()
    if seen is None or not permissions.works(by, seen.book):
        raise NotFound
    permissions.require_manager(by, seen.book)
    Book.objects.select_for_update(no_key=True, of=("self",)).get(pk=seen.book_id)
    rows = Territory.objects.select_for_update(of=("self",)).select_related("book")
    territory = rows.filter(pk=territory_id).first()
    if territory is None:
        raise NotFound
    return territory


def _seller(book: Book, person_id: int | None) -> Person | None:
    if person_id is None:
        return None
    found = next((one for one in sellers.representatives(book) if one.pk == person_id), None)
    if found is None:
        raise NotARepresentative(field="to")
    return found
