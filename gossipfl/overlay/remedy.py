"""Which edges to add so that a graph withstands a wanted number of liars.

Greedy, against an adversary that answers: as long as some placement of b liars leaves mu <= 4 b, edges are added among
the honest peers of that placement where they raise its mu most, and then a new worst placement is searched.  Edges
weigh what they do in use (budget.py), so that what `auto` asks for is there, too, and with it all that weight 1 takes.
An edge of weight w between i and j raises the eigenvalue of the unit vector v by w (v_i - v_j)^2 at first; since many
eigenvalues may be the least at a time, all of them count, the more the smaller they are.  Edges that turn out not to be
needed are left out again.  The fewest edges are not promised, the certificate is: budget.py gives its meaning,
placement.py its limits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gossipfl.errors import ConfigError
from gossipfl.overlay.budget import CS_PLUS, bound, weights_in_use
from gossipfl.overlay.families import full
from gossipfl.overlay.placement import Search
from gossipfl.overlay.spectrum import ZERO, Matrix, among, connectivity_of, laplacian
from gossipfl.overlay.structure import Edge, neighbors_of

_SHARPNESS = 3                                           # an eigenvalue counts mu^-3; with 1 to 4, nine graphs of 10 to
                                                         # 64 peers asked for as many edges, give or take a twentieth
_CROWDING = 2                                            # an end of many neighbors counts against an edge twice: its
                                                         # others weigh less then; 1 and 3 asked for a fiftieth more
_AT_ONCE = 16_000                                        # n^2 / this many edges a step: one each below 180 peers
_SPARING = 1e8                                           # placements x n^2 for leaving edges out again: seconds


def edges_to_withstand(n: int, graph: Sequence[Edge], b: int) -> list[Edge]:
    """New edges, sorted, with which certified_in_use is b or more; none if it is already.  b is 1 or more.

    Raises ConfigError if too few peers are there for any graph: only n > 5 b will do.
    """
    if bound(n, list(full(n))) < b:
        raise ConfigError(
            f"no graph of {n} peers withstands {b} of them: even where everybody is everybody's neighbor it takes "
            f"{5 * b + 1} peers", "--want",
        )  # fmt: skip
    found = _Growing(n, graph, b)
    while (liars := found.worst()) is not None:
        found.grow(liars)
    return sorted(found.spared())


class _Growing:
    """A graph that grows until it withstands b liars, and the placements that it had to be mended for."""

    def __init__(self, n: int, graph: Sequence[Edge], b: int) -> None:
        self._n, self._b, self._graph = n, b, list(graph)
        self._new: list[Edge] = []
        self._placements: list[tuple[int, ...]] = [()]

    def worst(self) -> tuple[int, ...] | None:
        """Liars that are not withstood: first of placements known from before, because a search takes longer."""
        return self._worst(self._graph + self._new)

    def grow(self, liars: tuple[int, ...]) -> None:
        """A few edges more among the honest, no two at one peer; next to those that have most to gain."""
        edges, honest = self._graph + self._new, self._honest(liars)
        degrees = np.array([len(near) for near in neighbors_of(self._n, edges)])
        weights = (1 + degrees.min()) / (2 + np.maximum(degrees[:, None], degrees))
        gains = _gains(among(self._laplacian(edges), honest)) * weights[np.ix_(honest, honest)] ** _CROWDING
        count, taken = max(1, self._n**2 // _AT_ONCE), set[int]()
        for flat in np.argsort(-gains, axis=None, kind="stable"):
            i, j = sorted((int(honest[flat // len(honest)]), int(honest[flat % len(honest)])))
            if count == 0 or gains.flat[flat] <= 0:
                break
            if i not in taken and j not in taken:
                self._new.append((i, j))
                taken |= {i, j}
                count -= 1
        if not taken:                                    # all joined, and few neighbors of the liars weigh all down
            self.grow(())

    def spared(self) -> list[Edge]:
        """The new edges without those that are not needed, the first of them having been chosen knowing least."""
        kept, trials = list(self._new), int(_SPARING / (math.comb(self._n, self._b) * self._n**2))
        for edge in self._new[:trials]:
            fewer = [other for other in kept if other != edge]
            if self._worst(self._graph + fewer) is None:
                kept = fewer
        return kept

    def _worst(self, edges: list[Edge]) -> tuple[int, ...] | None:
        whole, enough = self._laplacian(edges), CS_PLUS * self._b + ZERO
        for liars in reversed(self._placements):
            if connectivity_of(among(whole, self._honest(liars))) <= enough:
                return liars
        found = Search(self._n, edges, weights=weights_in_use(self._n, edges)).worst(self._b)
        if found.mu > enough:
            return None
        self._placements.append(found.liars)
        return found.liars

    def _honest(self, liars: tuple[int, ...]) -> npt.NDArray[np.intp]:
        return np.setdiff1d(np.arange(self._n), np.array(liars, np.intp))

    def _laplacian(self, edges: list[Edge]) -> Matrix:
        return laplacian(self._n, edges, weights_in_use(self._n, edges))


def _gains(part: Matrix) -> Matrix:
    """(m, m): how much an edge of weight 1 would help each two of m peers, whose Laplacian is `part`.

    0 where there is one, and below the diagonal.
    """
    values, vectors = np.linalg.eigh(part)
    values = np.maximum(values[1:], 1e-3 * max(values[-1], 1.0))         # pieces: as good as apart
    weighted = vectors[:, 1:] * (values[0] / values) ** _SHARPNESS
    gram = weighted @ vectors[:, 1:].T                                   # (m, m)
    gains = gram.diagonal()[:, None] + gram.diagonal() - 2 * gram
    return np.where(part < 0, 0.0, np.triu(gains, 1))
