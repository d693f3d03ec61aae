"""A buyer's committee holds the keys: made, tried, published, bid to, released and opened, all in browsers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from playwright.sync_api import expect

from marketplace.models import CommitteeKey, Role
from marketplace.permissions import Actor
from marketplace.shared import keys
from marketplace.signatures import sealing
from procurement.auction import clock
from procurement.models import Bid, BidEnvelope, KeyCeremony, KeyShare, Lot, Tender
from procurement.rules.lifecycle import TenderStatus
from procurement.services import bid_content, bid_drafts
from tests.browser.people import P12_PASSWORD, Visitor
from tests.factories import bidder_program as program
from tests.factories.bids import CLOSES, bidder
from tests.factories.marketplace import NOON, accredited_buyer, member
from tests.factories.procurement import draft_tender
from tests.factories.signatures import certificate_of, trust

PASSPHRASE = "vier Füße auf der Bank"


def test_a_committee_makes_its_keys_and_opens_the_bids(
    visit: Callable[..., Visitor], freeze: Callable[..., Any]
) -> None:
    now = freeze(NOON)
    trust()
    buyer = accredited_buyer()
    bert, cleo, dan = (visit(name) for name in ("bert", "cleo", "dan"))
    people = {
        "bert": _named(member(buyer, Role.OFFICER, Role.SIGNER), "Bert Clerk"),
        "cleo": _named(member(buyer, Role.EVALUATOR), "Cleo Stein"),
        "dan": _named(member(buyer, Role.OBSERVER), "Dan Weiß"),
    }
    for visitor in (bert, cleo, dan):
        visitor.logs_in(people[visitor.name].email)
    _makes_a_key(bert)
    _makes_a_key(cleo)
    _registers_a_certificate(dan, certificate_of(buyer))

    tender = draft_tender(buyer=buyer, title="Desks for the town hall")
    _chooses(bert, tender)
    _tries_the_share(cleo, tender)
    _tries_the_share(dan, tender, p12=True)
    bert.goes_to(f"/procedures/{tender.number}/review/")
    bert.sees("Bert Clerk has not yet tried to open the share.")
    bert.picture("review")
    bert.presses("Publish")
    bert.presses("Publish", within=bert.page.get_by_role("dialog"))
    bert.sees("Published. Suppliers of these categories are being told.")

    lot = Lot.objects.get()
    _bid(lot)
    cleo.goes_to(f"/procedures/{tender.number}/shares/")
    expect(cleo.page.get_by_role("button", name="Release my share")).to_have_count(0)
    _opens_nothing(lot)

    clock.tick(now.move_to(CLOSES + timedelta(seconds=5)))
    assert Tender.objects.get().status == TenderStatus.OPENING
    _opens_nothing(lot)
    cleo.goes_to("/")
    cleo.follows("An opening waits for your share of the key")
    cleo.picture("release")
    cleo.page.get_by_label("Passphrase of your committee key").fill("another one")
    cleo.presses("Release my share")
    cleo.is_refused("This is not the passphrase of your key.")
    cleo.page.get_by_label("Passphrase of your committee key").fill(PASSPHRASE)
    cleo.page.get_by_role("button", name="Release my share").dblclick()
    cleo.sees("Your share is released")
    cleo.picture("released")
    assert list(KeyShare.objects.filter(released_at__isnull=False).values_list("member__full_name")) == [
        ("Cleo Stein",)
    ]
    _opens_nothing(lot)

    dan.goes_to(f"/procedures/{tender.number}/shares/")
    dan.page.get_by_label("Key file (.p12 or .pfx)").set_input_files(dan.files / "dan.p12")
    dan.page.get_by_label("Password of the key file").fill(P12_PASSWORD)
    dan.presses("Release my share")
    dan.sees("The key is together: the bids are being opened.")
    dan.picture("opening")
    clock.tick(now.move_to(CLOSES + timedelta(seconds=20)))
    dan.sees("The bids were opened with this key")
    bid = Bid.objects.get()
    assert (str(bid.amount), bid.opening_problem) == ("500.0000", "")
    assert Lot.objects.get().wrapped_private_key is None
    bert.goes_to(f"/procedures/{tender.number}/protocol/")
    bert.sees("500.00")
    bert.picture("protocol")


def test_the_passphrase_the_seed_and_the_shares_never_leave_the_page(
    visit: Callable[..., Visitor], freeze: Callable[..., Any]
) -> None:
    freeze(NOON)
    buyer = accredited_buyer()
    bert = visit("bert")
    officer = member(buyer, Role.OFFICER)
    bert.logs_in(_named(officer, "Bert Clerk").email)
    sent: list[str] = []
    bert.page.on("request", lambda request: sent.append(f"{request.url} {request.post_data or ''}"))

    _makes_a_key(bert)
    bert.page.get_by_label("Passphrase of your committee key").fill(PASSPHRASE)
    bert.presses("Try it")
    bert.is_told("It works: you can open your shares with it.")

    posts = [one for one in sent if "wrapped" in one]
    assert len(posts) == 1
    for secret in (PASSPHRASE, "vier", "F%C3%BC", "passphrase="):
        assert not any(secret in one for one in sent)
    wrapped = CommitteeKey.objects.get().wrapped
    assert wrapped is not None
    assert set(wrapped) == {"kdf", "iterations", "salt", "iv", "ciphertext"}


@pytest.mark.parametrize(("typed", "again", "said"), [
    ("short", "short", "Choose at least 12 characters"),
    (PASSPHRASE, PASSPHRASE + "!", "The two passphrases differ."),
])  # fmt: skip
def test_a_weak_or_mistyped_passphrase_is_refused(
    visit: Callable[..., Visitor], typed: str, again: str, said: str
) -> None:
    bert = visit("bert")
    bert.logs_in(_named(member(accredited_buyer(), Role.OFFICER), "Bert Clerk").email)
    bert.goes_to("/account/committee-key/")
    bert.page.get_by_label("Passphrase", exact=True).fill(typed)
    bert.page.get_by_label("The same again").fill(again)
    bert.presses("Make my key")
    bert.is_refused(said)
    assert not CommitteeKey.objects.exists()


def _named(actor: Actor, name: str) -> Any:
    assert actor.person is not None
    actor.person.full_name = name
    actor.person.save(update_fields=["full_name"])
    return actor.person


def _makes_a_key(visitor: Visitor) -> None:
    visitor.goes_to("/account/committee-key/")
    visitor.picture("no-key")
    visitor.page.get_by_label("Passphrase", exact=True).fill(PASSPHRASE)
    visitor.page.get_by_label("The same again").fill(PASSPHRASE)
    visitor.presses("Make my key")
    visitor.is_told("This is your committee key now.")
    visitor.picture("key")


def _registers_a_certificate(visitor: Visitor, credential: Any) -> None:
    (visitor.files / "dan.p12").write_bytes(credential.p12(P12_PASSWORD))
    visitor.goes_to("/account/committee-key/")
    visitor.page.get_by_label("Key file (.p12 or .pfx)").set_input_files(visitor.files / "dan.p12")
    visitor.page.get_by_label("Password of the key file").fill(P12_PASSWORD)
    visitor.presses("Use this certificate")
    visitor.is_told("This is your committee key now.")
    visitor.sees("your key file")


def _chooses(bert: Visitor, tender: Tender) -> None:
    bert.goes_to(f"/procedures/{tender.number}/review/")
    bert.follows("Choose who holds the keys")
    bert.picture("custody")
    bert.page.get_by_role("radio", name=re.compile("Our committee")).check()
    bert.presses("Go on")
    bert.sees("1 share may be lost. With 2 lost nobody can ever open the bids, and the procedure has to be repeated.")
    bert.picture("ceremony")
    sent: list[str] = []
    bert.page.on("request", lambda request: sent.append(request.post_data or "") if request.method == "POST" else None)
    bert.presses("Make and split the keys")
    bert.is_told("The keys are made, and the members are asked to try their shares.")
    assert KeyCeremony.objects.get().made_at == NOON
    assert [share.member.full_name for share in KeyShare.objects.order_by("index")] == [
        "Bert Clerk", "Cleo Stein", "Dan Weiß",
    ]  # fmt: skip


def _tries_the_share(visitor: Visitor, tender: Tender, *, p12: bool = False) -> None:
    visitor.goes_to("/")
    visitor.follows("Try that you can open your share of a key")
    visitor.picture("try")
    if p12:
        visitor.page.get_by_label("Key file (.p12 or .pfx)").set_input_files(visitor.files / "dan.p12")
        visitor.page.get_by_label("Password of the key file").fill(P12_PASSWORD)
    else:
        visitor.page.get_by_label("Passphrase of your committee key").fill(PASSPHRASE)
    visitor.presses("I can open my share")
    visitor.is_told("Your share opens.")


def _bid(lot: Lot) -> None:
    """A bid sealed by its bidder's own program; the bidder's pages have a test of their own."""
    by = bidder()
    bid = Bid.objects.select_related("lot__tender").get(pk=bid_drafts.start(lot.pk, by=by, at=NOON).pk)
    content = program.content_of(bid, ["20", "30"], ["200.00", "300.00"], "500.00")
    program.send(bid, program.sealed_content(bid, content), by=by)


def _opens_nothing(lot: Lot) -> None:
    """What the server holds (the key file's keys, wrapped or sealed bytes, hashes) is no key of the envelope."""
    lot.refresh_from_db()
    assert lot.wrapped_private_key is None
    envelope = BidEnvelope.objects.select_related("bid").get()
    ceremony = KeyCeremony.objects.get()
    stored = [bytes(lot.public_key or b""), *keys.keyring().encryption.values(), *keys.keyring().receipt.values()]
    for share in ceremony.shares.select_related("key"):
        stored += [bytes(share.sealed or b""), bytes.fromhex(share.commitment), json.dumps(share.key.wrapped).encode()]
        stored += [bytes(one.sealed) for one in share.releases.all()]
    info = bid_content.info(envelope.bid, bid_content.CONTENT_PART)
    for known in stored:
        for private in {known[start : start + 32] for start in range(0, max(1, len(known) - 31), 16)}:
            with pytest.raises(sealing.SealingError):
                sealing.open_sealed(private, bytes(envelope.ciphertext), info)
