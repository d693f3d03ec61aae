"""The roll of bids: closed at the deadline, provable to each bidder, and telling on whoever changes a bid later."""

from __future__ import annotations

import json
from datetime import timedelta
from hashlib import sha512
from pathlib import Path
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from marketplace import audit
from marketplace.models import AuditRecord, StampedStatement
from marketplace.services import timestamps
from marketplace.shared import keys
from marketplace.shared.errors import NotFound
from marketplace.signatures.payload import canonical, sha256_hex
from marketplace.signatures.timestamps import read
from procurement.models import Bid, BidEnvelope, BidRoll, RollLeaf, Tender
from procurement.rules import roll as rules
from procurement.services import bid_roll, bids, cancellation, opening
from procurement.services.bid_roll import Fault, Found
from tests.factories.bids import LATER, bidder, drafted_bid, send, sent_bid, tender_taking_bids
from tests.factories.marketplace import NOON, member
from tests.factories.signatures import signed, trust

pytestmark = pytest.mark.django_db
COPIED = "ciphertext, manifest, signature_id, received_at, receipt"


@pytest.fixture(autouse=True)
def _trust() -> None:
    trust()


def closed(*, bids_sent: int = 3, **fields: Any) -> Tender:
    """An opened tender with that many bids."""
    tender = tender_taking_bids(**fields)
    for place in range(bids_sent):
        sent_bid(tender.lots.all()[0], [f"{10 + place}", "20"], at=NOON + timedelta(minutes=place))
    return opening.open_tender(tender.pk, LATER)


def tampered(statement: str, *values: Any) -> None:
    """What the owner of the database can do: no trigger stands in the way of one who may drop it."""
    with connection.cursor() as cursor:
        cursor.execute("SET session_replication_role = replica")
        cursor.execute(statement, values)
        cursor.execute("SET session_replication_role = origin")


def test_the_roll_is_closed_before_any_key_is_used_and_audited() -> None:
    tender = closed()

    roll = BidRoll.objects.get(tender=tender)
    assert (roll.size, roll.closed_at, roll.timestamp) == (3, LATER, None)
    records = list(AuditRecord.objects.filter(stream=f"tender:{tender.pk}").order_by("number"))
    actions = [record.action for record in records]
    assert actions.index("tender.roll_closed") < actions.index("tender.opened") < actions.index("lot.key_used")
    record = records[actions.index("tender.roll_closed")]
    assert record.details == {
        "root": roll.root, "size": 3, "statement_sha256": roll.statement_sha256, "left_out": [],
    }  # fmt: skip
    assert audit.broken_at(records) is None


def test_the_statement_is_signed_and_names_the_head_of_the_audit_trail() -> None:
    tender = closed()

    roll = BidRoll.objects.get(tender=tender)
    said = keys.verify_receipt(roll.statement, keys.keyring().receipt_public_keys())
    before = AuditRecord.objects.get(
        stream=f"tender:{tender.pk}",
        number=AuditRecord.objects.get(action="tender.roll_closed", object_id=tender.pk).number - 1,
    )
    assert (said["kind"], said["tender"], said["size"], said["root"]) == ("bid_roll", tender.number, 3, roll.root)
    assert said["audit_head"] == before.hash
    assert roll.statement_sha256 == sha256_hex(canonical(roll.statement))


def test_every_bidder_gets_a_proof_that_holds_and_nobody_elses() -> None:
    tender = tender_taking_bids()
    one, two = bidder(), bidder()
    first = sent_bid(tender.lots.get(), ["10", "20"], by=one)
    sent_bid(tender.lots.get(), ["11", "21"], by=two)
    opening.open_tender(tender.pk, LATER)

    proof = bid_roll.proof_of(first, by=one)

    verdict = bid_roll.check(json.dumps(proof).encode())
    assert (verdict.holds, verdict.on_record) == (True, True)
    assert verdict.leaf is not None
    assert (verdict.leaf["bid"], verdict.leaf["lot"]) == (first.pk, 1)
    with pytest.raises(NotFound):
        bid_roll.proof_of(first, by=two)


def test_the_public_list_names_nobody_and_cannot_be_guessed_without_the_salt() -> None:
    tender = closed()

    roll = BidRoll.objects.get(tender=tender)
    published = json.dumps(bid_roll.published(roll))
    leaves = bid_roll.hashes_of(roll)
    assert leaves == sorted(leaves)
    for leaf in RollLeaf.objects.all():
        supplier = leaf.envelope.bid.supplier
        assert leaf.salt not in published
        assert supplier.full_name not in published
        assert supplier.short_name not in published
        everything_but_the_salt = bid_roll.content_of(leaf) | {"salt": "00" * 32}
        assert rules.hash_of(everything_but_the_salt) not in published
    assert len({leaf.salt for leaf in RollLeaf.objects.all()}) == 3


def test_withdrawn_replaced_and_unsent_bids_are_not_on_the_roll_but_in_the_audit() -> None:
    tender = tender_taking_bids()
    lot = tender.lots.get()
    again, away = bidder(), bidder()
    replaced = sent_bid(lot, ["10", "20"], by=again)
    replaced.refresh_from_db()
    send(replaced, by=again, at=NOON + timedelta(minutes=5))
    withdrawn = sent_bid(lot, ["11", "21"], by=away)
    request = bids.prepare_withdrawal(withdrawn.pk, by=away, at=NOON)
    bids.withdraw(request.pk, signed(request), idempotency_key="away", by=away, at=NOON)
    drafted_bid(lot, ["12", "22"])

    opening.open_tender(tender.pk, LATER)

    roll = BidRoll.objects.get(tender=tender)
    assert [leaf.envelope.version for leaf in roll.leaves.all()] == [2]
    details = AuditRecord.objects.get(action="tender.roll_closed").details
    envelopes = BidEnvelope.objects.filter(version=1).order_by("bid_id")
    hashes = [sha256_hex(bytes(envelope.signature.cms)) for envelope in envelopes]
    assert {one["signature_sha256"]: one["why"] for one in details["left_out"]} == dict(
        zip(hashes, ["replaced", "withdrawn"], strict=True)
    )
    assert bid_roll.faults(tender) == []
    with pytest.raises(NotFound):
        bid_roll.proof_of(withdrawn, by=away)


def test_too_few_bids_are_on_the_roll_though_nobody_opens_them() -> None:
    tender = closed(bids_sent=1, settings={"minimum_bids": 2})

    assert BidRoll.objects.get(tender=tender).size == 1
    assert not Bid.objects.filter(opened_at__isnull=False).exists()


def test_a_roll_without_bids_has_the_root_of_nothing() -> None:
    roll = BidRoll.objects.get(tender=closed(bids_sent=0))

    assert (roll.size, roll.root[:8]) == (0, "e3b0c442")


def test_a_cancelled_tender_has_no_roll() -> None:
    tender = tender_taking_bids()
    sent_bid(tender.lots.get(), ["10", "20"])
    by = member(tender.buyer)
    request = cancellation.prepare(tender.pk, None, "Not needed any more", by=by, at=NOON)
    cancellation.sign(request.pk, signed(request), by=by, at=NOON)

    assert bid_roll.of(tender) is None
    assert bid_roll.faults(tender) == []


def test_closing_twice_changes_nothing() -> None:
    tender = closed()
    before = BidRoll.objects.get(tender=tender)

    with transaction.atomic():
        again = bid_roll.close(tender, LATER + timedelta(hours=1))

    assert (again.pk, again.root, again.closed_at) == (before.pk, before.root, LATER)


def test_the_database_refuses_to_change_a_roll_but_for_its_time_stamp() -> None:
    tender = closed()
    roll = BidRoll.objects.get(tender=tender)

    bid_roll.keep_stamp(roll.pk, b"a token", LATER, LATER)
    again = bid_roll.keep_stamp(roll.pk, b"another", LATER, LATER)

    assert bytes(again.timestamp or b"") == b"a token"
    for change in (
        lambda: BidRoll.objects.filter(pk=roll.pk).update(timestamp=b"x"),
        lambda: BidRoll.objects.filter(pk=roll.pk).update(root="0" * 64),
        lambda: RollLeaf.objects.filter(roll=roll).update(salt="0" * 64),
        lambda: RollLeaf.objects.filter(roll=roll).delete(),
    ):
        with pytest.raises(DatabaseError), transaction.atomic():
            change()


@pytest.fixture
def authority(settings: Any, tmp_path: Path, freeze: Any) -> None:
    """The demonstration's time-stamp authority, trusted and asked."""
    freeze(LATER + timedelta(seconds=30))
    settings.TIMESTAMP_AUTHORITY_URLS, settings.TIMESTAMP_LOCAL_DIR = ["local:"], tmp_path / "tsa"
    timestamps.trust_demo(tmp_path / "tsa", at=NOON)


def test_the_roll_is_stamped_by_an_authority_over_its_signed_statement(authority: None) -> None:
    roll = BidRoll.objects.get(tender=closed())

    assert bid_roll.stamp(roll.pk, at=LATER + timedelta(seconds=31)) is True
    assert bid_roll.stamp(roll.pk, at=LATER + timedelta(seconds=32)) is False

    roll.refresh_from_db()
    token = read(bytes(roll.timestamp or b""))
    assert token.stamps(canonical(roll.statement))
    assert roll.stamped_at == token.generated_at == LATER + timedelta(seconds=30)
    assert AuditRecord.objects.filter(action="tender.roll_stamped").count() == 1


def test_a_roll_that_no_authority_stamped_waits_and_is_stamped_later(authority: None, settings: Any) -> None:
    settings.TIMESTAMP_AUTHORITY_URLS = []
    roll = BidRoll.objects.get(tender=closed())
    assert bid_roll.stamp_waiting(at=LATER) == 0

    settings.TIMESTAMP_AUTHORITY_URLS = ["local:"]

    assert bid_roll.stamp_waiting(at=LATER + timedelta(minutes=1)) == 1
    roll.refresh_from_db()
    assert roll.timestamp is not None


def test_the_stamp_of_a_roll_is_renewed_before_a_sunset_and_covers_the_leaves(
    authority: None, settings: Any, freeze: Any
) -> None:
    roll = BidRoll.objects.get(tender=closed())
    assert bid_roll.stamp(roll.pk, at=LATER + timedelta(seconds=31)) is True
    assert bid_roll.renew_stamps(at=LATER + timedelta(days=1)).done == 0
    at = LATER + timedelta(days=300)
    freeze(at)
    settings.ALGORITHM_SUNSETS = {"sha256": at + timedelta(days=100)}

    assert bid_roll.renew_stamps(at=at).done == 1

    dossier = bid_roll.archives_of(roll)
    assert dossier is not None
    [archive] = dossier.archives
    leaves = canonical({"leaves": bid_roll.hashes_of(roll)})
    for covered in (canonical(roll.statement), leaves, dossier.stamp.der):  # type: ignore[union-attr]
        assert sha512(covered).hexdigest() in archive.covers
    assert bid_roll.renew_stamps(at=at).done == 0


def test_a_stamp_kept_before_its_evidence_was_is_taken_up_and_a_false_one_is_put_off(authority: None) -> None:
    good, bad = (BidRoll.objects.get(tender=closed()) for _ in range(2))
    token = timestamps.stamped(bytes.fromhex(good.statement_sha256)).token
    bid_roll.keep_stamp(good.pk, token.encoded, token.generated_at, LATER)
    bid_roll.keep_stamp(bad.pk, b"no token", LATER, LATER)

    for _ in range(2):
        bid_roll.renew_stamps(at=LATER + timedelta(minutes=1))

    assert bid_roll.archives_of(good) is not None
    assert bid_roll.archives_of(bad) is None
    put_off = StampedStatement.objects.get(stamped_at=None)
    assert put_off.sha256 == bad.statement_sha256
    assert put_off.error


# Whoever owns the database changes it: the roll tells -----------------------------------------------------------------


def test_a_whole_roll_has_no_faults() -> None:
    assert bid_roll.faults(closed(lots=2)) == []


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE procurement_bidenvelope SET ciphertext = ciphertext || '\\x00' WHERE id = %s",
        "UPDATE procurement_bidenvelope SET received_at = received_at - interval '1 second' WHERE id = %s",
        "UPDATE procurement_bidenvelope SET version = 7 WHERE id = %s",
        "UPDATE procurement_bidenvelope SET manifest = jsonb_set(manifest, '{content,sha256}', '\"00\"') WHERE id = %s",
        "UPDATE procurement_bidenvelope SET manifest = manifest || '{\"bid_version\": 9}' WHERE id = %s",
        (
            "UPDATE marketplace_signature SET cms = cms || '\\x00' WHERE id = "
            "(SELECT signature_id FROM procurement_bidenvelope WHERE id = %s)"
        ),
    ],
)
def test_a_bid_changed_after_the_deadline_is_detected(change: str) -> None:
    tender = closed()
    envelope = BidEnvelope.objects.all()[1]

    tampered(change, envelope.pk)

    assert Found(Fault.CHANGED, envelope.bid_id) in bid_roll.faults(tender)


def test_a_bid_added_after_the_deadline_is_detected() -> None:
    tender = closed()
    model = Bid.objects.all()[0]
    extra = Bid.objects.create(
        lot=model.lot, supplier=bidder().organisation, status="opened", version=1, currency="EUR",
        created_by=model.created_by, created_at=NOON, opened_at=LATER, amount=1, received_at=NOON,
    )  # fmt: skip
    tampered(
        f"INSERT INTO procurement_bidenvelope (bid_id, version, {COPIED})"
        f" SELECT %s, 1, {COPIED} FROM procurement_bidenvelope WHERE bid_id = %s",
        extra.pk,
        model.pk,
    )

    assert bid_roll.faults(tender) == [Found(Fault.ADDED, extra.pk)]


def test_a_bid_swapped_for_a_later_version_is_detected() -> None:
    tender = closed()
    bid = Bid.objects.all()[0]
    tampered("UPDATE procurement_bidenvelope SET superseded_at = now() WHERE bid_id = %s", bid.pk)
    tampered(
        f"INSERT INTO procurement_bidenvelope (bid_id, version, {COPIED})"
        f" SELECT bid_id, 2, {COPIED} FROM procurement_bidenvelope WHERE bid_id = %s",
        bid.pk,
    )
    tampered("UPDATE procurement_bid SET version = 2 WHERE id = %s", bid.pk)

    assert set(bid_roll.faults(tender)) == {Found(Fault.DROPPED, bid.pk), Found(Fault.ADDED, bid.pk)}


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE procurement_bid SET status = 'withdrawn' WHERE id = %s",
        "UPDATE procurement_bidenvelope SET superseded_at = now() WHERE bid_id = %s",
    ],
)
def test_a_bid_set_aside_after_the_deadline_is_detected(change: str) -> None:
    tender = closed()
    bid = Bid.objects.all()[1]

    tampered(change, bid.pk)

    assert bid_roll.faults(tender) == [Found(Fault.DROPPED, bid.pk)]


def test_a_bid_deleted_with_its_leaf_is_detected_and_a_proof_in_another_hand_still_tells() -> None:
    tender = tender_taking_bids()
    mine = bidder()
    bid = sent_bid(tender.lots.get(), ["10", "20"], by=mine)
    sent_bid(tender.lots.get(), ["11", "21"])
    opening.open_tender(tender.pk, LATER)
    kept = json.dumps(bid_roll.proof_of(bid, by=mine)).encode()

    tampered(
        "DELETE FROM procurement_rollleaf USING procurement_bidenvelope AS sent"
        " WHERE envelope_id = sent.id AND sent.bid_id = %s",
        bid.pk,
    )
    tampered("DELETE FROM procurement_bidenvelope WHERE bid_id = %s", bid.pk)

    assert set(bid_roll.faults(tender)) == {Found(Fault.MISSING), Found(Fault.ROLL_CHANGED)}
    verdict = bid_roll.check(kept)
    assert (verdict.holds, verdict.on_record) == (True, True)


def test_a_roll_rewritten_whole_is_betrayed_by_a_proof_in_another_hand() -> None:
    tender = tender_taking_bids()
    mine = bidder()
    bid = sent_bid(tender.lots.get(), ["10", "20"], by=mine)
    opening.open_tender(tender.pk, LATER)
    kept = json.dumps(bid_roll.proof_of(bid, by=mine)).encode()
    roll = BidRoll.objects.get(tender=tender)
    forged = keys.sign_receipt(roll.statement["content"] | {"root": "0" * 64})

    tampered("UPDATE procurement_bidroll SET root = %s, statement = %s WHERE id = %s", "0" * 64, json.dumps(forged),
             roll.pk)  # fmt: skip

    verdict = bid_roll.check(kept)
    assert (verdict.holds, verdict.on_record) == (True, False)
    assert Found(Fault.ROLL_CHANGED) in bid_roll.faults(tender)


def test_an_envelope_exchanged_between_deadline_and_opening_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """A committee takes days to release its key; meanwhile a bid is exchanged, manifest and all."""
    tender = tender_taking_bids()
    first, second = (sent_bid(tender.lots.get(), [price, "20"]) for price in ("10", "11"))
    closing = bid_roll.close

    def closed_and_exchanged(tender: Tender, at: Any) -> BidRoll:
        roll = closing(tender, at)
        envelope = BidEnvelope.objects.get(bid=first)
        manifest = envelope.manifest | {"content": {"size": 9, "sha256": sha256_hex(b"exchanged")}}
        BidEnvelope.objects.filter(pk=envelope.pk).update(ciphertext=b"exchanged", manifest=manifest)
        return roll

    monkeypatch.setattr(opening.bid_roll, "close", closed_and_exchanged)
    opening.open_tender(tender.pk, LATER)

    first.refresh_from_db()
    second.refresh_from_db()
    assert (first.status, second.status) == ("rejected", "opened")
    assert "not the one that stood on the roll" in first.opening_problem


# Proofs in anybody's hand ---------------------------------------------------------------------------------------------


def test_a_proof_with_anything_changed_does_not_hold() -> None:
    tender = tender_taking_bids()
    mine = bidder()
    bid = sent_bid(tender.lots.get(), ["10", "20"], by=mine)
    sent_bid(tender.lots.get(), ["11", "21"])
    opening.open_tender(tender.pk, LATER)
    proof = bid_roll.proof_of(bid, by=mine)

    def changed(*path: Any, to: Any) -> bytes:
        copy = json.loads(json.dumps(proof))
        place = copy
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = to
        return json.dumps(copy).encode()

    cases = [
        changed("leaf", "lot", to=2),
        changed("leaf", "received_at", to="2026-01-01T00:00:00.000000Z"),
        changed("leaf", "manifest_sha256", to="0" * 64),
        changed("leaf", "salt", to="0" * 64),
        changed("leaf", "tender", to="OL-2026-999999"),
        changed("index", to=1 - proof["index"]),
        changed("index", to=True),
        changed("index", to=10**400),
        changed("path", to=[]),
        changed("path", to=["00"] * 100_000),
        changed("path", to="not a list"),
        changed("statement", "content", "root", to="0" * 64),
        changed("statement", "content", "size", to=1),
        changed("statement", "signature", to="AAAA"),
        changed("statement", to=[]),
        changed("format", to="another"),
        b"",
        b"[]",
        b"[" * 100_000,
        b"\xff\xfe",
    ]
    assert [bid_roll.check(case).holds for case in cases] == [False] * len(cases)
