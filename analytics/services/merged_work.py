"""What people work on at an account that is merged goes along: contacts, leads, opportunities, live cards.

Parted again, what went along and is still there comes back; what was begun since stays where it was begun. Under the
book's lock; then the leads, the accounts, what hangs on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from django.db.models import Exists, OuterRef, QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from analytics.models import (
    Account,
    AccountEvent,
    AccountMerge,
    Card,
    CardEvent,
    Contact,
    Lead,
    Opportunity,
    OwnershipDecision,
)
from analytics.rules import cards as card_rules
from analytics.rules import merging
from analytics.rules.cards import CardState, Closing
from analytics.rules.merging import Sale
from analytics.rules.pipeline import LeadState, OpportunityState, Stage
from analytics.services import leads, merged_contacts, outcomes
from analytics.services.claims import settle_lead
from analytics.services.contacts import stream_of
from analytics.services.ownership import tell, tell_giver
from analytics.services.transitions import move_card
from marketplace import audit
from marketplace.permissions import NOBODY, Actor
from marketplace.services.notifications import notify

Moved = dict[str, Any]
What = CardEvent.What
_LIVE: Final = [state.value for state in card_rules.LIVE]
_OPEN_LEADS: Final = (LeadState.NEW.value, LeadState.WORKING.value)
_MOVING: Final[Mapping[str, Any]] = {"contacts": Contact, "leads": Lead, "opportunities": Opportunity, "cards": Card}


def left_behind(accounts: QuerySet[Account]) -> QuerySet[Account]:
    """Those of the accounts, which are merged, at which people's work still is: it did not always go along."""
    live = [state.value for state in card_rules.LIVE if merging.goes_along(state)]
    return accounts.filter(
        Exists(Contact.objects.filter(account=OuterRef("pk"), removed_at=None, joined_into=None))
        | Exists(Lead.objects.filter(account=OuterRef("pk")))
        | Exists(Opportunity.objects.filter(account=OuterRef("pk")))
        | Exists(Card.objects.filter(account=OuterRef("pk"), state__in=live))
    )


def bring(source: Account, target: Account, *, late: bool = False, by: Actor, at: datetime) -> Moved:
    """Move it all from `source` to `target`; returns what moved, for the way back. Raises TooManyContacts.

    `late`: they are merged since long, and whose the account is has been decided since.
    """
    source, target = _locked(source, target)
    taken = {} if late else _taken_over(source, target)
    moved: Moved = {"cards": _bring_cards(source, target, by, at)}
    for name in ("leads", "opportunities"):
        moved[name] = _move(name, source, target)
    moved["contacts"], moved["joined"] = merged_contacts.bring(source, target)
    _settle_leads(moved["leads"], target, by, at)
    moved["ended"] = _end_doubles(moved["opportunities"], target, by, at)
    moved["taken"] = taken
    _tell_story(AccountEvent.What.MERGED, source, target, moved, by, at)
    _tell_owner(source, target, by, at)
    return moved


def give_back(merge: AccountMerge, source: Account, counted_as: Account, *, by: Actor, at: datetime) -> None:
    """Move back what went along with the merge and is still with the account that `source` counted as."""
    source, counted_as = _locked(source, counted_as)
    moved = {name: _move(name, counted_as, source, merge.moved.get(name, [])) for name in _MOVING}
    merged_contacts.give_back(merge.moved.get("joined", []), source)
    _settle_leads(moved["leads"], source, by, at)
    owner = _owner_of(source)
    if owner is not None:
        waiting = Card.objects.filter(pk__in=moved["cards"], state__in=_LIVE).exclude(state=CardState.ACCEPTED)
        waiting.update(representative=owner)
    _log_moves(Card.objects.filter(pk__in=moved["cards"]), by, at)
    for one in merge.moved.get("ended", []):
        outcomes.resume_double(one, by=by, at=at)
    for name, value in merge.moved.get("taken", {}).items():
        # Compared where it is written: it may have been handed over since the merge was read.
        as_taken = Account.objects.filter(pk=merge.target_id, **{name: value})
        as_taken.update(**{name: False if value is True else None})
    _forget(merge, moved)
    _tell_story(AccountEvent.What.PARTED, source, counted_as, moved, by, at)


def together(first: Moved, second: Moved) -> Moved:
    """What went along with a merge at first, and later."""
    lists = {name: [*first.get(name, []), *second[name]] for name in (*_MOVING, "joined", "ended")}
    return {**first, **lists}


def _locked(one: Account, other: Account) -> tuple[Account, Account]:
    leads.lock_leads(one.book_id)
    rows = Account.objects.select_for_update(no_key=True, of=("self",)).select_related("book", "territory")
    found = {row.pk: row for row in rows.filter(pk__in=(one.pk, other.pk)).order_by("pk")}
    return found[one.pk], found[other.pk]


def _move(name: str, source: Account, target: Account, only: list[int] | None = None) -> list[int]:
    """Move rows from one account to the other; returns their ids."""
    rows = _MOVING[name].objects.filter(account=source)
    if only is not None:
        rows = rows.filter(pk__in=only)
    ids = list(rows.select_for_update(of=("self",)).order_by("pk").values_list("pk", flat=True))
    _MOVING[name].objects.filter(pk__in=ids).update(account=target)
    return ids


def _taken_over(source: Account, target: Account) -> dict[str, Any]:
    """Who looks after it and that it is strategic: what the account that stands did not have itself."""
    taken = {
        name: value
        for name in ("representative_id", "strategic")
        if (value := getattr(source, name)) and not getattr(target, name)
    }
    for name, value in taken.items():
        setattr(target, name, value)
    if taken:
        target.save(update_fields=[name.removesuffix("_id") for name in taken])
    return taken


def _owner_of(account: Account) -> int | None:
    """Whose cards an account's are, as far as it says so itself."""
    return account.representative_id or (account.territory.representative_id if account.territory else None)


# Cards


def _bring_cards(source: Account, target: Account, by: Actor, at: datetime) -> list[int]:
    """Live cards move; of two for one thing one ends."""
    live = Card.objects.filter(account__in=(source, target), state__in=_LIVE).order_by("pk")
    found = list(live.select_for_update(of=("self",)))
    there = {_thing(card): card for card in found if card.account_id == target.pk}
    owner, moving = _owner_of(target), []
    for card in found:
        if card.account_id != source.pk:
            continue
        state, rival = CardState(card.state), there.get(_thing(card))
        if not merging.goes_along(state) or (rival and not merging.replaces(state, CardState(rival.state))):
            _end(card, by, at)
            continue
        if rival is not None:
            _end(rival, by, at)
        if owner is not None and state is not CardState.ACCEPTED:
            card.representative_id = owner
        card.account = target
        moving.append(card)
    Card.objects.bulk_update(moving, ["account", "representative"])
    ids = [card.pk for card in moving]
    _log_moves(Card.objects.filter(pk__in=ids), by, at)
    return ids


def _thing(card: Card) -> tuple[str, str, int | None, int | None]:
    return card.kind, card.level, card.category_id, card.item_id


def _end(card: Card, by: Actor, at: datetime) -> None:
    before = move_card(card, merging.ENDS_AS[CardState(card.state)])
    card.closing, card.closed_on, card.due_on = Closing.MERGED.value, at.date(), None
    card.save(update_fields=["state", "closing", "closed_on", "due_on"])
    CardEvent.objects.create(
        card=card, at=at, person=by.person, what=What.EXPIRED, before=before, after=card.state,
        reason=Closing.MERGED.value,
    )  # fmt: skip


def _log_moves(cards: Any, by: Actor, at: datetime) -> None:
    events = [
        CardEvent(card=card, at=at, person=by.person, what=What.MOVED, before=card.state, after=card.state)
        for card in cards.order_by("pk")
    ]
    CardEvent.objects.bulk_create(events, batch_size=1000)


# The pipeline


def _settle_leads(ids: list[int], account: Account, by: Actor, at: datetime) -> None:
    """An open lead goes to whom the account's rule gives it now, and that is written down."""
    rows = Lead.objects.filter(pk__in=ids, status__in=_OPEN_LEADS).select_related("book", "account", "representative")
    for lead in rows.order_by("pk"):
        winner = settle_lead(lead, by=NOBODY, at=at)
        if winner is None or winner == lead.representative:
            continue
        giver, lead.representative = lead.representative, winner
        leads.save(lead, at, "representative")
        audit.record("lead.assigned", lead, by=by, at=at, to=winner.pk, reason="merged")
        words = _("%(company)s is one of your customers now: the lead is yours.") % {"company": lead.company}
        notify(winner, "lead_assigned", words, lead.get_absolute_url(), at=at)
        words = _("%(company)s: two customers were merged or parted. By rule the lead is %(to)s’s now.")
        values = {"company": lead.company, "to": winner}
        tell_giver(giver, winner, lead.book, "lead_gone", words % values, lead.get_absolute_url(), by=by, at=at)


def _end_doubles(ids: list[int], target: Account, by: Actor, at: datetime) -> list[int]:
    """Of two open opportunities for the same sale, one brought along, the one that is less far ends."""
    rows = Opportunity.objects.select_for_update(of=("self",)).select_related("account", "book", "representative")
    working = list(rows.filter(account=target, status=OpportunityState.OPEN.value).order_by("pk"))
    brought = set(ids)
    ended: dict[int, Opportunity] = {}
    for one in (row for row in working if row.pk in brought):
        for other in (row for row in working if row.pk not in brought):
            if {one.pk, other.pk} & ended.keys() or not _sale(one).is_the_same_as(_sale(other)):
                continue
            less, more = sorted((one, other), key=lambda row: _sale(row).standing)
            _end_double(less, more, by, at)
            ended[less.pk] = less
    return list(ended)


def _end_double(less: Opportunity, more: Opportunity, by: Actor, at: datetime) -> None:
    outcomes.end_double(less, by=by, at=at)
    OwnershipDecision.objects.create(
        book=less.book, opportunity=more, winner=more.representative, decided_by=by.person, at=at,
        reason=_("Two customers were merged; of two opportunities for the same sale this one was further."),
    )  # fmt: skip
    if less.representative_id != more.representative_id:
        words = _("“%(title)s” goes on with %(name)s: two customers were found to be one.")
        values = {"title": less.title, "name": more.representative}
        url = more.get_absolute_url()
        tell(less.representative, less.book, "opportunity_doubled", words % values, url, at=at)


def _sale(row: Opportunity) -> Sale:
    return Sale(row.title, Stage(row.stage), row.created_at, row.pk)


# What is kept of it


def _forget(merge: AccountMerge, moved: Moved) -> None:
    """What came back did not go along with later merges of the account it was with: they no longer have it to give."""
    later = AccountMerge.objects.filter(book=merge.book_id, pk__gt=merge.pk, undone_at=None)
    for one in later.select_for_update().order_by("pk"):
        kept = {
            name: [pk for pk in one.moved.get(name, []) if pk not in set(moved[name])] for name in _MOVING
        }  # fmt: skip
        if any(kept[name] != one.moved.get(name, []) for name in _MOVING):
            one.moved = one.moved | kept
            one.save(update_fields=["moved"])


def _tell_owner(source: Account, target: Account, by: Actor, at: datetime) -> None:
    """Who looked after the account learns which one stands for it, and whose that is."""
    giver, taker = (
        one.representative or (one.territory.representative if one.territory else None) for one in (source, target)
    )
    words = _("%(source)s counts as %(target)s now, which %(name)s looks after.")
    values = {"source": source.name, "target": target.name, "name": taker or _("nobody yet")}
    url = reverse("insights_customer", args=[target.pk])
    tell_giver(giver, taker, target.book, "account_merged", words % values, url, by=by, at=at)


def _tell_story(
    what: AccountEvent.What, source: Account, other: Account, moved: Mapping[str, Any], by: Actor, at: datetime
) -> None:
    for account, named in ((other, source), (source, other)):
        text = f"{named.name} ({named.external_id})"
        AccountEvent.objects.create(account=account, at=at, by=by.person, what=what, text=text)
        counts = {name: len(moved[name]) for name in _MOVING}
        audit.record(
            f"account.work_{what.value}", account, by=by, at=at, stream=stream_of(account), other=named.pk, **counts
        )  # fmt: skip
