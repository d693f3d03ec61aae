"""Merkle trees: the published vectors of Certificate Transparency, and properties against the RFC's own definition."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.signatures import merkle

# The reference vectors of the Certificate Transparency implementations (RFC 6962): eight leaves, the root after each.
LEAVES = [
    bytes.fromhex(leaf)
    for leaf in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
# Of the same vectors: (index, size, path).
PATHS = [
    (0, 1, []),
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
hashes = st.lists(st.binary(max_size=40), max_size=70).map(lambda leaves: [merkle.leaf_hash(leaf) for leaf in leaves])


def defined_root(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1
    while split * 2 < len(leaves):
        split *= 2
    return sha256(b"\x01" + defined_root(leaves[:split]) + defined_root(leaves[split:])).digest()


def test_the_tree_of_nothing_is_the_hash_of_nothing() -> None:
    assert merkle.root_of([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("size", range(1, 9))
def test_published_roots(size: int) -> None:
    assert merkle.root_of([merkle.leaf_hash(leaf) for leaf in LEAVES[:size]]).hex() == ROOTS[size - 1]


@pytest.mark.parametrize(("index", "size", "path"), PATHS)
def test_published_inclusion_proofs(index: int, size: int, path: list[str]) -> None:
    tree = merkle.Tree.over([merkle.leaf_hash(leaf) for leaf in LEAVES[:size]])
    assert [step.hex() for step in tree.inclusion(index)] == path
    assert merkle.proves(
        merkle.leaf_hash(LEAVES[index]), index, size, [bytes.fromhex(step) for step in path], tree.root
    )


@given(hashes)
def test_the_root_is_the_one_that_the_rfc_defines(leaves: list[bytes]) -> None:
    assert merkle.root_of(leaves) == defined_root(leaves)


@given(hashes.filter(bool), st.data())
def test_every_leaf_is_proved_at_its_place_and_at_no_other(leaves: list[bytes], data: st.DataObject) -> None:
    leaves = list(dict.fromkeys(leaves))
    index = data.draw(st.integers(0, len(leaves) - 1))
    tree = merkle.Tree.over(leaves)
    path = tree.inclusion(index)
    assert merkle.proves(leaves[index], index, len(leaves), path, tree.root)
    others = [place for place in range(len(leaves)) if place != index]
    assert not any(merkle.proves(leaves[index], place, len(leaves), path, tree.root) for place in others)


@given(hashes.filter(lambda leaves: len(leaves) > 1), st.data())
def test_a_changed_path_leaf_or_root_proves_nothing(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    tree = merkle.Tree.over(leaves)
    path = list(tree.inclusion(index))
    step = data.draw(st.integers(0, len(path) - 1))
    other = bytes(32)
    assert not merkle.proves(other, index, len(leaves), path, tree.root)
    assert not merkle.proves(leaves[index], index, len(leaves), path, other)
    assert not merkle.proves(leaves[index], index, len(leaves), path[:-1], tree.root)
    assert not merkle.proves(leaves[index], index, len(leaves), [*path, other], tree.root)
    assert not merkle.proves(leaves[index], index, len(leaves), [*path[:step], other, *path[step + 1 :]], tree.root)


@given(st.binary(max_size=40), st.integers(), st.integers(), st.lists(st.binary(max_size=40)), st.binary(max_size=40))
def test_hostile_proofs_are_false_and_raise_nothing(
    leaf: bytes, index: int, size: int, path: list[bytes], root: bytes
) -> None:
    assert merkle.proves(leaf, index, size, path, root) is (
        leaf == root and len(root) == 32 and (index, size) == (0, 1) and not path
    )


def test_there_is_no_proof_of_what_is_not_there() -> None:
    with pytest.raises(IndexError):
        merkle.Tree.over([bytes(32)]).inclusion(1)


@given(st.integers(1, 70), st.data())
def test_a_path_found_in_one_pass_is_the_trees(size: int, data: st.DataObject) -> None:
    leaves = [merkle.leaf_hash(number.to_bytes(2)) for number in range(size)]
    index = data.draw(st.integers(0, size - 1))
    tree = merkle.Tree.over(leaves)

    found = merkle.inclusion_of(leaves[index], iter(leaves))

    assert (found.index, found.size, found.path, found.root) == (index, size, tree.inclusion(index), tree.root)
    with pytest.raises(ValueError, match="not in the tree"):
        merkle.inclusion_of(bytes(32), iter(leaves))
