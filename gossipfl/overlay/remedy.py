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
from gossipfl.overlay.audit import Told
from gossipfl.overlay.budget import CS_PLUS, weights_in_use
from gossipfl.overlay.placement import Search
from gossipfl.overlay.spectrum import ZERO, Matrix, among, connectivity_of, laplacian
from gossipfl.overlay.structure import Edge

_SHARPNESS = 3                                           # an eigenvalue counts mu^-3; with 1 to 4, nine graphs of 10 to
                                                         # 64 peers asked for as many edges, give or take a twentieth
_CROWDING = 2                                            # an end of many neighbors counts against an edge twice: its
                                                         # others weigh less then; 1 and 3 asked for a fiftieth more
_COARSE = 32                                             # edges a step: n / this for each 1 that mu lacks, ...
_FINE = 4_000                                            # ... n^2 / this at least: one each below 90 peers; 16 asked
                                                         # for a twentieth more, one edge a step for as many
_SPARING = 1e8                                           # placements x n^2 for leaving edges out again: seconds


def edges_to_withstand(n: int, graph: Sequence[Edge], b: int, told: Told = lambda _: None) -> list[Edge]:
    """New edges, sorted, with which certified_in_use is b or more; none if it is already.  b is 1 or more.

    `told` hears now and then how far it is: 500 peers take seconds for few liars, minutes for dozens.  Raises
    ConfigError if too few peers are there for any graph: only n > 5 b will do.
    """
    least = (CS_PLUS + 1) * b + 1                         # then mu, which is n, is more than 5 b (budget.py)
    if n < least:
        raise ConfigError(
            f"no graph of {n} peers withstands {b} of them: even where everybody is everybody's neighbor it takes "
            f"{least} peers", "--want",
        )  # fmt: skip
    found = _Growing(n, graph, b, told)
    while (liars := found.worst()) is not None:
        found.grow(liars)
    return sorted(found.spared())


class _Growing:
    """A graph that grows until it withstands b liars, and the placements that it had to be mended for."""

    def __init__(self, n: int, graph: Sequence[Edge], b: int, told: Told) -> None:
        self._n, self._b, self._graph, self._told = n, b, list(graph), told
        self._joined = _adjacency(n, graph)              # with the new ones
        self._new: list[Edge] = []
        self._placements: list[tuple[int, ...]] = [()]

    def worst(self) -> tuple[int, ...] | None:
        """Liars that are not withstood: first of placements known from before, because a search takes longer."""
        return self._worst(self._new)

    def grow(self, liars: tuple[int, ...]) -> None:
        """Some edges more among the honest, next to those that have most to gain."""
        self._told(f"{len(self._new):,} edges so far, against {len(self._placements) - 1:,} placements of liars")
        honest, degrees = self._honest(liars), self._joined.sum(axis=0)
        weights = (1 + degrees.min()) / (2 + np.maximum(degrees[:, None], degrees))
        mu, gains = _gains(among(_in_use(self._joined), honest))
        taken = _best(gains * weights[np.ix_(honest, honest)] ** _CROWDING, self._at_once(mu))
        if not taken:                                    # all joined, and few neighbors of the liars weigh all down
            self.grow(())
        for i, j in taken:
            self._add(int(honest[i]), int(honest[j]))

    def spared(self) -> list[Edge]:
        """The new edges without those that are not needed, the first of them having been chosen knowing least."""
        kept, trials = list(self._new), int(_SPARING / (math.comb(self._n, self._b) * self._n**2))
        for number, edge in enumerate(self._new[:trials]):
            self._told(f"{len(kept):,} edges, of which {min(trials, len(self._new)) - number:,} may be needless")
            fewer = [other for other in kept if other != edge]
            if self._worst(fewer) is None:
                kept = fewer
        return kept

    def _at_once(self, mu: float) -> int:
        """Far fewer than it still takes, for n / 2 edges, one at each peer, raise mu by 2 at most."""
        short = CS_PLUS * self._b - mu
        return max(1, int(self._n * short / _COARSE), self._n**2 // _FINE)

    def _add(self, i: int, j: int) -> None:
        self._new.append((min(i, j), max(i, j)))
        self._joined[i, j] = self._joined[j, i] = True

    def _worst(self, new: list[Edge]) -> tuple[int, ...] | None:
        edges = self._graph + new
        whole, enough = _in_use(_adjacency(self._n, edges)), CS_PLUS * self._b + ZERO
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


def _adjacency(n: int, edges: Sequence[Edge]) -> npt.NDArray[np.bool_]:
    return laplacian(n, edges) < 0


def _in_use(joined: npt.NDArray[np.bool_]) -> Matrix:
    """The Laplacian (n, n) of these edges with the weights of budget.weights_in_use, all at a time."""
    degrees = joined.sum(axis=0)
    weights = (1 + degrees.min()) / (1 + np.maximum(degrees[:, None], degrees))
    found: Matrix = np.diag((joined * weights).sum(axis=0)) - joined * weights
    return found


def _best(gains: Matrix, count: int) -> list[Edge]:
    """Up to `count` pairs (i, j) of m peers that gain most, more than nothing, spread evenly over the peers."""
    each = -(-2 * count // len(gains))
    pairs, ends = list[Edge](), [0] * len(gains)
    found = np.argwhere(gains > 0)
    for i, j in found[np.argsort(-gains[gains > 0], kind="stable")].tolist():
        if len(pairs) == count:
            break
        if ends[i] < each and ends[j] < each:
            pairs.append((i, j))
            ends[i] += 1
            ends[j] += 1
    return pairs


def _gains(part: Matrix) -> tuple[float, Matrix]:
    """mu, and (m, m) how much an edge of weight 1 would help each two of m peers, whose Laplacian is `part`.

    0 where there is one, and below the diagonal.
    """
    values, vectors = np.linalg.eigh(part)
    mu, values = float(values[1]), np.maximum(values[1:], 1e-3 * max(values[-1], 1.0))   # pieces: as good as apart
    weighted = vectors[:, 1:] * (values[0] / values) ** _SHARPNESS
    gram = weighted @ vectors[:, 1:].T                                   # (m, m)
    gains = gram.diagonal()[:, None] + gram.diagonal() - 2 * gram
    return mu, np.where(part < 0, 0.0, np.triu(gains, 1))
