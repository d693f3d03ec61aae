"""Signatures received while revocation data is missing: kept with the time of their receipt, judged when it is there.

A signature is judged by one task at a time, outside every transaction; whoever judged it writes down what came of it,
and carries out what it is for, in one transaction under the row's lock. A worker that is killed before that has done
nothing: its claim runs out and another judges again. docs/decisions/0013-signatures-that-wait.md says what counts as
of the receipt and what as of the verdict.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import connection, transaction
from django.db.models import Q, QuerySet
from django.utils.translation import gettext_lazy as _

from marketplace import signed_actions
from marketplace.models import (
    Organisation,
    QueuedSignature,
    QueuedStamp,
    QueuedState,
    Role,
    Signature,
    SigningRequest,
    StaffRole,
)
from marketplace.permissions import Actor, actor_for, organisation_of, person_of, require_staff
from marketplace.services import missing_revocation, receipt_stamps, signing, waiting_ends
from marketplace.services.signing import Judged, SignatureWaits
from marketplace.services.signing_words import refusal_sentence
from marketplace.shared import jobs
from marketplace.shared.errors import DomainError, NotAllowed, NotFound
from marketplace.signatures import Sub
from marketplace.signatures.payload import sha256_hex
from marketplace.signed_actions import Sent, SignedAction

_log = logging.getLogger(__name__)
#: Longer than a signature takes to judge and its action to carry out. A worker that was killed is forgotten after it.
CLAIM: Final = timedelta(minutes=2)
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(seconds=15), timedelta(minutes=5)
#: Verdicts after which a signature goes on waiting: the data is not there yet, or the judge was not at hand.
_AGAIN: Final = (Sub.TRY_LATER, Sub.GENERIC)
#: Of one organisation. Whoever has so many waiting is told to try again later, as before there was a queue.
MOST_WAITING: Final = 200
#: By one task; those of other tasks come in between.
_AT_ONCE: Final = 50


class SignatureNotTaken(DomainError):
    """A signature that waited and was not taken; sent again, the very same bytes get the same answer."""

    code, status = "signature_not_taken", 422

    def __init__(self, queued: QueuedSignature) -> None:
        self.queued = queued
        super().__init__(field="signature", state=queued.state, reason=queued.code)

    def __str__(self) -> str:
        return self.queued.outcome


class NothingWaits(DomainError):
    code = "nothing_waits"
    sentence = _("This signature is not waiting any more: it was judged.")


class BindingByNow(DomainError):
    code = "binding_by_now"
    sentence = _("It was received in time, and the time to take it back is over. It is judged like all others.")


class SignerLeft(NotAllowed):
    code = "signer_left"
    sentence = _("Who sent it does not act for the organisation any more.")


# Taking --------------------------------------------------------------------------------------------------------------


@transaction.atomic
def take(request: SigningRequest, cms: bytes, *, by: Actor, at: datetime, **arguments: str) -> Any:
    """Carry out what a signature is for; where only revocation data is missing, keep it: a QueuedSignature is answered.

    `at` is its receipt. The very same bytes sent again are answered with what they are waiting for or what became of
    them. Raises SignatureNotTaken for those that were not taken, and all that the action's service raises.
    """
    action = _action(request)
    if arguments.keys() != action.arguments:
        raise ValueError(f"{action.name} is called with {sorted(action.arguments)}")
    action.hold(request)
    sent = Sent(request, cms, by, at, arguments)
    known = QueuedSignature.objects.filter(request=request, person=by.person, cms_sha256=sha256_hex(cms)).last()
    if known is not None and known.state != QueuedState.PASSED:
        if known.is_waiting:
            return known
        raise SignatureNotTaken(known)
    try:
        with transaction.atomic():
            return action.carry_out(sent, at)
    except SignatureWaits as waits:
        return _keep(action, sent, waits)


def _keep(action: SignedAction, sent: Sent, waits: SignatureWaits) -> QueuedSignature:
    """The service's own work was undone; the locks of `hold` are ours still."""
    organisation, received_at = organisation_of(sent.by), sent.received_at
    with connection.cursor() as cursor:  # they are counted one by one
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", [f"waiting_of:{organisation.pk}"])
    if waiting().filter(organisation=organisation).count() >= MOST_WAITING:
        raise waits
    row, made = QueuedSignature.objects.get_or_create(
        request=sent.request,
        state=QueuedState.WAITING,
        defaults={
            "organisation": organisation,
            "person": person_of(sent.by),
            "cms": sent.cms,
            "cms_sha256": sha256_hex(sent.cms),
            "arguments": dict(sent.arguments),
            "holds": action.holds(sent.request),
            "received_at": received_at,
            "give_up_at": _give_up_at(action, sent.request, received_at),
            "next_try_at": received_at,
            "report": json.loads(waits.report.to_json()),
        },
    )
    # One that was signed anew waits no better than the first, which came earlier.
    if made:
        waiting_ends.record("signature_received", row, by=sent.by, at=received_at, report=waiting_ends.said(row))
        receipt_stamps.want(row, at=received_at)
        jobs.enqueue("marketplace.tasks.judge_signature", row.pk)
    missing_revocation.ask_for(waiting_ends.certificate_of(row), received_at)
    return row


def _give_up_at(action: SignedAction, request: SigningRequest, received_at: datetime) -> datetime:
    """Until when it waits at the most: what it is for may be put off meanwhile, as a deadline is by an amendment."""
    last = action.last(request, received_at)
    longest = received_at + timedelta(hours=settings.SIGNATURE_WAIT_HOURS)
    return longest if last is None else min(last, longest)


# Judging -------------------------------------------------------------------------------------------------------------


def waiting() -> QuerySet[QueuedSignature]:
    """Signatures without a verdict, in the order of their receipt."""
    return QueuedSignature.objects.filter(state=QueuedState.WAITING).order_by("received_at", "pk")


def due(at: datetime) -> list[int]:
    """Those to be judged now: their time has come, or there is newer data than at their last try."""
    newest = missing_revocation.newest_at()
    free = waiting().filter(Q(claimed_until=None) | Q(claimed_until__lte=at))
    ready = free.filter(Q(next_try_at__lte=at) | Q(tried_at__lt=newest) | Q(give_up_at__lte=at))
    return list(ready.values_list("pk", flat=True)[:_AT_ONCE])


def judge_due(now: Callable[[], datetime]) -> int:
    """Judge those that are due, each as of its own turn; how many. One that cannot be carried out for a flaw of ours
    stops no other."""
    pks = due(now())
    for pk in pks:
        try:
            judge(pk, at=now(), now=now)
        except Exception:  # noqa: BLE001  a flaw of ours; the log has it
            _log.exception("The waiting signature %s could not be judged", pk)
    return len(pks)


def judge(queued_id: int, *, at: datetime, now: Callable[[], datetime] | None = None) -> QueuedSignature | None:
    """Judge a waiting signature, and do what follows from the verdict; None where another task is at it, or it is done.

    It is judged by what is known at `at`; what follows is done as of `now()`, as a judge that is busy takes its time.
    Must not be called in a transaction. What the action's service raises for a flaw of ours is raised on, and the
    signature goes on waiting.
    """
    claimed = _claim(queued_id, at)
    if claimed is None:
        return None
    cms, payload, stamp = bytes(claimed.cms), bytes(claimed.request.payload), receipt_stamps.token_of(claimed.pk)
    identifiers, received_at = signing.named_in(payload), claimed.received_at
    report = signing.judge(cms, payload, identifiers=identifiers, at=at, received_at=received_at, stamp=stamp)
    decided_at = now() if now else at
    if report.sub_indication in _AGAIN:
        missing_revocation.ask_for(waiting_ends.certificate_of(claimed), decided_at)
    return _settle(claimed, Judged(cms, payload, received_at, report, stamp), decided_at)


@transaction.atomic
def give_up(rows: Iterable[QueuedSignature], *, at: datetime) -> int:
    """Refuse signatures whose data did not come in time; how many. The caller holds the locks of `hold`."""
    pks = [row.pk for row in rows]
    given_up = list(waiting().select_for_update(of=("self",)).select_related("request").filter(pk__in=pks))
    for row in given_up:
        waiting_ends.expire(_action(row.request), row, at)
    return len(given_up)


@transaction.atomic
def _claim(queued_id: int, at: datetime) -> QueuedSignature | None:
    """The signature, ours for a while. No lock is held while it is judged."""
    rows = waiting().select_for_update(of=("self",), skip_locked=True).select_related("request")
    row = rows.filter(pk=queued_id).first()
    if row is None or (row.claimed_until is not None and row.claimed_until > at):
        return None
    row.claimed_until, row.tried_at, row.attempts = at + CLAIM, at, row.attempts + 1
    # Should this worker die, the next try is not far.
    row.next_try_at = at + CLAIM
    row.save(update_fields=["claimed_until", "tried_at", "attempts", "next_try_at"])
    return row


@transaction.atomic
def _settle(claimed: QueuedSignature, verdict: Judged, at: datetime) -> QueuedSignature | None:
    action, report = _action(claimed.request), verdict.report
    action.hold(claimed.request)
    row = QueuedSignature.objects.select_for_update(of=("self",)).get(pk=claimed.pk)
    # Cancelled or given up meanwhile; or our claim ran out, and another judges it.
    if not row.is_waiting or row.claimed_until != claimed.claimed_until:
        return None
    stamp = receipt_stamps.locked(row.pk)
    row.request.refresh_from_db()
    row.claimed_until, row.give_up_at = None, _give_up_at(action, row.request, row.received_at)
    # The next try needs to know whose certificate it is.
    if report.sub_indication is not Sub.GENERIC and report.signer is not None:
        row.report = json.loads(report.to_json())
    if row.request.used_at is not None:
        waiting_ends.supersede(action, row, at)
    elif at >= row.give_up_at:
        waiting_ends.expire(action, row, at)
    elif stamp is not None and stamp.token_id is not None and verdict.stamp is None:
        # Stamped while it was judged without: it is judged again, by the stamp.
        row.next_try_at = at
        row.save(update_fields=["report", "claimed_until", "give_up_at", "next_try_at"])
        jobs.enqueue("marketplace.tasks.judge_signature", row.pk)
    elif report.sub_indication in _AGAIN:
        row.next_try_at = at + min(_FIRST_PAUSE * (1 << min(row.attempts - 1, 10)), _LONGEST_PAUSE)
        row.save(update_fields=["report", "claimed_until", "give_up_at", "next_try_at"])
    elif not report.passed:
        waiting_ends.refuse(action, row, str(report.sub_indication), refusal_sentence(report.sub_indication), at)
    else:
        _carry_out(action, row, verdict, stamp, at)
    return row


def _carry_out(
    action: SignedAction, row: QueuedSignature, verdict: Judged, stamp: QueuedStamp | None, at: datetime
) -> None:
    """Exactly what would have been done had the verdict been there at once; a rule that stands in the way refuses."""
    try:
        with transaction.atomic():
            by = _signer(row)
            sent = Sent(row.request, verdict.cms, by, row.received_at, dict(row.arguments), verdict)
            action.carry_out(sent, at)
    except DomainError as error:
        waiting_ends.refuse(action, row, error.code, str(error), at)
        return
    taken = Signature.objects.get(request=row.request)
    if bytes(taken.cms) != verdict.cms:  # another one of the same request was quicker
        waiting_ends.supersede(action, row, at)
        return
    receipt_stamps.hand_on(stamp, taken, at=at)
    waiting_ends.passed(action, row, taken, at)


def _signer(row: QueuedSignature) -> Actor:
    """Who sent it, with the roles they have now: who lost them meanwhile does not act any more."""
    organisation = Organisation.objects.get(pk=row.organisation_id)
    try:
        if row.person.is_active:
            return actor_for(row.person, organisation)
    except NotFound:
        pass
    raise SignerLeft


# Ends ----------------------------------------------------------------------------------------------------------------


@transaction.atomic
def withdraw(queued_id: int, *, by: Actor, at: datetime) -> QueuedSignature:
    """Take back a signature that waits: by who sent it, or a signer of the organisation.

    Raises NothingWaits, and BindingByNow where what was done could not be taken back by now either.
    """
    row = own(queued_id, by)
    row = QueuedSignature.objects.select_for_update(of=("self",)).select_related("request").get(pk=row.pk)
    if row.state == QueuedState.WITHDRAWN:
        return row
    if not row.is_waiting:
        raise NothingWaits
    if binds(row, at):
        raise BindingByNow
    waiting_ends.cancel(_action(row.request), row, by, at)
    return row


def binds(row: QueuedSignature, at: datetime) -> bool:
    """Whether a signature that waits cannot be cancelled any more."""
    begins = _action(row.request).binds_from(row.request)
    return begins is not None and at >= begins


def own(queued_id: int, by: Actor) -> QueuedSignature:
    """A signature of the actor's organisation, for who sent it and for its signers. Raises NotFound for all others."""
    rows = QueuedSignature.objects.select_related("request", "person", "organisation", "stamp").defer("cms")
    row = rows.filter(pk=queued_id, organisation=by.organisation).first() if by.organisation else None
    if row is None or (row.person != by.person and not by.has(Role.SIGNER)):
        raise NotFound
    return row


@transaction.atomic
def fetch_now(queued_id: int, *, by: Actor, at: datetime) -> None:
    """Have the data of a waiting signature asked for and the signature judged, at an operator's word."""
    require_staff(by, StaffRole.OPERATOR)
    row = waiting().filter(pk=queued_id).first()
    if row is None:
        raise NothingWaits
    missing_revocation.ask_for(waiting_ends.certificate_of(row), at, again=True)
    QueuedSignature.objects.filter(pk=row.pk, state=QueuedState.WAITING).update(next_try_at=at)
    jobs.enqueue("marketplace.tasks.judge_signature", row.pk)


def _action(request: SigningRequest) -> SignedAction:
    action = signed_actions.find(request.action)
    if action is None:
        raise ValueError(f"{request.action} is not an action whose signatures are kept")
    return action
