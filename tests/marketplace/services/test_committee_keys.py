"""A person's committee key: only what opens nothing is kept, and its owner can show that they can use it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from marketplace.models import AuditRecord, CommitteeKey
from marketplace.permissions import NOBODY, Actor
from marketplace.services import committee_keys
from marketplace.services.committee_keys import CertificateExpired, KeyRefused, KeyTaken, NotProved
from marketplace.shared.errors import NotAllowed, NotFound
from marketplace.signatures import committee, sealing
from marketplace.signatures.sign import Credential
from tests.factories.marketplace import NOON, PersonFactory, accredited_buyer
from tests.factories.signatures import certificate_of

pytestmark = pytest.mark.django_db

LATER = NOON + timedelta(days=1)
SOON = NOON + timedelta(hours=3)


@pytest.fixture(scope="module")
def wrapping() -> dict[str, Any]:
    return committee.wrap(sealing.new_key_pair().private, "a passphrase of nobody")


@pytest.fixture
def anna() -> Actor:
    return Actor(person=PersonFactory.create())


def test_a_new_key_takes_the_place_of_the_one_before(anna: Actor, wrapping: dict[str, Any]) -> None:
    first = committee_keys.make(sealing.new_key_pair().public, wrapping, by=anna, at=NOON)
    second = committee_keys.make(sealing.new_key_pair().public, wrapping, by=anna, at=LATER)

    first.refresh_from_db()
    assert (first.retired_at, second.retired_at) == (LATER, None)
    assert committee_keys.standing(anna.person) == second
    actions = AuditRecord.objects.filter(stream=f"person:{anna.person.pk}").values_list("action", flat=True)
    assert sorted(actions) == ["committee_key.made", "committee_key.made", "committee_key.retired"]


def test_a_retired_key_takes_no_new_shares_and_retiring_twice_changes_nothing(
    anna: Actor, wrapping: dict[str, Any]
) -> None:
    key = committee_keys.make(sealing.new_key_pair().public, wrapping, by=anna, at=NOON)
    assert committee_keys.retire(by=anna, at=LATER) == key
    assert committee_keys.retire(by=anna, at=LATER) is None
    assert committee_keys.standing(anna.person) is None


def test_the_owner_of_a_key_answers_its_riddle_and_nobody_else(anna: Actor, wrapping: dict[str, Any]) -> None:
    pair = sealing.new_key_pair()
    key = committee_keys.make(pair.public, wrapping, by=anna, at=NOON)
    asked = committee_keys.challenge(key, NOON)
    answer = committee.open_share(pair.private, asked.sealed, asked.info)

    for token, given in ((asked.token, answer[:-1]), (asked.token, b""), (asked.token + "x", answer), ("", answer)):
        with pytest.raises(NotProved):
            committee_keys.prove(token, given, by=anna, at=SOON)
    with pytest.raises(NotFound):
        committee_keys.prove(asked.token, answer, by=Actor(person=PersonFactory.create()), at=SOON)
    assert CommitteeKey.objects.get().tried_at is None

    assert committee_keys.prove(asked.token, answer, by=anna, at=SOON).tried_at == SOON


def test_an_old_riddle_is_not_answered(anna: Actor, wrapping: dict[str, Any]) -> None:
    pair = sealing.new_key_pair()
    asked = committee_keys.challenge(committee_keys.make(pair.public, wrapping, by=anna, at=NOON), NOON)
    answer = committee.open_share(pair.private, asked.sealed, asked.info)

    with pytest.raises(NotProved):
        committee_keys.prove(asked.token, answer, by=anna, at=NOON + committee_keys.CHALLENGE_TIME)


def test_the_key_of_a_certificate_is_registered_while_it_is_valid(anna: Actor) -> None:
    credential: Credential = certificate_of(accredited_buyer())
    der = credential.der

    key = committee_keys.register_certificate(der, by=anna, at=NOON)

    assert (key.kind, key.wrapped, bytes(key.certificate)) == ("certificate", None, der)
    assert key.algorithm in ("rsa", "p256")
    with pytest.raises(CertificateExpired):
        committee_keys.register_certificate(der, by=anna, at=NOON + timedelta(days=9_000))
    with pytest.raises(KeyRefused):
        committee_keys.register_certificate(b"nothing", by=anna, at=NOON)


def test_a_key_of_somebody_else_is_refused(anna: Actor, wrapping: dict[str, Any]) -> None:
    public = sealing.new_key_pair().public
    committee_keys.make(public, wrapping, by=anna, at=NOON)

    with pytest.raises(KeyTaken):
        committee_keys.make(public, wrapping, by=Actor(person=PersonFactory.create()), at=NOON)


@pytest.mark.parametrize("public", [b"", bytes(32), bytes(31)], ids=["empty", "small order", "short"])
def test_a_key_to_which_nothing_can_be_sealed_is_refused(anna: Actor, wrapping: dict[str, Any], public: bytes) -> None:
    with pytest.raises(KeyRefused):
        committee_keys.make(public, wrapping, by=anna, at=NOON)


@pytest.mark.parametrize(
    "change", [{"iterations": 1}, {"kdf": "none"}, {"ciphertext": ""}, {"extra": "x" * 9}], ids=str
)
def test_a_key_under_too_little_is_refused(anna: Actor, wrapping: dict[str, Any], change: dict[str, Any]) -> None:
    with pytest.raises(KeyRefused):
        committee_keys.make(sealing.new_key_pair().public, wrapping | change, by=anna, at=NOON)
    assert not CommitteeKey.objects.exists()


def test_nobody_has_no_key(wrapping: dict[str, Any]) -> None:
    with pytest.raises(NotAllowed):
        committee_keys.make(sealing.new_key_pair().public, wrapping, by=NOBODY, at=NOON)
