"""Linear algebra on one thread while something is learnt: with more, sums are taken in another order.

The last digits would then depend on how many cores a machine has, and of a list of suggestions some ranks with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from threadpoolctl import threadpool_limits


@contextmanager
def one_thread() -> Iterator[None]:
    """Of BLAS and LAPACK, in this whole process until the end of the block; a decorator too."""
    with threadpool_limits(limits=1, user_api="blas"):
        yield
