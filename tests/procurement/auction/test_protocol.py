"""The protocol of an auction: what everybody who took part may check alone."""

import copy
import json
import subprocess
import sys
from datetime import timedelta

import pytest
from django.core.management import CommandError, call_command

from marketplace.services import timekeeping
from marketplace.shared import keys
from marketplace.signatures.payload import canonical, sha256_hex
from procurement.auction.room import Desk
from procurement.models import Auction, Award
from procurement.rules.auction.document import DocumentWrong, check
from procurement.rules.auction.log import EventKind, LogBroken
from procurement.services import auction_pdf, auction_protocol, auctions, outages, pulse
from tests.conftest import ROOT
from tests.database_time import look_at
from tests.factories.auctions import START, running_auction, seats

pytestmark = pytest.mark.django_db


def later(seconds):
    return START + timedelta(seconds=seconds)


@pytest.fixture
def ended(monkeypatch):
    """An auction that bore an outage, was extended, and has ended."""
    auction = running_auction()
    a, b, _ = seats(auction)
    Desk().decide([a.bid("90.00", later(10.123456))])
    for at in (later(100), later(160)):
        monkeypatch.setattr(timekeeping, "look", lambda at=at: look_at(at))
        pulse.gateway_beat("gateway:one:1", pulse.Progress(at), since_last=None)
    outages.attend("clock:one:1")
    Desk().decide([b.bid("88.00", later(650))])
    monkeypatch.setattr(pulse, "last_sign", lambda: None)
    auctions.end(auction.pk, at=later(832))
    return Auction.objects.select_related("lot__tender__buyer").get()


def test_the_document_holds_by_itself_and_says_who_won(ended):
    document = json.loads(json.dumps(auction_protocol.document(ended)))
    _hall, found = check(document)
    _, b, _ = seats(ended)
    assert (found["winner"], found["price"], found["extensions"]) == (b.participant.label, "88.00", 1)
    assert found["ended_at"] == "2026-03-02T12:14:50.000000Z"
    (pause,) = found["pauses"]
    assert (pause["given_back_s"], pause["by_the_platform_itself"]) == (60, True)
    assert document["events"][2]["local"].startswith("2026-03-02T13:01:10.123456+01:00")
    assert document == json.loads(json.dumps(auction_protocol.document(ended)))
    statement = document.pop("statement")
    content = keys.verify_receipt(statement, keys.keyring().receipt_public_keys())
    assert (content["head"], content["document_sha256"]) == (ended.head_hash, sha256_hex(canonical(document)))


def test_names_and_people_are_not_in_it_before_the_award(ended):
    def told():
        return json.dumps(auction_protocol.document(ended), ensure_ascii=False)

    names = [seat.participant.supplier.full_name for seat in seats(ended)]
    assert not any(name in told() for name in names)
    assert {entry["content"]["person"] for entry in json.loads(told())["events"]} == {None}
    winner = ended.participants.get(bid__rank=1).bid
    award = Award.objects.create(
        lot=ended.lot, bid=winner, amount=winner.amount, currency=winner.currency, created_at=later(900)
    )
    assert not any(name in told() for name in names)
    Award.objects.filter(pk=award.pk).update(status="active", decided_at=later(1000))
    assert all(name in told() for name in names)


def test_there_is_none_before_the_end():
    with pytest.raises(auction_protocol.AuctionNotOver):
        auction_protocol.document(running_auction())


@pytest.mark.parametrize(
    ("forge", "said"),
    [
        (lambda d: d["events"][2]["content"].update(amount="91.0000"), "event 3: its content or the one before"),
        (lambda d: d["events"].pop(3), "event 5"),
        (lambda d: d["result"].update(winner="1" if d["result"]["winner"] != "1" else "2"), "winner: the log gives"),
        (lambda d: d["result"]["ranking"].reverse(), "ranking"),
        (lambda d: d["result"].update(pauses=[]), "pauses"),
        (lambda d: d["bidders"][0].update(label="9"), "bidders"),
        (lambda d: d["bidders"][0].update(amount="1.00"), "bidders"),
        (lambda d: d["terms"].update(start_price="1.00"), "terms"),
        (lambda d: d["events"][2].update(local="2026-03-02T13:00:00.000000+01:00"), "event 3: the document"),
        (lambda d: d["events"][2]["content"].update(more=1), "event 3: the document adds"),
        (lambda d: d.pop("tender"), "not an auction's document"),
        (lambda d: d["events"][0]["content"]["detail"].pop("rules"), "event 1"),
        (lambda d: d.update(format="other"), "format"),
        # An exact fraction of that would never be done.
        (lambda d: d["events"][2]["content"].update(amount="1e999999999"), "no price of anything"),
    ],
)
def test_a_document_that_was_changed_does_not_hold(ended, forge, said):
    document = copy.deepcopy(auction_protocol.document(ended))
    forge(document)
    with pytest.raises((DocumentWrong, LogBroken), match=said):
        check(document)


def test_a_loser_checks_it_alone_without_a_database(ended, tmp_path, capsys):
    path = tmp_path / "auction.json"
    path.write_text(json.dumps(auction_protocol.document(ended), ensure_ascii=False))
    alone = [sys.executable, "-m", "procurement.rules.auction.document", str(path)]
    found = subprocess.run(alone, cwd=ROOT, env={"PATH": ""}, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
    assert "Winner: bidder" in found.stdout
    assert ended.head_hash in found.stdout
    call_command("replay_auction", "--file", str(path), "--json")
    from_file = json.loads(capsys.readouterr().out)
    call_command("replay_auction", str(ended.lot_id), "--json")
    assert from_file == json.loads(capsys.readouterr().out)
    assert from_file["head"] == ended.head_hash
    path.write_text(path.read_text().replace('"88.0000"', '"87.0000"'))
    found = subprocess.run(alone, cwd=ROOT, env={"PATH": ""}, capture_output=True, text=True, check=False)
    assert found.returncode == 1
    with pytest.raises(CommandError, match="does not hold: event"):
        call_command("replay_auction", "--file", str(path))
    # The last of the two would be taken here, and the first perhaps elsewhere.
    path.write_text(json.dumps(auction_protocol.document(ended)).replace('"winner":', '"winner": "9", "winner":'))
    found = subprocess.run(alone, cwd=ROOT, env={"PATH": ""}, capture_output=True, text=True, check=False)
    assert (found.returncode, "two things under one name" in found.stderr) == (1, True)
    with pytest.raises(CommandError, match="two things under one name"):
        call_command("replay_auction", "--file", str(path))
    path.write_bytes(b"\xff{")
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("replay_auction", "--file", str(path))


def test_the_print_is_a_pdf_with_every_event(ended):
    found = auction_pdf.of(auction_protocol.document(ended))
    assert found.startswith(b"%PDF-1.7")
    assert len(found) > 20_000


def test_every_kind_of_event_has_words():
    assert set(auction_pdf.EVENT_WORDS) == set(EventKind)
