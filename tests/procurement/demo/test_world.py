"""The demo world: small, but of every kind, and as sound as a real one."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from marketplace import audit
from marketplace.models import Accreditation, AccreditationStatus, AuditRecord, Person
from marketplace.permissions import actor_for
from marketplace.services import committee_keys, signing
from marketplace.shared import clock
from marketplace.signatures import committee as signatures
from marketplace.signatures.sign import Credential
from procurement import openlot_verify
from procurement.auction.replay import replay_lot
from procurement.auction.room import Desk, WaitingBid
from procurement.demo import auction_now, committee, world
from procurement.demo.cast import BUYER, PASSWORD
from procurement.models import (
    Auction,
    Bid,
    BidEnvelope,
    ContractSignature,
    Delivery,
    DueMoment,
    ExportScope,
    OfferRequest,
    Tender,
)
from procurement.queries import auctions as rooms
from procurement.rules.lifecycle import AuctionStatus, BidStatus, TenderStatus
from procurement.services import auctions, bid_roll, exports, opening, shares

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def folder(django_db_setup: None, django_db_blocker: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A small world, made once for this module and undone after it."""
    path = tmp_path_factory.mktemp("demo")
    with django_db_blocker.unblock(), transaction.atomic():
        world.make(path, now=clock.now(), size=world.SMALL, progress=lambda share, what: None)
        yield path
        transaction.set_rollback(True)


def test_procedures_of_every_state_are_there(folder: Path) -> None:
    states = set(Tender.objects.values_list("status", flat=True))

    assert Tender.objects.count() == world.SMALL.procedures
    assert {
        TenderStatus.DRAFT,
        TenderStatus.OPENING,
        TenderStatus.PUBLISHED,
        TenderStatus.EVALUATION,
        TenderStatus.AWARDING,
        TenderStatus.STANDSTILL,
        TenderStatus.COMPLETE,
    } <= states
    assert Accreditation.objects.filter(status=AccreditationStatus.SUBMITTED).count() == 4


def test_some_contracts_are_delivered_and_offers_are_asked_for(folder: Path) -> None:
    assert set(Delivery.objects.values_list("status", "kind")) >= {
        ("recorded", "delivery"), ("confirmed", "delivery"), ("confirmed", "return"),
    }  # fmt: skip
    assert set(OfferRequest.objects.values_list("status", flat=True)) == {"sent", "answered"}


def test_a_committees_bids_wait_for_one_more_share_and_open_with_it(folder: Path) -> None:
    tender = Tender.objects.get(status=TenderStatus.OPENING)
    anna = Person.objects.get(email=BUYER.email)
    key = committee_keys.standing(anna)
    assert key is not None
    private = signatures.unwrap(key.wrapped, bytes(key.public_key), PASSWORD)
    holder = committee.Holder(actor_for(anna, tender.buyer), key, private)
    at = clock.now()

    with transaction.atomic():
        committee.release(tender, holder, at)
        shares.receive_seed(tender.pk, committee.put_together(tender, holder), by=holder.actor, at=at)
        opening.open_with_keys(tender.pk, at)
        found = Bid.objects.filter(lot__tender=tender)
        assert {(bid.status, bid.opening_problem) for bid in found} == {(BidStatus.OPENED, "")}
        transaction.set_rollback(True)


def test_nothing_is_overdue(folder: Path) -> None:
    assert not DueMoment.objects.filter(done_at=None, due_at__lt=clock.now()).exists()
    assert not DueMoment.objects.exclude(last_error="").exists()


def test_open_bids_are_sealed_and_receipted(folder: Path) -> None:
    sent = Bid.objects.filter(status=BidStatus.SUBMITTED.value)

    assert sent.exists()
    assert not sent.exclude(amount=None).exists()
    assert BidEnvelope.objects.filter(bid__in=sent, superseded_at=None).count() == sent.count()


def test_contracts_carry_signatures_that_pass_again(folder: Path) -> None:
    signed = list(ContractSignature.objects.select_related("signature__request", "signature__organisation"))

    assert {one.side for one in signed} == {"buyer", "supplier"}
    for one in signed:
        signature = one.signature
        report = signing.judge(
            bytes(signature.cms),
            bytes(signature.request.payload),
            identifiers=signing.identifiers_of(signature.organisation),
            at=signature.received_at,
        )
        assert report.passed, report.reasons


def test_the_audit_chains_are_whole(folder: Path) -> None:
    tender = Tender.objects.filter(status=TenderStatus.STANDSTILL.value).first()
    assert tender is not None
    records = AuditRecord.objects.filter(stream=f"tender:{tender.pk}").order_by("number")

    assert records.count() > 5
    assert audit.broken_at(records) is None


def test_the_named_people_can_log_in_and_sign(folder: Path) -> None:
    people = json.loads((folder / "people.json").read_text())
    known = [row for row in people if row["password"] == PASSWORD]

    assert [row["role"] for row in people] == [
        "Buyer", "Supplier", "Second supplier", "Committee member", "Committee member", "Operator", "Tariff manager",
        "Representative", "Second representative", "Sales manager", "Auditor", "Newcomer (sign up)",
    ]  # fmt: skip
    for row in known:
        assert Person.objects.get(email=row["email"]).check_password(PASSWORD)
    for row in people:
        if "certificate" in row:
            path = Path(row["certificate"])
            assert path.stat().st_mode & 0o077 == 0
            assert Credential.from_p12(path.read_bytes(), PASSWORD)


def test_an_auction_can_be_staged_bid_in_and_replayed(folder: Path) -> None:
    now = clock.now()
    with transaction.atomic():
        lot = auction_now.stage_auction(folder, now=now, seed=1)
        auction = Auction.objects.get(lot=lot)

        assert auction.status == AuctionStatus.SCHEDULED
        assert timedelta(seconds=30) < auction.starts_at - now < timedelta(minutes=2)
        assert auction_now.waiting_lot(now) == lot
        bots = {row["organisation"] for row in json.loads((folder / auction_now.FILE).read_text())["bots"]}
        assert len(bots & set(auction.participants.values_list("supplier", flat=True))) >= 3

        auctions.start(auction.pk, at=auction.starts_at)
        seat = auction.participants.select_related("supplier").order_by("standing_amount").last()
        assert seat is not None
        hall = rooms.hall(auction.pk)
        assert hall is not None
        best = min(bidder.standing_amount for bidder in auction.participants.all())
        person = seat.supplier.memberships.get().person_id
        bid = WaitingBid(
            lot.pk,
            seat.pk,
            person,
            best - 2 * hall.rules.step,
            "key-12345678",
            auction.starts_at + timedelta(seconds=9),
        )
        (answer,) = Desk().decide([bid])

        assert answer.accepted
        auctions.end(auction.pk, at=auction.ends_at)
        assert replay_lot(lot.pk)
        transaction.set_rollback(True)


def test_a_platform_with_organisations_gets_no_demo_world(folder: Path) -> None:
    with pytest.raises(CommandError, match="There are organisations already"):
        call_command("demo_world")


def test_a_real_platform_gets_no_demo_world(settings: Any) -> None:
    settings.PRODUCTION = True
    with pytest.raises(CommandError, match="real platform"):
        call_command("demo_world")


def test_the_newest_finished_procedures_have_their_papers(folder: Path, tmp_path: Path) -> None:
    """Made in bulk, they are as good as those that services made: the roll is whole and the export passes offline."""
    history = Tender.objects.filter(status=TenderStatus.COMPLETE, roll__size__gt=0)
    tender = history.exclude(moments__isnull=False).order_by("-published_at")[0]
    archive = tmp_path / "export.zip"
    with archive.open("wb") as out:
        exports.build(tender, exports.Reader(ExportScope.AUDITOR), out)

    assert bid_roll.faults(tender) == []
    said: list[str] = []
    assert openlot_verify.run([str(archive), "--quiet"], said.append) == 0, said
