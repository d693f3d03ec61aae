"""What people should know: a row on their notifications page and, unless told otherwise, a mail."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Final
from urllib.parse import urljoin

from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from marketplace.models import Membership, Notification, Organisation, Person, Role, StaffRole
from marketplace.permissions import Actor, person_of
from marketplace.shared import jobs
from marketplace.shared.errors import NotFound, Sentence

TEXT_MAX_LENGTH: Final = 300
SUBJECT_MAX_LENGTH: Final = 120


@transaction.atomic(savepoint=False)
def notify(
    recipient: Person | Organisation,
    kind: str,
    text: Sentence,
    url: str = "",
    *,
    at: datetime,
    roles: Iterable[Role] = (),
    mail: bool = True,
) -> int:
    """Tell a person, or the members of an organisation who hold one of `roles` (without roles: all members).

    Where nobody holds a fitting role the administrators are told. `url` is a path of this site. Returns how many were.
    """
    if isinstance(recipient, Person):
        return _tell([recipient], None, kind, text, url, at, mail)
    return _tell(_members(recipient, list(roles)), recipient, kind, text, url, at, mail)


@transaction.atomic(savepoint=False)
def notify_staff(
    roles: Sequence[StaffRole], kind: str, text: Sentence, url: str = "", *, at: datetime, mail: bool = False
) -> int:
    """Tell the platform's own people with one of the roles; no mail by default: their home page has the queues."""
    people = Person.objects.filter(is_active=True, staff_roles__overlap=[role.value for role in roles])
    return _tell(list(people), None, kind, text, url, at, mail)


@transaction.atomic
def mark_read(by: Actor, *, at: datetime, notification_id: int | None = None) -> int:
    """Mark one of the person's own notifications, or all of them, as read. Raises NotFound for another's."""
    own = Notification.objects.filter(person=person_of(by))
    if notification_id is not None:
        own = own.filter(pk=notification_id)
        if not own.exists():
            raise NotFound
    return own.filter(read_at=None).update(read_at=at)


def send_mail(to: str, subject: Sentence, paragraphs: Iterable[Sentence]) -> None:
    """Queue a plain mail for when the surrounding transaction has committed."""
    head = " ".join(f"{settings.SITE_NAME}: {subject}".split())
    body = "\n\n".join(
        [*(str(paragraph) for paragraph in paragraphs), f"-- \n{settings.SITE_NAME}\n{settings.SITE_URL}"]
    )
    jobs.enqueue("marketplace.tasks.send_mail", to, _cut(head, SUBJECT_MAX_LENGTH), body)


def absolute(path: str) -> str:
    """A path of this site as a link that works in a mail."""
    return str(urljoin(settings.SITE_URL, path))


def _members(organisation: Organisation, roles: list[Role]) -> list[Person]:
    active = Membership.objects.filter(organisation=organisation, active=True, person__is_active=True)
    memberships = list(active.select_related("person").order_by("pk"))
    if not roles:
        return [member.person for member in memberships]
    fitting = _holding(memberships, set(roles)) or _holding(memberships, {Role.ADMINISTRATOR})
    return [member.person for member in fitting]


def _holding(memberships: list[Membership], roles: set[Role]) -> list[Membership]:
    return [member for member in memberships if roles & {Role(role) for role in member.roles}]


def _tell(
    people: list[Person],
    organisation: Organisation | None,
    kind: str,
    text: Sentence,
    url: str,
    at: datetime,
    mail: bool,
) -> int:
    words = _cut(str(text), TEXT_MAX_LENGTH)
    Notification.objects.bulk_create(
        Notification(person=person, organisation=organisation, kind=kind, text=words, url=url, created_at=at)
        for person in people
    )
    for person in people if mail else []:
        send_mail(person.email, words, _paragraphs(person, organisation, words, url))
    return len(people)


def _paragraphs(person: Person, organisation: Organisation | None, words: str, url: str) -> list[str]:
    reason = (
        _("You receive this because you act for %(organisation)s.") % {"organisation": organisation.short_name}
        if organisation
        else ""
    )
    greeting = _("Hello %(name)s,") % {"name": person}
    return [part for part in (greeting, words, absolute(url) if url else "", reason) if part]


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
