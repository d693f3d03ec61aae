"""EASE^R: which things go with which, in closed form (Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", WWW
2019).

With X accounts × things of ones, G = XᵀX and P = (G + λI)⁻¹, the weights are B = I − P·diag(1/P); a thing never
speaks for itself. Only the strongest weights towards each thing are kept, so that a model of 10,000 things stays at
some megabytes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.linalg import lapack

from analytics.rules.growth.ledger import Float32Array
from analytics.rules.history import IntArray

KEPT = 128
"""Weights kept towards each thing."""
BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Towards each thing (row): the things that speak for or against it, strongest first, and their weights."""

    things: IntArray  # things × kept
    weights: Float32Array

    @classmethod
    def none(cls, count: int) -> Neighbours:
        return cls(np.zeros((count, 0), dtype=np.int32), np.zeros((count, 0), dtype=np.float32))

    def matrix(self) -> sparse.csr_matrix:
        """From × towards, so that scores are `bought @ matrix`."""
        count, kept = self.things.shape
        towards = sparse.csr_matrix(
            (self.weights.ravel(), self.things.ravel(), np.arange(count + 1) * kept),
            shape=(count, count),
        )
        return sparse.csr_matrix(towards.T)


def gram(bought: sparse.csr_matrix) -> Float32Array:
    """XᵀX, dense: how many accounts bought both."""
    count = bought.shape[1]
    columns = sparse.csc_matrix(bought)
    rows = sparse.csr_matrix(columns.T)
    together = np.empty((count, count), dtype=np.float32)
    for start in range(0, count, BLOCK):
        together[:, start : start + BLOCK] = (rows @ columns[:, start : start + BLOCK]).toarray()
    return together


def learn(bought: sparse.csr_matrix, regularisation: float, *, kept: int = KEPT) -> Neighbours:
    """Memory: one dense square of float32, 400 MB at 10,000 things. Time: the cube of the things, by Cholesky."""
    return learn_from(gram(bought), regularisation, kept=kept)


def learn_from(together: Float32Array, regularisation: float, *, kept: int = KEPT) -> Neighbours:
    """The same from a Gram matrix, which is overwritten."""
    count = len(together)
    if count < 2:
        return Neighbours.none(count)
    together[np.diag_indices(count)] += np.float32(regularisation)
    factor, failed = lapack.spotrf(together.T, lower=1, overwrite_a=1, clean=0)
    inverse, failed_too = lapack.spotri(factor, lower=1, overwrite_c=1)
    if failed or failed_too:  # λ > 0 makes G + λI positive definite
        raise ArithmeticError("The Gram matrix could not be factored")
    precision = inverse.T  # its upper triangle is filled
    for start in range(0, count, BLOCK):
        stop = min(start + BLOCK, count)
        square = np.triu(precision[start:stop, start:stop])
        precision[start:stop, start:stop] = square + np.triu(square, 1).T
        precision[stop:, start:stop] = precision[start:stop, stop:].T
    kept = min(kept, count - 1)
    things = np.empty((count, kept), dtype=np.int32)
    weights = np.empty((count, kept), dtype=np.float32)
    for start in range(0, count, BLOCK):
        block = precision[start : start + BLOCK]
        own = np.arange(len(block)), np.arange(start, start + len(block))
        block = -block / block[own][:, None]
        block[own] = 0
        strength = np.abs(block)
        strength[own] = -1
        chosen = np.argpartition(-strength, kept - 1, axis=1)[:, :kept]
        order = np.argsort(-np.take_along_axis(strength, chosen, 1), axis=1, kind="stable")
        chosen = np.take_along_axis(chosen, order, 1)
        things[start : start + BLOCK] = chosen
        weights[start : start + BLOCK] = np.take_along_axis(block, chosen, 1)
    return Neighbours(things, weights)
