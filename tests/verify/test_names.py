"""Name constraints (RFC 5280, 4.2.1.10): what each authority on the way allows those below it to be called."""

from __future__ import annotations

import ipaddress
from datetime import timedelta
from functools import lru_cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import DirectoryName, DNSName, IPAddress, NameConstraints, OtherName, RFC822Name
from cryptography.x509 import UniformResourceIdentifier as Uri
from cryptography.x509.oid import NameOID, ObjectIdentifier

from procurement import openlot_verify
from tests.factories.marketplace import NOON


@lru_cache(maxsize=1)
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def name(**parts: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(getattr(NameOID, part), text) for part, text in parts.items()])


def certified(
    subject: x509.Name, issuer: x509.Name, *extensions: x509.ExtensionType, critical: bool = True
) -> x509.Certificate:
    builder = x509.CertificateBuilder(issuer, subject, key().public_key(), 1)
    builder = builder.not_valid_before(NOON).not_valid_after(NOON + timedelta(days=1))
    for extension in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(key(), hashes.SHA256())


ROOT, CA = name(COUNTRY_NAME="DE", ORGANIZATION_NAME="Root"), name(COUNTRY_NAME="DE", ORGANIZATION_NAME="Authority")
SIGNER = name(COUNTRY_NAME="DE", ORGANIZATION_NAME="Company  GmbH", COMMON_NAME="A Signer")
GERMAN, COMPANY = name(COUNTRY_NAME="de"), name(COUNTRY_NAME="DE", ORGANIZATION_NAME="company gmbh")
LONGER = x509.Name([*SIGNER, x509.NameAttribute(NameOID.SURNAME, "S")])
FRENCH = name(COUNTRY_NAME="FR")
NET = IPAddress(ipaddress.ip_network("10.0.0.0/8"))

CASES = {
    "a subject inside, whatever its case and spaces": ([DirectoryName(COMPANY)], [], [], True),
    "a subject outside": ([DirectoryName(FRENCH)], [], [], False),
    "a subject in one of two": ([DirectoryName(FRENCH), DirectoryName(GERMAN)], [], [], True),
    "a subject excluded": ([], [DirectoryName(GERMAN)], [], False),
    "a subject that is shorter than the bound": ([DirectoryName(LONGER)], [], [], False),
    "another directory name outside": ([DirectoryName(GERMAN)], [], [DirectoryName(FRENCH)], False),
    "a host inside": ([DNSName("example.org")], [], [DNSName("a.Example.org")], True),
    "the host itself": ([DNSName("example.org")], [], [DNSName("example.org")], True),
    "a host that ends alike": ([DNSName("example.org")], [], [DNSName("badexample.org")], False),
    "a host excluded": ([], [DNSName("example.org")], [DNSName("a.example.org")], False),
    "no host at all": ([DNSName("example.org")], [], [], True),
    "an address of mail at the host": ([RFC822Name("example.org")], [], [RFC822Name("a@example.org")], True),
    "an address of mail below the host": ([RFC822Name("example.org")], [], [RFC822Name("a@b.example.org")], False),
    "an address of mail below a domain": ([RFC822Name(".example.org")], [], [RFC822Name("a@b.example.org")], True),
    "that address of mail alone": ([RFC822Name("a@example.org")], [], [RFC822Name("b@example.org")], False),
    "an address of the web inside": ([Uri(".example.org")], [], [Uri("https://a.example.org:8443/x")], True),
    "an address of the web outside": ([Uri("example.org")], [], [Uri("https://a.example.org/example.org")], False),
    "an address of the web without a host": ([Uri("example.org")], [], [Uri("urn:x")], False),
    "a machine inside": ([NET], [], [IPAddress(ipaddress.ip_address("10.1.2.3"))], True),
    "a machine outside": ([NET], [], [IPAddress(ipaddress.ip_address("11.1.2.3"))], False),
    "a machine of the other kind": ([NET], [], [IPAddress(ipaddress.ip_address("2001:db8::1"))], False),
    "a kind that nobody can compare": (
        [], [OtherName(ObjectIdentifier("1.2.3"), b"\x0c\x01a")], [OtherName(ObjectIdentifier("1.2.3"), b"\x0c\x01b")],
        False,
    ),
    "a kind that nobody constrains": ([DNSName("example.org")], [], [RFC822Name("a@b.org")], True),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_an_authority_allows(case: str) -> None:
    permitted, excluded, names, allowed = CASES[case]
    alternative = [x509.SubjectAlternativeName(names)] if names else []
    leaf = certified(SIGNER, CA, *alternative, critical=False)
    authority = certified(CA, ROOT, NameConstraints(permitted or None, excluded or None))
    root = certified(ROOT, ROOT)

    if allowed:
        openlot_verify._require_known_extensions([leaf, authority, root])
        return
    with pytest.raises(openlot_verify.Wrong):
        openlot_verify._require_known_extensions([leaf, authority, root])


def test_the_anchors_own_constraints_hold_for_all_below_it_but_not_for_itself_made_anew() -> None:
    anchor = certified(
        ROOT, ROOT, NameConstraints([DirectoryName(name(COUNTRY_NAME="DE", ORGANIZATION_NAME="A"))], None)
    )
    below = certified(name(COUNTRY_NAME="DE", ORGANIZATION_NAME="A", COMMON_NAME="CA"), ROOT)
    inside = certified(name(COUNTRY_NAME="DE", ORGANIZATION_NAME="A", COMMON_NAME="S"), below.subject)
    renewed = certified(ROOT, ROOT)

    openlot_verify._require_known_extensions([inside, below, renewed, anchor])
    with pytest.raises(openlot_verify.Wrong, match="does not allow the name"):
        openlot_verify._require_known_extensions([certified(SIGNER, below.subject), below, anchor])


def test_an_old_address_of_mail_in_the_subject_is_constrained_too() -> None:
    leaf = certified(x509.Name([*SIGNER, x509.NameAttribute(NameOID.EMAIL_ADDRESS, "a@example.org")]), CA)
    authority = certified(CA, ROOT, NameConstraints([RFC822Name("example.com")], None))
    with pytest.raises(openlot_verify.Wrong):
        openlot_verify._require_known_extensions([leaf, authority])
