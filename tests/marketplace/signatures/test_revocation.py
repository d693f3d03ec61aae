"""Our index of simple lists beside pyHanko's own code, the lists that are pyHanko's, and what the index is brought."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from asn1crypto import crl
from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ObjectIdentifier
from pyhanko_certvalidator import ValidationContext, errors
from pyhanko_certvalidator.policy_decl import REQUIRE_REVINFO, CertRevTrustPolicy
from pyhanko_certvalidator.revinfo.validate_crl import verify_crl

from marketplace.signatures import Evidence, IndexedList, LeftOut, Policy, Revocation, Sub, chain, lists, verification
from marketplace.signatures.algorithms import Strength
from marketplace.signatures.authority import DEFAULT_EKU, Authority, _certificate, _key_usage, new_key
from marketplace.signatures.paths import Path, Store, valid_paths
from marketplace.signatures.revocation import Knowledge, Standing, State
from marketplace.signatures.sign import Credential, sign
from tests.marketplace.signatures.conftest import AT, IDENTIFIER, PAYLOAD, issue
from tests.patience import PATIENCE_S

DAY = timedelta(days=1)
Builder = x509.CertificateRevocationListBuilder
Change = Callable[[Builder], Builder]
HOLD = x509.CRLReason(x509.ReasonFlags.certificate_hold)
LIFTED = x509.CRLReason(x509.ReasonFlags.remove_from_crl)
KEY_LOST = x509.CRLReason(x509.ReasonFlags.key_compromise)


def a_list(
    issuer: Credential,
    *revoked: tuple[int, x509.CRLReason | None],
    start: datetime = AT - DAY,
    end: datetime = AT + DAY,
    change: Change = lambda builder: builder,
    revoked_at: datetime = AT - 2 * DAY,
) -> bytes:
    builder = Builder(issuer.certificate.subject, start, end)
    for serial, reason in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(revoked_at)
        builder = builder.add_revoked_certificate((entry.add_extension(reason, False) if reason else entry).build())
    return change(builder).sign(issuer.key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def point(**said: bool) -> Change:
    flags = {"only_contains_user_certs": False, "only_contains_ca_certs": False, "indirect_crl": False} | said
    return lambda builder: builder.add_extension(
        x509.IssuingDistributionPoint(
            None,
            None,
            flags["only_contains_user_certs"],
            flags["only_contains_ca_certs"],
            None,
            flags["indirect_crl"],
            False,
        ),
        True,
    )


def path_of(authority: Authority, signer: Credential) -> Path:
    policy = Policy(anchors=(authority.root.der,), intermediates=(authority.issuing.der,))
    return valid_paths(asn1.Certificate.load(signer.der), (), Store.of(policy), Strength(2048), AT)[0]


def ours(path: Path, *crls: bytes, moment: datetime = AT, ocsps: tuple[bytes, ...] = ()) -> Standing:
    return Knowledge(Evidence(crls=crls, ocsps=ocsps), Strength(2048), AT, lists.Shelf()).standing(path, 0, moment)


def pyhankos(path: Path, *crls: bytes) -> State:
    """What pyHanko's own code makes of the same lists."""
    context = ValidationContext(
        trust_roots=[path.judged.trust_anchor],
        other_certs=path.certificates,
        moment=AT,
        allow_fetching=False,
        crls=[crl.CertificateList.load(der) for der in crls],
        revinfo_policy=CertRevTrustPolicy(REQUIRE_REVINFO),
        time_tolerance=timedelta(seconds=1),
    )
    context.record_validation(path.certificates[1], path.judged.copy_and_drop_leaf())
    try:
        asyncio.run(verify_crl(path.certificates[0], path.judged, context))
    except errors.RevokedError as error:
        return State.ON_HOLD if error.reason.native == "certificate_hold" else State.REVOKED
    except errors.CRLValidationIndeterminateError as error:
        return State.STALE if error.suspect_stale else State.UNKNOWN
    except errors.CRLValidationError:
        return State.UNKNOWN
    return State.GOOD


SCENARIOS: dict[str, tuple[Callable[[Authority, int], bytes], State]] = {
    "empty": (lambda one, serial: a_list(one.issuing), State.GOOD),
    "others": (lambda one, serial: a_list(one.issuing, (serial + 1, None), (7, KEY_LOST)), State.GOOD),
    "revoked": (lambda one, serial: a_list(one.issuing, (serial, None)), State.REVOKED),
    "revoked, why": (lambda one, serial: a_list(one.issuing, (7, None), (serial, KEY_LOST)), State.REVOKED),
    "on hold": (lambda one, serial: a_list(one.issuing, (serial, HOLD)), State.ON_HOLD),
    "hold lifted": (lambda one, serial: a_list(one.issuing, (serial, LIFTED)), State.GOOD),
    "revoked in the future": (
        lambda one, serial: a_list(one.issuing, (serial, None), revoked_at=AT + DAY),
        State.GOOD,
    ),
    "stale": (lambda one, serial: a_list(one.issuing, start=AT - 3 * DAY, end=AT - DAY), State.STALE),
    "other key": (lambda one, serial: a_list(replace(one.issuing, key=new_key("p256"))), State.UNKNOWN),
    "namesake": (lambda one, serial: a_list(Authority.create(AT).issuing), State.UNKNOWN),
    "root's": (lambda one, serial: a_list(one.root, (serial, None)), State.UNKNOWN),
    "numbered": (
        lambda one, serial: a_list(one.issuing, change=lambda b: b.add_extension(x509.CRLNumber(5), False)),
        State.GOOD,
    ),
    "people only": (
        lambda one, serial: a_list(one.issuing, change=point(only_contains_user_certs=True)),
        State.GOOD,
    ),
    "people only, revoked": (
        lambda one, serial: a_list(one.issuing, (serial, None), change=point(only_contains_user_certs=True)),
        State.REVOKED,
    ),
    "authorities only": (
        lambda one, serial: a_list(one.issuing, change=point(only_contains_ca_certs=True)),
        State.UNKNOWN,
    ),
    "indirect": (lambda one, serial: a_list(one.issuing, change=point(indirect_crl=True)), State.GOOD),
    "delta": (
        lambda one, serial: a_list(one.issuing, change=lambda b: b.add_extension(x509.DeltaCRLIndicator(1), True)),
        State.UNKNOWN,
    ),
    "unknown critical": (
        lambda one, serial: a_list(
            one.issuing,
            change=lambda b: b.add_extension(
                x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True
            ),
        ),
        State.UNKNOWN,
    ),
    "unknown": (
        lambda one, serial: a_list(
            one.issuing,
            change=lambda b: b.add_extension(
                x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00"), False
            ),
        ),
        State.GOOD,
    ),
}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_index_and_pyhanko_agree(authority: Authority, signer: Credential, scenario: str) -> None:
    make, expected = SCENARIOS[scenario]
    found, path = make(authority, signer.serial), path_of(authority, signer)

    assert ours(path, found).state is expected
    assert pyhankos(path, found) is expected


@pytest.mark.parametrize("first", SCENARIOS)
def test_what_another_list_adds_is_never_less_strict_than_pyhanko(
    authority: Authority, signer: Credential, first: str
) -> None:
    path = path_of(authority, signer)
    one = SCENARIOS[first][0](authority, signer.serial)
    order = [State.GOOD, State.UNKNOWN, State.STALE, State.ON_HOLD, State.REVOKED]

    for make, _ in SCENARIOS.values():
        both = (one, make(authority, signer.serial))
        mine, theirs = ours(path, *both).state, pyhankos(path, *both)
        # A hold that the newest list does not repeat is over; these lists are all of one age, so it stands.
        assert order.index(mine) >= order.index(theirs) or theirs in (State.ON_HOLD, State.STALE), make


def test_list_of_a_sibling_authority_is_no_answer(authority: Authority) -> None:
    """pyHanko takes it for one: it was issued by the same authority and names the certificate nowhere."""
    key, name = new_key("p256"), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "Sibling")])
    ca = [(x509.BasicConstraints(True, 0), True), (_key_usage("key_cert_sign", "crl_sign"), True)]
    made = _certificate(name, key, authority.root.certificate.subject, authority.root.key, AT - DAY, AT + DAY, ca)
    sibling = Credential(made, key)
    policy = Policy(anchors=(authority.root.der,), intermediates=(sibling.der,), eku=DEFAULT_EKU)
    signature = sign(PAYLOAD, issue(authority), AT)
    evidence = Evidence(crls=(authority.crls(AT)[1], a_list(sibling)))

    assert verification.verify(signature, PAYLOAD, policy, AT, evidence).sub_indication == Sub.TRY_LATER


@pytest.mark.parametrize("revoked", [False, True])
def test_authority_may_sign_its_lists_with_another_key(authority: Authority, revoked: bool) -> None:
    """Its second certificate, for lists only, is the operator's to know, and must not be revoked itself."""
    signer, key = issue(authority), new_key("p256")
    name, root = authority.issuing.certificate.subject, authority.root
    usage: list[tuple[x509.ExtensionType, bool]] = [(_key_usage("crl_sign"), True)]
    made = _certificate(name, key, root.certificate.subject, root.key, AT - DAY, AT + DAY, usage)
    clerk = Credential(made, key)
    entries = [(signer.serial, KEY_LOST)] if revoked else []
    evidence = Evidence(crls=(authority.crls(AT)[0], a_list(clerk, *entries)))
    policy = Policy(anchors=(root.der,), eku=DEFAULT_EKU)

    def judged(policy: Policy, evidence: Evidence) -> Sub | None:
        return verification.verify(sign(PAYLOAD, signer, AT), PAYLOAD, policy, AT, evidence).sub_indication

    knowing = replace(policy, intermediates=(clerk.der,))
    assert judged(policy, evidence) == Sub.TRY_LATER
    assert judged(knowing, evidence) == (Sub.REVOKED_NO_POE if revoked else None)
    dismissed = a_list(root, (clerk.serial, None))
    assert judged(knowing, Evidence(crls=(dismissed, evidence.crls[1]))) == Sub.TRY_LATER


def test_revocation_on_an_outdated_list_stays_one(authority: Authority, signer: Credential) -> None:
    path = path_of(authority, signer)
    old = a_list(authority.issuing, (signer.serial, KEY_LOST), start=AT - 9 * DAY, end=AT - 8 * DAY)
    held = a_list(authority.issuing, (signer.serial, HOLD), start=AT - 9 * DAY, end=AT - 8 * DAY)
    fresh = a_list(authority.issuing)

    early = replace(authority, revoked={signer.serial: AT - 10 * DAY}).crls(AT - 9 * DAY, DAY)[1]
    assert ours(path, early).state is State.REVOKED
    assert ours(path, early, fresh).state is State.REVOKED
    assert ours(path, old, fresh).state is State.REVOKED
    assert ours(path, held, fresh).state is State.GOOD


def test_list_from_after_the_moment_of_judgement_is_none(authority: Authority, signer: Credential) -> None:
    path = path_of(authority, signer)
    future = a_list(authority.issuing, start=AT + DAY, end=AT + 2 * DAY)

    assert ours(path, future).state is State.UNKNOWN


# Lists brought from an index


class Every(frozenset[int]):
    """All serial numbers there are."""

    def __contains__(self, serial: object) -> bool:
        return True


def indexed(authority: Authority, asked: frozenset[int] = Every(), **other: object) -> IndexedList:
    found = lists.read(a_list(authority.issuing)).indexed(authority.issuing.der, [])
    return replace(found, asked=asked, **other)  # type: ignore[arg-type]


def judged(authority: Authority, signer: Credential, *given: IndexedList) -> Sub | None:
    policy = Policy(anchors=(authority.root.der,), eku=DEFAULT_EKU, identifiers=frozenset({IDENTIFIER}))
    evidence = Evidence(crls=(authority.crls(AT)[0],), lists=given)
    return verification.verify(sign(PAYLOAD, signer, AT), PAYLOAD, policy, AT, evidence).sub_indication


def test_indexed_list_is_evidence(authority: Authority, signer: Credential) -> None:
    assert judged(authority, signer) == Sub.TRY_LATER
    assert judged(authority, signer, indexed(authority)) is None
    revoked = indexed(authority, revoked={signer.serial: Revocation(AT - DAY)})
    assert judged(authority, signer, revoked) == Sub.REVOKED_NO_POE
    assert judged(authority, signer, indexed(authority), revoked) == Sub.REVOKED_NO_POE
    assert judged(authority, signer, indexed(authority, revoked={7: Revocation(AT - DAY)})) is None


def test_indexed_list_says_nothing_about_a_number_it_was_not_asked(authority: Authority, signer: Credential) -> None:
    assert judged(authority, signer, indexed(authority, frozenset({signer.serial}))) is None
    assert judged(authority, signer, indexed(authority, frozenset({signer.serial + 1}))) == Sub.TRY_LATER


def test_indexed_list_counts_for_its_issuer_and_key_only(authority: Authority, signer: Credential) -> None:
    namesake = Authority.create(AT)

    assert judged(authority, signer, indexed(namesake)) == Sub.TRY_LATER
    assert judged(authority, signer, indexed(authority, issuer_key_sha256="0" * 64)) == Sub.TRY_LATER
    other_name = authority.root.certificate.subject.public_bytes()
    assert judged(authority, signer, indexed(authority, issuer=other_name)) == Sub.TRY_LATER


def test_indexed_list_holds_until_its_next_update(authority: Authority, signer: Credential) -> None:
    outdated = indexed(authority, this_update=AT - 3 * DAY, next_update=AT - DAY)
    future = indexed(authority, this_update=AT + DAY, next_update=AT + 2 * DAY)

    assert judged(authority, signer, outdated) == Sub.TRY_LATER
    assert judged(authority, signer, future) == Sub.TRY_LATER
    assert judged(authority, signer, outdated, indexed(authority)) is None


def test_an_entry_that_pyhanko_cannot_judge_is_no_news(authority: Authority, signer: Credential) -> None:
    strange = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\x05\x00")
    entry = x509.RevokedCertificateBuilder().serial_number(signer.serial).revocation_date(AT - DAY)
    found = a_list(
        authority.issuing,
        change=lambda builder: builder.add_revoked_certificate(entry.add_extension(strange, True).build()),
    )

    assert ours(path_of(authority, signer), found).state is State.UNKNOWN


# What is too much


def test_a_list_that_was_left_out_might_revoke(authority: Authority, signer: Credential) -> None:
    path, good = path_of(authority, signer), a_list(authority.issuing)
    own, other = (Evidence(crls=(good,), left_out=(LeftOut(name_of(one), 9),)) for one in (authority.issuing, signer))

    def state(evidence: Evidence) -> State:
        return Knowledge(evidence, Strength(2048), AT, lists.Shelf()).standing(path, 0, AT).state

    assert (state(own), state(other)) == (State.LEFT_OUT, State.GOOD)
    assert state(replace(own, crls=(a_list(authority.issuing, (signer.serial, None)),))) is State.REVOKED
    assert state(replace(own, crls=(a_list(authority.issuing, (signer.serial, HOLD)),))) is State.ON_HOLD


@pytest.mark.parametrize("bound", ["MAX_WHOLE", "MAX_WHOLE_BYTES"])
def test_so_might_one_there_is_no_time_to_read(
    authority: Authority, signer: Credential, monkeypatch: pytest.MonkeyPatch, bound: str
) -> None:
    path, good = path_of(authority, signer), a_list(authority.issuing)
    people = a_list(authority.issuing, change=point(only_contains_user_certs=True))
    revoked = a_list(authority.issuing, (signer.serial, None), change=point(only_contains_user_certs=True))
    others = a_list(Authority.create(AT, "Other").issuing, change=point(only_contains_user_certs=True))
    assert ours(path, good, people).state is State.GOOD

    monkeypatch.setattr(lists, bound, {"MAX_WHOLE": 1, "MAX_WHOLE_BYTES": len(people) + len(revoked) // 2}[bound])

    assert ours(path, people, revoked).state is State.LEFT_OUT
    assert ours(path, revoked, people).state is State.REVOKED
    assert ours(path, good, others, others).state is State.GOOD
    # What pyHanko would need to judge the signer of the lists by is asked for last.
    assert ours(path, good, people).state is State.GOOD


def test_a_list_is_loaded_for_pyhanko_once(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    shelf = lists.Shelf()
    some = [a_list(authority.issuing, (number, None), change=point(indirect_crl=True)) for number in (1, 2, 3)]
    monkeypatch.setattr(lists, "MAX_WHOLE_BYTES", 2 * len(some[0]) + 10)

    first = [shelf.whole(one) for one in some]

    assert [shelf.whole(one) is found for one, found in zip(some[1:], first[1:], strict=True)] == [True, True]
    assert shelf.whole(some[0]) is not first[0]
    assert shelf.whole(b"\x30\x00") is None


def name_of(credential: Credential) -> bytes:
    return credential.certificate.subject.public_bytes()


# What is remembered


def test_what_is_remembered_does_not_outlive_its_source(authority: Authority) -> None:
    signer = issue(authority, validity=60 * DAY)
    signature = sign(PAYLOAD, signer, AT)
    policy = Policy(anchors=(authority.root.der,), eku=DEFAULT_EKU, identifiers=frozenset({IDENTIFIER}))
    current = Evidence(crls=authority.crls(AT, 90 * DAY))

    def judge(policy: Policy = policy, at: datetime = AT, evidence: Evidence = current) -> Sub | None:
        return verification.verify(signature, PAYLOAD, policy, at, evidence).sub_indication

    verification.forget()
    for _ in range(2):
        assert judge() is None
    # the trust store
    assert judge(replace(policy, anchors=(Authority.create(AT).root.der,))) == Sub.NO_CERTIFICATE_CHAIN_FOUND
    assert judge(replace(policy, anchors=())) == Sub.NO_CERTIFICATE_CHAIN_FOUND
    assert judge(replace(policy, eku="1.2.3")) == Sub.CHAIN_CONSTRAINTS_FAILURE
    assert judge(replace(policy, identifiers=frozenset({"TINRU-1"}))) == Sub.SIG_CONSTRAINTS_FAILURE
    # another time, past the certificate's end and before its start; past the lists
    assert judge(at=AT + 31 * DAY) == Sub.OUT_OF_BOUNDS_NOT_REVOKED
    assert judge(at=AT - 31 * DAY) == Sub.OUT_OF_BOUNDS_NO_POE
    assert judge(at=AT + 29 * DAY) is None
    assert judge(at=AT + 29 * DAY, evidence=Evidence(crls=authority.crls(AT, 2 * DAY))) == Sub.TRY_LATER
    # the evidence
    assert judge(evidence=Evidence()) == Sub.TRY_LATER
    authority.revoke(signer.serial, AT - DAY)
    assert judge(evidence=Evidence(crls=authority.crls(AT))) == Sub.REVOKED_NO_POE
    assert judge() is None


@pytest.fixture
def hasty() -> Iterator[None]:
    """Threads that are interrupted as often as can be."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def test_threads_share_what_is_remembered(authority: Authority, signer: Credential, hasty: None) -> None:
    """More trust stores and lists than are remembered, so that threads drop what others look at."""
    signature, forever = sign(PAYLOAD, signer, AT), 400 * DAY
    authority.revoke(signer.serial, AT - DAY)
    revoked = a_list(
        authority.issuing, *((number, None) for number in range(1, 200)), (signer.serial, None),
        change=point(only_contains_user_certs=True),
    )  # fmt: skip
    policies = [
        Policy(anchors=(authority.root.der,), intermediates=(authority.issuing.der, issue(authority).der))
        for _ in range(16)
    ]
    above = [Authority(authority.root, authority.issuing).crls(AT - DAY * number, forever)[0] for number in range(16)]
    good = Authority(authority.root, authority.issuing).crls(AT, forever)[1]
    start, wrong = threading.Barrier(8), []

    def judge(number: int) -> None:
        start.wait()
        for round_ in range(20):
            own = (number * 7 + round_ * 3) % 16
            evidence = Evidence(crls=(above[own], *((revoked,) if round_ % 2 else (good,))))
            found = verification.verify(signature, PAYLOAD, policies[own], AT, evidence)
            expected = Sub.REVOKED_NO_POE if round_ % 2 else None
            if found.sub_indication is not expected:
                wrong.append(found)
            if round_ % 8 == number:
                verification.forget()

    threads = [threading.Thread(target=judge, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []


def test_nobody_judges_out_of_turn(authority: Authority, signer: Credential) -> None:
    policy, evidence, done = Policy(anchors=(authority.root.der,)), Evidence(crls=authority.crls(AT)), threading.Event()

    def judge() -> None:
        verification.verify(sign(PAYLOAD, signer, AT), PAYLOAD, policy, AT, evidence)
        done.set()

    other = threading.Thread(target=judge)
    with chain.turn:
        other.start()
        assert not done.wait(0.3)
    assert done.wait(PATIENCE_S)
    other.join()


def test_remembered_path_needs_its_authorities_at_hand_again(authority: Authority, signer: Credential) -> None:
    policy = Policy(anchors=(authority.root.der,))
    evidence = Evidence(crls=authority.crls(AT))
    whole, alone = sign(PAYLOAD, signer, AT), sign(PAYLOAD, replace(signer, issuers=()), AT)

    assert verification.verify(whole, PAYLOAD, policy, AT, evidence).passed
    assert verification.verify(alone, PAYLOAD, policy, AT, evidence).sub_indication == Sub.NO_CERTIFICATE_CHAIN_FOUND


def test_sunset_of_a_key_size_is_minded_by_what_is_remembered(authority: Authority) -> None:
    rsa = Authority.create(AT, key_type="rsa-2048")
    signature = sign(PAYLOAD, issue(rsa), AT)
    evidence = Evidence(crls=rsa.crls(AT, 90 * DAY))
    policy = Policy(anchors=(rsa.root.der,), rsa_3072_from=AT + DAY)

    for at, passes in ((AT, True), (AT + 2 * DAY, False), (AT, True)):
        assert verification.verify(signature, PAYLOAD, policy, at, evidence).passed is passes
    assert not verification.verify(signature, PAYLOAD, replace(policy, min_rsa=3072), AT, evidence).passed
