"""What a representative's first page shows: the day's queue and calls, the money at risk, accounts gone quiet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from django.db.models import Count, F, Max, Sum
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from analytics.models import Book, CardStatus
from analytics.queries import cards, results
from analytics.queries.spend import COUNTED, bought, net
from marketplace.models import Role, StaffRole
from marketplace.permissions import Actor
from marketplace.shared.money import Money
from marketplace.waiting import Figure, Panel, Row, Task
from procurement.models import Contract

ROWS: Final = 6
YEAR: Final = timedelta(days=365)
QUIET: Final = timedelta(days=90)


def tasks(actor: Actor, at: datetime) -> Iterator[Task]:
    """The day's cards, and calls that are due. Nothing for whoever works no book, nor before it has scores."""
    book = _book(actor)
    if book is None or actor.person is None:
        return
    day = at.astimezone(ZoneInfo(getattr(actor.person, "time_zone", "") or "UTC")).date()
    own = cards.of_person(book, actor.person)
    left = max(cards.capacity_of(book, actor.person) - cards.acted_on(actor.person, book, day), 0)
    waiting = own.filter(cards.waiting_on(day))[:left].count() if left else 0
    due = own.filter(state=CardStatus.ACCEPTED, due_on__lte=day)[:100].count()
    url = reverse("insights_queue")
    if due:
        text = ngettext("%(n)s call is due", "%(n)s calls are due", due) % {"n": due}
        yield Task(text, url, icon="phone", tone="warn", count=due)
    if waiting:
        text = ngettext("%(n)s card in today’s queue", "%(n)s cards in today’s queue", waiting) % {"n": waiting}
        yield Task(text, url, icon="list-check", count=waiting)


def figures(actor: Actor, at: datetime) -> Iterator[Figure]:
    """What is at risk and what was recovered, of the whole book."""
    book = _book(actor)
    if book is None or not book.currency:
        return
    found = results.figures(results.Reach(book, (at - YEAR).date()))
    for figure, label, icon, tone in (
        (results.Figure.AT_RISK, _("Revenue at risk"), "alert-triangle", "warn"),
        (results.Figure.RECOVERED, _("Recovered in 12 months"), "lifebuoy", "good"),
        (results.Figure.GROWTH_WON, _("Growth won in 12 months"), "trophy", "good"),
    ):
        amount = Money(found[figure].amount, book.currency).rounded()
        url = f"{reverse('insights_results_cards')}?figure={figure.value}"
        yield Figure(label, amount, url, icon=icon, tone=tone if found[figure].cards else "")  # type: ignore[arg-type]


def _book(actor: Actor) -> Book | None:
    """The book the actor works in, where it has been scored. Reads only: it is not begun here."""
    if actor.organisation is not None and actor.is_supplier and actor.has(Role.REPRESENTATIVE, Role.SALES_MANAGER):
        owner = actor.organisation.pk
    elif actor.is_a(StaffRole.REPRESENTATIVE, StaffRole.SALES_MANAGER):
        owner = None
    else:
        return None
    return Book.objects.filter(owner=owner).exclude(run=None).first()


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
