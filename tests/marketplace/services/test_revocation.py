"""Revocation lists: versions, entries, and what a verification is told of them."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from marketplace.models import (
    AuditRecord,
    OcspAnswer,
    RevocationList,
    RevokedEntry,
    StaffRole,
    TrustedCertificate,
    TrustKind,
)
from marketplace.services import revocation, signing, trust_store
from marketplace.signatures import Indication, LeftOut, Revocation, Sub, bounded, lists
from marketplace.signatures.authority import Authority, new_key
from marketplace.signatures.sign import _sequence, _tlv, sign
from tests.factories.at_once import at_the_same_time
from tests.factories.marketplace import NOON, staff
from tests.factories.signatures import large_list, list_of
from tests.marketplace.signatures.test_answers import answer, fingerprint, responder_of
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


@pytest.fixture
def authority() -> Authority:
    authority = Authority.create(NOON)
    trust_store.add(TrustKind.ANCHOR, authority.root.der, by=None, at=NOON)
    trust_store.add(TrustKind.INTERMEDIATE, authority.issuing.der, by=None, at=NOON)
    return authority


def current(authority: Authority) -> RevocationList:
    issuing = authority.issuing.certificate.subject.rfc4514_string()
    return RevocationList.objects.get(is_current=True, issuer=issuing)


class TestLoading:
    def test_newer_list_takes_the_place_of_the_older_which_is_kept(self, authority: Authority) -> None:
        operator = staff(StaffRole.OPERATOR)
        first = authority.crls(NOON)[1]
        authority.revoke(17, NOON)
        second = authority.crls(NOON + DAY)[1]

        before = revocation.load_list(first, by=operator, at=NOON)
        same = revocation.load_list(first, by=operator, at=NOON)
        after = revocation.load_list(second, by=None, at=NOON + DAY)

        assert same.pk == before.pk
        before.refresh_from_db()
        assert (before.is_current, before.superseded_at, bytes(before.der)) == (False, NOON + DAY, first)
        assert (after.is_current, after.count, after.is_indexed, bytes(after.der)) == (True, 1, True, second)
        assert (before.loaded_by, after.loaded_by) == (operator.person, None)
        with pytest.raises(revocation.OlderList):
            revocation.load_list(first, by=None, at=NOON + DAY)
        assert current(authority).pk == after.pk
        trail = AuditRecord.objects.filter(stream=revocation.STREAM, action="revocation_list_loaded")
        assert list(trail.order_by("pk").values_list("details__entries", flat=True)) == [0, 1]

    def test_entries_are_rows_of_the_current_list_alone(self, authority: Authority) -> None:
        authority.revoked = {0xAB: NOON - DAY, 2**158 + 1: NOON}
        revocation.load_list(authority.crls(NOON)[1], by=None, at=NOON)
        authority.revoked[0xCD] = NOON
        revocation.load_list(authority.crls(NOON + DAY)[1], by=None, at=NOON + DAY)

        rows = RevokedEntry.objects.order_by("serial").values_list("serial", "revoked_at", "list")
        assert list(rows) == [
            (f"{2**158 + 1:X}", NOON, current(authority).pk),
            ("AB", NOON - DAY, current(authority).pk),
            ("CD", NOON, current(authority).pk),
        ]

    def test_list_of_an_unknown_or_false_issuer_is_refused(self) -> None:
        authority, namesake = Authority.create(NOON), Authority.create(NOON)
        trust_store.add(TrustKind.ANCHOR, authority.root.der, by=None, at=NOON)

        for crl in (authority.crls(NOON)[1], namesake.crls(NOON)[0]):
            with pytest.raises(revocation.UnknownIssuer):
                revocation.load_list(crl, by=None, at=NOON)
        for nothing in (
            b"",
            b"garbage",
            b"\x30\x00",
            b"\x30\x02\x30\x00",
            authority.root.certificate.public_bytes(Encoding.PEM),
        ):
            with pytest.raises(revocation.NoRevocationList):
                revocation.load_list(nothing, by=None, at=NOON)
        assert RevocationList.objects.count() == 0

    def test_no_entry_is_read_before_somebody_trusted_has_signed(self, authority: Authority) -> None:
        """Whoever stands between a source and us may send anything: what cannot be read is not even looked at."""
        strangers = Authority(authority.root, replace(authority.issuing, key=new_key("p256")))

        for signed_by, refused in ((strangers, revocation.UnknownIssuer), (authority, revocation.NoRevocationList)):
            with pytest.raises(refused):
                revocation.load_list(list_of(signed_by, NOON, b"\x30\x03\x02\x01\x07" * 1000), by=None, at=NOON)

    def test_a_list_that_contradicts_itself_is_refused(self, authority: Authority) -> None:
        crl = authority.crls(NOON)[1]
        p256, p384 = bytes.fromhex("300a06082a8648ce3d040302"), bytes.fromhex("300a06082a8648ce3d040303")
        assert crl.count(p256) == 2
        outer = crl[: crl.rindex(p256)] + p384 + crl[crl.rindex(p256) + len(p256) :]

        version = replaced(authority, b"\x02\x01\x01", b"\x02\x01\x09")
        number = replaced(authority, b"\x55\x1d\x14", b"\x55\x1d\x23")
        for hostile in (outer, crl + b"\0", crl[:-1], version, number):
            with pytest.raises(revocation.NoRevocationList):
                revocation.load_list(hostile, by=None, at=NOON)

    def test_a_list_in_text_form_is_taken_as_well(self, authority: Authority) -> None:
        crl = authority.crls(NOON)[1]

        loaded = revocation.load_list(x509.load_der_x509_crl(crl).public_bytes(Encoding.PEM), by=None, at=NOON)

        assert bytes(loaded.der) == crl

    def test_a_list_from_the_future_is_refused(self, authority: Authority) -> None:
        with pytest.raises(revocation.ListFromTheFuture):
            revocation.load_list(authority.crls(NOON + DAY)[1], by=None, at=NOON)
        assert RevocationList.objects.count() == 0

    def test_a_file_over_the_bound_is_refused(self, authority: Authority, settings: object) -> None:
        crl = authority.crls(NOON)[1]
        settings.REVOCATION_MAX_BYTES = len(crl) - 1  # type: ignore[attr-defined]

        with pytest.raises(revocation.NoRevocationList):
            revocation.load_list(crl, by=None, at=NOON)

    def test_the_list_of_a_disabled_authority_is_refused(self, authority: Authority) -> None:
        operator = staff(StaffRole.OPERATOR)
        for trusted in trust_store.TrustedCertificate.objects.all():
            trust_store.disable(trusted.pk, "A test", by=operator, at=NOON)

        with pytest.raises(revocation.UnknownIssuer):
            revocation.load_list(authority.crls(NOON)[1], by=None, at=NOON)

    def test_a_divided_list_is_kept_whole_beside_the_complete_one(self, authority: Authority) -> None:
        revocation.load_list(authority.crls(NOON)[1], by=None, at=NOON)
        part = divided(authority)

        loaded = revocation.load_list(part, by=None, at=NOON)

        assert (loaded.is_indexed, loaded.is_current, loaded.scope != "") == (False, True, True)
        assert RevocationList.objects.filter(is_current=True).count() == 2
        assert RevokedEntry.objects.filter(list=loaded).count() == 0

    def test_bytes_of_older_lists_are_dropped_after_a_while_and_their_rows_stay(self, authority: Authority) -> None:
        first = revocation.load_list(authority.crls(NOON)[1], by=None, at=NOON)
        revocation.load_list(authority.crls(NOON + DAY)[1], by=None, at=NOON + DAY)

        assert revocation.remove_older(at=NOON + 4 * DAY) == 0
        assert revocation.remove_older(at=NOON + 5 * DAY) == 1

        first.refresh_from_db()
        assert (bytes(first.der), first.sha256 != "") == (b"", True)
        assert bytes(current(authority).der) != b""


class TestEvidence:
    def test_a_responder_is_asked_about_as_well(self, authority: Authority) -> None:
        """An authority whose responder has a certificate of its own, which only a list can revoke."""
        signer = authority.issue(person="A", organisation="B", identifiers=["VATDE-1"], at=NOON - DAY)
        responder = responder_of(authority, start=NOON - DAY, end=NOON + DAY)
        said = answer(signer, authority.issuing, responder, this_update=NOON, next_update=NOON + DAY)
        issuing = TrustedCertificate.objects.get(kind=TrustKind.INTERMEDIATE)
        OcspAnswer.objects.create(
            authority=issuing, serial=f"{signer.serial:X}", not_after=NOON + DAY, der=said, status="good",
            this_update=NOON, next_update=NOON + DAY, fetched_at=NOON, wanted_at=NOON,
        )  # fmt: skip
        for crl in authority.crls(NOON):
            revocation.load_list(crl, by=None, at=NOON)
        cms = sign(b"x", signer, NOON)

        found = revocation.evidence(cms, [authority.issuing.der], NOON)

        assert found.ocsps == (said,)
        assert all({signer.serial, responder.serial} <= one.asked for one in found.lists)
        assert fingerprint(said) in signing.judge(cms, b"x", identifiers=["VATDE-1"], at=NOON).revocation
        authority.revoke(responder.serial, NOON)
        revocation.load_list(authority.crls(NOON + DAY / 24)[1], by=None, at=NOON + DAY)
        (own,) = (one for one in revocation.evidence(cms, [authority.issuing.der], NOON).lists if one.revoked)
        assert own.revoked == {responder.serial: Revocation(NOON)}

    def test_only_the_entries_asked_for_are_read(self, authority: Authority) -> None:
        signer = authority.issue(person="A", organisation="B", identifiers=["VATDE-1"], at=NOON - DAY)
        cms = sign(b"what is signed", signer, NOON)
        authority.revoked = {signer.serial: NOON, 5: NOON}
        for crl in authority.crls(NOON):
            revocation.load_list(crl, by=None, at=NOON)

        found = revocation.evidence(cms, [authority.issuing.der], NOON)

        assert (found.crls, found.ocsps) == ((), ())
        by_issuer = {one.issuer: one.revoked for one in found.lists}
        assert by_issuer == {
            authority.root.certificate.subject.public_bytes(): {},
            authority.issuing.certificate.subject.public_bytes(): {signer.serial: Revocation(NOON)},
        }

    def test_a_list_that_came_while_the_signature_was_on_its_way_does_not_refuse_it(self, authority: Authority) -> None:
        signer = authority.issue(person="A", organisation="B", identifiers=["VATDE-1"], at=NOON - DAY)
        revocation.load_list(authority.crls(NOON)[0], by=None, at=NOON)
        before = authority.crls(NOON)[1]
        revocation.load_list(before, by=None, at=NOON)
        revocation.load_list(authority.crls(NOON + 3 * timedelta(hours=1))[1], by=None, at=NOON + DAY)

        cms = sign(b"x", signer, NOON)
        found = revocation.evidence(cms, [authority.issuing.der], NOON)

        older = found.lists[-1]
        assert (older.sha256, older.asked, older.revoked) == (fingerprint(before), {signer.serial}, {})
        assert found.crls == ()
        assert len(revocation.evidence(cms, [authority.issuing.der], NOON + DAY).lists) == 2
        assert signing.judge(cms, b"x", identifiers=["VATDE-1"], at=NOON).passed

    def test_nor_does_it_hide_what_the_one_before_said(
        self, authority: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        signer = authority.issue(person="A", organisation="B", identifiers=["VATDE-1"], at=NOON - DAY)
        revocation.load_list(authority.crls(NOON)[0], by=None, at=NOON)
        authority.revoke(signer.serial, NOON - DAY)
        before = authority.crls(NOON)[1]
        authority.revoked.clear()
        revocation.load_list(before, by=None, at=NOON)
        revocation.load_list(authority.crls(NOON + DAY / 8)[1], by=None, at=NOON + DAY)
        cms = sign(b"x", signer, NOON)

        assert revocation.evidence(cms, [authority.issuing.der], NOON).crls == (before,)
        assert signing.judge(cms, b"x", identifiers=["VATDE-1"], at=NOON).sub_indication == Sub.REVOKED_NO_POE
        monkeypatch.setattr(lists, "MAX_WHOLE_BYTES", len(before) - 1)
        assert signing.judge(cms, b"x", identifiers=["VATDE-1"], at=NOON).sub_indication == Sub.TRY_LATER

    def test_what_is_too_much_to_be_read_whole_is_left_out_and_told(
        self, authority: Authority, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for crl in (*authority.crls(NOON), part := divided(authority)):
            revocation.load_list(crl, by=None, at=NOON)
        signer = authority.issue(person="A", organisation="B", identifiers=["VATDE-1"], at=NOON - DAY)
        cms = sign(b"x", signer, NOON)
        assert signing.judge(cms, b"x", identifiers=["VATDE-1"], at=NOON).passed

        monkeypatch.setattr(lists, "MAX_WHOLE_BYTES", len(part) - 1)

        found = revocation.evidence(cms, [authority.issuing.der], NOON)
        issuer = authority.issuing.certificate.subject.public_bytes()
        assert (found.crls, found.left_out) == ((), (LeftOut(issuer, len(part)),))
        report = signing.judge(cms, b"x", identifiers=["VATDE-1"], at=NOON)
        assert report.sub_indication == Sub.TRY_LATER
        assert "too large" in report.reasons[0]
        assert revocation.evidence(cms, [authority.issuing.der], NOON + 30 * DAY).left_out == ()

    def test_what_has_to_be_read_whole_is_given_whole(self, authority: Authority) -> None:
        part = divided(authority)
        revocation.load_list(part, by=None, at=NOON)
        signer = authority.issue(person="A", organisation="B", identifiers=["VATDE-1"], at=NOON - DAY)

        found = revocation.evidence(sign(b"x", signer, NOON), [authority.issuing.der], NOON)

        assert (found.crls, found.lists) == ((part,), ())


def test_a_verification_costs_the_same_however_long_the_list(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """100,000 entries: as many queries and as few bytes to the worker as without any; and still each is known."""
    revocation.load_list(authority.crls(NOON)[0], by=None, at=NOON)
    signer = authority.issue(person="A", organisation="B", identifiers=["VATDE-1"], at=NOON - DAY)
    cms, sent = sign(b"x", signer, NOON), []
    monkeypatch.setattr(bounded._Pool, "ask", lambda _pool, request, _seconds: sent.append(len(request)) or answer)
    answer = signing.Report(Indication.PASSED).to_json()

    def cost() -> tuple[int, int]:
        with CaptureQueriesContext(connection) as queries:
            assert signing.judge(cms, b"x", identifiers=["VATDE-1"], at=NOON + DAY).passed
        return len(queries), sent[-1]

    revocation.load_list(authority.crls(NOON)[1], by=None, at=NOON)
    (queries, size), loaded = cost(), revocation.load_list(large_list(authority, NOON, 100_000), by=None, at=NOON + DAY)

    assert (loaded.count, loaded.entries.count(), loaded.is_indexed) == (100_000, 100_000, True)
    assert loaded.size > 2_500_000
    assert cost() == (queries, size)
    assert (queries, size < 16_000) == (4, True)
    assert RevokedEntry.objects.filter(serial=f"{(100_000 << 64) + 7:X}").count() == 1


@pytest.mark.django_db(transaction=True)
def test_two_loads_at_once_leave_one_current_list(authority: Authority) -> None:
    older, newer = authority.crls(NOON)[1], authority.crls(NOON + DAY)[1]

    answers = at_the_same_time(
        *(lambda crl=crl: revocation.load_list(crl, by=None, at=NOON + DAY) for crl in (older, newer, older, newer))
    )

    assert not any(isinstance(one, Exception) and not isinstance(one, revocation.OlderList) for one in answers)
    assert bytes(current(authority).der) == newer
    assert RevocationList.objects.filter(is_current=True).count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_verification_beside_a_replacement_never_misses_a_revocation(authority: Authority) -> None:
    """Its one statement sees the list before or after: here, before, while the other has already deleted the rows."""
    signer = authority.issue(person="A", organisation="B", identifiers=["VATDE-1"], at=NOON - DAY)
    authority.revoked = {signer.serial: NOON}
    revocation.load_list(authority.crls(NOON)[1], by=None, at=NOON)
    replaced, go_on = threading.Event(), threading.Event()

    def replace() -> None:
        with transaction.atomic():
            revocation.load_list(authority.crls(NOON + DAY)[1], by=None, at=NOON + DAY)
            replaced.set()
            go_on.wait(PATIENCE_S)
        connection.close()

    other = threading.Thread(target=replace)
    other.start()
    assert replaced.wait(PATIENCE_S)
    (found,) = revocation.evidence(sign(b"x", signer, NOON), [authority.issuing.der], NOON).lists
    go_on.set()
    other.join()

    assert found.revoked == {signer.serial: Revocation(NOON)}


def divided(authority: Authority) -> bytes:
    """A list of the issuing authority about users' certificates only."""
    scope = x509.IssuingDistributionPoint(
        full_name=None,
        relative_name=None,
        only_contains_user_certs=True,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=False,
        only_contains_attribute_certs=False,
    )
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.issuing.certificate.subject)
        .last_update(NOON - DAY)
        .next_update(NOON + 30 * DAY)
        .add_extension(scope, critical=True)
    )
    return builder.sign(authority.issuing.key, hashes.SHA256()).public_bytes(Encoding.DER)


def replaced(authority: Authority, old: bytes, new: bytes) -> bytes:
    """The issuing authority's list with some bytes of what it signs changed, and signed so."""
    crl = x509.load_der_x509_crl(authority.crls(NOON)[1])
    assert isinstance(authority.issuing.key, ec.EllipticCurvePrivateKey)
    signed = crl.tbs_certlist_bytes.replace(old, new, 1)
    assert signed != crl.tbs_certlist_bytes
    scheme = bytes.fromhex("300a06082a8648ce3d040302")
    value = authority.issuing.key.sign(signed, ec.ECDSA(hashes.SHA256()))
    return _sequence(signed, scheme, _tlv(0x03, b"\0" + value))
