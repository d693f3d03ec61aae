from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from marketplace.shared import keys


@pytest.fixture
def ring() -> keys.Keyring:
    return keys.Keyring.parse(keys.new_key_file_text("k1"))


@pytest.fixture
def fresh_keyring(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("OPENLOT_KEYS", raising=False)
    keys.keyring.cache_clear()
    yield
    keys.keyring.cache_clear()


def test_wrap_hides_and_unwrap_returns_the_secret(ring: keys.Keyring) -> None:
    wrapped = ring.wrap(b"lot key", purpose="lot/1")

    assert b"lot key" not in wrapped
    assert ring.unwrap(wrapped, purpose="lot/1") == b"lot key"


def test_unwrap_refuses_another_purpose_another_key_and_a_changed_byte(ring: keys.Keyring) -> None:
    wrapped = ring.wrap(b"lot key", purpose="lot/1")
    changed = wrapped[:-1] + bytes([wrapped[-1] ^ 1])
    stranger = keys.Keyring.parse(keys.new_key_file_text("k2"))
    namesake = keys.Keyring.parse(keys.new_key_file_text("k1"))

    for holder, secret, purpose in [
        (ring, wrapped, "lot/2"),
        (ring, changed, "lot/1"),
        (stranger, wrapped, "lot/1"),
        (namesake, wrapped, "lot/1"),
    ]:
        with pytest.raises(keys.UnwrapError):
            holder.unwrap(secret, purpose=purpose)


@pytest.mark.parametrize("wrapped", [b"", b"\x01", b"\x01\x02k1", b"\x02" * 60, b"\x01\xff" + bytes(40)])
def test_unwrap_refuses_garbage(ring: keys.Keyring, wrapped: bytes) -> None:
    with pytest.raises(keys.UnwrapError):
        ring.unwrap(wrapped, purpose="lot/1")


def test_rotation_unwraps_old_secrets_and_wraps_with_the_newest_key() -> None:
    old = keys.new_key_file_text("old")
    wrapped = keys.Keyring.parse(old).wrap(b"lot key", purpose="lot/1")

    rotated = keys.Keyring.parse(keys.new_key_file_text("new") + old)

    assert rotated.unwrap(wrapped, purpose="lot/1") == b"lot key"
    assert not rotated.wrapped_by_newest(wrapped)
    assert rotated.wrapped_by_newest(rotated.wrap(b"lot key", purpose="lot/1"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no encryption key"),
        ("encryption k1 AAAA\n", "line 1: the key is not 32 bytes in base64"),
        ("# a comment\nsecret k1 x\n", "line 2 is not 'encryption|receipt id base64'"),
        (keys.new_key_file_text("k1") * 2, "the key id k1 appears twice"),
    ],
)
def test_parse_names_the_wrong_line_without_showing_it(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        keys.Keyring.parse(text)


def test_receipt_is_verified_with_the_public_key_alone(ring: keys.Keyring) -> None:
    receipt = ring.sign_receipt({"bid": "b1", "sha256": "ab"})

    assert keys.verify_receipt(receipt, ring.receipt_public_keys()) == {"bid": "b1", "sha256": "ab"}


def test_receipt_changed_in_any_part_is_refused(ring: keys.Keyring) -> None:
    receipt = ring.sign_receipt({"bid": "b1"})
    other = keys.Keyring.parse(keys.new_key_file_text("k1"))

    for forged, public_keys in [
        (receipt | {"content": {"bid": "b2"}}, ring.receipt_public_keys()),
        (receipt | {"key": "k9"}, ring.receipt_public_keys()),
        (receipt | {"algorithm": "none"}, ring.receipt_public_keys()),
        (receipt | {"signature": "!"}, ring.receipt_public_keys()),
        ({"content": {}}, ring.receipt_public_keys()),
        (receipt, other.receipt_public_keys()),
    ]:
        with pytest.raises(keys.ReceiptError):
            keys.verify_receipt(forged, public_keys)


def test_key_file_is_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "private" / "keys"

    assert keys.create_key_file(path) is True
    first = path.read_text()
    assert keys.create_key_file(path) is False

    assert path.read_text() == first
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [p.name for p in path.parent.iterdir()] == ["keys"]


@pytest.mark.usefixtures("fresh_keyring")
def test_production_refuses_to_invent_keys(tmp_path: Path, settings: Settings) -> None:
    settings.PRODUCTION = True
    settings.OPENLOT_KEYS_FILE = str(tmp_path / "keys")

    with pytest.raises(ImproperlyConfigured):
        keys.keyring()

    assert not (tmp_path / "keys").exists()


@pytest.mark.usefixtures("fresh_keyring")
def test_development_makes_keys_once(tmp_path: Path, settings: Settings) -> None:
    settings.PRODUCTION = False
    settings.OPENLOT_KEYS_FILE = str(tmp_path / "keys")

    wrapped = keys.wrap(b"secret", purpose="x")
    keys.keyring.cache_clear()

    assert keys.unwrap(wrapped, purpose="x") == b"secret"


@pytest.mark.usefixtures("fresh_keyring")
def test_key_file_that_others_can_read_is_refused(tmp_path: Path, settings: Settings) -> None:
    settings.PRODUCTION = False
    settings.OPENLOT_KEYS_FILE = str(tmp_path / "keys")
    keys.create_key_file(tmp_path / "keys")
    (tmp_path / "keys").chmod(0o644)

    with pytest.raises(ImproperlyConfigured, match="Others can read"):
        keys.keyring()


@pytest.mark.usefixtures("fresh_keyring")
def test_keys_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENLOT_KEYS", keys.new_key_file_text("env").replace("\n", ";"))

    assert list(keys.keyring().encryption) == ["env"]
