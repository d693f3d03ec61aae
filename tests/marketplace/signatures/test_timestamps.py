from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from asn1crypto import cms, core, tsp
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from marketplace.signatures import Evidence, Policy, Sub, cades, der, gate, timestamps
from marketplace.signatures.authority import Authority, KeyType, new_key
from marketplace.signatures.sign import Credential, sign
from marketplace.signatures.timestamp_authority import DemoTimeStamps, TimeStampAuthority, credential
from marketplace.signatures.timestamps import TimeStampError
from tests.marketplace.signatures.conftest import AT, PAYLOAD, issue

DAY = timedelta(days=1)
DIGEST = hashlib.sha256(b"a message").digest()


@pytest.fixture(scope="module")
def demo() -> DemoTimeStamps:
    return DemoTimeStamps.create(AT)


@pytest.fixture(scope="module")
def trust(demo: DemoTimeStamps) -> tuple[Policy, Evidence]:
    return Policy(anchors=(demo.above.root.der,)), Evidence(crls=demo.above.crls(AT))


@pytest.fixture
def openssl(tmp_path: Path) -> Callable[..., str]:
    """Runs OpenSSL in a folder of this test."""

    def run(*arguments: str) -> str:
        done = subprocess.run(
            ["openssl", *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


def stamp(server: TimeStampAuthority, digest: bytes = DIGEST, at: datetime = AT) -> timestamps.Token:
    asked = timestamps.request(digest)
    return timestamps.read_answer(server.answer(asked.encoded, at), asked)


def refusal(call: Callable[[], object]) -> TimeStampError:
    with pytest.raises(TimeStampError) as caught:
        call()
    return caught.value


# Both sides


@pytest.mark.parametrize("key_type", ["p256", "p384", "rsa-2048", "rsa-3072"])
@pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
def test_openssl_accepts_what_the_authority_answers(
    key_type: KeyType, algorithm: str, tmp_path: Path, openssl: Callable[..., str]
) -> None:
    demo = DemoTimeStamps.create(AT, key_type=key_type)
    (tmp_path / "root.pem").write_bytes(demo.above.root.pem)
    (tmp_path / "message").write_bytes(b"a message")
    openssl("ts", "-query", "-data", "message", f"-{algorithm}", "-cert", "-out", "request.tsq")
    (tmp_path / "answer.tsr").write_bytes(demo.server.answer((tmp_path / "request.tsq").read_bytes(), AT))

    for asked in (("-queryfile", "request.tsq"), ("-data", "message")):
        said = openssl("ts", "-verify", *asked, "-in", "answer.tsr", "-CAfile", "root.pem")
        assert said == "Verification: OK\n"
    assert "Policy OID: 1.3.6.1.4.1.32473.7.2" in openssl("ts", "-reply", "-in", "answer.tsr", "-text")


@pytest.mark.parametrize("key_type", ["p256", "rsa-3072"])
@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_what_openssl_answers_is_accepted(
    key_type: KeyType, algorithm: str, tmp_path: Path, openssl: Callable[..., str]
) -> None:
    now = datetime.now(AT.tzinfo)
    above = Authority.create(now)
    signer = credential(above, now, key_type=key_type)
    (tmp_path / "tsa.crt.pem").write_bytes(signer.pem)
    (tmp_path / "tsa.key.pem").write_bytes(signer.key_pem())
    issuers = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in signer.issuers)
    (tmp_path / "chain.pem").write_bytes(issuers)
    (tmp_path / "serial").write_text("0A\n")
    (tmp_path / "tsa.cnf").write_text(
        "[tsa]\ndefault_tsa = t\n[t]\nserial = serial\nsigner_cert = tsa.crt.pem\nsigner_key = tsa.key.pem\n"
        "certs = chain.pem\nsigner_digest = sha256\ndefault_policy = 1.2.3.4\ndigests = sha256, sha384, sha512\n"
        "accuracy = secs:1, millisecs:500\nordering = no\ntsa_name = yes\ness_cert_id_chain = no\n"
        "ess_cert_id_alg = sha256\n"
    )
    asked = timestamps.request(hashlib.new(algorithm, b"a message").digest())
    (tmp_path / "request.tsq").write_bytes(asked.encoded)
    openssl("ts", "-reply", "-config", "tsa.cnf", "-queryfile", "request.tsq", "-out", "answer.tsr")

    token = timestamps.read_answer((tmp_path / "answer.tsr").read_bytes(), asked)

    assert token.stamps(b"a message")
    assert (token.policy, token.serial, token.hash_algorithm) == ("1.2.3.4", 11, algorithm)
    assert token.accuracy == timedelta(seconds=1.5)
    assert abs(token.generated_at - now) < timedelta(minutes=1)
    policy, evidence = Policy(anchors=(above.root.der,)), Evidence(crls=above.crls(now))
    found = timestamps.judge(token, policy, evidence, token.generated_at)
    assert found.chain == (signer.der, above.issuing.der, above.root.der)


def test_a_stamp_is_judged_by_chain_and_revocation(demo: DemoTimeStamps, trust: tuple[Policy, Evidence]) -> None:
    found = timestamps.judge(stamp(demo.server), *trust, AT)

    assert found.chain == (demo.server.credential.der, demo.above.issuing.der, demo.above.root.der)
    assert set(found.revocation) == {hashlib.sha256(crl).hexdigest() for crl in trust[1].crls}


@pytest.mark.parametrize("size", [0, 16, 20, 28, 33])
def test_a_digest_of_another_size_is_not_stamped(size: int) -> None:
    with pytest.raises(ValueError, match="SHA-256, SHA-384 or SHA-512"):
        timestamps.request(bytes(size))


def test_a_nonce_is_never_used_twice() -> None:
    assert len({timestamps.request(DIGEST).nonce for _ in range(50)}) == 50


def test_the_authority_refuses_what_it_does_not_do(demo: DemoTimeStamps) -> None:
    asked = timestamps.request(DIGEST, policy="1.2.3")
    sha1 = tsp.TimeStampReq.load(asked.encoded)
    sha1["message_imprint"] = {"hash_algorithm": {"algorithm": "sha1"}, "hashed_message": bytes(20)}

    def said(request: bytes) -> str:
        return refusal(lambda: timestamps.read_answer(demo.server.answer(request, AT), asked)).reason

    assert said(asked.encoded) == "The authority refused: unaccepted_policy."
    assert said(sha1.dump(force=True)) == "The authority refused: bad_alg."
    assert said(b"rubbish") == "The authority refused: bad_data_format."
    assert said(b"") == "The authority refused: bad_data_format."


# What is refused in an answer


def test_an_answer_to_another_request_is_refused(demo: DemoTimeStamps) -> None:
    asked, other = timestamps.request(DIGEST), timestamps.request(DIGEST)
    answer = demo.server.answer(other.encoded, AT)
    elsewhere = timestamps.request(hashlib.sha256(b"another").digest(), nonce=other.nonce)
    longer = timestamps.request(hashlib.sha512(b"a message").digest(), nonce=other.nonce)
    wanted = timestamps.request(DIGEST, policy="1.2.3", nonce=other.nonce)

    assert "its nonce differs" in refusal(lambda: timestamps.read_answer(answer, asked)).reason
    assert refusal(lambda: timestamps.read_answer(answer, elsewhere)).sub is Sub.HASH_FAILURE
    assert refusal(lambda: timestamps.read_answer(answer, longer)).sub is Sub.HASH_FAILURE
    assert "another policy" in refusal(lambda: timestamps.read_answer(answer, wanted)).reason
    assert timestamps.read_answer(answer, other).nonce == other.nonce


def test_a_granted_answer_without_a_token_is_refused() -> None:
    answer = timestamps.Answer({"status": {"status": "granted"}}).dump()

    said = refusal(lambda: timestamps.read_answer(answer, timestamps.request(DIGEST)))
    assert said.reason == "The authority granted the time stamp, but did not send it."


def test_what_an_authority_says_is_shown_without_control_characters() -> None:
    status = {"status": "rejection", "status_string": ["no\x1b[31m\n" + "x" * 500]}

    said = refusal(
        lambda: timestamps.read_answer(timestamps.Answer({"status": status}).dump(), timestamps.request(DIGEST))
    )
    assert said.reason.startswith("The authority refused: no[31mxxx")
    assert len(said.reason) < 250


@pytest.fixture(scope="module")
def token(demo: DemoTimeStamps) -> bytes:
    return stamp(demo.server).encoded


@given(data=st.data())
def test_a_token_with_any_byte_changed_is_never_taken_for_another(token: bytes, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(token) - 1))
    changed = bytearray(token)
    changed[place] ^= data.draw(st.integers(1, 255))

    try:
        found = timestamps.read(bytes(changed))
    except TimeStampError:
        return
    # What the authority did not sign may differ (a certificate it does not use); what it said may not.
    said = timestamps.read(token)
    assert (found.imprint, found.generated_at, found.nonce, found.serial) == (
        said.imprint,
        said.generated_at,
        said.nonce,
        said.serial,
    )


@given(st.binary(max_size=2000))
def test_rubbish_is_refused_and_breaks_nothing(rubbish: bytes) -> None:
    with pytest.raises(TimeStampError):
        timestamps.read(rubbish)
    with pytest.raises(TimeStampError):
        timestamps.read_answer(rubbish, timestamps.request(DIGEST))
    with pytest.raises(TimeStampError):
        cades.tokens_in(rubbish)


def test_a_token_is_bounded(token: bytes) -> None:
    assert refusal(lambda: timestamps.read(b"")).sub is Sub.FORMAT_FAILURE
    assert refusal(lambda: timestamps.read(token + b"\0")).sub is Sub.FORMAT_FAILURE
    assert refusal(lambda: timestamps.read(token[:-1])).sub is Sub.FORMAT_FAILURE
    assert refusal(lambda: timestamps.read(b"0" * (timestamps.MAX_TOKEN + 1))).sub is Sub.FORMAT_FAILURE


def test_a_signature_is_no_time_stamp(shared_authority: Authority) -> None:
    said = refusal(lambda: timestamps.read(sign(PAYLOAD, issue(shared_authority), AT)))
    assert said.reason == "The time stamp is not in order: it holds no time."


def changed(demo: DemoTimeStamps, change: Callable[[cms.SignedData], None]) -> bytes:
    envelope = cms.ContentInfo.load(stamp(demo.server).encoded)
    change(envelope["content"])
    return bytes(envelope.dump(force=True))


def _drop(kind: str) -> Callable[[cms.SignedData], None]:
    def change(signed: cms.SignedData) -> None:
        signer = signed["signer_infos"][0]
        kept = [one for one in signer["signed_attrs"] if one["type"].native != kind]
        signer["signed_attrs"] = cms.CMSAttributes(kept)

    return change


def _other_time(signed: cms.SignedData) -> None:
    said = tsp.TSTInfo.load(bytes(signed["encap_content_info"]["content"]))
    said["gen_time"] = AT - timedelta(days=100)
    signed["encap_content_info"]["content"] = core.ParsableOctetString(said.dump(force=True))


def _without_certificates(signed: cms.SignedData) -> None:
    signed["certificates"] = cms.CertificateSet([])


def _two_signers(signed: cms.SignedData) -> None:
    signed["signer_infos"] = [signed["signer_infos"][0], signed["signer_infos"][0]]


@pytest.mark.parametrize(
    ("change", "sub"),
    [
        (_drop("signing_certificate_v2"), Sub.FORMAT_FAILURE),
        (_drop("message_digest"), Sub.SIG_CRYPTO_FAILURE),
        (_drop("signing_time"), Sub.SIG_CRYPTO_FAILURE),
        (_other_time, Sub.SIG_CRYPTO_FAILURE),
        (_without_certificates, Sub.NO_SIGNING_CERTIFICATE_FOUND),
        (_two_signers, Sub.FORMAT_FAILURE),
    ],
)
def test_a_changed_token_is_refused(demo: DemoTimeStamps, change: Callable[[cms.SignedData], None], sub: Sub) -> None:
    assert refusal(lambda: timestamps.read(changed(demo, change))).sub is sub


# Whose stamp counts


def server_with(*purposes: x509.ObjectIdentifier, critical: bool = True) -> TimeStampAuthority:
    above = Authority.create(AT)
    extensions = [(x509.ExtendedKeyUsage(purposes), critical)] if purposes else []
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "TSA")])
    return TimeStampAuthority(
        above.certify(subject, new_key("p256"), AT - DAY, AT + DAY, eku=None, extensions=extensions)
    )


@pytest.mark.parametrize(
    "server",
    [
        server_with(),
        server_with(ExtendedKeyUsageOID.TIME_STAMPING, critical=False),
        server_with(ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.CODE_SIGNING),
        server_with(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE),
        server_with(ExtendedKeyUsageOID.EMAIL_PROTECTION),
    ],
    ids=["no purpose", "not critical", "code signing too", "any", "mail"],
)
def test_only_a_certificate_for_time_stamps_alone_stamps(server: TimeStampAuthority) -> None:
    assert refusal(lambda: stamp(server)).sub is Sub.CHAIN_CONSTRAINTS_FAILURE


def test_a_stamp_counts_only_with_a_trusted_authority_within_its_time(
    demo: DemoTimeStamps, trust: tuple[Policy, Evidence]
) -> None:
    policy, evidence = trust
    stranger = Policy(anchors=(Authority.create(AT).root.der,))
    found = stamp(demo.server)

    def sub(policy: Policy, evidence: Evidence, at: datetime, token: timestamps.Token = found) -> Sub:
        return refusal(lambda: timestamps.judge(token, policy, evidence, at)).sub

    assert sub(stranger, evidence, AT) is Sub.NO_CERTIFICATE_CHAIN_FOUND
    assert sub(policy, Evidence(), AT) is Sub.TRY_LATER
    assert sub(policy, evidence, AT - timedelta(minutes=5)) is Sub.TIMESTAMP_ORDER_FAILURE
    assert sub(policy, evidence, found.ends_at + DAY) in {Sub.OUT_OF_BOUNDS_NO_POE, Sub.OUT_OF_BOUNDS_NOT_REVOKED}
    early = stamp(demo.server, at=AT - timedelta(days=700))
    assert sub(policy, evidence, AT, early) is Sub.OUT_OF_BOUNDS_NO_POE


def test_a_revoked_authority_stamps_no_longer(demo: DemoTimeStamps, trust: tuple[Policy, Evidence]) -> None:
    above = Authority(demo.above.root, demo.above.issuing, {demo.server.credential.serial: AT - DAY})

    said = refusal(lambda: timestamps.judge(stamp(demo.server), trust[0], Evidence(crls=above.crls(AT)), AT))
    assert said.sub is Sub.REVOKED_NO_POE


def test_a_stamp_by_a_weak_key_does_not_count() -> None:
    weak = DemoTimeStamps.create(AT, key_type="rsa-1024")
    policy = Policy(anchors=(weak.above.root.der, weak.server.credential.der))

    said = refusal(lambda: timestamps.judge(stamp(weak.server), policy, Evidence(crls=weak.above.crls(AT)), AT))
    assert said.sub is Sub.CRYPTO_CONSTRAINTS_FAILURE


# CAdES-T


@pytest.fixture(params=["p256", "rsa-3072", "ed25519"])
def signed(request: pytest.FixtureRequest, shared_authority: Authority) -> bytes:
    signer: Credential = issue(shared_authority, key_type=request.param)
    return sign(PAYLOAD, signer, AT)


def test_a_token_joins_a_signature_and_nothing_signed_changes(
    signed: bytes, demo: DemoTimeStamps, shared_authority: Authority, tmp_path: Path, openssl: Callable[..., str]
) -> None:
    value = cades.stamped_value(signed)
    token = stamp(demo.server, hashlib.sha256(value).digest())

    joined = cades.attach(signed, token.encoded)

    der.check(joined)
    before, after = (cms.ContentInfo.load(one)["content"]["signer_infos"][0] for one in (signed, joined))
    for part in ("signed_attrs", "signature", "sid", "signature_algorithm"):
        assert before[part].dump() == after[part].dump()
    assert signed.split(value)[0][-200:] in joined
    assert cades.tokens_in(signed) == ()
    assert cades.tokens_in(joined) == (token.encoded,)
    assert cades.attach(joined, token.encoded) == joined
    assert gate.admit(joined).message_digest == hashlib.sha256(PAYLOAD).digest()
    if "ed25519" not in str(cms.ContentInfo.load(signed).native):  # OpenSSL wants SHA-512 beside Ed25519
        (tmp_path / "signature.p7s").write_bytes(joined)
        (tmp_path / "payload").write_bytes(PAYLOAD)
        (tmp_path / "root.pem").write_bytes(shared_authority.root.pem)
        openssl(
            "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", "signature.p7s", "-content", "payload",
            "-CAfile", "root.pem", "-purpose", "any", "-attime", str(int(AT.timestamp())), "-out", "out",
        )  # fmt: skip


def test_a_second_token_joins_beside_the_first(signed: bytes, demo: DemoTimeStamps) -> None:
    digest = hashlib.sha256(cades.stamped_value(signed)).digest()
    first, second = stamp(demo.server, digest), stamp(demo.server, digest, AT + DAY)

    joined = cades.attach(cades.attach(signed, first.encoded), second.encoded)

    assert set(cades.tokens_in(joined)) == {first.encoded, second.encoded}
    encodings = [one.dump() for one in cms.ContentInfo.load(joined)["content"]["signer_infos"][0]["unsigned_attrs"]]
    assert encodings == sorted(encodings)


def test_a_token_of_another_signature_does_not_join(signed: bytes, token: bytes) -> None:
    assert refusal(lambda: cades.attach(signed, token)).sub is Sub.HASH_FAILURE
    assert refusal(lambda: cades.attach(b"rubbish", token)).sub is Sub.FORMAT_FAILURE
