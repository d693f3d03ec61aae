from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from marketplace.models import (
    AuditRecord,
    Certificate,
    Organisation,
    OrganisationStatus,
    Scheme,
    Signature,
    SigningRequest,
    StaffRole,
    TrustedCertificate,
    TrustKind,
)
from marketplace.permissions import NOBODY, Actor, OrganisationNotActive, actor_for
from marketplace.services import revocation, signing, signing_words, trust_store
from marketplace.shared.errors import DomainError, NotAllowed, NotFound
from marketplace.signatures import Sub
from marketplace.signatures import payload as payloads
from marketplace.signatures.authority import Authority
from marketplace.signatures.sign import Credential, sign
from tests.factories.at_once import at_the_same_time
from tests.factories.marketplace import NOON, MembershipFactory, OrganisationFactory, member, staff

HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create(NOON)


@pytest.fixture
def trust(db: None, authority: Authority) -> None:
    trust_store.trust_demo(authority, at=NOON)


@dataclass(frozen=True)
class Signer:
    """A person of an organisation with a certificate that names it."""

    actor: Actor
    organisation: Organisation
    credential: Credential

    def prepare(self, **changed: Any) -> SigningRequest:
        stated = {
            "action": "bid.submit",
            "actor": self.actor,
            "object_type": "bid",
            "object_id": 7,
            "object_version": 1,
            "content": {"lot": 1, "files": [{"name": "offer.pdf", "sha256": "ab" * 32, "size": 10}]},
            "at": NOON,
            "expires_at": NOON + HOUR,
        }
        return signing.prepare(**(stated | changed))

    def sign(self, request: SigningRequest) -> bytes:
        return sign(bytes(request.payload), self.credential, NOON)

    def complete(self, request: SigningRequest, cms: bytes | None = None) -> Signature:
        return signing.complete(request, self.sign(request) if cms is None else cms, by=self.actor, at=NOON)


@pytest.fixture
def signer(trust: None, authority: Authority) -> Signer:
    return _signer(authority)


@pytest.fixture
def rival(trust: None, authority: Authority) -> Signer:
    return _signer(authority)


def test_prepare_names_action_organisation_object_and_nonce(signer: Signer) -> None:
    request = signer.prepare()

    assert payloads.parse(bytes(request.payload)) == {
        "format": "openlot-signature-1",
        "action": "bid.submit",
        "organisation": {
            "name": signer.organisation.full_name,
            "identifiers": [f"VATDE-{811000000 + signer.organisation.pk}"],
        },
        "object": {"type": "bid", "id": "7", "version": 1},
        "content": {"lot": 1, "files": [{"name": "offer.pdf", "sha256": "ab" * 32, "size": 10}]},
        "prepared_at": "2026-03-02T12:00:00Z",
        "sign_before": "2026-03-02T13:00:00Z",
        "nonce": request.nonce,
    }
    assert request.payload_sha256 == payloads.sha256_hex(bytes(request.payload))
    assert signer.prepare().nonce != request.nonce


def test_complete_keeps_signature_certificate_report_and_audit_record(signer: Signer) -> None:
    request = signer.prepare()
    cms = signer.sign(request)

    signature = signer.complete(request, cms)

    assert bytes(signature.cms) == cms
    assert signature.report["indication"] == "TOTAL-PASSED"
    assert len(signature.evidence["chain"]) == 3
    assert len(signature.evidence["revocation"]) == 2
    assert signature.received_at == NOON
    assert signature.certificate.serial == f"{signer.credential.serial:X}"
    assert bytes(signature.certificate.der) == signer.credential.der
    request.refresh_from_db()
    assert request.used_at == NOON
    record = AuditRecord.objects.get(action="signature_accepted")
    assert record.object_id == str(signature.pk)
    assert record.details["payload_sha256"] == request.payload_sha256


def test_certificate_is_recorded_once(signer: Signer) -> None:
    signer.complete(signer.prepare())
    signer.complete(signer.prepare())

    assert Certificate.objects.count() == 1
    assert Signature.objects.count() == 2


def test_prepare_needs_a_person_and_a_number(trust: None) -> None:
    organisation = OrganisationFactory.create()
    actor = member(organisation)
    organisation.identifiers.all().delete()
    organisation.identifiers.create(country="RU", scheme=Scheme.KPP, value="770101001")
    signer = Signer(actor, organisation, Credential(None, None))  # type: ignore[arg-type]

    with pytest.raises(signing.NoIdentifier):
        signer.prepare()
    with pytest.raises(NotAllowed):
        signer.prepare(actor=NOBODY)
    assert SigningRequest.objects.count() == 0


# Replays


def test_signature_counts_once(signer: Signer) -> None:
    request = signer.prepare()
    cms = signer.sign(request)
    signer.complete(request, cms)

    with pytest.raises(signing.AlreadySigned):
        signer.complete(request, cms)

    assert Signature.objects.count() == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"object_id": 8},
        {"object_version": 2},
        {"object_type": "award"},
        {"action": "bid.withdraw"},
        {"content": {"lot": 2}},
        {"expires_at": NOON + 2 * HOUR},
        {},
    ],
)
def test_signature_for_something_else_is_refused(signer: Signer, changed: dict[str, Any]) -> None:
    cms = signer.sign(signer.prepare())
    other = signer.prepare(**changed)

    with pytest.raises(signing.SignatureRefused) as refused:
        signer.complete(other, cms)

    assert refused.value.report.sub_indication == Sub.HASH_FAILURE
    _assert_untouched(other)


def test_signature_of_another_organisation_is_refused(signer: Signer, rival: Signer) -> None:
    request = signer.prepare()

    with pytest.raises(signing.SignatureRefused) as refused:
        signer.complete(request, rival.sign(request))

    assert refused.value.report.sub_indication == Sub.SIG_CONSTRAINTS_FAILURE
    _assert_untouched(request)


def test_another_organisations_request_is_not_found(signer: Signer, rival: Signer) -> None:
    request = signer.prepare()

    with pytest.raises(NotFound):
        rival.complete(request, signer.sign(request))

    _assert_untouched(request)


def test_colleagues_request_is_not_found(signer: Signer) -> None:
    request = signer.prepare()
    colleague = member(signer.organisation)

    with pytest.raises(NotFound):
        signing.complete(request, signer.sign(request), by=colleague, at=NOON)


def test_request_prepared_for_one_organisation_is_not_found_in_another(signer: Signer) -> None:
    request = signer.prepare()
    elsewhere = OrganisationFactory.create()
    MembershipFactory.create(person=signer.actor.person, organisation=elsewhere)
    assert signer.actor.person is not None

    with pytest.raises(NotFound):
        signing.complete(request, signer.sign(request), by=actor_for(signer.actor.person, elsewhere), at=NOON)


def test_request_at_the_instant_of_its_end_is_late(signer: Signer) -> None:
    request = signer.prepare()
    cms = signer.sign(request)

    with pytest.raises(signing.SigningTimeOver):
        signing.complete(request, cms, by=signer.actor, at=NOON + HOUR)

    _assert_untouched(request)
    assert signing.complete(request, cms, by=signer.actor, at=NOON + HOUR - timedelta(microseconds=1)).pk


def test_organisation_that_changed_its_number_signs_anew(signer: Signer) -> None:
    request = signer.prepare()
    signer.organisation.identifiers.update(value="DE811569869")

    with pytest.raises(signing.OrganisationChanged):
        signer.complete(request)

    _assert_untouched(request)


# Refusals


def test_refusal_spends_nothing_and_the_request_can_be_signed_again(signer: Signer) -> None:
    request = signer.prepare()

    with pytest.raises(signing.SignatureRefused) as refused:
        signer.complete(request, b"garbage")

    assert refused.value.params["sub_indication"] == "FORMAT_FAILURE"
    assert refused.value.field == "signature"
    assert "detached CAdES signature" in str(refused.value)
    _assert_untouched(request)
    assert signer.complete(request).pk


def test_revoked_certificate_is_refused_in_plain_words(signer: Signer, authority: Authority) -> None:
    request = signer.prepare()
    authority.revoke(signer.credential.serial, NOON - HOUR)
    revocation.load_list(authority.crls(NOON + timedelta(seconds=1))[1], by=None, at=NOON)

    with pytest.raises(signing.SignatureRefused) as refused:
        signer.complete(request)

    assert refused.value.report.sub_indication == Sub.REVOKED_NO_POE
    assert str(refused.value) == "The certificate was revoked. Sign with another one."


def test_nobody_is_trusted_before_an_anchor_is_added(db: None, authority: Authority) -> None:
    signer = _signer(authority)

    with pytest.raises(signing.SignatureRefused) as refused:
        signer.complete(signer.prepare())

    assert refused.value.report.sub_indication == Sub.NO_CERTIFICATE_CHAIN_FOUND


def test_disabled_anchor_is_trusted_no_more(signer: Signer) -> None:
    request = signer.prepare()
    trust_store.disable(
        TrustedCertificate.objects.get(kind=TrustKind.ANCHOR).pk, "Broken", by=staff(StaffRole.OPERATOR), at=NOON
    )

    with pytest.raises(signing.SignatureRefused) as refused:
        signer.complete(request)

    assert refused.value.report.sub_indication == Sub.NO_CERTIFICATE_CHAIN_FOUND


@pytest.mark.parametrize("sub", list(Sub))
def test_every_sub_indication_has_a_sentence(sub: Sub) -> None:
    assert sub in signing_words.REFUSALS
    assert str(signing_words.refusal_sentence(sub)).endswith(".")


def test_a_verdict_given_before_the_lock_counts_for_its_own_signature_only(signer: Signer) -> None:
    first, second = signer.prepare(), signer.prepare()
    verdict = signing.judged(first, signer.sign(first), by=signer.actor, at=NOON)

    for request, cms, at in (
        (second, verdict.cms, NOON),
        (first, signer.sign(second), NOON),
        (first, verdict.cms, NOON - timedelta(seconds=1)),
    ):
        with pytest.raises(ValueError, match="another signature"):
            signing.complete(request, cms, by=signer.actor, at=at, verdict=verdict)

    assert signing.complete(first, verdict.cms, by=signer.actor, at=NOON, verdict=verdict).report["indication"]
    with pytest.raises(signing.AlreadySigned):
        signing.complete(first, verdict.cms, by=signer.actor, at=NOON, verdict=verdict)


def test_a_refused_signature_gives_no_verdict(signer: Signer) -> None:
    request = signer.prepare()

    with pytest.raises(signing.SignatureRefused):
        signing.judged(request, b"garbage", by=signer.actor, at=NOON)

    _assert_untouched(request)


def test_a_suspended_organisation_signs_nothing(signer: Signer) -> None:
    request = signer.prepare()
    signer.organisation.status = OrganisationStatus.SUSPENDED

    with pytest.raises(OrganisationNotActive):
        signer.complete(request)
    with pytest.raises(OrganisationNotActive):
        signer.prepare()

    _assert_untouched(request)


# Plain words


def test_plain_words_show_everything_that_is_signed(signer: Signer) -> None:
    request = signer.prepare()

    lines = signing_words.plain_words(bytes(request.payload))

    assert [(str(line.label), line.value) for line in lines] == [
        ("You sign to", "Send the bid"),
        ("Organisation", f"{signer.organisation.full_name} (VATDE-{811000000 + signer.organisation.pk})"),
        ("Files › 1 › Name", "offer.pdf"),
        ("Files › 1 › SHA-256", "ab" * 32),
        ("Files › 1 › Size", "10 bytes"),
        ("Lot", "1"),
        ("Sign before", NOON + HOUR),
        ("One-time number", request.nonce),
    ]
    assert [line.is_code for line in lines] == [False, False, False, True, False, False, False, True]


# Two at once


@pytest.mark.django_db(transaction=True)
def test_of_two_signatures_at_once_one_wins(authority: Authority) -> None:
    trust_store.trust_demo(authority, at=NOON)
    signer = _signer(authority)
    request = signer.prepare()
    cms = signer.sign(request)

    answers = at_the_same_time(*[lambda: signer.complete(SigningRequest.objects.get(pk=request.pk), cms)] * 2)

    assert [answer.code for answer in answers if isinstance(answer, DomainError)] == ["already_signed"]
    assert Signature.objects.count() == 1


def _signer(authority: Authority) -> Signer:
    organisation = OrganisationFactory.create()
    credential = authority.issue(
        person="Anna Petrova",
        organisation=organisation.short_name,
        identifiers=signing.identifiers_of(organisation),
        at=NOON - timedelta(days=1),
    )
    return Signer(member(organisation), organisation, credential)


def _assert_untouched(request: SigningRequest) -> None:
    request.refresh_from_db()
    assert request.used_at is None
    assert Signature.objects.count() == 0
    assert Certificate.objects.count() == 0
