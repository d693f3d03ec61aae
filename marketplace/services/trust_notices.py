"""The operators are told that revocation data runs out before it does: without it no signature passes."""

from __future__ import annotations

from datetime import datetime

from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext

from marketplace.models import RevocationList, StaffRole
from marketplace.queries import trust
from marketplace.services import notifications


def warn(*, at: datetime) -> int:
    """Tell of each list once that its successor is due, and once that it is overdue. Returns how many were told of."""
    return sum(_tell(one.list.pk, at) for one in trust.ageing(at))


@transaction.atomic
def _tell(list_id: int, at: datetime) -> int:
    one = RevocationList.objects.select_for_update(of=("self",)).defer("der").get(pk=list_id)
    freshness = trust.dated(one, at).freshness
    overdue = freshness == trust.Freshness.OVERDUE
    if not one.is_current or freshness == trust.Freshness.CURRENT:
        return 0
    if one.overdue_told_at or (one.due_told_at and not overdue):
        return 0
    one.due_told_at = one.due_told_at or at
    one.overdue_told_at = at if overdue else None
    one.save(update_fields=["due_told_at", "overdue_told_at"])
    words = (
        gettext("The revocation list of %(issuer)s is out of date since %(moment)s: its certificates cannot sign.")
        if overdue
        else gettext("The revocation list of %(issuer)s must be replaced before %(moment)s.")
    ) % {"issuer": one.issuer, "moment": f"{one.next_update:%Y-%m-%d %H:%M} UTC"}
    kind = "revocation_list_overdue" if overdue else "revocation_list_due"
    notifications.notify_staff([StaffRole.OPERATOR], kind, words, reverse("trust_lists"), at=at, mail=overdue)
    return 1
