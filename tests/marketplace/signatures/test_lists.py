from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from asn1crypto import crl
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.x509.oid import ObjectIdentifier

from marketplace.signatures import Revocation, lists
from marketplace.signatures.authority import Authority
from tests.marketplace.signatures.conftest import AT

DAY = timedelta(days=1)
Builder = x509.CertificateRevocationListBuilder
REASON = x509.CRLReason(x509.ReasonFlags.key_compromise)
HOLD = x509.CRLReason(x509.ReasonFlags.certificate_hold)


def entry(serial: int, *extensions: tuple[x509.ExtensionType, bool]) -> x509.RevokedCertificate:
    builder = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(AT - DAY)
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.build()


def encoded(
    authority: Authority, *entries: x509.RevokedCertificate, change: Callable[[Builder], Builder] | None = None
) -> bytes:
    builder = Builder(authority.issuing.certificate.subject, AT - DAY, AT + DAY, [], list(entries))
    builder = change(builder) if change else builder
    return builder.sign(authority.issuing.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def test_simple_list_says_what_is_revoked_when_and_why(authority: Authority) -> None:
    found = lists.read(encoded(authority, entry(5), entry(6, (REASON, False)), entry(2**158, (HOLD, False))))

    assert found.entries == {
        5: Revocation(AT - DAY),
        6: Revocation(AT - DAY, "keyCompromise"),
        2**158: Revocation(AT - DAY, "certificateHold"),
    }
    assert (found.this_update, found.next_update) == (AT - DAY, AT + DAY)
    assert found.issuer == authority.issuing.certificate.subject.public_bytes()


def test_list_without_entries_or_extensions_is_read(authority: Authority) -> None:
    assert lists.read(encoded(authority)).entries == {}


def test_list_is_believed_by_its_issuers_key_only(authority: Authority) -> None:
    found = lists.read(encoded(authority, entry(5)))

    assert found.verified_by(authority.issuing.der)
    assert not found.verified_by(authority.root.der)
    assert not found.verified_by(Authority.create(AT).issuing.der)
    assert not found.verified_by(b"garbage")


def test_authority_that_may_not_sign_lists_verifies_none(authority: Authority) -> None:
    unable = authority.certify(
        authority.issuing.certificate.subject, authority.issuing.key, AT - DAY, AT + DAY, eku=None
    )

    assert not lists.read(encoded(authority, entry(5))).verified_by(unable.der)


def test_list_is_cut_down_to_the_numbers_asked_for(authority: Authority) -> None:
    found = lists.read(encoded(authority, entry(5), entry(6)))

    cut = found.indexed(authority.issuing.der, [6, 7])

    assert cut.revoked == {6: Revocation(AT - DAY)}
    assert cut.sha256 == found.sha256
    with pytest.raises(ValueError, match="not signed"):
        found.indexed(authority.root.der, [6])


@pytest.mark.parametrize(
    "extension",
    [
        x509.IssuingDistributionPoint(None, None, True, False, None, False, False),
        x509.DeltaCRLIndicator(1),
        x509.FreshestCRL([x509.DistributionPoint([x509.UniformResourceIdentifier("http://x")], None, None, None)]),
        x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00"),
    ],
)
def test_list_with_a_scope_or_an_unknown_critical_extension_is_not_simple(
    authority: Authority, extension: x509.ExtensionType
) -> None:
    with pytest.raises(lists.NotSimple):
        lists.read(encoded(authority, change=lambda builder: builder.add_extension(extension, True)))


@pytest.mark.parametrize(
    "extension",
    [
        (x509.CertificateIssuer([x509.DirectoryName(x509.Name([]))]), True),
        (x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True),
    ],
)
def test_list_with_an_entry_that_says_more_is_not_simple(
    authority: Authority, extension: tuple[x509.ExtensionType, bool]
) -> None:
    with pytest.raises(lists.NotSimple):
        lists.read(encoded(authority, entry(5), entry(6, extension)))


def test_weakly_signed_list_is_none(authority: Authority) -> None:
    strong, weak = bytes.fromhex("2a8648ce3d040302"), bytes.fromhex("2a8648ce3d0401")  # ECDSA with SHA-256, with SHA-1
    found = crl.CertificateList.load(encoded(authority, entry(5)))
    for part in (found["signature_algorithm"], found["tbs_cert_list"]["signature"]):
        part["algorithm"] = "1.2.840.10045.4.1"
    assert weak in found.dump(force=True)
    assert strong not in found.dump()

    with pytest.raises(lists.Unreadable, match="weak"):
        lists.read(found.dump())


def test_list_signed_with_rsa_pss_is_read() -> None:
    authority = Authority.create(AT, key_type="rsa-2048")
    assert isinstance(authority.issuing.key, rsa.RSAPrivateKey)
    pss = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
    builder = Builder(authority.issuing.certificate.subject, AT - DAY, AT + DAY)
    signed = builder.sign(authority.issuing.key, hashes.SHA256(), rsa_padding=pss)

    assert lists.read(signed.public_bytes(serialization.Encoding.DER)).verified_by(authority.issuing.der)


def test_garbage_and_changed_lists_are_none(authority: Authority) -> None:
    good = encoded(authority, entry(5), entry(6, (REASON, False)))

    for place in range(len(good)):
        changed = bytearray(good)
        changed[place] ^= 0x41
        try:
            found = lists.read(bytes(changed))
        except (lists.Unreadable, lists.NotSimple):
            continue
        assert not found.verified_by(authority.issuing.der)
    for hostile in (b"", b"\x30\x00", good[:-1], good + b"\x00"):
        with pytest.raises(lists.Unreadable):
            lists.read(hostile)


def test_worse_of_two_entries_on_one_certificate_counts(authority: Authority) -> None:
    found = lists.read(encoded(authority, entry(5, (HOLD, False)), entry(5, (REASON, False))))

    assert found.entries[5].reason == "keyCompromise"


def test_entry_that_takes_another_back_hides_nothing(authority: Authority) -> None:
    """Only a delta list may hold one."""
    lifted, lost = (
        (x509.CRLReason(reason), False)
        for reason in (x509.ReasonFlags.remove_from_crl, x509.ReasonFlags.key_compromise)
    )

    for entries in ((entry(5, lifted), entry(5, lost)), (entry(5, lost), entry(5, lifted))):
        assert {number: one.reason for number, one in lists.read(encoded(authority, *entries)).entries.items()} == {
            5: "keyCompromise"
        }
    assert lists.read(encoded(authority, entry(5, lifted))).entries == {}


def test_names_are_compared_by_their_meaning(authority: Authority) -> None:
    shouting = x509.Name(
        [x509.NameAttribute(one.oid, one.value.upper()) for one in authority.issuing.certificate.subject]
    )
    other = replace(authority)
    builder = Builder(shouting, AT - DAY, AT + DAY)
    signed = builder.sign(other.issuing.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)

    assert lists.read(signed).verified_by(authority.issuing.der)


def test_shelf_keeps_few_lists_and_few_entries(authority: Authority) -> None:
    one, two, three = (encoded(authority, *(entry(n) for n in range(1, 4 + count))) for count in range(3))
    shelf = lists.Shelf(most_lists=2, most_entries=100)

    kept = shelf.get(one)
    assert shelf.get(bytes(bytearray(one))) is kept
    shelf.get(two)
    shelf.get(three)

    assert len(shelf) == 2
    assert shelf.get(one) is not kept
    small = lists.Shelf(most_lists=9, most_entries=7)
    for each in (one, two):
        small.get(each)
    assert len(small) == 2
    small.get(three)
    assert len(small) == 1


def test_hundred_thousand_entries_are_read_in_a_moment(authority: Authority) -> None:
    many = encoded(authority, *(entry(n) for n in range(1, 3001)))

    assert len(lists.read(many).entries) == 3000
