"""What a representative's first page shows: the largest accounts, and those that have signed nothing for a while."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from django.db.models import Count, F, Max, Sum
from django.urls import reverse
from django.utils.translation import gettext as _

from analytics.queries.spend import COUNTED, bought, net
from marketplace.models import StaffRole
from marketplace.permissions import Actor
from marketplace.shared.money import Money
from marketplace.waiting import Panel, Row
from procurement.models import Contract

ROWS: Final = 6
YEAR: Final = timedelta(days=365)
QUIET: Final = timedelta(days=90)


def panels(actor: Actor, at: datetime) -> Iterator[Panel]:
    """Two panels for representatives; nothing for anybody else."""
    if not actor.is_a(StaffRole.REPRESENTATIVE, StaffRole.SALES_MANAGER):
        return
    yield Panel(
        "quiet_accounts",
        _("Nothing signed for three months"),
        _quiet(at),
        url=reverse("insights_accounts"),
        icon="moon",
        empty_title=_("No account has gone quiet"),
        empty_text=_("Accounts that bought within a year but signed nothing for three months are shown here."),
        order=20,
    )
    yield Panel(
        "largest_accounts",
        _("Largest accounts of the last 12 months"),
        _largest(at),
        url=reverse("insights_accounts"),
        icon="building",
        empty_title=_("No contracts yet"),
        empty_text=_("Accounts appear here when both sides have signed a contract."),
        order=30,
    )


def _quiet(at: datetime) -> list[Row]:
    """The accounts with most contracts in the year, the last of them longer ago than three months."""
    signed = Contract.objects.filter(status__in=COUNTED, signed_at__gte=at - YEAR)
    accounts = (
        signed.order_by().values("buyer", name=F("buyer__short_name")).annotate(n=Count("pk"), last=Max("signed_at"))
    )
    return [
        Row(account["name"], _url(account["buyer"]), at=account["last"], at_label=_("Last signed"))
        for account in accounts.filter(last__lt=at - QUIET).order_by("-n", "buyer")[:ROWS]
    ]


def _largest(at: datetime) -> list[Row]:
    signed = bought().filter(signed_at__gte=at - YEAR)
    accounts = signed.order_by().values("buyer", "currency", name=F("buyer__short_name"))
    return [
        Row(account["name"], _url(account["buyer"]), figure=Money(account["spent"], account["currency"]))
        for account in accounts.annotate(spent=Sum(net("amount"))).order_by("-spent", "buyer")[:ROWS]
    ]


def _url(organisation_id: int) -> str:
    return reverse("insights_account", args=[organisation_id])
