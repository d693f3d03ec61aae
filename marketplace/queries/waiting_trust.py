"""What about the trust store waits for an operator: without current revocation data nobody can sign."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Final

from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from marketplace.models import QueuedSignature, QueuedState, StaffRole
from marketplace.queries import keyset, trust
from marketplace.waiting import Task

if TYPE_CHECKING:
    from marketplace.permissions import Actor

SHOWN: Final = 3


def tasks(actor: Actor, at: datetime) -> Iterator[Task]:
    """Authorities to confirm, lists that are due or overdue or missing, addresses that do not answer."""
    if not actor.is_a(StaffRole.OPERATOR):
        return
    yield from _proposals(actor)
    yield from _ageing(at)
    yield from _missing(at)
    yield from _signatures()
    yield from _failing()


def _proposals(actor: Actor) -> Iterator[Task]:
    for one in trust.proposed().exclude(proposed_by=actor.person)[:SHOWN]:
        name = trust.name_of(one.subject)
        yield Task(
            _("Confirm an authority, or turn it down"), one.get_absolute_url(), "shield-check", note=name, tone="warn"
        )


def _ageing(at: datetime) -> Iterator[Task]:
    for one in trust.ageing(at)[:SHOWN]:
        overdue = one.freshness == trust.Freshness.OVERDUE
        yield Task(
            _("A revocation list is out of date") if overdue else _("A revocation list runs out"),
            reverse("trust_lists"),
            "list-check",
            one.list.next_update,
            note=gettext("%(name)s: without the next one its certificates cannot sign.")
            % {"name": trust.name_of(one.list.issuer)},
            tone="bad" if overdue else "warn",
        )


def _missing(at: datetime) -> Iterator[Task]:
    count = keyset.capped_count(trust.without_list(at))
    if count:
        words = ngettext(
            "%(count)s authority without revocation data", "%(count)s authorities without revocation data", count
        )
        note = _("Nothing they issued passes until a list is loaded or an address entered.")
        yield Task(words % {"count": count}, reverse("trust_lists"), "list-check", note=note, tone="bad", count=count)


def _signatures() -> Iterator[Task]:
    rows = QueuedSignature.objects.filter(state=QueuedState.WAITING)
    if count := keyset.capped_count(rows):
        words = ngettext(
            "%(count)s signature waits for revocation data", "%(count)s signatures wait for revocation data", count
        )
        first = rows.order_by("give_up_at").values_list("give_up_at", flat=True).first()
        note = _("What is not judged by then is refused.")
        yield Task(words % {"count": count}, reverse("trust_waiting"), "hourglass", first, note=note, tone="warn")


def _failing() -> Iterator[Task]:
    count = keyset.capped_count(trust.failing_sources())
    if count:
        words = ngettext(
            "%(count)s address of revocation data does not answer",
            "%(count)s addresses of revocation data do not answer",
            count,
        )
        yield Task(words % {"count": count}, reverse("trust_sources"), "world-download", tone="warn", count=count)
