"""Who averages with whom in a static overlay: lists of edges (i, j) with i < j between peers 0 to n - 1.

Here graphs have names; how they are made is families.py and random_graphs.py, or the user wrote the edges.  Overlays
that peers make themselves are protocol/view.py.  What a graph is worth is told by audit.py.  A new kind of graph is one
function there and one line in GRAPHS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from gossipfl.errors import ConfigError, meant
from gossipfl.overlay import families, random_graphs
from gossipfl.overlay.schedules import SCHEDULES, union
from gossipfl.overlay.structure import Edge

Generator = Callable[[int, int, int], Iterable[Edge]]    # peers, degree, seed -> edges


def edges(kind: str, n: int, *, degree: int = 6, seed: int = 0) -> list[Edge]:
    """The edges of a graph over n peers, sorted; of a time-varying kind the edges of all rounds.

    `degree` and `seed` count for the random kinds, and `degree` for two_worlds: links into the other world, and for
    ring_of_cliques: neighbors within a clique.
    Raises ConfigError for a kind that does not exist, and for a number of peers or a degree that no graph of it has.
    """
    if kind not in GRAPHS:
        raise ConfigError(f"no graph {kind!r}; {meant(kind, GRAPHS)}", "overlay.kind")
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


def _edge(pair: Sequence[int], n: int, path: str) -> Edge:
    if len(pair) != 2 or pair[0] == pair[1] or not all(0 <= end < n for end in pair):
        raise ConfigError(f"{list(pair)} does not join two of the peers 0 to {n - 1}", path)
    return min(pair), max(pair)


def _fixed(family: Callable[[int], Iterable[Edge]]) -> Generator:
    return lambda n, degree, seed: family(n)


def _all_rounds(kind: str) -> Generator:
    return lambda n, degree, seed: union(SCHEDULES[kind](n))


GRAPHS: dict[str, Generator] = {
    "full": _fixed(families.full),
    "ring": _fixed(families.ring),
    "line": _fixed(families.line),
    "star": _fixed(families.star),
    "grid": _fixed(families.grid),
    "torus": _fixed(families.torus),
    "exponential": _fixed(families.exponential),
    "dumbbell": _fixed(families.dumbbell),
    "two_worlds": lambda n, degree, seed: families.two_worlds(n, degree),
    "ring_of_cliques": lambda n, degree, seed: families.ring_of_cliques(n, degree),
    "random_regular": random_graphs.random_regular,
    "erdos_renyi": random_graphs.erdos_renyi,
    "small_world": random_graphs.small_world,
    "scale_free": random_graphs.scale_free,
    "random_geometric": random_graphs.random_geometric,
    "one_peer_exponential": _all_rounds("one_peer_exponential"),
}
