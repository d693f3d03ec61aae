"""The addresses revocation data comes from: entered by an operator, asked by a task, and no others.

A source that fails says so and is asked again later and later; whatever it sends, a newer list is never replaced by an
older one. Two tasks at once are harmless: the first takes a lease, the second finds it taken.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Final

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from marketplace import audit
from marketplace.models import RevocationList, RevocationSource, TrustedCertificate
from marketplace.permissions import Actor, require_operator
from marketplace.services import ocsp, revocation
from marketplace.shared import jobs, outbound
from marketplace.shared.errors import DomainError, NotFound, Sentence

URL_MAX_LENGTH: Final = 500
_FIRST_PAUSE, _LONGEST_PAUSE = timedelta(minutes=5), timedelta(hours=1)
#: Longer than a fetch may take; a task that died gives its lease back by itself.
_LEASE_BEYOND: Final = timedelta(seconds=60)
#: Certificates named where a responder gave no answer about them.
_NAMED: Final = 5
_log = logging.getLogger(__name__)

#: What went wrong, by code. `detail` is what the other side said, cut short.
REASONS: Final[dict[str, Sentence]] = {
    "no_address": _("This is not an address that begins with http:// or https://."),
    "password_in_address": _("An address with a password in it is not taken: it would be shown and logged."),
    "no_such_host": _("There is no host of the name %(detail)s."),
    "private_address": _(
        "%(detail)s lies in a private network. Such addresses are asked only where the setting "
        "REVOCATION_PRIVATE_ADDRESSES allows it."
    ),
    "unreachable": _("The host cannot be reached (%(detail)s)."),
    "false_certificate": _("The host’s own certificate is not in order: %(detail)s."),
    "too_slow": _("It took too long to answer."),
    "too_large": _("The answer is larger than is taken."),
    "cut_off": _("The connection broke off in the middle of the answer."),
    "compressed": _("The answer is compressed, though that was not asked for."),
    "redirected": _("It sends on to %(detail)s. Enter that address instead, if it is the authority’s."),
    "status": _("It answered with the status %(detail)s."),
    "responder_refused": _("The responder refused to answer (%(detail)s)."),
    "no_answer": _("What it answered cannot be read."),
    "other_certificate": _("It answered about another certificate."),
    "not_signed": _("The answer was not signed by the authority or by somebody it let answer."),
    "some_unusable": _(
        "What it answered about some certificates (%(detail)s) does not count; about the others it answered as it "
        "should."
    ),
    "answer_not_fresh": _("The answer is out of date, or does not say until when it holds."),
    "answer_from_the_future": _("The answer says that it holds only from later on. Check the clocks."),
    "other_authority": _("The list it sent is of another authority: %(detail)s."),
    "list_from_the_future": _("The list it sent says that it will be issued only later. Check the clocks."),
    **{
        error.code: error.sentence
        for error in (
            revocation.NoRevocationList,
            revocation.UnknownIssuer,
            revocation.MayNotIssueLists,
            revocation.OlderList,
        )
    },
}


class NoSourceAddress(DomainError):
    code, status = "no_source_address", 422

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(field="url")

    def __str__(self) -> str:
        return str(REASONS[self.reason])


class SourceKnown(DomainError):
    code = "source_known"
    sentence = _("This address is entered for this authority already.")


class SourceDisabled(DomainError):
    code = "source_disabled"
    sentence = _("This address is switched off. Switch it on to ask it.")


def problem(source: RevocationSource) -> Sentence:
    """Why it did not answer as it should, in words; "" where it did."""
    if not source.error:
        return ""
    code, _sep, detail = source.error.partition(":")
    words = REASONS.get(code, _("It did not answer as it should."))
    return str(words) % {"detail": detail} if "%(" in str(words) else words


@transaction.atomic
def add(
    authority_id: int, kind: RevocationSource.Kind, url: str, *, by: Actor | None, at: datetime
) -> RevocationSource:
    """Let the platform ask this address about an authority of the trust store, at once and from then on.

    Raises NoSourceAddress, SourceKnown, NotFound.
    """
    require_operator(by)
    authority = TrustedCertificate.objects.select_for_update(of=("self",)).filter(pk=authority_id).first()
    if authority is None:
        raise NotFound
    url = url.strip()
    if len(url) > URL_MAX_LENGTH:
        raise NoSourceAddress("no_address")
    try:
        outbound.check_address(url)
    except outbound.OutboundError as error:
        raise NoSourceAddress(error.code) from None
    source, created = RevocationSource.objects.get_or_create(
        authority=authority,
        kind=kind,
        url=url,
        defaults={"added_at": at, "added_by": by.person if by else None, "next_at": at},
    )
    if not created:
        raise SourceKnown(field="url")
    _record("revocation_source_added", source, by, at)
    jobs.enqueue("marketplace.tasks.refresh_source", source.pk)
    return source


@transaction.atomic
def set_enabled(source_id: int, enabled: bool, *, by: Actor, at: datetime) -> RevocationSource:
    """Ask this address no more, or again. What it sent stays."""
    require_operator(by)
    source = _locked(source_id)
    if source.enabled != enabled:
        source.enabled, source.next_at, source.failures = enabled, at, 0
        source.save(update_fields=["enabled", "next_at", "failures"])
        _record("revocation_source_enabled" if enabled else "revocation_source_disabled", source, by, at)
        if enabled:
            jobs.enqueue("marketplace.tasks.refresh_source", source.pk)
    return source


@transaction.atomic
def ask_now(source_id: int, *, by: Actor, at: datetime) -> RevocationSource:
    """Have a task ask this address at once. Raises SourceDisabled."""
    require_operator(by)
    source = _locked(source_id)
    if not source.enabled:
        raise SourceDisabled
    if not source.is_being_asked(at):
        source.next_at = at
        source.save(update_fields=["next_at"])
        jobs.enqueue("marketplace.tasks.refresh_source", source.pk)
    return source


def ask_about(certificate: bytes, at: datetime) -> bool:
    """Have the responders of its authority asked about a certificate (DER). Whether there is any."""
    sources = ocsp.want(certificate, at)
    for source in sources:
        RevocationSource.objects.filter(pk=source.pk, next_at__gt=at).update(next_at=at)
        jobs.enqueue("marketplace.tasks.refresh_source", source.pk)
    return bool(sources)


def due(at: datetime) -> list[int]:
    """The sources to ask now, those waiting longest first."""
    free = Q(leased_until=None) | Q(leased_until__lte=at)
    found = RevocationSource.objects.filter(free, enabled=True, authority__enabled=True, next_at__lte=at)
    return list(found.order_by("next_at", "pk").values_list("pk", flat=True)[:100])


def refresh(source_id: int, *, at: datetime) -> bool:
    """Ask one source and take what it sends. False where another task is asking it, or it is not to be asked.

    Never raises for what the other side does: that is written down and shown. Must not be called in a transaction.
    """
    source = _lease(source_id, at)
    if source is None:
        return False
    try:
        if source.kind == RevocationSource.Kind.OCSP:
            _refresh_answers(source, at)
        else:
            _refresh_list(source, at)
    except (outbound.OutboundError, ocsp.Unusable) as error:
        _failed(source, at, error.code, error.detail)
    except DomainError as error:
        _failed(source, at, error.code, str(error.params.get("issuer", "")))
    except Exception:
        # A flaw of ours must not leave the source leased and unexplained; the task's log has the rest.
        _failed(source, at, "unexpected", "")
        raise
    return True


@transaction.atomic
def _lease(source_id: int, at: datetime) -> RevocationSource | None:
    """The source, ours for a while. No lock is held while the other side is asked."""
    rows = RevocationSource.objects.select_for_update(of=("self",)).select_related("authority")
    source = rows.filter(pk=source_id, enabled=True, authority__enabled=True).first()
    if source is None or source.is_being_asked(at):
        return None
    source.leased_until = at + timedelta(seconds=settings.REVOCATION_SECONDS) + _LEASE_BEYOND
    source.tried_at = at
    source.save(update_fields=["leased_until", "tried_at"])
    return source


def _refresh_answers(source: RevocationSource, at: datetime) -> None:
    """Raises what went wrong where nothing else happened; where some were answered, it is noted only."""
    done = ocsp.refresh(source, at)
    if done.refused and not done.answered:
        raise next(iter(done.refused.values()))
    _succeeded(source, at, size=done.received)
    if done.refused:
        named = ", ".join(list(done.refused)[:_NAMED]) + (", …" if len(done.refused) > _NAMED else "")
        source.error = f"some_unusable:{named}"[:300]
        source.save(update_fields=["error"])


def _refresh_list(source: RevocationSource, at: datetime) -> None:
    held = RevocationList.objects.filter(source=source, is_current=True).exists()
    asked = {"If-None-Match": source.etag, "If-Modified-Since": source.last_modified} if held else {}
    answer = outbound.fetch(
        source.url,
        most_bytes=settings.REVOCATION_MAX_BYTES,
        seconds=settings.REVOCATION_SECONDS,
        headers={name: value for name, value in asked.items() if value},
        private=settings.REVOCATION_PRIVATE_ADDRESSES,
    )
    if answer.status == 304:
        _succeeded(source, at)
        return
    revocation.load_list(answer.body, by=None, at=at, source=source)
    source.etag = answer.headers.get("etag", "")[:200]
    source.last_modified = answer.headers.get("last-modified", "")[:100]
    _succeeded(source, at, size=len(answer.body))


def _succeeded(source: RevocationSource, at: datetime, size: int | None = None) -> None:
    source.fetched_at, source.failures, source.error = at, 0, ""
    source.size = source.size if size is None else size
    source.next_at = at + timedelta(minutes=settings.REVOCATION_REFRESH_MINUTES)
    newest = RevocationList.objects.filter(source=source, is_current=True).order_by("next_update").first()
    if newest is not None:
        # A short-lived list is asked for again in the last fifth of its life, however long the usual pause.
        late = newest.next_update - (newest.next_update - newest.this_update) / 5
        source.next_at = max(at + _FIRST_PAUSE, min(source.next_at, late))
    _give_back(source, "fetched_at", "failures", "error", "size", "next_at", "etag", "last_modified")


def _failed(source: RevocationSource, at: datetime, code: str, detail: str) -> None:
    source.failures += 1
    source.error = f"{code}:{detail}"[:300] if detail else code
    source.next_at = at + min(_FIRST_PAUSE * 2 ** min(source.failures - 1, 10), _LONGEST_PAUSE)
    _log.warning("No revocation data from %s: %s", source.url, source.error)
    _give_back(source, "failures", "error", "next_at")


def _give_back(source: RevocationSource, *fields: str) -> None:
    source.leased_until = None
    source.save(update_fields=["leased_until", *fields])


def _locked(source_id: int) -> RevocationSource:
    rows = RevocationSource.objects.select_for_update(of=("self",)).select_related("authority")
    source = rows.filter(pk=source_id).first()
    if source is None:
        raise NotFound
    return source


def _record(action: str, source: RevocationSource, by: Actor | None, at: datetime) -> None:
    audit.record(
        action, source, by=by, at=at, stream=revocation.STREAM,
        kind=source.kind, url=source.url, authority=source.authority.subject,
    )  # fmt: skip
