"""What the pages of a bid share: the own bid, its price table and documents as they are shown, the way back."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

from django.http import FileResponse
from django.urls import reverse
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _

from marketplace.permissions import Actor
from marketplace.shared.errors import NotFound, Sentence
from marketplace.shared.money import Money, minor_unit
from marketplace.web.parts import Crumb
from procurement import permissions
from procurement.models import Amendment, Bid, BidFile, Item, Lot
from procurement.rules.criteria import Answer, Answers, Question
from procurement.rules.effective import half_up_to
from procurement.rules.price_table import Line, PriceTable
from procurement.services import bid_checks, bid_drafts
from procurement.services.bid_drafts import Draft


@dataclass(frozen=True, slots=True)
class ItemLine:
    """A row of the price table: the lot's item and what stands beside it."""

    item: Item
    line: Line
    error: Sentence = ""


@dataclass(frozen=True, slots=True)
class AnswerRow:
    """A question that counts besides the price, and what stands beside it."""

    question: Question
    answer: Answer
    error: Sentence = ""

    @property
    def name(self) -> str:
        """Of the form's field."""
        return f"answer_{self.question.key}"


@dataclass(frozen=True, slots=True)
class CountsAs:
    """What the total counts as, and how."""

    amount: Money
    arithmetic: str


@dataclass(frozen=True, slots=True)
class Document:
    """A document of the bid as the list component shows it."""

    pk: int
    name: str
    url: str
    size: int
    sha256: str
    uploaded_at: datetime | None
    note: Sentence = ""
    remove_url: str = ""


def own_bid(actor: Actor, bid_id: int) -> Bid:
    bid = Bid.objects.filter(pk=bid_id).select_related("lot__tender__buyer", "supplier").first()
    if bid is None:
        raise NotFound
    permissions.require_bidder(actor, bid)
    return bid


def item_lines(lot: Lot, table: PriceTable, *, mark_missing: bool = False) -> list[ItemLine]:
    items = {item.pk: item for item in lot.items.all()}
    found = []
    for line in table.lines:
        problem = line.problem if line.typed or mark_missing else None
        found.append(ItemLine(items[line.item], line, bid_checks.PRICE_PROBLEMS[problem] if problem else ""))
    return found


def answer_rows(answers: Answers, *, mark_missing: bool = False) -> list[AnswerRow]:
    found = []
    for answer in answers.given:
        problem = answer.problem if answer.typed or mark_missing else None
        found.append(AnswerRow(answer.question, answer, bid_checks.ANSWER_PROBLEMS[problem] if problem else ""))
    return found


def answers_of(bid: Bid, draft: Draft) -> Answers:
    """The answers of an opened bid, else of the draft that the organisation alone can read."""
    return bid.lot.answers(bid.answers) if bid.opened_at is not None else bid_drafts.answers_of(bid.lot, draft)


def counted(bid: Bid, answers: Answers, total: Money | None) -> CountsAs | None:
    """What a total counts as with these answers; None where the price alone counts, or there is no total."""
    if total is None or not answers.criteria:
        return None
    direction, unit = bid.lot.tender.preset.axes.direction, minor_unit(bid.currency)
    amount = half_up_to(answers.formula(direction).of(total.amount), unit)
    return CountsAs(Money(amount, bid.currency), answers.arithmetic(total.amount, direction, unit))


def sent_or_drafted(bid: Bid, draft: Draft) -> list[ItemLine]:
    """The price table of an opened bid, else of the draft that the organisation alone can read."""
    if bid.opened_at is None:
        return item_lines(bid.lot, bid_drafts.price_table(bid.lot, draft))
    return [
        ItemLine(price.item, Line(price.item_id, f"{price.unit_price:f}", price.unit_price, price.amount, None))
        for price in bid.prices.select_related("item")
    ]


def total_of(bid: Bid, draft: Draft) -> Money | None:
    if bid.opened_at is not None:
        return Money(bid.initial_amount, bid.currency) if bid.initial_amount is not None else None
    table = bid_drafts.price_table(bid.lot, draft)
    return Money(table.total, bid.currency) if table.priced else None


def documents_of(bid: Bid, draft: Draft, *, editing: bool = False) -> list[Document]:
    kept = bid.files.filter(removed_at=None) if bid.opened_at is None else bid.files.filter(opened__isnull=False)
    return [
        Document(
            pk=document.pk,
            name=document.name or draft.file_names.get(document.pk) or _("Sealed document %(n)s") % {"n": document.pk},
            url=reverse("bid_file", args=[bid.pk, document.pk])
            if document.opened_id or (document.pk in draft.documents and draft.documents[document.pk].key)
            else "",
            size=document.size,
            sha256=document.sealed_sha256,
            uploaded_at=document.added_at,
            note=_note(document, bid),
            remove_url=reverse("bid_file_remove", args=[bid.pk, document.pk]) if editing else "",
        )
        for document in kept
    ]


def _note(document: BidFile, bid: Bid) -> Sentence:
    if bid.opened_at is None and not document.sealed_path:
        return _("did not arrive whole: remove it, and add it again")
    return "" if document.in_version or not bid.version else _("not yet sent")


def amendments_since(bid: Bid) -> list[Amendment]:
    """What the buyer changed since the bid was sent, or begun; nothing once it is opened."""
    if bid.opened_at is not None:
        return []
    return list(bid.lot.tender.amendments.filter(version__gt=bid.tender_version).order_by("version"))


def crumbs_of(lot: Lot, bid: Bid | None = None) -> list[Crumb]:
    crumbs = [Crumb(_("Our bids"), reverse("my_bids")), Crumb(lot.tender.number, lot.tender.get_absolute_url())]
    return [*crumbs, Crumb(_("Bid"), reverse("bid", args=[bid.pk]))] if bid else crumbs


def attachment(content: IO[Any], name: str, media_type: str) -> FileResponse:
    """A download that is sent in chunks and never shown as a page."""
    response = FileResponse(content, content_type=media_type)
    response["Content-Disposition"] = content_disposition_header(True, name) or "attachment"
    response["X-Content-Type-Options"] = "nosniff"
    response["Cache-Control"] = "private, no-store"
    response["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return response
