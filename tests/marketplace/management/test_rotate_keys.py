"""After a rotation the old key can go: everything still opens without it."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from io import StringIO

import pytest
from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core.management import CommandError, call_command

from marketplace import rotation
from marketplace.models import AuditRecord, KeyRotation
from marketplace.services import key_rotation
from marketplace.shared import keys
from procurement.models import Bid, KeyCeremony, Lot
from procurement.services import bid_drafts, custody, lot_keys
from tests.factories.bids import bidder, drafted_bid, tender_taking_bids
from tests.factories.committee import held_tender
from tests.factories.marketplace import NOON, PersonFactory

pytestmark = pytest.mark.django_db


def line(key_id: str) -> str:
    return f"encryption {key_id} {base64.b64encode(secrets.token_bytes(32)).decode()}"


OLD, NEW, RECEIPT = line("old"), line("new"), line("r").replace("encryption", "receipt")


@pytest.fixture(autouse=True)
def key_file(monkeypatch: pytest.MonkeyPatch) -> Iterator[object]:
    """Sets the lines of the key file; the first ones hold the old key alone."""

    def use(*lines: str) -> None:
        monkeypatch.setenv("OPENLOT_KEYS", ";".join([*lines, RECEIPT]))
        keys.keyring.cache_clear()

    use(OLD)
    yield use
    keys.keyring.cache_clear()


def run(*arguments: str) -> str:
    out = StringIO()
    call_command("rotate_keys", *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_everything_opens_with_the_new_key_alone(key_file) -> None:
    lot = tender_taking_bids(lots=2).lots.first()
    private, by = lot_keys.unwrap_private(lot), bidder()
    bid = drafted_bid(lot, ["10", "20"], by=by)
    typed = bid_drafts.read_draft(bid, by=by).prices
    held = held_tender(escrow=True)
    person = PersonFactory.create()
    secret = generate_totp_secret()
    TOTP.activate(person, secret)
    codes = RecoveryCodes.activate(person).get_unused_codes()
    key_file(NEW, OLD)

    said = run("--batch", "1")

    assert "keys of lots: 2 secrets, 2 wrapped anew" in said
    assert "second factors: 2 secrets, 2 wrapped anew" in said
    key_file(NEW)
    assert lot_keys.unwrap_private(Lot.objects.get(pk=lot.pk)) == private
    assert bid_drafts.read_draft(Bid.objects.get(pk=bid.pk), by=by).prices == typed
    factors = Authenticator.objects.filter(user=person)
    assert get_adapter().decrypt(factors.get(type="totp").data["secret"]) == secret
    assert RecoveryCodes(factors.get(type="recovery_codes")).get_unused_codes() == codes
    ceremony = KeyCeremony.objects.get(tender=held.tender)
    assert len(keys.unwrap(bytes(ceremony.escrow_wrapped_key), purpose=custody.escrow_purpose(ceremony))) == 32
    record = AuditRecord.objects.get(action="keys.rotated")
    assert (record.details["key"], record.details["counts"]["keys of lots"]) == ("new", 2)


def test_check_counts_and_changes_nothing(key_file) -> None:
    tender_taking_bids()
    assert "Everything is wrapped by old" in run("--check")
    key_file(NEW, OLD)
    before = bytes(Lot.objects.get().wrapped_private_key)

    with pytest.raises(CommandError, match="keep the older keys"):
        run("--check")

    assert bytes(Lot.objects.get().wrapped_private_key) == before
    assert not KeyRotation.objects.exists()


def test_a_rotation_that_was_interrupted_goes_on(key_file) -> None:
    tender_taking_bids(lots=3)
    key_file(NEW, OLD)

    class Stopped(Exception):
        pass

    def stop(name: str, seen: int) -> None:
        if name == "keys of lots" and seen == 2:
            raise Stopped

    with pytest.raises(Stopped):
        key_rotation.rotate(at=NOON, batch=1, progress=stop)
    assert not KeyRotation.objects.exists()

    assert "keys of lots: 3 secrets, 1 wrapped anew" in run()
    assert "0 wrapped anew" in run()


def test_a_secret_of_a_missing_key_is_told_and_left(key_file) -> None:
    tender_taking_bids()
    before = bytes(Lot.objects.get().wrapped_private_key)
    key_file(NEW)

    with pytest.raises(CommandError, match="1 secrets open with no key"):
        run()

    assert bytes(Lot.objects.get().wrapped_private_key) == before
    assert KeyRotation.objects.get().lost == 1


def test_every_place_that_wraps_is_a_source() -> None:
    """A new use of keys.wrap belongs into procurement/services/wrapped_secrets.py and into this list."""
    assert [source.name for source in rotation.sources()] == [
        "second factors", "keys of lots", "drafts of bids", "keys of escrow",
    ]  # fmt: skip
