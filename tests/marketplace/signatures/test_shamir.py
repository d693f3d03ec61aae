"""Any k shares give the secret; fewer say nothing: every secret stays possible, and equally likely."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from marketplace.signatures import shamir
from marketplace.signatures.shamir import SharesRefused


@st.composite
def splits(draw: st.DrawFn) -> tuple[bytes, int, int]:
    shares = draw(st.integers(1, 10))
    return draw(st.binary(min_size=1, max_size=40)), draw(st.integers(1, shares)), shares


@given(splits(), st.randoms())
def test_any_threshold_of_shares_in_any_order_gives_the_secret(split: tuple[bytes, int, int], random: object) -> None:
    secret, threshold, count = split
    shares = shamir.split(secret, threshold, count)

    for chosen in itertools.islice(itertools.combinations(shares, threshold), 30):
        shuffled = list(chosen)
        random.shuffle(shuffled)  # type: ignore[attr-defined]  # a Random of hypothesis
        assert shamir.combine(shuffled) == secret
    assert shamir.combine(shares) == secret


@pytest.mark.parametrize("threshold", [2, 3])
def test_one_share_too_few_leaves_every_secret_equally_possible(threshold: int) -> None:
    """For a secret of one byte, exhaustively: whatever k − 1 shares are held, a k-th exists for each of 256 secrets."""
    held = shamir.split(b"\x2a", threshold, 5)[: threshold - 1]

    for place in range(threshold, 6):
        made = Counter(shamir.combine([*held, bytes([place, value])]) for value in range(256))
        assert made == Counter({bytes([secret]): 1 for secret in range(256)})


def test_a_share_alone_is_spread_evenly_whatever_the_secret() -> None:
    """Over all the random coefficients there are, the first share of any secret takes each value once."""
    for secret in (0, 1, 0x53, 0xFF):
        values = Counter(
            shamir.split(bytes([secret]), 2, 2, random=lambda _n, c=coefficient: bytes([c]))[0][1]
            for coefficient in range(256)
        )
        assert values == Counter(range(256))


def test_a_changed_share_gives_another_secret() -> None:
    shares = shamir.split(b"secret", 2, 3)
    changed = shares[1][:3] + bytes([shares[1][3] ^ 1]) + shares[1][4:]

    assert shamir.combine([shares[0], changed]) != b"secret"


@pytest.mark.parametrize(
    "shares",
    [[], [b""], [b"\x01"], [b"\x01a", b"\x01b"], [b"\x00a", b"\x01b"], [b"\x01a", b"\x02bc"]],
    ids=["none", "empty", "only a place", "one twice", "place 0", "lengths"],
)
def test_what_is_no_set_of_shares_is_refused(shares: list[bytes]) -> None:
    with pytest.raises(SharesRefused):
        shamir.combine(shares)


@pytest.mark.parametrize(("secret", "threshold", "count"), [(b"", 1, 1), (b"s", 0, 1), (b"s", 3, 2), (b"s", 2, 256)])
def test_impossible_splits_are_refused(secret: bytes, threshold: int, count: int) -> None:
    with pytest.raises(ValueError, match="split"):
        shamir.split(secret, threshold, count)


def test_the_field_is_that_of_aes() -> None:
    assert shamir.multiply(0x57, 0x83) == 0xC1  # FIPS 197, 4.2
    assert all(shamir.multiply(a, shamir.inverse(a)) == 1 for a in range(1, 256))
    products = {(a, b): shamir.multiply(a, b) for a in range(0, 256, 7) for b in range(256)}
    assert all(shamir.multiply(b, a) == product for (a, b), product in products.items())
