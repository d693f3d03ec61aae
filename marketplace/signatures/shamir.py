"""Shamir's secret sharing over GF(256): any k of n shares give the secret, fewer say nothing about it.

Each byte of the secret is the constant term of a random polynomial of degree k − 1 over the field of AES
(x⁸ + x⁴ + x³ + x + 1); share i holds the polynomials' values at i. A share is one byte i (1 to 255), then as many bytes
as the secret has. assets/src/committee/shamir.ts does the same in the browser, which is where shares of real keys are
made; this one is for the demonstration, for tests and for putting shares together by hand (docs/operations.md).
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import Final

MAX_SHARES: Final = 255


class SharesRefused(Exception):
    """These shares cannot be put together: too few, of different lengths, or one of them twice."""


def split(
    secret: bytes, threshold: int, shares: int, random: Callable[[int], bytes] = secrets.token_bytes
) -> list[bytes]:
    """`shares` shares of the secret, any `threshold` of which give it back. `random(n)` returns n random bytes.

    Raises ValueError for an empty secret, or bounds other than 1 ≤ threshold ≤ shares ≤ 255.
    """
    if not secret or not 1 <= threshold <= shares <= MAX_SHARES:
        raise ValueError("a secret is split into 1 to 255 shares, of which at least one and at most all are needed")
    coefficients = [secret, *(random(len(secret)) for _ in range(threshold - 1))]
    return [bytes([x]) + _values_at(coefficients, x) for x in range(1, shares + 1)]


def combine(shares: Sequence[bytes]) -> bytes:
    """The secret that the shares give when there are enough of them; a wrong or missing one gives another secret.

    So the answer has to be checked against something known, as the public keys that it should make. Raises
    SharesRefused.
    """
    places = [share[0] for share in shares if len(share) > 1]
    if not shares or len(places) != len(shares) or len({len(share) for share in shares}) != 1:
        raise SharesRefused("the shares are not of one length")
    if len(set(places)) != len(places) or 0 in places:
        raise SharesRefused("a share is given twice, or is none")
    secret = bytes(len(shares[0]) - 1)
    for share in shares:
        weight = _weight(share[0], places)
        secret = bytes(byte ^ multiply(weight, value) for byte, value in zip(secret, share[1:], strict=True))
    return secret


def multiply(a: int, b: int) -> int:
    """The product in GF(256), without a table and without a branch on its factors."""
    product = 0
    for _ in range(8):
        product ^= -(b & 1) & a
        a = (a << 1) ^ (-(a >> 7) & 0x11B)
        b >>= 1
    return product


def inverse(a: int) -> int:
    """1/a in GF(256), as a²⁵⁴; that of 0 is 0."""
    power, square = 1, a
    for _ in range(7):
        square = multiply(square, square)
        power = multiply(power, square)
    return power


def _values_at(coefficients: Sequence[bytes], x: int) -> bytes:
    """Each byte's polynomial at x, by Horner's rule."""
    values = bytes(len(coefficients[0]))
    for coefficient in reversed(coefficients):
        values = bytes(multiply(value, x) ^ term for value, term in zip(values, coefficient, strict=True))
    return values


def _weight(x: int, places: Sequence[int]) -> int:
    """Lagrange's weight of the share at x for the value at 0."""
    weight = 1
    for other in places:
        if other != x:
            weight = multiply(weight, multiply(other, inverse(other ^ x)))
    return weight
