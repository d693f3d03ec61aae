"""Heads of audit trails under a time stamp, the stamp kept with what it rests on, and renewed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.cache import cache
from django.db import DatabaseError, transaction

from marketplace import audit
from marketplace.models import (
    AnchoredHead,
    AuditRecord,
    EvidenceRole,
    Notification,
    StaffRole,
    StampedStatement,
    StatementEvidence,
)
from marketplace.services import audit_anchors, revocation, statement_stamps
from marketplace.shared import keys
from marketplace.signatures import merkle
from marketplace.signatures.payload import canonical
from marketplace.signatures.timestamp_authority import DemoTimeStamps
from marketplace.signatures.timestamps import read
from tests.conftest import FrozenClock
from tests.factories.marketplace import NOON, OrganisationFactory, staff

MINUTE, YEAR = timedelta(minutes=1), timedelta(days=365)


@transaction.atomic
def recorded(*streams: str) -> None:
    for stream in streams:
        audit.record("tried", OrganisationFactory.create(), by=None, at=NOON, stream=stream)


def proves(anchor: audit_anchors.Anchor, stream: str) -> bool:
    leaf = merkle.leaf_hash(canonical(audit_anchors.leaf(stream, anchor.number, anchor.hash)))
    root = bytes.fromhex(anchor.statement.statement["content"]["root"])
    return merkle.proves(leaf, anchor.index, anchor.size, [bytes.fromhex(one) for one in anchor.path], root)


def test_what_is_new_in_all_trails_is_anchored_under_one_stamp(tsa: DemoTimeStamps) -> None:
    recorded("tender:1", "tender:2", "tender:1", "organisation:3")

    first = audit_anchors.anchor(at=NOON)
    nothing = audit_anchors.anchor(at=NOON + MINUTE)
    recorded("tender:2")
    second = audit_anchors.anchor(at=NOON + 2 * MINUTE)

    assert first is not None
    assert second is not None
    assert nothing is None
    said = keys.verify_receipt(second.statement, keys.keyring().receipt_public_keys())
    assert (said["kind"], said["size"], said["previous"]) == ("audit_anchor", 1, first.sha256)
    assert first.statement["content"]["size"] == AuditRecord.objects.filter(anchored__anchor=first).count() >= 3
    [one] = audit_anchors.of("tender:1")
    assert (one.number, one.hash) == (2, AuditRecord.objects.get(stream="tender:1", number=2).hash)
    two = list(audit_anchors.of("tender:2"))
    assert [(anchor.number, anchor.statement.sha256) for anchor in two] == [(1, first.sha256), (2, second.sha256)]
    assert all(proves(anchor, "tender:2") for anchor in two)
    assert not proves(two[0], "tender:1")
    assert audit_anchors.is_anchored("tender:2")
    token = statement_stamps.dossiers([first])[first.pk].stamp
    assert token is not None
    assert read(token.der).stamps(canonical(first.statement))


def test_a_round_that_no_authority_stamped_waits_and_is_stamped_first(tsa: DemoTimeStamps, settings: Any) -> None:
    recorded("tender:1")
    settings.TIMESTAMP_AUTHORITY_URLS, settings.TIMESTAMP_SECONDS = ["http://127.0.0.1:1/"], 1
    assert audit_anchors.anchor(at=NOON) is None
    recorded("tender:1")
    assert audit_anchors.anchor(at=NOON + MINUTE) is None
    assert StampedStatement.objects.count() == 1
    assert list(audit_anchors.of("tender:1")) == []

    cache.clear()
    settings.TIMESTAMP_AUTHORITY_URLS = ["local:"]

    assert audit_anchors.anchor(at=NOON + 2 * MINUTE) is not None
    assert [one.number for one in audit_anchors.of("tender:1")] == [1]
    assert not audit_anchors.is_anchored("tender:1")
    assert audit_anchors.anchor(at=NOON + 3 * MINUTE) is not None
    assert [one.number for one in audit_anchors.of("tender:1")] == [1, 2]


def test_without_an_authority_nothing_is_anchored(db: None, settings: Any) -> None:
    settings.TIMESTAMP_AUTHORITY_URLS = []
    recorded("tender:1")
    assert audit_anchors.anchor(at=NOON) is None
    assert not StampedStatement.objects.exists()


def test_a_record_whose_transaction_committed_late_is_anchored_all_the_same(
    tsa: DemoTimeStamps, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its number was given before that of one that is anchored already."""
    recorded("tender:1", "tender:2")
    late = AuditRecord.objects.get(stream="tender:1")
    with monkeypatch.context() as patched:
        patched.setattr(audit_anchors, "_new_heads", lambda: list(AuditRecord.objects.filter(stream="tender:2")))
        assert audit_anchors.anchor(at=NOON) is not None

    assert audit_anchors.anchor(at=NOON + MINUTE) is not None

    assert AnchoredHead.objects.filter(record=late).exists()


def test_what_was_stamped_stays(tsa: DemoTimeStamps) -> None:
    recorded("tender:1")
    made = audit_anchors.anchor(at=NOON)
    assert made is not None
    for change in (
        lambda: StampedStatement.objects.update(sha256="0" * 64),
        lambda: StampedStatement.objects.update(statement={}),
        lambda: AnchoredHead.objects.update(anchor=made),
        lambda: AnchoredHead.objects.all().delete(),
        lambda: StatementEvidence.objects.update(number=9),
    ):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
            change()


def test_stamps_are_renewed_before_a_sunset_and_cover_what_was_before(
    tsa: DemoTimeStamps, settings: Any, freeze: Callable[[datetime], FrozenClock]
) -> None:
    recorded("tender:1", "tender:2")
    made = audit_anchors.anchor(at=NOON)
    assert made is not None
    at = NOON + YEAR
    freeze(at)
    for crl in tsa.above.crls(at, timedelta(days=400)):
        revocation.load_list(crl, by=None, at=at)
    assert audit_anchors.renew(at=at).done == 0
    settings.ALGORITHM_SUNSETS = {"sha256": at + timedelta(days=100)}

    assert audit_anchors.renew(at=at).done == 1
    assert audit_anchors.renew(at=at).done == 0

    made.refresh_from_db()
    assert (made.rounds, made.renewed_at) == (1, at)
    dossier = statement_stamps.dossiers([made], audit_anchors._summed)[made.pk]
    [archive] = dossier.archives
    before = replace(dossier, archives=(), stamp_crls=dossier.stamp_crls[:2])
    assert archive.hash_algorithm == "sha512"
    assert set(before.covered("sha512")) <= set(archive.covers)
    assert StatementEvidence.objects.filter(statement=made, role=EvidenceRole.ARCHIVE).count() == 1


def test_operators_are_told_once_a_day_of_rounds_that_wait_and_of_stamps_that_were_not_renewed(
    tsa: DemoTimeStamps, settings: Any
) -> None:
    operator = staff(StaffRole.OPERATOR)
    recorded("tender:1")
    assert audit_anchors.anchor(at=NOON) is not None
    statement_stamps.warn(at=NOON)
    assert not Notification.objects.exists()
    settings.TIMESTAMP_AUTHORITY_URLS, settings.TIMESTAMP_SECONDS = ["http://127.0.0.1:1/"], 1
    recorded("tender:1")
    audit_anchors.anchor(at=NOON)
    settings.ALGORITHM_SUNSETS = {"sha256": NOON + timedelta(days=30)}

    for _ in range(2):
        statement_stamps.warn(at=NOON + timedelta(hours=2))

    told = Notification.objects.filter(person=operator.person).order_by("pk")
    assert [one.text for one in told] == [
        "1 rolls of bids or heads of audit trails still wait for their time stamp.",
        "1 time stamps of rolls or audit trails should have been renewed by now.",
    ]
