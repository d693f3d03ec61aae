"""The top bar: which pages an actor lives in. Routes are named as strings, so that marketplace knows no other app."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from django.urls import reverse
from django.utils.translation import gettext_lazy as _

from marketplace.models import Role, StaffRole
from marketplace.permissions import NOBODY, Actor
from marketplace.shared.errors import Sentence


@dataclass(frozen=True, slots=True)
class Entry:
    """One link of the top bar; `current` marks the page the reader is on, or one below it."""

    label: Sentence
    url: str
    icon: str
    current: bool = False


@dataclass(frozen=True, slots=True)
class _Place:
    label: Sentence
    route: str
    icon: str
    for_whom: Callable[[Actor], bool]
    #: How addresses of this place's pages end where they lie under another place's.
    ending: str = ""


def _staff(*roles: StaffRole) -> Callable[[Actor], bool]:
    return lambda actor: actor.is_a(*roles)


def _everyone(_actor: Actor) -> bool:
    return True


def _watches_auctions(actor: Actor) -> bool:
    """Has auctions of its own, or those of the whole platform: operators pause and resume them."""
    return actor.organisation is not None or actor.is_a(StaffRole.OPERATOR, StaffRole.AUDITOR)


def _sells(actor: Actor) -> bool:
    """Works the insights: for the platform, or for a supplier."""
    return _platforms_sales(actor) or (actor.is_supplier and actor.has(Role.REPRESENTATIVE, Role.SALES_MANAGER))


def _platforms_sales(actor: Actor) -> bool:
    return actor.is_a(StaffRole.REPRESENTATIVE, StaffRole.SALES_MANAGER)


def _manages_sales(actor: Actor) -> bool:
    return actor.is_a(StaffRole.SALES_MANAGER) or (actor.is_supplier and actor.has(Role.SALES_MANAGER))


# A representative's desk is the insights.
_DESK: Final = (StaffRole.OPERATOR, StaffRole.TARIFF_MANAGER, StaffRole.AUDITOR)
_PLACES: Final = (
    _Place(_("Home"), "home", "home", lambda actor: actor.is_signed_in),
    _Place(_("Procedures"), "tenders", "list-search", _everyone),
    _Place(_("We buy"), "my_tenders", "shopping-cart", lambda actor: actor.is_buyer),
    _Place(_("Our bids"), "my_bids", "file-dollar", lambda actor: actor.is_supplier),
    _Place(_("Auctions"), "auctions", "gavel", _watches_auctions, ending="/auction/"),
    _Place(_("Contracts"), "contracts", "writing-sign", lambda actor: actor.organisation is not None),
    _Place(_("Desk"), "staff_home", "layout-dashboard", _staff(*_DESK)),
    _Place(_("Accreditation"), "accreditation_queue", "certificate", _staff(StaffRole.OPERATOR)),
    _Place(_("Tariffs"), "tariff_desk", "receipt", _staff(StaffRole.TARIFF_MANAGER, StaffRole.OPERATOR)),
    _Place(_("Insights"), "insights", "bulb", _sells),
    _Place(_("Companies"), "companies", "building", lambda actor: not actor.is_signed_in),
    _Place(_("Tariffs"), "tariffs", "receipt", lambda actor: not actor.is_signed_in),
)

# The rooms of a place that has several: shown on every page of it.
_ROOMS: Final[Mapping[str, tuple[_Place, ...]]] = {
    "insights": (
        _Place(_("Queue"), "insights_queue", "list-check", _sells),
        _Place(_("Customers"), "insights_customers", "address-book", _sells),
        _Place(_("Pipeline"), "insights_pipeline", "filter-dollar", _sells),
        _Place(_("Results"), "insights_results", "chart-bar", _sells),
        _Place(_("Purchases"), "insights_purchases", "table-import", _sells),
        _Place(_("Team"), "insights_team", "users", _manages_sales),
        _Place(_("Territories"), "insights_territories", "map-2", _manages_sales),
        _Place(_("Spend"), "insights_accounts", "building", _platforms_sales),
    )
}


def rooms_for(actor: Any, path: str, way_back: Sequence[str] = ()) -> list[Entry]:
    """The rooms of the place the page belongs to, the page's own marked; none where the place has no rooms.

    A page whose address is no room's belongs to the room of its first crumb.
    """
    visitor = actor if isinstance(actor, Actor) else NOBODY
    for place, rooms in _ROOMS.items():
        if path.startswith(reverse(place)):
            found = [(room, reverse(room.route)) for room in rooms if room.for_whom(visitor)]
            within = [url for _room, url in found if path.startswith(url)]
            led = [url for _room, url in found for crumb in way_back[:1] if crumb.startswith(url)]
            here = max(within or led, key=len, default="")
            return [Entry(room.label, url, room.icon, url == here) for room, url in found]
    return []


def entries_for(actor: Any, path: str, way_back: Sequence[str] = ()) -> list[Entry]:
    """The entries of `actor` (anything else counts as a visitor), with the place marked that the page belongs to.

    `way_back` are the addresses of the page's crumbs: a buyer's own procedure lies under "We buy", whatever its address
    begins with. A page without crumbs belongs to the place whose address its own begins with, the longest one.
    """
    visitor = actor if isinstance(actor, Actor) else NOBODY
    found = [(place, reverse(place.route)) for place in _PLACES if place.for_whom(visitor)]
    ended = [url for place, url in found if place.ending and path.endswith(place.ending)]
    led = [url for _place, url in found if url != "/" and url in way_back[:1]]
    matches = ended or led or [url for _place, url in found if path == url or (url != "/" and path.startswith(url))]
    here = max(matches, key=len, default="")
    return [Entry(place.label, url, place.icon, url == here) for place, url in found]
