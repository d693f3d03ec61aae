from __future__ import annotations

import pytest

from marketplace.signatures import sealing

INFO = b"openlot/bid/lot-1"


def test_seal_opens_with_the_private_key() -> None:
    lot = sealing.new_key_pair()

    sealed = sealing.seal(lot.public, b"price 100.00", INFO)

    assert sealing.open_sealed(lot.private, sealed, INFO) == b"price 100.00"
    assert len(sealed) == len(b"price 100.00") + sealing.OVERHEAD
    assert b"price" not in sealed


def test_seal_of_the_same_text_differs_each_time() -> None:
    lot = sealing.new_key_pair()

    assert sealing.seal(lot.public, b"same", INFO) != sealing.seal(lot.public, b"same", INFO)


def test_open_refuses_another_lot() -> None:
    lot, other = sealing.new_key_pair(), sealing.new_key_pair()
    sealed = sealing.seal(lot.public, b"price", INFO)

    with pytest.raises(sealing.SealingError):
        sealing.open_sealed(other.private, sealed, INFO)
    with pytest.raises(sealing.SealingError):
        sealing.open_sealed(lot.private, sealed, b"openlot/bid/lot-2")


@pytest.mark.parametrize("place", [0, 31, 32, -1])
def test_open_refuses_a_changed_envelope(place: int) -> None:
    lot = sealing.new_key_pair()
    sealed = bytearray(sealing.seal(lot.public, b"price", INFO))
    sealed[place] ^= 1

    with pytest.raises(sealing.SealingError):
        sealing.open_sealed(lot.private, bytes(sealed), INFO)


@pytest.mark.parametrize("sealed", [b"", b"x", bytes(32), bytes(47), bytes(48)])
def test_open_refuses_garbage(sealed: bytes) -> None:
    with pytest.raises(sealing.SealingError):
        sealing.open_sealed(sealing.new_key_pair().private, sealed, INFO)


@pytest.mark.parametrize("public", [b"", b"short", bytes(33), bytes(32)])
def test_seal_refuses_what_is_no_key(public: bytes) -> None:
    with pytest.raises(sealing.SealingError):
        sealing.seal(public, b"price", INFO)


def test_key_pair_does_not_show_its_private_half() -> None:
    pair = sealing.new_key_pair()

    assert repr(pair.private) not in repr(pair)
