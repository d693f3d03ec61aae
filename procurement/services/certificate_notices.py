"""Who will need a signature when their certificate has ended is told while there is time to get a new one."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils.translation import gettext_lazy as _

from marketplace.models import Certificate
from marketplace.services import certificates, notifications
from marketplace.shared.errors import Sentence
from procurement.models import CertificateNotice, Tender
from procurement.rules.lifecycle import AwardStatus, BidStatus, TenderStatus

#: Certificates that end later are looked at later: no new one is got so long ahead.
HORIZON: Final = timedelta(days=60)
_RUNNING: Final = [BidStatus.DRAFT.value, BidStatus.SUBMITTED.value, BidStatus.INVALIDATED.value]
_BY_BIDDERS: Final = _(
    "Your signing certificate ends on %(end)s, before bids for %(tender)s close on %(moment)s. Get a new one in time: "
    "without it you can neither send nor change your bid."
)
_BY_BUYERS: Final = _(
    "Your signing certificate ends on %(end)s, before bids for %(tender)s close on %(moment)s. Get a new one in time: "
    "the award has to be signed after that."
)
_BY_PARTIES: Final = _(
    "Your signing certificate ends on %(end)s, before the standstill of %(tender)s is over on %(moment)s. Get a new "
    "one in time: the contract has to be signed after that."
)


class _Missed(NamedTuple):
    certificate_id: int
    tender_id: int
    moment: datetime
    words: Sentence


def remind(*, at: datetime) -> int:
    """Tell each owner once for each procedure: of bids to send, awards and contracts to sign. Returns how many."""
    return sum(_tell(missed, at) for missed in list(_missed(at)))


def _missed(at: datetime) -> Iterator[_Missed]:
    bids = "organisation__bids__lot__tender"
    yield from _before(at, bids, f"{bids}__tender_ends_at", _BY_BIDDERS, **{
        f"{bids}__status": TenderStatus.PUBLISHED.value, "organisation__bids__status__in": _RUNNING,
    })  # fmt: skip
    own = "organisation__tenders"
    yield from _before(at, own, f"{own}__tender_ends_at", _BY_BUYERS, **{
        f"{own}__status": TenderStatus.PUBLISHED.value,
    })  # fmt: skip
    for award, tender in (
        ("organisation__bids__awards", bids),
        ("organisation__tenders__lots__awards", own),
    ):
        yield from _before(at, tender, f"{award}__standstill_ends_at", _BY_PARTIES, **{
            f"{award}__status": AwardStatus.ACTIVE.value, f"{tender}__status": TenderStatus.STANDSTILL.value,
        })  # fmt: skip


def _before(at: datetime, tender: str, moment: str, words: Sentence, **wanted: Any) -> Iterator[_Missed]:
    """Certificates in use that end before a moment of a tender, both reached by their names from the certificate."""
    told = CertificateNotice.objects.filter(certificate=OuterRef("pk"), tender=OuterRef(tender))
    found: QuerySet[Certificate] = (
        Certificate.objects.filter(not_after__gt=at, not_after__lte=at + HORIZON)
        .filter(certificates.in_office())
        .exclude(certificates.outlived())
        .filter(**wanted, **{f"{moment}__gt": F("not_after")})
        .exclude(Exists(told))
    )
    for certificate_id, tender_id, ends in found.order_by("pk").distinct().values_list("pk", tender, moment):
        yield _Missed(certificate_id, tender_id, ends, words)


@transaction.atomic
def _tell(missed: _Missed, at: datetime) -> int:
    notice, created = CertificateNotice.objects.get_or_create(
        certificate_id=missed.certificate_id, tender_id=missed.tender_id, defaults={"told_at": at}
    )
    if not created:
        return 0
    certificate = Certificate.objects.select_related("person").defer("der").get(pk=missed.certificate_id)
    tender = Tender.objects.get(pk=notice.tender_id)
    words = str(missed.words) % {
        "end": f"{certificate.not_after:%Y-%m-%d %H:%M} UTC",
        "moment": f"{missed.moment:%Y-%m-%d %H:%M} UTC",
        "tender": tender.number,
    }
    notifications.notify(certificate.person, "certificate_ends_early", words, tender.get_absolute_url(), at=at)
    return 1
