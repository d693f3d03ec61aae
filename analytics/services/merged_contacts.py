"""Contacts of an account that is merged: they go along, and who is known at both is one person from then on.

The contact that goes stays where it was, joined into the one that stands, and what it took part in names that one. So
parted again it is what it was. What is kept for the way back holds no name, address or note: a contact who is removed
leaves none behind. The caller holds both accounts' locks.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any, Final

from analytics.models import Account, Contact, GroupMember, Step
from analytics.rules.merging import Known
from analytics.services.contacts import of, require_room

# What the one that stands may lack; its note grows.
_FILLED: Final = ("position", "email", "phone")
Joined = dict[str, Any]


def bring(source: Account, target: Account) -> tuple[list[int], list[Joined]]:
    """Move the contacts of `source`, and join those who are known at `target`. Returns the ids of those that moved, and
    what was joined, for the way back. Raises TooManyContacts.
    """
    there = list(_locked(of(target)))
    moving, joined = [], []
    for contact in _locked(Contact.objects.filter(account=source, joined_into=None)):
        # Who is removed has no name, and is nobody's double.
        same = None if contact.removed_at else next((one for one in there if _whole(one, contact)), None)
        if same is None:
            moving.append(contact)
        else:
            joined.append(_join(contact, same))
    require_room(target, more=sum(contact.removed_at is None for contact in moving))
    ids = [contact.pk for contact in moving]
    Contact.objects.filter(pk__in=ids).update(account=target)
    return ids, joined


def give_back(joined: Sequence[Joined], source: Account) -> None:
    """Part again who was joined; what has come back to `source` names its own contact again."""
    for one in reversed(joined):
        contact = _locked(Contact.objects.filter(pk=one["contact"])).first()
        if contact is None or contact.joined_into is None:
            continue
        stood_for = _standing_for(contact)
        contact.joined_into = None
        contact.save(update_fields=["joined_into"])
        for model, name in ((GroupMember, "members"), (Step, "steps")):
            rows = model.objects.filter(pk__in=one[name], contact__in=stood_for, opportunity__account=source)
            rows.update(contact=contact)
        kept = _locked(Contact.objects.filter(pk=one["as"])).first()
        if kept is not None:
            _take_out(kept, contact, one)


def _join(contact: Contact, same: Contact) -> Joined:
    """`contact` is `same` from now on."""
    whole = _whole(same, contact)
    assert whole is not None
    before, filled = _known(same), [name for name in _FILLED if not getattr(same, name) and getattr(whole, name)]
    for name in (*filled, "note"):
        setattr(same, name, getattr(whole, name))
    if whole != before:
        same.version += 1
        same.save(update_fields=[*filled, "note", "version"])
    note = [len(before.note), _digest(whole.note)] if whole.note != before.note else []
    contact.joined_into = same
    contact.save(update_fields=["joined_into"])
    # Of two parts in one decision, which only an earlier merge can have brought together, the one that stands stays.
    members = GroupMember.objects.filter(contact=contact)
    members = members.exclude(opportunity__in=GroupMember.objects.filter(contact=same).values("opportunity"))
    steps = Step.objects.filter(contact=contact)
    went = {name: list(rows.values_list("pk", flat=True)) for name, rows in (("members", members), ("steps", steps))}
    GroupMember.objects.filter(pk__in=went["members"]).update(contact=same)
    steps.update(contact=same)
    return {"contact": contact.pk, "as": same.pk, "filled": filled, "note": note, **went}


def _take_out(kept: Contact, contact: Contact, joined: Joined) -> None:
    """What came from the other goes again, unless somebody has written it otherwise since."""
    back = {name: "" for name in joined["filled"] if getattr(kept, name) == getattr(contact, name)}
    if joined["note"] and _digest(kept.note) == joined["note"][1]:
        back["note"] = kept.note[: joined["note"][0]]
    for name, before in back.items():
        setattr(kept, name, before)
    if back:
        kept.version += 1
        kept.save(update_fields=[*back, "version"])


def _digest(note: str) -> str:
    return sha256(note.encode()).hexdigest()


def _whole(one: Contact, other: Contact) -> Known | None:
    """All that is known of the two, where they are one person and it fits."""
    mine, theirs = _known(one), _known(other)
    return mine.with_all_of(theirs) if mine.is_the_same_as(theirs) else None


def _known(contact: Contact) -> Known:
    return Known(contact.name, contact.position, contact.email, str(contact.phone), contact.note)


def _standing_for(contact: Contact) -> list[int]:
    """Whom it was joined into, and whom these were in turn."""
    found, one = [], contact.joined_into
    while one is not None:
        found.append(one.pk)
        one = one.joined_into
    return found


def _locked(rows: Any) -> Any:
    return rows.select_for_update(of=("self",)).order_by("pk")
