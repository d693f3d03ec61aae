"""What a draft still lacks before it can be published, all at once, each with the place where it is mended."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction

from django.utils.translation import gettext as _

from marketplace import entitlements
from marketplace.models import Side
from marketplace.shared.errors import Sentence
from marketplace.shared.money import minor_unit
from procurement import procedures
from procurement.models import Lot, Tender
from procurement.rules.auction.base import AuctionKind, SingleBidPrice, StepKind
from procurement.rules.auction.judging import step_amount
from procurement.services import criteria, custody, timetable, words
from procurement.services.lots import field_problems

# A clock that ticks more often keeps people at their desks for a day.
TICKS_MAX = 500


@dataclass(frozen=True, slots=True)
class Missing:
    """`place` is a section of the editor ("basics", "terms", "timetable", "documents", "lot:<id>", "items:<id>"),
    "custody" for the page of the keys, or ""; what is not `blocking` is advice. `url` leads outside the editor."""

    code: str
    sentence: Sentence
    place: str = ""
    blocking: bool = True
    url: str = ""


def need_of(tender: Tender) -> entitlements.Need:
    """What the buyer's tariff is asked for."""
    return entitlements.Need(entitlements.Action.PUBLISH, tender.preset.family.value, side=Side.BUYER)


def missing(tender: Tender, at: datetime) -> list[Missing]:
    """Everything that is missing for a publication at `at`, what blocks first; empty when nothing is."""
    found = [
        *_of_buyer(tender, at),
        *_of_tender(tender),
        *_of_terms(tender),
        *(problem for lot in tender.lots.prefetch_related("items") for problem in missing_in_lot(tender, lot)),
        *_of_timetable(tender, at),
        *(Missing(one.code, one.sentence, "custody", one.blocking) for one in custody.problems(tender)),
        *_advice(tender),
    ]
    return sorted(found, key=lambda problem: not problem.blocking)


def _of_buyer(tender: Tender, at: datetime) -> Iterator[Missing]:
    for reason in entitlements.check(tender.buyer, need_of(tender), at).reasons:
        yield Missing(reason.code, f"{reason.sentence} {reason.remedy}", url=reason.url)


def _of_tender(tender: Tender) -> Iterator[Missing]:
    if not tender.title.strip():
        yield Missing("title_missing", _("The procedure has no title."), "basics")
    if not tender.lots.exists():
        yield Missing("no_lots", _("The procedure has no lot."), "lots")


def _of_terms(tender: Tender) -> Iterator[Missing]:
    for problem in procedures.problems(tender.preset, tender.settings):
        yield Missing(problem.code, words.named_problem(problem), "terms")
    for sentences in criteria.problems(tender.price_criteria, tender.preset.axes.direction).values():
        for sentence in sentences:
            yield Missing("criteria_refused", sentence, "criteria")


def missing_in_lot(tender: Tender, lot: Lot) -> Iterator[Missing]:
    """What keeps a lot from being bid for."""
    names = {"lot": lot.number}
    place = f"lot:{lot.pk}"
    if not lot.items.all():
        words = _("Lot %(lot)s has no items: say what is needed and how much.")
        if tender.preset.is_sale:
            words = _("Lot %(lot)s has no items: say what is sold and how much of it.")
        yield Missing("no_items", words % names, f"items:{lot.pk}")
    yield from _of_auction(tender.preset, lot, place)
    # A currency changed after the amounts were typed can make them impossible.
    for sentences in field_problems(
        {
            "limit_price": lot.limit_price,
            "step_kind": lot.step_kind,
            "step_value": lot.step_value,
            "clock_price": lot.clock_price,
        },
        lot.currency,
    ).values():
        for sentence in sentences:
            yield Missing("amount_refused", _("Lot %(lot)s: %(why)s") % {**names, "why": sentence}, place)


def _of_auction(preset: procedures.Procedure, lot: Lot, place: str) -> Iterator[Missing]:
    """What the lot's auction is missing, as its kind asks."""
    names = {"lot": lot.number}
    asks, limit, clock = preset.asks, lot.limit_price, lot.clock_price
    if asks.limit and limit is None:
        words = _("Lot %(lot)s has no limit price: a live auction starts from it.")
        if preset.is_sale:
            words = _("Lot %(lot)s has no reserve price: a live auction starts from it.")
        yield Missing("start_price_missing", words % names, place)
    if limit is None and lot.tender.settings.get("single_bid_price") == SingleBidPrice.LIMIT:
        words = _("Lot %(lot)s has no limit price, and a single bid is to win at it.") % names
        yield Missing("limit_price_missing", words, place)
    if asks.step and (lot.step_value is None or not lot.step_kind):
        words = (
            _("Lot %(lot)s does not say by how much its clock ticks.")
            if asks.clock
            else _("Lot %(lot)s has no auction step.")
        )
        yield Missing("step_missing", words % names, place)
    elif asks.step and limit is not None and lot.step_kind == "amount" and (lot.step_value or 0) >= limit:
        words = _("The step of lot %(lot)s is not below its limit price.")
        if preset.is_sale:
            words = _("The step of lot %(lot)s is not below its reserve price.")
        yield Missing("step_too_large", words % names, place)
    if asks.step and lot.step_kind == StepKind.PERCENT and lot.tender.settings.get("limit_price_shown") is False:
        # Bidders see the percentage and, in the room, what it comes to.
        words = _("Lot %(lot)s: a step in percent of the limit price tells it. Show the limit price or set an amount.")
        if preset.is_sale:
            words = _(
                "Lot %(lot)s: a step in percent of the reserve price tells it. Show the reserve price or set an amount."
            )
        yield Missing("step_tells_limit", words % names, place)
    if asks.clock and clock is None:
        words = _("Lot %(lot)s does not say where its clock stops.")
        if preset.auction is AuctionKind.DUTCH:
            words = _("Lot %(lot)s does not say where its clock begins.")
        yield Missing("clock_price_missing", words % names, place)
    elif asks.clock and clock is not None and limit is not None:
        yield from _of_clock(preset, lot, limit, clock, place)


def _of_clock(preset: procedures.Procedure, lot: Lot, limit: Decimal, best: Decimal, place: str) -> Iterator[Missing]:
    names = {"lot": lot.number, "most": TICKS_MAX}
    if not preset.axes.direction.better(Fraction(best), Fraction(limit)):
        words = _("The clock of lot %(lot)s has to stop below its limit price.")
        if preset.auction is AuctionKind.DUTCH:
            words = _("The clock of lot %(lot)s has to begin below its limit price.")
        yield Missing("clock_price_not_better", words % names, place)
    elif lot.step_value and lot.step_kind:
        tick = step_amount(StepKind(lot.step_kind), lot.step_value, limit, minor_unit(lot.currency))
        if abs(limit - best) > tick * TICKS_MAX:
            words = _("The clock of lot %(lot)s would tick more than %(most)s times. Choose a larger tick.") % names
            yield Missing("clock_too_long", words, place)


def _of_timetable(tender: Tender, at: datetime) -> Iterator[Missing]:
    labels = {"enquiry_ends_at": _("Questions until"), "tender_ends_at": _("Bids until")}
    for name, sentences in timetable.problems(tender, at).items():
        for sentence in sentences:
            yield Missing("dates_refused", f"{labels[name]}: {sentence}", "timetable")


def _advice(tender: Tender) -> Iterator[Missing]:
    if not tender.description.strip():
        yield Missing(
            "description_missing",
            _("There is no description. Bidders ask fewer questions where there is one."),
            "basics",
            False,
        )
    for lot in tender.lots.all():
        if not lot.delivery_place:
            yield Missing(
                "delivery_missing",
                (
                    _("Lot %(lot)s does not say where the goods are.")
                    if tender.preset.is_sale
                    else _("Lot %(lot)s does not say where to deliver.")
                )
                % {"lot": lot.number},
                f"lot:{lot.pk}",
                False,
            )
    if not tender.documents.exists():
        yield Missing(
            "no_documents",
            _("There are no documents, such as a specification or a draft contract."),
            "documents",
            False,
        )
