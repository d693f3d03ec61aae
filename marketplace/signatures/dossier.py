"""What is kept with a signature for judging it years later, and its stamping again in batches.

The hash tree of a batch of archive time stamps is RFC 4998's idea; `longterm` judges what is kept here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, Self

from . import merkle
from .gate import STRONG_HASHES
from .payload import canonical

FORMAT: Final = "openlot-archive-1"


@dataclass(frozen=True, slots=True)
class Kept:
    """A piece of evidence (DER) and the fingerprint it was kept under."""

    sha256: str
    der: bytes = field(repr=False)

    @classmethod
    def of(cls, der: bytes) -> Self:
        return cls(hashlib.sha256(der).hexdigest(), der)

    @property
    def intact(self) -> bool:
        return hashlib.sha256(self.der).hexdigest() == self.sha256


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive time stamp: digests of what it covers, and the way from their leaf to the root that was stamped."""

    token: Kept
    hash_algorithm: str
    covers: tuple[str, ...] = field(repr=False)
    index: int
    size: int
    path: tuple[str, ...] = field(repr=False)

    def proof(self) -> dict[str, Any]:
        """The form it is kept in, beside the token; read again by `from_proof`."""
        return {
            "format": FORMAT,
            "hash": self.hash_algorithm,
            "covers": list(self.covers),
            "index": self.index,
            "size": self.size,
            "path": list(self.path),
        }

    @classmethod
    def from_proof(cls, token: Kept, proof: Mapping[str, Any]) -> Self:
        """Raises `KeyError`, `TypeError` or `ValueError` when it is none."""
        if proof["format"] != FORMAT:
            raise ValueError("an archive time stamp of an unknown form")
        return cls(
            token,
            str(proof["hash"]),
            tuple(map(str, proof["covers"])),
            int(proof["index"]),
            int(proof["size"]),
            tuple(map(str, proof["path"])),
        )


@dataclass(frozen=True, slots=True)
class Dossier:
    """A signature with everything kept for judging it; `chain` runs from the signer's certificate to the anchor's.

    `stamp_certificates`, `stamp_crls` and `stamp_ocsps` serve every time stamp. `archives` are in the order of their
    making.
    """

    cms: bytes = field(repr=False)
    payload: bytes | None = field(repr=False)
    chain: tuple[Kept, ...] = ()
    crls: tuple[Kept, ...] = ()
    ocsps: tuple[Kept, ...] = ()
    stamp: Kept | None = None
    stamp_certificates: tuple[Kept, ...] = ()
    stamp_crls: tuple[Kept, ...] = ()
    stamp_ocsps: tuple[Kept, ...] = ()
    archives: tuple[Archive, ...] = ()

    @property
    def evidence(self) -> tuple[Kept, ...]:
        """All of it but the archive time stamps."""
        own = (*self.chain, *self.crls, *self.ocsps, *((self.stamp,) if self.stamp else ()))
        return (*own, *self.stamp_certificates, *self.stamp_crls, *self.stamp_ocsps)

    def covered(self, algorithm: str) -> tuple[str, ...]:
        """Digests of everything there is now: what the next archive time stamp has to cover. Sorted, hexadecimal."""
        found = {digest(algorithm, self.cms), digest(algorithm, self.payload or b"")}
        found |= {_digest_of_kept(algorithm, one) for one in self.evidence}
        for archive in self.archives:
            found |= {digest(algorithm, archive.token.der), digest(algorithm, canonical(archive.proof()))}
        return tuple(sorted(found))


def digest(algorithm: str, content: bytes) -> str:
    return hashlib.new(algorithm, content).hexdigest()


@lru_cache(maxsize=256)
def _digest_of_kept(algorithm: str, kept: Kept) -> str:
    """Cached: a revocation list may have megabytes, and thousands of signatures rest on it."""
    return digest(algorithm, kept.der)


# Stamping again ----------------------------------------------------------------------------------------------------


def leaf_of(algorithm: str, covers: Sequence[str]) -> bytes:
    """What stands for a signature in the tree of a batch."""
    return canonical({"format": FORMAT, "hash": algorithm, "covers": list(covers)})


@dataclass(frozen=True, slots=True)
class Batch:
    """Signatures that are stamped together: one token over the root of the tree of their leaves."""

    algorithm: str
    covers: tuple[tuple[str, ...], ...] = field(repr=False)
    tree: merkle.Tree = field(repr=False)

    @classmethod
    def over(cls, dossiers: Iterable[Dossier], algorithm: str) -> Self:
        """Raises `ValueError` for a hash function that is not accepted."""
        if algorithm not in STRONG_HASHES:
            raise ValueError(f"{algorithm} is not a hash function to build on")
        covers = tuple(dossier.covered(algorithm) for dossier in dossiers)
        leaves = [merkle.leaf_hash(leaf_of(algorithm, one), algorithm) for one in covers]
        return cls(algorithm, covers, merkle.Tree.over(leaves, algorithm))

    def archive(self, index: int, token: Kept) -> Archive:
        """The archive time stamp of the dossier at `index`, once `token` over the root is there."""
        path = tuple(one.hex() for one in self.tree.inclusion(index))
        return Archive(token, self.algorithm, self.covers[index], index, self.tree.size, path)
