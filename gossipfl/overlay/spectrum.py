"""How fast disagreement shrinks on a graph, read from eigenvalues.

Two matrices speak: the mixing matrix W (weights.py), whose second largest eigenvalue by magnitude is the share of
disagreement that a round leaves over, and the Laplacian L, whose second smallest eigenvalue mu (the algebraic
connectivity) bounds what lies a graph can withstand (budget.py).  Dense: made for up to a few thousand peers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gossipfl.overlay.graphs import Edge

Matrix = npt.NDArray[np.float64]
ZERO = 1e-9                                              # an eigenvalue or a gap below this is rounding


def spectral_gap(mixing: Matrix) -> float:
    """1 - the second largest |eigenvalue| of W (n, n), in 0 to 1: 0 never agrees, 1 agrees in one round."""
    return 1 - _left_over(mixing)


def rounds_to_shrink(mixing: Matrix, factor: float) -> float:
    """Rounds of gossip until disagreement is `factor` times smaller, at worst; math.inf if it never is."""
    left_over = _left_over(mixing)
    if left_over < ZERO:
        return 1
    return math.inf if left_over > 1 - ZERO else math.ceil(math.log(factor) / -math.log(left_over))


def laplacian(n: int, graph: Sequence[Edge]) -> Matrix:
    """L = degrees on the diagonal - adjacency, (n, n)."""
    matrix = np.zeros((n, n))
    if graph:
        i, j = np.array(graph).T
        matrix[i, j] = matrix[j, i] = -1
    np.fill_diagonal(matrix, -matrix.sum(axis=1))
    return matrix


def algebraic_connectivity(n: int, graph: Sequence[Edge], among: Sequence[int] | None = None) -> float:
    """mu, the second smallest eigenvalue of L, of the graph or of its part among some peers; 0 if that falls apart.

    A single peer has nobody to agree with: math.inf.
    """
    if among is not None:
        number = {peer: position for position, peer in enumerate(among)}
        graph = [(number[i], number[j]) for i, j in graph if i in number and j in number]
        n = len(number)
    if n < 2:
        return math.inf
    mu = float(np.linalg.eigvalsh(laplacian(n, graph))[1])
    return mu if mu > ZERO else 0.0


def _left_over(mixing: Matrix) -> float:
    """The share of disagreement that one round leaves over: the second largest |eigenvalue|."""
    if len(mixing) < 2:
        return 0.0
    return float(np.sort(np.abs(np.linalg.eigvalsh(mixing)))[-2])
