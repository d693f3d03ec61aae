from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from marketplace.models import AuditRecord, RevocationList, StaffRole, TrustedCertificate, TrustKind
from marketplace.services import trust_store
from marketplace.shared.errors import NotFound
from marketplace.signatures.authority import Authority
from tests.factories.marketplace import NOON, OrganisationFactory, member, staff

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create(NOON)


def test_operator_adds_an_anchor(authority: Authority) -> None:
    operator = staff(StaffRole.OPERATOR)

    trusted = trust_store.add(TrustKind.ANCHOR, authority.root.pem, by=operator, at=NOON, note="the ministry's")

    assert bytes(trusted.der) == authority.root.der
    assert (trusted.kind, trusted.enabled, trusted.added_by) == (TrustKind.ANCHOR, True, operator.person)
    assert AuditRecord.objects.get().action == "trust_added"


def test_only_the_operator_touches_the_trust_store(authority: Authority) -> None:
    trusted = trust_store.add(TrustKind.ANCHOR, authority.root.der, by=None, at=NOON)

    for other in (member(OrganisationFactory.create()), staff(StaffRole.AUDITOR)):
        with pytest.raises(NotFound):
            trust_store.add(TrustKind.INTERMEDIATE, authority.issuing.der, by=other, at=NOON)
        with pytest.raises(NotFound):
            trust_store.set_enabled(trusted.pk, False, by=other, at=NOON)
        with pytest.raises(NotFound):
            trust_store.load_list(authority.crls(NOON)[0], by=other, at=NOON)

    assert TrustedCertificate.objects.get().enabled is True
    assert RevocationList.objects.count() == 0


def test_what_is_no_authority_is_refused(authority: Authority) -> None:
    person = authority.issue(person="A", organisation="B", identifiers=["VATDE-1"], at=NOON)

    with pytest.raises(trust_store.NoAuthority):
        trust_store.add(TrustKind.ANCHOR, person.der, by=None, at=NOON)
    for nothing in (b"", b"garbage", b"-----BEGIN CERTIFICATE-----\n", bytes(trust_store.MAX_CERTIFICATE + 1)):
        with pytest.raises(trust_store.NoCertificate):
            trust_store.add(TrustKind.ANCHOR, nothing, by=None, at=NOON)
    with pytest.raises(trust_store.AuthorityExpired):
        trust_store.add(TrustKind.ANCHOR, authority.root.der, by=None, at=NOON + 365 * 21 * DAY)
    assert TrustedCertificate.objects.count() == 0


def test_the_same_certificate_is_added_once(authority: Authority) -> None:
    trust_store.add(TrustKind.ANCHOR, authority.root.der, by=None, at=NOON)

    with pytest.raises(trust_store.AlreadyTrusted):
        trust_store.add(TrustKind.INTERMEDIATE, authority.root.pem, by=None, at=NOON)


def test_newer_list_takes_the_place_of_the_older(authority: Authority) -> None:
    trust_store.add(TrustKind.ANCHOR, authority.root.der, by=None, at=NOON)
    first, second = authority.crls(NOON)[0], authority.crls(NOON + DAY)[0]

    trust_store.load_list(first, by=None, at=NOON)
    trust_store.load_list(first, by=None, at=NOON)
    loaded = trust_store.load_list(second, by=None, at=NOON + DAY)

    assert RevocationList.objects.count() == 1
    assert bytes(loaded.der) == second
    assert loaded.loaded_at == NOON + DAY
    with pytest.raises(trust_store.OlderList):
        trust_store.load_list(first, by=None, at=NOON + DAY)
    loaded.refresh_from_db()
    assert bytes(loaded.der) == second


def test_list_of_an_unknown_or_false_issuer_is_refused(authority: Authority) -> None:
    trust_store.add(TrustKind.ANCHOR, authority.root.der, by=None, at=NOON)
    namesake = Authority.create(NOON)

    for crl in (authority.crls(NOON)[1], namesake.crls(NOON)[0]):
        with pytest.raises(trust_store.UnknownIssuer):
            trust_store.load_list(crl, by=None, at=NOON)
    for nothing in (b"", b"garbage", authority.root.certificate.public_bytes(Encoding.PEM)):
        with pytest.raises(trust_store.NoRevocationList):
            trust_store.load_list(nothing, by=None, at=NOON)
    assert RevocationList.objects.count() == 0


def test_demo_authority_is_trusted_and_its_lists_renewed(authority: Authority) -> None:
    trust_store.trust_demo(authority, at=NOON)
    trust_store.trust_demo(authority, at=NOON + DAY)

    kinds = TrustedCertificate.objects.order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == [TrustKind.ANCHOR, TrustKind.INTERMEDIATE]
    assert list(RevocationList.objects.values_list("loaded_at", flat=True)) == [NOON + DAY] * 2
