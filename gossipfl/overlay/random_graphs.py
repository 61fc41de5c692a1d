"""Graphs drawn by a seed, drawn again until connected: each function takes peers, degree and seed.

The same seed gives the same graph with the same networkx.  Graphs without dice are families.py; graphs.py gives names.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable

import numpy as np

from gossipfl.errors import ConfigError
from gossipfl.overlay.structure import Edge, is_connected

REWIRING = 0.1                                           # Watts and Strogatz 1998, figure 2: paths already short as in
                                                         # a random graph, neighborhoods still as close as on a ring
_TRIES = 100                                             # guess; a graph that takes more is too sparse to be wanted
_PAIRS = 2_500_000                                       # of points are compared, in _TRIES graphs or more: seconds


def random_regular(n: int, degree: int, seed: int) -> Iterable[Edge]:
    """Every peer has `degree` neighbors, all such graphs about equally likely."""
    if not 1 <= degree < n:
        raise ConfigError(f"must be 1 or more and below the {n} peers, not {degree}", "overlay.degree")
    if n * degree % 2:
        raise ConfigError(f"must be even where the peers are {n}, an odd number, not {degree}", "overlay.degree")
    import networkx

    return _connected(
        n, seed, lambda dice: networkx.random_regular_graph(degree, n, seed=dice).edges,
        f"{n} peers with {degree} neighbors each do not hang together; raise it",
    )  # fmt: skip


def erdos_renyi(n: int, degree: int, seed: int) -> Iterable[Edge]:
    """G(n, p): each pair is an edge with probability p = degree / (n - 1), so `degree` is the mean before redrawing."""
    if not 1 <= degree < n:
        raise ConfigError(f"{n} peers cannot have {degree} neighbors on average", "overlay.degree")
    import networkx

    enough = math.ceil(math.log(n)) + 1                  # at a mean degree of ln n + 1 two of three draws are connected
    return _connected(
        n, seed, lambda dice: networkx.fast_gnp_random_graph(n, degree / (n - 1), seed=dice).edges,
        f"{n} peers with {degree} neighbors on average do not hang together; raise it to {enough}",
    )  # fmt: skip


def small_world(n: int, degree: int, seed: int) -> Iterable[Edge]:
    """A ring on which each peer knows the degree / 2 next on either side, with a tenth of the edges led astray.

    Watts and Strogatz 1998.  Rewiring moves one end of an edge, so the mean degree stays `degree`.
    """
    if not 2 <= degree < n or degree % 2:
        raise ConfigError(f"must be even, 2 or more and below the {n} peers, not {degree}", "overlay.degree")
    import networkx

    return _connected(
        n, seed, lambda dice: networkx.watts_strogatz_graph(n, degree, REWIRING, seed=dice).edges,
        f"{n} peers with {degree} neighbors, a tenth of them astray, do not hang together; raise it to {degree + 2}",
    )  # fmt: skip


def scale_free(n: int, degree: int, seed: int) -> Iterable[Edge]:
    """Each newcomer joins degree / 2 peers, the more likely the more neighbors they have: few hubs, many leaves.

    Barabasi and Albert 1999.  The mean degree is just below `degree`.
    """
    if not 2 <= degree < n or degree % 2:
        raise ConfigError(f"must be even, 2 or more and below the {n} peers, not {degree}", "overlay.degree")
    import networkx

    return [(min(pair), max(pair)) for pair in networkx.barabasi_albert_graph(n, degree // 2, seed=seed).edges]


def random_geometric(n: int, degree: int, seed: int) -> Iterable[Edge]:
    """Points in the unit square, joined where they are so near that, but for the rim, `degree` is the mean."""
    if not 1 <= degree < n:
        raise ConfigError(f"{n} peers cannot have {degree} neighbors on average", "overlay.degree")
    return within(math.sqrt(degree / (math.pi * (n - 1))), n, seed)


def within(radius: float, n: int, seed: int) -> Iterable[Edge]:
    """The same for a radius, as in Gabrielli and Tolomei 2026: 0.17 for 50 peers, which is a degree of 4.4."""
    enough = math.ceil(math.log(n)) + 3                  # then about every second draw is connected
    return _connected(
        n, seed, lambda dice: _near(radius, n, dice),
        f"{n} points within {radius:.2g} of each other do not hang together; raise it to {enough}",
        max(_TRIES, _PAIRS // n**2),
    )  # fmt: skip


def _near(radius: float, n: int, dice: random.Random) -> Iterable[Edge]:
    """Points thrown as networkx.random_geometric_graph throws them, but compared all at a time."""
    points = np.array([(dice.random(), dice.random()) for _ in range(n)])
    apart = ((points[:, None] - points) ** 2).sum(axis=2)                # (n, n)
    return ((i, j) for i, j in np.argwhere(np.triu(apart <= radius**2, 1)).tolist())


def _connected(
    n: int, seed: int, draw: Callable[[random.Random], Iterable[Edge]], otherwise: str, tries: int = _TRIES
) -> list[Edge]:
    """The first connected graph that the seed's dice draw.  Raises ConfigError with `otherwise` after too many."""
    dice = random.Random(seed)
    for _ in range(tries):
        graph = [(min(pair), max(pair)) for pair in draw(dice)]
        if is_connected(n, graph):
            return graph
    raise ConfigError(otherwise, "overlay.degree")
