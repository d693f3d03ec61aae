"""What became of a signature that waited for its verdict: written down, put on record, told to who sent it."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from marketplace import audit
from marketplace.models import QueuedSignature, QueuedState, Signature
from marketplace.permissions import Actor
from marketplace.services import missing_revocation, notifications
from marketplace.shared.errors import Sentence
from marketplace.signed_actions import SignedAction


def passed(action: SignedAction, row: QueuedSignature, taken: Signature, at: datetime) -> None:
    """It was taken, and what it is for is done."""
    row.state, row.decided_at, row.signature = QueuedState.PASSED, at, taken
    row.outcome = gettext("The signature passed, and counts as received at %(moment)s.") % {"moment": _moment(row)}
    row.save(update_fields=["state", "decided_at", "signature", "outcome", "report", "claimed_until", "give_up_at"])
    record("signature_judged", row, by=None, at=at, report=said(row), signature=taken.pk)
    _tell(action, row, gettext("Your signature received at %(moment)s passed. Done: %(about)s."), at)


def expire(action: SignedAction, row: QueuedSignature, at: datetime) -> None:
    """Its data did not come in time."""
    names = ", ".join(waits_for([row], at)[0]) or gettext("its authority")
    sentence = gettext(
        "The revocation data of %(authority)s did not come until %(moment)s UTC. Whether the certificate is revoked "
        "could not be said, so the signature received at %(received)s does not count."
    ) % {"authority": names, "moment": f"{row.give_up_at:%Y-%m-%d %H:%M:%S}", "received": _moment(row)}
    _end(row, QueuedState.EXPIRED, "not_judged_in_time", sentence, at)
    _tell(action, row, _not_taken(), at)


def supersede(action: SignedAction, row: QueuedSignature, at: datetime) -> None:
    """Another signature of the same request was taken."""
    _end(row, QueuedState.WITHDRAWN, "signed_again", _("It was signed again, and that signature counts."), at)
    _tell(action, row, _not_taken(), at)


def refuse(action: SignedAction, row: QueuedSignature, code: str, sentence: Sentence, at: datetime) -> None:
    """By its verdict, or by a rule of what it is for."""
    _end(row, QueuedState.REFUSED, code, sentence, at)
    _tell(action, row, _not_taken(), at)


def cancel(action: SignedAction, row: QueuedSignature, by: Actor, at: datetime) -> None:
    """By its own people; who sent it is told where somebody else did."""
    _end(row, QueuedState.WITHDRAWN, "withdrawn", _("It was cancelled while it waited."), at, by)
    if by.person != row.person:
        words = gettext(
            "%(who)s cancelled your signature received at %(moment)s: %(about)s. Nothing was done under it."
        )
        _tell(action, row, words, at, who=str(by.person))


def _not_taken() -> str:
    return gettext("Your signature received at %(moment)s was not taken: %(about)s. %(outcome)s")


def _end(
    row: QueuedSignature, state: QueuedState, code: str, sentence: Sentence, at: datetime, by: Actor | None = None
) -> None:
    """It was not taken, and nothing is spent: the same may be signed again while its time to sign lasts."""
    row.state, row.decided_at, row.code, row.outcome, row.claimed_until = state, at, code[:60], str(sentence), None
    row.save(update_fields=["state", "decided_at", "code", "outcome", "report", "claimed_until", "give_up_at"])
    record(f"signature_{state.value}", row, by=by, at=at, code=row.code, report=said(row), attempts=row.attempts)


def _tell(action: SignedAction, row: QueuedSignature, sentence: str, at: datetime, **words: str) -> None:
    words |= {"moment": _moment(row), "about": str(action.about(row.request)), "outcome": row.outcome}
    url = reverse("waiting_signature", args=[row.pk])
    notifications.notify(row.person, f"signature_{row.state}", sentence % words, url, at=at)


def record(action: str, row: QueuedSignature, *, by: Actor | None, at: datetime, **details: Any) -> None:
    """Into the audit trail, with what identifies the signature."""
    request = row.request
    audit.record(
        action, row, by=by, at=at,
        signed_action=request.action, signed_object=f"{request.object_type}:{request.object_id}",
        payload_sha256=request.payload_sha256, cms_sha256=row.cms_sha256, received_at=row.received_at.isoformat(),
        **details,
    )  # fmt: skip


def said(row: QueuedSignature) -> dict[str, Any]:
    """The last verdict, without what the next try needs of it."""
    return {name: value for name, value in row.report.items() if name != "more"}


def waits_for(rows: Sequence[QueuedSignature], at: datetime) -> list[list[str]]:
    """For each signature the authorities, by name, whose revocation data is missing or out of date."""
    return missing_revocation.authorities_without([certificate_of(row) for row in rows], at)


def certificate_of(row: QueuedSignature) -> bytes:
    """The signer's, DER, as the last verdict named it."""
    return b64decode(row.report["more"]["certificate"])


def _moment(row: QueuedSignature) -> str:
    return f"{row.received_at:%Y-%m-%d %H:%M:%S} UTC"
