"""Lots' keys from a seed, shares sealed to people, keys under a passphrase; and the browser does the same."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from marketplace.signatures import committee, sealing, shamir
from marketplace.signatures.committee import CommitteeKeyError, Recipient

ASSETS = Path(__file__).parents[3] / "assets"
INFO = "openlot-share-1|OL-2026-000001|1|1|f"
SHARE = bytes([1]) + bytes(range(32))
needs_node = pytest.mark.skipif(
    shutil.which("node") is None or not (ASSETS / "node_modules").exists(), reason="needs node and its packages"
)


def in_javascript(*calls: list[Any]) -> list[Any]:
    """The answers of the pages' own code."""
    command, typed = ["node", "tools/committee.mjs"], json.dumps(calls)
    done = subprocess.run(command, cwd=ASSETS, input=typed, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    answers: list[Any] = json.loads(done.stdout)
    return answers


def hexed(value: bytes) -> dict[str, str]:
    return {"hex": value.hex()}


def b64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def certificate(key: Any) -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Anna")])
    at = datetime(2026, 1, 1, tzinfo=UTC)
    built = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    built = built.serial_number(1).not_valid_before(at).not_valid_after(at + timedelta(days=365))
    return built.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


@pytest.fixture(scope="module", params=["x25519", "p256", "rsa"])
def holder(request: pytest.FixtureRequest) -> tuple[Recipient, committee.PrivateKey]:
    if request.param == "x25519":
        pair = sealing.new_key_pair()
        return Recipient("x25519", pair.public), pair.private
    if request.param == "p256":
        curve = ec.generate_private_key(ec.SECP256R1())
        return committee.recipient_of_certificate(certificate(curve)), curve
    key = rsa.generate_private_key(65537, 2048)
    return committee.recipient_of_certificate(certificate(key)), key


def pkcs8(private: Any) -> bytes:
    return private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())


def test_share_opens_for_its_person_in_its_place_only(holder: tuple[Recipient, committee.PrivateKey]) -> None:
    to, private = holder
    sealed = committee.seal_share(to, SHARE, INFO)

    assert committee.open_share(private, sealed, INFO) == SHARE
    assert len(sealed) == committee.sealed_size(to)
    changed = sealed[:-1] + bytes([sealed[-1] ^ 1])
    for wrong in ((private, sealed, INFO + "0"), (private, changed, INFO), (private, b"", INFO)):
        with pytest.raises(CommitteeKeyError):
            committee.open_share(*wrong)
    with pytest.raises(CommitteeKeyError):
        committee.open_share(sealing.new_key_pair().private, sealed, INFO)


@needs_node
def test_shares_go_both_ways_between_python_and_the_browser(holder: tuple[Recipient, committee.PrivateKey]) -> None:
    to, private = holder
    recipient = {"algorithm": to.algorithm, "key": b64(to.public)}
    sealed = committee.seal_share(to, SHARE, INFO)
    opening = (
        ["openWith", hexed(private)] if isinstance(private, bytes)
        else ["openWithCertificate", to.algorithm, hexed(pkcs8(private))]
    )  # fmt: skip

    theirs, opened, elsewhere = in_javascript(
        ["sealTo", recipient, hexed(SHARE), INFO], [*opening, hexed(sealed), INFO], [*opening, hexed(sealed), "other"]
    )

    assert opened == hexed(SHARE)
    assert elsewhere == {"refused": "DoesNotOpen"}
    assert committee.open_share(private, bytes.fromhex(theirs["hex"]), INFO) == SHARE


@needs_node
def test_shares_and_lots_keys_are_the_same_in_the_browser() -> None:
    seed = bytes(range(32))
    ours = shamir.split(seed, 3, 5)

    theirs, combined, refused, public = in_javascript(
        ["split", hexed(seed), 3, 5],
        ["combine", [hexed(share) for share in ours[2:]]],
        ["combine", [hexed(ours[0]), hexed(ours[0])]],
        ["lotPublicKey", hexed(seed), 4711],
    )

    assert combined == hexed(seed)
    assert refused == {"refused": "SharesRefused"}
    assert shamir.combine([bytes.fromhex(share["hex"]) for share in theirs[1:4]]) == seed
    assert public == b64(committee.lot_public_key(seed, 4711))


@needs_node
def test_products_and_inverses_are_the_same_in_the_browser() -> None:
    pairs = [(a, b) for a in range(0, 256, 15) for b in range(0, 256, 17)]

    answers = in_javascript(*(["multiply", a, b] for a, b in pairs), *(["inverse", a] for a in range(256)))

    assert answers == [shamir.multiply(a, b) for a, b in pairs] + [shamir.inverse(a) for a in range(256)]


@needs_node
def test_a_key_under_a_passphrase_goes_both_ways() -> None:
    pair, words = sealing.new_key_pair(), "пароль é und so weiter"
    wrapped = committee.wrap(pair.private, words)
    sealed = committee.seal_share(Recipient("x25519", pair.public), SHARE, INFO)
    unwrap = ["unwrapAndOpen", wrapped, hexed(pair.public)]

    made, opened, wrong = in_javascript(
        ["newCommitteeKey", "e\u0301 decomposed"],
        [*unwrap, words, hexed(sealed), INFO],
        [*unwrap, words + "!", hexed(sealed), INFO],
    )

    assert opened == hexed(SHARE)
    assert wrong == {"refused": "DoesNotOpen"}
    public = bytes.fromhex(made["publicKey"]["hex"])
    private = committee.unwrap(made["wrapped"], public, "é decomposed")
    assert committee.open_share(private, committee.seal_share(Recipient("x25519", public), SHARE, INFO), INFO) == SHARE


def test_a_key_under_a_passphrase_opens_by_that_passphrase_only() -> None:
    pair = sealing.new_key_pair()
    wrapped = committee.wrap(pair.private, "a long passphrase")

    assert committee.unwrap(wrapped, pair.public, "a long passphrase") == pair.private
    for public, words in ((pair.public, "a long passphrasE"), (sealing.new_key_pair().public, "a long passphrase")):
        with pytest.raises(CommitteeKeyError):
            committee.unwrap(wrapped, public, words)


@pytest.mark.parametrize(
    "change",
    [
        {"iterations": 599_999}, {"iterations": 10**9}, {"iterations": "600000"}, {"iterations": True},
        {"kdf": "MD5"}, {"salt": "AA=="}, {"iv": "AAAA"}, {"ciphertext": "AAAA"}, {"salt": "%"}, {"salt": 5},
        {"more": 1},
    ],
    ids=str,
)  # fmt: skip
def test_a_weak_or_misshapen_wrapping_is_refused(change: dict[str, Any]) -> None:
    wrapped = committee.wrap(sealing.new_key_pair().private, "a long passphrase") | change

    with pytest.raises(CommitteeKeyError):
        committee.checked_wrapping(wrapped)


@pytest.mark.parametrize(
    "recipient",
    [
        Recipient("x25519", bytes(32)), Recipient("x25519", bytes([1]) + bytes(31)), Recipient("x25519", b"short"),
        Recipient("p256", bytes(65)), Recipient("p256", b"\x04" + bytes(64)), Recipient("rsa", b"nothing"),
        Recipient("dsa", bytes(32)),
    ],
    ids=["zero", "small order", "short", "no point", "not on the curve", "no key", "unknown"],
)  # fmt: skip
def test_public_keys_that_would_seal_nothing_are_refused(recipient: Recipient) -> None:
    with pytest.raises(CommitteeKeyError):
        recipient.require_valid()


def test_certificates_with_other_keys_are_refused() -> None:
    for der in (certificate(ec.generate_private_key(ec.SECP384R1())), b"no certificate", b""):
        with pytest.raises(CommitteeKeyError):
            committee.recipient_of_certificate(der)
