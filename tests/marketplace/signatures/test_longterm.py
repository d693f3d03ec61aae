from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.signatures import Evidence, Indication, Policy, Sub, cades, longterm, timestamps, verification
from marketplace.signatures.authority import DEFAULT_EKU, Authority, KeyType
from marketplace.signatures.dossier import Archive, Batch, Dossier, Kept
from marketplace.signatures.longterm import LongTermPolicy, LongTermReport
from marketplace.signatures.sign import sign
from marketplace.signatures.timestamp_authority import DemoTimeStamps, TimeStampAuthority, credential
from tests.marketplace.signatures.conftest import AT, IDENTIFIER, PAYLOAD, issue

DAY, YEAR = timedelta(days=1), timedelta(days=365)
STAMPED = AT + timedelta(seconds=3)
#: What the demonstration's authority says of its clock.
ACCURACY = timedelta(seconds=1)


def year(number: int) -> datetime:
    return datetime(number, 6, 1, tzinfo=UTC)


IN_2029 = year(2029)


@dataclass
class Archivist:
    """Keeps signatures as the platform does: their evidence, a stamp on receipt, archive stamps when told."""

    authority: Authority
    demo: DemoTimeStamps

    def dossier(self, key_type: KeyType = "p256", payload: bytes = PAYLOAD) -> Dossier:
        """A signature taken at AT and stamped three seconds later."""
        signer = issue(self.authority, key_type=key_type)
        cms = sign(payload, signer, AT)
        stamp = self.token(hashlib.sha256(cades.stamped_value(cms)).digest(), STAMPED)
        return Dossier(
            cms=cms,
            payload=payload,
            chain=tuple(map(Kept.of, (signer.der, self.authority.issuing.der, self.authority.root.der))),
            crls=tuple(map(Kept.of, self.authority.crls(AT))),
            stamp=Kept.of(stamp),
            stamp_certificates=tuple(map(Kept.of, self.chain())),
            stamp_crls=tuple(map(Kept.of, self.demo.above.crls(STAMPED))),
        )

    def token(self, digest: bytes, at: datetime, server: TimeStampAuthority | None = None) -> bytes:
        asked = timestamps.request(digest)
        return timestamps.read_answer((server or self.demo.server).answer(asked.encoded, at), asked).encoded

    def chain(self) -> tuple[bytes, ...]:
        return self.demo.server.credential.der, self.demo.above.issuing.der, self.demo.above.root.der

    def lists(self) -> tuple[bytes, ...]:
        return self.demo.above.crls(STAMPED)

    def restamp(
        self, dossiers: list[Dossier], at: datetime, algorithm: str = "sha512", by: DemoTimeStamps | None = None
    ) -> list[Dossier]:
        """All of them under one archive time stamp, with the word about the stamps before it as of then."""
        by = by or self.demo
        word = tuple(map(Kept.of, self.demo.above.crls(at)))
        with_word = [replace(one, stamp_crls=one.stamp_crls + word) for one in dossiers]
        batch = Batch.over(with_word, algorithm)
        token = Kept.of(self.token(batch.tree.root, at, by.server))
        chain = (by.server.credential.der, by.above.issuing.der, by.above.root.der)
        return [
            replace(
                one,
                archives=(*one.archives, batch.archive(index, token)),
                stamp_certificates=one.stamp_certificates + tuple(map(Kept.of, chain)),
                stamp_crls=one.stamp_crls + tuple(map(Kept.of, by.above.crls(at))),
            )
            for index, one in enumerate(with_word)
        ]

    def policy(self, **changed: Any) -> LongTermPolicy:
        anchors = changed.pop("stamping_anchors", (self.demo.above.root.der,))
        signing = Policy(
            anchors=(self.authority.root.der,), eku=DEFAULT_EKU, identifiers=frozenset({IDENTIFIER}), **changed
        )
        return LongTermPolicy(signing, Policy(anchors=anchors))


@pytest.fixture(scope="module")
def archivist(shared_authority: Authority) -> Archivist:
    return Archivist(shared_authority, DemoTimeStamps.create(AT))


@pytest.fixture(scope="module")
def dossier(archivist: Archivist) -> Dossier:
    return archivist.dossier()


@pytest.fixture
def judge(archivist: Archivist) -> Callable[..., LongTermReport]:
    def judge(
        dossier: Dossier,
        at: datetime = IN_2029,
        current: Evidence | None = None,
        sunsets: Mapping[str, datetime] | None = None,
        **policy: Any,
    ) -> LongTermReport:
        judged_by = replace(archivist.policy(**policy), sunsets=sunsets or {})
        return longterm.reverify(dossier, judged_by, at, current)

    return judge


Judge = Callable[..., LongTermReport]


def refused(found: LongTermReport, sub: Sub) -> None:
    assert found.report.sub_indication is sub, (found.report.sub_indication, found.report.reasons)
    assert not found.passed
    assert found.report.reasons


# What passes


@pytest.fixture
def revoked_before(archivist: Archivist) -> Dossier:
    """Taken at AT though its certificate was revoked the day before: it came with a time stamp from before that."""
    authority = replace(archivist.authority, revoked={})
    other = DemoTimeStamps.create(AT, key_type="p256")
    signer = issue(authority)
    authority.revoke(signer.serial, AT - DAY)
    bare = sign(PAYLOAD, signer, AT)
    digest = hashlib.sha256(cades.stamped_value(bare)).digest()
    cms = cades.attach(bare, archivist.token(digest, AT - 2 * DAY, other.server))
    lists = {hashlib.sha256(one).hexdigest(): one for one in (*authority.crls(AT), *other.above.crls(AT))}
    policy = replace(archivist.policy().signing, tsa_anchors=(other.above.root.der,))
    report = verification.verify(cms, PAYLOAD, policy, AT, Evidence(crls=tuple(lists.values())))
    assert report.passed
    stamps = (other.server.credential.der, other.above.issuing.der, other.above.root.der)
    assert report.stamp_chain == tuple(Kept.of(one).sha256 for one in stamps)
    return Dossier(
        cms=cms,
        payload=PAYLOAD,
        chain=tuple(map(Kept.of, (signer.der, authority.issuing.der, authority.root.der))),
        crls=tuple(Kept.of(lists[one]) for one in report.revocation),
        stamp=Kept.of(archivist.token(digest, STAMPED)),
        stamp_certificates=tuple(map(Kept.of, (*stamps, *archivist.chain()))),
        stamp_crls=(*(Kept.of(lists[one]) for one in report.stamp_revocation), *map(Kept.of, archivist.lists())),
    )


def test_a_time_stamp_that_came_with_the_signature_still_proves_it_later(
    archivist: Archivist, revoked_before: Dossier, judge: Judge
) -> None:
    own = archivist.demo.above.root.der
    trusted = (*(one.der for one in revoked_before.stamp_certificates), own)

    found = judge(revoked_before, stamping_anchors=trusted)

    assert found.passed, found.report.reasons
    assert (found.report.timestamp, found.proven_at) == (STAMPED, STAMPED + ACCURACY)
    refused(judge(revoked_before, stamping_anchors=(own,)), Sub.REVOKED_NO_POE)
    unkept = replace(revoked_before, stamp_certificates=tuple(map(Kept.of, archivist.chain())))
    refused(judge(unkept, stamping_anchors=trusted), Sub.REVOKED_NO_POE)
    refused(judge(replace(revoked_before, stamp_crls=revoked_before.stamp_crls[2:])), Sub.REVOKED_NO_POE)


def test_the_algorithms_of_a_time_stamp_that_came_with_the_signature_end_the_proof(
    archivist: Archivist, revoked_before: Dossier, judge: Judge
) -> None:
    trusted = tuple(one.der for one in revoked_before.stamp_certificates)
    trust = timestamps.Trusted(archivist.chain(), ())

    assert {"p256", "p384"} <= longterm.algorithms_of(revoked_before, trust)
    refused(
        judge(revoked_before, stamping_anchors=trusted, sunsets={"p256": year(2028)}),
        Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE,
    )


def test_a_stamp_proves_the_latest_moment_its_clock_may_mean(archivist: Archivist, judge: Judge) -> None:
    """Revoked between the time stated and the end of its accuracy: nobody knows which was first."""
    dossier = archivist.dossier()
    serial = int(longterm.x509.Certificate.load(dossier.chain[0].der).serial_number)
    digest = hashlib.sha256(cades.stamped_value(dossier.cms)).digest()

    def judged(accuracy: int) -> LongTermReport:
        revoked = replace(archivist.authority, revoked={serial: STAMPED + timedelta(seconds=30)})
        token = archivist.token(digest, STAMPED, replace(archivist.demo.server, accuracy_seconds=accuracy))
        crls = tuple(map(Kept.of, revoked.crls(STAMPED + timedelta(hours=1, seconds=30))))  # of thirty seconds later
        return judge(replace(dossier, stamp=Kept.of(token), crls=(*dossier.crls, *crls)))

    assert judged(29).passed
    refused(judged(30), Sub.REVOKED_NO_POE)


def test_a_signature_passes_after_its_certificate_expired(dossier: Dossier, judge: Judge) -> None:
    found = judge(dossier, at=year(2029))  # the signer's certificate ended in October 2027

    assert found.report.indication is Indication.PASSED
    assert (found.report.timestamp, found.proven_at) == (STAMPED, STAMPED + ACCURACY)
    assert found.rests_on == (
        (
            "Whether the certificate of Openlot Demo Time Stamps TSA was revoked between 2026-11-22 10:00:03 UTC and "
            "2029-06-01 00:00:00 UTC is not known."
        ),
        "The signature existed on 2026-11-22 10:00:03 UTC: time stamp by Openlot Demo Time Stamps TSA (SHA256).",
        (
            "The signer’s certificate was valid on 2026-11-22 10:00:04 UTC and led to a trusted authority by a chain "
            "of 3 kept certificates; 2 kept pieces of revocation data did not name it."
        ),
    )


def test_a_signature_passes_after_its_certificate_was_revoked(
    archivist: Archivist, dossier: Dossier, judge: Judge
) -> None:
    serial = longterm.x509.Certificate.load(dossier.chain[0].der).serial_number
    later = replace(archivist.authority, revoked={serial: AT + DAY}, issuing_revoked_at=AT + DAY)

    # Nobody asks today's lists about the signer: that it existed before is proven.
    assert judge(dossier, current=Evidence(crls=later.crls(year(2029)))).passed


def test_todays_word_about_the_newest_authority_is_asked(archivist: Archivist, dossier: Dossier, judge: Judge) -> None:
    at = year(2029)
    above = archivist.demo.above
    revoked = replace(above, revoked={archivist.demo.server.credential.serial: at - DAY})

    fresh = judge(dossier, at=at, current=Evidence(crls=above.crls(at)))
    assert fresh.passed
    assert not any("not known" in one for one in fresh.rests_on)
    refused(judge(dossier, at=at, current=Evidence(crls=revoked.crls(at))), Sub.REVOKED_NO_POE)


@pytest.mark.parametrize("key_type", ["p256", "p384", "rsa-2048", "rsa-3072", "ed25519"])
def test_every_kind_of_key_passes_later(archivist: Archivist, judge: Judge, key_type: KeyType) -> None:
    (stamped,) = archivist.restamp([archivist.dossier(key_type)], year(2030))

    assert judge(stamped, at=year(2031), sunsets={"rsa-2048": year(2030) + DAY}).passed


def test_a_stamp_made_again_in_time_outlives_algorithm_and_certificate(
    archivist: Archivist, dossier: Dossier, judge: Judge
) -> None:
    sunsets = {"sha256": year(2031), "p256": year(2031)}
    later = DemoTimeStamps.create(year(2031))
    (again,) = archivist.restamp([dossier], year(2030))
    anchors = (archivist.demo.above.root.der, later.above.root.der)
    (twice,) = Archivist(archivist.authority, archivist.demo).restamp([again], year(2031), by=later)

    assert judge(again, at=year(2030) + DAY, sunsets=sunsets).passed
    found = judge(twice, at=year(2035), sunsets=sunsets, stamping_anchors=anchors)
    assert found.passed, found.report.reasons
    assert [one.split(":")[0] for one in found.rests_on if "existed" in one] == [
        "Signature, evidence and earlier stamps existed on 2031-06-01 00",
        "Signature, evidence and earlier stamps existed on 2030-06-01 00",
        "The signature existed on 2026-11-22 10",
    ]
    # Without the second, the first authority's certificate ended in November 2031.
    refused(judge(again, at=year(2035), sunsets=sunsets), Sub.OUT_OF_BOUNDS_NO_POE)


def test_a_weak_authority_of_today_does_not_undo_what_was_proven_in_time(archivist: Archivist, judge: Judge) -> None:
    (again,) = archivist.restamp([archivist.dossier("rsa-2048")], year(2029))

    assert judge(again, at=year(2031), sunsets={"rsa-2048": year(2030)}).passed


# What does not


def test_a_sunset_without_a_new_stamp_ends_the_proof(dossier: Dossier, judge: Judge) -> None:
    sunset = year(2028)

    assert judge(dossier, at=sunset - DAY, sunsets={"sha256": sunset}).passed
    refused(judge(dossier, at=sunset, sunsets={"sha256": sunset}), Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE)
    assert judge(dossier, at=sunset, sunsets={"sha512": sunset, "ed25519": sunset}).passed


def test_a_new_stamp_after_the_sunset_comes_too_late(archivist: Archivist, dossier: Dossier, judge: Judge) -> None:
    (late,) = archivist.restamp([dossier], year(2029))

    refused(judge(late, at=year(2030), sunsets={"p256": year(2028)}), Sub.CRYPTO_CONSTRAINTS_FAILURE_NO_POE)


def test_a_stamp_ends_with_its_certificate(dossier: Dossier, judge: Judge) -> None:
    refused(judge(dossier, at=AT + 6 * YEAR), Sub.OUT_OF_BOUNDS_NO_POE)


def test_a_signature_without_a_stamp_is_judged_as_of_today(dossier: Dossier, judge: Judge) -> None:
    bare = replace(dossier, stamp=None)

    assert judge(bare, at=AT + DAY).passed
    found = judge(bare, at=year(2029))
    assert not found.passed
    assert found.proven_at is None
    assert found.report.reasons[-1] == "The signature has no time stamp."


def test_a_certificate_revoked_before_the_stamp_does_not_pass(archivist: Archivist, judge: Judge) -> None:
    dossier = archivist.dossier()
    serial = int(longterm.x509.Certificate.load(dossier.chain[0].der).serial_number)
    revoked = replace(archivist.authority, revoked={serial: AT - DAY})

    refused(judge(replace(dossier, crls=tuple(map(Kept.of, revoked.crls(AT)))), at=year(2029)), Sub.REVOKED_NO_POE)


def test_an_authority_of_stamps_revoked_before_the_next_stamp_proves_nothing(
    archivist: Archivist, dossier: Dossier, judge: Judge
) -> None:
    at = year(2030)
    above = archivist.demo.above
    revoked = replace(above, revoked={archivist.demo.server.credential.serial: at - DAY})
    other = DemoTimeStamps.create(at)
    keeper = Archivist(archivist.authority, DemoTimeStamps(revoked, archivist.demo.server))
    (again,) = keeper.restamp([dossier], at, by=other)
    anchors = (above.root.der, other.above.root.der)

    refused(judge(again, at=year(2031), stamping_anchors=anchors), Sub.REVOKED_NO_POE)


@pytest.mark.parametrize(
    ("change", "sub"),
    [
        (lambda one: replace(one, payload=b"{}"), Sub.HASH_FAILURE),
        (lambda one: replace(one, payload=None), Sub.SIGNED_DATA_NOT_FOUND),
        (lambda one: replace(one, chain=()), Sub.NO_CERTIFICATE_CHAIN_FOUND),
        (lambda one: replace(one, crls=()), Sub.TRY_LATER),
        (lambda one: replace(one, stamp_crls=()), Sub.TRY_LATER),
        (lambda one: replace(one, stamp=Kept.of(b"rubbish")), Sub.FORMAT_FAILURE),
        (lambda one: replace(one, stamp=Kept(one.stamp.sha256, one.stamp.der + b"\0")), Sub.GENERIC),
        (lambda one: replace(one, cms=one.cms[:-1] + bytes([one.cms[-1] ^ 1])), Sub.HASH_FAILURE),
        (lambda one: replace(one, cms=b""), Sub.FORMAT_FAILURE),
        (lambda one: replace(one, chain=(Kept.of(b"rubbish"),)), Sub.FORMAT_FAILURE),
        (lambda one: replace(one, crls=(Kept.of(b"rubbish"),)), Sub.FORMAT_FAILURE),
    ],
)
def test_tampered_evidence_is_a_verdict(
    dossier: Dossier, judge: Judge, change: Callable[[Dossier], Dossier], sub: Sub
) -> None:
    refused(judge(change(dossier)), sub)


def test_evidence_of_strangers_does_not_pass(archivist: Archivist, dossier: Dossier, judge: Judge) -> None:
    stranger = Archivist(Authority.create(AT), DemoTimeStamps.create(AT))
    other = stranger.dossier()

    refused(judge(replace(dossier, stamp=other.stamp)), Sub.HASH_FAILURE)
    refused(judge(other), Sub.NO_CERTIFICATE_CHAIN_FOUND)
    own = Archivist(stranger.authority, archivist.demo).dossier()
    refused(judge(own), Sub.NO_CERTIFICATE_CHAIN_FOUND)


# Archive time stamps


@pytest.fixture(scope="module")
def batch(archivist: Archivist, dossier: Dossier) -> list[Dossier]:
    others = [archivist.dossier(payload=f'{{"lot":{number}}}'.encode()) for number in range(6)]
    return archivist.restamp([dossier, *others], year(2030))


def test_one_token_covers_a_whole_batch(batch: list[Dossier], judge: Judge) -> None:
    assert {one.archives[0].token.sha256 for one in batch} == {batch[0].archives[0].token.sha256}
    assert [judge(one, at=year(2031)).passed for one in batch] == [True] * 7


def test_the_proof_of_another_signature_does_not_serve(batch: list[Dossier], judge: Judge) -> None:
    refused(judge(replace(batch[0], archives=batch[1].archives), at=year(2031)), Sub.HASH_FAILURE)


def test_what_an_archive_stamp_does_not_cover_does_not_count(
    archivist: Archivist, batch: list[Dossier], judge: Judge
) -> None:
    later = tuple(map(Kept.of, archivist.authority.crls(AT + timedelta(hours=2))))

    assert judge(replace(batch[0], crls=batch[0].crls + later), at=year(2031)).passed
    # A list made up since, after the authority's key was broken, is not looked at.
    refused(judge(replace(batch[0], crls=later), at=year(2031)), Sub.TRY_LATER)


@pytest.mark.parametrize(
    "change",
    [
        lambda one: replace(one, covers=one.covers[1:]),
        lambda one: replace(one, covers=(*one.covers, "00" * 64)),
        lambda one: replace(one, index=one.index + 1),
        lambda one: replace(one, size=1),
        lambda one: replace(one, path=one.path[:-1]),
        lambda one: replace(one, path=("zz", *one.path[1:])),
        lambda one: replace(one, hash_algorithm="sha256"),
        lambda one: replace(one, hash_algorithm="md5"),
        lambda one: replace(one, hash_algorithm="no such"),
        lambda one: replace(one, token=Kept.of(b"rubbish")),
    ],
)
def test_a_tampered_archive_is_a_verdict(
    batch: list[Dossier], judge: Judge, change: Callable[[Archive], Archive]
) -> None:
    found = judge(replace(batch[0], archives=(change(batch[0].archives[0]),)), at=year(2031))

    assert not found.passed
    assert found.report.reasons


def test_stamps_out_of_order_do_not_pass(archivist: Archivist, dossier: Dossier, judge: Judge) -> None:
    (first,) = archivist.restamp([dossier], year(2029))
    (second,) = archivist.restamp([first], year(2028))

    refused(judge(second, at=year(2030)), Sub.TIMESTAMP_ORDER_FAILURE)


@given(st.data())
def test_no_byte_of_the_evidence_can_change_unnoticed(
    archivist: Archivist, batch: list[Dossier], data: st.DataObject
) -> None:
    one = batch[0]
    part = data.draw(st.sampled_from(["cms", "payload", "stamp", "token", "chain"]))
    content = {
        "cms": one.cms,
        "payload": one.payload or b"",
        "stamp": one.stamp.der if one.stamp else b"",
        "token": one.archives[0].token.der,
        "chain": one.chain[0].der,
    }[part]
    changed = bytearray(content)
    changed[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    kept = Kept.of(bytes(changed))
    forged = {
        "cms": replace(one, cms=kept.der),
        "payload": replace(one, payload=kept.der),
        "stamp": replace(one, stamp=kept),
        "token": replace(one, archives=(replace(one.archives[0], token=kept),)),
        "chain": replace(one, chain=(kept, *one.chain[1:])),
    }[part]

    found = longterm.reverify(forged, archivist.policy(), year(2031))

    # A time stamp may carry bytes that its authority did not sign and nobody needs; everything else is covered.
    if part != "token":
        assert not found.passed
    assert found.report.passed or found.report.reasons


def test_a_proof_is_kept_and_read_again(batch: list[Dossier]) -> None:
    archive = batch[0].archives[0]

    assert Archive.from_proof(archive.token, archive.proof()) == archive
    for broken in ({}, archive.proof() | {"format": "another"}, archive.proof() | {"index": "x"}):
        with pytest.raises((KeyError, ValueError)):
            Archive.from_proof(archive.token, broken)


def test_which_algorithms_a_dossier_rests_on(archivist: Archivist, dossier: Dossier, batch: list[Dossier]) -> None:
    trust = timestamps.Trusted(archivist.chain(), ())

    assert longterm.algorithms_of(dossier, trust) == {"sha256", "sha384", "p256", "p384"}
    assert longterm.algorithms_of(batch[0], trust) == {"sha512", "sha384", "p384"}
    with pytest.raises(ValueError, match="no time stamp"):
        longterm.algorithms_of(replace(dossier, stamp=None), trust)


def test_a_stamp_of_a_certificate_trusted_by_itself_passes(archivist: Archivist, judge: Judge) -> None:
    alone = credential(DemoTimeStamps.create(AT).above, AT)
    keeper = Archivist(archivist.authority, archivist.demo)
    dossier = keeper.dossier()
    digest = hashlib.sha256(cades.stamped_value(dossier.cms)).digest()
    stamp = Kept.of(keeper.token(digest, STAMPED, TimeStampAuthority(alone)))

    assert judge(replace(dossier, stamp=stamp), stamping_anchors=(alone.der,)).passed
