"""Our signatures under OpenSSL's eyes, and OpenSSL's under ours: two makers that share no code."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from marketplace.signatures import Sub
from marketplace.signatures.authority import Authority
from marketplace.signatures.sign import Credential, sign
from tests.marketplace.signatures.conftest import AT, PAYLOAD, Judge, issue
from tests.patience import PATIENCE_S

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs the openssl program")


@pytest.fixture
def files(tmp_path: Path, authority: Authority) -> Path:
    (tmp_path / "payload.json").write_bytes(PAYLOAD)
    (tmp_path / "root.pem").write_bytes(authority.root.pem)
    (tmp_path / "issuing.pem").write_bytes(authority.issuing.pem)
    return tmp_path


@pytest.mark.parametrize("key_type", ["p256", "p384", "rsa-2048"])
@pytest.mark.parametrize("options", [[], ["-certfile", "issuing.pem"], ["-certfile", "issuing.pem", "-keyid"]])
def test_signature_made_by_openssl_passes(
    files: Path, authority: Authority, judge: Judge, key_type: str, options: list[str]
) -> None:
    signer = issue(authority, key_type=key_type)

    signature = _sign(files, signer, *options)

    assert judge(signature, intermediates=(authority.issuing.der,)).reasons == ()


def test_rsa_pss_made_by_openssl_passes(files: Path, authority: Authority, judge: Judge) -> None:
    signer = issue(authority, key_type="rsa-2048")

    signature = _sign(files, signer, "-certfile", "issuing.pem", "-keyopt", "rsa_padding_mode:pss")

    assert judge(signature).reasons == ()


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["-nodetach"], Sub.FORMAT_FAILURE),
        (["-noattr"], Sub.FORMAT_FAILURE),
        (["-nocerts"], Sub.NO_SIGNING_CERTIFICATE_FOUND),
        (["-md", "sha1"], Sub.CRYPTO_CONSTRAINTS_FAILURE),
    ],
)
def test_openssl_used_otherwise_is_refused(
    files: Path, authority: Authority, judge: Judge, options: list[str], expected: Sub
) -> None:
    cades = [] if "-noattr" in options else ["-cades"]

    signature = _sign(files, issue(authority), *options, cades=cades)

    assert judge(signature, intermediates=(authority.issuing.der,)).sub_indication == expected


def test_openssl_without_cades_lacks_a_mandatory_attribute(files: Path, authority: Authority, judge: Judge) -> None:
    signature = _sign(files, issue(authority), "-certfile", "issuing.pem", cades=[])

    assert judge(signature).sub_indication == Sub.SIG_CONSTRAINTS_FAILURE


@pytest.mark.parametrize(
    ("key_type", "digest", "pss"),
    [("p256", "sha256", False), ("p384", "sha384", False), ("rsa-2048", "sha256", False), ("rsa-2048", "sha256", True)],
)
def test_openssl_verifies_our_signature(
    files: Path, authority: Authority, key_type: str, digest: str, pss: bool
) -> None:
    signature = sign(PAYLOAD, issue(authority, key_type=key_type), AT, digest=digest, pss=pss)
    (files / "ours.p7s").write_bytes(signature)

    _openssl(
        files, "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", "ours.p7s", "-content", "payload.json",
        "-CAfile", "root.pem", "-purpose", "any", "-attime", str(int(AT.timestamp())), "-out", "seen",
    )  # fmt: skip

    assert (files / "seen").read_bytes() == PAYLOAD


def test_openssl_reads_our_p12(files: Path, authority: Authority) -> None:
    signer = issue(authority)
    (files / "signer.p12").write_bytes(signer.p12("secret"))

    shown = _openssl(files, "pkcs12", "-in", "signer.p12", "-passin", "pass:secret", "-nodes", "-info")

    assert b"PBES2, PBKDF2, AES-256-CBC" in shown.stderr
    assert shown.stdout.count(b"BEGIN CERTIFICATE") == 2
    assert Credential.from_p12(signer.p12("secret"), "secret").der == signer.der


def _sign(files: Path, signer: Credential, *options: str, cades: list[str] | None = None) -> bytes:
    """The command of the handbook, with what a test adds."""
    (files / "me.crt").write_bytes(signer.pem)
    (files / "me.key").write_bytes(signer.key_pem())
    _openssl(
        files, "cms", "-sign", *(["-cades"] if cades is None else cades), "-binary", "-md", "sha256",
        "-in", "payload.json", "-signer", "me.crt", "-inkey", "me.key", "-outform", "DER", "-out", "payload.json.p7s",
        *options,
    )  # fmt: skip
    return (files / "payload.json.p7s").read_bytes()


def _openssl(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=PATIENCE_S)
