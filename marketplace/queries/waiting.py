"""What waits for a person in marketplace itself: registration, accreditation, tariff, certificate, the desks."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from django.db.models import Min
from django.urls import reverse
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from marketplace.models import (
    Accreditation,
    AccreditationStatus,
    Heartbeat,
    Invoice,
    InvoiceStatus,
    Organisation,
    OrganisationStatus,
    QueuedSignature,
    QueuedState,
    Role,
    Side,
    StaffRole,
    Subscription,
    SubscriptionStatus,
)
from marketplace.queries import organisations
from marketplace.waiting import Figure, Panel, Row, Task

if TYPE_CHECKING:
    from marketplace.permissions import Actor

# Long enough to get a new certificate, a new tariff or a new accreditation.
SOON: Final = timedelta(days=30)
SILENT_AFTER: Final = timedelta(seconds=60)
SHOWN: Final = 6


def tasks(actor: Actor, at: datetime) -> Iterator[Task]:
    """What the person should do for their organisation, or at the platform's desk."""
    organisation = actor.organisation
    if organisation is not None:
        if organisation.status == OrganisationStatus.DRAFT:
            yield Task(
                _("Finish the registration of your organisation"),
                reverse("register_organisation"),
                "building",
                note=_("What you entered is saved. It can act once you have signed."),
            )
        else:
            yield from _accreditation(actor, organisation, at)
            yield from _tariff(actor, organisation, at)
            yield from _certificate(actor, organisation, at)
    if actor.person is not None:
        yield from _own_signatures(actor)
    if actor.is_a(StaffRole.OPERATOR):
        yield from _accreditation_queue(at)
    if actor.is_a(StaffRole.OPERATOR, StaffRole.TARIFF_MANAGER):
        yield from _unpaid(at)


def _own_signatures(actor: Actor) -> Iterator[Task]:
    """They need nothing but to be seen: where they come to nothing there may be time to sign again."""
    rows = QueuedSignature.objects.filter(
        person=actor.person, organisation=actor.organisation, state=QueuedState.WAITING
    )
    for row in rows.only("pk", "give_up_at")[:SHOWN]:
        yield Task(
            _("A signature of yours is being judged"), reverse("waiting_signature", args=[row.pk]), "hourglass",
            row.give_up_at, note=_("Revocation data of its authority is being fetched."),
        )  # fmt: skip


def _sides(organisation: Organisation) -> list[Side]:
    return [
        side
        for side, is_on in ((Side.BUYER, organisation.is_buyer), (Side.SUPPLIER, organisation.is_supplier))
        if is_on
    ]


def _accreditation(actor: Actor, organisation: Organisation, at: datetime) -> Iterator[Task]:
    if not actor.has(Role.ADMINISTRATOR, Role.SIGNER):
        return
    held = {one.side: one for one in Accreditation.objects.filter(organisation=organisation)}
    for side in _sides(organisation):
        url, one = reverse("accreditation", args=[side.value]), held.get(side)
        as_what = _("as a buyer") if side == Side.BUYER else _("as a supplier")
        if one is None or one.status == AccreditationStatus.DRAFT:
            yield Task(
                _("Ask for accreditation %(side)s") % {"side": as_what},
                url,
                "certificate",
                note=_("Until the operator accepts it you can look, but not take part."),
            )
        elif one.status == AccreditationStatus.RETURNED:
            yield Task(
                _("Your accreditation request was returned"), url, "alert-triangle", note=one.reasons, tone="warn"
            )
        elif one.status == AccreditationStatus.ACCEPTED and one.valid_until and one.valid_until < at + SOON:
            yield Task(
                _("Renew the accreditation %(side)s") % {"side": as_what},
                url,
                "certificate",
                one.valid_until,
                tone="warn",
            )


def _tariff(actor: Actor, organisation: Organisation, at: datetime) -> Iterator[Task]:
    if not actor.has(Role.ADMINISTRATOR, Role.SIGNER):
        return
    bill = Invoice.objects.filter(organisation=organisation, status=InvoiceStatus.ISSUED).order_by("due_at").first()
    if bill:
        late = bill.due_at < at
        yield Task(
            _("Pay invoice %(number)s") % {"number": bill.number},
            reverse("invoice", args=[bill.pk]),
            "receipt",
            bill.due_at,
            note=_("It is overdue: the tariff begins when it is paid.") if late else "",
            tone="bad" if late else "",
        )
        return
    if not organisation.is_supplier:
        return
    active = Subscription.objects.filter(
        organisation=organisation, status=SubscriptionStatus.ACTIVE, plan__side=Side.SUPPLIER, ends_at__gt=at
    )
    last = active.order_by("-ends_at").first()
    if last is None:
        yield Task(_("Choose a tariff"), reverse("tariffs"), "receipt", note=_("It says what you may take part in."))
    elif last.ends_at and last.ends_at < at + SOON:
        yield Task(_("Renew your tariff"), reverse("tariffs"), "receipt", last.ends_at, tone="warn")


def _certificate(actor: Actor, organisation: Organisation, at: datetime) -> Iterator[Task]:
    if actor.person is None:
        return
    newest = organisations.certificates(organisation.pk).filter(person=actor.person).order_by("-not_after").first()
    if newest and newest.not_after < at + SOON:
        over = newest.not_after <= at
        yield Task(
            _("Your signing certificate has expired") if over else _("Your signing certificate expires soon"),
            reverse("organisation_certificates"),
            "id",
            newest.not_after,
            note=_("Get a new one from your certification authority before you have to sign."),
            tone="bad" if over else "warn",
        )


def _accreditation_queue(at: datetime) -> Iterator[Task]:
    queue = Accreditation.objects.filter(status=AccreditationStatus.SUBMITTED)
    count = queue.count()
    if count:
        oldest = queue.aggregate(first=Min("submitted_at"))["first"]
        yield Task(
            ngettext("%(count)s accreditation request to decide", "%(count)s accreditation requests to decide", count)
            % {"count": count},
            reverse("accreditation_queue"),
            "certificate",
            note=_age(oldest, at),
            count=count,
            tone="warn" if oldest and at - oldest > timedelta(days=2) else "",
        )


def _unpaid(at: datetime) -> Iterator[Task]:
    count = Invoice.objects.filter(status=InvoiceStatus.ISSUED).count()
    if count:
        yield Task(
            ngettext("%(count)s invoice waits for its payment", "%(count)s invoices wait for their payment", count)
            % {"count": count},
            reverse("tariff_desk"),
            "receipt",
            count=count,
        )


def _age(since: datetime | None, at: datetime) -> str:
    if since is None:
        return ""
    hours = int((at - since).total_seconds() // 3600)
    if hours < 48:
        return ngettext("the oldest for %(n)s hour", "the oldest for %(n)s hours", hours) % {"n": hours}
    return ngettext("the oldest for %(n)s day", "the oldest for %(n)s days", hours // 24) % {"n": hours // 24}


def figures(actor: Actor, at: datetime) -> Iterator[Figure]:
    """The operator's overview."""
    if not actor.is_a(StaffRole.OPERATOR, StaffRole.AUDITOR):
        return
    registered = Organisation.objects.filter(status=OrganisationStatus.REGISTERED)
    yield Figure(_("Organisations"), registered.count(), reverse("companies"), icon="building")
    week = registered.filter(registered_at__gte=at - timedelta(days=7)).count()
    yield Figure(_("Registered this week"), week, icon="user-plus")


def panels(actor: Actor, at: datetime) -> Iterator[Panel]:
    """For the operator: who came last, and whether the platform's processes live."""
    if not actor.is_a(StaffRole.OPERATOR, StaffRole.AUDITOR):
        return
    newest = Organisation.objects.filter(status=OrganisationStatus.REGISTERED).order_by("-registered_at", "-pk")[:SHOWN]
    yield Panel(
        "newest",
        _("Newest organisations"),
        [
            Row(one.short_name, reverse("company", args=[one.pk]), note=one.full_name, at=one.registered_at)
            for one in newest
        ],
        url=reverse("companies"),
        icon="building",
        empty_title=_("Nobody has registered yet"),
        order=80,
    )
    yield Panel(
        "processes",
        _("Processes of the platform"),
        [
            Row(
                beat.process,
                reverse("healthz"),
                status="active" if at - beat.at < SILENT_AFTER else "overdue",
                status_label=gettext("alive") if at - beat.at < SILENT_AFTER else gettext("silent"),
                at=beat.at,
                at_label=_("last seen"),
            )
            for beat in Heartbeat.objects.order_by("process")[:SHOWN]
        ],
        icon="activity",
        empty_title=_("No process has reported yet"),
        order=90,
    )
