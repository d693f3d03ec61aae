"""Revocation data from its sources: what is taken, what is refused, how often is asked, and by whom at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509 import ocsp as wire

from marketplace.models import (
    AuditRecord,
    Notification,
    OcspAnswer,
    Organisation,
    RevocationList,
    RevocationSource,
    StaffRole,
    TrustedCertificate,
    TrustKind,
)
from marketplace.permissions import Actor
from marketplace.services import (
    missing_revocation,
    ocsp,
    revocation,
    revocation_sources,
    signing,
    trust_notices,
    trust_store,
)
from marketplace.shared.errors import NotFound
from marketplace.signatures import Sub
from marketplace.signatures.authority import Authority
from marketplace.signatures.publication import Publication, respond
from marketplace.signatures.sign import Credential, sign
from tests.factories.at_once import at_the_same_time
from tests.factories.marketplace import NOON, OrganisationFactory, member, staff
from tests.factories.web_server import Asked, WebServer, send, served
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.django_db
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
Status = wire.OCSPCertStatus
CRL, OCSP = RevocationSource.Kind.CRL, RevocationSource.Kind.OCSP


class World:
    """A trusted authority with a server that publishes its lists and answers about its certificates, as of `at`."""

    def __init__(self) -> None:
        self.authority, self.at = Authority.create(NOON), NOON
        self.root = trust_store.add(TrustKind.ANCHOR, self.authority.root.der, by=None, at=NOON)
        self.issuing = trust_store.add(TrustKind.INTERMEDIATE, self.authority.issuing.der, by=None, at=NOON)
        self.server: WebServer

    def reply(self, handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        public = Publication(self.authority)
        if asked.method == "POST":
            send(handler, public.answer(asked.body, self.at))
            return
        crl, etag = public.lists(self.at)[asked.path.lstrip("/")], f'"{self.at:%H}"'
        if asked.headers.get("if-none-match") == etag:
            send(handler, b"", 304)
        else:
            send(handler, crl, ETag=etag)

    def source(self, kind: RevocationSource.Kind = CRL, **fields: Any) -> RevocationSource:
        url = f"{self.server.url}/issuing.crl" if kind == CRL else f"{self.server.url}/ocsp"
        return RevocationSource.objects.create(
            **{"authority": self.issuing, "kind": kind, "url": url, "added_at": NOON, "next_at": NOON, **fields}
        )


@pytest.fixture
def world(settings: Any) -> Iterator[World]:
    settings.REVOCATION_PRIVATE_ADDRESSES = True
    settings.REVOCATION_SECONDS = 5
    found = World()
    with served(lambda handler, asked: found.reply(handler, asked)) as found.server:
        yield found


def asked_of(source: RevocationSource, at: Any = NOON) -> RevocationSource:
    assert revocation_sources.refresh(source.pk, at=at)
    source.refresh_from_db()
    return source


class TestLists:
    def test_a_list_is_fetched_and_taken(self, world: World) -> None:
        source = asked_of(world.source())

        loaded = RevocationList.objects.get()
        assert (loaded.source, loaded.is_current, loaded.size) == (source, True, source.size)
        assert (source.fetched_at, source.error, source.failures, source.leased_until) == (NOON, "", 0, None)
        assert source.next_at == NOON + HOUR

    def test_what_is_unchanged_is_not_sent_again(self, world: World) -> None:
        source = asked_of(world.source())
        asked_of(source, NOON + 20 * MINUTE)

        assert [one.headers.get("if-none-match") for one in world.server.asked] == [None, '"12"']
        assert RevocationList.objects.count() == 1
        assert (source.fetched_at, source.error) == (NOON + 20 * MINUTE, "")

    def test_a_newer_list_is_never_replaced_by_an_older_one(self, world: World) -> None:
        world.at = NOON + 3 * HOUR
        source = asked_of(world.source(), world.at)
        newer = RevocationList.objects.get()
        world.at = NOON + HOUR
        asked_of(source, NOON + 4 * HOUR)

        assert RevocationList.objects.get(is_current=True) == newer
        assert source.failures == 1
        assert "newer" in str(revocation_sources.problem(source))

    def test_the_list_of_another_authority_is_refused(self, world: World) -> None:
        source = asked_of(world.source(authority=world.root))

        assert RevocationList.objects.count() == 0
        assert "of another authority" in str(revocation_sources.problem(source))

    def test_a_failure_is_shown_and_asked_again_later_and_later(self, world: World) -> None:
        world.reply = lambda handler, _asked: send(handler, b"", 503)  # type: ignore[method-assign]
        source, pauses = world.source(), []
        for round_ in range(6):
            at = NOON + round_ * DAY
            asked_of(source, at)
            pauses.append(source.next_at - at)

        assert pauses == [5 * MINUTE, 10 * MINUTE, 20 * MINUTE, 40 * MINUTE, HOUR, HOUR]
        assert (source.failures, str(revocation_sources.problem(source))) == (6, "It answered with the status 503.")
        del world.reply
        assert asked_of(source, NOON).failures == 0

    @pytest.mark.parametrize(("setting", "value", "words"), [
        ("REVOCATION_MAX_BYTES", 100, "larger than is taken"),
        ("REVOCATION_PRIVATE_ADDRESSES", False, "private network"),
    ])  # fmt: skip
    def test_bounds_hold(self, world: World, settings: Any, setting: str, value: Any, words: str) -> None:
        setattr(settings, setting, value)

        assert words in str(revocation_sources.problem(asked_of(world.source())))
        assert RevocationList.objects.count() == 0

    def test_a_short_lived_list_is_asked_for_before_it_ends(self, world: World) -> None:
        crl = world.authority.crls(NOON + HOUR, 20 * MINUTE)[1]
        world.reply = lambda handler, _asked: send(handler, crl)  # type: ignore[method-assign]

        assert asked_of(world.source(), NOON).next_at == NOON + 16 * MINUTE

    def test_garbage_is_said_to_be_garbage(self, world: World) -> None:
        world.reply = lambda handler, _asked: send(handler, b"<html>")  # type: ignore[method-assign]

        assert "holds no revocation list" in str(revocation_sources.problem(asked_of(world.source())))


class TestWhoIsAsked:
    def test_only_what_is_due_and_switched_on(self, world: World) -> None:
        due = world.source()
        world.source(url="http://a.example/", next_at=NOON + MINUTE)
        world.source(url="http://b.example/", enabled=False)
        world.source(url="http://c.example/", leased_until=NOON + MINUTE)
        assert revocation_sources.due(NOON) == [due.pk]

        trust_store.disable(world.issuing.pk, "A test", by=staff(StaffRole.OPERATOR), at=NOON)
        assert revocation_sources.due(NOON) == []
        assert not revocation_sources.refresh(due.pk, at=NOON)
        assert world.server.asked == []

    def test_a_task_that_died_gives_its_lease_back(self, world: World) -> None:
        source = world.source(leased_until=NOON + MINUTE)

        assert not revocation_sources.refresh(source.pk, at=NOON)
        assert revocation_sources.refresh(source.pk, at=NOON + MINUTE)

    @pytest.mark.django_db(transaction=True)
    def test_two_at_once_ask_once(self, world: World) -> None:
        source, release = world.source(), threading.Event()
        answer = world.reply

        def slow(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
            release.wait(PATIENCE_S)
            answer(handler, asked)

        world.reply = slow  # type: ignore[method-assign]

        def ask() -> bool:
            asked = revocation_sources.refresh(source.pk, at=NOON)
            release.set()  # by whoever found it leased, so that the other can go on
            return asked

        assert sorted(map(bool, at_the_same_time(ask, ask))) == [False, True]
        assert len(world.server.asked) == 1
        assert RevocationList.objects.filter(is_current=True).count() == 1


class TestTheOperatorsPart:
    @pytest.fixture
    def operator(self) -> Actor:
        return staff(StaffRole.OPERATOR)

    def test_an_address_is_entered_once_and_recorded(self, world: World, operator: Actor) -> None:
        source = revocation_sources.add(world.issuing.pk, CRL, " http://a.example/a.crl ", by=operator, at=NOON)

        assert (source.url, source.added_by, source.enabled) == ("http://a.example/a.crl", operator.person, True)
        with pytest.raises(revocation_sources.SourceKnown):
            revocation_sources.add(world.issuing.pk, CRL, "http://a.example/a.crl", by=operator, at=NOON)
        record = AuditRecord.objects.filter(stream=revocation.STREAM).latest("pk")
        assert (record.action, record.details["url"]) == ("revocation_source_added", "http://a.example/a.crl")

    @pytest.mark.parametrize("url", ["ftp://a/", "a.crl", "http://a:b@c/", "http://a/" + 500 * "x"])
    def test_what_is_no_address_is_refused(self, world: World, operator: Actor, url: str) -> None:
        with pytest.raises(revocation_sources.NoSourceAddress):
            revocation_sources.add(world.issuing.pk, CRL, url, by=operator, at=NOON)

    def test_it_is_switched_off_and_on_and_asked_at_once(self, world: World, operator: Actor) -> None:
        source = world.source(next_at=NOON + DAY, failures=4)

        assert revocation_sources.ask_now(source.pk, by=operator, at=NOON).next_at == NOON
        assert not revocation_sources.set_enabled(source.pk, False, by=operator, at=NOON).enabled
        with pytest.raises(revocation_sources.SourceDisabled):
            revocation_sources.ask_now(source.pk, by=operator, at=NOON)
        again = revocation_sources.set_enabled(source.pk, True, by=operator, at=NOON)
        assert (again.enabled, again.failures) == (True, 0)

    def test_nobody_else_touches_the_sources(self, world: World) -> None:
        source = world.source()
        for other in (member(OrganisationFactory.create()), staff(StaffRole.AUDITOR)):
            for act in (
                lambda by: revocation_sources.add(world.issuing.pk, CRL, "http://a.example/", by=by, at=NOON),
                lambda by: revocation_sources.set_enabled(source.pk, False, by=by, at=NOON),
                lambda by: revocation_sources.ask_now(source.pk, by=by, at=NOON),
            ):
                with pytest.raises(NotFound):
                    act(other)

    def test_operators_hear_of_a_list_before_it_is_overdue_and_then_again(self, world: World, operator: Actor) -> None:
        revocation.load_list(world.authority.crls(NOON, 10 * DAY)[1], by=None, at=NOON)
        due = RevocationList.objects.get().next_update

        told = [trust_notices.warn(at=due + away) for away in (-2 * DAY, -DAY, -HOUR, HOUR * 0, DAY)]

        assert told == [0, 1, 0, 1, 0]
        kinds = Notification.objects.filter(person=operator.person).order_by("pk").values_list("kind", flat=True)
        assert list(kinds) == ["revocation_list_due", "revocation_list_overdue"]

    def test_a_short_lived_list_is_not_announced_from_its_first_hour(self, world: World, operator: Actor) -> None:
        revocation.load_list(world.authority.crls(NOON + HOUR, DAY)[1], by=None, at=NOON)

        assert [trust_notices.warn(at=NOON + hours * HOUR) for hours in (1, 17, 18)] == [0, 0, 1]


class TestAnswersByCertificate:
    def kept(self, world: World, credential: Credential) -> OcspAnswer:
        ocsp.want(credential.der, NOON)
        asked_of(RevocationSource.objects.get(kind=OCSP))
        return OcspAnswer.objects.get(serial=f"{credential.serial:X}")

    def test_a_certificate_that_is_wanted_is_asked_about(self, world: World) -> None:
        source, person = world.source(OCSP), issued(world)

        answer = self.kept(world, person)

        assert (answer.status, answer.fetched_at) == ("good", NOON)
        assert answer.next_update is not None
        assert revocation.evidence(sign(b"x", person, NOON), [], NOON).ocsps == (bytes(answer.der),)
        assert revocation.evidence(sign(b"x", person, NOON), [], answer.next_update).ocsps == ()
        source.refresh_from_db()
        assert (source.error, source.size) == ("", len(answer.der))

    def test_a_fresh_answer_is_not_asked_for_again(self, world: World) -> None:
        source = world.source(OCSP)
        self.kept(world, issued(world))
        asked_of(source, NOON + HOUR)
        assert len(world.server.asked) == 1
        world.at = NOON + 7 * HOUR
        asked_of(source, world.at)
        assert len(world.server.asked) == 2

    def test_a_revocation_is_kept(self, world: World) -> None:
        world.source(OCSP)
        person = issued(world)
        world.authority.revoke(person.serial, NOON - HOUR)

        assert self.kept(world, person).status == "revoked"

    def test_a_revocation_outlives_its_answer_and_a_responder_that_forgets(self, world: World) -> None:
        world.source(OCSP)
        person = issued(world)
        world.authority.revoke(person.serial, NOON - HOUR)
        revoked = bytes(self.kept(world, person).der)
        cms = sign(b"x", person, NOON)

        for status in (Status.UNKNOWN, Status.GOOD):
            self.asked_again(world, person, ocsp_answer(world.authority, person.serial, status=status, since=NOON))
            assert revocation.evidence(cms, [], NOON + 9 * HOUR).ocsps == (revoked,)
        assert OcspAnswer.objects.get().this_update is not None
        assert ocsp.remove_unused(at=NOON + 60 * DAY) == 0

    def test_unknown_takes_back_good_news_which_then_cannot_be_played_again(self, world: World) -> None:
        world.source(OCSP)
        person = issued(world)
        good = bytes(self.kept(world, person).der)

        unknown = ocsp_answer(world.authority, person.serial, status=Status.UNKNOWN, since=NOON)
        for answer in (unknown, good):
            self.asked_again(world, person, answer)
            assert revocation.evidence(sign(b"x", person, NOON), [], NOON + MINUTE).ocsps == ()
        assert OcspAnswer.objects.get().status == "unknown"

    def test_a_certificate_that_was_on_hold_may_become_good_again(self, world: World) -> None:
        world.source(OCSP)
        person = issued(world)
        self.kept(world, person)
        hold = ocsp_answer(world.authority, person.serial, status=Status.REVOKED, why=x509.ReasonFlags.certificate_hold)
        later = ocsp_answer(world.authority, person.serial, since=NOON + MINUTE)

        assert [self.asked_again(world, person, one).status for one in (hold, hold, later)] == [
            "revoked", "revoked", "good",
        ]  # fmt: skip

    def asked_again(self, world: World, person: Credential, answer: bytes) -> OcspAnswer:
        world.reply = lambda handler, _asked: send(handler, answer)  # type: ignore[method-assign]
        OcspAnswer.objects.update(next_update=None)
        asked_of(RevocationSource.objects.get(kind=OCSP), NOON + MINUTE)
        return OcspAnswer.objects.get(serial=f"{person.serial:X}")

    def test_one_answer_that_does_not_count_keeps_nobody_from_theirs(self, world: World) -> None:
        source, people = world.source(OCSP), [issued(world) for _ in range(7)]
        for person in people:
            ocsp.want(person.der, NOON)
        public, refused = Publication(world.authority), [one.serial for one in people[:6]]

        def reply(handler: BaseHTTPRequestHandler, asked: Asked) -> None:
            serial = wire.load_der_ocsp_request(asked.body).serial_number
            if serial in refused[1:]:
                send(handler, b"garbage")
            else:
                send(handler, public.answer(asked.body, NOON), 500 if serial == refused[0] else 200)

        world.reply = reply  # type: ignore[method-assign]
        asked_of(source)

        assert OcspAnswer.objects.get(status="good").serial == f"{people[6].serial:X}"
        source.refresh_from_db()
        assert (source.failures, source.fetched_at, source.next_at) == (0, NOON, NOON + HOUR)
        words = str(revocation_sources.problem(source))
        assert all(f"{serial:X}" in words for serial in refused[:5])
        assert words.endswith("…) does not count; about the others it answered as it should.")

    def test_a_responder_that_does_not_answer_is_left_alone(self, world: World) -> None:
        source = world.source(OCSP)
        for _ in range(ocsp.PATIENCE + 1):
            ocsp.want(issued(world).der, NOON)
        world.reply = lambda handler, _asked: send(handler, b"", 503)  # type: ignore[method-assign]

        asked_of(source)

        assert len(world.server.asked) == ocsp.PATIENCE
        source.refresh_from_db()
        assert (source.failures, source.error) == (1, "status:503")

    def test_trusted_intermediates_are_asked_about_by_themselves(self, world: World) -> None:
        asked_of(world.source(OCSP, authority=world.root))

        assert OcspAnswer.objects.get().serial == f"{world.authority.issuing.serial:X}"

    @pytest.mark.parametrize("how", ["forged", "another", "stale", "in advance", "refusal", "garbage"])
    def test_an_answer_that_does_not_count_is_not_kept(self, world: World, how: str) -> None:
        source, person = world.source(OCSP), issued(world)
        other = Authority.create(NOON)
        wrong = {
            "forged": lambda: ocsp_answer(world.authority, person.serial, key=other.issuing),
            "another": lambda: ocsp_answer(world.authority, person.serial + 1),
            "stale": lambda: ocsp_answer(world.authority, person.serial, holds=-HOUR),
            "in advance": lambda: ocsp_answer(world.authority, person.serial, since=NOON + MINUTE, produced_at=NOON),
            "refusal": lambda: Publication(other).answer(b"", NOON),
            "garbage": lambda: b"garbage",
        }[how]()
        world.reply = lambda handler, _asked: send(handler, wrong)  # type: ignore[method-assign]

        answer = self.kept(world, person)

        assert (answer.status, bytes(answer.der)) == ("", b"")
        source.refresh_from_db()
        assert source.failures == 1
        assert str(revocation_sources.problem(source)) in {
            "The answer was not signed by the authority or by somebody it let answer.",
            "It answered about another certificate.",
            "The answer is out of date, or does not say until when it holds.",
            "The answer says that it holds only from later on. Check the clocks.",
            "The responder refused to answer (malformed_request).",
            "What it answered cannot be read.",
        }

    def test_a_signature_passes_once_the_responder_was_asked_about_its_certificate(self, world: World) -> None:
        """The authority publishes no list of its users' certificates: the first try starts the question."""
        world.source(OCSP)
        revocation.load_list(world.authority.crls(NOON)[0], by=None, at=NOON)
        actor = member(OrganisationFactory.create())
        assert isinstance(actor.organisation, Organisation)
        person = issued(world, *signing.identifiers_of(actor.organisation))
        request = signing.prepare(
            action="registration", actor=actor, object_type="organisation", object_id=1, object_version=1,
            content={}, at=NOON, expires_at=NOON + HOUR,
        )  # fmt: skip
        cms = sign(bytes(request.payload), person, NOON)

        with pytest.raises(signing.SignatureWaits) as waits:
            signing.complete(request, cms, by=actor, at=NOON)
        assert waits.value.report.sub_indication == Sub.TRY_LATER
        missing_revocation.ask_for(person.der, NOON)
        asked_of(RevocationSource.objects.get())

        assert signing.judged(request, cms, by=actor, at=NOON).report.passed
        world.authority.revoke(person.serial, NOON - HOUR)
        OcspAnswer.objects.update(next_update=None)
        asked_of(RevocationSource.objects.get(), NOON + MINUTE)
        with pytest.raises(signing.SignatureRefused) as revoked:
            signing.judged(request, cms, by=actor, at=NOON)
        assert revoked.value.report.sub_indication == Sub.REVOKED_NO_POE

    def test_what_nobody_needs_any_more_is_forgotten(self, world: World) -> None:
        world.source(OCSP)
        self.kept(world, issued(world))

        assert ocsp.remove_unused(at=NOON + 59 * DAY) == 0
        assert ocsp.remove_unused(at=NOON + 60 * DAY) == 1


def test_no_address_is_taken_from_a_certificate(world: World) -> None:
    """Whoever writes a certificate would choose whom the platform asks."""
    urls = [x509.DistributionPoint([x509.UniformResourceIdentifier(f"{world.server.url}/x.crl")], None, None, None)]
    key = issued(world)
    person = world.authority.certify(
        key.certificate.subject, key.key, NOON - DAY, NOON + DAY,
        extensions=[(x509.CRLDistributionPoints(urls), False)],
    )  # fmt: skip

    revocation.evidence(sign(b"x", person, NOON), [world.authority.issuing.der], NOON)
    revocation_sources.ask_about(person.der, NOON)

    assert (world.server.asked, RevocationSource.objects.count()) == ([], 0)
    assert TrustedCertificate.objects.count() == 2


def issued(world: World, *identifiers: str) -> Credential:
    return world.authority.issue(
        person="A", organisation="B", identifiers=identifiers or ("VATDE-1",), at=NOON - 10 * DAY
    )


def ocsp_answer(
    authority: Authority,
    serial: int,
    *,
    key: Credential | None = None,
    since: datetime = NOON - MINUTE,
    holds: timedelta = HOUR,
    status: Status = Status.GOOD,
    why: x509.ReasonFlags | None = None,
    produced_at: datetime | None = None,
) -> bytes:
    issuer = authority.issuing.certificate
    name, bits = ocsp._issuer_hashes(issuer, hashes.SHA1())
    revoked_at = NOON - HOUR if status is Status.REVOKED else None
    builder = wire.OCSPResponseBuilder().add_response_by_hash(
        name, bits, serial, hashes.SHA1(), status, min(since, NOON + holds), NOON + holds, revoked_at, why
    )
    signer = key or authority.issuing
    builder = builder.responder_id(wire.OCSPResponderEncoding.HASH, signer.certificate)
    return respond(builder, signer, produced_at or max(since, NOON))
