"""The roll of bids: what stands on it for each bid, and the proof that a bid does.

A leaf binds one sent bid: where it belongs, what was sealed (through the manifest), who signed it (through the
signature's hash) and when it came. It names no supplier, and its salt of 32 random bytes keeps whoever guesses the
rest from confirming the guess by the leaf's hash, which is public. Leaves stand in the order of their hashes, so that
a place tells neither the lot nor the order of receipt.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Any, Final

from marketplace.signatures import merkle
from marketplace.signatures.payload import PayloadError, canonical

LEAF_FORMAT: Final = "openlot-roll-leaf-1"
PROOF_FORMAT: Final = "openlot-roll-proof-1"
ALGORITHM: Final = "RFC 9162 Merkle tree, SHA-256"
SALT_SIZE: Final = 32
STATEMENT_KIND: Final = "bid_roll"


class Lack(StrEnum):
    """Why a document proves nothing."""

    NO_FORM = "no_form"
    OTHER_PROCEDURE = "other_procedure"
    NOT_UNDER_ROOT = "not_under_root"


class NoProof(ValueError):
    """The document proves nothing; `lack` says why."""

    def __init__(self, lack: Lack) -> None:
        super().__init__(lack.value)
        self.lack = lack


@dataclass(frozen=True, slots=True)
class Proven:
    """What a proof that holds says: the leaf, and the roll's statement, whose signature is another's to check."""

    leaf: Mapping[str, Any]
    statement: Mapping[str, Any]


def leaf(
    *,
    tender: str,
    lot: int,
    bid: int,
    version: int,
    manifest: Mapping[str, Any],
    signature: bytes,
    received_at: datetime,
    salt: str,
) -> dict[str, Any]:
    """The leaf of a sent bid. `signature` is the CMS, `salt` 32 bytes in hexadecimal."""
    return {
        "format": LEAF_FORMAT,
        "tender": tender,
        "lot": lot,
        "bid": bid,
        "bid_version": version,
        "manifest_sha256": sha256(canonical(manifest)).hexdigest(),
        "signature_sha256": sha256(signature).hexdigest(),
        "received_at": f"{received_at.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z",
        "salt": salt,
    }


def hash_of(content: Mapping[str, Any]) -> str:
    """The leaf's hash in the tree, hexadecimal. Raises PayloadError."""
    return merkle.leaf_hash(canonical(content)).hex()


def tree(hashes: Sequence[str]) -> merkle.Tree:
    """The tree over leaves' hashes (hexadecimal), in their order. Raises ValueError where one is no hash."""
    return merkle.Tree.over([bytes.fromhex(one) for one in sorted(hashes)])


def proof(
    content: Mapping[str, Any], hash_: str, hashes: Iterable[str], statement: Mapping[str, Any]
) -> dict[str, Any]:
    """What a bidder takes away: leaf, place, path and the signed statement. `hash_` is the leaf's as it stood on the
    roll: where the content was changed since, the proof does not hold. `hashes` are all leaves' in their order, read
    once. Raises ValueError for a hash not among them."""
    found = merkle.inclusion_of(bytes.fromhex(hash_), map(bytes.fromhex, hashes))
    return _document(content, found.index, found.path, statement)


class Proofs:
    """The proofs of many leaves of one roll: the tree is built once."""

    def __init__(self, hashes: Iterable[str], statement: Mapping[str, Any]) -> None:
        """`hashes` are all leaves' in their order. Raises ValueError where one is no hash."""
        self._tree = merkle.Tree.over([bytes.fromhex(one) for one in hashes])
        self._places = {leaf: index for index, leaf in enumerate(self._tree.levels[0])}
        self._statement = statement

    def of(self, content: Mapping[str, Any], hash_: str) -> dict[str, Any]:
        """As `proof`. Raises ValueError for a hash not among them."""
        index = self._places.get(bytes.fromhex(hash_))
        if index is None:
            raise ValueError("the leaf is not on the roll")
        return _document(content, index, self._tree.inclusion(index), self._statement)


def _document(
    content: Mapping[str, Any], index: int, path: Iterable[bytes], statement: Mapping[str, Any]
) -> dict[str, Any]:
    return {
        "format": PROOF_FORMAT,
        "leaf": dict(content),
        "index": index,
        "path": [step.hex() for step in path],
        "statement": dict(statement),
    }


def proven(document: Mapping[str, Any]) -> Proven:
    """Check a proof's arithmetic: the leaf leads to the root that the statement names. Raises NoProof, whatever it is
    given; whose signature the statement carries is not looked at."""
    try:
        content, statement = document["leaf"], document["statement"]
        said = statement["content"]
        if document["format"] != PROOF_FORMAT or content["format"] != LEAF_FORMAT or said["kind"] != STATEMENT_KIND:
            raise NoProof(Lack.NO_FORM)
        if content["tender"] != said["tender"]:
            raise NoProof(Lack.OTHER_PROCEDURE)
        index, size = _whole(document["index"]), _whole(said["size"])
        path = [bytes.fromhex(step) for step in document["path"]]
        leads = merkle.proves(merkle.leaf_hash(canonical(content)), index, size, path, bytes.fromhex(said["root"]))
    except NoProof:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, PayloadError, RecursionError) as error:
        raise NoProof(Lack.NO_FORM) from error
    if not leads:
        raise NoProof(Lack.NOT_UNDER_ROOT)
    return Proven(content, statement)


def read(document: bytes) -> Mapping[str, Any]:
    """The JSON object in these bytes. Raises NoProof."""
    try:
        found = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise NoProof(Lack.NO_FORM) from error
    if not isinstance(found, dict):
        raise NoProof(Lack.NO_FORM)
    return found


def _whole(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(value)
    return value
