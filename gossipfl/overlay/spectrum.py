"""How fast disagreement shrinks on a graph, read from eigenvalues.

Two matrices speak: the mixing matrix W (weights.py), whose second largest eigenvalue by magnitude is the share of
disagreement that a round leaves over, and the Laplacian L, whose second smallest eigenvalue mu (the algebraic
connectivity) bounds what lies a graph can withstand (budget.py).  A graph that changes from round to round has a W per
round and their product over a period, which is not symmetric: there the largest singular value speaks.  Dense: made for
up to a few thousand peers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gossipfl.overlay.structure import Edge

Matrix = npt.NDArray[np.float64]
ZERO = 1e-9                                              # an eigenvalue or a gap below this is rounding
LOWEST = 4                                               # eigenvectors that are looked at: a torus has four alike


def spectral_gap(mixing: Matrix) -> float:
    """1 - the second largest |eigenvalue| of W (n, n), in 0 to 1: 0 never agrees, 1 agrees in one round."""
    return 1 - _left_over(mixing)


def rounds_to_shrink(mixing: Matrix, factor: float) -> float:
    """Rounds of gossip until disagreement is `factor` times smaller, at worst; math.inf if it never is."""
    return rounds_at(spectral_gap(mixing), factor)


def rounds_at(gap: float, factor: float) -> float:
    """The same for a spectral gap that is known already."""
    left_over = 1 - gap
    if left_over < ZERO:
        return 1
    return math.inf if left_over > 1 - ZERO else math.ceil(math.log(factor) / -math.log(left_over))


def period_gap(period: Sequence[Matrix]) -> float:
    """1 - the share of disagreement that a period of rounds leaves over at worst, in 0 to 1; of W per round (n, n)."""
    return 1 - float(np.linalg.norm(_disagreement_after(period), 2))


def rounds_to_shrink_in_periods(period: Sequence[Matrix], factor: float) -> float:
    """The first round, counted from the period's first, after which disagreement is `factor` times smaller, at worst.

    math.inf if it never is.  Disagreement never grows, so whole periods are counted by halving, and then the rounds of
    the last one.
    """
    whole, small = _disagreement_after(period), (1 + ZERO) / factor
    if not _is_below(whole, 1 - ZERO):
        return math.inf
    powers = [whole]                                     # of 1, 2, 4 ... periods
    while not _is_below(powers[-1], small):
        powers.append(powers[-1] @ powers[-1])
    left, periods = _disagreement_after([np.eye(len(whole))]), 0
    for exponent in reversed(range(len(powers) - 1)):
        longer = powers[exponent] @ left
        if not _is_below(longer, small):
            left, periods = longer, periods + 2**exponent
    return periods * len(period) + _rounds_of_last(period, left, small)


def laplacian(n: int, graph: Sequence[Edge], weights: Sequence[float] | None = None) -> Matrix:
    """L = degrees on the diagonal - adjacency, (n, n); edges weigh 1 each, or as told."""
    matrix = np.zeros((n, n))
    if graph:
        i, j = np.array(graph).T
        matrix[i, j] = matrix[j, i] = -1 if weights is None else -np.array(weights)
    np.fill_diagonal(matrix, -matrix.sum(axis=1))
    return matrix


def algebraic_connectivity(n: int, graph: Sequence[Edge]) -> float:
    """mu, the second smallest eigenvalue of L; 0 if the graph falls apart.

    A single peer has nobody to agree with: math.inf.
    """
    return connectivity_of(laplacian(n, graph))


def connectivity_of(part: Matrix) -> float:
    """The same of a Laplacian (n, n)."""
    if len(part) < 2:
        return math.inf
    mu = float(np.linalg.eigvalsh(part)[1])
    return mu if mu > ZERO else 0.0


def among(whole: Matrix, kept: npt.NDArray[np.intp]) -> Matrix:
    """Laplacians (..., m, m) of the parts among the peers `kept` (..., m): whoever is not takes its edges along."""
    part = whole[kept[..., :, None], kept[..., None, :]]
    diagonal = np.arange(kept.shape[-1])
    part[..., diagonal, diagonal] = 0
    part[..., diagonal, diagonal] = -part.sum(axis=-1)
    return part


class Lowest(NamedTuple):
    """The bottom of a Laplacian's spectrum, without the eigenvalue 0 of all ones."""

    mu: float
    vectors: Matrix                                      # (n, k) orthonormal; the first is the Fiedler vector


def lowest(whole: Matrix) -> Lowest:
    """Of a Laplacian (n, n), n >= 2."""
    values, vectors = np.linalg.eigh(whole)
    return Lowest(float(values[1]) if values[1] > ZERO else 0.0, vectors[:, 1 : 1 + LOWEST])


def _left_over(mixing: Matrix) -> float:
    """The share of disagreement that one round leaves over: the second largest |eigenvalue|."""
    if len(mixing) < 2:
        return 0.0
    return float(np.sort(np.abs(np.linalg.eigvalsh(mixing)))[-2])


def _rounds_of_last(period: Sequence[Matrix], left: Matrix, small: float) -> int:
    """How many rounds of this period it takes, all of them at most, until what is `left` over is small."""
    for rounds, mixing in enumerate(period[:-1], 1):
        left = mixing @ left
        if _is_below(left, small):
            return rounds
    return len(period)


def _disagreement_after(period: Sequence[Matrix]) -> Matrix:
    """What a period makes of models less their mean, (n, n): W_T ... W_2 W_1 (I - 1/n)."""
    n = len(period[0])
    matrix = np.eye(n) - 1 / n
    for mixing in period:
        matrix = mixing @ matrix
    return matrix


def _is_below(matrix: Matrix, bound: float) -> bool:
    """Is the largest singular value `bound` or less?

    It lies between Frobenius' norm / sqrt(n) and that norm, which mostly spares the decomposition.
    """
    frobenius = float(np.linalg.norm(matrix))
    if frobenius <= bound or frobenius > bound * math.sqrt(len(matrix)):
        return frobenius <= bound
    return float(np.linalg.norm(matrix, 2)) <= bound
