"""Publication: the tender becomes public, its deadlines become due, and bids are sealed to the keys of its lots."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.db.models import Exists, OuterRef
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from marketplace import audit, entitlements
from marketplace.models import Notification, Role
from marketplace.permissions import Actor
from marketplace.services.notifications import notify
from marketplace.shared import jobs
from marketplace.shared.errors import DomainError, NotFound
from procurement.models import KeyCustody, Lot, MomentKind, Tender
from procurement.permissions import require_tender_run
from procurement.queries import tenders as queries
from procurement.rules.lifecycle import TenderStatus
from procurement.services import custody, lot_keys, moments, timetable
from procurement.services.completeness import Missing, missing, need_of
from procurement.services.drafts import NotADraft, lock_tender, stream_of
from procurement.services.transitions import move

ANNOUNCED = "tender_published"


class AlreadyPublished(DomainError):
    """A second click, or a colleague's: what was wanted is the case."""

    code = "already_published"
    sentence = gettext_lazy("This procedure is already published.")


class NotComplete(DomainError):
    """`missing` lists everything that stands in the way."""

    code = "not_complete"
    status = 422
    sentence = gettext_lazy("This procedure cannot be published yet: %(what)s")

    def __init__(self, found: Sequence[Missing]) -> None:
        self.missing = list(found)
        super().__init__(what=" ".join(str(problem.sentence) for problem in found))


@transaction.atomic
def publish(tender_id: int, *, by: Actor, at: datetime) -> Tender:
    """Publish a draft: dates not chosen are counted from `at`, every lot gets its keys, the end of bidding becomes due.

    Raises NotFound, NotAllowed, AlreadyPublished, NotADraft, entitlements.NotEntitled, NotComplete, CommitteeChanged.
    """
    tender = lock_tender(tender_id)
    require_tender_run(by, tender)
    if tender.status == TenderStatus.PUBLISHED:
        raise AlreadyPublished
    if tender.status not in (TenderStatus.DRAFT, TenderStatus.APPROVAL):
        raise NotADraft
    entitlements.require(tender.buyer, need_of(tender), at)
    if blocking := [problem for problem in missing(tender, at) if problem.blocking]:
        raise NotComplete(blocking)
    dates = timetable.dates_at(tender, at)
    tender.enquiry_ends_at, tender.tender_ends_at = dates.enquiry_ends_at, dates.tender_ends_at
    tender.auction_starts_at = timetable.auction_start(tender, dates.tender_ends_at)
    tender.published_at = at
    move(tender, TenderStatus.PUBLISHED)
    tender.save(
        update_fields=[
            "status", "published_at", "enquiry_ends_at", "tender_ends_at", "auction_starts_at", "updated_at",
        ]
    )  # fmt: skip
    lots = list(tender.lots.select_for_update())
    held: dict[str, object] = {"keys": tender.key_custody}
    if tender.criteria:
        held["criteria"] = tender.criteria
    if tender.key_custody == KeyCustody.COMMITTEE:
        ceremony = custody.give_keys(tender, lots)
        held |= {"ceremony": ceremony.pk, "threshold": ceremony.threshold}
        held |= {"shares": custody.announced(ceremony.shares.select_related("key"))}
    else:
        for lot in lots:
            lot_keys.make(lot)
    Lot.objects.bulk_update(lots, ["public_key", "wrapped_private_key"])
    moments.schedule(MomentKind.TENDER_ENDS, tender, dates.tender_ends_at)
    audit.record(
        "tender.published",
        tender,
        by=by,
        at=at,
        stream=stream_of(tender),
        procedure=f"{tender.procedure} v{tender.procedure_version}",
        bids_until=dates.tender_ends_at.isoformat(),
        questions_until=dates.enquiry_ends_at.isoformat(),
        documents=[document.file.sha256 for document in tender.documents.select_related("file")],
        **held,
    )
    jobs.enqueue("procurement.tasks.announce", tender.pk)
    return tender


def announce(tender_id: int, *, at: datetime) -> int:
    """Tell the suppliers whose headings match, each once however often this runs. Returns how many people were told."""
    tender = Tender.objects.select_related("buyer").filter(pk=tender_id).first()
    if tender is None:
        raise NotFound
    if tender.status != TenderStatus.PUBLISHED:
        return 0
    url = tender.get_absolute_url()
    text = _("New procedure for what you supply: “%(title)s” by %(buyer)s.") % {
        "title": tender.title,
        "buyer": tender.buyer.short_name,
    }
    told = Notification.objects.filter(organisation=OuterRef("pk"), kind=ANNOUNCED, url=url)
    suppliers = list(queries.suppliers_matching(tender).exclude(Exists(told)))
    return sum(notify(supplier, ANNOUNCED, text, url, at=at, roles=[Role.BID_MANAGER]) for supplier in suppliers)
