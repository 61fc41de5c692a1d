"""Who averages with whom in a static overlay: lists of edges (i, j) with i < j between peers 0 to n - 1.

Overlays that peers make themselves are protocol/view.py.  What a graph is worth is told by spectrum.py and budget.py.
A new kind of graph is one function here and one line in GRAPHS.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Sequence

from gossipfl.errors import ConfigError

Edge = tuple[int, int]
Generator = Callable[[int, int, int], Iterable[Edge]]    # peers, degree, seed -> edges

_TRIES = 100                                             # random graphs drawn until one is connected


def edges(kind: str, n: int, *, degree: int = 6, seed: int = 0) -> list[Edge]:
    """The edges of a graph over n peers, sorted.  Raises ConfigError for a kind or a degree that does not exist."""
    if kind not in GRAPHS:
        raise ConfigError(f"no graph {kind!r}; there are {', '.join(GRAPHS)}", "overlay.kind")
    return sorted(GRAPHS[kind](n, degree, seed))


def custom(pairs: Sequence[Sequence[int]], n: int) -> list[Edge]:
    """Edges that a user wrote, sorted.  Raises ConfigError for what is no edge, stands twice or leaves a peer alone."""
    found: set[Edge] = set()
    for number, pair in enumerate(pairs):
        edge = _edge(pair, n, f"overlay.edges[{number}]")
        if edge in found:
            raise ConfigError(f"{list(edge)} stands there twice", f"overlay.edges[{number}]")
        found.add(edge)
    alone = set(range(n)) - {end for edge in found for end in edge}
    if alone and n > 1:
        raise ConfigError(f"peer {min(alone)} has no neighbor; give it an edge", "overlay.edges")
    return sorted(found)


def is_connected(n: int, graph: Iterable[Edge]) -> bool:
    """Is there a way between any two of the n peers?"""
    neighbors: dict[int, set[int]] = {peer: set() for peer in range(n)}
    for i, j in graph:
        neighbors[i].add(j)
        neighbors[j].add(i)
    reached, frontier = {0}, [0]
    while frontier:
        new = neighbors[frontier.pop()] - reached
        reached |= new
        frontier += new
    return len(reached) == n


def _edge(pair: Sequence[int], n: int, path: str) -> Edge:
    if len(pair) != 2 or pair[0] == pair[1] or not all(0 <= end < n for end in pair):
        raise ConfigError(f"{list(pair)} does not join two of the peers 0 to {n - 1}", path)
    return min(pair), max(pair)


def _full(n: int, degree: int, seed: int) -> Iterable[Edge]:
    return ((i, j) for i in range(n) for j in range(i + 1, n))


def _line(n: int, degree: int, seed: int) -> Iterable[Edge]:
    return ((i, i + 1) for i in range(n - 1))


def _ring(n: int, degree: int, seed: int) -> Iterable[Edge]:
    return {*_line(n, degree, seed), (0, n - 1)} if n > 1 else ()


def _star(n: int, degree: int, seed: int) -> Iterable[Edge]:
    return ((0, leaf) for leaf in range(1, n))


def _random_regular(n: int, degree: int, seed: int) -> Iterable[Edge]:
    """Every peer has `degree` neighbors, all such graphs about equally likely; drawn again until connected."""
    if not 1 <= degree < n or n * degree % 2:
        raise ConfigError(f"{n} peers cannot have {degree} neighbors each; n * degree must be even", "overlay.degree")
    import networkx

    dice = random.Random(seed)
    for _ in range(_TRIES):
        graph = [(min(pair), max(pair)) for pair in networkx.random_regular_graph(degree, n, seed=dice).edges]
        if is_connected(n, graph):
            return graph
    raise ConfigError(f"{n} peers with {degree} neighbors each do not hang together; raise it", "overlay.degree")


GRAPHS: dict[str, Generator] = {
    "full": _full,
    "ring": _ring,
    "line": _line,
    "star": _star,
    "random_regular": _random_regular,
}
