"""The trust store: what is let in, what takes two operators, what the trail says."""

from __future__ import annotations

from datetime import timedelta

import pytest

from marketplace.models import (
    AuditRecord,
    Notification,
    RevocationList,
    StaffRole,
    TrustedCertificate,
    TrustKind,
)
from marketplace.permissions import Actor
from marketplace.services import revocation, trust_store
from marketplace.shared.errors import NotFound
from marketplace.signatures.authority import Authority
from tests.factories.marketplace import NOON, OrganisationFactory, member, staff
from tests.marketplace.signatures.test_certificates import reissued, twice

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority.create(NOON)


def trail() -> list[str]:
    return list(
        AuditRecord.objects.filter(stream=revocation.STREAM).order_by("number").values_list("action", flat=True)
    )


class TestAdding:
    def test_operator_adds_an_anchor(self, authority: Authority) -> None:
        operator = staff(StaffRole.OPERATOR)

        trusted = trust_store.add(TrustKind.ANCHOR, authority.root.pem, by=operator, at=NOON, note="the ministry's")

        assert bytes(trusted.der) == authority.root.der
        assert (trusted.kind, trusted.enabled, trusted.added_by) == (TrustKind.ANCHOR, True, operator.person)
        assert AuditRecord.objects.get().details["why"] == "the ministry's"
        assert trail() == ["trust_added"]

    def test_what_is_no_authority_is_refused(self, authority: Authority) -> None:
        person = authority.issue(person="A", organisation="B", identifiers=["VATDE-1"], at=NOON)

        with pytest.raises(trust_store.NoAuthority):
            trust_store.add(TrustKind.ANCHOR, person.der, by=None, at=NOON)
        for nothing in (b"", b"garbage", b"-----BEGIN CERTIFICATE-----\n", bytes(trust_store.MAX_CERTIFICATE + 1)):
            with pytest.raises(trust_store.NoCertificate):
                trust_store.add(TrustKind.ANCHOR, nothing, by=None, at=NOON)
        version = authority.root.der.index(b"\xa0\x03\x02\x01\x02") + 4
        for odd in (authority.root.der[:version] + b"\x09" + authority.root.der[version + 1 :], twofold(authority)):
            with pytest.raises(trust_store.NoCertificate):
                trust_store.add(TrustKind.ANCHOR, odd, by=None, at=NOON)
        with pytest.raises(trust_store.AuthorityExpired):
            trust_store.add(TrustKind.ANCHOR, authority.root.der, by=None, at=NOON + 365 * 21 * DAY)
        assert TrustedCertificate.objects.count() == 0

    def test_the_same_certificate_is_added_once_and_once_more_for_time_stamps(self, authority: Authority) -> None:
        trust_store.add(TrustKind.ANCHOR, authority.root.der, by=None, at=NOON)

        with pytest.raises(trust_store.AlreadyTrusted):
            trust_store.add(TrustKind.INTERMEDIATE, authority.root.pem, by=None, at=NOON)
        trust_store.add(TrustKind.TSA, authority.root.pem, by=None, at=NOON)
        with pytest.raises(trust_store.AlreadyTrusted):
            trust_store.add(TrustKind.TSA, authority.root.pem, by=None, at=NOON)

    def test_what_a_certificate_says_is_read_before_anything_is_trusted(self, authority: Authority) -> None:
        said = trust_store.read(authority.issuing.pem, NOON)

        assert said.subject == authority.issuing.certificate.subject.rfc4514_string()
        assert (said.path_length, said.issues_itself, said.key) == (0, False, "elliptic curve secp256r1")
        assert said.usages == ("keyCertSign", "cRLSign")
        assert TrustedCertificate.objects.count() == 0


class TestFourEyes:
    @pytest.fixture
    def operators(self) -> tuple[Actor, Actor]:
        return staff(StaffRole.OPERATOR), staff(StaffRole.OPERATOR)

    def test_an_anchor_counts_only_when_a_second_operator_has_confirmed(
        self, authority: Authority, operators: tuple[Actor, Actor]
    ) -> None:
        first, second = operators

        trusted = trust_store.add(TrustKind.ANCHOR, authority.root.der, by=first, at=NOON, note="audited")
        assert (trusted.enabled, trusted.proposed_by, trusted.counted_at) == (False, first.person, None)
        assert Notification.objects.get().person == second.person
        with pytest.raises(trust_store.OwnProposal):
            trust_store.confirm(trusted.pk, by=first, at=NOON)
        confirmed = trust_store.confirm(trusted.pk, by=second, at=NOON + DAY)

        assert (confirmed.enabled, confirmed.proposed_at, confirmed.counted_at) == (True, None, NOON + DAY)
        assert trail() == ["trust_proposed", "trust_confirmed"]
        with pytest.raises(trust_store.NothingProposed):
            trust_store.confirm(trusted.pk, by=second, at=NOON + DAY)

    def test_a_proposal_that_is_turned_down_never_counted(
        self, authority: Authority, operators: tuple[Actor, Actor]
    ) -> None:
        trusted = trust_store.add(TrustKind.TSA, authority.root.der, by=operators[0], at=NOON)

        turned_down = trust_store.disable(trusted.pk, "Fingerprint differs", by=operators[1], at=NOON)

        assert (turned_down.enabled, turned_down.proposed_at, turned_down.counted_at) == (False, None, None)
        assert trail() == ["trust_proposed", "trust_turned_down"]

    def test_trusting_again_takes_two_as_well_and_stopping_takes_one(
        self, authority: Authority, operators: tuple[Actor, Actor]
    ) -> None:
        trusted = trust_store.add(TrustKind.ANCHOR, authority.root.der, by=None, at=NOON)

        assert not trust_store.disable(trusted.pk, "Broken into", by=operators[0], at=NOON).enabled
        again = trust_store.enable(trusted.pk, "A mistake", by=operators[0], at=NOON)
        assert (again.enabled, again.proposed_by) == (False, operators[0].person)
        assert trust_store.confirm(trusted.pk, by=operators[1], at=NOON).enabled

    def test_an_intermediate_takes_one_operator(self, authority: Authority, operators: tuple[Actor, Actor]) -> None:
        assert trust_store.add(TrustKind.INTERMEDIATE, authority.issuing.der, by=operators[0], at=NOON).enabled

    def test_an_operator_who_left_is_not_waited_for(self, authority: Authority, operators: tuple[Actor, Actor]) -> None:
        first, second = operators
        assert second.person is not None
        second.person.is_active = False
        second.person.save(update_fields=["is_active"])

        assert trust_store.add(TrustKind.ANCHOR, authority.root.der, by=first, at=NOON).enabled


class TestDisabling:
    def test_it_takes_a_reason_which_is_kept(self, authority: Authority) -> None:
        operator = staff(StaffRole.OPERATOR)
        trusted = trust_store.add(TrustKind.ANCHOR, authority.root.der, by=None, at=NOON)

        with pytest.raises(trust_store.ReasonMissing):
            trust_store.disable(trusted.pk, "  ", by=operator, at=NOON)
        disabled = trust_store.disable(trusted.pk, "Its key was stolen", by=operator, at=NOON + DAY)

        assert (disabled.enabled, disabled.disabled_reason) == (False, "Its key was stolen")
        assert (disabled.disabled_at, disabled.disabled_by) == (NOON + DAY, operator.person)
        trust_store.disable(trusted.pk, "Again", by=operator, at=NOON + 2 * DAY)
        assert trail() == ["trust_added", "trust_disabled"]

    def test_what_expired_meanwhile_is_not_trusted_again(self, authority: Authority) -> None:
        operator = staff(StaffRole.OPERATOR)
        trusted = trust_store.add(TrustKind.ANCHOR, authority.root.der, by=None, at=NOON)
        trust_store.disable(trusted.pk, "A test", by=operator, at=NOON)

        with pytest.raises(trust_store.AuthorityExpired):
            trust_store.enable(trusted.pk, "Back", by=operator, at=NOON + 365 * 21 * DAY)


def test_only_the_operator_touches_the_trust_store(authority: Authority) -> None:
    trusted = trust_store.add(TrustKind.ANCHOR, authority.root.der, by=None, at=NOON)

    for other in (member(OrganisationFactory.create()), staff(StaffRole.AUDITOR)):
        with pytest.raises(NotFound):
            trust_store.add(TrustKind.INTERMEDIATE, authority.issuing.der, by=other, at=NOON)
        for act in (trust_store.disable, trust_store.enable):
            with pytest.raises(NotFound):
                act(trusted.pk, "Why not", by=other, at=NOON)
        with pytest.raises(NotFound):
            trust_store.confirm(trusted.pk, by=other, at=NOON)
        with pytest.raises(NotFound):
            revocation.load_list(authority.crls(NOON)[0], by=other, at=NOON)

    assert TrustedCertificate.objects.get().enabled is True
    assert RevocationList.objects.count() == 0


def test_demo_authority_is_trusted_and_its_lists_renewed(authority: Authority) -> None:
    trust_store.trust_demo(authority, at=NOON)
    trust_store.trust_demo(authority, at=NOON + DAY)

    kinds = TrustedCertificate.objects.order_by("pk").values_list("kind", flat=True)
    assert list(kinds) == [TrustKind.ANCHOR, TrustKind.INTERMEDIATE]
    current = RevocationList.objects.filter(is_current=True)
    assert list(current.values_list("loaded_at", flat=True)) == [NOON + DAY] * 2


def twofold(authority: Authority) -> bytes:
    """The root's certificate with its key usage stated twice."""
    return reissued(authority.root.der, authority.root, twice("key_usage"))
