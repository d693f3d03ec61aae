"""Signatures received while revocation data is missing: kept with the time of their receipt, judged when it is there.

A signature is judged by one task at a time, outside every transaction; whoever judged it writes down what came of it,
and carries out what it is for, in one transaction under the row's lock. A worker that is killed before that has done
nothing: its claim runs out and another judges again. docs/decisions/0013-signatures-that-wait.md says what counts as
of the receipt and what as of the verdict.
"""

from __future__ import annotations

import json
import logging
from base64 import b64decode
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from marketplace import audit, signed_actions
from marketplace.models import (
    Organisation,
    QueuedSignature,
    QueuedState,
    Role,
    Signature,
    SigningRequest,
    StaffRole,
)
from marketplace.permissions import Actor, actor_for, organisation_of, person_of, require_staff
from marketplace.services import missing_revocation, notifications, signing
from marketplace.services.signing import Judged, SignatureWaits
from marketplace.services.signing_words import refusal_sentence
from marketplace.shared import jobs
from marketplace.shared.errors import DomainError, NotAllowed, NotFound, Sentence
from marketplace.signatures import Report, Sub
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
    if waiting().filter(organisation=organisation).count() >= MOST_WAITING:
        raise waits
    last = action.last(sent.request, received_at)
    give_up_at = received_at + timedelta(hours=settings.SIGNATURE_WAIT_HOURS)
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
            "give_up_at": give_up_at if last is None else min(last, give_up_at),
            "next_try_at": received_at,
            "report": json.loads(waits.report.to_json()),
        },
    )
    # One that was signed anew waits no better than the first, which came earlier.
    if made:
        _record("signature_received", row, by=sent.by, at=received_at, report=_said(row))
        jobs.enqueue("marketplace.tasks.judge_signature", row.pk)
    missing_revocation.ask_for(_certificate(row), received_at)
    return row


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
            judge(pk, at=now())
        except Exception:  # noqa: BLE001  a flaw of ours; the log has it
            _log.exception("The waiting signature %s could not be judged", pk)
    return len(pks)


def judge(queued_id: int, *, at: datetime) -> QueuedSignature | None:
    """Judge a waiting signature, and do what follows from the verdict; None where another task is at it, or it is done.

    Must not be called in a transaction. What the action's service raises for a flaw of ours is raised on, and the
    signature goes on waiting.
    """
    claimed = _claim(queued_id, at)
    if claimed is None:
        return None
    payload = bytes(claimed.request.payload)
    report = signing.judge(
        bytes(claimed.cms), payload, identifiers=signing.named_in(payload), at=at, received_at=claimed.received_at
    )
    if report.sub_indication in _AGAIN:
        missing_revocation.ask_for(_certificate(claimed), at)
    return _settle(claimed, report, at)


@transaction.atomic
def give_up(rows: Iterable[QueuedSignature], *, at: datetime) -> int:
    """Refuse signatures whose data did not come in time; how many. The caller holds the locks of `hold`."""
    pks = [row.pk for row in rows]
    given_up = list(waiting().select_for_update(of=("self",)).select_related("request").filter(pk__in=pks))
    for row in given_up:
        _expire(_action(row.request), row, at)
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
def _settle(claimed: QueuedSignature, report: Report, at: datetime) -> QueuedSignature | None:
    action = _action(claimed.request)
    action.hold(claimed.request)
    row = QueuedSignature.objects.select_for_update(of=("self",)).get(pk=claimed.pk)
    # Cancelled or given up meanwhile; or our claim ran out, and another judges it.
    if not row.is_waiting or row.claimed_until != claimed.claimed_until:
        return None
    row.request.refresh_from_db()
    row.claimed_until = None
    # The next try needs to know whose certificate it is.
    if report.sub_indication is not Sub.GENERIC and report.signer is not None:
        row.report = json.loads(report.to_json())
    if row.request.used_at is not None:
        _supersede(action, row, at)
    elif at >= row.give_up_at:
        _expire(action, row, at)
    elif report.sub_indication in _AGAIN:
        row.next_try_at = at + min(_FIRST_PAUSE * (1 << min(row.attempts - 1, 10)), _LONGEST_PAUSE)
        row.save(update_fields=["report", "claimed_until", "next_try_at"])
    elif not report.passed:
        _refuse(action, row, str(report.sub_indication), refusal_sentence(report.sub_indication), at)
    else:
        _carry_out(action, row, report, at)
    return row


def _carry_out(action: SignedAction, row: QueuedSignature, report: Report, at: datetime) -> None:
    """Exactly what would have been done had the verdict been there at once; a rule that stands in the way refuses."""
    verdict = Judged(bytes(row.cms), bytes(row.request.payload), row.received_at, report)
    try:
        with transaction.atomic():
            by = _signer(row)
            sent = Sent(row.request, verdict.cms, by, row.received_at, dict(row.arguments), verdict)
            action.carry_out(sent, at)
    except DomainError as error:
        _refuse(action, row, error.code, str(error), at)
        return
    taken = Signature.objects.get(request=row.request)
    if bytes(taken.cms) != verdict.cms:  # another one of the same request was quicker
        _supersede(action, row, at)
        return
    row.state, row.decided_at, row.signature = QueuedState.PASSED, at, taken
    row.outcome = gettext("The signature passed, and counts as received at %(moment)s.") % {"moment": _moment(row)}
    row.save(update_fields=["state", "decided_at", "signature", "outcome", "report", "claimed_until"])
    _record("signature_judged", row, by=None, at=at, report=_said(row), signature=row.signature.pk)
    _tell(action, row, gettext("Your signature received at %(moment)s passed. Done: %(about)s."), at)


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
    _end(_action(row.request), row, QueuedState.WITHDRAWN, "withdrawn", _("It was cancelled while it waited."), at, by)
    return row


def binds(row: QueuedSignature, at: datetime) -> bool:
    """Whether a signature that waits cannot be cancelled any more."""
    begins = _action(row.request).binds_from(row.request)
    return begins is not None and at >= begins


def own(queued_id: int, by: Actor) -> QueuedSignature:
    """A signature of the actor's organisation, for who sent it and for its signers. Raises NotFound for all others."""
    rows = QueuedSignature.objects.select_related("request", "person", "organisation").defer("cms")
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
    missing_revocation.ask_for(_certificate(row), at, again=True)
    QueuedSignature.objects.filter(pk=row.pk, state=QueuedState.WAITING).update(next_try_at=at)
    jobs.enqueue("marketplace.tasks.judge_signature", row.pk)


def _expire(action: SignedAction, row: QueuedSignature, at: datetime) -> None:
    names = ", ".join(waits_for([row], at)[0]) or gettext("its authority")
    sentence = gettext(
        "The revocation data of %(authority)s did not come until %(moment)s UTC. Whether the certificate is revoked "
        "could not be said, so the signature received at %(received)s does not count."
    ) % {"authority": names, "moment": f"{row.give_up_at:%Y-%m-%d %H:%M:%S}", "received": _moment(row)}
    _end(action, row, QueuedState.EXPIRED, "not_judged_in_time", sentence, at)


def _supersede(action: SignedAction, row: QueuedSignature, at: datetime) -> None:
    sentence = _("It was signed again, and that signature counts.")
    _end(action, row, QueuedState.WITHDRAWN, "signed_again", sentence, at)


def _refuse(action: SignedAction, row: QueuedSignature, code: str, sentence: Sentence, at: datetime) -> None:
    _end(action, row, QueuedState.REFUSED, code, sentence, at)


def _end(
    action: SignedAction, row: QueuedSignature, state: QueuedState, code: str, sentence: Sentence, at: datetime,
    by: Actor | None = None,
) -> None:  # fmt: skip
    """It was not taken, and nothing is spent: the same may be signed again while its time to sign lasts."""
    row.state, row.decided_at, row.code, row.outcome, row.claimed_until = state, at, code[:60], str(sentence), None
    row.save(update_fields=["state", "decided_at", "code", "outcome", "report", "claimed_until"])
    _record(f"signature_{state.value}", row, by=by, at=at, code=row.code, report=_said(row), attempts=row.attempts)
    if by is None:
        _tell(action, row, gettext("Your signature received at %(moment)s was not taken: %(about)s. %(outcome)s"), at)


def _tell(action: SignedAction, row: QueuedSignature, sentence: str, at: datetime) -> None:
    words = {"moment": _moment(row), "about": action.about(row.request), "outcome": row.outcome}
    url = reverse("waiting_signature", args=[row.pk])
    notifications.notify(row.person, f"signature_{row.state}", sentence % words, url, at=at)


def _action(request: SigningRequest) -> SignedAction:
    action = signed_actions.find(request.action)
    if action is None:
        raise ValueError(f"{request.action} is not an action whose signatures are kept")
    return action


def waits_for(rows: Sequence[QueuedSignature], at: datetime) -> list[list[str]]:
    """For each signature the authorities, by name, whose revocation data is missing or out of date."""
    return missing_revocation.authorities_without([_certificate(row) for row in rows], at)


def _certificate(row: QueuedSignature) -> bytes:
    """The signer's, DER, as the last verdict named it."""
    return b64decode(row.report["more"]["certificate"])


def _moment(row: QueuedSignature) -> str:
    return f"{row.received_at:%Y-%m-%d %H:%M:%S} UTC"


def _record(action: str, row: QueuedSignature, *, by: Actor | None, at: datetime, **details: Any) -> None:
    request = row.request
    audit.record(
        action, row, by=by, at=at,
        signed_action=request.action, signed_object=f"{request.object_type}:{request.object_id}",
        payload_sha256=request.payload_sha256, cms_sha256=row.cms_sha256, received_at=row.received_at.isoformat(),
        **details,
    )  # fmt: skip


def _said(row: QueuedSignature) -> dict[str, Any]:
    """The last verdict, without what the next try needs of it."""
    return {name: value for name, value in row.report.items() if name != "more"}
