"""How an organisation stands: everything that "may they?" rests on, loaded in three queries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from django.utils.translation import gettext_lazy as _

from marketplace.models import (
    Accreditation,
    AccreditationStatus,
    Organisation,
    OrganisationStatus,
    Plan,
    Side,
    Subscription,
    SubscriptionStatus,
)
from marketplace.queries import tariffs
from marketplace.shared.errors import Sentence
from marketplace.shared.money import Money

# The families of procedures as plans name them; procurement's own list has the same values (a test compares them).
FAMILY_NAMES: Final[Mapping[str, Sentence]] = MappingProxyType(
    {
        "auction": _("auctions"),
        "tender": _("tenders"),
        "request_for_proposals": _("requests for proposals"),
        "request_for_quotations": _("requests for quotations"),
        "competitive_negotiation": _("competitive negotiations"),
    }
)


@dataclass(frozen=True, slots=True)
class Permits:
    """What a plan permits; None and empty mean: no limit. `included` plans are held without subscribing."""

    families: frozenset[str] = frozenset()
    max_lot_value: Money | None = None
    bids_per_month: int | None = None
    live_auctions: bool = True
    publish: bool = True
    included: bool = False

    @classmethod
    def of(cls, plan: Plan) -> Permits:
        stated: dict[str, Any] = plan.permits
        limit = stated.get("max_lot_value")
        return cls(
            families=frozenset(stated.get("families") or ()),
            max_lot_value=Money(Decimal(limit), plan.currency) if limit is not None else None,
            bids_per_month=stated.get("bids_per_month"),
            live_auctions=stated.get("live_auctions", True),
            publish=stated.get("publish", True),
            included=stated.get("included", False),
        )


@dataclass(frozen=True, slots=True)
class Offer:
    """A plan as the decision sees it."""

    name: str
    price: Money
    permits: Permits

    @classmethod
    def of(cls, plan: Plan) -> Offer:
        return cls(plan.name, Money(plan.price, plan.currency).rounded(), Permits.of(plan))


@dataclass(frozen=True, slots=True)
class Taken:
    """A subscription as the decision sees it. `invoice` is its number, `invoice_id` the page where it is paid."""

    offer: Offer
    status: SubscriptionStatus
    starts_at: datetime | None = None
    ends_at: datetime | None = None
    invoice: str = ""
    invoice_id: int | None = None

    def runs(self, at: datetime) -> bool:
        if self.status != SubscriptionStatus.ACTIVE or self.starts_at is None or self.ends_at is None:
            return False
        return self.starts_at <= at < self.ends_at

    def is_over(self, at: datetime) -> bool:
        return self.status == SubscriptionStatus.ACTIVE and self.ends_at is not None and self.ends_at <= at

    def begins_later(self, at: datetime) -> bool:
        return self.status == SubscriptionStatus.ACTIVE and self.starts_at is not None and at < self.starts_at


@dataclass(frozen=True, slots=True)
class Standing:
    """An organisation on one side. `taken` has no cancelled subscription and begins with the highest plan."""

    status: OrganisationStatus
    on_side: bool
    accreditation: AccreditationStatus | None = None
    accredited_until: datetime | None = None
    return_reasons: str = ""
    taken: tuple[Taken, ...] = ()
    on_offer: tuple[Offer, ...] = ()

    def is_accredited(self, at: datetime) -> bool:
        """What was granted counts until its end, also while its renewal is prepared and decided."""
        if self.accredited_until is None:
            return self.accreditation == AccreditationStatus.ACCEPTED
        return self.accreditation != AccreditationStatus.REVOKED and at < self.accredited_until

    def current(self, at: datetime) -> Offer | None:
        """The plan that counts: the highest that runs, else the one held without subscribing."""
        running = [taken.offer for taken in self.taken if taken.runs(at)]
        included = [offer for offer in self.on_offer if offer.permits.included]
        return next(iter((*running, *included)), None)


def standing_of(organisation: Organisation, side: Side) -> Standing:
    """The organisation as it stands in the database on one side."""
    accreditation = Accreditation.objects.filter(organisation=organisation, side=side).first()
    taken = sorted(tariffs.standing_subscriptions(organisation.pk, side), key=lambda found: -found.plan.rank)
    return Standing(
        status=OrganisationStatus(organisation.status),
        on_side=organisation.is_buyer if side == Side.BUYER else organisation.is_supplier,
        accreditation=AccreditationStatus(accreditation.status) if accreditation else None,
        accredited_until=accreditation.valid_until if accreditation else None,
        return_reasons=accreditation.reasons if accreditation else "",
        taken=tuple(_taken(subscription) for subscription in taken),
        on_offer=tuple(Offer.of(plan) for plan in tariffs.plans_on_offer(side)),
    )


def _taken(subscription: Subscription) -> Taken:
    invoice = getattr(subscription, "invoice", None)
    return Taken(
        offer=Offer.of(subscription.plan),
        status=SubscriptionStatus(subscription.status),
        starts_at=subscription.starts_at,
        ends_at=subscription.ends_at,
        invoice=invoice.number if invoice else "",
        invoice_id=invoice.pk if invoice else None,
    )
