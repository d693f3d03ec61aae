from __future__ import annotations

import hashlib
import io
import os
import tracemalloc

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

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


# Documents, in chunks -----------------------------------------------------------------------------------------------

MIB = sealing.CHUNK
SEALED_CHUNK = sealing.CHUNK + sealing.TAG_SIZE


def _sealed(plain: bytes, public: bytes, key: bytes | None = None) -> bytes:
    target = io.BytesIO()
    measured = sealing.seal_stream(public, io.BytesIO(plain), target, INFO, key)
    assert measured == sealing.Measured(len(target.getvalue()), hashlib.sha256(target.getvalue()).hexdigest())
    return target.getvalue()


def _opened(private: bytes, sealed: bytes, info: bytes = INFO) -> bytes:
    target = io.BytesIO()
    sealing.open_stream(private, io.BytesIO(sealed), target, info)
    return target.getvalue()


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB + 5])
def test_document_opens_as_it_was(size: int) -> None:
    lot = sealing.new_key_pair()
    plain = os.urandom(size)

    sealed = _sealed(plain, lot.public)

    assert _opened(lot.private, sealed) == plain
    assert len(sealed) == sealing.sealed_size(size)
    assert sealing.plain_size(len(sealed)) == size


@pytest.mark.parametrize("sealed", [0, 83, 99, sealing.HEADER_SIZE + SEALED_CHUNK + 16])
def test_plain_size_refuses_a_size_no_document_has(sealed: int) -> None:
    with pytest.raises(sealing.SealingError):
        sealing.plain_size(sealed)


def test_document_opens_with_the_file_key_its_sender_kept() -> None:
    lot, key = sealing.new_key_pair(), sealing.new_file_key()
    target = io.BytesIO()

    sealing.open_stream_with_key(key, io.BytesIO(_sealed(b"drawing", lot.public, key)), target)

    assert target.getvalue() == b"drawing"
    with pytest.raises(sealing.SealingError):
        sealing.open_stream_with_key(key, io.BytesIO(_sealed(b"drawing", lot.public)), target)


def test_document_of_another_lot_or_key_does_not_open() -> None:
    lot, other = sealing.new_key_pair(), sealing.new_key_pair()
    sealed = _sealed(b"drawing", lot.public)

    with pytest.raises(sealing.SealingError):
        _opened(other.private, sealed)
    with pytest.raises(sealing.SealingError):
        _opened(lot.private, sealed, b"openlot/bid/lot-2")


@pytest.fixture(scope="module")
def three_chunks() -> tuple[sealing.KeyPair, bytes, list[bytes]]:
    lot = sealing.new_key_pair()
    sealed = _sealed(bytes(2 * MIB + 3), lot.public)
    body = sealed[sealing.HEADER_SIZE :]
    return lot, sealed[: sealing.HEADER_SIZE], [body[n * SEALED_CHUNK : (n + 1) * SEALED_CHUNK] for n in range(3)]


@pytest.mark.parametrize(
    "order", [(), (0,), (0, 1), (0, 2), (1, 0, 2), (0, 0, 1, 2), (0, 1, 2, 2), (0, 2, 1), (2,), (0, 1, 2, 0)]
)
def test_document_with_chunks_cut_moved_or_repeated_does_not_open(
    three_chunks: tuple[sealing.KeyPair, bytes, list[bytes]], order: tuple[int, ...]
) -> None:
    lot, header, chunks = three_chunks

    with pytest.raises(sealing.SealingError):
        _opened(lot.private, header + b"".join(chunks[n] for n in order))


def test_document_cut_within_a_chunk_or_lengthened_does_not_open(
    three_chunks: tuple[sealing.KeyPair, bytes, list[bytes]],
) -> None:
    lot, header, chunks = three_chunks
    whole = header + b"".join(chunks)

    for changed in (whole[:-1], whole[: -SEALED_CHUNK // 2], whole + b"\0", whole + bytes(16), whole[:40], b""):
        with pytest.raises(sealing.SealingError):
            _opened(lot.private, changed)


@pytest.mark.parametrize("place", [0, 3, 4, 40, 83, 84, sealing.HEADER_SIZE + SEALED_CHUNK, -1])
def test_document_with_a_flipped_bit_does_not_open(
    three_chunks: tuple[sealing.KeyPair, bytes, list[bytes]], place: int
) -> None:
    lot, header, chunks = three_chunks
    changed = bytearray(header + b"".join(chunks))
    changed[place] ^= 1

    with pytest.raises(sealing.SealingError):
        _opened(lot.private, bytes(changed))


def test_empty_chunk_after_a_full_one_is_refused() -> None:
    """One document has one sealed form for a key: whoever seals may not add an empty end."""
    lot, key = sealing.new_key_pair(), sealing.new_file_key()
    cipher = AESGCM(key)
    header = sealing.MAGIC + sealing.seal(lot.public, key, INFO)
    full = cipher.encrypt(bytes(12), bytes(MIB), None)
    empty = cipher.encrypt(bytes(7) + (1).to_bytes(4, "big") + b"\1", b"", None)

    with pytest.raises(sealing.SealingError):
        _opened(lot.private, header + full + empty)


def test_stream_that_hands_out_little_at_a_time_is_read_to_its_end() -> None:
    class Slow(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            return super().read(min(size or 0, 100_000))

    lot = sealing.new_key_pair()
    plain = os.urandom(MIB + 77)
    sealed, target = io.BytesIO(), io.BytesIO()

    sealing.seal_stream(lot.public, Slow(plain), sealed, INFO)
    sealing.open_stream(lot.private, Slow(sealed.getvalue()), target, INFO)

    assert target.getvalue() == plain


def test_memory_does_not_grow_with_the_document() -> None:
    class Endless:
        """64 MiB of zeros that were never in memory."""

        left = 64 * MIB

        def read(self, size: int, /) -> bytes:
            size = min(size, self.left)
            self.left -= size
            return bytes(size)

    class Nowhere:
        def write(self, written: bytes, /) -> None:
            pass

    lot = sealing.new_key_pair()
    tracemalloc.start()
    sealing.seal_stream(lot.public, Endless(), Nowhere(), INFO)
    _now, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 8 * MIB
