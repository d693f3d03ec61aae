"""Merkle trees as Certificate Transparency has them (RFC 6962 section 2.1, RFC 9162 section 2.1): leaves under 0x00 and
nodes under 0x01, so that a node can never pass for a leaf. SHA-256, or another of hashlib for what must outlive it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from hashlib import new, sha256
from typing import Final

EMPTY_ROOT: Final = sha256(b"").digest()
#: The longest path that is looked at; no tree is as deep.
LONGEST_PATH: Final = 64


def leaf_hash(leaf: bytes, algorithm: str = "sha256") -> bytes:
    """The hash under which a leaf stands in the tree."""
    return new(algorithm, b"\x00" + leaf).digest()


@dataclass(frozen=True, slots=True)
class Tree:
    """The tree over leaf hashes in their order. `levels` run from the leaves to the root."""

    levels: tuple[tuple[bytes, ...], ...]

    @classmethod
    def over(cls, leaves: Sequence[bytes], algorithm: str = "sha256") -> Tree:
        """`leaves` are leaf hashes. A node without a neighbour moves up unchanged: that is the split at the largest
        power of two, from below."""
        level = tuple(leaves)
        levels = [level]
        while len(level) > 1:
            pairs = [_node(level[at], level[at + 1], algorithm) for at in range(0, len(level) - 1, 2)]
            level = (*pairs, *(level[-1:] if len(level) % 2 else ()))
            levels.append(level)
        return cls(tuple(levels))

    @property
    def root(self) -> bytes:
        """The tree's hash; of no leaves it is the hash of nothing."""
        return self.levels[-1][0] if self.levels[-1] else EMPTY_ROOT

    @property
    def size(self) -> int:
        return len(self.levels[0])

    def inclusion(self, index: int) -> tuple[bytes, ...]:
        """The path that proves the leaf at `index`, from its neighbour to just under the root. Raises IndexError."""
        if not 0 <= index < self.size:
            raise IndexError(index)
        path = []
        for level in self.levels[:-1]:
            neighbour = index ^ 1
            if neighbour < len(level):
                path.append(level[neighbour])
            index >>= 1
        return tuple(path)


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Where a leaf stands in a tree of `size` leaves, and the path that proves it."""

    index: int
    size: int
    path: tuple[bytes, ...]
    root: bytes


def inclusion_of(wanted: bytes, leaves: Iterable[bytes], algorithm: str = "sha256") -> Inclusion:
    """The way from one leaf hash to the root, the leaves read once and a few dozen of them in memory at a time.

    Raises ValueError where the leaf is not among them.
    """
    index, size = -1, 0
    path: list[bytes] = []
    # Whole subtrees from the left, each with its height and whether the wanted leaf is below it.
    subtrees: list[tuple[int, bytes, bool]] = []

    def join() -> None:
        height, right, below_right = subtrees.pop()
        _, left, below_left = subtrees.pop()
        if below_left or below_right:
            path.append(right if below_left else left)
        subtrees.append((height + 1, _node(left, right, algorithm), below_left or below_right))

    for leaf in leaves:
        is_wanted = index < 0 and leaf == wanted
        if is_wanted:
            index = size
        size += 1
        subtrees.append((0, leaf, is_wanted))
        while len(subtrees) > 1 and subtrees[-1][0] == subtrees[-2][0]:
            join()
    if index < 0:
        raise ValueError("the leaf is not in the tree")
    while len(subtrees) > 1:
        join()
    return Inclusion(index, size, tuple(path), subtrees[0][1])


def root_of(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf hashes in their order."""
    return Tree.over(leaves).root


def proves(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes, algorithm: str = "sha256") -> bool:
    """Whether `path` leads from the leaf hash at `index` of a tree of `size` leaves to `root` (RFC 9162, 2.1.3.2).

    Never raises, whatever the numbers and hashes are.
    """
    hash_size = new(algorithm).digest_size
    if not 0 <= index < size or len(path) > LONGEST_PATH or len(root) != hash_size:
        return False
    place, last, found = index, size - 1, leaf
    for neighbour in path:
        if last == 0 or len(neighbour) != hash_size:
            return False
        if place & 1 or place == last:
            found = _node(neighbour, found, algorithm)
            while place and not place & 1:
                place, last = place >> 1, last >> 1
        else:
            found = _node(found, neighbour, algorithm)
        place, last = place >> 1, last >> 1
    return last == 0 and found == root


def _node(left: bytes, right: bytes, algorithm: str) -> bytes:
    return new(algorithm, b"\x01" + left + right).digest()
