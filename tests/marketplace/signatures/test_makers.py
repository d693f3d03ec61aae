"""What other makers make, from the keys on: a whole authority by OpenSSL alone, signatures and stamps by pyHanko."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from asn1crypto import keys, pem
from asn1crypto import x509 as asn1
from cryptography.hazmat.primitives import serialization
from pyhanko.sign import signers, timestamps
from pyhanko.sign.ades.api import CAdESSignedAttrSpec
from pyhanko.sign.signers.pdf_cms import CMSSignedAttributes
from pyhanko_certvalidator.registry import SimpleCertificateStore

from marketplace.signatures import Evidence, Policy, verification
from marketplace.signatures.authority import DEFAULT_EKU, Authority, KeyType
from marketplace.signatures.cades import stamped_value
from marketplace.signatures.sign import Credential, attribute, oid, with_unsigned
from marketplace.signatures.timestamp_authority import DemoTimeStamps
from tests.marketplace.signatures.conftest import AT, IDENTIFIER, PAYLOAD, issue

CONFIGURATION = """
[ca]
default_ca = authority
[authority]
database = index.txt
new_certs_dir = .
serial = serial
default_md = sha256
default_days = 365
default_crl_days = 30
policy = subject
unique_subject = no
[subject]
commonName = supplied
organizationName = optional
organizationIdentifier = optional
[req]
distinguished_name = none
[none]
[root]
basicConstraints = critical, CA:true
keyUsage = critical, keyCertSign, cRLSign
[middle]
basicConstraints = critical, CA:true, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
[person]
basicConstraints = CA:false
keyUsage = critical, digitalSignature, nonRepudiation
extendedKeyUsage = 1.3.6.1.4.1.32473.7.1
subjectKeyIdentifier = hash
[responder]
keyUsage = critical, digitalSignature
extendedKeyUsage = OCSPSigning
noCheck = yes
[stamper]
keyUsage = critical, digitalSignature
extendedKeyUsage = critical, timeStamping
[tsa]
default_tsa = stamps
[stamps]
serial = stamps
signer_cert = tsa.pem
certs = middle.pem
signer_key = tsa.key
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
"""
KEYS = {
    "rsa-2048": ("RSA", "rsa_keygen_bits:2048"),
    "rsa-3072": ("RSA", "rsa_keygen_bits:3072"),
    "rsa-pss": ("RSA-PSS", "rsa_keygen_bits:2048", "rsa_pss_keygen_md:sha256", "rsa_pss_keygen_mgf1_md:sha256"),
    "p256": ("EC", "ec_paramgen_curve:P-256"),
    "p384": ("EC", "ec_paramgen_curve:P-384"),
    "ed25519": ("ED25519",),
}
PSS = ("-keyopt", "rsa_padding_mode:pss")


class OpenSsl:
    """A root, an authority under it and whom it certifies, in a folder; nothing of it is ours."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.folder = folder
        for name, content in (("openssl.cnf", CONFIGURATION), ("index.txt", ""), ("serial", "1000"), ("stamps", "01")):
            (folder / name).write_text(content)
        (folder / "payload").write_bytes(PAYLOAD)
        self.key("root", kind)
        self.run("req", "-x509", "-new", "-key", "root.key", "-subj", "/O=T/CN=Root", "-days", "3650", "-config",
                 "openssl.cnf", "-extensions", "root", "-out", "root.pem")  # fmt: skip
        self.certify("middle", kind, "middle", by="root")
        self.list_of("root")
        (folder / "index.txt").write_text("")

    def run(self, *arguments: str) -> None:
        done = subprocess.run(["openssl", *arguments], cwd=self.folder, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, (arguments, done.stderr.decode())

    def key(self, name: str, kind: str) -> None:
        algorithm, *options = KEYS[kind]
        self.run("genpkey", "-algorithm", algorithm, *(part for one in options for part in ("-pkeyopt", one)), "-out",
                 f"{name}.key")  # fmt: skip

    def certify(self, name: str, kind: str, extensions: str, by: str = "middle") -> None:
        self.key(name, kind)
        subject = f"/O=Romashka/organizationIdentifier={IDENTIFIER}/CN={name}"
        self.run("req", "-new", "-key", f"{name}.key", "-subj", subject, "-config", "openssl.cnf", "-out", "request")
        self.run("ca", "-batch", "-notext", "-config", "openssl.cnf", "-cert", f"{by}.pem", "-keyfile", f"{by}.key",
                 "-extensions", extensions, "-in", "request", "-out", f"{name}.pem")  # fmt: skip

    def list_of(self, name: str) -> None:
        self.run("ca", "-config", "openssl.cnf", "-cert", f"{name}.pem", "-keyfile", f"{name}.key", "-gencrl", "-out",
                 f"{name}.crl")  # fmt: skip

    def sign(self, name: str, *options: str) -> bytes:
        self.run("cms", "-sign", "-cades", "-binary", "-md", "sha256", "-in", "payload", "-signer", f"{name}.pem",
                 "-inkey", f"{name}.key", "-certfile", "middle.pem", "-outform", "DER", "-out", "signed",
                 *options)  # fmt: skip
        return self.read("signed")

    def read(self, name: str) -> bytes:
        content = (self.folder / name).read_bytes()
        return pem.unarmor(content)[2] if pem.detect(content) else content

    def reasons(self, signature: bytes, evidence: Evidence | None = None, **policy: Any) -> tuple[str, ...]:
        stated = {"anchors": (self.read("root.pem"),), "eku": DEFAULT_EKU, "identifiers": frozenset({IDENTIFIER})}
        self.list_of("middle")
        lists = Evidence(crls=(self.read("root.crl"), self.read("middle.crl")))
        now = datetime.now(UTC) + timedelta(seconds=1)
        report = verification.verify(signature, PAYLOAD, Policy(**(stated | policy)), now, evidence or lists)
        assert report.passed is (report.sub_indication is None)
        return (str(report.sub_indication), *report.reasons) if report.sub_indication else report.reasons


Made = Callable[[str], OpenSsl]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """OpenSSL's authority with keys of a kind; made once."""
    if shutil.which("openssl") is None:
        pytest.skip("needs the openssl program")
    found: dict[str, OpenSsl] = {}

    def made(kind: str) -> OpenSsl:
        if kind not in found:
            found[kind] = OpenSsl(tmp_path_factory.mktemp(kind), kind)
            found[kind].certify("anna", "p256", "person")
        return found[kind]

    return made


@pytest.mark.parametrize("kind", ["rsa-2048", "rsa-pss", "p384", "ed25519"])
def test_authority_made_by_openssl(made: Made, kind: str) -> None:
    authority = made(kind)

    assert authority.reasons(authority.sign("anna")) == ()
    assert authority.reasons(authority.sign("anna", "-keyid")) == ()


@pytest.mark.parametrize(
    ("kind", "options"),
    [("rsa-2048", ()), ("rsa-3072", ()), ("rsa-2048", PSS), ("rsa-pss", PSS), ("p256", ()), ("p384", ())],
)
def test_signer_made_by_openssl(made: Made, kind: str, options: tuple[str, ...]) -> None:
    authority = made("p384")
    authority.certify("boris", kind, "person")

    assert authority.reasons(authority.sign("boris", *options)) == ()


def test_longest_salt_of_rsa_pss(made: Made) -> None:
    authority = made("p384")
    authority.certify("boris", "rsa-2048", "person")

    assert authority.reasons(authority.sign("boris", *PSS, "-keyopt", "rsa_pss_saltlen:max")) == ()


def test_revocation_by_openssl(made: Made) -> None:
    authority = made("rsa-2048")
    authority.certify("vera", "p256", "person")
    signature = authority.sign("vera")

    assert authority.reasons(signature) == ()
    authority.run("ca", "-config", "openssl.cnf", "-cert", "middle.pem", "-keyfile", "middle.key", "-revoke",
                  "vera.pem", "-crl_reason", "keyCompromise")  # fmt: skip
    assert authority.reasons(signature)[0] == "REVOKED_NO_POE"


@pytest.mark.parametrize("kind", ["rsa-2048", "p384", "ed25519"])
@pytest.mark.parametrize("responder", ["middle", "responder"])
def test_answer_by_openssl(made: Made, kind: str, responder: str) -> None:
    authority = made(kind)
    if responder == "responder":
        authority.certify("responder", "rsa-2048", "responder")
    authority.run("ocsp", "-index", "index.txt", "-CA", "middle.pem", "-rsigner", f"{responder}.pem", "-rkey",
                  f"{responder}.key", "-issuer", "middle.pem", "-cert", "anna.pem", "-ndays", "3", "-respout",
                  "answer", "-noverify")  # fmt: skip
    evidence = Evidence(crls=(authority.read("root.crl"),), ocsps=(authority.read("answer"),))

    assert authority.reasons(authority.sign("anna"), evidence) == ()


@pytest.mark.parametrize("kind", ["rsa-2048", "p384"])
def test_time_stamp_by_openssl(made: Made, kind: str) -> None:
    authority = made(kind)
    authority.certify("tsa", "rsa-2048", "stamper")
    signature = authority.sign("anna")
    (authority.folder / "value").write_bytes(stamped_value(signature))
    authority.run("ts", "-query", "-data", "value", "-sha256", "-cert", "-out", "asked")
    authority.run("ts", "-reply", "-config", "openssl.cnf", "-queryfile", "asked", "-token_out", "-out", "token")
    stamped = with_unsigned(signature, attribute(oid("1.2.840.113549.1.9.16.2.14"), authority.read("token")))

    assert authority.reasons(stamped, tsa_anchors=(authority.read("root.pem"),)) == ()
    assert authority.reasons(stamped)[0].endswith("It was not counted.")


@pytest.mark.parametrize(
    ("key_type", "digest", "pss"),
    [
        ("p256", "sha256", False),
        ("p384", "sha384", False),
        ("rsa-2048", "sha256", False),
        ("rsa-2048", "sha256", True),
        ("ed25519", "sha512", False),
    ],
)
@pytest.mark.parametrize("stamps", ["none", "signature", "both"])
def test_signature_made_by_pyhanko(
    authority: Authority, key_type: KeyType, digest: str, pss: bool, stamps: str
) -> None:
    signer, demo = issue(authority, key_type=key_type), _stamping()
    stamper = timestamps.DummyTimeStamper(
        asn1.Certificate.load(demo.server.credential.der),
        _key(demo.server.credential),
        certs_to_embed=_store(demo.above.issuing),
        fixed_dt=AT - timedelta(hours=1),
    )
    maker = signers.SimpleSigner(
        signing_cert=asn1.Certificate.load(signer.der),
        signing_key=_key(signer),
        cert_registry=_store(authority.issuing),
        prefer_pss=pss,
    )
    content = CAdESSignedAttrSpec(timestamp_content=True) if stamps == "both" else None
    made = maker.async_sign_general_data(
        PAYLOAD,
        digest,
        detached=True,
        use_cades=True,
        timestamper=None if stamps == "none" else stamper,
        signed_attr_settings=CMSSignedAttributes(signing_time=AT, cades_signed_attrs=content),
    )
    policy = Policy(anchors=(authority.root.der,), tsa_anchors=(demo.above.root.der,), eku=DEFAULT_EKU)
    evidence = Evidence(crls=(*authority.crls(AT), *demo.above.crls(AT)))

    report = verification.verify(asyncio.run(made).dump(), PAYLOAD, policy, AT, evidence)

    assert (report.passed, report.reasons) == (True, ())
    assert report.timestamp == (None if stamps == "none" else AT - timedelta(hours=1))


_demo: list[DemoTimeStamps] = []


def _stamping() -> DemoTimeStamps:
    """pyHanko's own time stamps are by RSA keys only."""
    if not _demo:
        _demo.append(DemoTimeStamps.create(AT, key_type="rsa-2048"))
    return _demo[0]


def _store(*credentials: Credential) -> SimpleCertificateStore:
    store = SimpleCertificateStore()
    store.register_multiple([asn1.Certificate.load(one.der) for one in credentials])
    return store


def _key(credential: Credential) -> keys.PrivateKeyInfo:
    encoded = credential.key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return keys.PrivateKeyInfo.load(encoded)
