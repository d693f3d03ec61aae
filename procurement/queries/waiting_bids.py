"""What the first page says about bids, awards and contracts. Every list is bounded; no price is read from a bid."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from marketplace.models import Organisation, Role
from marketplace.permissions import Actor
from marketplace.shared.money import Money
from marketplace.waiting import Panel, Row, Task
from procurement.models import Bid, Contract, Lot, Tender
from procurement.queries import bids, contracts
from procurement.rules.lifecycle import AwardStatus, BidStatus, LotStatus, TenderStatus

ROWS: Final = 6
WEEK: Final = timedelta(days=7)
RESULTS_OF: Final = timedelta(days=30)


def tasks(actor: Actor, at: datetime) -> Iterator[Task]:
    """Bids to finish and to confirm, bids to decide, lots to award, contracts to sign."""
    own = actor.organisation
    if own is None:
        return
    if own.is_supplier and actor.has(Role.BID_MANAGER, Role.SIGNER):
        yield from _bids_to_send(own, at)
    if own.is_buyer:
        yield from _to_decide(own, actor)
    if actor.has(Role.SIGNER):
        for contract in contracts.to_sign(own)[:ROWS]:
            yield Task(
                _("Sign the contract"),
                reverse("contract", args=[contract.number]),
                icon="writing-sign",
                note=f"{contract.number} · {contract.tender.title}",
            )


def panels(actor: Actor, at: datetime) -> Iterator[Panel]:
    """How a supplier's bids ended lately, and those whose deadline comes within the week; both sides' contracts."""
    own = actor.organisation
    if own is None:
        return
    if own.is_supplier and actor.has(*_BIDDERS):
        yield from _results(own, at)
        yield _deadlines(own, at)
    yield _contracts(own)


_BIDDERS: Final = (Role.BID_MANAGER, Role.SIGNER, Role.APPROVER, Role.ADMINISTRATOR, Role.OBSERVER)


def _bids_to_send(supplier: Organisation, at: datetime) -> Iterator[Task]:
    waiting = [BidStatus.INVALIDATED.value, BidStatus.DRAFT.value]
    for bid in _running(supplier, at).filter(status__in=waiting)[:ROWS]:
        confirm = bid.status == BidStatus.INVALIDATED
        tender = bid.lot.tender
        yield Task(
            _("Confirm your bid after the amendment") if confirm else _("Finish and send your bid"),
            reverse("bid_edit", args=[bid.pk]),
            icon="alert-triangle" if confirm else "pencil",
            due_at=tender.tender_ends_at,
            time_zone=tender.time_zone,
            note=_("Lot %(lot)s of %(title)s") % {"lot": bid.lot.number, "title": tender.title},
            tone="warn" if confirm else "",
        )


def _to_decide(buyer: Organisation, actor: Actor) -> Iterator[Task]:
    mine = Tender.objects.filter(buyer=buyer).order_by("tender_ends_at", "pk")
    if actor.has(Role.OFFICER, Role.EVALUATOR):
        for tender in mine.filter(status=TenderStatus.EVALUATION.value)[:ROWS]:
            url = reverse("opening_protocol", args=[tender.number])
            yield Task(_("Decide the opened bids"), url, icon="scale", note=tender.title)
    if actor.has(Role.SIGNER):
        undecided = (
            Lot.objects.filter(
                tender__in=mine.filter(status=TenderStatus.AWARDING.value), status=LotStatus.ACTIVE.value
            )
            .exclude(awards__status=AwardStatus.ACTIVE.value)
            .select_related("tender")
            .order_by("tender", "number")
        )
        for lot in undecided[:ROWS]:
            url = reverse("comparison", args=[lot.tender.number, lot.number])
            note = _("Lot %(lot)s of %(title)s") % {"lot": lot.number, "title": lot.tender.title}
            yield Task(_("Award the lot"), url, icon="trophy", note=note)


def _deadlines(supplier: Organisation, at: datetime) -> Panel:
    rows = [
        Row(
            title=bid.lot.tender.title,
            url=reverse("bid", args=[bid.pk]),
            number=bid.lot.tender.number,
            note=bid.lot.tender.buyer.short_name,
            status=bid.status,
            status_label=str(bid.get_status_display()),
            at=bid.lot.tender.tender_ends_at,
            at_label=_("Bids until"),
            time_zone=bid.lot.tender.time_zone,
        )
        for bid in _running(supplier, at).filter(lot__tender__tender_ends_at__lt=at + WEEK)[:ROWS]
    ]
    return Panel(
        "deadlines",
        _("Deadlines of our bids this week"),
        rows,
        url=reverse("my_bids"),
        icon="clock",
        empty_title=_("No deadline this week"),
        empty_text=_("Bids you have begun are shown here when their deadline comes near."),
        empty_label=_("Our bids"),
        empty_url=reverse("my_bids"),
        order=25,
    )


def _results(supplier: Organisation, at: datetime) -> Iterator[Panel]:
    """News only: without any the panel is left out."""
    decided = [BidStatus.WINNING.value, BidStatus.LOSING.value, BidStatus.REJECTED.value]
    rows = [
        Row(
            title=bid.lot.tender.title,
            url=reverse("bid", args=[bid.pk]),
            number=bid.lot.tender.number,
            note=_("Lot %(lot)s · %(buyer)s") % {"lot": bid.lot.number, "buyer": bid.lot.tender.buyer.short_name},
            status=bid.status,
            status_label=str(bid.get_status_display()),
            figure=Money(bid.amount, bid.currency) if bid.amount is not None else None,
        )
        for bid in bids.own(supplier).filter(status__in=decided, opened_at__gt=at - RESULTS_OF)[:ROWS]
    ]
    if rows:
        yield Panel("results", _("Results of our bids"), rows, url=reverse("my_bids"), icon="trophy", order=15)


def _contracts(organisation: Organisation) -> Panel:
    found = contracts.of(organisation).order_by("-pk")[:ROWS]
    return Panel(
        "contracts",
        _("Latest contracts"),
        [_contract_row(contract, organisation) for contract in found],
        url=reverse("contracts"),
        icon="writing-sign",
        empty_title=_("No contracts yet"),
        empty_text=_("A contract is drafted by itself when the standstill after an award is over."),
        order=55,
    )


def _contract_row(contract: Contract, organisation: Organisation) -> Row:
    other = contract.buyer if contract.supplier_id == organisation.pk else contract.supplier
    return Row(
        title=contract.tender.title,
        url=reverse("contract", args=[contract.number]),
        number=contract.number,
        note=other.short_name,
        status=contract.status,
        status_label=str(contract.get_status_display()),
        at=contract.signed_at,
        at_label=_("Signed"),
        time_zone=contract.tender.time_zone,
        figure=Money(contract.amount, contract.currency),
    )


def _running(supplier: Organisation, at: datetime) -> QuerySet[Bid]:
    """Bids of procedures that still take some, the earliest deadline first."""
    return (
        bids.own(supplier)
        .filter(
            lot__tender__status=TenderStatus.PUBLISHED.value,
            lot__tender__tender_ends_at__gt=at,
            lot__status=LotStatus.ACTIVE.value,
        )
        .exclude(status=BidStatus.WITHDRAWN.value)
        .order_by("lot__tender__tender_ends_at", "pk")
    )
