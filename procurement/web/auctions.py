"""Live auctions: the list, the live page with its ticket to the gateway, the operator's pause, and the log to check."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from babel.numbers import get_currency_precision
from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from marketplace.entitlements import Reason
from marketplace.models import StaffRole
from marketplace.permissions import Actor, actor_of, require_staff
from marketplace.queries import keyset
from marketplace.services import timekeeping
from marketplace.shared import clock
from marketplace.shared.errors import NotFound
from marketplace.shared.money import Money
from marketplace.web import formats
from marketplace.web.gateway import gateway_origin
from marketplace.web.parts import Action, Crumb
from procurement.auction import tokens
from procurement.auction.halls import HALLS
from procurement.auction.projection import shown_event, state
from procurement.auction.replay import LogBroken, replay_lot
from procurement.auction.seats import entitlement
from procurement.auction.tokens import Ticket
from procurement.models import Auction, Lot
from procurement.models.auction import AUCTION_STATUS_NAMES
from procurement.queries import auction_lists
from procurement.queries import auctions as rooms
from procurement.queries import bids as bid_queries
from procurement.rules.auction.base import Action as Move
from procurement.rules.auction.base import AuctionKind
from procurement.rules.auction.log import Event, EventKind, Hall
from procurement.rules.lifecycle import AuctionStatus
from procurement.rules.ranking import Direction
from procurement.services import auction_pdf, auction_protocol, export_facts
from procurement.services import auctions as service
from procurement.web import auction_words

# What one button does in the kinds in which no price is typed.
_PRESS = {AuctionKind.DUTCH: Move.ACCEPT.value, AuctionKind.JAPANESE: Move.CONFIRM.value}
# From how many signs on: "1,000,000,000.00" and "10,000,000.00".
_LENGTHS = ((16, "has-longest"), (13, "has-long"))
_SOONEST_RENEWAL_S = 60
# So many are listed at once; what ends later moves up.
_MOST_OPEN = 100
_FIRST_OVER = ("-ends_at", "-pk")


class PauseForm(forms.Form):
    reason = forms.CharField(label=gettext_lazy("Reason"), max_length=300, help_text=gettext_lazy("Everyone sees it."))


class ResumeForm(forms.Form):
    lost_minutes = forms.IntegerField(
        label=gettext_lazy("Minutes lost before the pause"),
        min_value=0,
        max_value=1440,
        required=False,
        help_text=gettext_lazy("Where bidders could not bid already then. The pause itself is given back anyway."),
    )


@login_required
@require_safe
def auctions(request: HttpRequest) -> HttpResponse:
    """The auctions of the organisation, or for those who look after it of the platform: what runs or comes, then what
    is over."""
    actor = actor_of(request)
    of_all = actor.is_a(StaffRole.OPERATOR, StaffRole.AUDITOR)
    if of_all:
        mine = auction_lists.all_of_platform()
    elif actor.organisation is not None:
        mine = auction_lists.of_organisation(actor.organisation.pk)
    else:
        raise NotFound
    over = keyset.page(
        auction_lists.over(mine),
        _FIRST_OVER,
        after=request.GET.get("after", ""),
        before=request.GET.get("before", ""),
        size=20,
    )
    results = auction_lists.results(over.rows, actor.organisation.pk if actor.organisation else None)
    still_open = auction_lists.still_open(mine)
    listed = [(auction, _kind_name(auction)) for auction in still_open[:_MOST_OPEN]]
    context = {
        "open_auctions": listed,
        "left_out": still_open.count() - len(listed) if len(listed) == _MOST_OPEN else 0,
        "over": [(auction, _kind_name(auction), results.get(auction.pk)) for auction in over.rows],
        "next_url": f"?after={over.after}" if over.after else "",
        "previous_url": f"?before={over.before}" if over.before else "",
        "of_all": of_all,
        "can_pause": actor.is_a(StaffRole.OPERATOR),
    }
    return render(request, "procurement/auctions.html", context)


def _kind_name(auction: Auction) -> str:
    return _(auction.lot.tender.preset.name)


@login_required
@never_cache
@require_safe
def live(request: HttpRequest, number: str, lot: int) -> HttpResponse:
    """The live page: as the viewer's ticket allows, the room as it stands; the script goes on from there."""
    found, auction, ticket, hall = _entered(request, number, lot)
    actor, viewer = actor_of(request), _viewer(ticket)
    room = state(hall, viewer, clock.now())
    hindrances = _hindrances(actor, auction, ticket)
    context: dict[str, Any] = {
        "lot": found,
        "tender": found.tender,
        "auction": auction,
        "room": room,
        "statuses": [(status.value, name) for status, name in AUCTION_STATUS_NAMES.items()],
        "token": tokens.issue(ticket),
        # Long before it runs out: nobody waits for a new one in the last minute.
        "renew_after": max(settings.GATEWAY_TOKEN_SECONDS // 2, _SOONEST_RENEWAL_S),
        "seat": "-".join(map(str, ticket.seat)),
        "may_bid": ticket.may_bid and not hindrances,
        "hindrances": hindrances,
        "may_not": _may_not(ticket, hindrances),
        "is_observer": viewer is None,
        "is_open": hall.room.status not in (AuctionStatus.ENDED, AuctionStatus.CANCELLED),
        "gateway": gateway_origin(request),
        "press": _PRESS.get(hall.rules.kind),
        "kind_name": _(found.tender.preset.name),
        "is_sale": hall.rules.direction is Direction.UP,
        "how": auction_words.how_it_goes(hall, ZoneInfo(found.tender.time_zone)),
        "clock": auction_words.clock_moves(hall),
        "digits": get_currency_precision(auction.currency),
        "step": Money(hall.rules.step, auction.currency),
        "limit": Money(auction.start_price, auction.currency) if auction.start_price is not None else None,
        "after": _after(actor, found, ticket),
        "length": _length(room, auction, viewer),
        "crumbs": _crumbs(found),
        "can_pause": actor.is_a(StaffRole.OPERATOR),
        "pause_form": PauseForm(),
        "resume_form": ResumeForm(),
    }
    return render(request, "procurement/auction.html", context)


@login_required
@require_POST
def pause(request: HttpRequest, number: str, lot: int) -> HttpResponse:
    """Stop the auction, or let it go on: an operator's, when the platform cannot serve everybody."""
    # As gateways and clocks have it: a pause by another clock would give back time that was not lost.
    actor, now = actor_of(request), timekeeping.now()
    require_staff(actor, StaffRole.OPERATOR)
    found, auction, _ticket, _hall = _entered(request, number, lot)
    if "resume" in request.POST:
        asked = ResumeForm(request.POST)
        if not asked.is_valid():
            messages.error(request, " ".join(str(error) for error in asked.errors["lost_minutes"]))
            return redirect("auction", number, lot)
        lost = timedelta(minutes=asked.cleaned_data["lost_minutes"] or 0)
        began = auction.paused_at - lost if auction.paused_at is not None and lost else None
        service.resume(auction.pk, by=actor, at=now, outage_began_at=began)
        return redirect("auction", number, lot)
    form = PauseForm(request.POST)
    if form.is_valid():
        service.pause(auction.pk, form.cleaned_data["reason"], by=actor, at=now)
    else:
        messages.error(request, _("Give the reason of the pause: everyone sees it."))
    return redirect("auction", found.tender.number, found.number)


@login_required
@require_safe
def replay(request: HttpRequest, number: str, lot: int) -> HttpResponse:
    """The log recomputed from its first event to its last, each with its hash, as far as the viewer may see amounts."""
    found, auction, ticket, hall = _entered(request, number, lot)
    if hall.room.status is not AuctionStatus.ENDED:
        return redirect("auction", number, lot)
    events = list(rooms.events(auction.pk))
    context: dict[str, Any] = {
        "lot": found,
        "tender": found.tender,
        "auction": auction,
        "room": state(hall, _viewer(ticket), clock.now()),
        "rows": _rows(hall, events, _viewer(ticket)),
        "crumbs": [*_crumbs(found), Crumb(_("Auction"), _url(found))],
    }
    try:
        context["replay"] = replay_lot(found.pk)
    except LogBroken as broken:
        context["broken"] = broken
    return render(request, "procurement/auction_replay.html", context)


@login_required
@require_safe
def protocol_document(request: HttpRequest, number: str, lot: int) -> HttpResponse:
    """The protocol as JSON: what proves the auction, for everybody who took part."""
    return _attached(export_facts.pretty(_document(request, number, lot)), number, lot, "application/json", "json")


@login_required
@require_safe
def protocol_print(request: HttpRequest, number: str, lot: int) -> HttpResponse:
    """The protocol as PDF, in the reader's language."""
    return _attached(auction_pdf.of(_document(request, number, lot)), number, lot, "application/pdf", "pdf")


def _document(request: HttpRequest, number: str, lot: int) -> dict[str, Any]:
    found, auction, _ticket, _hall = _entered(request, number, lot)
    auction.lot = found
    return auction_protocol.document(auction)


def _attached(content: bytes, number: str, lot: int, media_type: str, ending: str) -> HttpResponse:
    response = HttpResponse(content, content_type=media_type)
    response["Content-Disposition"] = f'attachment; filename="auction-{number}-{lot}.{ending}"'
    response["Cache-Control"] = "private, no-store"
    return response


def _entered(request: HttpRequest, number: str, lot: int) -> tuple[Lot, Auction, Ticket, Hall]:
    """The lot's auction for somebody who has business there; raises NotFound for everybody else."""
    found = auction_lists.lot_of(number, lot)
    if found is None:
        raise NotFound
    ticket = tokens.ticket_for(actor_of(request), found)
    hall = HALLS.of(found.auction.pk)
    if hall is None:
        raise NotFound
    return found, found.auction, ticket, hall


def _after(actor: Actor, lot: Lot, ticket: Ticket) -> Action | None:
    """Where the viewer goes on from an auction that is over."""
    if actor.acts_for(lot.tender.buyer_id):
        return Action(_("Go on to the award"), reverse("comparison", args=[lot.tender.number, lot.number]))
    if ticket.participant is None or actor.organisation is None:
        return None
    bid = bid_queries.own(actor.organisation).filter(lot=lot).first()
    return Action(_("Our bid"), reverse("bid", args=[bid.pk])) if bid else None


def _hindrances(actor: Actor, auction: Auction, ticket: Ticket) -> tuple[Reason, ...]:
    """What keeps the bidder's organisation from bidding."""
    if ticket.participant is None or actor.organisation is None:
        return ()
    return entitlement(auction, actor.organisation, timekeeping.now()).reasons


def _may_not(ticket: Ticket, hindrances: tuple[Reason, ...]) -> str:
    """Why the bidder may only watch, in the place of what to do next."""
    if not ticket.may_bid:
        return _("Your role lets you watch. Bid managers, signers and administrators bid.")
    return " ".join(reason.sentence for reason in hindrances)


def _length(room: Mapping[str, Any], auction: Auction, viewer: str | None) -> str:
    """The class of a page whose figures are so long that they need smaller letters. By what the viewer sees alone."""
    lines = [room["best"], room["own"], *room.get("ranking", [])[:1]]
    shown = [line["amount"] for line in lines if line] + [room["allowed"], (room["clock"] or {}).get("last")]
    if viewer is None or auction.lot.tender.limit_price_shown:
        shown.append(auction.start_price)
    figures = (formats.amount(Money(Decimal(amount), auction.currency)) for amount in shown if amount is not None)
    most = max(map(len, figures), default=0)
    return next((name for least, name in _LENGTHS if most >= least), "")


def _viewer(ticket: Ticket) -> str | None:
    return None if ticket.participant is None else rooms.bidder(ticket.participant)


def _rows(hall: Hall, events: list[tuple[Event, str]], viewer: str | None) -> list[dict[str, Any]]:
    """Every event with its hash; what a bidder may not see of it stays out, an observer sees all of what is over."""
    rows, extensions = [], 0
    for event, head in events:
        shown = shown_event(hall, event, viewer, event.number)
        told = viewer is None or shown is not None
        # A bid that is published stands in the columns of its own bidder.
        brought = shown if shown is not None and event.bidder is None else {}
        moved = event.detail.get("extensions", 0) > extensions
        extensions = event.detail.get("extensions", extensions)
        rows.append(
            {
                "number": event.number,
                "kind": auction_pdf.in_words(event.kind.value),
                "reason": event.detail.get("reason", ""),
                "ends_at": datetime.fromisoformat(event.detail["ends_at"]) if moved else None,
                "at": event.at,
                "label": hall.labels.get(event.bidder or "", "") if told else "",
                "own": event.bidder is not None and event.bidder == viewer,
                "amount": _amount(event) if told else None,
                "bids": [{**bid, "amount": Decimal(bid["amount"])} for bid in brought.get("bids", ())],
                "out": brought.get("out", ()),
                "hash": head,
            }
        )
    return rows


def _amount(event: Event) -> Decimal | None:
    """Of a move its own, of a tick the clock's price."""
    price = event.detail.get("price")
    return Decimal(price) if event.kind is EventKind.TICK and price is not None else event.amount


def _crumbs(lot: Lot) -> list[Crumb]:
    return [Crumb(_("Auctions"), reverse("auctions")), Crumb(lot.tender.number, lot.tender.get_absolute_url())]


def _url(lot: Lot) -> str:
    return reverse("auction", args=[lot.tender.number, lot.number])
