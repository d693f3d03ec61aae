"""Kept signatures judged again: one by its page, all by the command, a sample every night."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from random import SystemRandom
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from marketplace import audit
from marketplace.models import (
    Person,
    Reverification,
    Signature,
    StaffRole,
    TrustedCertificate,
    TrustKind,
)
from marketplace.permissions import Actor, require_staff
from marketplace.services import evidence, notifications, revocation, timestamps
from marketplace.shared.errors import NotFound
from marketplace.signatures import Evidence, Policy
from marketplace.signatures import payload as payloads
from marketplace.signatures.dossier import Dossier
from marketplace.signatures.longterm import LongTermPolicy, LongTermReport, reverify
from marketplace.signatures.timestamps import TimeStampError, read

#: Signatures whose evidence is read together.
_TOGETHER: Final = 100
_FAILURES_KEPT: Final = 1000
#: A night's sample, however often the task that takes it is run.
_NIGHT: Final = timedelta(hours=20)

Progress = Callable[[Signature, LongTermReport], None]


def check_again(signature_id: int, *, by: Actor, at: datetime) -> LongTermReport:
    """Judge a kept signature again, for an operator or auditor. The verdict is written into the signature's history."""
    require_staff(by, StaffRole.OPERATOR, StaffRole.AUDITOR)
    signature = Signature.objects.select_related("request").filter(pk=signature_id).first()
    if signature is None:
        raise NotFound
    found = judge(signature, evidence.dossier(signature), at)
    report = found.report
    said: dict[str, Any] = {
        "indication": str(report.indication),
        "sub_indication": str(report.sub_indication or ""),
        "reasons": list(report.reasons),
        "rests_on": list(found.rests_on),
    }
    with transaction.atomic():
        details = {name: value for name, value in said.items() if value}
        audit.record("signature_checked_again", signature, by=by, at=at, **details)
    return found


def judge(signature: Signature, dossier: Dossier, at: datetime) -> LongTermReport:
    """The verdict on a kept signature as of `at`, by its evidence and by today's word about its newest stamp."""
    newest = dossier.archives[-1].token if dossier.archives else dossier.stamp
    current = Evidence()
    if newest is not None:
        try:
            policy = timestamps.stamp_policy(past=True)
            token = read(newest.der).encoded
            current = revocation.evidence(token, (*policy.anchors, *policy.intermediates), at)
        except TimeStampError:
            pass  # the verdict will say so
    return reverify(dossier, policy_of(signature), at, current)


def policy_of(signature: Signature) -> LongTermPolicy:
    """What the signature had to satisfy when it was taken.

    Authorities count that were trusted then and are no longer: that is what its time stamp proves.
    """
    counted = Q(enabled=True) | Q(counted_at__isnull=False)
    store = TrustedCertificate.objects.filter(counted, kind=TrustKind.ANCHOR).values_list("der", flat=True)
    then = signature.evidence.get("policy", {})
    waited = signature.queued if hasattr(signature, "queued") else None
    return LongTermPolicy(
        signing=Policy(
            anchors=tuple(map(bytes, store)),
            eku=then.get("eku", settings.SIGNING_EKU_OID) or None,
            identifiers=_identifiers(signature),
            min_rsa=then.get("min_rsa", settings.SIGNING_MIN_RSA_BITS),
        ),
        stamping=timestamps.stamp_policy(past=True),
        sunsets=settings.ALGORITHM_SUNSETS,
        received_at=waited.received_at if waited else None,
        judged_at=waited.decided_at if waited else None,
    )


def run(
    reason: Reverification.Reason,
    signature_ids: Iterable[int],
    *,
    at: datetime,
    by: Person | None = None,
    progress: Progress | None = None,
) -> Reverification:
    """Judge these signatures again and keep the result. What was judged counts even when the run is interrupted."""
    begun = Reverification.objects.create(reason=reason, started_at=at, started_by=by)
    return _carry_out(begun, signature_ids, at, progress)


def nightly(*, at: datetime) -> Reverification | None:
    """Judge a random sample again, once a night; the operators and auditors are told of what does not pass."""
    begun = _begin_nightly(at)
    if begun is None:
        return None
    done = _carry_out(begun, _sample(settings.REVERIFY_NIGHTLY), at, None)
    if done.passed < done.checked:
        text = _("%(failed)s of %(checked)s kept signatures of tonight’s sample do not pass any more.")
        text %= {"failed": done.checked - done.passed, "checked": done.checked}
        staff = [StaffRole.OPERATOR, StaffRole.AUDITOR]
        notifications.notify_staff(staff, "reverification_failed", text, "/staff/signatures/", at=at, mail=True)
    return done


@transaction.atomic
def _begin_nightly(at: datetime) -> Reverification | None:
    """Several workers look; one begins."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended('reverification', 0))")
    reason = Reverification.Reason.NIGHTLY
    if Reverification.objects.filter(reason=reason, started_at__gt=at - _NIGHT).exists():
        return None
    return Reverification.objects.create(reason=reason, started_at=at)


def _carry_out(
    kept: Reverification, signature_ids: Iterable[int], at: datetime, progress: Progress | None
) -> Reverification:
    for signature, found in _judged(signature_ids, at):
        kept.checked += 1
        kept.passed += found.passed
        if not found.passed and len(kept.failures) < _FAILURES_KEPT:
            kept.failures.append(_failure(signature, found))
        if kept.checked % _TOGETHER == 0:
            kept.save(update_fields=["checked", "passed", "failures"])
        if progress is not None:
            progress(signature, found)
    kept.finished_at = at
    kept.save(update_fields=["checked", "passed", "failures", "finished_at"])
    return kept


def _sample(size: int) -> list[int]:
    """Random signatures. Keys have few gaps, so guessing some finds one without counting the table."""
    last = Signature.objects.order_by("-pk").values_list("pk", flat=True).first()
    if last is None or size <= 0:
        return []
    if last <= size:
        return list(Signature.objects.order_by("pk").values_list("pk", flat=True))
    guesses = SystemRandom().sample(range(1, last + 1), size)
    return sorted(Signature.objects.filter(pk__in=guesses).values_list("pk", flat=True))


def _judged(signature_ids: Iterable[int], at: datetime) -> Iterator[tuple[Signature, LongTermReport]]:
    ids = iter(signature_ids)
    while some := list(islice(ids, _TOGETHER)):
        signatures = list(Signature.objects.filter(pk__in=some).select_related("request").order_by("pk"))
        found = evidence.dossiers(signatures)
        for signature in signatures:
            yield signature, judge(signature, found[signature.pk], at)


def _identifiers(signature: Signature) -> frozenset[str]:
    """The organisation's numbers as they were signed."""
    try:
        return frozenset(payloads.parse(bytes(signature.request.payload))["organisation"]["identifiers"])
    except (payloads.PayloadError, KeyError, TypeError):
        return frozenset({"unreadable"})  # matches no certificate


def _failure(signature: Signature, found: LongTermReport) -> dict[str, Any]:
    report = found.report
    return {
        "signature": signature.pk,
        "sub_indication": str(report.sub_indication or ""),
        "reason": report.reasons[0] if report.reasons else "",
    }
